"""Other distances for Stage 2 than the papers', which ``demo.evaluation.beyond`` compares with them.

What won on both sets became an option (``share`` and ``adaptive`` of ``demo.query.Options``); what lost stays here,
so that the comparison can be repeated. A variant is one function and one line in VARIANTS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from demo.backbones import Features
from demo.identify import PAPER_ALPHA, Identifier
from demo.matching import combined, emd, ground_distance, patch_weights, transport
from demo.query import Clock, Options

WEIGHTING = "apc"
#: Gallery faces that hubs are told by.
COHORT = 32


class Bench:
    """What variants may learn from: the gallery alone, never the queries."""

    def __init__(self, identifier: Identifier):
        self.identifier = identifier
        self.gallery = identifier.gallery

    @cached_property
    def patches(self) -> Tensor:
        return self.gallery.features(range(len(self.gallery))).patches.float()

    @cached_property
    def whitening(self) -> tuple[Tensor, Tensor]:
        """Mean (C,) of the gallery's patches and the matrix (C, C) that makes them uncorrelated, shrunk by half."""
        flat = self.patches.flatten(0, 1)
        mean = flat.mean(0)
        covariance = (flat - mean).T @ (flat - mean) / len(flat)
        round_one = torch.eye(len(mean), device=mean.device) * covariance.diagonal().mean()
        values, vectors = torch.linalg.eigh((covariance + round_one) / 2)
        return mean, vectors * values.rsqrt() @ vectors.T

    @cached_property
    def hubs(self) -> tuple[Tensor, Tensor]:
        """(N,) each gallery face's mean EMD and mean cosine distance to a cohort of the gallery."""
        rows = np.unique(np.linspace(0, len(self.gallery) - 1, COHORT).round().astype(int)).tolist()
        everybody = self.gallery.features(range(len(self.gallery)))
        far = torch.stack([emd(everybody[row], everybody, WEIGHTING).distance.double() for row in rows])
        cosine = 1 - self.gallery.embeddings @ self.gallery.embeddings[rows].T
        return far.mean(0).cpu(), cosine.double().mean(1).cpu()


@dataclass(frozen=True)
class Case:
    """One query and its first k of Stage 1. cosine: (k,) float64. query: features of one face; candidates: of k."""

    bench: Bench
    query: Features
    rows: list[int]
    cosine: Tensor

    @cached_property
    def candidates(self) -> Features:
        return self.bench.gallery.features(self.rows)

    @cached_property
    def distance(self) -> Tensor:
        """The papers' EMD."""
        return emd(self.query, self.candidates, WEIGHTING).distance.double().cpu()

    @cached_property
    def ground(self) -> Tensor:
        return ground_distance(self.query.patches, self.candidates.patches)

    def moved(self, ground: Tensor) -> Tensor:
        """EMD with another ground distance (k, P, P) between the same patches."""
        u, v = patch_weights(self.query, self.candidates, WEIGHTING)
        return transport(ground, u, v).cost.double().cpu()

    def offsets(self) -> Tensor:
        """(P, P, 2) steps on the grid, in rows and columns, from each patch to each."""
        rows, cols = self.query.grid
        places = torch.cartesian_prod(torch.arange(rows), torch.arange(cols)).float().to(self.ground.device)
        return places[:, None] - places[None]


def papers(case: Case) -> Tensor:
    return combined(case.cosine, case.distance, PAPER_ALPHA)


def _with(**chosen) -> Callable[[Case], Tensor]:
    """An option of the pipeline itself."""
    def ranked(case: Case) -> Tensor:
        options, identifier = Options(weighting=WEIGHTING, **chosen), case.bench.identifier
        share = options.share
        distance = case.distance if share == 1 else emd(case.query, case.candidates, WEIGHTING, share=share).distance
        return combined(case.cosine, distance.double().cpu(), identifier.alpha(options, case.query))

    return ranked


def _capped(case: Case) -> Tensor:
    """Unequal total weights by price: leaving mass unmatched costs 0.3, which equals no distance being above 0.3."""
    return combined(case.cosine, case.moved(case.ground.clamp(max=0.3)), PAPER_ALPHA)


def _centred(case: Case) -> Tensor:
    mean = case.bench.patches.mean((0, 1))
    return combined(case.cosine, case.moved(
        ground_distance(case.query.patches - mean, case.candidates.patches - mean)), PAPER_ALPHA)


def _whitened(case: Case) -> Tensor:
    mean, matrix = case.bench.whitening
    return combined(case.cosine, case.moved(
        ground_distance((case.query.patches - mean) @ matrix, (case.candidates.patches - mean) @ matrix)), PAPER_ALPHA)


def _two_grids(case: Case) -> Tensor:
    grid = case.bench.identifier.backbone.info.grids[-1]
    coarse = emd(case.query, case.bench.gallery.features(case.rows, grid), WEIGHTING, grid=grid).distance
    return combined(case.cosine, (case.distance + coarse.double().cpu()) / 2, PAPER_ALPHA)


def _near(case: Case) -> Tensor:
    return combined(case.cosine, case.moved(case.ground + 0.01 * case.offsets().square().sum(2)), PAPER_ALPHA)


def _window(case: Case) -> Tensor:
    outside = case.offsets().abs().amax(2) > 2
    return combined(case.cosine, case.moved(case.ground.masked_fill(outside, 2.0)), PAPER_ALPHA)


def _by_nearest(case: Case) -> Tensor:
    """Alpha from 0.6 where Stage 1's nearest is as near as a photo of the same person, to 1 where it is far."""
    far = ((case.cosine[0] - 0.15) / 0.35).clamp(0, 1)
    return (0.6 + 0.4 * far) * case.distance + (0.4 - 0.4 * far) * case.cosine


def with_h2l(case: Case) -> Tensor:
    chosen = Options(stage2="h2l")
    h2l, _ = case.bench.identifier.measure(case.query, case.rows, chosen, Clock(case.query.patches.device))
    return 0.5 * papers(case) + 0.5 * combined(case.cosine, h2l, case.bench.identifier.alpha(chosen, case.query))


def _scaled(case: Case) -> Tensor:
    """Both distances as standard scores over the candidates before they are mixed, in equal parts."""
    parts = (case.distance, case.cosine)
    return sum((part - part.mean()) / part.std().clamp(min=1e-9) for part in parts) / 2


def _without_hubs(case: Case) -> Tensor:
    """Both distances less half of what that candidate is away from everybody."""
    far, cosine = (part[case.rows] for part in case.bench.hubs)
    return combined(case.cosine - cosine / 2, case.distance - far / 2, PAPER_ALPHA)


#: Name in the table → final distances (k,) of a case; the first is what the others are compared with.
VARIANTS: dict[str, Callable[[Case], Tensor]] = {
    "papers: EMD, APC, α = 0.7": papers,
    "**share 0.7** (partial transport)": _with(share=0.7),
    "share 0.5": _with(share=0.5),
    "**adaptive α**": _with(adaptive=True),
    "adaptive α, share 0.7": _with(adaptive=True, share=0.7),
    "α 0.9 for all": _with(alpha=0.9),
    "α by the nearest distance": _by_nearest,
    "unmatched mass at a price (0.3)": _capped,
    "patches centred": _centred,
    "patches whitened": _whitened,
    "both grids": _two_grids,
    "distance on the grid added (λ = 0.01)": _near,
    "window of two patches": _window,
    "EMD and H2L": with_h2l,
    "standard scores": _scaled,
    "hubs discounted": _without_hubs,
}
