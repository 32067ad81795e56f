"""``compare``: are two photos of one person?"""

from __future__ import annotations

import sys
from pathlib import Path

from demo.cli.arguments import add_query, add_source, identifier_of
from demo.explain import pair_figure, save_figure
from demo.figures import verified_pair
from demo.identify import json_text
from demo.query import Options
from demo.verify import WORDS, agreement, verify


def add(commands) -> None:
    compare = commands.add_parser("compare", help="are two photos of one person? every method's verdict")
    compare.add_argument("photo", metavar="PHOTO", help="the photo that --occlude, --style and --face are about")
    compare.add_argument("second", metavar="PHOTO", help="the other photo, of which the largest face is taken as it is")
    add_source(compare)
    add_query(compare)
    compare.add_argument("--figure", type=Path, metavar="OUT.png", help="draw the pair and its EMD (.png or .pdf)")
    compare.add_argument("--json", action="store_true", help="print the whole answer as JSON")
    compare.set_defaults(run=_compare)


def _compare(parsed) -> None:
    first = Options(occlusion=parsed.occlude, style=parsed.style, seed=parsed.seed, detector=parsed.detector,
                    face=parsed.face - 1, aligned=parsed.aligned)
    second = Options(detector=parsed.detector, aligned=parsed.aligned)
    found = verify(parsed.photo, parsed.second, identifier_of(parsed), first, second)
    if parsed.figure:
        save_figure(pair_figure(verified_pair(found)), parsed.figure)
        print(f"Figure written to {parsed.figure}.", file=sys.stderr)
    if parsed.json:
        print(json_text(found.as_json()))
        return
    print(agreement(found))
    for judged in found.judgements:
        line = judged.threshold
        said = ("no threshold was measured for such photos" if line is None else
                f"{WORDS[judged.verdict]:<16}  threshold {line.value:.3f}, uncertain from {line.lower:.3f} "
                f"to {line.upper:.3f}")
        print(f"{judged.title:<30} {judged.distance:.3f}  {said}")
    for source in dict.fromkeys(judged.threshold.source for judged in found.judgements if judged.threshold):
        print(source)
    print("Distances: smaller is nearer; a distance is no proof of identity.")
