"""How much to trust Stage 2, query by query: alpha raised for queries whose patches are not where a face's are.

An extra, not in the papers, which leave open why re-ranking helps some queries and not others. A crop moves every patch
away from its place; the embedding then says little, while transport still finds the patches elsewhere. Masks,
sunglasses, blur and low light move nothing, and alpha stays (``python -m demo evaluate beyond`` measures both).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from demo.errors import BadSetting

#: Alpha of a query that is surely out of place. 0.95 finds more crops still, and ranks their further photos worse.
RAISED_ALPHA = 0.9
#: Displacement where alpha begins to rise, and where it stops. Nearly all masked and sunglassed faces lie below
#: the one, nearly all 70 % crops above the other.
RISE = (2.0, 3.5)
#: Fewer faces give no reliable spread.
FEWEST = 20


@dataclass(frozen=True)
class PatchStatistics:
    """Where a gallery's faces have what. mean: (P, C), the mean patch at each place.

    usual, spread: median distance of the gallery's faces from ``mean``, and from there to the 90th percentile.
    """

    mean: Tensor
    usual: float
    spread: float

    @classmethod
    def of(cls, patches: Tensor) -> PatchStatistics:
        """From the patches (N, P, C) of a gallery's faces; BadSetting for fewer than FEWEST."""
        if len(patches) < FEWEST:
            raise BadSetting(f"The adaptive alpha needs a gallery of at least {FEWEST} photos; this one has "
                             f"{len(patches)}: give alpha as a number.")
        patches = patches.float()
        mean = patches.mean(0)
        usual, high = torch.quantile(_distance(patches, mean), torch.tensor([0.5, 0.9], device=patches.device)).tolist()
        return cls(mean, usual, max(high - usual, 1e-6))

    def displacement(self, patches: Tensor) -> float:
        """How far the patches (1, P, C) of a face are from their places: 0 for the gallery's median face, 1 at its
        90th percentile."""
        return (float(_distance(patches.float(), self.mean)[0]) - self.usual) / self.spread


def _distance(patches: Tensor, mean: Tensor) -> Tensor:
    """(N,) mean over the places of 1 - cosine similarity of a face's patch with the mean patch there."""
    return (1 - F.cosine_similarity(patches, mean[None], dim=2)).mean(1)


def adapted_alpha(alpha: float, displacement: float) -> float:
    """Eq. 5.1's alpha for one query: as it is up to RISE[0], RAISED_ALPHA (if that is more) from RISE[1] on, in between
    to two decimals."""
    start, end = RISE
    rise = min(max((displacement - start) / (end - start), 0.0), 1.0)
    return round(alpha + rise * max(RAISED_ALPHA - alpha, 0.0), 2) if rise else alpha
