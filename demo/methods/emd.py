"""DeepFace-EMD: the Earth Mover's Distance between the patches of two faces. Model D of Face-ViT's tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from demo.backbones import Features, Grid, grid_name
from demo.errors import BadSetting
from demo.fields import option
from demo.matching import (
    AUTO,
    SOLVERS,
    WEIGHTINGS,
    EMDResult,
    PatchStatistics,
    adapted_alpha,
    check_share,
    emd,
    emd_many,
    emd_problem,
    forced_transport,
    ground_distance,
    warm_up,
    weighting_problems,
)
from demo.methods.base import Bounded, Measured, Method, Moved

#: Share of the EMD in Eq. 5.1, as in the paper.
PAPER_ALPHA = 0.7
#: As many faces of a gallery, evenly spread, tell where its patches are.
STATISTICS_ROWS = 2000


@dataclass(frozen=True)
class EmdOptions:
    """What can be chosen of the EMD; the defaults are the paper's, with exact transport."""

    weighting: str = option(
        "apc", title="Patch weighting", help="How much each patch counts.", called="weighting", several=True,
        always=True,
        choices=lambda: {name: one.title for name, one in WEIGHTINGS.items()})
    adaptive: bool = option(
        False, title="Adaptive α (extra)", extra=True, into="alpha",
        help="Raises α up to 0.9 for a face whose patches are out of place, as in a crop as it lies.")
    share: float = option(
        1.0, title="Share of the mass that moves (extra)", extra=True, low=0, high=1, step=0.05, open_low=True,
        help="Below 1, patches that match worst, such as occluded ones, may stay unmatched.")
    solver: str = option(
        "auto", title="Transport solver", help="How transport is solved.", called="solver",
        choices=lambda: {"auto": "Automatic: exact", **{name: s.title for name, s in SOLVERS.items()}})

    def check_together(self) -> None:
        """Raise BadSetting for choices that do not go together."""
        check_share(self.share, self.solver)


