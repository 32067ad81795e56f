"""Deletion and insertion curves (Petsiuk et al. 2018, RISE): does a score follow the patches an explanation names?

Deletion takes patches away, the most important first: the faster the score falls, the truer the explanation.
Insertion starts with all patches gone and brings them back in the same order: the faster it rises, the truer.
Inserting in one order is deleting in the reverse order, read backwards, so the reverse of an order has its insertion
curve's area as the area of its deletion curve, and a random order has the same area in both on average.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.integrate import trapezoid

from demo.drawing.erase import patch_numbers
from demo.drawing.grids import Grid
from demo.errors import BadSetting

#: Asks the model: bool (M, P), which patches of the query are left in each of M versions → score name → (M,).
Ask = Callable[[np.ndarray], dict[str, np.ndarray]]


def patch_cover(cover: np.ndarray, grid: Grid) -> np.ndarray:
    """(P,) share of each patch that an alteration covers, of its share of each crop pixel (h, w)."""
    numbers = patch_numbers(cover.shape, grid).ravel()
    return np.bincount(numbers, cover.ravel().astype(np.float64)) / np.bincount(numbers)


def order_of(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Patches from the most to the least important; equal ones in random order, so that position decides nothing."""
    mixed = rng.permutation(len(values))
    return mixed[np.argsort(-np.asarray(values)[mixed], kind="stable")]


def shares(patches: int, steps: int) -> np.ndarray:
    """(T + 1,) shares of the patches gone (or back) after each step, T = steps at the most: 0, ..., 1."""
    return _cuts(patches, steps) / patches


def _cuts(patches: int, steps: int) -> np.ndarray:
    if steps < 1:
        raise BadSetting(f"The number of steps must be at least 1; got {steps}.")
    return np.round(np.linspace(0, patches, min(steps, patches) + 1)).astype(int)


def curves(orders: Sequence[np.ndarray], ask: Ask, steps: int = 16) -> dict[str, np.ndarray]:
    """Every score along every order: name → (orders, 2, T + 1), deletion then insertion, over ``shares``.

    orders: permutations of the P patches, most important first. ask: called once, each version in it once.
    """
    patches = len(orders[0])
    place = np.stack([np.argsort(order) for order in orders])  # (orders, P)
    first = place[:, None] < _cuts(patches, steps)[:, None]  # (orders, T + 1, P)
    versions = np.stack([~first, first], 1)
    distinct, where = np.unique(versions.reshape(-1, patches), axis=0, return_inverse=True)
    return {name: np.asarray(scores)[where.ravel()].reshape(versions.shape[:-1])
            for name, scores in ask(distinct).items()}


def leave_one_out_drops(patches: int, ask: Ask) -> dict[str, np.ndarray]:
    """Score name → (P,) fall of the score when that patch alone is taken away: importance asked of the model itself."""
    versions = np.concatenate([np.ones((1, patches), bool), ~np.eye(patches, dtype=bool)])
    return {name: scores[0] - scores[1:] for name, scores in ask(versions).items()}


def area(curve: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Area under curves (..., T + 1) over shares (T + 1,) from 0 to 1: the mean score on the way."""
    return trapezoid(curve, x, axis=-1)
