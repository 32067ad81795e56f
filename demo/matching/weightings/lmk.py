"""Density of facial landmarks."""

from __future__ import annotations

import torch
from torch import Tensor

from demo.backbones.base import Features
from demo.matching.weightings.base import Weighting


def landmark_density(features: Features, other: Features) -> Tensor:
    """LMK: the number of the image's own 68 landmarks inside each patch; those outside the crop do not count."""
    rows, cols = features.grid
    assert features.landmarks is not None  # else the weighting is unavailable
    x, y = features.landmarks.unbind(-1)
    inside = (x >= 0) & (x <= 1) & (y >= 0) & (y <= 1)  # also false for NaN
    col = (x.where(inside, 0) * cols).long().clamp(max=cols - 1)
    row = (y.where(inside, 0) * rows).long().clamp(max=rows - 1)
    counts = torch.zeros(len(features), rows * cols, device=x.device)
    return counts.scatter_add(1, row * cols + col, inside.float())


def _without_landmarks(features: Features) -> str | None:
    if features.landmarks is not None:
        return None
    return "LMK needs the 68 landmarks of both faces, which are not known here: choose another weighting."


WEIGHTING = Weighting(
    "Landmarks (LMK)",
    "A patch counts as much as it holds facial landmarks.",
    landmark_density,
    _without_landmarks,
)
