"""Who sees what, when: pure functions of the configuration, a cell and a seed (docs/method.md).

A block shows one condition. The orders of the conditions are the rows of a Williams square, so that every condition
stands equally often at every position and follows every other equally often; the sets of pairs rotate over the
conditions, so that every pair is judged in every condition. A row and a rotation make a cell.
"""

from __future__ import annotations

import hashlib
import hmac
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from demo.errors import BadStudy
from demo.study.design.config import StudyConfig

#: Set names of the pairs that are no test pairs.
TRAINING, ATTENTION = "T", "X"
#: No more equal right answers in a row than this.
LONGEST_RUN = 3
_TRIES = 10_000


class Cell(NamedTuple):
    """row: of ``williams_rows``. rotation: of the sets over the conditions."""

    row: int
    rotation: int


@dataclass(frozen=True)
class PlanRow:
    """One trial of one participant. idx: from 0 through the whole session. phase: "train", "main" or "attn". block:
    from 0. pos: from 0 within the block and part (training; test with attention checks). flip: show the second photo
    on the left."""

    idx: int
    phase: str
    block: int
    pos: int
    condition: str
    pair_id: str
    flip: bool


def williams_rows(n: int) -> list[tuple[int, ...]]:
    """Orders of n conditions, balanced for position and for first-order carry-over: n rows, for odd n twice as many.

    For n = 4: 0132, 1203, 2310, 3021.
    """
    first = [0]
    for step in range(1, n):
        first.append((step + 1) // 2 if step % 2 else n - step // 2)
    rows = [tuple((value + shift) % n for value in first) for shift in range(n)]
    return rows + [row[::-1] for row in rows] if n % 2 and n > 1 else rows


def cells(config: StudyConfig) -> list[Cell]:
    """All cells of a study in a fixed order; one where the design is not counterbalanced."""
    if config.counterbalancing != "rotated":
        return [Cell(0, 0)]
    count = len(config.conditions)
    return [Cell(row, rotation) for row in range(len(williams_rows(count))) for rotation in range(count)]


def blocks(config: StudyConfig, cell: Cell) -> list[tuple[str, str]]:
    """(condition, set name) of each block of a cell."""
    names, count = config.set_names, len(config.conditions)
    if config.counterbalancing == "repeated":
        return [(condition, names[0]) for condition in config.conditions]
    order = williams_rows(count)[cell.row] if config.counterbalancing == "rotated" else range(count)
    return [(config.conditions[k], names[(k + cell.rotation) % count]) for k in order]


def same_counts(config: StudyConfig, first: int = 0) -> list[int]:
    """How many pairs of each set show one person: half, and where the sets are odd n/2 rounded up and down in turn.

    first: 0 starts with the larger count, 1 with the smaller; which it is, is seeded.
    """
    half, odd = divmod(config.pairs_per_set, 2)
    return [half + (odd if (k + first) % 2 == 0 else 0) for k in range(len(config.conditions))]


def participant_seed(secret: str, pid: str) -> str:
    """HMAC-SHA256 of a participant's id under the study's secret, in hexadecimal."""
    return hmac.new(secret.encode(), pid.encode(), hashlib.sha256).hexdigest()


def participant_plan(config: StudyConfig, cell: Cell, seed: str, sets: Mapping[str, Sequence[str]],
                     same: Mapping[str, bool]) -> list[PlanRow]:
    """Every trial of a participant. sets: set name → pair ids, with TRAINING and ATTENTION. same: pair id → answer.

    Training comes in an order of its own per block; test pairs and attention checks follow in one shuffled sequence
    with at most LONGEST_RUN equal answers in a row. Left and right are drawn per trial. Attention pairs are used in
    turn, and never stand first or last in their block. Raises BadStudy where the sets do not fit the configuration.
    """
    check_sets(config, sets, same)
    rng = random.Random(seed)
    checks = rng.sample(list(sets.get(ATTENTION, ())), config.attention_per_block * len(config.conditions))
    rows: list[PlanRow] = []
    for block, (condition, name) in enumerate(blocks(config, cell)):
        train = rng.sample(list(sets.get(TRAINING, ())), config.training_pairs)
        own = checks[block * config.attention_per_block:(block + 1) * config.attention_per_block]
        main = _sequence(list(sets[name]), own, same, rng)
        for phase, pairs in (("train", train), ("main", main)):
            for pos, pair in enumerate(pairs):
                rows.append(PlanRow(len(rows), "attn" if pair in own else phase, block, pos, condition, pair,
                                    rng.random() < 0.5))
    return rows


def check_sets(config: StudyConfig, sets: Mapping[str, Sequence[str]], same: Mapping[str, bool]) -> None:
    """Raise BadStudy where the stimuli hold too few pairs for the configuration."""
    needed = dict.fromkeys(config.set_names, config.pairs_per_set)
    needed[TRAINING] = config.training_pairs
    needed[ATTENTION] = config.attention_per_block * len(config.conditions)
    for name, count in needed.items():
        found = len(sets.get(name, ()))
        if found < count or (name in config.set_names and found != count):
            what = {TRAINING: "training pairs", ATTENTION: "attention pairs"}.get(name, f"pairs in set {name}")
            raise BadStudy(f"The study needs {count} {what}, and its stimuli hold {found}: change the configuration or "
                           "make the stimuli again.")
    for name in config.set_names:
        own = sum(same[pair] for pair in sets[name])
        if max(own, config.pairs_per_set - own) > LONGEST_RUN * (min(own, config.pairs_per_set - own) + 1):
            raise BadStudy(f"Set {name} cannot be ordered with at most {LONGEST_RUN} equal answers in a row: make the "
                           "stimuli again.")


def longest_run(answers: Sequence) -> int:
    """Length of the longest stretch of equal values; 0 for nothing."""
    return max((len(list(stretch)) for _, stretch in groupby(answers)), default=0)


def _sequence(pairs: list[str], checks: list[str], same: Mapping[str, bool], rng: random.Random) -> list[str]:
    """Pairs and attention checks shuffled together: equal answers in short runs, no check at either end."""
    trials = pairs + checks
    for _ in range(_TRIES):
        rng.shuffle(trials)
        ends = {trials[0], trials[-1]}
        if ends.isdisjoint(checks) and longest_run([same[pair] for pair in trials]) <= LONGEST_RUN:
            return trials
    raise BadStudy(f"No order of the pairs has at most {LONGEST_RUN} equal answers in a row: make the stimuli again.")
