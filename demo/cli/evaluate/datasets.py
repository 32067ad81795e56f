"""``evaluate datasets``: where to get the papers' data sets, how they must lie, and whether a folder is whole."""

from __future__ import annotations

from pathlib import Path

from demo.errors import BadSetting
from demo.evaluation.datasets import DATASETS, check_dataset
from demo.identify import json_text


def add(actions) -> None:
    action = actions.add_parser("datasets", help="where to get data sets, how they must lie, and whether one is whole")
    action.add_argument("name", nargs="?", choices=DATASETS, metavar="NAME", help=", ".join(DATASETS))
    action.add_argument("--check", type=Path, metavar="FOLDER", help="count what is there and say what is missing")
    action.add_argument("--json", action="store_true")
    action.set_defaults(run=_datasets)


def _datasets(parsed) -> int:
    if parsed.check:
        if not parsed.name:
            raise BadSetting("Say which data set to check: evaluate datasets NAME --check FOLDER.")
        found = check_dataset(parsed.check, parsed.name)
        print(json_text(found.as_json()) if parsed.json else found.as_text())
        return 1 if found.problems else 0
    chosen = [DATASETS[parsed.name]] if parsed.name else list(DATASETS.values())
    recipes = [{"name": one.name, "title": one.title, "source": one.source, "layout": one.layout,
                "pairs": list(one.pairs), "licence": one.licence, "expected": dict(one.expected)} for one in chosen]
    if parsed.json:
        print(json_text(recipes))
        return 0
    for recipe in recipes:
        counts = ", ".join(f"{count:,} {what}" for what, count in recipe["expected"].items())
        print(f"{recipe['name']}: {recipe['title']} ({recipe['licence']})\n  get it: {recipe['source']}\n"
              f"  layout: {recipe['layout']}" + (f"\n  counts: {counts}" if counts else ""))
    return 0
