"""``identify``: who is in a photo?"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

from demo.cli.arguments import add_method, add_source, identifier_of, matching_of, photo_of, positive, preparation_of
from demo.errors import BadPhoto, BadSetting, DemoError
from demo.fields import LARGEST
from demo.identify import Identification, Identifier, json_text
from demo.methods import Matching
from demo.query import Preparation
from demo.settings import settings
from demo.sources import Picture, is_video, pictures
from demo.verdict import headline, verdict_of
from demo.words import decimals, in_columns, moved


def add(commands) -> None:
    identify = commands.add_parser("identify", help="who is this? two-stage identification of one photo")
    identify.add_argument("photo", metavar="PHOTO", nargs="+",
                          help="a photo, or its address on a host of DEMO_PHOTO_HOSTS; or several, videos, folders of "
                               "photos and videos: a line for each picture")
    identify.add_argument("--all-faces", action="store_true", help="every face of a photo, not only the most prominent")
    identify.add_argument("--every", type=seconds, default=1.0, metavar="SECONDS",
                          help="of videos: from one frame to the next that is looked at (default 1s)")
    add_source(identify)
    add_method(identify)
    identify.add_argument("--top", type=positive, default=5, help="how many matches to show (default 5)")
    identify.add_argument("--identity", metavar="NAME", help="who it is, if known: marks right and wrong")
    identify.add_argument("--figure", type=Path, metavar="OUT.png", help="draw both rankings (.png or .pdf)")
    identify.add_argument("--explain", action="store_true",
                          help="also say why: the sentence, the contribution of each patch to the distance of the "
                               "nearest, and how it differs from the next people's")
    identify.add_argument("--json", action="store_true", help="print the whole answer as JSON")
    identify.set_defaults(run=_identify)


def seconds(text: str) -> float:
    value = float(text.strip().removesuffix("s"))
    if not 0 < value <= LARGEST:
        raise argparse.ArgumentTypeError(f"must be above 0 and at most {LARGEST}")
    return value


def _identify(parsed) -> int:
    preparation, matching = preparation_of(parsed), matching_of(parsed)
    alone = parsed.photo[0]
    several = len(parsed.photo) > 1 or parsed.all_faces or os.path.isdir(alone) or is_video(alone)
    if several and (parsed.figure or parsed.explain or parsed.identity):
        raise BadSetting("Figures, explanations and a known identity are for one photo: leave out --figure, --explain "
                         "and --identity.")
    identifier = identifier_of(parsed, parsed.stage2_weights)
    if several:
        return _each(parsed, identifier, preparation, matching)
    _one(parsed, identifier, preparation, matching)
    return 0


def _each(parsed, identifier: Identifier, preparation: Preparation, matching: Matching) -> int:
    """A line, or an object of a list, for every picture and face; a picture that cannot be used does not stop it."""
    answers, problems = [], 0
    for picture in _pictures(parsed):
        source = {"file": picture.name, "seconds": picture.seconds}
        try:
            if picture.problem:
                raise BadPhoto(picture.problem)
            found = (identifier.everyone(picture.photo, preparation, matching, first=parsed.top) if parsed.all_faces
                     else [identifier.answer(picture.photo, preparation, matching, first=parsed.top)])
        except DemoError as error:
            answers.append({"source": source, "problem": str(error)})
            problems += 1
            if not parsed.json:
                print(f"{picture.name}: {error}")
            continue
        answers += [{"source": source, **one.as_json(parsed.top)} for one in found]
        if not parsed.json:
            for one in found:
                face = f", face {one.query.preparation.face + 1} of {len(found)}" if parsed.all_faces else ""
                print(f"{picture.name}{face}: {headline(one)}", *([_beside(one)] if _beside(one) else []))
    if parsed.json:
        print(json_text(answers))
    return 2 if problems == len(answers) else 0


def _pictures(parsed) -> Iterator[Picture]:
    """Those of every path; one that has none is told in its place."""
    for path in parsed.photo:
        try:
            yield from pictures([path], parsed.every, settings().limits, settings().photo_hosts)
        except BadPhoto as error:
            if len(parsed.photo) == 1:
                raise
            yield Picture(path, Path(path), problem=str(error))


def _one(parsed, identifier: Identifier, preparation: Preparation, matching: Matching) -> None:
    # What explains shows evidence of candidates in Stage 1's order, so that all have to be measured.
    first = None if parsed.figure or parsed.explain else parsed.top
    found = identifier.answer(photo_of(parsed.photo[0]), preparation, matching, truth=parsed.identity, first=first)
    if parsed.figure:
        explain, figures = _explaining()
        explain.save_figure(figures.ranking_figure(found, identifier, top=parsed.top), parsed.figure)
        print(f"Figure written to {parsed.figure}.", file=sys.stderr)
    reasons, why = _reasons(found, identifier) if parsed.explain else ([], {})
    if parsed.json:
        print(json_text(found.as_json(parsed.top) | why))
        return
    faces = len(found.query.faces)
    if faces > 1:
        print(f"The photo shows {faces} faces; this is number {preparation.face + 1}, counted from the most prominent.")
    if found.query.alteration and found.query.alteration.note:
        print(f"Altered by {found.query.alteration.note}.")
    if _beside(found):
        print(_beside(found))
    print(headline(found))
    print(f"{'Stage 1':<34}{'Stage 2' if found.stage2 else ''}")
    for slot in range(min(parsed.top, len(found.stage1))):
        first = found.stage1[slot]
        line = f"{first.rank:>2}. {in_columns(first.identity, 20)} {decimals(first.cosine)}"
        if found.stage2:
            second = found.stage2[slot]
            line = (f"{in_columns(line, 34)}{second.rank:>2}. {in_columns(second.identity, 20)} "
                    f"{decimals(second.distance)}  {moved(second.rank, second.stage1_rank)}")
        print(line)
    print(verdict_of(found).detail)
    for line in reasons:
        print(line)
    print("Distances: smaller is nearer. Timings: "
          + ", ".join(f"{step} {ms:.0f} ms" for step, ms in found.timings_ms.items()))


def _beside(found: Identification) -> str:
    """What is to be known beside a ranking; what concerns the gallery stands on standard error already."""
    return " ".join(text for text in (found.query.told, found.missed) if text)


def _explaining() -> tuple[ModuleType, ModuleType]:
    """What draws and explains: half a second of imports that only those who ask for it wait for."""
    return import_module("demo.explain"), import_module("demo.figures")


def _reasons(found: Identification, identifier: Identifier) -> tuple[list[str], dict]:
    """Why, in sentences and as JSON; nothing where nobody was compared."""
    explain, figures = _explaining()
    pair, compared = figures.pair_of(found, identifier), figures.contrasts(found, identifier)
    if pair is None:
        return [], {}
    return ([f"Why: {explain.sentence(pair)}", *map(explain.told, compared)],
            {"explanation": figures.explained_json(pair, compared)})
