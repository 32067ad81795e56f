"""Patch weights as colours over the face: one scale for all faces that are compared."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw

from demo.drawing.grids import Grid, as_picture, as_weights, cell_edges
from demo.drawing.text import font
from demo.errors import BadSetting

Scale = tuple[float, float]

#: Colour maps offered: two that are perceptually uniform, and "jet", which the papers print.
COLORMAPS = ("viridis", "cividis", "jet")


@cache
def colours(colormap: str = "viridis") -> np.ndarray:
    """The 256 RGB colours (256, 3) uint8 of a map in COLORMAPS; BadSetting for another name."""
    if colormap not in COLORMAPS:
        raise BadSetting(f"There is no colour map {colormap!r}; choose one of {', '.join(COLORMAPS)}.")
    table = (matplotlib.colormaps[colormap](np.arange(256))[:, :3] * 255 + 0.5).astype(np.uint8)
    table.flags.writeable = False
    return table


def shared_scale(weights: Sequence) -> Scale:
    """Lowest and highest weight over several faces, arrays of shape (P,) each, so that colours can be compared."""
    if not len(weights):
        raise BadSetting("A shared scale needs the weights of at least one face.")
    arrays = [np.asarray(w, dtype=np.float64) for w in weights]
    return float(min(w.min() for w in arrays)), float(max(w.max() for w in arrays))


def _empty(scale: Scale) -> bool:
    """True where a scale has no range beyond rounding: every weight is the same."""
    low, high = scale
    return high - low <= 1e-6 * max(abs(low), abs(high))


def _levels(values: np.ndarray, scale: Scale) -> np.ndarray:
    """Values → 0..255 along ``scale``; an empty scale (all weights alike) is the middle of the map."""
    low, high = scale
    if _empty(scale):
        return np.full(values.shape, 128, np.uint8)
    return (np.clip((values - low) / (high - low), 0, 1) * 255 + 0.5).astype(np.uint8)


def heatmap(crop, weights, grid: Grid, *, scale: Scale | None = None, colormap: str = "viridis",
            smooth: bool = True, detail: float = 1.0) -> np.ndarray:
    """Patch weights laid over the face they belong to.

    crop: uint8 (h, w, 3). weights: (P,), row-major over ``grid`` == (rows, cols). scale: (low, high) as
    from ``shared_scale``; None takes this face's own range. Equal weights are one mid colour.
    smooth: bilinear between patch centres, which keeps every patch's own value at its centre and never
    leaves the range; False paints each patch in one colour.
    detail: how strongly the face shows, 0 to 1. Only its fine detail is added (grey minus its own blur), which
    averages to nothing: a region keeps the colours of the colour bar, which blending with the photo would tint.
    Returns uint8 (h, w, 3).
    """
    crop = as_picture(crop, "crop")
    values = as_weights(weights, grid).reshape(grid)
    if not 0 <= detail <= 1:
        raise BadSetting(f"detail must lie between 0 and 1; got {detail}.")
    height, width = crop.shape[:2]
    scale = scale or shared_scale([values])
    if smooth:
        levels = _levels(cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR), scale)
    else:
        by_row = np.repeat(_levels(values, scale), np.diff(cell_edges(height, grid[0])), axis=0)
        levels = np.repeat(by_row, np.diff(cell_edges(width, grid[1])), axis=1)
    shade = detail * _fine_detail(crop)
    painted = colours(colormap)[levels].astype(np.float32) + shade[..., None]
    return np.clip(painted, 0, 255).astype(np.uint8)


def _fine_detail(crop: np.ndarray) -> np.ndarray:
    """Edges and texture of a face as float32 (h, w) around 0, of about the same strength for dark and light faces."""
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    window = (max(3, crop.shape[0] // 4),) * 2
    fine = grey - cv2.blur(cv2.blur(grey, window), window)
    return fine * min(3.0, 36 / max(float(fine.std()), 1.0))


def percent(share: float) -> str:
    """A share of 1 as text in percent, as short as it can be: 0.0156 → "1.6 %", 0.123 → "12 %", 0.0004 → "0.04 %"."""
    value = 100 * abs(share)
    digits = 0 if value >= 9.95 or value < 0.005 else 1 if value >= 0.095 else 2
    sign = "\u2212" if share < 0 and value >= 0.005 else ""
    return f"{sign}{value:.{digits}f} %"


def colour_bar(scale: Scale, *, colormap: str = "viridis", width: int = 320,
               label: str = "share of the weight") -> np.ndarray:
    """The legend of a heatmap: the colours of ``scale`` from low to high, with shares in percent below.

    An empty scale (equal weights) is one colour with one number. Returns uint8 (h, width, 3) on white.
    """
    size = max(11, width // 24)
    pad, bar = round(2.2 * size), round(1.4 * size)
    picture = Image.new("RGB", (width, round(bar + 3.6 * size)), "white")
    strip = np.tile(colour_strip(scale, colormap, width - 2 * pad), (bar, 1, 1))
    picture.paste(Image.fromarray(strip), (pad, round(1.6 * size)))
    draw, letters = ImageDraw.Draw(picture), font(size)
    draw.text((width / 2, 0.3 * size), label, "black", letters, anchor="ma")
    for place, value in ticks(scale):
        x = pad + place * (strip.shape[1] - 1)
        draw.line([(x, 1.6 * size + bar), (x, 1.9 * size + bar)], "black")
        draw.text((x, 2.1 * size + bar), percent(value), "black", letters, anchor="ma")
    return np.asarray(picture)


def colour_strip(scale: Scale, colormap: str, length: int) -> np.ndarray:
    """The colours of ``scale`` from low to high as uint8 (length, 3); one colour where the scale is empty."""
    return colours(colormap)[_levels(np.linspace(*scale, length), scale)]


def ticks(scale: Scale) -> list[tuple[float, float]]:
    """Marks of a colour bar as (place along it in 0..1, value): both ends and the middle, or the one value there is."""
    low, high = scale
    middle = (0.5, (low + high) / 2)
    return [middle] if _empty(scale) else [(0.0, low), middle, (1.0, high)]
