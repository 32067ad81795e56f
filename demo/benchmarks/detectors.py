"""Which detector finds which faces: ``python -m demo benchmark detectors [--json] [--photos FOLDER] [--sample 60]``.

For each detector: the share of faces found in photos as they are and with every alteration, how far its five points
move when a mask is drawn over the face and it is found anew, faces that it sees in pictures without people, and how
long it takes. Photos: one sub-folder per person; by default the query photos that come with the project.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from demo.benchmarks.timing import Timing, machine, tell, time_in_turn
from demo.evaluation import spread
from demo.evaluation.detectors import PLAIN, Column, faces_found, ready
from demo.faces import DETECTORS, DRAWN, PERTURBATIONS, detect_faces, load_photo
from demo.gallery import Photo, list_photos
from demo.places import ASSETS

PHOTOS = ASSETS / "queries"
#: Pictures without people, and the sides of one.
EMPTY, EMPTY_SIDE = 200, 400
#: Photos whose parts are shuffled are cut into so many blocks a side: a block holds an eye at most.
BLOCKS = 10
#: What is measured.
PARTS = ("found", "false", "speed")
#: Sizes that are timed: (width, height).
TIMED = {"640 px": (640, 480), "12 MP": (4000, 3000)}


def columns_of(strengths: bool) -> list[Column]:
    """The photo as it is, and every kind with a style drawn by the seed, or of the perturbations every style."""
    return [PLAIN, *((kind, style) for kind, entry in DRAWN.items()
                     for style in (entry.styles if strengths and kind in PERTURBATIONS else [None]))]


def found(photos: Sequence[Photo], detectors: Sequence[str], strengths: bool) -> list[dict]:
    """A row for each detector and alteration: photos, share found in percent, and for masks the shift of the points;
    where there are several detectors, also what any of them finds."""
    finds, _ = faces_found(photos, detectors, columns_of(strengths))
    return [{"detector": one.detector, "alteration": " ".join(filter(None, one.column)) or "unaltered",
             "photos": len(one.found), "found %": _percent(one.share and one.share.mean),
             "points moved %": _percent(one.shift)} for one in finds]


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 1)


def textures(count: int, seed: int = 0) -> list[np.ndarray]:
    """Pictures without people: coloured noise of several sizes with stripes and ellipses, uint8 (side, side, 3)."""
    rng = np.random.default_rng(seed)
    pictures = []
    for _ in range(count):
        picture = np.zeros((EMPTY_SIDE, EMPTY_SIDE, 3), np.float32)
        for cells in (3, 9, 30, 110):
            coarse = rng.uniform(-1, 1, (cells, cells, 3)).astype(np.float32)
            picture += cv2.resize(coarse, (EMPTY_SIDE, EMPTY_SIDE), interpolation=cv2.INTER_CUBIC) / np.sqrt(cells)
        picture = (255 * (picture - picture.min()) / np.ptp(picture)).astype(np.uint8)
        for _ in range(rng.integers(4, 16)):
            colour = rng.integers(0, 256, 3).tolist()
            at, axes = rng.integers(0, EMPTY_SIDE, 2).tolist(), rng.integers(5, 80, 2).tolist()
            if rng.random() < 0.5:
                cv2.ellipse(picture, at, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
            else:
                cv2.line(picture, at, rng.integers(0, EMPTY_SIDE, 2).tolist(), colour, axes[0] // 4 + 1, cv2.LINE_AA)
        pictures.append(picture)
    return pictures


def shuffled(photo: np.ndarray, seed: int) -> np.ndarray:
    """The photo with its BLOCKS x BLOCKS blocks in random order: its colours and details, and no face."""
    height, width = (side // BLOCKS * BLOCKS for side in photo.shape[:2])
    blocks = photo[:height, :width].reshape(BLOCKS, height // BLOCKS, BLOCKS, width // BLOCKS, 3)
    blocks = blocks.swapaxes(1, 2).reshape(-1, height // BLOCKS, width // BLOCKS, 3)
    mixed = blocks[np.random.default_rng(seed).permutation(len(blocks))]
    mixed = mixed.reshape(BLOCKS, BLOCKS, height // BLOCKS, width // BLOCKS, 3)
    return np.ascontiguousarray(mixed.swapaxes(1, 2).reshape(height, width, 3))


def without_people(files: Sequence[Path]) -> dict[str, list[np.ndarray]]:
    """EMPTY pictures in two kinds."""
    half = EMPTY // 2
    mixed = [shuffled(load_photo(files[at % len(files)]), at) for at in range(half)]
    return {"textures": textures(EMPTY - half), "shuffled photos": mixed}


def false_faces(files: Sequence[Path], detectors: Sequence[str]) -> list[dict]:
    """A row for each detector: in how many of the pictures without people it sees a face, and how many in all."""
    kinds = without_people(files)
    rows = []
    for name in detectors:
        counts = {kind: [len(detect_faces(picture, name)) for picture in pictures] for kind, pictures in kinds.items()}
        rows.append({"detector": name, **{f"of {len(seen)} {kind}": sum(map(bool, seen))
                                          for kind, seen in counts.items()},
                     "false faces": sum(map(sum, counts.values()))})
    return rows


def speed(file: Path, detectors: Sequence[str], repeats: int) -> list[dict]:
    """A row for each detector: milliseconds for the photo at each size, landmarks included."""
    photo = load_photo(file)
    columns: dict[str, Mapping[str, Timing]] = {}
    for title, size in TIMED.items():
        picture = cv2.resize(photo, size, interpolation=cv2.INTER_CUBIC)
        columns[title] = time_in_turn({name: partial(detect_faces, picture, name) for name in detectors}, repeats)
    return [{"detector": name, **{f"ms at {title}": f"{timing[name].median:.0f} ({timing[name].low:.0f}-"
                                                    f"{timing[name].high:.0f})" for title, timing in columns.items()}}
            for name in detectors]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmark detectors", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=PHOTOS, help="one sub-folder per person")
    parser.add_argument("--sample", type=int, default=60, help="photos that are altered, evenly spread")
    parser.add_argument("--detectors", nargs="+", choices=DETECTORS, help="default: all whose weights are here")
    parser.add_argument("--strengths", action="store_true", help="every style of the perturbations, not one per photo")
    parser.add_argument("--repeats", type=int, default=5, help="runs per timing; the median counts")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="of the table (default: all)")
    parser.add_argument("--json", action="store_true")
    parsed = parser.parse_args(arguments)
    detectors = parsed.detectors or ready()
    photos = spread(list_photos(parsed.photos), parsed.sample)
    files = [photo.file for photo in photos]
    measure = {"found": lambda: found(photos, detectors, parsed.strengths),
               "false": lambda: false_faces(files, detectors),
               "speed": lambda: speed(files[0], detectors, parsed.repeats)}
    parts = {name: measure[name]() for name in PARTS if name in parsed.parts}
    result = {"machine": machine(), "photos": parsed.photos.name, **parts}
    tell(result, parsed.json, f"{machine()}; {len(files)} photos of {result['photos']}", *parts.values())


if __name__ == "__main__":
    main()
