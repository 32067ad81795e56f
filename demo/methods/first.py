"""The first few of a ranking without measuring all of its candidates, where a method knows lower bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from demo.methods.base import Measured
from demo.methods.rerank import rerank

#: Candidates that are measured at a time, the most promising first.
STEP = 8
#: Bounds and distances are rounded to single precision: nearer to each other than this counts as equal.
ROUNDING = 1e-5


@dataclass(frozen=True)
class Few:
    """The first of a ranking. slots: (n,) of the candidates as they came, nearest first. patch, combined: (n,) float64
    Stage 2 distance and Eq. 5.1. evidence: as of ``Measured``, for these n. measured: how many candidates had to be."""

    slots: Tensor
    patch: Tensor
    combined: Tensor
    evidence: object
    measured: int


def first_few(cosine: Tensor, least: Tensor, measure: Callable[[Tensor], Measured], alpha: float, count: int) -> Few:
    """The first ``count`` of what ``rerank`` makes of all k candidates, ties included.

    cosine: (k,) Stage 1 distances. least: (k,) lower bounds of the Stage 2 distances. measure: slots → those distances;
    a candidate's must not depend on the others'. A candidate is left out once its bound is beyond ``count`` others.
    """
    cosine, least = cosine.double().cpu(), least.double().cpu()
    bound = rerank(cosine, least, alpha)
    patch = torch.full_like(cosine, torch.inf)
    combined = patch.clone()
    waiting, limit, known = bound.order, torch.inf, []
    while len(waiting := waiting[bound.distances[waiting] <= limit + ROUNDING]):
        some, waiting = waiting[:max(STEP, count)], waiting[max(STEP, count):]
        patch[some] = measure(some).distances.double().cpu()
        combined[some] = rerank(cosine[some], patch[some], alpha).distances
        known += some.tolist()
        limit = float(combined.sort().values[min(count, len(combined)) - 1])
    slots = torch.sort(combined, stable=True).indices[:count]
    return Few(slots, patch[slots], combined[slots], measure(slots).evidence, len(known))
