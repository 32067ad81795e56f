"""What tables and files call a setting."""

from __future__ import annotations

from typing import Any

from demo.backbones import grid_name
from demo.fields import fields_of
from demo.methods import METHODS, PUBLISHED, Matching


def grid_of(matching: Matching) -> str:
    """The grid of a setting in a word."""
    return grid_name(matching.grid) if matching.grid else "finest"


def setting_name(matching: Matching) -> str:
    """What a table calls the Stage 2 of a setting: what evaluations vary of its method, the method where it is not the
    published one, and alpha and k where they are not the usual ones."""
    words = ([] if matching.method == PUBLISHED.word else [matching.method]) + _varied(matching)
    words += [] if matching.alpha is None else [f"α {matching.alpha:g}"]
    return ", ".join(words + ([] if matching.k == Matching().k else [f"k {matching.k}"]))


def score_name(matching: Matching) -> str:
    """What the report calls it beside the papers' numbers: "EMD apc 8x8"."""
    return " ".join([METHODS[matching.method].short, *_varied(matching)])


def _varied(matching: Matching) -> list[str]:
    own = matching.of()
    words = [one.show(getattr(own, one.name)) for one in matching.used() if one.several]
    return words + ([grid_of(matching)] if METHODS[matching.method].uses_grid else [])


def plain_setting(matching: Matching) -> dict[str, Any]:
    """Every option of a setting by its key, as plain data; extras where they are used."""
    values = {}
    for holder in (matching, *matching.options):
        for one in fields_of(type(holder)):
            value = getattr(holder, one.name)
            if one.extra and value == one.default:
                continue
            values[one.key] = one.show(value) if one.parse and value is not None else value
    return values | {"grid": grid_of(matching)}
