"""Values from programs and scripts: read as the typed options say, and told by name what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from demo.errors import BadPhoto, BadSetting
from demo.faces import PhotoAt, is_address, no_path
from demo.fields import LARGEST, Field
from demo.ui.components import SentPhoto, sent_photo

_SHOWN, _LISTED = 40, 40


def photo_field(word: str) -> Field:
    """A photo that is sent."""
    return Field(word, SentPhoto, None, word.capitalize(), "A photo of a face.")


def expected(one: Field) -> str:
    """What an option takes, in words."""
    if one.kind is bool:
        return "true or false"
    if one.choices is not None:
        words = list(one.choices)
        return f"one of {', '.join(words[:_LISTED])}{', …' if len(words) > _LISTED else ''}"
    if one.kind is str:
        return "text"
    what = "a whole number" if one.kind is int else "a number"
    if one.low is None:
        return what
    least = f"above {one.low:g}" if one.open_low else f"from {one.low:g}"
    if one.high is not None:
        return f"{what} {least} {'and at most' if one.open_low else 'to'} {one.high:g}"
    return f"{what}, at least {one.low:g} and at most {LARGEST}"


def read(one: Field, value: Any) -> Any:
    """A value for an option, or a photo. BadSetting, or BadPhoto, in one sentence that names it."""
    if one.kind is SentPhoto:
        return _photo(one, value)
    if value is None and not one.optional:
        raise BadSetting(f"{one.word} is missing: give {expected(one)}.")
    try:
        one.check(value)
    except BadSetting:
        raise BadSetting(f"{one.word} must be {expected(one)}; got {_shown(value)}.") from None
    return one.kind(value) if value is not None and one.kind in (int, float) else value


def read_all(fields: Sequence[Field], values: Sequence[object]) -> dict[str, Any]:
    """Every value under its word; the first that is wrong raises."""
    return {one.word: read(one, value) for one, value in zip(fields, values, strict=True)}


def event_value(event: gr.EventData, one: Field) -> Any:
    """What a component's own event carries under an option's word."""
    try:
        value = getattr(event, one.word)
    except (AttributeError, TypeError):  # nothing, or no object, came with the event
        value = None
    return read(one, value)


def _photo(one: Field, value: object) -> str | bytes | PhotoAt:
    alone = one.word == "photo"  # or one of two, with names of their own
    if value is None:
        raise BadPhoto("A photo is needed." if alone else f"Two photos are needed: {one.word} is missing.")
    if isinstance(value, str):
        value = {"url": value} if value.startswith("data:") else {"address": value}
    try:
        photo = SentPhoto.model_validate(value)
        if is_address(photo.address):
            return PhotoAt(str(photo.address))
        if photo.address:
            kind = no_path(photo.address) or "text"
            raise BadPhoto(f"The photo is {kind}: upload it as a file, or send base64 behind data:image/jpeg;base64, "
                           "or the like.")
        return sent_photo(photo)
    except BadPhoto as error:
        raise BadPhoto(str(error) if alone else f"{one.word}: {error}") from None


def _shown(value: object) -> str:
    """A value from outside, short enough for a sentence."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    text = ascii(value) if isinstance(value, str) else str(value).lower()
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} …"
