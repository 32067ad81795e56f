"""Figures of the report, drawn from their data: narrow enough for a phone, marks and dashes beside colours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from demo.drawing.page import DPI, FAINT, INK, MUTED
from demo.drawing.text import families, text_width

_WIDTH, _SIZE, _SMALL = 4.8, 10.0, 8.5
_STYLES = (("#4338ca", "o", "-"), ("#b45309", "s", (0, (5, 2))), ("#0f766e", "D", (0, (2, 1.5))),
           ("#be185d", "^", (0, (6, 2, 1, 2))), ("#475569", "v", (0, (1, 1))))
#: Inches: of a row of dots, the line of a legend, the foot with ticks and title, a chart of curves, the margins.
_ROW, _LEGEND, _FOOT, _CHART, _LEFT, _RIGHT = 0.34, 0.19, 0.55, 3.0, 0.62, 0.2
#: Inches from the mark of one series to the next in a row of dots: without and with intervals.
_STEP, _WIDE_STEP = 0.07, 0.13
#: What is read by orders of magnitude.
_LOGARITHMIC = ("FAR",)
#: Inches of a legend's entry beside its words.
_HANDLE = 0.44


def draw(plot: Mapping) -> Figure:
    """A figure from the JSON of ``content.Lines`` or ``content.Dots``."""
    return _KINDS[plot["kind"]](plot)


def svg(plot: Mapping) -> bytes:
    """The figure as SVG, without needless space; same data, same bytes. Letters are drawn as paths, so that every
    machine shows the same."""
    data = BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "report", "svg.fonttype": "path"}):
        draw(plot).savefig(data, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return b" ".join(data.getvalue().split())


def _lines(plot: Mapping) -> Figure:
    columns, head = _legend(plot["series"])
    figure, axes = _sheet(head, _CHART, _LEFT)
    for (colour, marker, dashes), one in zip(_styles(len(plot["series"])), plot["series"], strict=True):
        few = len(one["x"]) <= 20
        axes.plot(one["x"], one["y"], color=colour, linestyle=dashes, linewidth=1.8, marker=marker if few else "",
                  markersize=5, markeredgecolor="white", markeredgewidth=0.6, label=one["name"],
                  clip_on=plot["x"] in _LOGARITHMIC)
    if plot["limits"]:
        left, right, bottom, top = plot["limits"]
        axes.set(xlim=(left, right), ylim=(bottom, top))
    if plot["x"] in _LOGARITHMIC:
        shown = [(x, y) for one in plot["series"] for x, y in zip(one["x"], one["y"], strict=True) if x > 0]
        axes.set_xscale("log")
        axes.set(xlim=(min(0.1, *(x for x, _ in shown)), 1), ylim=(max(min(y for _, y in shown) - 0.05, 0), 1.01))
    axes.set_ylabel(plot["y"], size=_SIZE, color=INK, family=families())
    axes.grid(color=FAINT, linewidth=0.5, alpha=0.6)
    _finish(figure, axes, plot, columns)
    return figure


def _dots(plot: Mapping) -> Figure:
    """Names above their rows, as many marks in a row as series, an interval where a point has one."""
    rows, series = plot["rows"], plot["series"]
    ends = any(isinstance(value, list) for one in series for value in one["values"])
    step = _WIDE_STEP if ends else _STEP
    row = _ROW + step * len(series) + 0.07
    columns, head = _legend(series)
    figure, axes = _sheet(head, row * len(rows), 0.2)
    for at, marks in enumerate(zip(*(one["values"] for one in series), strict=True)):
        known = [value for value in marks if value is not None]
        if known and not ends:
            middle = at - 0.5 + (_ROW + step * (len(series) - 1) / 2) / row
            axes.plot((min(known), max(known)), (middle, middle), color=FAINT, linewidth=1.2, zorder=1)
    for number, ((colour, marker, _), one) in enumerate(zip(_styles(len(series)), series, strict=True)):
        places = [at - 0.5 + (_ROW + step * number) / row for at in range(len(rows))]
        points = [(at, value) for at, value in zip(places, one["values"], strict=True) if value is not None]
        for at, value in points:
            if isinstance(value, list):
                axes.plot(value[1:], (at, at), color=colour, linewidth=1.6, solid_capstyle="butt", zorder=3)
        axes.plot([value[0] if isinstance(value, list) else value for _, value in points], [at for at, _ in points],
                  marker=marker, linestyle="", color=colour, markersize=5.5, markeredgecolor="white",
                  markeredgewidth=0.6, label=one["name"], clip_on=False, zorder=4)
    axes.set(ylim=(len(rows) - 0.5, -0.5), yticks=[])
    for at, name in enumerate(rows):
        axes.text(0, at - 0.5 + 0.14 / row, name, size=_SMALL, color=INK, va="center", weight="bold",
                  family=families(), transform=axes.get_yaxis_transform(), zorder=5,
                  bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6})
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=FAINT, linewidth=0.5, alpha=0.6)
    if ends:
        axes.axvline(0, color=INK, linewidth=0.9, dashes=(3, 2), zorder=2)
    _finish(figure, axes, plot, columns)
    return figure


_KINDS: dict[str, Callable[[Mapping], Figure]] = {"lines": _lines, "dots": _dots}


def _styles(count: int) -> list[tuple]:
    return [_STYLES[number % len(_STYLES)] for number in range(count)]


def _sheet(head: float, body: float, left: float) -> tuple[Figure, Axes]:
    height = head + body + _FOOT
    figure = Figure(figsize=(_WIDTH, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((left / _WIDTH, _FOOT / height, (_WIDTH - left - _RIGHT) / _WIDTH, body / height))
    axes.set_facecolor("white")
    axes.spines[["right", "top"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(labelsize=_SMALL, colors=MUTED, length=3)
    axes.set_axisbelow(True)
    return figure, axes


def _legend(series: Sequence[Mapping]) -> tuple[int, float]:
    """(columns, inches) of the legend above the axes; a single series needs none."""
    if len(series) == 1:
        return 0, 0.12
    widest = max(text_width(one["name"], _SMALL) for one in series) / 72 + _HANDLE
    columns = min(max(int(_WIDTH / widest), 1), len(series))
    return columns, 0.14 + _LEGEND * -(-len(series) // columns)


def _finish(figure: Figure, axes: Axes, plot: Mapping, columns: int) -> None:
    """The title of the x axis, and the legend."""
    axes.set_xlabel(plot["x"], size=_SIZE, color=INK, family=families())
    if columns:
        shown = figure.legend(loc="upper left", bbox_to_anchor=(0.01, 1), frameon=False, borderaxespad=0.3,
                              ncols=columns, labelspacing=0.35, handlelength=1.7, columnspacing=1.0,
                              handletextpad=0.5, prop={"size": _SMALL, "family": families()})
        for text in shown.get_texts():
            text.set_color(INK)
