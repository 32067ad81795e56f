"""Contributions for and against, as colours on the face: blue and orange, which colour-blind readers tell apart."""

from __future__ import annotations

import cv2
import numpy as np

from demo.drawing.grids import Grid, as_picture, as_weights, cell_edges

#: What speaks for, and against: the ends of the scale. Its middle is no colour: the face itself, in grey.
FOR, AGAINST = (20, 110, 235), (240, 120, 0)
#: Ends of the scale of costs.
CHEAP, DEAR = (40, 150, 255), (255, 160, 0)
#: How much of the colour covers the face at the ends, and how fast it comes: below 1, small contributions show more.
_COVERS, _RISE = 0.82, 0.75
#: Grey that stands for the face on a colour bar.
_FACE = (150, 150, 150)


def signed_heat(crop, values, grid: Grid, limit: float, *, smooth: bool = True) -> np.ndarray:
    """A face with what each patch contributes: blue for, orange against, uncoloured where that is nothing.

    crop: uint8 (h, w, 3). values: (P,), row-major over grid. limit: the contribution of either sign at which the
    colours end. smooth: bilinear between patch centres; False paints each patch in one colour. Returns uint8 (h, w, 3).
    """
    crop = as_picture(crop, "crop")
    height, width = crop.shape[:2]
    table = as_weights(values, grid).reshape(grid) / max(limit, 1e-12)
    if smooth:
        level = cv2.resize(table, (width, height), interpolation=cv2.INTER_LINEAR)
    else:
        level = np.repeat(np.repeat(table, np.diff(cell_edges(height, grid[0])), axis=0),
                          np.diff(cell_edges(width, grid[1])), axis=1)
    grey = np.repeat(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[..., None], 3, 2).astype(np.float32)
    return _blended(grey, level.clip(-1, 1))


def signed_strip(length: int) -> np.ndarray:
    """The colours from wholly against to wholly for, uint8 (length, 3), over a middle grey."""
    return _blended(np.full((1, length, 3), _FACE, np.float32), np.linspace(-1, 1, length)[None])[0]


def cost_strip(length: int) -> np.ndarray:
    """The colours of a line from the cheapest to the dearest, uint8 (length, 3)."""
    share = np.linspace(0, 1, length)[:, None]
    return ((1 - share) * np.array(CHEAP) + share * np.array(DEAR) + 0.5).astype(np.uint8)


def _blended(under: np.ndarray, level: np.ndarray) -> np.ndarray:
    """(h, w, 3) under colours of the signed level (h, w) in -1..1."""
    opacity = _COVERS * np.abs(level)[..., None] ** _RISE
    colour = np.where(level[..., None] >= 0, np.array(FOR, np.float32), np.array(AGAINST, np.float32))
    return np.clip(under * (1 - opacity) + colour * opacity + 0.5, 0, 255).astype(np.uint8)
