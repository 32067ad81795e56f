"""Spatial correlation as the published code has it."""

from __future__ import annotations

from torch import Tensor

from demo.backbones.base import Features
from demo.matching.weightings.base import Weighting, sum_of_cosines


def spatial_distance(features: Features, other: Features) -> Tensor:
    """SC as the published code has it: the sum of cosine *distances*, which is high where nothing matches."""
    return (other.patches.shape[1] - sum_of_cosines(features, other)).relu()


WEIGHTING = Weighting(
    "Spatial correlation as published",
    "The published code's reversed SC: a patch counts more the less it resembles the other face's patches.",
    spatial_distance,
)
