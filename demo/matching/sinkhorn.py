"""Entropic optimal transport (Sinkhorn) in torch, on any device: ours, and the published code's for comparison.

Entropy spreads the flow and raises the cost, by a quarter on faces at the paper's epsilon of 0.05. So this is an
approximation of the Earth Mover's Distance, which it approaches as epsilon falls.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from demo.errors import BadSetting

#: Iterations between two looks at the residuals: each look makes a GPU finish its queue.
_CHECK_EVERY = 10
#: Up to this ratio of a pair's cost range to epsilon, exp(-cost / epsilon) times any scaling fits float64.
_SAFE_RANGE = 200.0
_LEAST_EPSILON = 1e-9
#: L1 error of the marginals from which on a plan that did not converge is told: the cost can be as much too small, in
#: units of the largest cost.
_TOLD = 1e-4


def _kernel_sums(kernel: Tensor, potential: Tensor) -> Tensor:
    """log sum_j kernel_ij exp(potential_j): the fast form."""
    return (kernel * potential.exp()[:, None]).sum(2).log()


def _log_sums(exponent: Tensor, potential: Tensor) -> Tensor:
    """log sum_j exp(exponent_ij + potential_j): the form that stands any range."""
    return torch.logsumexp(exponent + potential[:, None], 2)


def _measured(flow: Tensor, cost: Tensor, u: Tensor, v: Tensor, iterations: Tensor) -> tuple[Tensor, ...]:
    residual = (flow.sum(2) - u).abs().sum(1) + (flow.sum(1) - v).abs().sum(1)
    return flow, (flow * cost).sum((1, 2)), residual, iterations


def sinkhorn(cost: Tensor, u: Tensor, v: Tensor, *, epsilon: float = 0.05, tolerance: float = 1e-6,
             max_iter: int = 1000) -> tuple[Tensor, ...]:
    """Entropic plans of B problems: minimise <flow, cost> - epsilon * entropy(flow) with the given marginals.

    cost: (B, P, Q) finite. u: (B, P), v: (B, Q) float64, rows non-negative with sum 1; zeros are allowed.
    epsilon: in units of the cost. A pair stops when the L1 error of its row sums is at most ``tolerance`` (its
    column sums are exact), looked at every 10 iterations, or after ``max_iter``; the other pairs do not matter.
    Returns flow (B, P, Q) float64, its cost (B,), the L1 error of both marginals (B,) and iterations (B,).
    Warns where pairs miss their row sums (see ``missed_masses``), so that the cost may be below the true distance.
    Raises BadSetting for a parameter out of range.
    """
    if not epsilon >= _LEAST_EPSILON or not tolerance > 0 or not max_iter >= 1:
        raise BadSetting(f"Sinkhorn needs epsilon of at least {_LEAST_EPSILON:g}, a tolerance above 0 and at least "
                         "1 iteration.")
    cost = cost.double()
    least = cost.amin((1, 2), keepdim=True)
    exponents = (least - cost) / epsilon
    safe = exponents.amin((1, 2)) >= -_SAFE_RANGE
    rows = torch.empty_like(u)  # potentials of the rows, in units of epsilon
    iterations = torch.empty(len(cost), dtype=torch.int64, device=cost.device)
    for chosen, sums in ((safe, _kernel_sums), (~safe, _log_sums)):
        alive = chosen.nonzero()[:, 0]
        matrix = exponents[alive].exp() if sums is _kernel_sums else exponents[alive]
        log_u, log_v = u[alive].log(), v[alive].log()
        g = torch.zeros_like(log_v)
        done = 0
        while len(alive):
            steps = min(_CHECK_EVERY, max_iter - done)
            for _ in range(steps):
                f = log_u - sums(matrix, g)
                g = log_v - sums(matrix.transpose(1, 2), f)
            done += steps
            rows[alive], iterations[alive] = f, done
            if done == max_iter:
                break
            error = ((f + sums(matrix, g)).exp() - u[alive]).abs().sum(1)
            going = (error > tolerance).nonzero()[:, 0]
            if len(going) < len(alive):
                alive, matrix, log_u, log_v, g = (part[going] for part in (alive, matrix, log_u, log_v, g))
    # The columns follow from the rows by a softmax: finite, with exact column sums, whatever epsilon is.
    flow = torch.softmax(rows[:, :, None] + exponents, 1) * v[:, None]
    measured = _measured(flow, cost, u, v, iterations)
    if (measured[2] > tolerance).any() and (told := missed_masses(measured[2])):
        warnings.warn(f"{told} That is after {max_iter} iterations with epsilon {epsilon:g}: take more, or a larger "
                      "one.", RuntimeWarning, stacklevel=4)
    return measured


def missed_masses(residual: Tensor) -> str:
    """That some plans, of L1 errors (B,) of their marginals, have not converged, in a sentence; "" where all have."""
    missed = residual > _TOLD
    if not missed.any():
        return ""
    return (f"Sinkhorn has not converged for {int(missed.sum())} of {len(residual)} pairs: their plans miss the masses "
            f"by up to {float(residual.max()):.2g}, and their distances may be below the true ones, which the exact "
            "solver gives.")


def sinkhorn_as_published(cost: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, ...]:
    """The loop of DeepFace-EMD's code (utils/emd.py), kept because the published numbers depend on it.

    Epsilon 0.05; at most 100 iterations; all pairs stop together once the scalings change by less than 0.1 on
    average over the whole batch, so a pair's answer depends on its batch and marginals can be off by some percent.
    Rows are the candidate's patches there, hence the transpositions. What overflows becomes zero flow.
    Shapes and returns as ``sinkhorn``, in the type of the cost.
    """
    kernel = torch.exp(-cost / 0.05).transpose(1, 2)
    u, v = u.to(cost.dtype), v.to(cost.dtype)
    rows, columns = torch.ones_like(v), torch.ones_like(u)
    change, iterations = torch.inf, 0
    while change >= 0.1 and iterations < 100:
        previous = rows
        rows = v / (kernel @ columns[:, :, None])[:, :, 0]
        columns = u / (rows[:, None] @ kernel)[:, 0]
        change = (rows - previous).abs().mean()
        iterations += 1
    flow = torch.nan_to_num(rows[:, :, None] * kernel * columns[:, None], 0.0, 0.0, 0.0).transpose(1, 2)
    return _measured(flow, cost, u, v, torch.full((len(cost),), iterations, device=cost.device))
