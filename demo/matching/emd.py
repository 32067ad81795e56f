"""Patch-wise Earth Mover's Distance between a query face and its candidates (DeepFace-EMD, Stage 2)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from demo.backbones.base import Features, Grid
from demo.errors import BadSetting
from demo.matching.sinkhorn import missed_masses
from demo.matching.transport import transport
from demo.matching.weightings import floating, patch_weights


@dataclass(frozen=True)
class EMDResult:
    """Stage 2 of one query against B candidates, with everything needed to explain it. P patches, row-major on grid.

    distance: (B,) Earth Mover's Distance: cost per mass moved. flow: (B, P, P), mass from query patch i to candidate
    patch j, ``share`` in all.
    query_weights, candidate_weights: (B, P). ground: (B, P, P) distance between patches.
    solver, iterations, residual: as in Plan.
    """

    distance: Tensor
    flow: Tensor
    query_weights: Tensor
    candidate_weights: Tensor
    ground: Tensor
    grid: Grid
    solver: str
    iterations: Tensor
    residual: Tensor
    share: float = 1.0

    @property
    def told(self) -> str:
        """What is to be known of the distances, in a sentence; "" for nothing."""
        return missed_masses(self.residual) if self.solver == "sinkhorn" else ""

    def pair(self, slot: int) -> EMDResult:
        """The result of one candidate alone, as a batch of one."""
        one = slice(slot, slot + 1)
        names = ("distance", "flow", "query_weights", "candidate_weights", "ground", "iterations", "residual")
        return replace(self, **{name: getattr(self, name)[one] for name in names})


def ground_distance(query: Tensor, candidates: Tensor) -> Tensor:
    """Eq. 3.5: 1 - cosine similarity of every query patch with every candidate patch, in 0..2.

    query: (1 or B, P, C). candidates: (B, P', C). Returns (B, P, P'). A patch of length zero is at distance 1.
    """
    query, candidates = (F.normalize(floating(patches), dim=-1) for patches in (query, candidates))
    return (1 - query @ candidates.transpose(1, 2)).clamp(min=0)


@dataclass(frozen=True)
class EMDProblem:
    """What transport has to solve for B pairs; the fields are those of ``EMDResult``."""

    query_weights: Tensor
    candidate_weights: Tensor
    ground: Tensor
    grid: Grid

    def __len__(self) -> int:
        return len(self.ground)

    def __getitem__(self, slots) -> EMDProblem:
        """The pairs at ``slots`` (a slice, list or tensor)."""
        u, v = (one.expand(len(self), -1)[slots] for one in (self.query_weights, self.candidate_weights))
        return EMDProblem(u, v, self.ground[slots], self.grid)

    def solve(self, solver: str = "auto", share: float = 1.0) -> EMDResult:
        """solver, share: as of ``emd``."""
        u, v, ground = self.query_weights, self.candidate_weights, self.ground
        plan = transport(ground, u, v, solver, share=share)
        return EMDResult(plan.cost / share, plan.flow, u, v, ground, self.grid, plan.solver, plan.iterations,
                         plan.residual, share)

    def least(self) -> Tensor:
        """(B,) float64 lower bounds of the distances, by feasible potentials: every patch sends its mass to the nearest
        patch of the other face, whatever that has room for (MaxSim, sum_i u_i min_j C_ij), and each of those costs
        at least what the nearest sender pays more than its own minimum, sum_j v_j min_i (C_ij - min_j C_ij). The larger
        of both directions."""
        u, v = (mass.double() / mass.double().sum(1, keepdim=True)
                for mass in (self.query_weights, self.candidate_weights))
        bounds = []
        for mass, other, ground in ((u, v, self.ground), (v, u, self.ground.mT)):
            near = ground.amin(2)
            bounds.append((mass * near).sum(1) + (other * (ground - near[:, :, None]).amin(1)).sum(1))
        return torch.maximum(*bounds)


@torch.no_grad()
def emd_problem(query: Features, candidates: Features, method: str = "apc", grid: Grid | None = None,
                ground: Tensor | None = None) -> EMDProblem:
    """Weights and ground distances of a query with each candidate; parameters and errors as of ``emd``."""
    query, candidates = query.at(grid), candidates.at(grid)
    if query.patches.shape[1:] != candidates.patches.shape[1:]:
        raise BadSetting("The query's and the candidates' patches differ in number or length: use one backbone and "
                         "grid for both.")
    u, v = patch_weights(query, candidates, method)
    ground = ground_distance(query.patches, candidates.patches) if ground is None else ground
    return EMDProblem(u, v, ground, query.grid)


def emd(query: Features, candidates: Features, method: str = "apc", solver: str = "auto",
        grid: Grid | None = None, share: float = 1.0, ground: Tensor | None = None) -> EMDResult:
    """Earth Mover's Distance between a query and each candidate (Eq. 3.1-3.8).

    query: 1 face (against every candidate) or B faces (pair by pair). candidates: B faces, same backbone.
    method: a name in WEIGHTINGS. solver: a name in SOLVERS, or "auto". grid: (rows, cols), default that of the
    features. share: below 1, only the cheapest share of the mass is moved (see ``transport``), so that patches which
    find no match, such as occluded ones, may stay out. ground: ``ground_distance`` of the same patches, where it is
    known already. Raises BadSetting where choices or features do not fit.
    """
    return emd_problem(query, candidates, method, grid, ground).solve(solver, share)
