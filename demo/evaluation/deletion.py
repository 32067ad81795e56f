"""Deletion and insertion curves (Petsiuk et al. 2018, RISE), as face verification uses them (Lu et al. 2024, CorrRISE).

Deletion takes pixels of the probe away, the most important first: the faster its score falls, the truer the
explanation. Insertion starts with all pixels gone and brings them back in the same order. Inserting in one order is
deleting in the reverse order, read backwards, so a random order has the same area in both on average.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from demo.drawing.grids import Grid
from demo.errors import BadSetting


def pixel_map(values: np.ndarray, grid: Grid, size: tuple[int, int]) -> np.ndarray:
    """Importances of patches (P,), row-major over grid, as a map (h, w) of a crop of size (height, width): bilinear
    between the middles of the patches."""
    return cv2.resize(np.asarray(values, np.float64).reshape(grid), size[::-1], interpolation=cv2.INTER_LINEAR)


def order_of(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Places from the most to the least important; equal ones in random order, so that position decides nothing."""
    mixed = rng.permutation(len(values))
    return mixed[np.argsort(-np.asarray(values)[mixed], kind="stable")]


def shares(steps: int) -> np.ndarray:
    """(steps + 1,) shares of the pixels gone (or back): 0, ..., 1."""
    if steps < 1:
        raise BadSetting(f"The number of steps must be at least 1; got {steps}.")
    return np.arange(steps + 1) / steps


def versions(order: np.ndarray, steps: int) -> np.ndarray:
    """bool (2, steps + 1, N): which of N places are there, in deletion and in insertion, after each step.

    order: the N places, most important first.
    """
    place = np.argsort(order)
    gone = place < np.round(shares(steps) * len(order))[:, None]
    return np.stack([~gone, gone])


def inner(kept: Sequence[np.ndarray]) -> np.ndarray:
    """Versions (2, T + 1, N) of several orders as one stack: first that with everything, then that with nothing, then
    all between, which differ from order to order."""
    places = kept[0].shape[2]
    ends = np.stack([np.ones(places, bool), np.zeros(places, bool)])
    return np.concatenate([ends, *(each[:, 1:-1].reshape(-1, places) for each in kept)])


def outer(scores: np.ndarray, orders: int, steps: int) -> np.ndarray:
    """What ``inner``'s stack was asked, (M, ...), as (orders, 2, steps + 1, ...)."""
    rest = scores.shape[1:]
    between = scores[2:].reshape(orders, 2, steps - 1, *rest)
    whole, none = (np.broadcast_to(scores[at], (orders, 1, *rest)) for at in (0, 1))
    deletion = np.concatenate([whole, between[:, 0], none], 1)
    insertion = np.concatenate([none, between[:, 1], whole], 1)
    return np.stack([deletion, insertion], 1)


def area(curve: np.ndarray, axis: int = -1) -> np.ndarray:
    """Area under curves of T + 1 points over shares from 0 to 1: the mean on the way."""
    values = np.moveaxis(np.asarray(curve, np.float64), axis, -1)
    return (values[..., :-1] + values[..., 1:]).sum(-1) / (2 * (values.shape[-1] - 1))
