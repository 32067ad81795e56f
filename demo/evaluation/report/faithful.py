"""The section of the faithfulness board: the numbers behind the badges, which come with the app."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from demo.evaluation.ablations import Cell, Table
from demo.evaluation.interval import Interval
from demo.evaluation.report.content import Finding, Sheet
from demo.explain import EXPLANATIONS
from demo.explain.badge import boards
from demo.methods import METHODS

TEXT = (
    "The numbers behind the badges, kept when they were measured. "
    "Pixels of the probe are taken away (deletion) or brought back (insertion) in tenths, in the order of an "
    "explanation. Deletion and insertion: area times 100 of the share of pairs that are still accepted at the "
    "threshold of the clean scores' equal error rate; deletion small and insertion large is good. Margin: how much "
    "nearer the true match is than the nearest stranger, insertion less deletion. Of the possible: what the order does "
    "to the score itself, random orders at 0 and single-patch occlusion, the best order known, at 100 %. p: of a lead "
    "over random orders, and over \u201ccentre first\u201d, by chance (sign flips over people). An explanation passes "
    "that beats both with p < .01 and reaches 60 % of the possible. CorrRISE's own paper reports deletion 23.3 and "
    "insertion 85.7 on LFW, with other networks and settings.")
COMMAND = "evaluate faithfulness --gallery GALLERY --queries QUERIES --limit 100 --keep FILE.json"


def kept_boards() -> dict[str, Finding]:
    """Set of photos and backbone → what ``evaluate faithfulness --keep`` wrote of it; empty where nothing came with
    the app."""
    return {f"{name}, {backbone}": _finding(board, backbone, name) for backbone, sets in boards().items()
            for name, board in sets.items()}


def passing(passed: int, shown: int) -> str:
    """The answer of a board in a few words."""
    return (f"{passed} of {shown} explanations beat random and centre-first orders (p < .01) and reach 60 % of what is "
            "possible")


def _finding(board: Mapping, backbone: str, name: str) -> Finding:
    own = [row for row in board["rows"] if row["explanation"] in EXPLANATIONS]
    note = (f"{board['probes']} probes of {board['people']} people; pixels replaced by {board['removal']}; "
            f"{len(board['skipped'])} photos skipped.")
    columns = ("score", "explanation", "deletion \u2193", "insertion \u2191", "1:N margin (95 %)", "of the possible, %",
               "p random", "p centre first", "passes")
    return Finding(passing(sum(row["passes"] for row in own), len(own)),
                   [Sheet("", Table(columns, tuple(map(_row, board["rows"])), note))],
                   command=_command(board, backbone, name))


def _row(row: Mapping) -> tuple[Cell, ...]:
    ours = EXPLANATIONS.get(row["explanation"])
    return (METHODS[row["method"]].short, ours.title if ours else row["explanation"],
            _interval(row["deletion"]), _interval(row["insertion"]), _interval(row["margin"]).text(sign=True),
            _interval(row["possible"]).times(100), _p(row["random_p"]), _p(row["centre_p"]),
            ("yes" if row["passes"] else "no") if ours else "-")


def _command(board: Mapping, backbone: str, name: str) -> str:
    """With the photos' folders in capitals. Photos of people who wear masks are no altered copies of the gallery's."""
    words = ["python -m demo evaluate faithfulness --gallery GALLERY --queries QUERIES",
             f"--limit {board['probes'] + len(board['skipped'])} --backbone {backbone} --removal {board['removal']}"]
    words += [f"--occlude {board['alteration']}"] if board["alteration"] else (
        ["--no-exclude-source-photo"] * board["covered"])
    return " ".join([*words, f"--keep FILE.json --set {shlex.quote(name)}"])


def _interval(told: Mapping[str, float]) -> Interval:
    return Interval(told["mean"], told["low"], told["high"])


def _p(value: float) -> str:
    return "< .001" if value < 0.001 else f"{value:.3f}"
