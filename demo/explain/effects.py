"""What each patch adds to a score, from the score of versions of a face with other patches taken away.

Kernel SHAP (Lundberg & Lee 2017) on versions that keep half of the patches, as RISE and CorrRISE draw them (Petsiuk et
al. 2018; Lu et al. 2024), and on those without a single one, as occlusion has them (Zeiler & Fergus 2014); the sum is
the score of the whole face exactly, and neighbours are expected to matter alike.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from demo.drawing.grids import Grid, patch_centres

#: How far patches that matter alike lie apart, in patches, and how much of a score's spread is noise to the sum.
REACH, NOISE = 1.0, 0.3


def effects(scores: np.ndarray, whole: float | np.ndarray, kept: np.ndarray, grid: Grid,
            weights: np.ndarray | None = None) -> np.ndarray:
    """(P,) what each patch adds; they sum to ``whole``.

    scores: (M,) of M versions. whole: the score of the whole face. kept: bool (M, P), the patches that a version keeps.
    weights: (M,) how much each version counts, None = all alike. Minimises Σ w (scores - a - kept c)² + NOISE · cᵀ K⁻¹
    c under sum c = whole, K the likeness of places.
    """
    shares = np.ones(len(kept)) if weights is None else np.asarray(weights, np.float64)
    shares = shares / shares.sum()
    solver = _solver(kept.tobytes(), shares.tobytes(), grid)
    spread = solver @ (np.asarray(scores, np.float64) - shares @ np.asarray(scores, np.float64))
    return spread - spread.mean() + whole / kept.shape[1]


@lru_cache(maxsize=8)
def _solver(kept: bytes, weights: bytes, grid: Grid) -> np.ndarray:
    """(P, M): scores without their mean → what each patch adds above the mean patch."""
    shares = np.frombuffer(weights)
    versions = len(shares)
    patterns = np.frombuffer(kept, bool).reshape(versions, -1).astype(np.float64)
    centred = patterns - patterns.mean(1, keepdims=True)
    centred -= shares @ centred
    places = patch_centres(grid, grid)
    apart = ((places[:, None] - places) ** 2).sum(2)
    alike = np.exp(-apart / (2 * REACH ** 2))
    among = centred @ alike @ centred.T
    noise = NOISE * np.trace(among) / versions * np.diag(1 / (versions * shares))
    return alike @ centred.T @ np.linalg.inv(among + noise)
