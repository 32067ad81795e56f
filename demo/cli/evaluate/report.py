"""``evaluate report``: everything measured, as one Markdown file, one page, and the data behind both."""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from tqdm import tqdm

from demo.cli.arguments import add_backbone, identifier_of, positive
from demo.cli.data import add_jobs, store_of
from demo.errors import BadGallery, BadSetting
from demo.evaluation.datasets import DATASETS, dataset, photos_of
from demo.evaluation.report import (
    QUICK,
    SECTIONS,
    Scale,
    Source,
    kept_beside,
    make_report,
    read_results,
    write_report,
)
from demo.evaluation.report.source import FOUND_CROP
from demo.faces import DETECTORS
from demo.gallery import find_index, list_photos
from demo.identify import Identifier
from demo.places import ASSETS
from demo.presets import PRESETS
from demo.settings import settings

#: The bundled people, and the photos of them that are not in their gallery.
BUNDLED, QUERIES = "Synthetic people", ASSETS / "queries"
#: The numbers of those that the shipped cross-image models of a backbone were not trained on (assets/h2l-*.md), who are
#: measured apart.
UNSEEN = {"dlib": range(70, 101), "mobilefacenet": (*range(5, 50, 5), *range(51, 100, 5))}
UNSEEN_NAME = "Synthetic people not trained on"
#: Pairs of one person, and of two, that are drawn from a data set of the papers without a pair list: as LFW's has.
PAIRS = 3000
CROSS_IMAGE = ("identification", "perturbations")
#: Data sets that are queries against another.
AGAINST = {"talfw": "lfw", "mlfw": "lfw"}
#: What is measured on LFW: each photo of people with two or more, left out in turn, and every photo, altered, against
#: all of them. Section → alterations; None = all that it has.
LFW = {
    "lfw-1680": {"identification": [None], "weighting": [None], "alpha": [None], "k": [None], "bound": [None],
                 "one-stage": [None]},
    "lfw": {"identification": ["mask", "sunglasses", "crop", FOUND_CROP], "weighting": ["crop"], "bound": ["crop"],
            "verification": [None], "verdicts": None, "detectors": None},
}
#: The same queries where the photo that each was made from is not in the gallery, as it is in the papers.
APART, APART_NAME = {"identification": ["mask", "sunglasses", "crop", FOUND_CROP],
                     "alpha": ["mask", "sunglasses", "crop"]}, "{}, photo itself left out"


def add(actions) -> None:
    action = actions.add_parser("report", help="everything measured, as Markdown and a page, with the papers' numbers")
    action.add_argument("--out", type=Path, default=Path("report"), metavar="DIR",
                        help="folder of report.md, report.html, results.json and plots (default report)")
    action.add_argument("--data", action="append", default=[], type=_data, metavar="NAME=FOLDER",
                        help="measure these photos too, one folder per person, under this name; a name of 'evaluate "
                             "datasets' is read as it lies, measured by the papers' protocol and put beside their "
                             "numbers. May be given again")
    action.add_argument("--query-photos", action="append", default=[], type=_data, metavar="NAME=FOLDER",
                        help="the queries of the data set of this name are the photos here, one folder per person: "
                             "other photos than those of --data, compared with all of them and not altered. May be "
                             "given again")
    action.add_argument("--index", type=Path, action="append", default=[], metavar="DIR",
                        help="an index that has some of these photos already. May be given again, one per backbone")
    action.add_argument("--beside", action="append", default=[], type=_beside, metavar="BACKBONE=DETECTOR",
                        help="measure the data sets of --data with these, too. May be given again")
    action.add_argument("--queries", type=positive, metavar="N",
                        help="at most N queries of each of the papers' data sets, evenly spread (default: all)")
    action.add_argument("--keep", action="store_true",
                        help="keep what the report in --out holds already and is not measured now")
    add_jobs(action)
    action.add_argument("--only", nargs="+", choices=SECTIONS, metavar="SECTION", default=list(SECTIONS),
                        help=", ".join(SECTIONS))
    action.add_argument("--quick", action="store_true", help="few queries of each: a trial of the report itself")
    add_backbone(action)
    action.set_defaults(run=_report)


def _data(text: str) -> tuple[str, Path]:
    name, equals, folder = text.partition("=")
    if not (name and equals and folder):
        raise argparse.ArgumentTypeError("is written NAME=FOLDER")
    return name, Path(folder)


def _beside(text: str) -> tuple[str, str]:
    backbone, equals, detector = text.partition("=")
    if not (equals and detector in DETECTORS):
        raise argparse.ArgumentTypeError(f"is written BACKBONE=DETECTOR, with one of {', '.join(DETECTORS)}")
    return backbone, detector


def _report(parsed) -> None:
    given = dict(parsed.data)
    if len(given) < len(parsed.data) or given.keys() & {BUNDLED, UNSEEN_NAME}:
        raise BadSetting("Two data sets have the same name: give each --data its own.")
    _check_query_photos(parsed, given)
    old = read_results(parsed.out) if parsed.keep else None  # what is not there is told before anything is measured
    people, photos = settings().galleries / "synthetic-people", list_photos(QUERIES)
    names = {f"person-{number:03}" for number in UNSEEN.get(parsed.backbone, ())}
    unseen = [photo for photo in photos if photo.identity in names]
    sources = []
    if not (parsed.keep and given):
        sources.append(_source(parsed, BUNDLED, people, given, photos))
        if unseen:
            sources.append(_source(parsed, UNSEEN_NAME, people, given, unseen, dict.fromkeys(CROSS_IMAGE)))
    sources += _measured(parsed, given)
    for backbone, detector in parsed.beside:
        other = argparse.Namespace(**{**vars(parsed), "backbone": backbone, "detector": detector, "weights": None,
                                      "backbone_option": []})
        sources += _measured(other, given)
    results = make_report(sources, parsed.only, settings().cache / "report", _command(parsed), _tell)
    results |= _presets(sources)
    if old is not None:
        results = kept_beside(old, results)
    write_report(results, parsed.out)
    print(f"{parsed.out / 'report.html'}, report.md, results.json and plots are written.")


