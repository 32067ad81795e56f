"""``weights card``: what a file of a cross-image model is, and what it gains on photos."""

from __future__ import annotations

import argparse
import shlex
from functools import partial
from pathlib import Path

from demo.cli.arguments import preparation_of
from demo.cli.data import (
    add_data,
    add_options,
    measured_identifier,
    queries_of,
    query_progress,
    settings_of,
    store_of,
)
from demo.cli.options import add_fields, repeated
from demo.crossimage.facts import Facts, facts_of
from demo.errors import BadSetting
from demo.evaluation.card import Measured, card_json, card_markdown, measure
from demo.fields import fields_of
from demo.identify import json_text
from demo.methods import Matching, method_with
from demo.query import ALTERATIONS, Preparation
from demo.settings import settings

#: What the models here are for, and what they must not harm.
DEFAULT = ("none", "mask", "sunglasses")
#: Flags that say nothing of what is measured.
_ASIDE = ("--jobs", "--json")


def add(actions) -> None:
    action = actions.add_parser("card", help="model card of a cross-image model: its facts, and what it gains")
    action.add_argument("file", type=Path, metavar="FILE", help="trained here, or a published checkpoint of Face-ViT")
    measured = action.add_argument_group("measured, where --gallery or --queries is given")
    add_data(measured)
    measured.add_argument("--occlude", nargs="+", choices=["none", *ALTERATIONS], metavar="KIND",
                          help=f"alterations of the queries (default {' '.join(DEFAULT)})")
    add_options(measured, Preparation, "seed")
    # What is not given is the preset's, as of evaluate.
    add_fields(measured, [one for one in fields_of(Preparation) if one.name == "framing"], explicit=True)
    add_options(measured, Matching, "k")
    action.add_argument("--json", action="store_true")
    # None, so that what is asked for can be told from the default.
    action.set_defaults(run=partial(_card, action), gallery=None, backbone=None)


def _card(parser: argparse.ArgumentParser, parsed) -> None:
    flags = repeated(parser, parsed, leave_out=_ASIDE)
    facts = facts_of(parsed.file, settings().weights)
    measured = None
    if parsed.gallery or parsed.queries:
        command = shlex.join(["python", "-m", "demo", "weights", "card", str(parsed.file), *flags])
        measured = _measured(parsed, facts, command)
    elif flags:
        raise BadSetting(f"Nothing is measured without photos, so {flags[0]} has no use: give --gallery or --queries.")
    print(json_text(card_json(facts, measured)) if parsed.json else card_markdown(facts, measured))


def _measured(parsed, facts: Facts, command: str) -> Measured:
    """As ``evaluate --stage2-weights FILE`` measures it, with the alpha of the file, once for each alteration."""
    chosen = settings()
    asked = argparse.Namespace(**{
        **vars(parsed), "gallery": parsed.gallery or chosen.galleries / chosen.gallery, "stage2_weights": parsed.file,
        "stage2": method_with(facts.kind).word, "occlude": None, "alpha": None, "grid": None, "k": [parsed.k]})
    preparation, identifier = preparation_of(asked), measured_identifier(asked)
    [matching] = settings_of(asked, identifier)
    alterations = [None if word == "none" else word for word in parsed.occlude or DEFAULT]
    return measure(identifier, queries_of(asked, identifier), alterations, matching, preparation,
                   reading=parsed.metrics, store=store_of(identifier), progress=query_progress, jobs=parsed.jobs,
                   command=command)
