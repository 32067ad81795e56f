"""One candidate explained on one sheet: both faces, what weighs, what flows where, and the sum behind the score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from demo.drawing.flow import flow_picture, strongest_flows
from demo.drawing.grids import Grid, as_picture
from demo.drawing.heat import Scale, heatmap, percent, shared_scale
from demo.drawing.lines import FACE_GAP, flow_lines
from demo.drawing.maps import FaceMaps, paired_heat
from demo.drawing.page import INK, MUTED, Page
from demo.words import decimals

_MARGIN = 0.32
_FACE = 1.9    # height of a face
_MAPS_ROW = _FACE + 0.96


@dataclass(frozen=True)
class Score:
    """One line of the sum: label and value. total: it is what the ranking uses, printed below a rule."""

    label: str
    value: float
    total: bool = False


@dataclass(frozen=True)
class PairSheet:
    """Everything ``pair_figure`` shows about a query and one candidate.

    query, candidate: uint8 (h, w, 3) crops of one size. grid: (rows, cols). query_weights, candidate_weights:
    (P,) each, row-major. flow: (P, P), query patches in rows, or None for a method without one. scale: of the
    weights, as shared with other candidates; None takes this pair's own. scores: every term of the distance.
    measure: where the weights come from, in a few words beside the colour bar. maps: further explanations, each on
    both faces and on a scale of its own.
    """

    query: np.ndarray
    candidate: np.ndarray
    grid: Grid
    query_weights: np.ndarray
    candidate_weights: np.ndarray
    flow: np.ndarray | None = None
    scale: Scale | None = None
    scores: Sequence[Score] = ()
    maps: Sequence[FaceMaps] = ()
    query_name: str = "Query"
    candidate_name: str = "Candidate"
    measure: str = ""
    title: str = ""
    summary: str = ""
    caption: str = ""


def pair_figure(pair: PairSheet, *, colormap: str = "viridis", lines: int = 12) -> Figure:
    """The sheet of one candidate as a matplotlib figure on white, for the page, a PNG or a PDF.

    First row: both faces, then their weights on one scale with its colour bar. Second row, where there is a
    flow: the query rebuilt from the candidate (Eq. 3.9), the ``lines`` strongest flows, and the scores. Further rows:
    the other maps, two to a row.
    """
    shape = as_picture(pair.query, "query's crop").shape
    width, gap = _FACE * shape[1] / shape[0], FACE_GAP * _FACE
    columns = [_MARGIN + k * (width + gap) for k in range(4)]
    inner = 4 * width + 3 * gap
    top = _MARGIN + (0.38 if pair.title else 0) + (0.62 if pair.summary else 0)
    second = top + 0.3 + _FACE + 0.72
    third = second + max(0.3 + _FACE + 0.2 if pair.flow is not None else -0.25,
                         0.42 + 0.22 * len(pair.scores) if pair.scores else -0.25)
    foot = third + _MAPS_ROW * ((len(pair.maps) + 1) // 2)
    page = Page(inner + 2 * _MARGIN, foot + 0.14 + (0.42 if pair.caption else 0.1))
    if pair.title:
        page.text(_MARGIN, _MARGIN + 0.08, pair.title, 14, width=inner, bold=True)
    if pair.summary:
        page.paragraph(_MARGIN, top - 0.66, pair.summary, 9.5, width=inner, lines=3)

    scale = pair.scale or shared_scale([pair.query_weights, pair.candidate_weights])
    heat = [heatmap(crop, weights, pair.grid, scale=scale, colormap=colormap) for crop, weights in
            ((pair.query, pair.query_weights), (pair.candidate, pair.candidate_weights))]
    tiles = (pair.query_name, pair.query), (pair.candidate_name, pair.candidate), \
        (f"Weights: {pair.query_name}", heat[0]), (f"Weights: {pair.candidate_name}", heat[1])
    for x, (label, picture) in zip(columns, tiles, strict=True):
        page.text(x, top + 0.14, label, 9, width=width, bold=True)
        page.picture(picture, (x, top + 0.3, width, _FACE))
    y = top + 0.3 + _FACE + 0.12
    label = ": ".join(part for part in (pair.measure, "share of each patch") if part)
    page.text(columns[2] - 0.12, y + 0.065, label, 8, width=2 * width, colour=MUTED, align="right")
    weights = FaceMaps("", pair.query_weights, pair.candidate_weights, pair.grid, scale)
    _draw_bar(page, weights, colormap, (columns[2], y, 2 * width + gap))
    if pair.flow is not None:
        _draw_flow(page, pair, columns, second, width, lines)
    if pair.scores:
        _draw_scores(page, pair.scores, columns[3] if pair.flow is not None else columns[0], second, width)
    for number, maps in enumerate(pair.maps):
        row, side = divmod(number, 2)
        _draw_maps(page, pair, maps, columns[2 * side:2 * side + 2], third + 0.1 + row * _MAPS_ROW, width, colormap)
    if pair.caption:
        page.paragraph(_MARGIN, foot + 0.14, pair.caption, 7, width=inner, lines=2, colour=MUTED)
    return page.figure


def _draw_bar(page: Page, maps: FaceMaps, colormap: str, at: tuple[float, float, float]) -> None:
    x, y, width = at
    page.picture(maps.strip(colormap, 512)[None], (x, y, width, 0.13))
    for place, text in maps.marks:
        align = {0.0: "left", 1.0: "right"}.get(place, "center")
        page.text(x + place * width, y + 0.24, text, 8, width=0.74 * width, colour=MUTED, align=align)


def _draw_flow(page: Page, pair: PairSheet, columns: list[float], y: float, width: float, lines: int) -> None:
    page.text(columns[0], y + 0.14, "Flow", 9, width=width, bold=True)
    page.text(columns[0], y + 0.3 + _FACE + 0.12, "rebuilt from the other face", 7.5, width=width, colour=MUTED)
    page.picture(flow_picture(pair.candidate, pair.flow, pair.grid, dim=False), (columns[0], y + 0.3, width, _FACE))
    shown = strongest_flows(pair.flow, lines)
    wide = columns[2] + width - columns[1]
    words = f"The {len(shown)} strongest flows carry {percent(sum(pair.mass for pair in shown))} of the mass"
    page.text(columns[1], y + 0.14, words, 9, width=wide, bold=True)
    page.text(columns[1], y + 0.3 + _FACE + 0.12, "thick: much mass", 7.5, width=wide, colour=MUTED)
    drawn = flow_lines(pair.query, pair.candidate, pair.flow, pair.grid, lines, height=480)
    page.picture(drawn, (columns[1], y + 0.3, drawn.shape[1] / 480 * _FACE, _FACE), frame="none")


def _draw_maps(page: Page, pair: PairSheet, maps: FaceMaps, columns: Sequence[float], y: float, width: float,
               colormap: str) -> None:
    page.text(columns[0], y + 0.14, maps.title, 9, width=columns[1] + width - columns[0], bold=True)
    pictures = paired_heat(pair.query, pair.candidate, maps, colormap=colormap)
    for x, name, picture in zip(columns, (pair.query_name, pair.candidate_name), pictures, strict=True):
        page.picture(picture, (x, y + 0.3, width, _FACE))
        page.text(x, y + 0.3 + _FACE + 0.1, name, 7.5, width=width, colour=MUTED)
    _draw_bar(page, maps, colormap, (columns[0], y + 0.3 + _FACE + 0.24, columns[1] + width - columns[0]))


def _draw_scores(page: Page, scores: Sequence[Score], x: float, y: float, width: float) -> None:
    page.text(x, y + 0.14, "Distances", 9, width=width, bold=True)
    y += 0.42
    for score in scores:
        if score.total:
            page.rule(x, y - 0.11, width)
        page.text(x, y, score.label, 8.5, width=width - 0.5, bold=score.total, colour=INK if score.total else MUTED)
        page.text(x + width, y, decimals(score.value), 8.5, width=0.5, bold=score.total, align="right")
        y += 0.22
