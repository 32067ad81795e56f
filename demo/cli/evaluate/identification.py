"""``evaluate`` without an action: how often is the first match right?"""

from __future__ import annotations

import sys
from pathlib import Path

from demo.cli.arguments import add_method, preparation_of
from demo.cli.data import add_data, measured_identifier, queries_of, query_progress, settings_of, store_of
from demo.evaluation import evaluate
from demo.evaluation.per_query import write_per_query
from demo.identify import json_text


def add(evaluation) -> None:
    """Add the arguments to the parser of ``evaluate`` itself."""
    add_data(evaluation)
    add_method(evaluation, several=True)
    evaluation.add_argument("--per-query", type=Path, metavar="FILE",
                            help="also write what was found of each query, a CSV line per query and ranking")
    evaluation.add_argument("--json", action="store_true")
    evaluation.set_defaults(run=_evaluate)


def _evaluate(parsed) -> None:
    preparation, identifier = preparation_of(parsed), measured_identifier(parsed)
    result = evaluate(identifier, queries_of(parsed, identifier), settings_of(parsed, identifier), preparation,
                      reading=parsed.metrics, store=store_of(identifier),
                      progress=query_progress, jobs=parsed.jobs)
    if parsed.per_query:
        write_per_query(result.records, parsed.per_query)
        print(f"Every query is in {parsed.per_query}.", file=sys.stderr)
    print(json_text(result.as_json()) if parsed.json else result.as_table())
