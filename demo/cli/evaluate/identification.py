"""``evaluate`` without an action: how often is the first match right?"""

from __future__ import annotations

from dataclasses import replace

from demo.cli.arguments import add_method, options_of
from demo.cli.evaluate.data import add_data, measured_identifier, queries_of, query_progress
from demo.evaluation import FeatureStore, evaluate
from demo.identify import json_text
from demo.matching import WEIGHTINGS, weighting_problems
from demo.settings import settings


def add(evaluation) -> None:
    """Add the arguments to the parser of ``evaluate`` itself."""
    add_data(evaluation)
    add_method(evaluation, several=True)
    evaluation.add_argument("--json", action="store_true")
    evaluation.set_defaults(run=_evaluate, face=1)


def _evaluate(parsed) -> None:
    weightings = list(WEIGHTINGS) if parsed.weighting == "all" else [parsed.weighting]
    every_grid = parsed.grid == "all"
    parsed.weighting, parsed.grid = weightings[0], None if every_grid else parsed.grid
    base = options_of(parsed)
    identifier = measured_identifier(parsed)
    backbone = identifier.backbone
    grids = backbone.info.grids if every_grid else [base.grid or backbone.info.grids[0]]
    chosen = [replace(base, weighting=weighting, grid=grid) for grid in grids for weighting in weightings
              if len(weightings) == 1 or not weighting_problems(backbone.info, grid)[weighting]]
    result = evaluate(identifier, queries_of(parsed, identifier), chosen, reading=parsed.metrics,
                      store=FeatureStore(settings().cache, backbone), progress=query_progress)
    print(json_text(result.as_json()) if parsed.json else result.as_table())
