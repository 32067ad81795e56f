"""Typed options: what they take, what they say, and that flags, text and values go round."""

import argparse
import math
from dataclasses import dataclass, replace

import pytest

from demo.cli.arguments import add_matching, add_preparation, matching_of, preparation_of
from demo.cli.options import Refused, add_fields, given
from demo.errors import BadSetting
from demo.fields import check, fields_of, flags, option
from demo.methods import METHODS, Matching
from demo.query import Preparation, asked

EVERY = [(holder, one) for holder in (Preparation, Matching, *(method.Options for method in METHODS.values()))
         for one in fields_of(holder)]


@dataclass(frozen=True)
class Example:
    share: float = option(0.5, title="Share", help="Of it.", low=0, high=1, open_low=True)
    count: int = option(3, title="Count", help="How many.", low=1)
    kind: str = option("a", title="Kind of thing", help="Which.", choices={"a": "An A", "b": "A B"})
    sure: bool = option(False, title="Sure", help="Whether.")
    limit: float | None = option(None, kind=float, title="Limit", help="At most.", unset="none")


@pytest.mark.parametrize(("name", "value", "words"), [
    ("share", 0, "share must be above 0 and at most 1"), ("share", 1.01, "share must be above 0"),
    ("share", math.nan, "share must be a number"), ("share", math.inf, "share must be a number"),
    ("share", "0.5", "share must be a number"), ("share", True, "share must be a number"),
    ("share", None, "share must be a number"), ("count", 0, "count must be at least 1"),
    ("count", 2.5, "count must be a whole number"), ("count", 10**30, "count must be at most"),
    ("kind", "c", "Unknown kind of thing 'c': choose from a, b."), ("kind", ["a"], "Unknown kind of thing"),
    ("sure", 1, "sure must be true or false"), ("limit", -math.inf, "limit must be a number"),
])
def test_a_value_that_does_not_fit_is_named(name, value, words):
    with pytest.raises(BadSetting, match=words):
        check(replace(Example(), **{name: value}))


def test_values_that_fit():
    check(Example())
    check(Example(share=1, count=2**31 - 1, kind="b", sure=True, limit=-7.5))


@pytest.mark.parametrize("text", ["", "much", "nan", "1e400", "0x10"])
def test_text_that_is_no_number_is_told(text):
    with pytest.raises(BadSetting, match="share"):
        fields_of(Example)[0].read(text)


def test_every_option_is_explained_and_has_a_default_that_fits():
    for holder, one in EVERY:
        assert one.title and one.help.endswith(".") and one.help[0].isupper(), one.name
        one.check(one.default)
        assert one.default is not None or one.optional
        assert getattr(holder(), one.name) == one.default


def test_no_two_options_share_a_word():
    for attribute in ("name", "word", "key"):
        words = [getattr(one, attribute) for _, one in EVERY]
        assert len(words) == len(set(words))


def values_of(one):
    """A few values of an option, its default among them."""
    if one.choices is not None:
        return list(one.choices)
    if one.kind is bool:
        return [True, False]
    if one.kind is tuple:
        return [(8, 8), (4, 4)]
    if one.kind in (int, float):
        return [one.kind(value) for value in (0, 1, 7, 0.25, 0.9) if _fits(one, one.kind(value))]
    return ["surgical-blue"]


def _fits(one, value):
    try:
        one.check(value)
    except BadSetting:
        return False
    return True


@pytest.mark.parametrize("one", [one for _, one in EVERY], ids=[one.name for _, one in EVERY])
def test_values_go_through_text_and_back(one):
    for value in values_of(one):
        assert one.read(one.write(value)) == value


def test_flags_that_are_written_are_read_back():
    parser = argparse.ArgumentParser()
    add_preparation(parser)
    add_matching(parser)
    for holder, one in EVERY:
        if one.name == "detector":  # goes with the backbone
            continue
        for value in values_of(one):
            if holder is Preparation:
                changed = replace(Preparation(), **{one.name: value})
                assert preparation_of(parser.parse_args(flags(changed, fields_of(Preparation)))) == changed
            else:
                changed = Matching().having(**{one.name: value})
                words = flags(changed, fields_of(Matching))
                for options in changed.options:
                    words += flags(options, fields_of(type(options)))
                assert matching_of(parser.parse_args(words)) == changed


def test_several_values_are_one_or_an_error():
    parser = argparse.ArgumentParser()
    add_matching(parser, several=True)
    assert matching_of(parser.parse_args(["--weighting", "sc"])).of("emd").weighting == "sc"
    with pytest.raises(BadSetting, match="one value of --weighting"):
        matching_of(parser.parse_args(["--weighting", "sc", "uniform"]))
    with pytest.raises(BadSetting, match="one value of --grid"):
        matching_of(parser.parse_args(["--grid", "all"]))


def test_a_new_option_is_one_field():
    """Flag, help, reading and writing follow from the field alone."""
    parser = argparse.ArgumentParser()
    add_fields(parser, fields_of(Example))
    parsed = parser.parse_args(["--share", "0.25", "--sure", "--limit", "2"])
    assert given(parsed, Example) == {"share": 0.25, "count": 3, "kind": "a", "sure": True, "limit": 2.0}
    assert flags(Example(share=0.25, sure=True), fields_of(Example)) == ["--share", "0.25", "--sure"]
    assert "At most. (default: none)" in parser.format_help()
    with pytest.raises(Refused, match="count must be at least 1"):
        parser.parse_args(["--count", "0"])


def test_settings_by_name():
    preparation, matching = asked(occlusion="mask", seed=3, stage2="h2l", weighting="sc", grid=(4, 4))
    assert (preparation.alteration, preparation.seed) == ("mask", 3)
    assert (matching.method, matching.grid, matching.of("emd").weighting) == ("h2l", (4, 4), "sc")
    assert matching.of() is None and matching == matching.having() and hash(matching) == hash(matching.having())
    with pytest.raises(BadSetting, match="Unknown setting colour"):
        asked(colour=1)
    with pytest.raises(BadSetting, match="Partial transport is exact"):
        asked(share=0.5, solver="sinkhorn")
