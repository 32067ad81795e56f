"""How near do strangers come? The yardstick for the distance of a best match."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


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
