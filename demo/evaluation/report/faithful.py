"""The shipped faithfulness board as blocks of a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from demo.evaluation.report.document import Code, Grid, Heading, Text
from demo.explain import EXPLANATIONS
from demo.methods import METHODS

INTRODUCTION = (
    "Pixels of the probe are taken away (deletion) or brought back (insertion) in tenths, in the order of an "
    "explanation. Deletion and insertion: area times 100 of the share of pairs that are still accepted at the "
    "threshold of the clean scores' equal error rate; deletion small and insertion large is good. Margin: how much "
    "nearer the true match is than the nearest stranger, insertion less deletion. Of the possible: what the order does "
    "to the score itself, random orders at 0 and single-patch occlusion, the best order known, at 100 %. p: of a lead "
    "over random orders, and over \u201ccentre first\u201d, by chance (sign flips over people). CorrRISE's own paper "
    "reports deletion 23.3 and insertion 85.7 on LFW, with other networks and settings.")

COMMAND = "python -m demo evaluate faithfulness --gallery GALLERY --queries QUERIES --limit 100"


def blocks(boards: Mapping[str, Mapping[str, Mapping]]) -> Iterator[Heading | Text | Grid | Code]:
    """What ``evaluate faithfulness --keep`` wrote: backbone → set of photos → board."""
    yield Heading(2, "Faithfulness board")
    yield Text(INTRODUCTION)
    for backbone, sets in boards.items():
        for name, board in sets.items():
            yield Heading(3, f"{name}, {backbone}: {board['probes']} probes of {board['people']} people")
            yield Grid("", ("score", "explanation", "deletion \u2193", "insertion \u2191", "1:N margin",
                            "of the possible (95 %)", "p random", "p centre first", "passes"),
                       tuple(map(_row, board["rows"])),
                       f"Pixels replaced by {board['removal']}; {len(board['skipped'])} photos skipped.")
    yield Text("An explanation passes that beats random orders and \u201ccentre first\u201d with p < .01 and reaches "
               "60 % of the possible.")
    yield Code(f"{COMMAND}\n{COMMAND} --occlude mask\n{COMMAND} --no-exclude-source-photo    # of people in masks")


def _row(row: Mapping) -> tuple[str, ...]:
    possible = row["possible"]
    ours = row["explanation"] in EXPLANATIONS
    return (METHODS[row["method"]].short, EXPLANATIONS[row["explanation"]].title if ours else row["explanation"],
            f"{row['deletion']['mean']:.1f}", f"{row['insertion']['mean']:.1f}", f"{row['margin']['mean']:+.3f}",
            f"{possible['mean']:.0%} ({possible['low']:.0%} to {possible['high']:.0%})", _p(row["random_p"]),
            _p(row["centre_p"]), ("yes" if row["passes"] else "no") if ours else "")


def _p(value: float) -> str:
    return "< .001" if value < 0.001 else f"{value:.3f}"
