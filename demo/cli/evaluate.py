"""``evaluate``: how often is the first match right?"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from demo.cli.arguments import add_method, add_source, identifier_of, options_of
from demo.evaluation import evaluate, leave_one_out, query_folder
from demo.identify import json_text
from demo.matching import WEIGHTINGS, weighting_problems


def add(commands) -> None:
    evaluation = commands.add_parser("evaluate", help="P@1, RP and MAP@R of both stages")
    add_source(evaluation)
    evaluation.add_argument("--queries", type=Path, metavar="FOLDER",
                            help="query photos, one sub-folder per person (default: leave one out)")
    add_method(evaluation, several=True)
    evaluation.add_argument("--json", action="store_true")
    evaluation.set_defaults(run=_evaluate, face=1)


def _evaluate(parsed) -> None:
    weightings = list(WEIGHTINGS) if parsed.weighting == "all" else [parsed.weighting]
    grids = None if parsed.grid == "all" else parsed.grid
    parsed.weighting, parsed.grid = weightings[0], grids
    base = options_of(parsed)
    identifier = identifier_of(parsed)
    every_grid = identifier.backbone.info.grids if grids is None else [base.grid]
    chosen = [replace(base, weighting=weighting, grid=grid) for grid in every_grid for weighting in weightings
              if len(weightings) == 1 or not weighting_problems(identifier.backbone.info, grid)[weighting]]
    queries = query_folder(parsed.queries) if parsed.queries else leave_one_out(identifier.gallery)
    result = evaluate(identifier, queries, chosen,
                      progress=lambda items: tqdm(items, desc="Queries", unit="query", file=sys.stderr))
    if parsed.json:
        print(json_text(result.as_json()))
    else:
        print(result.as_table())
