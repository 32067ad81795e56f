"""Questionnaires and comprehension checks, as data in the configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from reprlib import repr as brief
from typing import Any, TypeGuard

from demo.errors import BadStudy

#: When a form stands: word → where.
WHEN = {
    "start": "before the instructions", "instructed": "after the instructions, before the first practice",
    "block": "after every round", "end": "after the last round",
}
#: Kinds of questions: word → the keys that it needs beside id, text and kind.
KINDS = {"choice": ("choices",), "scale": ("steps",), "number": (), "text": ()}
_OPTIONAL = {"optional", "right", "from", "to", "low", "high"}
#: Longest text that somebody may write, and largest number.
LONGEST_ANSWER, _LARGEST = 2000, 1_000_000
#: Tries at a comprehension check before the study ends for somebody.
TRIES = 2


def check_forms(forms: Sequence[Any]) -> None:
    """Raise BadStudy for the first form that cannot be shown."""
    if len(forms) > 20:
        raise BadStudy("questionnaires may be at most 20.")
    names = [form.get("id") if isinstance(form, Mapping) else None for form in forms]
    for name, form in zip(names, forms, strict=True):
        if not _is_id(name) or names.count(name) > 1:
            raise BadStudy(f"Every questionnaire needs an id of its own, of letters and digits; got {brief(name)}.")
        if not _is_one_of(form.get("when"), WHEN):
            raise BadStudy(f"The questionnaire {name} needs \"when\", one of {', '.join(WHEN)}.")
        if set(form) != {"id", "when", "title", "items"} or not _is_text(form["title"]):
            raise BadStudy(f"The questionnaire {name} needs id, when, title and items, and nothing else.")
        items = form["items"]
        if not isinstance(items, Sequence) or isinstance(items, str) or not 1 <= len(items) <= 60:
            raise BadStudy(f"The questionnaire {name} needs 1 to 60 items.")
        _check_items(name, items)


def _check_items(form: str, items: Sequence[Any]) -> None:
    seen: set[str] = set()
    for item in items:
        name = item.get("id") if isinstance(item, Mapping) else None
        if not _is_id(name) or name in seen:
            raise BadStudy(f"Every item of the questionnaire {form} needs an id of its own, of letters and digits.")
        seen.add(name)
        where, kind = f"The item {name} of the questionnaire {form}", item.get("kind")
        if not _is_one_of(kind, KINDS) or not _is_text(item.get("text")):
            raise BadStudy(f"{where} needs a text and a kind, one of {', '.join(KINDS)}.")
        missing = [key for key in KINDS[kind] if key not in item]
        strange = set(item) - {"id", "text", "kind", *KINDS[kind], *_OPTIONAL}
        if missing or strange:
            what = f"needs {missing[0]}" if missing else f"has no setting {brief(sorted(strange)[0])}"
            raise BadStudy(f"{where} {what}.")
        choices = item.get("choices", ["", ""])
        if not isinstance(choices, Sequence) or isinstance(choices, str) or not 2 <= len(choices) <= 30 or not all(
                isinstance(choice, str) for choice in choices):
            raise BadStudy(f"{where} needs 2 to 30 choices.")
        if not _is_whole(item.get("steps", 2)) or not 2 <= item.get("steps", 2) <= 101:
            raise BadStudy(f"{where} needs 2 to 101 steps.")
        right = item.get("right", 0)
        if "right" in item and not (kind == "choice" and _is_whole(right) and 0 <= right < len(choices)):
            raise BadStudy(f"{where} needs \"right\" to be the number of a choice, from 0.")
        if not isinstance(item.get("optional", False), bool):
            raise BadStudy(f"{where} needs true or false as 'optional'.")
        for key in ("from", "to"):
            if key in item and not _is_text(item[key]):
                raise BadStudy(f"{where} needs a text as {brief(key)}.")
        for key in ("low", "high"):
            if key in item and (isinstance(item[key], bool) or not isinstance(item[key], int | float)):
                raise BadStudy(f"{where} needs a number as {brief(key)}.")


def forms_at(forms: Sequence[Mapping], when: str) -> list[Mapping]:
    """The forms of one time, in their order."""
    return [form for form in forms if form["when"] == when]


def read_answers(form: Mapping, given: Mapping[str, Any]) -> dict[str, str | None]:
    """Item → the answer as text (of a choice its number, of a scale 1 to steps), None where it was left out. BadStudy,
    with the item's id, for one that is missing or out of range."""
    answers: dict[str, str | None] = {}
    for item in form["items"]:
        value = given.get(item["id"])
        if value is None or value == "":
            if not item.get("optional"):
                raise BadStudy(f"The question {item['id']} is not answered.")
            answers[item["id"]] = None
            continue
        if not _fits(item, value):
            raise BadStudy(f"The answer to {item['id']} cannot be read.")
        answers[item["id"]] = value if isinstance(value, str) else f"{value:g}"
    return answers


def passed(form: Mapping, answers: Mapping[str, str | None]) -> bool:
    """Whether every item with a right answer got it."""
    return all(answers.get(item["id"]) == str(item["right"]) for item in form["items"] if "right" in item)


def shown(form: Mapping) -> dict:
    """A form as a page may see it: without the right answers."""
    return {"id": form["id"], "title": form["title"],
            "items": [{key: value for key, value in item.items() if key != "right"} for item in form["items"]]}


def _fits(item: Mapping, value: Any) -> bool:
    kind = item["kind"]
    if kind == "text":
        return isinstance(value, str) and len(value) <= LONGEST_ANSWER
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if kind == "number":
        return max(item.get("low", -_LARGEST), -_LARGEST) <= value <= min(item.get("high", _LARGEST), _LARGEST)
    first, last = (0, len(item["choices"]) - 1) if kind == "choice" else (1, item["steps"])
    return _is_whole(value) and first <= value <= last


def _is_id(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and value.isidentifier() and len(value) <= 100


def _is_one_of(value: Any, words: Mapping[str, Any]) -> TypeGuard[str]:
    return isinstance(value, str) and value in words


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value.strip()) <= 2000


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
