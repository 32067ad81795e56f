"""What is seen to cover the first face of a pair, patch by patch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from demo.drawing.grids import Grid, patch_centres
from demo.errors import DemoError
from demo.explain.pair import Pair
from demo.methods.alike import Alike
from demo.visibility.estimate import COVERED, KINDS


@dataclass(frozen=True)
class Worn:
    """name: what it is, in a word. patches: (P,) bool, those that it covers."""

    name: str
    patches: np.ndarray


def worn_of(pair: Pair, grid: Grid) -> Worn | None:
    """What the first face wears, on a grid; None where it wears nothing, or where nothing is known of covers."""
    try:
        method = pair.method(Alike.word)
    except DemoError:
        return None
    assert isinstance(method, Alike)
    seen = method.learned.of(pair.features[0])
    name, _ = seen.summary()
    if name is None:
        return None
    share = seen.kinds[0, :, KINDS.index(name)].cpu().numpy().reshape(seen.grid)
    rows, columns = (np.clip((patch_centres((1.0, 1.0), grid)[:, axis] * side).astype(int), 0, side - 1)
                     for axis, side in ((1, seen.grid[0]), (0, seen.grid[1])))
    patches = share[rows, columns] >= COVERED
    return Worn(name, patches) if patches.any() and not patches.all() else None


def worn_name(pair: Pair) -> str:
    """What the first face is seen to wear, in a word, "" for nothing."""
    worn = worn_of(pair, pair.features[0].grid)
    return worn.name if worn else ""
