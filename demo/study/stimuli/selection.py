"""Which candidates a study shows: balanced, matched for difficulty, with enough wrong decisions (docs/method.md)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from demo.errors import BadStudy
from demo.study.design.cells import same_counts
from demo.study.design.config import StudyConfig
from demo.study.stimuli.candidates import KINDS, Candidate, Pool
from demo.study.stimuli.shortcuts import accuracies, best

#: Share of the pairs of every class and kind that each method should decide wrongly: below a fifth of all pairs,
#: over-reliance on a method cannot be measured, and above a half nobody could learn to use it.
WRONG_SHARE = 0.3
#: One person stands in no more test pairs than this, and no photo in more than one.
_USES = 2
_DEALS = 400
#: Choices of all pairs, of which the one with the weakest shortcut is taken.
_TRIES = 6


class Chooser:
    """Takes candidates without using a photo twice or a person too often."""

    def __init__(self, candidates: Sequence[Candidate], rng: random.Random):
        self.rng = rng
        self.left = rng.sample(candidates, len(candidates))
        self.photos: set[str] = set()
        self.people: Counter[str] = Counter()

    def free(self, candidate: Candidate, uses: int = _USES) -> bool:
        return (self.photos.isdisjoint(candidate.photos)
                and all(self.people[person] < uses for person in candidate.people))

    def take(self, fits: Callable[[Candidate], bool], badness: Callable[[Candidate], float],
             uses: int = _USES) -> Candidate | None:
        """The free candidate that fits with the least badness; people not yet used are preferred."""
        options = [candidate for candidate in self.left if fits(candidate) and self.free(candidate, uses)]
        if not options:
            return None
        best = min(options, key=lambda c: badness(c) + 0.15 * sum(self.people[person] for person in c.people))
        self.photos.update(best.photos)
        self.people.update(best.people)
        return best


def choose_pairs(pool: Pool, config: StudyConfig, seed: int = 0) -> tuple[dict[str, list[Candidate]], list[Candidate]]:
    """Test pairs of every set, and training pairs. Same pool and seed, same choice: of _TRIES, the one in which rules
    that need no face are right least often.

    Both classes and all kinds of occlusion are equally frequent. Within a kind, same and different pairs are matched
    for ``Candidate.ease`` and for what is alike in anything but the face; each method is wrong in about WRONG_SHARE of
    them, as far as the pool has such pairs. BadStudy where the gallery is too small.
    """
    found = [_chosen(pool, config, seed * 1009 + number) for number in range(_TRIES)]
    return min(found, key=lambda one: best(shortcuts([pair for pairs in one[0].values() for pair in pairs]))[1])


def _chosen(pool: Pool, config: StudyConfig, seed: int) -> tuple[dict[str, list[Candidate]], list[Candidate]]:
    rng = random.Random(seed)
    chooser = Chooser(pool.candidates, rng)
    balance = _Balance(pool.candidates)
    counts = same_counts(config, rng.randrange(2))
    total = {True: sum(counts), False: config.pairs_per_set * len(counts) - sum(counts)}
    shares = {same: _spread(number, rng) for same, number in total.items()}
    chosen = [pair for kind in KINDS for pair in _matched(chooser, balance, kind, shares[True][kind],
                                                          shares[False][kind])]
    return _deal(chosen, config, counts, rng), _training(chooser, config.training_pairs * len(config.conditions))


def shortcuts(chosen: Sequence[Candidate]) -> dict[str, float]:
    """Rule that needs no face → share of the pairs that it gets right (``shortcuts.accuracies``)."""
    equal = {name: [pair.equal[name] for pair in chosen] for name in chosen[0].equal}
    apart = {name: [pair.apart[name] for pair in chosen] for name in chosen[0].apart
             if all(name in pair.apart for pair in chosen)}
    return accuracies([pair.same for pair in chosen], equal, apart)


class _Balance:
    """Keeps what is alike in anything but the face as frequent among pairs of one person as among pairs of two, so that
    it says nothing."""

    def __init__(self, candidates: Sequence[Candidate]):
        names = {name for pair in candidates for name in pair.apart}
        self.middle = {name: float(np.median([pair.apart[name] for pair in candidates if name in pair.apart]))
                       for name in names}
        self.alike: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
        self.taken: Counter[bool] = Counter()
        own = [self.likeness(pair) for pair in candidates if pair.same]
        #: Rule → share of all pairs of one person that it calls the same: what strangers are chosen to look like.
        self.usual = {name: sum(alike.get(name, False) for alike in own) / len(own)
                      for name in (own[0] if own else ())}

    def likeness(self, pair: Candidate) -> dict[str, bool]:
        """Rule → whether it says "same"."""
        return pair.equal | {name: value < self.middle[name] for name, value in pair.apart.items()}

    def badness(self, pair: Candidate) -> float:
        """How far the shares of the two classes would be apart with this pair taken. Of two people, who come first,
        also how unlike they are in what never varies within a person."""
        number = self.taken[pair.same] + 1
        gap = sum(((self.alike[pair.same][name] + like) / number - self._goal(pair.same, name)) ** 2
                  for name, like in self.likeness(pair).items())
        return 4.0 * gap + (0.0 if pair.same else 2.0 * pair.unlike)

    def _goal(self, same: bool, name: str) -> float:
        if same and self.taken[False]:
            return self.alike[False][name] / self.taken[False]
        return self.usual.get(name, 0.5)

    def add(self, pair: Candidate) -> None:
        """A pair was taken."""
        self.taken[pair.same] += 1
        self.alike[pair.same].update(name for name, like in self.likeness(pair).items() if like)


def wrong_shares(chosen: Sequence[Candidate]) -> dict[str, float]:
    """Method → share of the pairs that it decides wrongly."""
    return {method: sum(not pair.right[method] for pair in chosen) / len(chosen) for method in chosen[0].right}


def _spread(number: int, rng: random.Random) -> dict[str, int]:
    """``number`` pairs over the kinds, as evenly as can be."""
    order = rng.sample(list(KINDS), len(KINDS))
    return {kind: number // len(order) + (at < number % len(order)) for at, kind in enumerate(order)}


def _matched(chooser: Chooser, balance: _Balance, kind: str, same: int, different: int) -> list[Candidate]:
    """Pairs of one kind: look-alikes spread over their range of ease, then pairs of one person as easy as these and as
    alike in anything but the face."""
    offered = [c.ease for c in chooser.left if not c.same and c.query.kind == kind and not c.unlike]
    goals = np.quantile(offered, (np.arange(different) + 0.5) / different) if offered else np.zeros(different)
    strangers = _stratum(chooser, balance, False, kind, chooser.rng.sample(goals.tolist(), different))
    found = sorted(c.ease for c in strangers) or [0.0]
    goals = [found[int(at * len(found) / same)] for at in range(same)]
    return strangers + _stratum(chooser, balance, True, kind, chooser.rng.sample(goals, same))


def _stratum(chooser: Chooser, balance: _Balance, same: bool, kind: str, goals: Sequence[float]) -> list[Candidate]:
    """One pair for each wanted ease; with every one taken, each method stays near WRONG_SHARE of wrong decisions, and
    nothing but the face tells the classes apart."""
    picked: list[Candidate] = []
    wrong: Counter[str] = Counter()
    for number, goal in enumerate(goals, start=1):
        def badness(c: Candidate, number: int = number, goal: float = goal) -> float:
            return abs(c.ease - goal) + balance.badness(c) + sum(abs(wrong[method] + (not right) - WRONG_SHARE * number)
                                            for method, right in c.right.items())

        picked.append(_needed(chooser.take(lambda c: c.same == same and c.query.kind == kind, badness), kind))
        balance.add(picked[-1])
        wrong.update(method for method, right in picked[-1].right.items() if not right)
    return picked


def _needed(found: Candidate | None, kind: str) -> Candidate:
    if found is None:
        raise BadStudy(f"The gallery has too few people or photos for so many pairs (kind {kind!r}): take a larger "
                       "gallery or fewer pairs per set.")
    return found


def _deal(chosen: Sequence[Candidate], config: StudyConfig, counts: Sequence[int],
          rng: random.Random) -> dict[str, list[Candidate]]:
    """Pairs over the sets: classes and kinds as even as can be; of _DEALS such deals, the one whose sets are most alike
    in ease and in the methods' errors."""
    names = list(config.set_names)
    room = {True: dict(zip(names, counts, strict=True)),
            False: {name: config.pairs_per_set - count for name, count in zip(names, counts, strict=True)}}

    def deal() -> dict[str, list[Candidate]]:
        sets: dict[str, list[Candidate]] = {name: [] for name in names}
        for same in (True, False):
            space = dict(room[same])
            for kind in KINDS:
                stratum = [pair for pair in chosen if pair.same == same and pair.query.kind == kind]
                for pair in rng.sample(stratum, len(stratum)):
                    of_kind = {name: sum(p.query.kind == kind for p in sets[name]) for name in names}
                    own = {name: sum(p.query.kind == kind and p.same == same for p in sets[name]) for name in names}
                    goal = min((name for name in names if space[name]),
                               key=lambda name: (own[name], of_kind[name], -space[name], rng.random()))
                    sets[goal].append(pair)
                    space[goal] -= 1
        return sets

    return min((deal() for _ in range(_DEALS)), key=_unevenness)


