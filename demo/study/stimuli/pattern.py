"""What the maps of a condition share whatever the faces: a pattern of places, such as "bright in the middle".

Where maps of unrelated pairs look alike, a participant learns where the computer always looks, not what it found here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from demo.explain import Flows, Maps, face_maps
from demo.explain.results import Result


def places(result: Result) -> np.ndarray | None:
    """(2, P) how much each patch of both faces counts: a map each, or the mass that a flow takes from and brings to
    every patch. None for a result without places."""
    if isinstance(result, Flows):
        return np.stack([result.flow.sum(1), result.flow.sum(0)])
    maps = face_maps(result)
    return None if maps is None else np.stack([np.asarray(maps.query, float), np.asarray(maps.candidate, float)])


def likeness(found: Sequence[np.ndarray]) -> float | None:
    """Mean Pearson correlation between the maps (2, P) of different pairs, side by side; None for fewer than two maps
    that vary."""
    sides = []
    for side in (0, 1):
        rows = np.stack([maps[side] for maps in found]) if found else np.zeros((0, 1))
        rows = rows - rows.mean(1, keepdims=True)
        size = np.linalg.norm(rows, axis=1)
        rows = rows[size > 0] / size[size > 0, None]
        if len(rows) < 2:
            return None
        sides.append((np.square(rows.sum(0)).sum() - len(rows)) / (len(rows) * (len(rows) - 1)))
    return float(np.mean(sides))


def mean_of_others(found: Sequence[np.ndarray], at: int) -> np.ndarray:
    """(2, P) the mean map of all pairs but number ``at``, each map scaled to a sum of 1 (of contributions, of their
    sizes); zeros without others."""
    scaled = [_shares(maps) for maps in found]
    return (np.sum(scaled, axis=0) - scaled[at]) / max(len(scaled) - 1, 1)


def without(result: Result, pattern: np.ndarray) -> Result:
    """A result of maps less the pattern (2, P) of places, from 0 at its smallest value unless it holds contributions; a
    flow stays, since its panel shows mass itself."""
    maps = None if isinstance(result, Flows) else face_maps(result)
    if maps is None:
        return result
    left = _shares(np.stack([maps.query, maps.candidate])) - pattern
    if not maps.signed:
        left -= left.min(1, keepdims=True)
    return Maps(replace(maps, query=left[0], candidate=left[1]), "brightness")


def _shares(maps: np.ndarray) -> np.ndarray:
    total = np.abs(maps).sum(1, keepdims=True)
    return np.divide(maps, total, out=np.zeros_like(maps, float), where=total > 0)
