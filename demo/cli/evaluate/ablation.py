"""``evaluate ablation``: the papers' ablations, one table each."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from demo.cli.arguments import add_method, matching_of, preparation_of
from demo.cli.data import add_data, measured_identifier, queries_of, query_progress, store_of
from demo.evaluation.ablations import ABLATIONS, Bench
from demo.fields import fields_of
from demo.identify import Identifier, json_text
from demo.methods import PUBLISHED
from demo.methods.h2l import H2L
from demo.settings import settings


def add(actions) -> None:
    action = actions.add_parser("ablation", help="one of the papers' ablations: " + ", ".join(ABLATIONS))
    action.add_argument("ablation", choices=ABLATIONS, metavar="WHAT",
                        help="; ".join(f"{one.name}: {one.title} ({one.item})" for one in ABLATIONS.values()))
    add_data(action)
    add_method(action, several=True)
    action.set_defaults(stage2=PUBLISHED.word)
    action.add_argument("--models", type=Path, nargs="+", default=[], metavar="FILE", help="of sizes: the H2L files")
    action.add_argument("--json", action="store_true")
    action.set_defaults(run=_ablation)


def _ablation(parsed) -> None:
    chosen = ABLATIONS[parsed.ablation]
    published = [one.name for one in fields_of(PUBLISHED.Options)]  # the papers' tables are of their own method
    bench = Bench(partial(_identifier, parsed), partial(queries_of, parsed), store_of,
                  parsed.backbone or settings().backbone, preparation_of(parsed), matching_of(parsed, published),
                  parsed.metrics, query_progress, parsed.jobs,
                  {file.name: partial(_with_model, parsed, file) for file in parsed.models})
    table = chosen.run(bench)
    if parsed.json:
        print(json_text({"ablation": chosen.name, "title": chosen.title, "item": chosen.item, **table.as_json()}))
    else:
        print(f"{chosen.title} ({chosen.item})\n\n{table.as_markdown()}")


def _identifier(parsed, name: str) -> Identifier:
    if name == (parsed.backbone or settings().backbone):
        return measured_identifier(parsed)
    other = argparse.Namespace(**{**vars(parsed), "backbone": name, "weights": None, "backbone_option": [],
                                  "stage2_weights": None})
    return measured_identifier(other)


def _with_model(parsed, file: Path) -> Identifier:
    return measured_identifier(argparse.Namespace(**{**vars(parsed), "stage2": H2L.word, "stage2_weights": file}))
