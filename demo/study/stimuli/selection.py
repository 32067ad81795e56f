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
#: Whether a pair shows one person, and a key of KINDS.
Stratum = tuple[bool, str]
#: Choices of all pairs, of which the one with the weakest shortcut is taken.
_TRIES = 6


class Chooser:
    """Takes candidates without using a photo twice or a person too often. every: stratum → its candidates, in an order
    drawn at random."""

    def __init__(self, candidates: Sequence[Candidate], rng: random.Random):
        self.rng = rng
        self.every: dict[Stratum, list[Candidate]] = {}
        for candidate in rng.sample(candidates, len(candidates)):
            self.every.setdefault(candidate.stratum, []).append(candidate)
        self._left = dict(self.every)
        self.people: Counter[str] = Counter()

    def take(self, stratum: Stratum, badness: Callable[[Candidate], float], uses: int = _USES,
             fits: Callable[[Candidate], bool] = lambda _: True) -> Candidate | None:
        """The candidate of a stratum that fits, with the least badness; people not yet used are preferred, and nobody
        is used more than ``uses`` times."""
        used = self.people
        options = [candidate for candidate in self._left.get(stratum, ())
                   if fits(candidate) and all(used[person] < uses for person in candidate.people)]
        if not options:
            return None
        best = min(options, key=lambda c: badness(c) + 0.15 * sum(used[person] for person in c.people))
        used.update(best.people)
        photos = set(best.photos)
        self._left = {name: [candidate for candidate in left if photos.isdisjoint(candidate.photos)]
                      for name, left in self._left.items()}
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
        middle = {name: float(np.median([pair.apart[name] for pair in candidates if name in pair.apart]))
                  for name in names}
        #: Candidate, by its identity → what every rule says of it: name → "same" or not.
        self._likeness = {id(pair): pair.equal | {name: value < middle[name] for name, value in pair.apart.items()}
                          for pair in candidates}
        self._names = dict.fromkeys(name for likeness in self._likeness.values() for name in likeness)
        self.alike: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
        self.taken: Counter[bool] = Counter()
        own = [self._likeness[id(pair)] for pair in candidates if pair.same]
        #: Rule → share of all pairs of one person that it calls the same: what strangers are chosen to look like.
        self.usual = {name: sum(alike.get(name, False) for alike in own) / len(own)
                      for name in (own[0] if own else ())}

    def badness(self, same: bool) -> Callable[[Candidate], float]:
        """Of the next pair of a class: how far the shares of the two classes would be apart with it taken. Of two
        people, who come first, also how unlike they are in what never varies within a person."""
        number = self.taken[same] + 1
        # What a rule adds where it says "different" and where it says "same".
        gaps = {name: [((self.alike[same][name] + like) / number - self._goal(same, name)) ** 2
                       for like in (False, True)] for name in self._names}

        def badness(pair: Candidate) -> float:
            gap = sum(gaps[name][like] for name, like in self._likeness[id(pair)].items())
            return 4.0 * gap + (0.0 if same else 2.0 * pair.unlike)

        return badness

    def _goal(self, same: bool, name: str) -> float:
        if same and self.taken[False]:
            return self.alike[False][name] / self.taken[False]
        return self.usual.get(name, 0.5)

    def add(self, pair: Candidate) -> None:
        """A pair was taken."""
        self.taken[pair.same] += 1
        self.alike[pair.same].update(name for name, like in self._likeness[id(pair)].items() if like)


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
    offered = [c.ease for c in chooser.every.get((False, kind), ()) if not c.unlike]
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
    methods = list(chooser.every[same, kind][0].right) if (same, kind) in chooser.every else []
    for number, goal in enumerate(goals, start=1):
        unlike = balance.badness(same)
        errs = {method: [abs(wrong[method] + (not right) - WRONG_SHARE * number) for right in (False, True)]
                for method in methods}

        def badness(c: Candidate, goal: float = goal, unlike=unlike, errs=errs) -> float:
            return abs(c.ease - goal) + unlike(c) + sum(errs[method][right] for method, right in c.right.items())

        picked.append(_needed(chooser.take((same, kind), badness), kind))
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

    strata = {(same, kind): [pair for pair in chosen if pair.stratum == (same, kind)]
              for same in (True, False) for kind in KINDS}

    def deal() -> dict[str, list[Candidate]]:
        sets: dict[str, list[Candidate]] = {name: [] for name in names}
        of_kind: Counter[tuple[str, str]] = Counter()
        for same in (True, False):
            space = dict(room[same])
            for kind in KINDS:
                own: Counter[str] = Counter()
                for pair in rng.sample(strata[same, kind], len(strata[same, kind])):
                    goal = min((name for name in names if space[name]),
                               key=lambda name: (own[name], of_kind[name, kind], -space[name], rng.random()))
                    sets[goal].append(pair)
                    own[goal] += 1
                    of_kind[goal, kind] += 1
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
        tries = (chooser.take((same, kind), lambda c: -min(c.ease, 1.0), uses, lambda c: all(c.right.values()))
                 for uses in (1, _USES + 2))
        picked.append(_needed(next((found for found in tries if found), None), kind))
    return picked
