"""What explains a match, in a sentence or two, every clause of which is a comparison of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from demo.errors import DemoError
from demo.explain.pair import Pair
from demo.explain.regions import PLURAL, REGIONS, regions
from demo.explain.registry import explain, explains
from demo.explain.results import Signed
from demo.explain.worn import worn_of
from demo.methods import METHODS, STAGE1, Moved
from demo.words import decimals

#: A part of the face is named where it holds at least this share of all that speaks for, or against.
NAMED = 0.2
#: What speaks against is named where it is at least this share of what speaks for.
COUNTS = 0.05
#: At most so many parts are named of either kind.
MOST = 2
#: Below this share of a typical stranger's distance a face is nearer, from it on little nearer, as many strangers are.
NEARER = 0.75


@dataclass(frozen=True)
class Facts:
    """What a sentence is made of.

    name: of the other face. whom: what patches speak for. flow: (P, P) mass that the ranking's own distance moves, None
    where it moves none. covered: (P,) bool on the same grid, and by what ("mask"), where a cover is known. compared:
    (P,) bool, the patches that were compared at all, None for all. signed: the contributions of patches to the
    distance; parts: (P',) index in REGIONS of each.
    """

    name: str
    whom: str
    signed: Signed | None = None
    parts: np.ndarray | None = None
    flow: np.ndarray | None = None
    covered: np.ndarray | None = None
    cover: str = ""
    compared: np.ndarray | None = None


def sentence(pair: Pair) -> str:
    """Why the two faces of a pair are as near as they are, from the numbers; "" where nothing is known."""
    return pair.once("sentence", lambda: " ".join(clauses(facts_of(pair))))


def facts_of(pair: Pair) -> Facts:
    """The numbers of a pair that are told."""
    signed = next((found for found in explain(pair, *_spoken(pair)).values() if isinstance(found, Signed)), None)
    marks = pair.features[0].landmarks
    parts = None if signed is None else regions(signed.grid, None if marks is None else marks[0].cpu().numpy())
    moved = _moved(pair)
    worn = None if moved is None else worn_of(pair, moved.grid)
    named_so = pair.titles[1].lower() == pair.called[1]  # "Second photo" is nobody's name
    return Facts(f"the {pair.called[1]}" if named_so else pair.titles[1], "one person" if named_so else pair.titles[1],
                 signed, parts, None if moved is None else moved.flow.double().cpu().numpy(),
                 worn.patches if worn else None, worn.name if worn else "",
                 None if moved is None or moved.compared is None else moved.compared.cpu().numpy())


def _moved(pair: Pair) -> Moved | None:
    """The mass that the ranking's distance of the pair moves."""
    ranks = METHODS.get(pair.matching.method)
    try:
        return ranks.moved(pair.evidence(ranks.word)) if ranks and ranks.has_evidence else None
    except DemoError:  # two photos are compared where that method is not ready
        return None


def _spoken(pair: Pair) -> list[str]:
    """The explanation whose contributions are told: that of the method that ranks, else the first that can be had."""
    words = [word for method in (pair.matching.method, STAGE1.word) for word, one in explains(method).items()
             if one.view == "agreement" and one.unavailable(pair) is None]
    return words[:1]


def clauses(facts: Facts) -> list[str]:
    """The sentences, each by itself."""
    return [*_mass(facts), *_distance(facts), *_parts(facts)]


def same_place(flow: np.ndarray, chosen: np.ndarray | None = None) -> float:
    """Share of the mass of some patches (default: all) that goes to the same place of the other face; 0 where they have
    none. flow: (P, P)."""
    rows = np.ones(len(flow), bool) if chosen is None else chosen
    mass = float(flow[rows].sum())
    return float(flow.diagonal()[rows].sum()) / mass if mass > 0 else 0.0


def _mass(facts: Facts) -> list[str]:
    if facts.flow is None or not facts.flow.sum() > 0:
        return []
    meets = "of the weight meets the same place on the other face"
    if facts.compared is not None and not facts.compared.all():
        stays = _percent(same_place(facts.flow, facts.compared))
        return [f"In the {facts.compared.sum()} of {len(facts.compared)} patches that were compared, those above the "
                f"mask, {stays} {meets}."]
    hidden = facts.covered
    if hidden is None or not facts.flow[hidden].sum() > 0 or not facts.flow[~hidden].sum() > 0:
        return [f"{_percent(same_place(facts.flow))} {meets}."]
    under = "them" if facts.cover.endswith("s") else "it"
    return [f"Outside the {facts.cover} {_percent(same_place(facts.flow, ~hidden))} {meets}; under {under} "
            f"{_percent(same_place(facts.flow, hidden))}."]


def _distance(facts: Facts) -> list[str]:
    signed = facts.signed
    if signed is None or not signed.stranger:
        return []
    way = ("no nearer than" if round(signed.distance, 3) >= round(signed.baseline, 3) else
           "nearer than" if signed.distance < NEARER * signed.baseline else "little nearer than")
    return [f"At distance {decimals(signed.distance)} {facts.name} is {way} a typical stranger "
            f"({decimals(signed.baseline)})."]


def _parts(facts: Facts) -> list[str]:
    if facts.signed is None or facts.parts is None:
        return []
    sums = part_sums(facts.signed.values, facts.parts)
    favour, against = named(sums), named(-sums)
    if sums[sums < 0].sum() > -COUNTS * sums[sums > 0].sum():
        against = []
    told = []
    if favour:
        told.append(f"{_listed(favour)} {_speak(favour)} for {facts.whom}")
    if against:
        told.append(f"{_listed(against)} {_speak(against)} against" + ("" if favour else f" {facts.whom}"))
    elif not (sums < 0).any() and favour:
        told.append("no part of the picture speaks against")
    text = "; ".join(told)
    return [text[0].upper() + text[1:] + "."] if text else []


def part_sums(values: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """(len(REGIONS),) sum of the contributions (P,) of each part of the face."""
    return np.bincount(parts, values, minlength=len(REGIONS))


def named(sums: np.ndarray) -> list[str]:
    """The parts that hold NAMED of what is positive, at most MOST, the strongest first."""
    positive = np.maximum(sums, 0)
    if not positive.sum() > 0:
        return []
    order = np.argsort(-positive, kind="stable")[:MOST]
    return [REGIONS[at] for at in order if positive[at] >= NAMED * positive.sum()]


def _listed(names: Sequence[str]) -> str:
    """One part or two."""
    return (", and " if any("," in name for name in names) else " and ").join(names)


def _speak(names: Sequence[str]) -> str:
    return "speak" if len(names) > 1 or names[0] in PLURAL else "speaks"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}\u00a0%"


