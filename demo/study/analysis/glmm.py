"""Logistic regression with crossed random intercepts, by maximum likelihood with Laplace's approximation.

The model: logit P(y = 1) = X b + u[participant] + v[pair], u ~ N(0, s1^2), v ~ N(0, s2^2). The likelihood's integral
over u and v is replaced by Laplace's approximation at their mode (Bates et al. 2015, lme4; Breslow & Clayton 1993),
whose Newton steps need only sums over participants and pairs. A test holds it against adaptive quadrature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.optimize import minimize
from scipy.special import expit, log_expit

_STEPS = 60
#: A step of Newton's that betters -2 log likelihood by less is the last; what is left then is its square or so.
_SMALL = 1e-6


@dataclass(frozen=True)
class Logistic:
    """A fit. coefficients: (p,). covariance: (p, p). sds: of each grouping's intercepts. deviance: -2 log likelihood.
    converged: whether the search settled."""

    coefficients: np.ndarray
    covariance: np.ndarray
    sds: tuple[float, ...]
    deviance: float
    converged: bool

    @property
    def errors(self) -> np.ndarray:
        """(p,) standard errors of the coefficients."""
        return np.sqrt(self.covariance.diagonal())


class _Problem:
    """y (n,) of 0 and 1, fixed (n, p), and the level of every observation in each grouping."""

    def __init__(self, y: np.ndarray, fixed: np.ndarray, groupings: Sequence[np.ndarray]):
        self.y, self.fixed = y.astype(float), fixed
        self.p = fixed.shape[1]
        counts = [int(levels.max()) + 1 for levels in groupings]
        starts = [int(start) for start in np.cumsum([0, *counts])]
        self.grouping = np.repeat(np.arange(len(counts)), counts)
        self.q = starts[-1]
        #: (groupings, n) column of each observation's level in the joint design.
        self.columns = np.stack([levels + start for levels, start in zip(groupings, starts, strict=False)])
        #: Of two groupings, their places among the q and the cell of every observation in the table of both.
        self.crossings = [(slice(starts[a], starts[a + 1]), slice(starts[b], starts[b + 1]),
                           groupings[a] * counts[b] + groupings[b]) for a, b in combinations(range(len(counts)), 2)]

    def mode(self, sds: np.ndarray, beta: np.ndarray, spread: np.ndarray, free: bool):
        """The most likely random effects (in units of their sds), with the coefficients too where ``free``, by Newton's
        method with step halving: coefficients, effects, -2 log of Laplace's likelihood, and the joint information
        matrix (q + p, q + p)."""
        scale = sds[self.grouping]
        # Where the best step improves nothing more, the mode is reached.
        value = self._penalised(beta, spread, scale)
        for _ in range(_STEPS):
            eta = self._eta(beta, spread, scale)
            right = expit(eta)
            information = self._information(right * (1 - right), scale)
            gradient = np.concatenate([scale * self._sums(self.y - right) - spread, self.fixed.T @ (self.y - right)])
            size = self.q + self.p if free else self.q
            step = cho_solve(cho_factor(information[:size, :size]), gradient[:size])
            step = np.concatenate([step, np.zeros(self.q + self.p - size)])
            for halving in range(30):
                part = step / 2**halving
                found = self._penalised(beta + part[self.q:], spread + part[:self.q], scale)
                if found <= value + 1e-12:
                    break
            else:
                break
            beta, spread = beta + part[self.q:], spread + part[:self.q]
            done, value = value - found < _SMALL, found
            if done:
                break
        right = expit(self._eta(beta, spread, scale))
        information = self._information(right * (1 - right), scale)
        _, logdet = np.linalg.slogdet(information[:self.q, :self.q])
        return beta, spread, value + logdet, information

    def _eta(self, beta: np.ndarray, spread: np.ndarray, scale: np.ndarray) -> np.ndarray:
        return self.fixed @ beta + (scale * spread)[self.columns].sum(0)

    def _penalised(self, beta: np.ndarray, spread: np.ndarray, scale: np.ndarray) -> float:
        eta = self._eta(beta, spread, scale)
        return float(-2 * log_expit(np.where(self.y > 0, eta, -eta)).sum() + spread @ spread)

    def _sums(self, values: np.ndarray) -> np.ndarray:
        """(q,) of every level, the sum of (n,) values over its observations."""
        return np.bincount(self.columns.ravel(), np.broadcast_to(values, self.columns.shape).ravel(), self.q)

    def _information(self, weights: np.ndarray, scale: np.ndarray) -> np.ndarray:
        q, size = self.q, self.q + self.p
        found = np.zeros((size, size))
        found[np.arange(q), np.arange(q)] = 1 + scale**2 * self._sums(weights)
        for one, other, cells in self.crossings:
            both = found[one, other]
            both += np.bincount(cells, weights, both.size).reshape(both.shape) * scale[one, None] * scale[other]
            found[other, one] = both.T
        weighted = weights[:, None] * self.fixed
        found[:q, q:] = scale[:, None] * np.stack([self._sums(column) for column in weighted.T], axis=1)
        found[q:, :q] = found[:q, q:].T
        found[q:, q:] = self.fixed.T @ weighted
        return found


def fit_logistic(y: np.ndarray, fixed: np.ndarray, groupings: Sequence[np.ndarray]) -> Logistic:
    """y (n,) of 0 and 1, fixed (n, p) of full rank, and per grouping the level of each observation (n,), numbered from
    0.

    The sds are found with the coefficients at the joint mode, then the coefficients are moved to the maximum of
    Laplace's likelihood itself by Newton's method with the joint information matrix.
    """
    problem = _Problem(y, fixed, groupings)
    state = [np.zeros(problem.p), np.zeros(problem.q)]

    def deviance(sds: np.ndarray) -> float:
        state[0], state[1], value, _ = problem.mode(np.abs(sds), state[0], state[1], free=True)
        return value

    try:
        found = minimize(deviance, np.full(len(groupings), 0.5), method="Nelder-Mead",
                         options={"xatol": 2e-3, "fatol": 1e-4, "maxiter": 400})
        sds = np.abs(found.x)
        beta, spread, value, information = problem.mode(sds, *state, free=True)
        inverse = np.linalg.inv(information)[problem.q:, problem.q:]
        for _ in range(2):
            slope = _slope(problem, sds, beta, spread)
            trial = problem.mode(sds, beta - inverse @ slope / 2, spread, free=False)
            if trial[2] >= value:
                break
            beta, spread, value, information = trial
        inverse = np.linalg.inv(information)[problem.q:, problem.q:]
    except (LinAlgError, np.linalg.LinAlgError):
        nothing = np.full(problem.p, np.nan)
        return Logistic(nothing, np.diag(nothing), (np.nan,) * len(groupings), np.nan, False)
    sound = bool(found.success and np.isfinite(inverse).all() and np.abs(beta).max() < 15)
    return Logistic(beta, inverse, tuple(float(sd) for sd in sds), float(value), sound)


def _slope(problem: _Problem, sds: np.ndarray, beta: np.ndarray, spread: np.ndarray, width: float = 1e-3) -> np.ndarray:
    """(p,) derivative of -2 log of Laplace's likelihood by the coefficients, by central differences."""
    slope = np.empty(problem.p)
    for at in range(problem.p):
        step = np.zeros(problem.p)
        step[at] = width
        up, down = (problem.mode(sds, beta + side * step, spread, free=False)[2] for side in (1, -1))
        slope[at] = (up - down) / (2 * width)
    return slope
