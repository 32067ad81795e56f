"""Ways to look at a photo for faces: made smaller or larger, with a border, in tiles, turned; and putting together what
is found."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from demo.faces import geometry

Box = tuple[float, float, float, float]
#: Side of the tiles of a large photo in its own pixels, and how far neighbours overlap: more than a face measures that
#: is not found in the whole photo.
TILE, OVERLAP = 1280, 256
#: Degrees from which on a face lies, rather than leans.
LYING = 45


@dataclass(frozen=True)
class Detection:
    """One find: box (left, top, right, bottom) in pixels, score, and (5, 2) points where the detector gives them."""

    box: Box
    score: float
    five_points: np.ndarray | None = None

    @property
    def lies(self) -> bool:
        """Whether its points say that it is not upright in the picture."""
        if self.five_points is None:
            return False
        across, down = self.five_points[3:].mean(0) - self.five_points[:2].mean(0)
        return bool(abs(np.degrees(np.arctan2(across, down))) > LYING)

    def moved(self, matrix: np.ndarray) -> Detection:
        """The same find in the coordinates that a 2x3 matrix leads to; quarter turns keep the box upright."""
        corners = geometry.apply(matrix, np.reshape(self.box, (2, 2)))
        five = None if self.five_points is None else geometry.apply(matrix, self.five_points)
        return Detection((*corners.min(0).tolist(), *corners.max(0).tolist()), self.score, five)


#: (uint8 (h, w, 3) RGB, weights folder) → what a detector finds.
Find = Callable[[np.ndarray, Path | None], list[Detection]]


@dataclass(frozen=True)
class Look:
    """A picture made of a photo, and what was found in it. back: 2x3 map from the picture to the photo, None where the
    picture is the photo."""

    picture: np.ndarray
    found: list[Detection]
    back: np.ndarray | None = None

    def placed(self, one: Detection) -> Detection:
        """A find in the photo's coordinates."""
        return one if self.back is None else one.moved(self.back)

    def only(self, wanted: Callable[[Detection], bool]) -> Look:
        """The same look with some of its finds."""
        return Look(self.picture, [one for one in self.found if wanted(one)], self.back)


def look(photo: np.ndarray, side: int, border: float, find: Find, folder: Path | None) -> Look:
    """Look at a copy whose longer side is ``side`` pixels, plus a border as a share of that."""
    view, back = _view(photo, side, border)
    found = merge(find(view, folder))
    # Beyond the photo the landmarks need something to look at, so that the picture is the one with a border.
    return Look(view, found, back) if border else Look(photo, [one.moved(back) for one in found])


def look_in_tiles(photo: np.ndarray, side: int, find: Find, folder: Path | None) -> Look:
    """Look at the photo in tiles of about TILE pixels, enlarged so that these become ``side``: for faces that are lost
    in a smaller copy."""
    found = []
    for top, bottom in _parts(photo.shape[0]):
        for left, right in _parts(photo.shape[1]):
            tile = photo[top:bottom, left:right]
            view, back = _view(tile, max(1, round(side * max(tile.shape[:2]) / TILE)), 0.0)
            to_photo = geometry.compose(geometry.shift(left, top), back)
            found += [one.moved(to_photo) for one in find(view, folder)]
    return Look(photo, merge(found))


def look_turned(photo: np.ndarray, quarters: int, side: int, find: Find, folder: Path | None) -> Look:
    """Look at the photo turned anticlockwise by so many quarters, for faces that are upright then."""
    height, width = photo.shape[:2]
    back = {1: [[0, -1, width - 1], [1, 0, 0]], 2: [[-1, 0, width - 1], [0, -1, height - 1]],
            3: [[0, 1, 0], [-1, 0, height - 1]]}[quarters]
    turned = np.ascontiguousarray(np.rot90(photo, quarters))
    seen = look(turned, side, 0.0, find, folder).only(lambda one: not one.lies)
    return Look(turned, seen.found, np.array(back, float))


def best_of(looks: Iterable[Look], worth: Callable[[Look, Detection], float]) -> list[Look]:
    """Looks at the same photo, each with those finds alone that are worth most among all that show the same face."""
    looks = list(looks)
    finds = [(which, one) for which in looks for one in which.found]
    finds.sort(key=lambda pair: -worth(*pair))
    kept: list[tuple[Detection, int]] = []
    for which, one in finds:
        placed = which.placed(one)
        if not any(same(placed.box, other.box) for other, _ in kept):
            kept.append((placed, id(one)))
    chosen = {number for _, number in kept}
    return [part for which in looks if (part := which.only(lambda one: id(one) in chosen)).found]


def merge(found: list[Detection]) -> list[Detection]:
    """Of boxes that show the same face, keep the one with the best score."""
    kept: list[Detection] = []
    for one in sorted(found, key=lambda one: -one.score):
        if not any(same(one.box, other.box) for other in kept):
            kept.append(one)
    return kept


def same(a: Box, b: Box, limit: float = 0.4) -> bool:
    """Whether two boxes share more than ``limit`` of the smaller one's area."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
    return max(width, 0.0) * max(height, 0.0) / max(smaller, 1e-9) > limit


def resize(photo: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A copy of (width, height) pixels."""
    shrink = size[0] < photo.shape[1]
    return cv2.resize(photo, size, interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR)


def _parts(length: int) -> list[tuple[int, int]]:
    """Where tiles begin and end along a side."""
    count = max(1, round((length - OVERLAP) / (TILE - OVERLAP)))
    step = -(-max(0, length - OVERLAP) // count)
    return [(start * step, min(length, (start + 1) * step + OVERLAP)) for start in range(count)]


def _view(photo: np.ndarray, side: int, border: float) -> tuple[np.ndarray, np.ndarray]:
    """A copy whose longer side is ``side`` pixels, plus a border as a share of that; and its 2x3 map to the photo."""
    height, width = photo.shape[:2]
    scale = side / max(height, width)
    view = photo
    if scale != 1:
        view = resize(photo, (max(1, round(width * scale)), max(1, round(height * scale))))
    pad = round(border * side)
    if pad:
        view = cv2.copyMakeBorder(view, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    factors = width / (view.shape[1] - 2 * pad), height / (view.shape[0] - 2 * pad)
    return np.ascontiguousarray(view), geometry.compose(geometry.rescale(*factors), geometry.shift(-pad, -pad))
