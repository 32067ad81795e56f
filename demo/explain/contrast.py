"""Why this one and not that one: two candidates of one face, and what of it prefers which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from demo.drawing import FaceMaps
from demo.explain.results import Signed
from demo.words import decimals, difference

#: Steps that are no larger are the rounding of single precision.
_ROUNDING = 1e-5


@dataclass(frozen=True)
class Side:
    """One of two candidates. cosine, method, final: its distances by Stage 1, by the method that re-ranks, and what the
    ranking goes by. addends: what the method's distance is the sum of, by name; one where it is no sum. before, after:
    its ranks."""

    name: str
    cosine: float
    method: float
    final: float
    addends: dict[str, float]
    before: int
    after: int


@dataclass(frozen=True)
class Contrast:
    """first, rival: the candidates. values: (P,) contribution of each patch of the query to the first less that to the
    rival, positive where it prefers the first; they sum to how much nearer the first is by the method. steps: what
    leads from the first's lead by Stage 1 to its lead in the ranking, by name; the latter is
    their sum but for rounding.
    """

    first: Side
    rival: Side
    values: np.ndarray
    grid: tuple[int, int]
    steps: tuple[tuple[str, float], ...]

    @property
    def lead(self) -> float:
        """How much nearer the first is than the rival, by what the ranking goes by."""
        return self.rival.final - self.first.final

    @property
    def maps(self) -> FaceMaps:
        """The difference on the query's face."""
        title = f"{self.first.name} rather than {self.rival.name}"
        return FaceMaps(title, self.values, np.zeros_like(self.values), self.grid, signed=True)

    def as_json(self) -> dict:
        return {"first": self.first.name, "rival": self.rival.name, "lead": self.lead,
                "steps": [{"name": name, "lead": value} for name, value in self.steps],
                "ranks": {side.name: [side.before, side.after] for side in (self.first, self.rival)},
                "grid": list(self.grid), "values": self.values.tolist()}


def contrast(first: Side, rival: Side, ours: Signed, theirs: Signed, alpha: float, cosine: str) -> Contrast:
    """Two candidates under Eq. 5.1. ours, theirs: their contributions by the method that re-ranks. alpha: its share.
    cosine: the addend's name that is Stage 1's distance again, if a method has it.

    Steps: the lead by the cosine; what is taken from it or added to it where it counts otherwise than in full; and
    alpha times the lead by each further addend of the method.
    """
    lead = rival.cosine - first.cosine
    parts = {name: alpha * (rival.addends[name] - first.addends[name]) for name in first.addends}
    kept = (1 - alpha) * lead + parts.pop(cosine, 0.0)
    steps = [("Stage 1: cosine", lead)]
    if abs(kept - lead) > _ROUNDING:
        steps.append(("the cosine counts less" if abs(kept) <= abs(lead) else "the cosine counts more", kept - lead))
    steps += [(name, value) for name, value in parts.items() if abs(value) > _ROUNDING]
    return Contrast(first, rival, ours.values - theirs.values, ours.grid, tuple(steps))


def told(found: Contrast) -> str:
    """The comparison in a sentence or two."""
    first, rival = found.first, found.rival
    order = "nearer" if found.lead > 0 else "farther"
    steps = ", ".join(f"{name} {difference(value)}" for name, value in found.steps)
    return (f"{first.name} ({_ranks(first)}) is {decimals(abs(found.lead))} {order} than {rival.name} "
            f"({_ranks(rival)}): {steps}.")


def _ranks(side: Side) -> str:
    return f"rank {side.after}" if side.before == side.after else f"rank {side.before} \u2192 {side.after}"


def rivals_of(names: Sequence[str], chosen: int, most: int = 4) -> list[int]:
    """Whom to compare the ranked candidate ``chosen`` with: places in ``names`` (ranked identities) of the nearest
    photo of each other person, nearest first, at most so many."""
    places: dict[str, int] = {}
    for at, name in enumerate(names):
        if name != names[chosen] and name not in places:
            places[name] = at
            if len(places) == most:
                break
    return list(places.values())