def _check_query_photos(parsed, given: dict[str, Path]) -> None:
    asked = [name for name, _ in parsed.query_photos]
    for name in asked:
        if name not in given:
            raise BadSetting(f"There is no data set {name!r} for --query-photos: give --data "
                             f"{shlex.quote(name)}=FOLDER too.")
        if name in DATASETS:
            raise BadSetting(f"The queries of {name} are those of its protocol: give it another name than one of "
                             "'evaluate datasets' to have --query-photos.")
    if len(set(asked)) < len(asked):
        raise BadSetting("A data set is given query photos twice: give each --query-photos another name.")


def _measured(parsed, given: dict[str, Path]) -> list[Source]:
    """The sources of --data on one backbone."""
    sources = [_source(parsed, name, folder, given) for name, folder in given.items()]
    apart = [replace(source, name=APART_NAME.format(source.name), photos=source.every, dataset=None, only=APART)
             for source in sources if source.dataset == "lfw"]
    return sources + apart


def _presets(sources: list[Source]) -> dict:
    """What our settings gain over the published ones, as ``demo.presets.gained`` tells it: on masked photos of LFW
    without the photo that each was made from; nothing without LFW."""
    for source in sources:
        if source.only is APART and source.backbone == settings().backbone:
            found = source.measure("mask", [one.matching for one in PRESETS.values()])
            shares = {word: (found.stage2[one.matching] if one.matching.reranks else found.stage1).p_at_1 / 100
                      for word, one in PRESETS.items()}
            return {"presets": {"queries": f"{found.stage1.queries} photos of LFW with a drawn mask, against "
                                           f"{found.gallery:,} (half of these people took part in what it learned)",
                                "p_at_1": shares}}
    return {}


def _source(parsed, name: str, folder: Path, given: dict[str, Path], photos=None, only=None) -> Source:
    known, pairs, other = DATASETS.get(name), None, name in dict(parsed.query_photos)
    if other:
        photos = list_photos(dict(parsed.query_photos)[name])
    home, gallery_photos, every = folder, None, None
    if known:
        home, gallery_photos = photos_of(folder, name)
        every, only = gallery_photos, only or LFW.get(name)
        if listed := known.pair_list(folder):
            pairs = known.read_pairs(gallery_photos + (known.queries(folder) if known.queries else []), listed)
        photos = known.queries(folder) if known.queries else None
        if name in AGAINST:
            if AGAINST[name] not in given:
                raise BadSetting(f"{known.title} is compared with {dataset(AGAINST[name]).title}: give --data "
                                 f"{AGAINST[name]}=FOLDER too.")
            photos = gallery_photos
            home, gallery_photos = photos_of(given[AGAINST[name]], AGAINST[name])
    scale = QUICK if parsed.quick else Scale()
    if known and not parsed.quick:
        scale = replace(scale, queries=parsed.queries, pairs=PAIRS)
    apart = parsed.backbone != settings().backbone if known else parsed.backbone in dict(parsed.beside)
    title = f"{name}, {parsed.backbone}" if apart else name
    return Source(title, partial(_identifier, parsed, home, gallery_photos), store_of, parsed.backbone, scale, photos,
                  other, every, name if known else None, pairs, only, parsed.jobs,
                  lambda items, words: tqdm(items, desc=words, leave=False, file=sys.stderr))


def _identifier(parsed, folder: Path, photos, backbone: str) -> Identifier:
    own = {} if backbone == parsed.backbone else {"weights": None, "backbone_option": []}
    known = next((place for place in parsed.index if _is_of(place, backbone)), None)
    return identifier_of(argparse.Namespace(**{**vars(parsed), "gallery": folder, "backbone": backbone, **own}),
                         photos=photos, known=known if photos else None)


def _is_of(place: Path, backbone: str) -> bool:
    try:
        return bool(find_index(place, backbone))
    except BadGallery:
        return False


def _tell(number: int, count: int, section: str, data: str, ready: bool) -> None:
    print(f"[{number}/{count}] {section}: {data}{' (measured before)' if ready else ''}", file=sys.stderr)


def _command(parsed) -> str:
    """The command that makes the report again, with FOLDER for the folders of this machine."""
    words = ["python -m demo evaluate report --out DIR"]
    words += [f"--data {shlex.quote(f'{name}=FOLDER')}" for name, _ in parsed.data]
    words += [f"--query-photos {shlex.quote(f'{name}=FOLDER')}" for name, _ in parsed.query_photos]
    words += ["--index DIR"] * len(parsed.index) + [f"--beside {'='.join(one)}" for one in parsed.beside]
    words += [f"--queries {parsed.queries}"] * bool(parsed.queries) + ["--keep"] * parsed.keep
    words += [f"--only {' '.join(parsed.only)}"] if parsed.only != list(SECTIONS) else []
    words += [f"--backbone {parsed.backbone}"] if parsed.backbone != settings().backbone else []
    return " ".join(words + ["--quick"] * parsed.quick)
