"""``evaluate verdicts``: how often is what the pages say of a pair, or of a best match, wrong?"""

from __future__ import annotations

import argparse
import sys

from tqdm import tqdm

from demo.cli.arguments import identifier_of, preparation_of
from demo.cli.data import add_folders, add_options, add_source_photo, folder_queries
from demo.evaluation.verdicts import verdicts
from demo.identify import json_text
from demo.methods import METHODS
from demo.query import ALTERATIONS, Preparation

#: What is measured of a calibration, but for crops.
DEFAULT = ("none", "mask", "sunglasses")


def add(actions) -> None:
    action = actions.add_parser("verdicts", help="error rates of the verdicts on pairs and on best matches")
    add_folders(action)
    action.add_argument("--occlude", nargs="+", choices=["none", *ALTERATIONS], default=DEFAULT, metavar="KIND",
                        help=f"alterations of the queries (default {' '.join(DEFAULT)})")
    action.add_argument("--methods", nargs="+", choices=METHODS, metavar="METHOD",
                        help="default: all that judge pairs and are ready")
    add_source_photo(action)
    add_options(action, Preparation, "seed", "framing")
    action.add_argument("--json", action="store_true")
    action.set_defaults(run=_verdicts)


def _verdicts(parsed) -> None:
    alterations = [None if word == "none" else word for word in parsed.occlude]
    preparation = preparation_of(argparse.Namespace(**vars(parsed) | {"occlude": None}))
    identifier = identifier_of(parsed)
    found = verdicts(identifier, folder_queries(parsed, identifier, exclude_source=parsed.exclude_source_photo),
                     alterations, preparation, methods=parsed.methods,
                     progress=lambda jobs: tqdm(jobs, desc="Verdicts", unit="query", file=sys.stderr))
    print(json_text(found.as_json()) if parsed.json else found.as_table())
