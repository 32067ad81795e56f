"""Every patch alike."""

from __future__ import annotations

import torch
from torch import Tensor

from demo.backbones.base import Features
from demo.matching.weightings.base import Weighting


def uniform(features: Features, other: Features) -> Tensor:
    """Eq. 3.6: every patch alike."""
    return torch.ones(features.patches.shape[:2], device=features.patches.device)


WEIGHTING = Weighting(
    "Uniform",
    "Every patch counts the same.",
    uniform,
)
