"""Which detector finds which faces: the share found with each alteration, and how far the five points move."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from demo.errors import BadPhoto, DemoError
from demo.evaluation.interval import Interval, interval
from demo.faces import DETECTORS, Face, alter, detect_faces, load_photo
from demo.gallery import Photo

#: Detectors whose find on the unaltered photo says where its face is, the first one that finds any.
JUDGES = ("centerface", "mtcnn", "hog")
#: What is drawn over a face that stays where it is, so that the points found anew can be compared.
WORN = ("mask", "sunglasses")
#: Stands for faces that at least one of the detectors finds: what no cascade of them can exceed.
ANY = "any of them"
#: An alteration and its style, None for one drawn by the seed; no alteration for the photo as it is.
Column = tuple[str | None, str | None]
PLAIN: Column = (None, None)

#: Wraps the photos to show progress, as ``tqdm`` does.
Progress = Callable[[Sequence], Iterable]


@dataclass
class Finds:
    """What one detector, or ANY, found under one alteration. people, found: of each photo, whose it is and whether its
    face was found. moved: how far the five points moved, as ``shift`` tells it, where that was measured."""

    detector: str
    column: Column
    people: list[str] = field(default_factory=list)
    found: list[bool] = field(default_factory=list)
    moved: list[float] = field(default_factory=list)

    @property
    def share(self) -> Interval | None:
        """Share found, 0 to 1, with its interval over people; None of no photo."""
        return interval(np.array(self.found, float), self.people) if self.found else None

    @property
    def shift(self) -> float | None:
        """Mean of ``moved``, in distances between the eyes."""
        return float(np.mean(self.moved)) if self.moved else None


def ready(folder: Path | None = None) -> list[str]:
    """Detectors whose weights are on this machine. folder: where they are looked for first."""
    return [name for name, detector in DETECTORS.items() if detector.ready(folder)]


def faces_found(photos: Sequence[Photo], detectors: Sequence[str], columns: Sequence[Column],
                folder: Path | None = None, progress: Progress = iter) -> tuple[list[Finds], int]:
    """What each detector finds under each alteration, and of several detectors also what ANY finds; and how many photos
    could not be read.

    Each photo is altered with its number as seed, where its face is said to be by the first of the JUDGES that finds
    one; in a photo in which none does, no detector finds a face, and nothing is drawn. folder: of the weights.
    """
    finds = {(name, column): Finds(name, column) for column in columns for name in detectors}
    unread = 0
    for seed, photo in enumerate(progress(photos)):
        try:
            pixels = load_photo(photo.file)
        except BadPhoto:
            unread += 1
            continue
        bare = {name: detect_faces(pixels, name, folder=folder) for name in detectors}
        truth = next((bare[name][0] for name in JUDGES if bare.get(name)), None)
        for column in columns:
            if (faces := _after(pixels, bare, truth, column, seed, folder)) is None:
                continue
            for name, face in faces.items():
                one = finds[name, column]
                one.people.append(photo.identity)
                one.found.append(face is not None)
                before = None if truth is None else at_place(bare[name], _middle(truth))
                if column[0] in WORN and face is not None and before is not None:
                    one.moved.append(shift(before, face))
    for column in columns if len(detectors) > 1 else ():
        each = [finds[name, column] for name in detectors]
        finds[ANY, column] = Finds(ANY, column, each[0].people,
                                   [any(one) for one in zip(*(one.found for one in each), strict=True)])
    return list(finds.values()), unread


def _after(photo: np.ndarray, bare: dict[str, list[Face]], truth: Face | None, column: Column, seed: int,
           folder: Path | None) -> dict[str, Face | None] | None:
    """Detector → the face that it finds in the altered photo; None where nothing could be drawn."""
    kind, style = column
    if truth is None:
        return None if kind else dict.fromkeys(bare)
    if kind is None:
        return {name: at_place(faces, _middle(truth)) for name, faces in bare.items()}
    try:
        altered = alter(photo, truth, kind, style=style, seed=seed)
    except DemoError:
        return None  # landmarks too implausible to draw on, for every detector alike
    found = {name: detect_faces(altered.photo, name, folder=folder) for name in bare}
    if altered.window:
        return {name: faces[0] if faces else None for name, faces in found.items()}
    return {name: at_place(faces, _middle(altered.face)) for name, faces in found.items()}


def at_place(faces: Sequence[Face], middle: np.ndarray) -> Face | None:
    """The face whose box holds a point (x, y); of several the one whose middle is nearest."""
    holding = [face for face in faces if (np.reshape(face.box, (2, 2)) - middle).prod(0).max() < 0]
    return min(holding, key=lambda face: np.linalg.norm(np.reshape(face.box, (2, 2)).mean(0) - middle), default=None)


def shift(bare: Face, covered: Face) -> float:
    """Mean distance of the five points of one face in two photos of it, in distances between its eyes."""
    return float(np.linalg.norm(bare.five - covered.five, axis=1).mean() / np.linalg.norm(bare.five[1] - bare.five[0]))


def _middle(face: Face) -> np.ndarray:
    return face.landmarks.mean(0)
