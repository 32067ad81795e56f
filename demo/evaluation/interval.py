"""Means with their uncertainty: the percentile bootstrap over people, or over queries where nobody has two."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache

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

    def times(self, factor: float) -> Interval:
        """Of something so many times as large: 100 for percent."""
        return Interval(factor * self.mean, factor * self.low, factor * self.high)

    def text(self, digits: int = 3, sign: bool = False) -> str:
        """"0.123 (0.100 to 0.140)"."""
        mean, low, high = (f"{value:{'+' if sign else ''}.{digits}f}" for value in (self.mean, self.low, self.high))
        return f"{mean} ({low} to {high})"


def interval(values: Sequence[float] | np.ndarray, groups: Sequence[Hashable] | None = None, *,
             seed: int = 0) -> Interval:
    """The mean of one number per query (Q,) and where 95 % of such means lie when people are drawn anew.

    groups: the person of each query. As many people as there are, drawn with replacement, come with all their queries,
    since queries of one person resemble each other; without groups each query is drawn by itself, so with few people
    the truth is wider. For two methods give the differences query by query: that compares them on the same draws.
    ValueError for no queries.
    """
    values = np.asarray(values, dtype=np.float64)
    if not values.size:
        raise ValueError("no queries, so there is no mean")
    own = np.arange(values.size) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1].ravel()
    counts = np.bincount(own)
    sums, drawn = np.bincount(own, values), _draws(len(counts), seed)
    low, high = np.quantile((drawn @ sums) / (drawn @ counts), (0.025, 0.975))
    return Interval(float(values.mean()), float(low), float(high))


@lru_cache(maxsize=2)
def _draws(count: int, seed: int) -> np.ndarray:
    """(RESAMPLES, count): how often each was drawn."""
    generator = np.random.default_rng(seed)
    return np.stack([np.bincount(generator.integers(0, count, count), minlength=count) for _ in range(RESAMPLES)]
                    ).astype(np.float32)
