"""The board of a whole identification, laid out as in the papers: the query on top, one column per stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from demo.drawing.grids import as_picture
from demo.drawing.page import FAINT, INK, MUTED, RIGHT, WRONG, Page
from demo.errors import BadSetting
from demo.words import decimals, moved

_MARGIN = 0.32
_TILE = 1.08          # height of a face
_TEXT = 1.4           # width of the words beside a face
_ROW_GAP = 0.13
_QUERY = 1.3          # height of a query picture, where there is room
_LEAST_WIDTH = 6.2


@dataclass(frozen=True)
class Cell:
    """One face of a column.

    picture: uint8 (h, w, 3). rank: 1 is the nearest. name: whose face it is. distance: what the column ranks
    by. was: its rank before re-ranking. correct: whether it is the query's identity, None where unknown.
    A cell with nothing but a picture (a flow) is drawn without words.
    """

    picture: np.ndarray
    rank: int | None = None
    name: str = ""
    distance: float | None = None
    was: int | None = None
    correct: bool | None = None


@dataclass(frozen=True)
class Column:
    """A stage, or the flows that belong to the stage on their right. note: one short line under the title."""

    title: str
    cells: Sequence[Cell]
    note: str = ""

    @property
    def worded(self) -> bool:
        return any(cell.rank is not None or cell.name for cell in self.cells)


@dataclass(frozen=True)
class Board:
    """Everything ``board_figure`` shows.

    title: one line. summary: the finding in a sentence or two. query: (label, uint8 picture) pairs, such as
    original, altered and aligned. columns: left to right. caption: the settings behind it, in small type.
    """

    title: str
    query: Sequence[tuple[str, np.ndarray]]
    columns: Sequence[Column]
    summary: str = ""
    caption: str = ""


def board_figure(board: Board) -> Figure:
    """The board as a matplotlib figure on white, for the page, a PNG or a PDF.

    Rows are ranks; a face carries rank, name, distance (three decimals), how far it moved, and ✓ or ✗ in a
    frame of the same colour where the truth is known. Words that do not fit end in an ellipsis.
    Raises BadSetting for a board without columns or faces, BadPhoto for a picture that is none.
    """
    faces = [cell.picture for column in board.columns for cell in column.cells]
    if not faces:
        raise BadSetting("A board needs at least one column with at least one face.")
    tile = max(_TILE * face.shape[1] / face.shape[0] for face in map(as_picture, faces))
    widths = [tile + (0.1 + _TEXT if column.worded else 0) for column in board.columns]
    gaps = [0.28 if column.worded else 0.14 for column in board.columns[:-1]]
    rows = max(len(column.cells) for column in board.columns)
    inner = max(sum(widths) + sum(gaps), _LEAST_WIDTH)
    shapes = _query_shapes(board.query, 0.6 * inner)

    beside = _MARGIN + sum(width + 0.12 for width, _ in shapes) + (0.1 if shapes else 0)
    words = Page.lines(board.summary, 10, width=_MARGIN + inner - beside, lines=7)
    top = _MARGIN + 0.4
    head = top + max(max((height + 0.5 for _, height in shapes), default=0), len(words) * 0.195 + 0.2)
    first = head + 0.56
    foot = first + rows * _TILE + (rows - 1) * _ROW_GAP
    page = Page(inner + 2 * _MARGIN, foot + (0.55 if board.caption else _MARGIN))

    page.text(_MARGIN, _MARGIN + 0.08, board.title, 14, width=inner, bold=True)
    x = _MARGIN
    for (label, picture), (width, height) in zip(board.query, shapes, strict=True):
        page.picture(picture, (x, top, width, height))
        page.paragraph(x, top + height + 0.05, label, 7.5, width=width, lines=2, colour=MUTED)
        x += width + 0.12
    page.paragraph(beside, top - 0.03, board.summary, 10, width=_MARGIN + inner - beside, lines=7)
    x = _MARGIN
    for column, width, gap in zip(board.columns, widths, [*gaps, 0.0], strict=True):
        _draw_column(page, column, (x, head, first), (tile, width))
        x += width + gap
    if board.caption:
        page.paragraph(_MARGIN, foot + 0.14, board.caption, 7, width=inner, lines=2, colour=MUTED)
    return page.figure


def _query_shapes(query: Sequence[tuple[str, np.ndarray]], room: float) -> list[tuple[float, float]]:
    """Width and height in inches of the query's pictures: one height for all, and together within ``room``."""
    if not query:
        return []
    sizes = [as_picture(picture, "query's picture").shape for _, picture in query]
    ratios = [width / height for height, width, _ in sizes]
    height = min(_QUERY, (room - 0.12 * (len(ratios) - 1)) / sum(ratios))
    return [(height * ratio, height) for ratio in ratios]


def _draw_column(page: Page, column: Column, at: tuple[float, float, float], size: tuple[float, float]) -> None:
    (x, head, first), (tile, width) = at, size
    page.text(x, head + 0.1, column.title, 11, width=width, bold=True)
    page.text(x, head + 0.29, column.note, 7.5, width=width, colour=MUTED)
    page.rule(x, head + 0.43, width)
    for row, cell in enumerate(column.cells):
        y = first + row * (_TILE + _ROW_GAP)
        own = _TILE * cell.picture.shape[1] / cell.picture.shape[0]
        if cell.correct is None:
            page.picture(cell.picture, (x, y, own, _TILE), frame=FAINT, frame_width=0.8)
        else:
            page.picture(cell.picture, (x, y, own, _TILE), frame=RIGHT if cell.correct else WRONG, frame_width=2.2)
            page.mark(x, y, cell.correct)
        _describe(page, cell, x + tile + 0.12, y + _TILE / 2)


def _describe(page: Page, cell: Cell, x: float, middle: float) -> None:
    """The words beside a face, in up to four lines around ``middle``."""
    indent, step = 0.24, 0.19
    width = _TEXT - indent
    lines = [(name, 9.5, True, INK) for name in page.lines(cell.name, 9.5, width=width, lines=2, bold=True)]
    if cell.distance is not None:
        lines.append((decimals(cell.distance), 9.5, False, INK))
    if cell.rank is not None and cell.was is not None:
        came_from = "" if cell.was == cell.rank else f", was {cell.was}"
        lines.append((moved(cell.rank, cell.was) + came_from, 8.5, False, MUTED))
    y = middle - step * (len(lines) - 1) / 2
    if cell.rank is not None:
        page.text(x + indent - 0.08, y, str(cell.rank), 9.5, width=indent, colour=MUTED, align="right")
    for text, size, bold, colour in lines:
        page.text(x + indent, y, text, size, width=width, bold=bold, colour=colour)
        y += step
