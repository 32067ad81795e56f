"""Identification metrics of the papers: P@1, R-Precision and MAP@R."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: How R is counted in leave-one-out, and whether the query's own unaltered photo may be found (see ``protocol``).
READINGS = {"corrected": "R counts the photos that can be found",
            "paper": "as in the published code: in leave-one-out the query itself stays counted in R"}


@dataclass(frozen=True)
class Scores:
    """Mean metrics in percent over ``queries`` queries."""

    p_at_1: float
    rp: float
    map_at_r: float
    queries: int

    def as_json(self) -> dict[str, float]:
        return {"P@1": self.p_at_1, "RP": self.rp, "MAP@R": self.map_at_r}


def score_query(correct: Sequence[bool] | np.ndarray, relevant: int) -> tuple[float, float, float]:
    """(P@1, RP, MAP@R) of one query, each 0 to 1.

    correct: for each rank from the first, whether that gallery photo shows the query's identity.
    relevant: R, how many photos of that identity the gallery holds; must be at least 1.
    RP is the share of the first R that are correct; MAP@R = (1/R) sum over i <= R of P@i * correct_i.
    """
    if relevant < 1:
        raise ValueError("a query without a photo of its identity in the gallery has no score")
    hits, average = 0, 0.0
    for rank, hit in enumerate(correct[:relevant], start=1):
        if hit:
            hits += 1
            average += hits / rank
    return float(bool(correct[0])), hits / relevant, average / relevant


def best_possible(correct: Sequence[bool] | np.ndarray, relevant: int, k: int) -> tuple[float, float, float]:
    """The scores of one query if the first k were re-ranked perfectly: what Stage 2 can reach at most (the "max
    precision" of Tab 5.2). Its P@1 says whether a right photo is among the first k."""
    head = sorted(map(bool, correct[:k]), reverse=True)
    return score_query([*head, *correct[k:max(k, relevant)]], relevant)


def mean_scores(scores: Sequence[tuple[float, float, float]]) -> Scores:
    """Means in percent; all zero for no queries."""
    if not scores:
        return Scores(0.0, 0.0, 0.0, 0)
    p, rp, map_r = (100 * sum(column) / len(scores) for column in zip(*scores, strict=True))
    return Scores(p, rp, map_r, len(scores))
