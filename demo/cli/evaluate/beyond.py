"""``evaluate beyond``: what the papers left open, tried and measured against their EMD."""

from __future__ import annotations

from demo.cli.arguments import identifier_of, positive
from demo.cli.evaluate.data import add_folders, folder_queries, query_progress
from demo.evaluation import FeatureStore
from demo.evaluation.beyond import beyond
from demo.identify import json_text
from demo.query import ALTERATIONS
from demo.settings import settings

#: The paper's alterations.
DEFAULT = ("none", "mask", "sunglasses", "crop")


def add(actions) -> None:
    action = actions.add_parser("beyond", help="other distances for Stage 2 against the papers', with intervals")
    add_folders(action)
    action.add_argument("--occlude", nargs="+", choices=["none", *ALTERATIONS], default=DEFAULT, metavar="KIND",
                        help=f"alterations of the queries (default {' '.join(DEFAULT)})")
    action.add_argument("--seed", type=int, default=0)
    action.add_argument("--k", type=positive, default=100, help="candidates to re-rank (default 100)")
    action.add_argument("--json", action="store_true")
    action.set_defaults(run=_beyond)


def _beyond(parsed) -> None:
    identifier = identifier_of(parsed)
    queries = folder_queries(parsed, identifier)
    result = beyond(identifier, queries, [None if word == "none" else word for word in parsed.occlude], k=parsed.k,
                    seed=parsed.seed, store=FeatureStore(settings().cache, identifier.backbone),
                    progress=query_progress)
    print(json_text(result.as_json()) if parsed.json else result.as_table())
