"""``evaluate verify``: does a threshold tell pairs of one person from pairs of two?"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from demo.backbones import parse_grid
from demo.cli.arguments import add_backbone, add_distance, add_query, model_of, positive
from demo.evaluation import FeatureStore
from demo.evaluation.datasets import DATASETS, drawn_pairs, pairs_of, photos_of
from demo.evaluation.verification import verify_pairs
from demo.identify import json_text
from demo.query import ALTERATIONS, Options
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
    action.add_argument("--occlude-second", choices=ALTERATIONS, help="alter the second photo of each pair too")
    add_backbone(action)
    add_query(action)
    add_distance(action)
    action.add_argument("--h2l-weights", type=Path, metavar="FILE",
                        help="checkpoint of an H2L (default: the one that comes with the app); a published one brings "
                             "its own backbone")
    action.set_defaults(backbone=None)
    action.add_argument("--json", action="store_true")
    action.set_defaults(run=_verify)


def _verify(parsed) -> None:
    options = Options(
        weighting=parsed.weighting, alpha=parsed.alpha, grid=parse_grid(parsed.grid) if parsed.grid else None,
        solver=parsed.solver, occlusion=parsed.occlude, style=parsed.style, seed=parsed.seed,
        detector=parsed.detector, face=parsed.face - 1, aligned=parsed.aligned)
    if parsed.draw:
        pairs = drawn_pairs(photos_of(parsed.root, parsed.dataset, parsed.base)[1], parsed.draw, parsed.seed)
    else:
        pairs = pairs_of(parsed.root, parsed.dataset, parsed.pairs, parsed.base)
    backbone, model = model_of(parsed, parsed.h2l_weights, "h2l")
    second = replace(options, occlusion=parsed.occlude_second, style=None)
    result = verify_pairs(pairs, backbone, (options, second), models=model and {"h2l": model},
                          store=FeatureStore(settings().cache, backbone), progress=_progress)
    print(json_text(result.as_json()) if parsed.json else result.as_table())


def _progress(pairs):
    return tqdm(pairs, desc="Pairs", unit="pair", file=sys.stderr)
