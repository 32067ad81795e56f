"""Figures of a study's results, from what ``summarise`` returns: one row per condition, readable on a phone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from demo.drawing.output import to_png
from demo.drawing.page import DPI, FAINT, INK, MUTED
from demo.drawing.text import families
from demo.errors import BadStudy
from demo.study.analysis.report import number

#: Narrow enough that the letters stay readable at the width of a phone.
_WIDTH = 4.6
_ROW = 0.74
_ESTIMATE, _PEOPLE = "#4338ca", "#8f98a8"
_OVER, _UNDER = "#b45309", "#0f766e"
_SIZE, _SMALL = 10.0, 8.5
#: The two marks of a row of the figure of agreement, and where they stand in it.
_AGREEMENT = (("agreement_when_wrong", _OVER, "o", 0.02), ("disagreement_when_right", _UNDER, "s", 0.28))
#: Within a row, from -0.5 to 0.5: the name, the estimate, the participants and half the height of their band.
_NAME, _MARK, _DOTS, _SPREAD = -0.3, -0.02, 0.24, 0.15
#: Values that share this part of the widest range are stacked.
_BIN = 1 / 70
#: Percent from which words no longer fit on the right of an interval.
_LEFT_FROM = 75


def accuracy_figure(summary: dict) -> Figure:
    """Accuracy: participants as dots, their mean with its 95% t interval, and the best constant answer where known."""
    constant = float(np.mean([one["accuracy"]["best_constant"] for one in summary["conditions"]]))
    figure, axes = _sheet(summary, "Correct answers, %", (
        _people_note(summary), f"Dashed: the best constant answer ({number(constant)}%)."))
    for row, one in enumerate(summary["conditions"]):
        found = one["accuracy"]
        _dots(axes, row, found["by_participant"])
        _estimate(axes, row, found["mean"], found["t_ci"], f"{number(found['mean'])}%")
        _dashes(axes, row, found["best_constant"])
    axes.set_xlim(0, 103)
    axes.set_xticks(range(0, 101, 20))
    return figure


def time_figure(summary: dict) -> Figure:
    """Response time of correct answers: participants' medians as dots, the median of all with its quartiles."""
    figure, axes = _sheet(summary, "Time of correct answers, s", (
        "Dots: participants' medians. Mark: median of all, with quartiles.",))
    for row, one in enumerate(summary["conditions"]):
        found = one["rt_ms"]
        _dots(axes, row, [time / 1000 for time in found["by_participant"]])
        if found["value"] is not None:
            _estimate(axes, row, found["value"] / 1000, [edge / 1000 for edge in found["iqr"]],
                      f"{number(found['value'] / 1000, 2)} s")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    return figure


def sensitivity_figure(summary: dict) -> Figure:
    """d' and criterion c: participants as dots, means with 95% t intervals, beside each other on one scale each."""
    note = "Dashed: d′ 0 is guessing; c below 0 leans towards \"same\"."
    figure, left, right = _two(summary, ("d′", "Criterion c"), _people_note(summary), note)
    for axes, name in ((left, "d_prime"), (right, "criterion")):
        for row, one in enumerate(summary["conditions"]):
            found = one[name]
            _dots(axes, row, found["by_participant"])
            if found["value"] is not None:
                _estimate(axes, row, found["value"], found["ci"], number(found["value"], 2))
            _dashes(axes, row, 0)
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    return figure


def agreement_figure(summary: dict) -> Figure:
    """Agreement with a wrong model and disagreement with a right one, with 95% bootstrap intervals, in the conditions
    that explain a model."""
    shown = [one for one in summary["conditions"] if one["agreement"]["value"] is not None]
    if not shown:
        raise BadStudy("No condition of this study explains a model, so there is no agreement to draw.")
    figure, axes = _sheet(summary | {"conditions": shown}, "Answers, % (with 95% interval)", (
        "● agreed with the model where it was wrong",
        "■ disagreed with it where it was right"), note_colours=(_OVER, _UNDER))
    for row, one in enumerate(shown):
        for name, colour, marker, offset in _AGREEMENT:
            found = one[name]
            if found["value"] is None:
                axes.text(2, row + offset, found["reason"], size=_SMALL, color=MUTED, va="center", family=families())
            else:
                low, high = found["ci"] or [found["value"]] * 2
                _mark(axes, row + offset, found["value"], found["ci"], colour, marker)
                left = high > _LEFT_FROM
                axes.annotate(f"{number(found['value'], 0)}%, n {found['n']}", (low if left else high, row + offset),
                              xytext=(-7 if left else 7, 0), textcoords="offset points", size=_SMALL, color=colour,
                              ha="right" if left else "left", va="center", family=families())
    axes.set_xlim(0, 100)
    axes.set_xticks(range(0, 101, 20))
    return figure


#: Name → how it is drawn, in the order of a results page.
FIGURES: dict[str, Callable[[dict], Figure]] = {
    "accuracy": accuracy_figure, "sensitivity": sensitivity_figure, "time": time_figure, "agreement": agreement_figure}


