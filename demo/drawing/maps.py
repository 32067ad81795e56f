"""Cross-image attention and correlation as pictures, each map on the face it speaks of.

Attention rows are patches of the face that looks, columns those of the face that is looked at (``CrossAttention``
in ``demo.crossimage.maps`` has one such array per direction).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from demo.drawing.grids import Grid, as_flow, as_picture, check_patch, enlarge
from demo.drawing.heat import Scale, colour_strip, heatmap, percent, shared_scale, ticks
from demo.drawing.overlays import patch_grid
from demo.drawing.page import MUTED, Page
from demo.drawing.signed import signed_heat, signed_strip
from demo.words import decimals

_MARGIN, _FACE, _GAP, _LABEL = 0.32, 1.45, 0.1, 0.3
_BETWEEN = 0.5  # between columns
#: Part of a colour bar from its end within which the texts of two marks would touch.
_NEAR = 0.36


@dataclass(frozen=True)
class FaceMaps:
    """One explanation of a pair. query, candidate: (P,) maps on either face. scale: None takes the maps' own. signed:
    contributions for and against, of which those at 0 have no colour; else shares."""

    title: str
    query: np.ndarray
    candidate: np.ndarray
    grid: Grid
    scale: Scale | None = None
    signed: bool = False

    @property
    def colours(self) -> Scale:
        """The one scale that both faces are painted on."""
        scale = self.scale or shared_scale([self.query, self.candidate])
        limit = max(abs(scale[0]), abs(scale[1]), 1e-9)
        return (-limit, limit) if self.signed else scale

    def strip(self, colormap: str, length: int) -> np.ndarray:
        """The colours of the scale from its low to its high end, uint8 (length, 3)."""
        return signed_strip(length) if self.signed else colour_strip(self.colours, colormap, length)

    @property
    def marks(self) -> list[tuple[float, str]]:
        """What stands at a colour bar: (place along it in 0..1, text). Of shares both ends, and where all patches would
        be alike: in the text of an end that is too near for two."""
        low, high = self.colours
        if self.signed:
            return [(0.0, f"against, {decimals(high)}"), (0.5, "0"), (1.0, f"for, {decimals(high)}")]
        ends, alike = ticks(self.colours), 1 / self.query.size
        if len(ends) == 1 or not low < alike < high:
            return [(place, percent(value)) for place, value in ends]
        place, text = (alike - low) / (high - low), f"uniform {percent(alike)}"
        first, last = percent(low), percent(high)
        if place < _NEAR:
            return [(0.0, f"{first}, {text}"), (place, ""), (1.0, last)]
        if place > 1 - _NEAR:
            return [(0.0, first), (place, ""), (1.0, f"{text}, {last}")]
        return [(0.0, first), (place, text), (1.0, last)]


def paired_heat(query, candidate, maps: FaceMaps, *, colormap: str = "viridis",
                smooth: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Both maps on their own faces and on one colour scale, so that the same colour is the same share.

    query, candidate: uint8 (h, w, 3) crops. Returns two pictures of those sizes.
    """
    def heat(crop, values: np.ndarray) -> np.ndarray:
        if maps.signed:
            return signed_heat(crop, values, maps.grid, maps.colours[1], smooth=smooth)
        return heatmap(crop, values, maps.grid, scale=maps.colours, colormap=colormap, smooth=smooth)

    return heat(query, maps.query), heat(candidate, maps.candidate)


def patch_attention(looking, looked_at, rows, grid: Grid, patch: int, *, colormap: str = "viridis",
                    height: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Where one patch of a face looks on the other face.

    looking, looked_at: uint8 (h, w, 3) crops. rows: (P, P) attention, patches of the looking face in rows.
    Returns the looking face with its grid and the patch framed, and the other face with that patch's row as a
    heatmap, one colour per patch; both uint8 (height, w, 3).
    """
    rows = as_flow(rows, grid)
    chosen = check_patch(patch, len(rows))
    other = enlarge(as_picture(looked_at, "crop"), height)
    return (patch_grid(looking, grid, patch=chosen, height=height),
            heatmap(other, rows[chosen], grid, colormap=colormap, smooth=False))


def maps_figure(query, candidate, columns: Sequence[FaceMaps], *, colormap: str = "viridis",
                title: str = "", names: tuple[str, str] = ("Query", "Candidate")) -> Figure:
    """Several explanations of one pair side by side: both faces, then a column of two maps per explanation.

    The colour bar below each column holds for both of its faces; columns have scales of their own, as their units
    differ. Returns a matplotlib figure on white.
    """
    faces = [as_picture(query, "query's crop"), as_picture(candidate, "candidate's crop")]
    width = _FACE * faces[0].shape[1] / faces[0].shape[0]
    top = _MARGIN + (0.42 if title else 0) + _LABEL
    foot = top + 2 * _FACE + _GAP
    step = width + _BETWEEN
    page = Page(2 * _MARGIN + (len(columns) + 1) * step - _BETWEEN, foot + 0.68)
    if title:
        page.text(_MARGIN, _MARGIN + 0.06, title, 13, width=(len(columns) + 1) * step - _BETWEEN, bold=True)
    heights = (top, top + _FACE + _GAP)
    for y, face in zip(heights, faces, strict=True):
        page.picture(face, (_MARGIN, y, width, _FACE))
    for y, name in ((top - 0.14, names[0]), (foot + 0.16, names[1])):
        page.text(_MARGIN, y, name, 8.5, width=width + 0.3, bold=True)
    for number, maps in enumerate(columns, start=1):
        x = _MARGIN + number * step
        page.text(x, top - 0.14, maps.title, 8.5, width=width + 0.4, bold=True)
        for y, picture in zip(heights, paired_heat(faces[0], faces[1], maps, colormap=colormap), strict=True):
            page.picture(picture, (x, y, width, _FACE))
        page.picture(maps.strip(colormap, 256)[None], (x, foot + 0.12, width, 0.1))
        for place, text in maps.marks:
            align = {0.0: "left", 1.0: "right"}.get(place, "center")
            page.text(x + place * width, foot + 0.34, text, 7.5, width=0.74 * width, colour=MUTED, align=align)
    return page.figure
