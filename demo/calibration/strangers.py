"""How near do strangers come? The yardstick for the distance of a best match."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

#: What is said of a best match: nearer than all but a few of the nearest strangers come; farther than all but a few of
#: the people who are there; something between.
PLAUSIBLE, UNCERTAIN, NOBODY = "plausible", "uncertain", "nobody"
#: The share that may be told wrongly, and how much doubt there may be that it is no more.
_WRONG, _DOUBT = 0.06, 0.05


@dataclass(frozen=True)
class Strangers:
    """Distances of the nearest stranger, one per sampled photo, sorted: (n,). source: how they were measured. known:
    (m,) distances of people who are there to a photo of their own; empty where too few have two photos."""

    distances: np.ndarray
    source: str
    known: np.ndarray = field(default_factory=lambda: np.empty(0))

    @property
    def range(self) -> tuple[float, float]:
        """The middle nine tenths."""
        low, high = np.percentile(self.distances, [5, 95])
        return float(low), float(high)

    def share_below(self, distance: float) -> float:
        """Share of the nearest strangers that are nearer than ``distance``, 0 to 1."""
        return float(np.searchsorted(self.distances, distance) / len(self.distances))

    @property
    def limits(self) -> tuple[float, float]:
        """Up to the first distance a match is plausible; beyond the second it is probably nobody of the gallery.

        Of n strangers the k-th nearest, so that with 95 % confidence at most _WRONG of further strangers drawn like
        them come as near (see ``bounded``); of the people who are there the same from the other end. Where the one is
        farther than the other, what lies between them is uncertain too. Without known people the second is the distance
        that half of the strangers reach.
        """
        near = float(self.distances[bounded(len(self.distances)) - 1])
        far = (float(np.sort(self.known)[-bounded(len(self.known))]) if len(self.known)
               else float(self.distances[(len(self.distances) - 1) // 2]))
        return min(near, far), max(near, far)

    def verdict(self, distance: float) -> str:
        """PLAUSIBLE, UNCERTAIN or NOBODY."""
        near, far = self.limits
        return PLAUSIBLE if distance <= near else NOBODY if distance > far else UNCERTAIN


def bounded(count: int) -> int:
    """The largest k with P(fewer than k of ``count`` lie in a part that has the share _WRONG) at most _DOUBT: with that
    little doubt, at most _WRONG of all lies below the k-th smallest of ``count`` that were drawn. At least 1, which is
    too many of fewer than 49."""
    place, chance, below = 0, (1 - _WRONG) ** count, 0.0
    while (below := below + chance) <= _DOUBT:
        place += 1
        chance *= (count - place + 1) / place * _WRONG / (1 - _WRONG)
    return max(1, place)
