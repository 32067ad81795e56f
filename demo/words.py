"""Numbers and names as people read them."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections.abc import Callable


def moved(rank: int, was: int) -> str:
    """How a rank changed, in a form that needs no colour: "▲ 12" (up), "▼ 3" (down) or "same place"."""
    return "same place" if rank == was else f"▲ {was - rank}" if rank < was else f"▼ {rank - was}"


def decimals(value: float, places: int = 3) -> str:
    """A distance, or a difference of two, in so many decimals; what rounds to nothing has no sign: "0.000"."""
    text = f"{value:.{places}f}"
    return text if text.strip("-0.") else text.removeprefix("-")


def difference(value: float, places: int = 3) -> str:
    """``decimals`` with a sign before it, "+0.012" or "\u22120.012"; what rounds to nothing has none."""
    text = decimals(value, places)
    return text.replace("-", "\u2212") if value < 0 or not text.strip("0.") else f"+{text}"


def rounded(value: float, places: int) -> float:
    """``round``, but never to the negative zero, which JSON writes as -0.0."""
    return round(value, places) + 0.0


def ordinal(number: int) -> str:
    """1 → "1st"."""
    tail = "th" if 10 < number % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{tail}"


def cut(text: str, fits: Callable[[str], bool]) -> str:
    """The text, or as much of its beginning and its end as fits around an ellipsis: names that differ at their ends
    only are told apart still. fits: whether a text is short enough; of shorter texts more are."""
    def around(left_out: int) -> str:
        kept = len(text) - left_out
        return f"{text[:(kept + 1) // 2].rstrip()}…{text[len(text) - kept // 2:].lstrip()}"

    if not text or fits(text):
        return text
    return around(bisect_left(range(len(text)), True, 1, key=lambda left_out: fits(around(left_out))))


def columns(text: str) -> int:
    """Places that a text takes in a terminal, where letters of East Asia are two wide."""
    return sum(1 + (unicodedata.east_asian_width(letter) in "WF") - bool(unicodedata.combining(letter))
               for letter in text)


def in_columns(text: str, wide: int) -> str:
    """The text in exactly so many places of a terminal, cut or followed by spaces."""
    text = cut(text, lambda one: columns(one) <= wide)
    return text + " " * (wide - columns(text))


def photos_are(count: int) -> str:
    """1 → "1 photo is", 3 → "3 photos are"."""
    return "1 photo is" if count == 1 else f"{count} photos are"