def drawable(summary: dict) -> list[str]:
    """Names of the figures that the summary has data for; none where no participant is complete."""
    conditions = summary["conditions"]
    models = any(one["agreement"]["value"] is not None for one in conditions)
    return [name for name in FIGURES if conditions and (models or name != "agreement")]


def drawn(summary: dict) -> dict[str, bytes]:
    """Name → PNG of every figure that the summary has data for."""
    return {name: to_png(FIGURES[name](summary)) for name in drawable(summary)}


def _sheet(summary: dict, axis: str, notes: Sequence[str], note_colours: Sequence[str] = (MUTED,)) -> tuple:
    figure, (axes,) = _grid(summary, 1, notes, note_colours)
    axes.set_xlabel(axis, size=_SIZE, color=INK, family=families())
    return figure, axes


def _two(summary: dict, titles: tuple[str, str], *notes: str) -> tuple:
    figure, both = _grid(summary, 2, notes, (MUTED,))
    for axes, title in zip(both, titles, strict=True):
        axes.set_xlabel(title, size=_SIZE, color=INK, family=families())
    return figure, *both


def _grid(summary: dict, columns: int, notes: Sequence[str], note_colours: Sequence[str]) -> tuple:
    """A white figure with one row per condition, its name above the row, and notes above all."""
    conditions = summary["conditions"]
    if not conditions:
        raise BadStudy("No participant is complete, so there is nothing to draw.")
    head = 0.12 + 0.2 * (len(notes) + summary["preliminary"])
    foot = 0.55
    height = head + _ROW * len(conditions) + foot
    figure = Figure(figsize=(_WIDTH, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    lines = list(zip(notes, list(note_colours) * len(notes), strict=False))
    if summary["preliminary"]:
        lines.insert(0, ("Preliminary: the planned number is not reached.", _OVER))
    for at, (line, colour) in enumerate(lines):
        figure.text(0.12 / _WIDTH, 1 - (0.17 + 0.2 * at) / height, line, size=_SMALL, color=colour, va="center",
                    family=families())
    gap, width = 0.24, _WIDTH - 0.3
    each = (width - gap * (columns - 1)) / columns
    drawn = []
    for column in range(columns):
        axes = figure.add_axes(((0.15 + column * (each + gap)) / _WIDTH, foot / height, each / _WIDTH,
                                _ROW * len(conditions) / height))
        axes.set(ylim=(len(conditions) - 0.5, -0.5), yticks=[], facecolor="white")
        axes.spines[["left", "right", "top"]].set_visible(False)
        axes.spines["bottom"].set_color(FAINT)
        axes.tick_params(axis="x", labelsize=_SMALL, colors=MUTED, length=3)
        axes.grid(axis="x", color=FAINT, linewidth=0.5, alpha=0.6)
        axes.set_axisbelow(True)
        for row, one in enumerate(conditions):
            if column == 0:
                axes.text(0, row + _NAME, one["label"], size=_SIZE, color=INK, va="center", family=families(),
                          transform=axes.get_yaxis_transform(), weight="bold")
        drawn.append(axes)
    return figure, drawn


def _dots(axes, row: float, values: Sequence[float]) -> None:
    """Participants' values in the lower part of a row; values close to each other are stacked, so that none hides
    another."""
    ordered = np.sort(np.asarray(values, float))
    if not len(ordered):
        return
    width = max(np.ptp(ordered), abs(ordered).max()) * _BIN or 1.0
    _, counts = np.unique(np.round(ordered / width), return_counts=True)
    offsets = np.concatenate([np.arange(count) - (count - 1) / 2 for count in counts])
    step = min(0.045, 2 * _SPREAD / max(counts.max() - 1, 1))
    axes.scatter(ordered, row + _DOTS + step * offsets, s=9, color=_PEOPLE, alpha=0.75, linewidths=0, zorder=2,
                 clip_on=False)


def _estimate(axes, row: float, value: float, ends: Sequence[float] | None, words: str) -> None:
    """An estimate with its interval, and its number in words at the right end of the row's head."""
    _mark(axes, row + _MARK, value, ends, _ESTIMATE, "D")
    axes.text(1, row + _NAME, words, size=_SIZE, color=_ESTIMATE, ha="right", va="center", family=families(),
              transform=axes.get_yaxis_transform(), weight="bold")


def _mark(axes, at: float, value: float, ends: Sequence[float] | None, colour: str, marker: str) -> None:
    if ends is not None:
        axes.plot(ends, (at, at), color=colour, linewidth=2.4, solid_capstyle="butt", zorder=4)
    axes.plot([value], [at], marker=marker, markersize=5.5, color=colour, markeredgecolor="white", markeredgewidth=0.7,
              zorder=5, clip_on=False)


def _dashes(axes, row: float, value: float) -> None:
    """A reference value, drawn within a row so that it crosses no words."""
    axes.plot([value] * 2, (row + _MARK - 0.1, row + 0.42), color=INK, linewidth=0.9, dashes=(3, 2), zorder=3)


def _people_note(summary: dict) -> str:
    return f"Dots: participants (n = {summary['participants']['analysed']}). Mark: mean, 95% interval."
