"""``identify``: who is in a photo?"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

from demo.cli.arguments import add_method, add_source, identifier_of, matching_of, positive, preparation_of
from demo.identify import json_text
from demo.verdict import headline, verdict_of
from demo.words import moved


def add(commands) -> None:
    identify = commands.add_parser("identify", help="who is this? two-stage identification of one photo")
    identify.add_argument("photo", metavar="PHOTO")
    add_source(identify)
    add_method(identify)
    identify.add_argument("--top", type=positive, default=5, help="how many matches to show (default 5)")
    identify.add_argument("--identity", metavar="NAME", help="who it is, if known: marks right and wrong")
    identify.add_argument("--figure", type=Path, metavar="OUT.png", help="draw both rankings (.png or .pdf)")
    identify.add_argument("--json", action="store_true", help="print the whole answer as JSON")
    identify.set_defaults(run=_identify)


def _identify(parsed) -> None:
    preparation, matching = preparation_of(parsed), matching_of(parsed)
    identifier = identifier_of(parsed, parsed.stage2_weights)
    # A figure shows evidence of candidates in Stage 1's order, so that all have to be measured.
    first = None if parsed.figure else parsed.top
    found = identifier.answer(parsed.photo, preparation, matching, truth=parsed.identity, first=first)
    if parsed.figure:
        explain, figures = map(import_module, ("demo.explain", "demo.figures"))  # half a second that only this needs
        explain.save_figure(figures.ranking_figure(found, identifier, top=parsed.top), parsed.figure)
        print(f"Figure written to {parsed.figure}.", file=sys.stderr)
    if parsed.json:
        print(json_text(found.as_json(parsed.top)))
        return
    faces = len(found.query.faces)
    if faces > 1:
        print(f"The photo shows {faces} faces; this is number {preparation.face + 1}, counted from the most prominent.")
    if found.query.alteration and found.query.alteration.note:
        print(f"Altered by {found.query.alteration.note}.")
    if found.told:
        print(found.told)
    print(headline(found))
    print(f"{'Stage 1':<34}{'Stage 2' if found.stage2 else ''}")
    for slot in range(min(parsed.top, len(found.stage1))):
        first = found.stage1[slot]
        line = f"{first.rank:>2}. {first.identity:<20.20} {first.cosine:.3f}"
        if found.stage2:
            second = found.stage2[slot]
            line = (f"{line:<34}{second.rank:>2}. {second.identity:<20.20} {second.distance:.3f}  "
                    f"{moved(second.rank, second.stage1_rank)}")
        print(line)
    print(verdict_of(found).detail)
    print("Distances: smaller is nearer. Timings: "
          + ", ".join(f"{step} {ms:.0f} ms" for step, ms in found.timings_ms.items()))
