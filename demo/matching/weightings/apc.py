"""Average pooling correlation, the paper's default."""

from __future__ import annotations

from torch import Tensor

from demo.backbones.base import Features
from demo.matching.weightings.base import Weighting, dot, floating


def average_pooling_correlation(features: Features, other: Features) -> Tensor:
    """APC, Eq. 3.7: max(0, <patch, mean patch of the other image>), of the patches as they are.

    (The published code scales every patch to length 1 first, which gives faint patches more weight.)
    """
    return dot(floating(features.patches), floating(other.patches).mean(1)).relu()


WEIGHTING = Weighting(
    "Average pooling correlation (APC)",
    "A patch counts as much as it agrees with the other face on average.",
    average_pooling_correlation,
)
