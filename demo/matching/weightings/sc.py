"""Spatial correlation."""

from __future__ import annotations

from torch import Tensor

from demo.backbones.base import Features
from demo.matching.weightings.base import Weighting, sum_of_cosines


def spatial_correlation(features: Features, other: Features) -> Tensor:
    """SC, Eq. 3.8: max(0, sum of the patch's cosine similarities to all patches of the other image)."""
    return sum_of_cosines(features, other).relu()


WEIGHTING = Weighting(
    "Spatial correlation (SC)",
    "A patch counts as much as it resembles the other face's patches, summed.",
    spatial_correlation,
)
