"""``evaluate faithfulness``: do the explanations name what carries the score?"""

from __future__ import annotations

import sys
from pathlib import Path

from demo.cli.arguments import identifier_of, positive, preparation_of
from demo.cli.data import add_folders, add_options, add_source_photo, folder_queries, query_progress
from demo.evaluation import spread
from demo.evaluation.curve_store import CurveStore
from demo.evaluation.faithfulness import Asked, faithfulness
from demo.explain.badge import keep
from demo.explain.covers import REMOVALS
from demo.identify import json_text
from demo.methods import METHODS
from demo.query import Preparation
from demo.settings import settings


def add(actions) -> None:
    usual = Asked()
    action = actions.add_parser("faithfulness", help="deletion and insertion curves of every explanation")
    add_folders(action)
    action.add_argument("--limit", type=positive, metavar="N", help="at most N queries, evenly spread (default: all)")
    add_options(action, Preparation, "alteration", "seed", "framing")
    add_source_photo(action)
    action.add_argument("--removal", choices=REMOVALS, default=usual.removal,
                        help=f"what replaces a pixel (default {usual.removal})")
    action.add_argument("--steps", type=positive, default=usual.steps, help=f"of a curve (default {usual.steps})")
    action.add_argument("--masks", type=positive, default=usual.masks, help=f"of CorrRISE (default {usual.masks})")
    action.add_argument("--score", dest="scores", action="append", choices=METHODS, metavar="METHOD",
                        help="judge explanations of this method's distance; may be repeated (default: all that judge "
                             "pairs)")
    action.add_argument("--kept", action="store_true",
                        help="sum up the probes that an earlier run of this command measured, and measure none")
    action.add_argument("--keep", type=Path, metavar="FILE.json",
                        help="also write the numbers that badges show into this file, beside those of other sets")
    action.add_argument("--set", default="queries", metavar="NAME", help="what --keep calls these photos")
    action.add_argument("--json", action="store_true")
    action.set_defaults(run=_faithfulness)


def _faithfulness(parsed) -> None:
    identifier = identifier_of(parsed)
    queries = spread(folder_queries(parsed, identifier, exclude_source=parsed.exclude_source_photo),
                     parsed.limit)
    asked = Asked(parsed.removal, parsed.steps, parsed.masks, tuple(parsed.scores) if parsed.scores else None)
    store = CurveStore(settings().cache / "faithfulness")
    result = faithfulness(identifier, queries, preparation_of(parsed), asked, store=store, kept=parsed.kept,
                          progress=query_progress)
    if parsed.keep:
        keep(parsed.keep, identifier.backbone.name, parsed.set, result.as_json())
        print(f"The numbers are in {parsed.keep}.", file=sys.stderr)
    print(json_text(result.as_json()) if parsed.json else result.as_table())