class Emd(Method):
    """The cheapest way to move one face's patch weights onto the other's (Eq. 3.1-3.8)."""

    word = "emd"
    title = "Earth Mover's Distance (EMD)"
    short = "EMD"
    name = "D"
    explanation = "Patches of one face are moved onto those of the other; the cheaper, the more alike."
    kind = "DeepFace-EMD"
    measure = "Cheapest way to move one face's patch weights onto the other's"
    Options = EmdOptions
    verifies = True
    uses_grid = True
    has_evidence = True

    @property
    def alpha(self) -> float:
        return PAPER_ALPHA

    def alpha_for(self, query: Features, options: EmdOptions | None, asked: float | None) -> float:
        alpha = self.alpha if asked is None else asked
        if options is None or not options.adaptive:
            return alpha
        if self.gallery is None:
            raise BadSetting("The adaptive alpha needs a gallery: give alpha as a number.")
        return adapted_alpha(alpha, self._statistics.displacement(query.at(self.gallery.grids[0]).patches))

    @cached_property
    def _statistics(self) -> PatchStatistics:
        """Of the gallery on its first grid."""
        assert self.gallery is not None
        step = -(-len(self.gallery) // STATISTICS_ROWS)
        return PatchStatistics.of(self.gallery.features(range(0, len(self.gallery), step)).patches)

    def prepare(self, features: Features) -> Features:
        return features

    def warm_up(self) -> None:
        warm_up(self.backbone.device, math.prod(self.backbone.info.grids[0]))

    def distances(self, query: Features, prepared: Features, options: EmdOptions | None = None,
                  grid: Grid | None = None) -> Measured:
        chosen = options or EmdOptions()
        result = emd(query, prepared, chosen.weighting, chosen.solver, grid, chosen.share)
        return Measured(result.distance, result)

    def between(self, queries: Features, prepared: Features, options: EmdOptions | None = None,
                grid: Grid | None = None) -> Tensor:
        if self.batch_matters(options):
            return super().between(queries, prepared, options, grid)
        chosen = options or EmdOptions()
        rows = torch.arange(len(prepared), device=prepared.patches.device).expand(len(queries), -1)
        return emd_many(queries.at(grid), prepared.at(grid), rows, chosen.weighting, chosen.solver, chosen.share)

    def under(self, query: Features, prepared: Features, grid: Grid | None = None
              ) -> Callable[[EmdOptions | None], Tensor]:
        query, prepared = query.at(grid), prepared.at(grid)
        ground = ground_distance(query.patches, prepared.patches)

        def distances(options: EmdOptions | None) -> Tensor:
            chosen = options or EmdOptions()
            return emd(query, prepared, chosen.weighting, chosen.solver, share=chosen.share, ground=ground).distance

        return distances

    def bounded(self, query: Features, prepared: Features, options: EmdOptions | None = None,
                grid: Grid | None = None) -> Bounded | None:
        chosen = options or EmdOptions()
        if chosen.solver not in ("auto", "exact") or chosen.share < 1:
            return None  # approximate plans cost more or less than the bound allows, partial ones less
        problem = emd_problem(query, prepared, chosen.weighting, grid)

        def measure(slots: Tensor) -> Measured:
            result = problem[slots.to(problem.ground.device)].solve(chosen.solver)
            return Measured(result.distance, result)

        return Bounded(problem.least(), measure)

    def forced(self, evidence: EMDResult, partners: Sequence[tuple[int, int]]) -> Measured:
        u, v, ground = evidence.query_weights, evidence.candidate_weights, evidence.ground
        plan = forced_transport(ground, u, v, partners, share=evidence.share)
        distance = plan.cost / evidence.share
        return Measured(distance, replace(evidence, distance=distance, flow=plan.flow, solver=plan.solver,
                                          iterations=plan.iterations, residual=plan.residual))

    def pairs(self, first: Features, second: Features, options: EmdOptions | None = None,
              grid: Grid | None = None) -> Tensor:
        return self.distances(first, second, options, grid).distances

    def describe(self, options: EmdOptions | None = None, evidence: EMDResult | None = None) -> str:
        chosen = options or EmdOptions()
        if evidence is None:
            return self.measure
        moved = f"{self.measure}, {chosen.share:.0%} of the mass" if chosen.share < 1 else self.measure
        return f"{moved}: {chosen.weighting} weights, {grid_name(evidence.grid)} grid, {evidence.solver} solver"

    @classmethod
    def settings_told(cls, options: EmdOptions, evidence: EMDResult) -> list[str]:
        words = [f"{options.weighting} weights", f"{grid_name(evidence.grid)} patches", f"{evidence.solver} transport"]
        return words + ([f"{evidence.share:.0%} of the mass moved"] if evidence.share < 1 else [])

    @staticmethod
    def moved(evidence: EMDResult) -> Moved:
        return Moved(evidence.flow[0], evidence.grid)

    @staticmethod
    def arrays(evidence: EMDResult) -> dict[str, np.ndarray]:
        tensors = {"emd": evidence.distance, "flow": evidence.flow, "ground": evidence.ground,
                   "query_weights": evidence.query_weights, "candidate_weights": evidence.candidate_weights}
        return {name: one.cpu().numpy() for name, one in tensors.items()} | {"grid": np.array(evidence.grid)}

    def setting(self, options: EmdOptions | None = None, grid: Grid | None = None) -> str:
        chosen = options or EmdOptions()
        solver = AUTO if chosen.solver == "auto" else chosen.solver
        words = [chosen.weighting, grid_name(grid or self.backbone.info.grids[0]), solver]
        return " ".join(words + ([f"share {chosen.share:g}"] if chosen.share < 1 else []))

    def unfit(self, options: EmdOptions | None = None, grid: Grid | None = None) -> str | None:
        return weighting_problems(self.backbone.info, grid)[(options or EmdOptions()).weighting]

    def batch_matters(self, options: EmdOptions | None = None) -> bool:
        """The published solver stops when the whole batch has converged on average."""
        return options is not None and options.solver in SOLVERS and SOLVERS[options.solver].together
