"""Who sees what, when: pure functions of the configuration, a cell and a seed (docs/method.md).

A block shows one condition. The orders of the conditions are the rows of a Williams square, so that every condition
stands equally often at every position and follows every other equally often; the sets of pairs rotate over the
conditions, so that every pair is judged in every condition. A row and a rotation make a cell.
"""

from __future__ import annotations

import hashlib
import hmac
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, product
from typing import NamedTuple

from demo.errors import BadStudy
from demo.study.design.config import StudyConfig

#: Set names of the pairs that are no test pairs.
TRAINING, ATTENTION = "T", "X"
#: No more equal right answers in a row than this.
LONGEST_RUN = 3


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

    Training comes in an order of its own per block, of other pairs in each where there are enough; test pairs and
    attention checks follow in one shuffled sequence with at most LONGEST_RUN equal answers in a row. Left and right are
    drawn per trial. Attention pairs are used in turn, and never stand first or last in their block. Raises BadStudy
    where the sets do not fit the configuration.
    """
    check_sets(config, sets, same)
    rng = random.Random(seed)
    checks = rng.sample(list(sets.get(ATTENTION, ())), config.attention_per_block * len(config.conditions))
    rows: list[PlanRow] = []
    practice = rng.sample(list(sets.get(TRAINING, ())), len(sets.get(TRAINING, ())))
    differs = len(practice) >= config.training_pairs * len(config.conditions)
    for block, (condition, name) in enumerate(blocks(config, cell)):
        first = block * config.training_pairs if differs else 0
        train = practice[first:first + config.training_pairs]
        rng.shuffle(train)
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
        _check_orders(config, sets[name], sets.get(ATTENTION, ()), same, name)


def check_assignable(config: StudyConfig, checks: Sequence[bool]) -> None:
    """Raise BadStudy where no stimuli could serve a configuration, since somebody's pairs would have no order. checks:
    right answers of the attention checks, in turn."""
    kinds = [checks[at % len(checks)] for at in range(config.attention_per_block * len(config.conditions))]
    for name, own in zip(config.set_names, same_counts(config), strict=True):
        same = {f"{at}": at < own for at in range(config.pairs_per_set)}
        same |= {f"check {at}": one for at, one in enumerate(kinds)}
        _check_orders(config, [f"{at}" for at in range(config.pairs_per_set)],
                      [f"check {at}" for at in range(len(kinds))], same, name)


def _check_orders(config: StudyConfig, pairs: Sequence[str], checks: Sequence[str], same: Mapping[str, bool],
                  name: str) -> None:
    """Raise BadStudy where some draw of attention checks leaves a set without an order, so that somebody could not be
    let in."""
    kinds = Counter(same[pair] for pair in checks)
    number = config.attention_per_block
    for alike in range(max(0, number - kinds[False]), min(number, kinds[True]) + 1):
        drawn = [pair for pair in checks if same[pair]][:alike]
        drawn += [pair for pair in checks if not same[pair]][:number - alike]
        if not _ends(pairs, drawn, same):
            raise BadStudy(f"Set {name} with {number} attention checks cannot be ordered with at most {LONGEST_RUN} "
                           "equal answers in a row, so nobody could ever take part: balance the sets or take fewer "
                           "checks.")


def longest_run(answers: Sequence) -> int:
    """Length of the longest stretch of equal values; 0 for nothing."""
    return max((len(list(stretch)) for _, stretch in groupby(answers)), default=0)


def _sequence(pairs: Sequence[str], checks: Sequence[str], same: Mapping[str, bool], rng: random.Random) -> list[str]:
    """Pairs and attention checks shuffled together: equal answers in short runs, no check at either end. Every order of
    the right answers that fits is equally likely. BadStudy where none fits."""
    ends = _ends(pairs, checks, same)
    if not ends:
        raise BadStudy(f"No order of {len(pairs)} pairs and {len(checks)} attention checks has at most {LONGEST_RUN} "
                       "equal answers in a row: balance the sets, or take fewer checks.")
    left = Counter(same[pair] for pair in (*pairs, *checks))
    answers = [rng.choices([end for end, _ in ends], [ways for _, ways in ends])[0][0]]
    last = rng.choices([end[1] for end, _ in ends if end[0] == answers[0]],
                       [ways for end, ways in ends if end[0] == answers[0]])[0]
    left[answers[0]] -= 1
    run = 1
    while sum(left.values()):
        weights = [_ways(left[True] - (one is True), left[False] - (one is False), one,
                         run + 1 if one == answers[-1] else 1, last) if left[one] else 0 for one in (True, False)]
        chosen = rng.choices((True, False), [weight / max(weights) for weight in weights])[0]
        run = run + 1 if chosen == answers[-1] else 1
        answers.append(chosen)
        left[chosen] -= 1
    return _filled(answers, pairs, checks, same, rng)


def _filled(answers: Sequence[bool], pairs: Sequence[str], checks: Sequence[str], same: Mapping[str, bool],
            rng: random.Random) -> list[str]:
    """Pairs at random for a sequence of right answers, its two ends first, which take no check."""
    def shuffled(trials: Iterable[str], one: bool) -> list[str]:
        found = [pair for pair in trials if same[pair] == one]
        return rng.sample(found, len(found))

    free = {one: shuffled(pairs, one) for one in (True, False)}
    ends = {at: free[answers[at]].pop() for at in sorted({0, len(answers) - 1})}
    rest = {one: shuffled((*free[one], *checks), one) for one in (True, False)}
    return [ends[at] if at in ends else rest[one].pop() for at, one in enumerate(answers)]


def _ends(pairs: Sequence[str], checks: Sequence[str],
          same: Mapping[str, bool]) -> list[tuple[tuple[bool, bool], float]]:
    """First and last right answer of every kind of sequence that fits, with its share of all."""
    own = Counter(same[pair] for pair in pairs)
    left = own + Counter(same[pair] for pair in checks)
    if len(pairs) < 2:
        return []
    found = []
    for first, last in product((True, False), repeat=2):
        needed = Counter([first, last])
        if all(own[one] >= count for one, count in needed.items()):
            ways = _ways(left[True] - (first is True), left[False] - (first is False), first, 1, last)
            found += [((first, last), ways)] * (ways > 0)
    largest = max((ways for _, ways in found), default=1)
    return [(ends, ways / largest) for ends, ways in found]


@lru_cache(maxsize=500_000)
def _ways(same: int, different: int, before: bool, run: int, last: bool) -> int:
    """How many orders of so many answers of each kind follow ``run`` equal ones of ``before``, with at most LONGEST_RUN
    equal in a row and ``last`` at the end."""
    if min(same, different) < 0 or run > LONGEST_RUN:
        return 0
    if not same + different:
        return int(before == last)
    return (_ways(same - 1, different, True, run + 1 if before else 1, last)
            + _ways(same, different - 1, False, 1 if before else run + 1, last))
