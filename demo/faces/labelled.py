"""Photos to train on: whom each shows, and which people are kept apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class LabelledPhoto:
    """A photo and whom it shows."""

    identity: str
    file: Path


def split_people(photos: Sequence[LabelledPhoto],
                 first_held_out: Sequence[str]) -> tuple[list[LabelledPhoto], list[LabelledPhoto]]:
    """(to train on, held out): of all identities that begin with the same letters up to the first digit, those from
    ``first_held_out`` on, in alphabetical order, are held out. "person-070" holds out person-070, person-071, …"""
    def stem(name: str) -> str:
        return name[:next((at for at, letter in enumerate(name) if letter.isdigit()), len(name))]

    def held(identity: str) -> bool:
        return any(stem(identity) == stem(first) and identity >= first for first in first_held_out)

    return [p for p in photos if not held(p.identity)], [p for p in photos if held(p.identity)]
