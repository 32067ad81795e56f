"""``evaluate beyond``: what the papers left open, tried and measured against their EMD."""

from __future__ import annotations

from pathlib import Path

from demo.cli.arguments import add_source, identifier_of, positive
from demo.cli.evaluate.data import query_progress
from demo.evaluation import FeatureStore, leave_one_out, query_folder
from demo.evaluation.beyond import beyond
from demo.identify import json_text
from demo.query import ALTERATIONS
from demo.settings import settings

#: The paper's alterations.
DEFAULT = ("none", "mask", "sunglasses", "crop")


def add(actions) -> None:
    action = actions.add_parser("beyond", help="other distances for Stage 2 against the papers', with intervals")
    add_source(action)
    action.add_argument("--queries", type=Path, metavar="Q", help="folder of query photos (default: leave one out)")
    action.add_argument("--occlude", nargs="+", choices=["none", *ALTERATIONS], default=DEFAULT, metavar="KIND",
                        help=f"alterations of the queries (default {' '.join(DEFAULT)})")
    action.add_argument("--seed", type=int, default=0)
    action.add_argument("--k", type=positive, default=100, help="candidates to re-rank (default 100)")
    action.add_argument("--json", action="store_true")
    action.set_defaults(run=_beyond)


def _beyond(parsed) -> None:
    identifier = identifier_of(parsed)
    queries = query_folder(parsed.queries) if parsed.queries else leave_one_out(identifier.gallery)
    result = beyond(identifier, queries, [None if word == "none" else word for word in parsed.occlude], k=parsed.k,
                    seed=parsed.seed, store=FeatureStore(settings().cache, identifier.backbone),
                    progress=query_progress)
    print(json_text(result.as_json()) if parsed.json else result.as_table())
