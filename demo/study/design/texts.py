"""Everything that participants read, as data: a file of texts per language, and what a study's configuration puts in
their place. Markdown where a text is a page; words in braces are filled in."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from reprlib import repr as brief
from typing import Any

from demo.errors import BadStudy
from demo.places import ASSETS

#: A file per language: CODE.json. A study's own language is such a file of texts in its configuration.
FOLDER = ASSETS / "study-texts"
#: Key of the ready questionnaires among a language's texts.
FORMS = "questionnaires"
_LONGEST = 20_000
_FILLED = re.compile(r"\{(\w+)\}")


def languages() -> tuple[str, ...]:
    """Codes of the languages that come with the app."""
    return tuple(sorted(file.stem for file in FOLDER.glob("*.json")))


@cache
def _read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8"))


def ready_texts(language: str) -> dict[str, str]:
    """All texts of a language; BadStudy for one that does not come with the app."""
    return {key: text for key, text in _of(language).items() if key != FORMS}


def ready_forms(language: str) -> dict[str, dict]:
    """Questionnaires of a language by their names."""
    return _of(language)[FORMS]


def _of(language: str) -> dict[str, Any]:
    if language not in languages():
        raise BadStudy(f"No texts in the language {brief(language)} come with the app: choose from "
                       f"{', '.join(languages())}, and give your own as \"texts\".")
    return _read(FOLDER / f"{language}.json")


def check_texts(texts: Mapping[str, str]) -> None:
    """Raise BadStudy for a text that no page shows, is empty or too long, or wants something filled in that is not
    there."""
    known = ready_texts("en")
    for key, text in texts.items():
        if key not in known and not key.startswith("legend."):
            raise BadStudy(f"The configuration has no text {brief(key)}: remove it or correct its name.")
        if not isinstance(text, str) or not text.strip():
            raise BadStudy(f"The text {brief(key)} is empty: participants need it.")
        if len(text) > _LONGEST:
            raise BadStudy(f"The text {brief(key)} is longer than {_LONGEST} characters: shorten it.")
        strange = set(_FILLED.findall(text)) - set(_FILLED.findall(known.get(key, "")))
        if strange and key in known:
            raise BadStudy(f"The text {brief(key)} names {{{sorted(strange)[0]}}}, which nothing fills in there.")
    if texts.get("dir", "ltr") not in ("ltr", "rtl"):
        raise BadStudy("The text 'dir' must be ltr or rtl.")
    if not re.fullmatch(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*", texts.get("lang", "en")):
        raise BadStudy("The text 'lang' must be a language's code, such as en or pt-BR.")


def filled(text: str, **values: object) -> str:
    """A text with what stands in braces filled in; other braces stay."""
    return _FILLED.sub(lambda found: str(values.get(found[1], found[0])), text)
