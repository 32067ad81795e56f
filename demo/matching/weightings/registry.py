"""Every weighting, one line each, and the weights that they give."""

from __future__ import annotations

import torch
from torch import Tensor

from demo.backbones.base import BackboneInfo, Features, Grid
from demo.errors import BadSetting
from demo.matching.weightings import apc, cc, lmk, sc, sc_authors, uniform
from demo.matching.weightings.base import Weighting

#: Name → weighting, in the order that menus and tables show.
WEIGHTINGS: dict[str, Weighting] = {
    "apc": apc.WEIGHTING,
    "uniform": uniform.WEIGHTING,
    "cc": cc.WEIGHTING,
    "sc": sc.WEIGHTING,
    "sc-authors": sc_authors.WEIGHTING,
    "lmk": lmk.WEIGHTING,
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
