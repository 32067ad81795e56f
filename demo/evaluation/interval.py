"""Means with their uncertainty: the percentile bootstrap over queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000


@dataclass(frozen=True)
class Interval:
    """A mean and the ends of its 95 % interval."""

    mean: float
    low: float
    high: float

    def as_json(self) -> dict[str, float]:
        return {"mean": self.mean, "low": self.low, "high": self.high}

    def text(self, digits: int = 3, sign: bool = False) -> str:
        """"0.123 (0.100 to 0.140)"."""
        mean, low, high = (f"{value:{'+' if sign else ''}.{digits}f}" for value in (self.mean, self.low, self.high))
        return f"{mean} ({low} to {high})"


def interval(values: Sequence[float] | np.ndarray, *, seed: int = 0) -> Interval:
    """The mean of one number per query (Q,) and where 95 % of the means of Q queries drawn with replacement lie.

    For two methods give the differences query by query: that compares them on the same draws. Queries of one person
    resemble each other, so with few people the truth is wider than the interval. ValueError for no queries.
    """
    values = np.asarray(values, dtype=np.float64)
    if not values.size:
        raise ValueError("no queries, so there is no mean")
    drawn = np.random.default_rng(seed).integers(0, values.size, (RESAMPLES, values.size))
    low, high = np.quantile(values[drawn].mean(1), (0.025, 0.975))
    return Interval(float(values.mean()), float(low), float(high))
