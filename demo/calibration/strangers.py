"""How near do strangers come? The yardstick for the distance of a best match."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from demo.calibration.threshold import OWN_FAIL

#: What is said of a best match: nearer than all but a twentieth of the nearest strangers come; farther than all but a
#: twentieth of the people who are there; something between.
PLAUSIBLE, UNCERTAIN, NOBODY = "plausible", "uncertain", "nobody"
_PLAUSIBLE_SHARE = 0.05


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

        Of n strangers the k-th nearest with k = 0.05 (n + 1), so that of strangers drawn like them 5 % at most come as
        near in the mean (of fewer than 19 the nearest, which is more); of the people who are there the same from the
        other end. Where the one is farther than the other, what lies between them is uncertain too. Without known
        people the second is the distance that half of the strangers reach.
        """
        near = _order_statistic(self.distances, _PLAUSIBLE_SHARE)
        far = (-_order_statistic(np.sort(-self.known), OWN_FAIL) if len(self.known)
               else float(self.distances[(len(self.distances) - 1) // 2]))
        return min(near, far), max(near, far)

    def verdict(self, distance: float) -> str:
        """PLAUSIBLE, UNCERTAIN or NOBODY."""
        near, far = self.limits
        return PLAUSIBLE if distance <= near else NOBODY if distance > far else UNCERTAIN


def _order_statistic(values: np.ndarray, share: float) -> float:
    """Of sorted values the one below which this share of further values, drawn like them, lies at most in the mean."""
    return float(values[max(1, int(share * (len(values) + 1))) - 1])
