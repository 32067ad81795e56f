"""Identification metrics of the papers: P@1, R-Precision and MAP@R."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from demo.evaluation.interval import Interval, interval

#: How R is counted in leave-one-out, and whether the query's own unaltered photo may be found (see ``protocol``).
READINGS = {"corrected": "R counts the photos that can be found",
            "paper": "as in the published code: in leave-one-out the query itself stays counted in R"}


#: What the three numbers of a query are called, in their order.
METRICS = ("P@1", "RP", "MAP@R")


@dataclass(frozen=True)
class Scores:
    """Mean metrics in percent over ``queries`` queries. ends: of the 95 % interval of each, over people; empty where
    that was not asked for. gains: the same of what is gained over another ranking of the same queries."""

    p_at_1: float
    rp: float
    map_at_r: float
    queries: int
    ends: tuple[Interval, ...] = ()
    gains: tuple[Interval, ...] = ()

    def as_json(self) -> dict[str, float]:
        return {"P@1": self.p_at_1, "RP": self.rp, "MAP@R": self.map_at_r}

    def intervals_json(self) -> dict:
        """"intervals" and "gains" by metric, as far as they are known."""
        named = {"intervals": self.ends, "gains": self.gains}
        return {name: {metric: one.as_json() for metric, one in zip(METRICS, ends, strict=True)}
                for name, ends in named.items() if ends}


def score_query(correct: Sequence[bool] | np.ndarray, relevant: int) -> tuple[float, float, float]:
    """(P@1, RP, MAP@R) of one query, each 0 to 1.

    correct: for each rank from the first, whether that gallery photo shows the query's identity.
    relevant: R, how many photos of that identity the gallery holds; must be at least 1.
    """
    return score_places(np.flatnonzero(np.asarray(correct[:relevant])), relevant)


def score_places(places: np.ndarray, relevant: int) -> tuple[float, float, float]:
    """The same from the places, counted from 0 and growing, where the query's identity stands.

    RP is the share of the first R that are correct; MAP@R = (1/R) sum over i <= R of P@i * correct_i.
    """
    if relevant < 1:
        raise ValueError("a query without a photo of its identity in the gallery has no score")
    found = places[:np.searchsorted(places, relevant)]
    precision = np.arange(1, len(found) + 1) / (found + 1)
    return float(len(found) > 0 and found[0] == 0), len(found) / relevant, float(precision.sum()) / relevant


def best_possible(correct: Sequence[bool] | np.ndarray, relevant: int, k: int) -> tuple[float, float, float]:
    """The scores of one query if the first k were re-ranked perfectly: what Stage 2 can reach at most (the "max
    precision" of Tab 5.2). Its P@1 says whether a right photo is among the first k."""
    return best_places(np.flatnonzero(np.asarray(correct)), relevant, k)


def best_places(places: np.ndarray, relevant: int, k: int) -> tuple[float, float, float]:
    """The same from the places where the query's identity stands."""
    head = int(np.searchsorted(places, k))
    return score_places(np.concatenate([np.arange(head), places[head:]]), relevant)


def mean_scores(scores: Sequence[tuple[float, float, float]], people: Sequence[Hashable] | None = None,
                other: Sequence[tuple[float, float, float]] | None = None) -> Scores:
    """Means in percent; all zero for no queries. people: the person of each query, for intervals. other: of the same
    queries in another ranking, for what is gained over it."""
    if not scores:
        return Scores(0.0, 0.0, 0.0, 0)
    values = 100 * np.asarray(scores, np.float64)
    ends = () if people is None else tuple(interval(column, people) for column in values.T)
    gains = () if people is None or other is None else tuple(
        interval(column, people) for column in (values - 100 * np.asarray(other, np.float64)).T)
    p, rp, map_r = values.mean(0).tolist()
    return Scores(p, rp, map_r, len(scores), ends, gains)
