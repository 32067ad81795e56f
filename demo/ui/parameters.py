"""Values from programs: each parameter of a public endpoint has a type and a range, and says by name what is wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import gradio as gr

from demo.errors import BadPhoto, BadSetting
from demo.ui.components import PhotoInput, SentPhoto, sent_photo

#: Largest whole number where a parameter sets no limit: what 64 bits hold.
MOST = 2**63 - 1
_SHOWN, _LISTED = 40, 40


@dataclass(frozen=True)
class Parameter:
    """What a program, or a script of the page, may give under a name.

    kind: bool, int, float, str, or SentPhoto. low, high: of numbers, both included. choices: of words, asked for anew
    each time; None = any text.
    """

    name: str
    kind: type
    low: float = -math.inf
    high: float = math.inf
    choices: Callable[[], Collection[str]] | None = None

    @classmethod
    def of(cls, name: str, component: gr.components.Component,
           choices: Callable[[], Collection[str]] | None = None) -> Parameter:
        """What a component of the form takes. choices: where they change while the app runs."""
        if isinstance(component, PhotoInput):
            return cls(name, SentPhoto)
        if isinstance(component, gr.Checkbox):
            return cls(name, bool)
        if isinstance(component, gr.Slider):
            whole = all(isinstance(number, int) for number in (component.minimum, component.maximum, component.step))
            return cls(name, int if whole else float, component.minimum, component.maximum)
        if isinstance(component, gr.Number):
            return cls(name, int, 0 if component.minimum is None else component.minimum, MOST)
        return cls(name, str, choices=choices or (lambda: [word for _, word in component.choices]))

    @property
    def expected(self) -> str:
        """In words."""
        if self.kind is bool:
            return "true or false"
        if self.choices is not None:
            words = list(self.choices())
            return f"one of {', '.join(words[:_LISTED])}{', …' if len(words) > _LISTED else ''}"
        if self.kind is str:
            return "text"
        what = "a whole number" if self.kind is int else "a number"
        return f"{what} from {self.low:g} to {self.high:g}" if self.high < MOST else f"{what}, at least {self.low:g}"

    def read(self, value: object):
        """The value as its kind. BadSetting, or BadPhoto, in one sentence that names the parameter."""
        if self.kind is SentPhoto:
            return self._photo(value)
        if value is None:
            raise BadSetting(f"{self.name} is missing: give {self.expected}.")
        try:
            return _READERS[self.kind](self, value)
        except (ValueError, TypeError):
            raise BadSetting(f"{self.name} must be {self.expected}; got {_shown(value)}.") from None

    def takes(self, value: object) -> bool:
        """Whether it is a value to ``read``."""
        try:
            self.read(value)
        except (BadSetting, BadPhoto):
            return False
        return True

    def _photo(self, value: object) -> str | bytes:
        alone = self.name == "photo"  # or one of two, with names of their own
        if value is None:
            raise BadPhoto("A photo is needed." if alone else f"Two photos are needed: {self.name} is missing.")
        try:
            return sent_photo(SentPhoto.model_validate(value))
        except BadPhoto as error:
            raise BadPhoto(str(error) if alone else f"{self.name}: {error}") from None

    def _in_range(self, number):
        if not self.low <= number <= self.high:  # nor is what is no number
            raise ValueError
        return number


def read_all(parameters: Sequence[Parameter], values: Sequence[object]) -> Mapping[str, object]:
    """Every value under its name; the first that is wrong raises."""
    return {one.name: one.read(value) for one, value in zip(parameters, values, strict=True)}


def event_value(event: gr.EventData, parameter: Parameter):
    """What a component's own event carries under the parameter's name, read as a parameter is."""
    try:
        value = getattr(event, parameter.name)
    except (AttributeError, TypeError):  # nothing, or no object, came with the event
        value = None
    return parameter.read(value)


def _flag(_: Parameter, value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _whole(parameter: Parameter, value: object) -> int:
    if isinstance(value, bool) or not (isinstance(value, int) or isinstance(value, float) and value.is_integer()):
        raise TypeError
    return int(parameter._in_range(value))


def _number(parameter: Parameter, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return float(parameter._in_range(value))


def _word(parameter: Parameter, value: object) -> str:
    if not isinstance(value, str) or parameter.choices is not None and value not in parameter.choices():
        raise ValueError
    return value


_READERS = {bool: _flag, int: _whole, float: _number, str: _word}


def _shown(value: object) -> str:
    """A value from outside, short enough for a sentence."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    text = ascii(value) if isinstance(value, str) else str(value).lower()
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} …"
