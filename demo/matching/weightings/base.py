"""What every weighting is, and the arithmetic that several share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from demo.backbones.base import Features


def floating(tensor: Tensor) -> Tensor:
    """At least single precision: stored features may be in half."""
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()


def dot(patches: Tensor, vectors: Tensor) -> Tensor:
    """<patch, vector>: patches (A, P, C) with vectors (B, C), A and B equal or one of them 1 → (max(A, B), P)."""
    if len(patches) == 1:
        return vectors @ patches[0].T
    if len(vectors) == 1:
        return patches @ vectors[0]
    return (patches @ vectors[:, :, None])[:, :, 0]


def sum_of_cosines(features: Features, other: Features) -> Tensor:
    """(B, P) sum of each patch's cosine similarities to all patches of the other image."""
    ours, theirs = (F.normalize(floating(f.patches), dim=-1) for f in (features, other))
    return dot(ours, theirs.sum(1))


def always_available(features: Features) -> str | None:
    return None


@dataclass(frozen=True)
class Weighting:
    """A choice of patch weights.

    title, explanation: for people. raw(features, other) → (B, P) weights of the patches of ``features``, on any
    scale. unavailable(features) → None, or one sentence that says why it cannot be used with such features.
    """

    title: str
    explanation: str
    raw: Callable[[Features, Features], Tensor]
    unavailable: Callable[[Features], str | None] = always_available
