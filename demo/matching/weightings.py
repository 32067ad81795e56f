"""How much each patch matters: the weights of the two images' patches before transport.

A weighting looks at one image in the light of the other, and is used once in each direction. A new one is a function
of (features, other) that returns raw weights, and one line in WEIGHTINGS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from demo.backbones.base import BackboneInfo, Features, Grid
from demo.errors import BadSetting


def floating(tensor: Tensor) -> Tensor:
    """At least single precision: stored features may be in half."""
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()


def _dot(patches: Tensor, vectors: Tensor) -> Tensor:
    """<patch, vector>: patches (A, P, C) with vectors (B, C), A and B equal or one of them 1 → (max(A, B), P)."""
    if len(patches) == 1:
        return vectors @ patches[0].T
    if len(vectors) == 1:
        return patches @ vectors[0]
    return (patches @ vectors[:, :, None])[:, :, 0]


def uniform(features: Features, other: Features) -> Tensor:
    """Eq. 3.6: every patch alike."""
    return torch.ones(features.patches.shape[:2], device=features.patches.device)


def average_pooling_correlation(features: Features, other: Features) -> Tensor:
    """APC, Eq. 3.7: max(0, <patch, mean patch of the other image>), of the patches as they are.

    (The published code scales every patch to length 1 first, which gives faint patches more weight.)
    """
    return _dot(floating(features.patches), floating(other.patches).mean(1)).relu()


def cross_correlation(features: Features, other: Features) -> Tensor:
    """CC: as APC, with the other image's embedding in place of its mean patch."""
    return _dot(floating(features.patches), floating(other.embedding)).relu()


def _sum_of_cosines(features: Features, other: Features) -> Tensor:
    ours, theirs = (F.normalize(floating(f.patches), dim=-1) for f in (features, other))
    return _dot(ours, theirs.sum(1))


def spatial_correlation(features: Features, other: Features) -> Tensor:
    """SC, Eq. 3.8: max(0, sum of the patch's cosine similarities to all patches of the other image)."""
    return _sum_of_cosines(features, other).relu()


def spatial_distance(features: Features, other: Features) -> Tensor:
    """SC as the published code has it: the sum of cosine *distances*, which is high where nothing matches."""
    return (other.patches.shape[1] - _sum_of_cosines(features, other)).relu()


def landmark_density(features: Features, other: Features) -> Tensor:
    """LMK: the number of the image's own 68 landmarks inside each patch; those outside the crop do not count."""
    rows, cols = features.grid
    x, y = features.landmarks.unbind(-1)
    inside = (x >= 0) & (x <= 1) & (y >= 0) & (y <= 1)  # also false for NaN
    col = (x.where(inside, 0) * cols).long().clamp(max=cols - 1)
    row = (y.where(inside, 0) * rows).long().clamp(max=rows - 1)
    counts = torch.zeros(len(features), rows * cols, device=x.device)
    return counts.scatter_add_(1, row * cols + col, inside.float())


def _always(features: Features) -> str | None:
    return None


def _without_equal_lengths(features: Features) -> str | None:
    channels, dim = features.patches.shape[-1], features.embedding.shape[-1]
    if channels == dim:
        return None
    rows, cols = features.grid
    return (f"CC compares patches with the image embedding, but on the {rows}x{cols} grid a patch has {channels} "
            f"numbers and the embedding {dim}: choose another grid or weighting.")


def _without_landmarks(features: Features) -> str | None:
    if features.landmarks is not None:
        return None
    return "LMK needs the 68 landmarks of both faces, which are not known here: choose another weighting."


@dataclass(frozen=True)
class Weighting:
    """A choice of patch weights.

    title, explanation: for people. raw(features, other) → (B, P) weights of the patches of ``features``, on any
    scale. unavailable(features) → None, or one sentence that says why it cannot be used with such features.
    """

    title: str
    explanation: str
    raw: Callable[[Features, Features], Tensor]
    unavailable: Callable[[Features], str | None] = _always


WEIGHTINGS: dict[str, Weighting] = {
    "apc": Weighting(
        "Average pooling correlation (APC)",
        "A patch counts as much as it agrees with the other face on average.",
        average_pooling_correlation,
    ),
    "uniform": Weighting("Uniform", "Every patch counts the same.", uniform),
    "cc": Weighting(
        "Cross correlation (CC)",
        "A patch counts as much as it agrees with the other face's embedding.",
        cross_correlation,
        _without_equal_lengths,
    ),
    "sc": Weighting(
        "Spatial correlation (SC)",
        "A patch counts as much as it resembles the other face's patches, summed.",
        spatial_correlation,
    ),
    "sc-authors": Weighting(
        "Spatial correlation as published",
        "The published code's reversed SC: a patch counts more the less it resembles the other face's patches.",
        spatial_distance,
    ),
    "lmk": Weighting(
        "Landmarks (LMK)",
        "A patch counts as much as it holds facial landmarks.",
        landmark_density,
        _without_landmarks,
    ),
}


def weighting_problems(info: BackboneInfo, grid: Grid | None = None) -> dict[str, str | None]:
    """Every weighting → None, or one sentence why it cannot be used with this backbone's features on this grid."""
    grid = grid or info.grids[0]
    channels = dict(zip(info.grids, info.channels, strict=True)).get(grid, info.channels[0])
    shapes = Features(torch.empty(1, info.dim, device="meta"),
                      torch.empty(1, grid[0] * grid[1], channels, device="meta"), grid,
                      landmarks=torch.empty(1, 68, 2, device="meta"))
    return {name: weighting.unavailable(shapes) for name, weighting in WEIGHTINGS.items()}


def patch_weights(query: Features, candidates: Features, method: str = "apc") -> tuple[Tensor, Tensor]:
    """Weights of the patches of B pairs of images (Eq. 3.6-3.8), each row non-negative with sum 1.

    query: 1 image (against every candidate) or B. candidates: B images. method: a name in WEIGHTINGS.
    Returns u (B, P) for the query's patches and v (B, P') for the candidates'. A row whose raw weights are all zero,
    or not finite, becomes uniform.
    Raises BadSetting for an unknown method, one that these features do not allow, or batches that do not fit.
    """
    batch = len(candidates)
    if len(query) not in (1, batch):
        raise BadSetting(f"{len(query)} query images cannot be paired with {batch} candidates: give one, or as many.")
    if method not in WEIGHTINGS:
        raise BadSetting(f"Unknown weighting {method!r}: choose from {', '.join(WEIGHTINGS)}.")
    weighting = WEIGHTINGS[method]
    for features in (query, candidates):
        if reason := weighting.unavailable(features):
            raise BadSetting(reason)
    u = _normalised(weighting.raw(query, candidates))
    v = _normalised(weighting.raw(candidates, query))
    return u.expand(batch, -1), v.expand(batch, -1)


def _normalised(raw: Tensor) -> Tensor:
    """Rows scaled to sum to 1; uniform where they are all zero or hold a number that is not finite."""
    peak = raw.amax(1, keepdim=True)
    weights = raw / peak
    weights = weights / weights.sum(1, keepdim=True)
    usable = (peak > 0) & raw.isfinite().all(1, keepdim=True)
    return weights.where(usable, 1 / raw.shape[1])
