"""``evaluate beyond``: what the papers left open, tried and measured against their EMD."""

from __future__ import annotations

import argparse

from demo.cli.arguments import identifier_of, preparation_of
from demo.cli.data import add_folders, add_options, folder_queries, query_progress, store_of
from demo.evaluation.beyond import beyond
from demo.identify import json_text
from demo.methods import Matching
from demo.query import ALTERATIONS, Preparation

#: The paper's alterations.
DEFAULT = ("none", "mask", "sunglasses", "crop")


def add(actions) -> None:
    action = actions.add_parser("beyond", help="other distances for Stage 2 against the papers', with intervals")
    add_folders(action)
    action.add_argument("--occlude", nargs="+", choices=["none", *ALTERATIONS], default=DEFAULT, metavar="KIND",
                        help=f"alterations of the queries (default {' '.join(DEFAULT)})")
    add_options(action, Preparation, "seed", "framing")
    add_options(action, Matching, "k")
    action.add_argument("--json", action="store_true")
    action.set_defaults(run=_beyond)


def _beyond(parsed) -> None:
    alterations = [None if word == "none" else word for word in parsed.occlude]
    preparation = preparation_of(argparse.Namespace(**vars(parsed) | {"occlude": None}))
    identifier = identifier_of(parsed)
    queries = folder_queries(parsed, identifier)
    result = beyond(identifier, queries, alterations, preparation, k=parsed.k,
                    store=store_of(identifier), progress=query_progress)
    print(json_text(result.as_json()) if parsed.json else result.as_table())
