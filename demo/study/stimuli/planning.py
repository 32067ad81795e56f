"""Chosen pairs and attention checks → what has to be drawn, with the names that it goes by."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from demo.errors import BadStudy
from demo.study.design.cells import ATTENTION, TRAINING
from demo.study.design.config import StudyConfig
from demo.study.stimuli.candidates import Candidate, Look, Photo, Pool

#: Attention checks in turn: kind and right answer. Whoever always gives one answer fails half of them.
CHECKS = (("identical", True), ("different", False), ("instructed", True), ("instructed", False))
#: How far two photos of the gallery, given by their rows, are apart in Stage 1.
Apart = Callable[[int, int], float]


@dataclass(frozen=True)
class Planned:
    """A pair on its way to the tables: two looks in the order shown, the thresholds of its kind, the right answer, and
    of an attention check what sort it is ("" of any other pair)."""

    pair_id: str
    set_id: str
    looks: tuple[Look, Look]
    kind: str
    same: bool
    check: str = ""


def plan_pairs(sets: Mapping[str, list[Candidate]], training: list[Candidate], pool: Pool, config: StudyConfig,
               apart: Apart, seed: int = 0) -> list[Planned]:
    """All pairs with their ids; which photo comes first is drawn, so that masks stand on either side. BadStudy where no
    photos are left for the attention checks."""
    rng = random.Random(f"sides {seed}")
    planned = []
    for name, pairs in {**sets, TRAINING: training}.items():
        masked_first = [at % 2 == 0 for at in range(len(pairs))]
        rng.shuffle(masked_first)
        for number, (pair, first) in enumerate(zip(rng.sample(pairs, len(pairs)), masked_first, strict=True), start=1):
            looks = (pair.query, pair.other) if first else (pair.other, pair.query)
            planned.append(Planned(f"{name}{number:02d}", name, looks, pair.query.kind, pair.same))
    return planned + _checks(planned, pool, config.attention_per_block * len(config.conditions), apart, rng)


def _checks(planned: Sequence[Planned], pool: Pool, number: int, apart: Apart, rng: random.Random) -> list[Planned]:
    """``number`` checks, the kinds of CHECKS in turn, of photos that no other pair shows, people of no other pair
    first."""
    used = {look.photo.identity for pair in planned for look in pair.looks}
    shown = {look.photo.path for pair in planned for look in pair.looks}
    photos = [photo for photo in pool.photos if photo.path not in shown]
    free = _one_each(sorted(rng.sample(photos, len(photos)), key=lambda photo: photo.identity in used))
    found = []
    for at in range(number):
        check, same = CHECKS[at % len(CHECKS)]
        if len(free) < (1 if check == "identical" else 2):
            raise BadStudy(f"The gallery has no photos left for {number} attention checks: take a larger gallery.")
        first = free.pop(0)
        second = first
        if check != "identical":
            second = max(free[:40], key=lambda photo, first=first: _unlikeness(pool, first, photo, apart))
            free.remove(second)
        found.append(Planned(f"{ATTENTION}{at + 1:02d}", ATTENTION, (Look(first, "none", 0), Look(second, "none", 0)),
                             "none", same, check))
    return found


def _unlikeness(pool: Pool, first: Photo, second: Photo, apart: Apart) -> tuple[int, float]:
    return pool.traits.unlike(first.key, second.key), apart(first.row or 0, second.row or 0)


def _one_each(photos: Iterable[Photo]) -> list[Photo]:
    """The first photo of every person."""
    first: dict[str, Photo] = {}
    for photo in photos:
        first.setdefault(photo.identity, photo)
    return list(first.values())
