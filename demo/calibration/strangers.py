"""How near do strangers come? The yardstick for the distance of a best match."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: What is said of a best match: at most a twentieth of the nearest strangers is nearer; half of them, or more, are;
#: something between.
PLAUSIBLE, UNCERTAIN, NOBODY = "plausible", "uncertain", "nobody"
_PLAUSIBLE_SHARE, _NOBODY_SHARE = 0.05, 0.5


@dataclass(frozen=True)
class Strangers:
    """Distances of the nearest stranger, one per sampled photo, sorted: (n,). source: how they were measured."""

    distances: np.ndarray
    source: str

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
        """Up to the first distance a match is plausible; beyond the second it is probably nobody of the gallery."""
        count = len(self.distances)
        return (float(self.distances[int(_PLAUSIBLE_SHARE * count)]),
                float(self.distances[max(0, int(np.ceil(_NOBODY_SHARE * count)) - 1)]))

    def verdict(self, distance: float) -> str:
        """PLAUSIBLE, UNCERTAIN or NOBODY."""
        near, far = self.limits
        return PLAUSIBLE if distance <= near else NOBODY if distance > far else UNCERTAIN
