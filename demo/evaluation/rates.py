"""Measures of verification from the distances of pairs: ROC, AUC, EER, TAR at FAR, and accuracy over folds.

A pair is accepted as one person where its distance is at most a threshold; smaller is nearer. FAR is the share of
pairs of two people that are accepted, TAR the share of pairs of one person.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

#: FARs at which TAR is reported, as far as the pairs suffice.
FARS = (1e-1, 1e-2, 1e-3, 1e-4)


@dataclass(frozen=True)
class Roc:
    """Every distinct threshold, growing from one that accepts nothing: thresholds, far, tar (n,), shares 0 to 1."""

    thresholds: np.ndarray
    far: np.ndarray
    tar: np.ndarray
    strangers: int

    @property
    def auc(self) -> float:
        """Area under TAR over FAR: how often a pair of one person is nearer than one of two, ties counting half."""
        return float(np.sum(np.diff(self.far) * (self.tar[1:] + self.tar[:-1]) / 2))

    @property
    def eer(self) -> float:
        """Equal error rate, 0 to 1: where FAR equals 1 - TAR, on the straight line between the points about it."""
        gap = self.far - (1 - self.tar)
        after = int(np.argmax(gap >= 0))
        if gap[after] == 0 or after == 0:
            return float(self.far[after])
        share = gap[after - 1] / (gap[after - 1] - gap[after])
        return float(self.far[after - 1] + share * (self.far[after] - self.far[after - 1]))

    def tar_at(self, far: float) -> float | None:
        """The largest TAR whose FAR is at most ``far``; None where there are fewer than 1 / far pairs of two people."""
        if self.strangers < round(1 / far):
            return None
        return float(self.tar[self.far <= far + 1e-12].max())


def roc(distances: ArrayLike, same: ArrayLike) -> Roc:
    """The ROC of pairs: distances (n,), same (n,). Both kinds of pairs must be there."""
    values, kinds = np.asarray(distances, float), np.asarray(same, bool)
    if kinds.all() or not kinds.any():
        raise ValueError("a ROC needs pairs of one person and pairs of two")
    own, other = np.sort(values[kinds]), np.sort(values[~kinds])
    steps = np.unique(values)
    tar = np.searchsorted(own, steps, side="right") / len(own)
    far = np.searchsorted(other, steps, side="right") / len(other)
    thresholds, far, tar = (np.concatenate([[first], rest]) for first, rest in ((-np.inf, steps), (0, far), (0, tar)))
    return Roc(thresholds, far, tar, len(other))


def best_threshold(distances: np.ndarray, same: np.ndarray) -> float:
    """The threshold of most right answers; in the middle between two distances, and of several the smallest."""
    order = np.argsort(distances, kind="stable")
    values, kinds = distances[order], same[order]
    ends = np.append(values[1:] > values[:-1], True)  # a threshold lies after the last of equal distances
    right = np.cumsum(kinds) + (~kinds).sum() - np.cumsum(~kinds)
    cuts = np.concatenate([[-1], np.flatnonzero(ends)])
    scores = np.concatenate([[(~kinds).sum()], right[ends]])
    cut = int(cuts[scores.argmax()])
    if cut < 0:
        return float(values[0] - 1)
    return float((values[cut] + values[cut + 1]) / 2 if cut + 1 < len(values) else values[cut])


def fold_accuracies(distances: ArrayLike, same: ArrayLike, folds: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """LFW's view 2: (accuracy (F,), threshold (F,)) of each fold, with the threshold that is best on all others."""
    values, kinds, numbers = np.asarray(distances, float), np.asarray(same, bool), np.asarray(folds)
    accuracies, thresholds = [], []
    for fold in np.unique(numbers):
        held = numbers == fold
        threshold = best_threshold(values[~held], kinds[~held])
        thresholds.append(threshold)
        accuracies.append(np.mean((values[held] <= threshold) == kinds[held]))
    return np.array(accuracies), np.array(thresholds)
