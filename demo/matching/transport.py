"""One call for every optimal transport solver: check the input, solve, and report how good the plan is."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from demo.errors import BadSetting
from demo.matching import exact, exact_cuda
from demo.matching.sinkhorn import sinkhorn, sinkhorn_as_published

#: Costs beyond this overflow in the solvers' arithmetic.
_LARGEST_COST = 1e100


@dataclass(frozen=True)
class Plan:
    """Transport plans of B pairs, on the cost's device and, but for ``iterations``, in its type (at least float32).

    flow: (B, P, Q); flow[b, i, j] is the mass sent from query patch i to candidate patch j, 1 in all (``share`` of a
    partial plan).
    cost: (B,) sum of flow * cost. solver: the name of the one that ran.
    iterations: (B,) of Sinkhorn, or paths pushed by the exact solver.
    residual: (B,) L1 error of the row sums plus that of the column sums, what a partial plan leaves counted as sent.
    """

    flow: Tensor
    cost: Tensor
    solver: str
    iterations: Tensor
    residual: Tensor


@dataclass(frozen=True)
class Solver:
    """A choice of solver.

    solve(cost (B, P, Q), u (B, P) float64, v (B, Q) float64, **options) → flow, cost, residual, iterations of Plan.
    together: it stops for all B pairs at once, so that the result of one depends on the others.
    """

    title: str
    explanation: str
    solve: Callable[..., tuple[Tensor, ...]]
    together: bool = False


def _exact(cost: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, ...]:
    if cost.is_cuda and (plans := exact_cuda.solve(cost, u, v)) is not None:
        return plans
    arrays = exact.solve(cost.cpu().numpy(), u.cpu().numpy(), v.cpu().numpy())
    return tuple(torch.from_numpy(array).to(cost.device) for array in arrays)


SOLVERS: dict[str, Solver] = {
    "exact": Solver(
        "Exact",
        "The true Earth Mover's Distance with a sparse flow; the same on every device.",
        _exact,
    ),
    "sinkhorn": Solver(
        "Sinkhorn",
        "An entropic approximation with a smooth flow, run until each pair has converged.",
        sinkhorn,
    ),
    "authors": Solver(
        "Sinkhorn as published",
        "The published code's early-stopped Sinkhorn, for comparison with the paper's numbers.",
        sinkhorn_as_published,
        together=True,
    ),
}


#: What "auto" stands for.
AUTO = "exact"


@torch.no_grad()
def transport(cost: Tensor | np.ndarray, u: Tensor | np.ndarray, v: Tensor | np.ndarray, solver: str = "auto", *,
              share: float = 1.0, **options) -> Plan:
    """Optimal transport between the patches of B pairs of images (Eq. 3.1-3.4).

    cost: (B, P, Q) finite. u: (B, P), v: (B, Q) non-negative masses; each row is scaled to sum to 1, so rows and
    columns of the flow meet them with equality.
    solver: a name in SOLVERS, or "auto": exact, whatever the device, so that no ranking depends on it.
    share: of the mass that has to move, above 0 to 1; below 1 the cheapest share moves, no row or column gives or
    takes more than its mass, and the rest stays where it is (partial transport, exact only).
    options: parameters of that solver (``epsilon``, ``tolerance`` and ``max_iter`` of "sinkhorn").
    Raises BadSetting for shapes that do not fit, negative or non-finite numbers, a row without mass, an unknown
    solver or option, a share out of range or of another solver.
    """
    cost = _floating(cost)
    check_share(share, solver)
    if solver == "auto":
        solver = AUTO
    if solver not in SOLVERS:
        raise BadSetting(f"Unknown solver {solver!r}: choose from auto, {', '.join(SOLVERS)}.")
    solve = SOLVERS[solver].solve
    known = list(inspect.signature(solve).parameters)[3:]
    for option in options.keys() - known:
        raise BadSetting(f"The {solver} solver has no option {option!r}; it has {', '.join(known) or 'none'}.")
    if cost.ndim != 3 or 0 in cost.shape[1:]:
        raise BadSetting(f"The cost must have the shape (pairs, patches, patches), not {tuple(cost.shape)}.")
    if len(cost) and not all(bool(end.abs() <= _LARGEST_COST) for end in cost.aminmax()):
        raise BadSetting("The cost between patches must be finite: check the features for NaN or infinity.")
    batch, rows, columns = cost.shape
    u = _masses(u, (batch, rows), cost.device, "query")
    v = _masses(v, (batch, columns), cost.device, "candidate")
    if share < 1:
        flow, total, residual, iterations = _partial(cost, u, v, share)
    else:
        flow, total, residual, iterations = solve(cost, u, v, **options)
    return Plan(flow.to(cost.dtype), total.to(cost.dtype), solver, iterations, residual.to(cost.dtype))


def warm_up(device: torch.device | str = "cpu", patches: int = 64) -> None:
    """Compile the exact solver, or load what was compiled, so that no request has to wait for it (seconds). patches: of
    a face, as they will come on a CUDA device."""
    exact.warm_up()
    if torch.device(device).type == "cuda":
        exact_cuda.unavailable(torch.device(device), patches, patches)


def check_share(share: float, solver: str) -> None:
    """Raise BadSetting for a share out of range, or one below 1 with a solver that knows no partial plans."""
    if not 0 < share <= 1:
        raise BadSetting(f"The share of the mass that moves must be above 0 and at most 1; got {share}.")
    if share < 1 and solver not in ("auto", "exact"):
        raise BadSetting("Partial transport is exact: choose the solver auto or exact, or a share of 1.")


def _partial(cost: Tensor, u: Tensor, v: Tensor, share: float) -> tuple[Tensor, ...]:
    """Partial plans of B problems as full ones with one more row and column (Chapel et al. 2020), which take the mass
    that stays at no cost. Nothing is sent between those two: it would only move more of the rest."""
    batch, rows, columns = cost.shape
    least = cost.amin((1, 2), keepdim=True).clamp(max=0)  # costs from 0 up, or more than the share would move
    wider = cost.new_zeros(batch, rows + 1, columns + 1)
    wider[:, :rows, :columns] = cost - least
    wider[:, rows, columns] = wider.amax((1, 2)) + 1
    masses = [torch.cat([mass, mass.new_full((batch, 1), 1 - share)], 1) / (2 - share) for mass in (u, v)]
    flow, _, residual, pushes = _exact(wider, *masses)
    flow = flow[:, :rows, :columns] * (2 - share)
    return flow, (flow.double() * cost.double()).sum((1, 2)), residual * (2 - share), pushes


def _floating(array: Tensor | np.ndarray) -> Tensor:
    """As a tensor of at least single precision; whole numbers become double."""
    tensor = array.detach() if isinstance(array, Tensor) else torch.from_numpy(np.array(array))
    if tensor.dtype in (torch.float32, torch.float64):
        return tensor
    return tensor.float() if tensor.is_floating_point() else tensor.double()


def _masses(weights: Tensor | np.ndarray, shape: tuple[int, int], device: torch.device, whose: str) -> Tensor:
    """Rows scaled to sum to 1, in float64."""
    weights = _floating(weights).to(device, torch.float64)
    if weights.shape != shape:
        raise BadSetting(f"The {whose} weights must have the shape {shape}, not {tuple(weights.shape)}.")
    total = weights.sum(1, keepdim=True)
    if not bool(((weights >= 0).all(1) & (total[:, 0] > 0) & (total[:, 0] < torch.inf)).all()):
        raise BadSetting(f"Each row of the {whose} weights must be finite, non-negative and not all zero.")
    return weights / total
