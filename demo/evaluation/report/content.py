"""What a section of the report holds, as data: tables, figures and scores. Nothing is drawn here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from demo.evaluation.ablations import GAIN, Cell, Table
from demo.evaluation.interval import Interval
from demo.evaluation.metrics import METRICS
from demo.words import rounded

#: Alterations of a section: words of ALTERATIONS, None = the photos as they are.
Kinds = Sequence[str | None]
#: What tables and figures call a query that was not altered.
UNALTERED = "unaltered"
#: A value of a figure, or (value, low, high) with the ends of its interval; None where there is none.
Point = float | tuple[float, float, float] | None


@dataclass(frozen=True)
class Sheet:
    """A table with its title. folded: a page shows it on demand."""

    title: str
    table: Table
    folded: bool = False

    def as_json(self) -> dict:
        return {"title": self.title, "columns": list(self.table.columns), "rows": _rounded(self.table.rows),
                "note": self.table.note, "folded": self.folded}


@dataclass(frozen=True)
class Lines:
    """A figure of curves. series: name → (x values, y values). limits: of both axes, where they are known."""

    title: str
    x: str
    y: str
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]]
    limits: tuple[float, float, float, float] | None = None

    def as_json(self) -> dict:
        return {"kind": "lines", "title": self.title, "x": self.x, "y": self.y, "limits": self.limits,
                "series": [{"name": name, "x": _rounded(xs), "y": _rounded(ys)}
                           for name, (xs, ys) in self.series.items()]}


@dataclass(frozen=True)
class Dots:
    """A figure with one row per name and one mark per series in it. series: name → a point for each row."""

    title: str
    x: str
    rows: Sequence[str]
    series: Mapping[str, Sequence[Point]]

    def as_json(self) -> dict:
        return {"kind": "dots", "title": self.title, "x": self.x, "rows": list(self.rows),
                "series": [{"name": name, "values": _rounded(values)} for name, values in self.series.items()]}


@dataclass(frozen=True)
class Score:
    """A measured value that a paper reports too. method: in the words of ``paper``. values: metric → number, or mean
    and interval."""

    alteration: str
    method: str
    values: Mapping[str, float | Interval]

    def as_json(self) -> dict:
        return {"alteration": self.alteration, "method": self.method,
                **{name: _rounded(value) for name, value in self.values.items()}}


@dataclass(frozen=True)
class Finding:
    """What a section found on one data set. headline: the answer in a few words. command: what measured it, where that
    is a command of its own."""

    headline: str
    sheets: Sequence[Sheet]
    plots: Sequence[Lines | Dots] = ()
    scores: Sequence[Score] = ()
    command: str = ""

    def as_json(self) -> dict:
        return {"headline": self.headline, "tables": [sheet.as_json() for sheet in self.sheets],
                "plots": [plot.as_json() for plot in self.plots],
                "scores": [score.as_json() for score in self.scores],
                **({"command": self.command} if self.command else {})}


def pivot(tables: Mapping[str, Table], words: int) -> list[Sheet]:
    """Tables of the same rows under several alterations as one table per metric, an alteration a column.

    words: how many columns name the row. Further columns than those, the metrics and the gain are left out.
    """
    first = next(iter(tables.values()))
    metrics = [name for name in (*METRICS, GAIN) if name in first.columns]
    notes = {table.note for table in tables.values()}
    counts = notes.pop() if len(notes) == 1 else " ".join(
        f"{kind.capitalize()}: {table.note}" for kind, table in tables.items())
    sheets = []
    for metric in metrics:
        at = first.columns.index(metric)
        rows = [(*row[:words], *(table.rows[number][at] for table in tables.values()))
                for number, row in enumerate(first.rows)]
        unit = "points" if metric == GAIN else "%"
        sheets.append(Sheet(f"{metric}, {unit}", Table((*first.columns[:words], *tables), tuple(rows), counts),
                            folded=metric not in ("P@1", GAIN)))
    return sheets


def word(kind: str | None) -> str:
    """What tables and figures call an alteration."""
    return kind or UNALTERED


def point(cell: Interval | None) -> Point:
    """What a figure shows of an interval."""
    return None if cell is None else (cell.mean, cell.low, cell.high)


def value_of(cell: Cell) -> float:
    """The number in a cell that has one."""
    return cell.mean if isinstance(cell, Interval) else float(cell)


def mean_of(value: float | Sequence[float]) -> float:
    """The number of a score as JSON has it: itself, or of [mean, low, high] the mean."""
    return value[0] if isinstance(value, Sequence) else value


def _rounded(value):
    """Plain data with floats of at most four decimals; an interval as [mean, low, high]."""
    if isinstance(value, Interval):
        return _rounded((value.mean, value.low, value.high))
    if isinstance(value, float):
        return rounded(value, 4)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_rounded(one) for one in value]
    return value
