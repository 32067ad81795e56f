"""Photos → rows of an index, on all cores: the faces of some are found while the network looks at those before them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from demo.backbones import Backbone, Grid
from demo.errors import DemoError, NoFace
from demo.faces import NO_FACE, Face, Limits, align, detect_faces, landmarks_in, load_photo
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
            faces = detect_faces(picture, detector, folder=backbone.info.folder)
            if not faces:
                raise NoFace(NO_FACE)
            return digest, align(picture, faces[0], backbone), _face_row(faces[0], backbone), _place(faces)
        except DemoError as error:
            return digest, None, str(error), (0, 0)

    for batch in _batches(_ahead(face_of, photos), BATCH):
        usable = [(digest, crop, row) for digest, crop, row, _ in batch if crop is not None]
        rows: list[tuple[str, Row]] = []
        if usable:
            features = backbone.extract(np.stack([crop for _, crop, _ in usable]))
            embeddings = features.embedding.cpu().numpy()
            patches = {grid: features.at(grid).patches.cpu().numpy().astype(np.float16) for grid in grids}
            rows = [(digest, {(EMBEDDINGS, "embeddings"): embeddings[slot], **row,
                              **{(patches_file(grid), "patches"): values[slot] for grid, values in patches.items()}})
                    for slot, (digest, _, row) in enumerate(usable)]
        draft.add(rows, [(digest, reason) for digest, crop, reason, _ in batch if crop is None],
                  [(digest, *place) for digest, _, _, place in batch if place[0] > 1])
        for digest, *_ in batch:
            done += 1
            if progress:
                progress(done, total, photos[digest].path)


def _place(faces: Sequence[Face]) -> tuple[int, int]:
    """How many there are, and which the first is, counted from the left."""
    return len(faces), 1 + sum(face.box[0] + face.box[2] < faces[0].box[0] + faces[0].box[2] for face in faces)


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
