"""Options as typed fields: what one is called, what it takes and how it is read, written and explained, in one place.

A frozen dataclass whose fields are made by ``option`` is all there is to say: the flags of the command line, the
widgets, the link, the command that repeats an answer, the API's parameters and the JSON are generated from
``fields_of``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from demo.errors import BadSetting

#: Value → title; a function where the choices are known only once everything is loaded.
Choices = Mapping[Any, str] | Callable[[], Mapping[Any, str]]

_SPEC = "option"
#: Numbers beyond this are refused before they can become an index or a size.
LARGEST = 2**31 - 1


@dataclass(frozen=True)
class Field:
    """One option.

    name: the attribute. word: on the command line, in links and in the API. key: in Python calls and in JSON.
    title: for a widget; called: in sentences. help: one sentence for people. kind: bool, int, float, str, or the type
    that ``parse`` gives. default: None where something else decides (then ``optional``): unset says what. low, high,
    step: range of a number, ends included; open_low: ``low`` itself is not allowed. choices: of a value, or None.
    parse, show: text ↔ value for other kinds. several: an evaluation may vary it. each: either photo of a pair has its
    own. of: name of the option without which it plays no part. extra: not in the papers, so that forms explain it and
    commands name it only where it is chosen. into: name of the option whose value in an answer holds what it did.
    always: said in the answer whatever method ranks.
    """

    name: str
    kind: type
    default: Any
    title: str
    help: str
    word: str = ""
    key: str = ""
    optional: bool = False
    low: float | None = None
    high: float | None = None
    step: float | None = None
    open_low: bool = False
    known: Choices | None = None
    parse: Callable[[str], Any] | None = None
    show: Callable[[Any], str] = str
    several: bool = False
    each: bool = False
    of: str = ""
    extra: bool = False
    into: str = ""
    always: bool = False
    called: str = ""
    unset: str = ""

    def __post_init__(self):
        for attribute in ("word", "key"):
            if not getattr(self, attribute):
                object.__setattr__(self, attribute, self.name)

    @property
    def choices(self) -> Mapping[Any, str] | None:
        """Value → title of what may be chosen, or None where anything of the kind and range may be given."""
        return self.known() if callable(self.known) else self.known

    def check(self, value: Any) -> None:
        """Raise BadSetting, one sentence that names the option, for a value that it does not take."""
        if value is None and self.optional:
            return
        if self.choices is not None:
            if not isinstance(value, str) or value not in self.choices:
                raise BadSetting(f"Unknown {self.plain} {value!r}: choose from {', '.join(map(str, self.choices))}.")
            return
        if self.kind is bool:
            if not isinstance(value, bool):
                raise BadSetting(f"{self.word} must be true or false; got {value!r}.")
        elif self.kind in (int, float):
            self._check_number(value)
        elif not isinstance(value, self.kind):
            raise BadSetting(f"{self.word} cannot be {value!r}.")

    def _check_number(self, value: Any) -> None:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        finite = number and (isinstance(value, int) or math.isfinite(value))
        if not finite or (self.kind is int and value != int(value)):
            raise BadSetting(f"{self.word} must be a {'whole ' * (self.kind is int)}number; got {value!r}.")
        low, high = self.low, self.high
        beneath = low is not None and (value <= low if self.open_low else value < low)
        if not beneath and (high is None or value <= high) and abs(value) <= LARGEST:
            return
        if low is not None and high is not None:
            told = f"must be above {low:g} and at most {high:g}" if self.open_low else (
                f"must lie between {low:g} and {high:g}")
        elif beneath:
            told = f"must be at least {low:g}"
        else:
            told = f"must be at most {LARGEST if high is None else format(high, 'g')}"
        raise BadSetting(f"{self.word} {told}; got {value!r}.")

    @property
    def plain(self) -> str:
        """What a sentence calls it."""
        return self.called or self.title[0].lower() + self.title[1:]

    def read(self, text: str) -> Any:
        """Text of a link or a flag → value; BadSetting for text that is none."""
        if self.optional and text == "":
            return None
        try:
            value = (self.parse(text) if self.parse else {"True": True, "False": False}[text.capitalize()]
                     if self.kind is bool else self.kind(text))
        except (KeyError, ValueError, OverflowError) as error:
            if isinstance(error, BadSetting):
                raise
            raise BadSetting(f"{self.word} cannot be {text!r}.") from None
        self.check(value)
        return value

    def write(self, value: Any) -> str:
        """The value as ``read`` takes it."""
        if value is None:
            return ""
        return f"{value:g}" if isinstance(value, float) else self.show(value)


def option(default: Any, *, title: str, help: str, kind: type | None = None, choices: Choices | None = None, **more):
    """A dataclass field that is an option; see ``Field`` for the arguments. kind: needed where default is None."""
    spec = {"title": title, "help": help, "kind": kind or type(default), "known": choices,
            "optional": default is None, **more}
    return field(default=default, metadata={_SPEC: spec})


@cache
def fields_of(options: type) -> tuple[Field, ...]:
    """The options of a dataclass, in their order."""
    found = []
    for one in dataclasses.fields(options):
        if spec := one.metadata.get(_SPEC):
            found.append(Field(**{**spec, "name": one.name, "default": one.default}))
    return tuple(found)


def check(options: Any) -> None:
    """Raise BadSetting, in one sentence, for the first option of a dataclass's instance that does not fit."""
    for one in fields_of(type(options)):
        one.check(getattr(options, one.name))


def changed(options: Any, values: Mapping[str, Any]) -> Any:
    """A copy of a dataclass's instance with some options changed, each by its name or key. BadSetting for a name that
    it does not know."""
    names = {known: one.name for one in fields_of(type(options)) for known in (one.name, one.key)}
    unknown = sorted(set(values) - names.keys())
    if unknown:
        raise BadSetting(f"Unknown setting {', '.join(unknown)}.")
    return dataclasses.replace(options, **{names[name]: value for name, value in values.items()})


def flags(options: Any, fields: Iterable[Field], *, suffix: str = "", every: bool = False) -> list[str]:
    """The words of the command line that give these options: those that are not the default, or every one that a flag
    can give."""
    words = []
    for one in fields:
        value = getattr(options, one.name)
        if value is None or value is False or (not every and value == one.default):
            continue
        words += [f"--{one.word}{suffix}"] if one.kind is bool else [f"--{one.word}{suffix}", one.write(value)]
    return words
