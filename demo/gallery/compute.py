"""Photos → rows of an index, on all cores: the faces of some are found while the network looks at those before them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from demo.backbones import Backbone, Grid
from demo.errors import DemoError
from demo.faces import Face, Limits, align, find_face, landmarks_in, load_photo
from demo.gallery.draft import Draft, Row
from demo.gallery.folder import Photo
from demo.gallery.manifest import EMBEDDINGS, FACES, patches_file

#: Called after each photo with (photos done, photos in all, path).
Progress = Callable[[int, int, str], None]
#: Photos that the network looks at together, and that are on the disk together.
BATCH = 16


def compute(photos: Mapping[str, Photo], draft: Draft, backbone: Backbone, detector: str, limits: Limits,
            grids: Sequence[Grid], progress: Progress | None = None, total: int | None = None) -> None:
    """Detect, align and extract, and keep rows and failures in the draft. photos: by SHA-256. grids: whose patches are
    kept. total: photos of which these are the last, for the progress."""
    total = len(photos) if total is None else total
    done = total - len(photos)

    def face_of(digest: str):
        photo = photos[digest]
        try:
            picture = load_photo(photo.file, limits)
            face = find_face(picture, detector=detector, folder=backbone.info.folder)
            return digest, align(picture, face, backbone), _face_row(face, backbone)
        except DemoError as error:
            return digest, None, str(error)

    for batch in _batches(_ahead(face_of, photos), BATCH):
        usable = [(digest, crop, row) for digest, crop, row in batch if crop is not None]
        rows: list[tuple[str, Row]] = []
        if usable:
            features = backbone.extract(np.stack([crop for _, crop, _ in usable]))
            embeddings = features.embedding.cpu().numpy()
            patches = {grid: features.at(grid).patches.cpu().numpy().astype(np.float16) for grid in grids}
            rows = [(digest, {(EMBEDDINGS, "embeddings"): embeddings[slot], **row,
                              **{(patches_file(grid), "patches"): values[slot] for grid, values in patches.items()}})
                    for slot, (digest, _, row) in enumerate(usable)]
        draft.add(rows, [(digest, reason) for digest, crop, reason in batch if crop is None])
        for digest, _, _ in batch:
            done += 1
            if progress:
                progress(done, total, photos[digest].path)


def _face_row(face: Face, backbone: Backbone) -> Row:
    unknown = np.full((5, 2), np.nan, np.float32)
    values = {
        "box": np.asarray(face.box, np.float32), "score": np.asarray(face.score, np.float32),
        "landmarks": face.landmarks,
        "chip_points": unknown if face.chip_points is None else face.chip_points,
        "five_points": unknown if face.five_points is None else face.five_points,
        "crop_landmarks": landmarks_in(face, backbone),
    }
    return {(FACES, name): np.asarray(value, np.float32) for name, value in values.items()}


def _ahead(work: Callable, items: Iterable) -> Iterator:
    """What ``work`` makes of the items, in order; a batch of them is worked on while others are used."""
    waiting: deque[Future] = deque()
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > BATCH:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for one in waiting:
                one.cancel()


def _batches(items: Iterator, size: int) -> Iterator[list]:
    batch = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
