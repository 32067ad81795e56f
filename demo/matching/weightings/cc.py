"""Cross correlation of patches and embedding."""

from __future__ import annotations

from torch import Tensor

from demo.backbones.base import Features
from demo.matching.weightings.base import Weighting, dot, floating


def cross_correlation(features: Features, other: Features) -> Tensor:
    """CC: as APC, with the other image's embedding in place of its mean patch."""
    return dot(floating(features.patches), floating(other.embedding)).relu()


def _without_equal_lengths(features: Features) -> str | None:
    channels, dim = features.patches.shape[-1], features.embedding.shape[-1]
    if channels == dim:
        return None
    rows, cols = features.grid
    return (f"CC compares patches with the image embedding, but on the {rows}x{cols} grid a patch has {channels} "
            f"numbers and the embedding {dim}: choose another grid or weighting.")


WEIGHTING = Weighting(
    "Cross correlation (CC)",
    "A patch counts as much as it agrees with the other face's embedding.",
    cross_correlation,
    _without_equal_lengths,
)
