"""Linear mixed models with crossed random intercepts by REML (Bates et al. 2015, lme4, equations 35 to 42).

statsmodels fits crossed intercepts as one dense group, which takes a minute for 160 participants; the profiled
criterion needs only cross-products and takes a fraction of a second. A test holds it against statsmodels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize


@dataclass(frozen=True)
class Crossed:
    """A fit. coefficients, errors: (p,). sds: of each grouping's intercepts. residual_sd: of single observations.
    converged: whether the search for the sds settled."""

    coefficients: np.ndarray
    errors: np.ndarray
    sds: tuple[float, ...]
    residual_sd: float
    converged: bool


def fit_crossed(y: np.ndarray, fixed: np.ndarray, groupings: Sequence[np.ndarray]) -> Crossed:
    """y (n,), fixed (n, p) of full rank, and per grouping the level of each observation (n,), numbered from 0."""
    counts = [int(levels.max()) + 1 for levels in groupings]
    random = np.concatenate([np.eye(count)[levels] for count, levels in zip(counts, groupings, strict=True)], axis=1)
    zz, zx, zy = random.T @ random, random.T @ fixed, random.T @ y
    xx, xy, yy = fixed.T @ fixed, fixed.T @ y, y @ y
    free = len(y) - fixed.shape[1]

    def solve(ratios: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, float]:
        """REML criterion, coefficients, Cholesky factor of their precision and residual variance, at the given ratios
        of the intercepts' sds to the residual's."""
        scale = np.repeat(ratios, counts)
        lower = cholesky(scale[:, None] * zz * scale + np.eye(len(scale)), lower=True)
        part_x = solve_triangular(lower, scale[:, None] * zx, lower=True)
        part_y = solve_triangular(lower, scale * zy, lower=True)
        factor = cholesky(xx - part_x.T @ part_x, lower=True)
        right = xy - part_x.T @ part_y
        coefficients = cho_solve((factor, True), right)
        variance = max(yy - part_y @ part_y - right @ coefficients, np.finfo(float).tiny) / free
        criterion = 2 * np.log(lower.diagonal()).sum() + 2 * np.log(factor.diagonal()).sum() + free * np.log(variance)
        return criterion, coefficients, factor, variance

    found = minimize(lambda ratios: solve(ratios)[0], np.full(len(counts), 0.5), method="Nelder-Mead",
                     bounds=[(0, None)] * len(counts), options={"xatol": 1e-5, "fatol": 1e-8, "maxiter": 2000})
    _, coefficients, factor, variance = solve(found.x)
    errors = np.sqrt(variance * cho_solve((factor, True), np.eye(len(coefficients))).diagonal())
    residual = float(np.sqrt(variance))
    return Crossed(coefficients, errors, tuple(float(ratio * residual) for ratio in found.x), residual,
                   bool(found.success))
