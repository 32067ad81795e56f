"""``evaluate verify``: does a threshold tell pairs of one person from pairs of two?"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from demo.cli.arguments import (
    SECOND,
    add_backbone,
    add_matching,
    add_preparation,
    matching_of,
    model_of,
    positive,
    preparation_of,
)
from demo.cli.data import store_of
from demo.cli.options import add_fields
from demo.evaluation.datasets import DATASETS, drawn_pairs, pairs_of, photos_of
from demo.evaluation.verification import verify_pairs
from demo.fields import fields_of
from demo.gallery import Gallery
from demo.identify import json_text
from demo.methods import METHODS, load_method
from demo.methods.h2l import H2L
from demo.query import Preparation
from demo.settings import settings


def add(actions) -> None:
    action = actions.add_parser("verify", help="accuracy over ten folds, ROC, AUC, EER and TAR at FAR on pairs")
    chosen = settings()
    action.add_argument("--root", type=Path, default=chosen.galleries / chosen.gallery, metavar="FOLDER",
                        help="folder of the data set, or a list file (default: the bundled synthetic people)")
    action.add_argument("--dataset", choices=DATASETS, metavar="NAME", help="how the photos lie")
    action.add_argument("--base", type=Path, metavar="FOLDER",
                        help="where the paths of a list file start (default: beside the list)")
    which = action.add_mutually_exclusive_group()
    which.add_argument("--pairs", type=Path, metavar="FILE", help="the pair list (default: where the release has it)")
    which.add_argument("--draw", type=positive, metavar="N", help="draw N pairs of one person and N of two instead")
    action.add_argument("--index", type=Path, metavar="DIR", help="an index of these photos, where there is one, so "
                        "that unaltered ones are not computed again")
    add_backbone(action)
    add_preparation(action)
    add_fields(action, [one for one in fields_of(Preparation) if one.name == "alteration"], suffix=SECOND)
    add_matching(action, leave_out=("method", "k", "adaptive", "share"))
    action.add_argument("--h2l-weights", type=Path, metavar="FILE",
                        help="checkpoint of an H2L (default: the one that comes with the app); a published one brings "
                             "its own backbone")
    action.set_defaults(backbone=None)
    action.add_argument("--json", action="store_true")
    action.set_defaults(run=_verify)


def _verify(parsed) -> None:
    first, matching = preparation_of(parsed), matching_of(parsed)
    if parsed.draw:
        pairs = drawn_pairs(photos_of(parsed.root, parsed.dataset, parsed.base)[1], parsed.draw, parsed.seed)
    else:
        pairs = pairs_of(parsed.root, parsed.dataset, parsed.pairs, parsed.base)
    backbone, model = model_of(parsed, parsed.h2l_weights, H2L.word)
    methods = model and {word: load_method(word, backbone, model=model) for word, method in METHODS.items()
                         if not method.trained or word == H2L.word}
    result = verify_pairs(pairs, backbone, (first, replace(first, alteration=parsed.occlude_second, style=None)),
                          matching, methods=methods, store=store_of(backbone), progress=_progress,
                          gallery=Gallery.open(parsed.index, backbone) if parsed.index else None)
    print(json_text(result.as_json()) if parsed.json else result.as_table())


def _progress(pairs):
    return tqdm(pairs, desc="Pairs", unit="pair", file=sys.stderr)