def _unevenness(sets: dict[str, list[Candidate]]) -> float:
    """Spread between the sets of their mean ease, the methods' errors and the kinds of occlusion."""
    ease = np.std([np.mean([pair.ease for pair in pairs]) for pairs in sets.values()])
    wrong = np.std([list(wrong_shares(pairs).values()) for pairs in sets.values()], axis=0).sum()
    kinds = np.ptp([[sum(pair.query.kind == kind for pair in pairs) for kind in KINDS] for pairs in sets.values()],
                   axis=0).sum()
    return float(ease + 2 * wrong + kinds)


def _training(chooser: Chooser, number: int) -> list[Candidate]:
    """Practice pairs of people who are in no test pair where possible: same and different and all kinds in turn, clear
    cases that every method gets right."""
    picked = []
    for at in range(number):
        same, kind = at % 2 == 0, list(KINDS)[(at + 1) % len(KINDS)]

        def fits(c: Candidate, same: bool = same, kind: str = kind) -> bool:
            return c.same == same and c.query.kind == kind and all(c.right.values())

        found = chooser.take(fits, lambda c: -min(c.ease, 1.0), uses=1) or chooser.take(
            fits, lambda c: -min(c.ease, 1.0), uses=_USES + 2)
        picked.append(_needed(found, kind))
    return picked
