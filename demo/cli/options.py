"""Flags made from typed fields (``demo.fields``), and what they stand for."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Iterable
from typing import Any

from demo.errors import BadSetting
from demo.fields import Field, fields_of

#: For every value of an option that an evaluation may vary.
ALL = "all"


class Refused(Exception):
    """A flag's value does not fit; the sentence says why. No ValueError: argparse would put its usage before it."""


def add_fields(parser: argparse.ArgumentParser, fields: Iterable[Field], *, suffix: str = "",
               several: bool = False, explicit: bool = False) -> None:
    """A flag per option. suffix: of a second set of the same, such as "-second". several: those that an evaluation may
    vary take more than one value, or "all". explicit: what is not given is not in the answer, so that something else
    than the default may stand in for it."""
    for one in fields:
        flag, told = f"--{one.word}{suffix}", one.help.replace("%", "%%")
        if one.kind is bool:
            parser.add_argument(flag, action="store_true", help=told,
                                default=argparse.SUPPRESS if explicit else one.default)
            continue
        chosen = one.choices
        more: dict[str, Any] = {"metavar": f"{{{','.join(map(str, chosen))}}}" if chosen else one.word.upper()}
        if several and one.several:
            more |= {"nargs": "+", "action": "extend"}
            told += " Several may be given, or all." if _listed(one) else " Several may be given."
        default = one.unset or (one.default is not None and one.write(one.default))
        told += f" (default: {default})" if default else ""
        start = None if several and one.several else argparse.SUPPRESS if explicit else one.default
        parser.add_argument(flag, type=_reader(one, several), help=told, default=start, **more)


def _listed(one: Field) -> bool:
    """Whether it is known what "all" would be: words of a list, or the grids of a backbone."""
    return bool(one.choices) or one.kind is tuple


def _reader(one: Field, several: bool) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        if several and one.several and text == ALL and _listed(one):
            return ALL
        try:
            return one.read(text)
        except BadSetting as error:
            raise Refused(str(error)) from None

    return read


def given(parsed: argparse.Namespace, options: type, *, suffix: str = "") -> dict[str, Any]:
    """Name of an option → its value, of those that the command has a flag for. A flag that took several values gives
    its one value; BadSetting where there are more."""
    values = {}
    for one in fields_of(options):
        dest = f"{one.word}{suffix}".replace("-", "_")
        if not hasattr(parsed, dest):
            continue
        value = getattr(parsed, dest)
        if one.several and isinstance(value, list):
            if len(value) > 1 or ALL in value:
                raise BadSetting(f"Give one value of --{one.word} here.")
            value = value[0]
        if value is not None:
            values[one.name] = value
    return values


def repeated(parser: argparse.ArgumentParser, parsed: argparse.Namespace, leave_out: Collection[str] = ()) -> list[str]:
    """The flags that ask for the same again: those whose values are not the defaults. leave_out: flags that are not
    repeated."""
    words: list[str] = []
    for action in parser._actions:
        value = getattr(parsed, action.dest, action.default)
        if not action.option_strings or value == action.default or action.option_strings[0] in leave_out:
            continue
        if isinstance(action, argparse.BooleanOptionalAction):
            words.append(action.option_strings[0 if value else 1])
            continue
        words.append(action.option_strings[0])
        if action.nargs is None and isinstance(value, list):  # given one by one, as NAME=VALUE
            words[-1:] = [word for name, told in value for word in (action.option_strings[0], f"{name}={_plain(told)}")]
        elif action.nargs != 0:
            words += map(str, value if isinstance(value, list) else [value])
    return words


def _plain(value: str | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else value
