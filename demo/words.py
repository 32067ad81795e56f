"""Numbers as people read them."""

from __future__ import annotations


def moved(rank: int, was: int) -> str:
    """How a rank changed, in a form that needs no colour: "▲ 12" (up), "▼ 3" (down) or "same place"."""
    return "same place" if rank == was else f"▲ {was - rank}" if rank < was else f"▼ {rank - was}"


def decimals(value: float, places: int = 3) -> str:
    """A distance, or a difference of two, in so many decimals; what rounds to nothing has no sign: "0.000"."""
    text = f"{value:.{places}f}"
    return text if text.strip("-0.") else text.removeprefix("-")


def rounded(value: float, places: int) -> float:
    """``round``, but never to the negative zero, which JSON writes as -0.0."""
    return round(value, places) + 0.0


def ordinal(number: int) -> str:
    """1 → "1st"."""
    tail = "th" if 10 < number % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{tail}"
