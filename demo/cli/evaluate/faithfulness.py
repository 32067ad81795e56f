"""``evaluate faithfulness``: do the explanations name the patches that carry the score?"""

from __future__ import annotations

from demo.cli.arguments import identifier_of, positive, preparation_of
from demo.cli.evaluate.data import add_folders, add_options, folder_queries, query_progress
from demo.drawing.erase import REMOVALS
from demo.evaluation import spread
from demo.evaluation.faithfulness import AGAINST, faithfulness
from demo.identify import json_text
from demo.query import Preparation


def add(actions) -> None:
    action = actions.add_parser("faithfulness", help="deletion and insertion curves of every explanation")
    add_folders(action)
    action.add_argument("--limit", type=positive, metavar="N", help="at most N queries, evenly spread (default: all)")
    add_options(action, Preparation, "alteration", "seed")
    action.add_argument("--against", choices=AGAINST, default=AGAINST[0],
                        help="explain against the nearest photo of the query's person, or of all (default true)")
    action.add_argument("--removal", choices=REMOVALS, default="blur", help="what replaces a patch (default blur)")
    action.add_argument("--steps", type=positive, default=16, help="points of a curve (default 16)")
    action.add_argument("--json", action="store_true")
    action.set_defaults(run=_faithfulness)


def _faithfulness(parsed) -> None:
    identifier = identifier_of(parsed)
    queries = folder_queries(parsed, identifier)
    result = faithfulness(identifier, spread(queries, parsed.limit), preparation_of(parsed), against=parsed.against,
                          removal=parsed.removal, steps=parsed.steps, progress=query_progress)
    print(json_text(result.as_json()) if parsed.json else result.as_table())
