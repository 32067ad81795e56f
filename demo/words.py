"""Numbers as people read them."""

from __future__ import annotations


def moved(rank: int, was: int) -> str:
    """How a rank changed, in a form that needs no colour: "▲ 12" (up), "▼ 3" (down) or "same place"."""
    return "same place" if rank == was else f"▲ {was - rank}" if rank < was else f"▼ {rank - was}"


def ordinal(number: int) -> str:
    """1 → "1st"."""
    tail = "th" if 10 < number % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{tail}"
