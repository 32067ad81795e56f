"""Other distances for Stage 2 than the papers', which ``demo.evaluation.beyond`` compares with them.

What won on both sets became an option of the method (``share`` and ``adaptive``); what lost stays here, so that the
comparison can be repeated. A variant is one function and one line in VARIANTS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from demo.backbones import Features
from demo.identify import Identifier
from demo.matching import emd, ground_distance, patch_weights, transport
from demo.methods import METHODS, Matching, Reranked, rerank
from demo.methods.emd import PAPER_ALPHA, Emd
from demo.methods.h2l import H2L
from demo.query import Clock

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


    def ranked(self, distance: Tensor) -> Reranked:
        """Eq. 5.1 with a distance (k,) in place of the papers', and the papers' alpha."""
        return rerank(self.cosine, distance.double().cpu(), PAPER_ALPHA)


@dataclass(frozen=True)
class Variant:
    """rank: a case → its candidates re-ranked. needs: words of the methods that it uses beside the EMD."""

    rank: Callable[[Case], Reranked]
    needs: tuple[str, ...] = ()

    @property
    def trained(self) -> bool:
        """Whether it rests on a network that may know the people it is measured on."""
        return any(METHODS[word].trained for word in self.needs)


def papers(case: Case) -> Reranked:
    return case.ranked(case.distance)


def _with(**chosen) -> Variant:
    """An option of the pipeline itself."""
    def ranked(case: Case) -> Reranked:
        matching, identifier = Matching().having(method=Emd.word, weighting=WEIGHTING, **chosen), case.bench.identifier
        share = matching.of().share
        distance = case.distance if share == 1 else emd(case.query, case.candidates, WEIGHTING, share=share).distance
        return rerank(case.cosine, distance.double().cpu(), identifier.alpha(matching, case.query))

    return Variant(ranked)


def _capped(case: Case) -> Reranked:
    """Unequal total weights by price: leaving mass unmatched costs 0.3, which equals no distance being above 0.3."""
    return case.ranked(case.moved(case.ground.clamp(max=0.3)))


def _centred(case: Case) -> Reranked:
    mean = case.bench.patches.mean((0, 1))
    return case.ranked(case.moved(ground_distance(case.query.patches - mean, case.candidates.patches - mean)))


def _whitened(case: Case) -> Reranked:
    mean, matrix = case.bench.whitening
    return case.ranked(case.moved(
        ground_distance((case.query.patches - mean) @ matrix, (case.candidates.patches - mean) @ matrix)))


def _two_grids(case: Case) -> Reranked:
    grid = case.bench.identifier.backbone.info.grids[-1]
    coarse = emd(case.query, case.bench.gallery.features(case.rows, grid), WEIGHTING, grid=grid).distance
    return case.ranked((case.distance + coarse.double().cpu()) / 2)


def _near(case: Case) -> Reranked:
    return case.ranked(case.moved(case.ground + 0.01 * case.offsets().square().sum(2)))


def _window(case: Case) -> Reranked:
    outside = case.offsets().abs().amax(2) > 2
    return case.ranked(case.moved(case.ground.masked_fill(outside, 2.0)))


def _by_nearest(case: Case) -> Reranked:
    """Alpha from 0.6 where Stage 1's nearest is as near as a photo of the same person, to 1 where it is far."""
    far = ((case.cosine[0] - 0.15) / 0.35).clamp(0, 1)
    return rerank(case.cosine, case.distance, float(0.6 + 0.4 * far))


def _with_h2l(case: Case) -> Reranked:
    """The mean of what either gives."""
    chosen, identifier = Matching(method=H2L.word), case.bench.identifier
    measured = identifier.measure(case.query, case.rows, chosen, Clock(case.query.patches.device))
    other = rerank(case.cosine, measured.distances.double().cpu(), identifier.alpha(chosen, case.query))
    return rerank(papers(case).distances, other.distances, 0.5)


def _scaled(case: Case) -> Reranked:
    """Both distances as standard scores over the candidates before they are mixed, in equal parts."""
    cosine, distance = ((part - part.mean()) / part.std().clamp(min=1e-9) for part in (case.cosine, case.distance))
    return rerank(cosine, distance, 0.5)


def _without_hubs(case: Case) -> Reranked:
    """Both distances less half of what that candidate is away from everybody."""
    far, cosine = (part[case.rows] for part in case.bench.hubs)
    return rerank(case.cosine - cosine / 2, case.distance - far / 2, PAPER_ALPHA)


#: Name in the table → how it ranks; the first is what the others are compared with.
VARIANTS: dict[str, Variant] = {
    "papers: EMD, APC, α = 0.7": Variant(papers),
    "**share 0.7** (partial transport)": _with(share=0.7),
    "share 0.5": _with(share=0.5),
    "**adaptive α**": _with(adaptive=True),
    "adaptive α, share 0.7": _with(adaptive=True, share=0.7),
    "α 0.9 for all": _with(alpha=0.9),
    "α by the nearest distance": Variant(_by_nearest),
    "unmatched mass at a price (0.3)": Variant(_capped),
    "patches centred": Variant(_centred),
    "patches whitened": Variant(_whitened),
    "both grids": Variant(_two_grids),
    "distance on the grid added (λ = 0.01)": Variant(_near),
    "window of two patches": Variant(_window),
    "EMD and H2L": Variant(_with_h2l, (H2L.word,)),
    "standard scores": Variant(_scaled),
    "hubs discounted": Variant(_without_hubs),
}
