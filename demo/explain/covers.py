"""One face many times, each time with other patches taken away, and what the backbone makes of every version.

The versions are the same for every face of a grid, so what is measured on them is the same at every run.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from demo.backbones import Backbone, Features
from demo.drawing.grids import Grid, cell_boxes, patch_count
from demo.errors import BadSetting

#: Versions that are measured beside the whole face: pairs of one that keeps half of the patches and one that keeps the
#: other half; and for every patch, where they are so few, one without it alone, which counts as much as ALONE others.
#: Chosen on drawn masks of people of the half of LFW that is for training, and on real ones, as is what stands in place
#: of a patch that is taken away.
HALVES, FEW, ALONE = 80, 100, 4.0
#: Versions that go through a network together: a processor's caches hold what lies between the layers of so many.
_BATCH = {"cpu": 8, "cuda": 129}
#: Faces whose versions are remembered, of one visitor who looks at several candidates.
_REMEMBERED = 6


def blurred(crop: np.ndarray, grid: Grid) -> np.ndarray:
    """A Gaussian blur as wide as a patch: the colours stay, the features go."""
    return cv2.GaussianBlur(crop, (0, 0), max(crop.shape[0] / grid[0], crop.shape[1] / grid[1]))


def mean_filled(crop: np.ndarray, grid: Grid) -> np.ndarray:
    """The crop's mean colour everywhere."""
    return np.broadcast_to(crop.mean((0, 1)).round().astype(np.uint8), crop.shape)


def black(crop: np.ndarray, grid: Grid) -> np.ndarray:
    """Black everywhere."""
    return np.zeros_like(crop)


#: What stands in place of a patch that is taken away.
REMOVALS: dict[str, Callable[[np.ndarray, Grid], np.ndarray]] = {
    "blur": blurred, "mean": mean_filled, "black": black}


def erased(crop: np.ndarray, kept: np.ndarray, grid: Grid, removal: str = "blur") -> np.ndarray:
    """Versions of an aligned crop with patches, or pixels, taken away.

    crop: uint8 (h, w, 3). kept: bool (M, P), row-major over grid, or (M, h, w). removal: a word of REMOVALS. Returns
    uint8 (M, h, w, 3). BadSetting for an unknown removal.
    """
    if removal not in REMOVALS:
        raise BadSetting(f"Unknown removal {removal!r}: choose from {', '.join(REMOVALS)}.")
    filler = REMOVALS[removal](crop, grid)
    pixels = kept[:, patch_numbers(crop.shape[:2], grid)] if kept.ndim == 2 else kept
    return np.where(pixels[..., None], crop, filler)


def patch_numbers(size: tuple[int, int], grid: Grid) -> np.ndarray:
    """(h, w): the patch that each pixel of a crop of that (height, width) belongs to."""
    numbers = np.empty(size, np.int64)
    for patch, (left, top, right, bottom) in enumerate(cell_boxes(size, grid)):
        numbers[top:bottom, left:right] = patch
    return numbers


def patch_cover(cover: np.ndarray, grid: Grid) -> np.ndarray:
    """(P,) share of each patch that an alteration covers, of its share of each crop pixel (h, w)."""
    numbers = patch_numbers(cover.shape, grid).ravel()
    return np.bincount(numbers, cover.ravel().astype(np.float64)) / np.bincount(numbers)


@lru_cache(maxsize=8)
def kept_patches(grid: Grid) -> np.ndarray:
    """bool (M, P): which patches stay. First HALVES versions, every other of which keeps what the one before it takes
    away, so that each patch is there in exactly half of them; then, of at most FEW patches, all but one."""
    patches = patch_count(grid)
    half = np.random.default_rng(patches).permuted(
        np.tile(np.arange(patches) < patches // 2, (HALVES // 2, 1)), axis=1)
    kept = np.stack([half, ~half], 1).reshape(-1, patches)
    if patches <= FEW:
        kept = np.concatenate([kept, ~np.eye(patches, dtype=bool)])
    kept.flags.writeable = False
    return kept


def version_weights(kept: np.ndarray) -> np.ndarray:
    """(M,) how much each of the versions (M, P) of ``kept_patches`` counts."""
    return np.where(np.arange(len(kept)) < HALVES, 1.0, ALONE)


@dataclass(frozen=True, eq=False)
class Covered:
    """kept: bool (M, P). versions: features of M + 1 faces, the M versions and the face with every patch gone."""

    kept: np.ndarray
    versions: Features
    _measured: dict = field(default_factory=dict, repr=False)

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """What ``make`` gives, made once for this face."""
        if key not in self._measured:
            self._measured[key] = make()
        return self._measured[key]


_lock = threading.Lock()
_covered: OrderedDict[tuple, Covered] = OrderedDict()


def covered(crop: np.ndarray, features: Features, backbone: Backbone, removal: str = "black") -> Covered:
    """The versions of an aligned face, uint8 (h, w, 3), embedded in one batch and remembered. features: the face's own,
    whose landmarks stay where they are, and whose grid is that of the patches."""
    crop = np.ascontiguousarray(cv2.resize(crop, backbone.input_size) if crop.shape[1::-1] != backbone.input_size
                                else crop)
    key = hashlib.sha256(crop.tobytes()).digest(), backbone.weights_sha256, features.grid, removal
    with _lock:
        if key in _covered:
            _covered.move_to_end(key)
            return _covered[key]
    kept = kept_patches(features.grid)
    shown, batch = np.concatenate([kept, np.zeros_like(kept[:1])]), _BATCH.get(backbone.device.type, _BATCH["cpu"])
    every = backbone.blends(crop, REMOVALS[removal](crop, features.grid), shown, features.grid, batch=batch)
    if every is None:
        every = backbone.extract(erased(crop, shown, features.grid, removal), batch=batch)
    if features.landmarks is not None:
        every = replace(every, landmarks=features.landmarks.expand(len(every), -1, -1))
    found = Covered(kept, every)
    with _lock:
        _covered[key] = found
        while len(_covered) > _REMEMBERED:
            _covered.popitem(last=False)
    return found
