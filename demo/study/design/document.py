"""JSON of a study's folder or database, as it may come from anybody: an object of texts that can be written and finite
numbers, from a file that ends."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from demo.errors import BadStudy
from demo.files import read_regular

#: Bytes of the largest file that is read; the tables of a study of 100,000 pairs take less.
LARGEST = 200_000_000


def read_object(path: str | Path) -> dict[str, Any]:
    """The JSON object in a file, as ``parsed``. OSError for what is no regular file (it is not waited for), is too
    large or cannot be read."""
    try:
        return parsed(read_regular(path, LARGEST).decode("utf-8"))
    except UnicodeDecodeError:
        raise BadStudy("it is not written in UTF-8") from None


def parsed(text: str) -> dict[str, Any]:
    """The JSON object in a text. BadStudy, with the reason as part of a sentence, for any other text, one with half
    characters (which cannot be stored), with numbers that are infinite or none, or nested too deep."""
    try:
        data = json.loads(text, parse_constant=_refuse, parse_float=_finite)
        json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise BadStudy("a text in it holds half of a character, which cannot be stored") from None
    except RecursionError:
        raise BadStudy("it is nested too deep") from None
    except ValueError as error:
        raise BadStudy(f"it is not valid JSON: {error}") from None
    if not isinstance(data, dict):
        raise BadStudy("it is not a JSON object")
    return data


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is no number")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse(text[:20])
