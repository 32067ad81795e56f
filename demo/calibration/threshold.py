"""From which distance on are two photos of different people? A threshold set on measured distances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

#: The verdict "same" may be given to this share of strangers, "different" to this share of one person's pairs.
STRANGERS_PASS, OWN_FAIL = 0.01, 0.05


@dataclass(frozen=True)
class Threshold:
    """Where a method draws the line; distances, smaller is nearer.

    value: the distance of equal error rate. lower, upper: between them the verdict is "uncertain". error: the equal
    error rate, 0 to 1. genuine, strangers: how many pairs were measured. source: on what, in a sentence.
    """

    value: float
    lower: float
    upper: float
    error: float
    genuine: int
    strangers: int
    source: str

    def verdict(self, distance: float) -> str:
        """"same", "uncertain" or "different"."""
        if distance < self.lower:
            return "same"
        return "different" if distance > self.upper else "uncertain"


def set_threshold(genuine: Sequence[float] | np.ndarray, strangers: Sequence[float] | np.ndarray,
                  source: str = "") -> Threshold:
    """The threshold that measured distances give: of pairs of one person's photos, and of strangers' photos.

    A pair passes where its distance is at most t. ``value`` lies in the middle of the distances t at which the share
    of strangers that pass and the share of genuine pairs that fail are nearest to each other. The band reaches from
    where STRANGERS_PASS of the strangers pass to where OWN_FAIL of the genuine pairs fail, in either order (where
    the two do not overlap, nothing measured lies between), and always holds ``value``.
    """
    own, other = np.sort(np.asarray(genuine, float)), np.sort(np.asarray(strangers, float))
    steps = np.unique(np.concatenate([own, other]))
    passing = np.searchsorted(other, steps, side="right") / len(other)
    failing = 1 - np.searchsorted(own, steps, side="right") / len(own)
    best = int(np.abs(passing - failing).argmin())
    value = float(steps[best:best + 2].mean())
    error = float(passing[best] + failing[best]) / 2
    ends = value, float(np.quantile(other, STRANGERS_PASS)), float(np.quantile(own, 1 - OWN_FAIL))
    return Threshold(value, min(ends), max(ends), error, len(own), len(other), source)


def careful_threshold(kinds: Sequence[tuple[np.ndarray, np.ndarray]], source: str = "") -> Threshold:
    """The threshold for photos that may be of any of several kinds: of each (genuine, strangers) as above, either of
    which may be empty of a kind, but not of all.

    ``value`` and ``error`` are those of all pairs together. The band reaches from the smallest distance at which
    STRANGERS_PASS of the strangers of a kind pass to the largest at which OWN_FAIL of the genuine pairs of a kind fail.
    """
    genuine, strangers = (np.concatenate([pairs[side] for pairs in kinds]) for side in (0, 1))
    together = set_threshold(genuine, strangers, source)
    lower = min(float(np.quantile(other, STRANGERS_PASS)) for _, other in kinds if len(other))
    upper = max(float(np.quantile(own, 1 - OWN_FAIL)) for own, _ in kinds if len(own))
    ends = together.value, lower, upper
    return replace(together, lower=min(ends), upper=max(ends))
