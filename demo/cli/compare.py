"""``compare``: are two photos of one person?"""

from __future__ import annotations

import sys
from pathlib import Path

from demo.cli.arguments import SECOND, add_preparation, add_second, add_source, identifier_of, photo_of, preparation_of
from demo.explain import pair_figure, save_figure, sentence
from demo.figures import verified_pair
from demo.identify import json_text
from demo.verify import WORDS, agreement, verify
from demo.words import decimals


def add(commands) -> None:
    compare = commands.add_parser("compare", help="are two photos of one person? every method's verdict")
    compare.add_argument("photo", metavar="PHOTO", help="the photo that --occlude, --style and --face are about")
    compare.add_argument("second", metavar="PHOTO", help="the photo that the same with -second are about")
    add_source(compare)
    add_preparation(compare)
    add_second(compare)
    compare.add_argument("--figure", type=Path, metavar="OUT.png",
                         help="draw the pair and what every method makes of it (.png or .pdf)")
    compare.add_argument("--json", action="store_true", help="print the whole answer as JSON")
    compare.set_defaults(run=_compare)


def _compare(parsed) -> None:
    first, second = preparation_of(parsed), preparation_of(parsed, SECOND)
    found = verify(photo_of(parsed.photo), photo_of(parsed.second), identifier_of(parsed), first, second)
    if parsed.figure:
        save_figure(pair_figure(verified_pair(found)), parsed.figure)
        print(f"Figure written to {parsed.figure}.", file=sys.stderr)
    if parsed.json:
        print(json_text(found.as_json()))
        return
    for name, query in (("First", found.first), ("Second", found.second)):
        if query.told:
            print(f"{name} photo: {query.told}")
    print(agreement(found))
    print(f"Why: {sentence(found.pair)}")
    for judged in found.judgements:
        line, verdict = judged.threshold, judged.verdict
        said = ("no threshold was measured for such photos" if line is None or verdict is None else
                f"{WORDS[verdict]:<16}  threshold {decimals(line.value)}, uncertain from {decimals(line.lower)} "
                f"to {decimals(line.upper)}")
        print(f"{judged.title:<30} {decimals(judged.distance)}  {said}")
    for source in dict.fromkeys(judged.threshold.source for judged in found.judgements if judged.threshold):
        print(source)
    print("Distances: smaller is nearer; a distance is no proof of identity.")
