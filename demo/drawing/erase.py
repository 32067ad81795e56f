"""Patches of a face taken away: what stands in their place."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from demo.drawing.grids import Grid, cell_boxes
from demo.errors import BadSetting


def blurred(crop: np.ndarray, grid: Grid) -> np.ndarray:
    """A Gaussian blur as wide as a patch: the colours stay, the features go."""
    return cv2.GaussianBlur(crop, (0, 0), max(crop.shape[0] / grid[0], crop.shape[1] / grid[1]))


def mean_filled(crop: np.ndarray, grid: Grid) -> np.ndarray:
    """The crop's mean colour everywhere."""
    return np.broadcast_to(crop.mean((0, 1)).round().astype(np.uint8), crop.shape)


#: What stands in place of a patch that is taken away.
REMOVALS: dict[str, Callable[[np.ndarray, Grid], np.ndarray]] = {"blur": blurred, "mean": mean_filled}


def erased(crop: np.ndarray, kept: np.ndarray, grid: Grid, removal: str = "blur") -> np.ndarray:
    """Versions of an aligned crop with patches taken away.

    crop: uint8 (h, w, 3). kept: bool (M, P), row-major over grid. removal: a word of REMOVALS. Returns uint8
    (M, h, w, 3). BadSetting for an unknown removal.
    """
    if removal not in REMOVALS:
        raise BadSetting(f"Unknown removal {removal!r}: choose from {', '.join(REMOVALS)}.")
    filler = REMOVALS[removal](crop, grid)
    patch = patch_numbers(crop.shape[:2], grid)
    return np.where(kept[:, patch, None], crop, filler)


def patch_numbers(size: tuple[int, int], grid: Grid) -> np.ndarray:
    """(h, w): the patch that each pixel of a crop of that (height, width) belongs to."""
    numbers = np.empty(size, np.int64)
    for patch, (left, top, right, bottom) in enumerate(cell_boxes(size, grid)):
        numbers[top:bottom, left:right] = patch
    return numbers
