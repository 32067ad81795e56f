"""Eq. 5.1 of DeepFace-EMD, and the one place that re-orders candidates."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from demo.errors import BadSetting


@dataclass(frozen=True)
class Reranked:
    """distances: (k,) combined, in the order of the candidates as they came. order: (k,) their slots, nearest first;
    equal distances keep the order they came in."""

    distances: Tensor
    order: Tensor


def rerank(cosine: Tensor, patch: Tensor, alpha: float) -> Reranked:
    """Eq. 5.1: alpha * patch + (1 - alpha) * cosine, and the order that follows.

    cosine, patch: (k,) Stage 1 and Stage 2 distances of the same candidates. BadSetting unless alpha is in 0..1.
    """
    if not 0 <= alpha <= 1:
        raise BadSetting(f"alpha must lie between 0 and 1; got {alpha}.")
    distances = alpha * patch + (1 - alpha) * cosine
    return Reranked(distances, torch.sort(distances, stable=True).indices)
