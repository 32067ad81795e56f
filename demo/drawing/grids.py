"""Where patches lie on a crop, and the checks that every drawing shares."""

from __future__ import annotations

import cv2
import numpy as np

from demo.errors import BadPhoto, BadSetting

Grid = tuple[int, int]


def as_picture(picture, what: str = "picture") -> np.ndarray:
    """``picture`` as a uint8 (h, w, 3) array; BadPhoto where it is not one."""
    array = np.asarray(picture)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or array.size == 0:
        raise BadPhoto(f"The {what} must be a uint8 RGB array (h, w, 3); got {array.dtype} {array.shape}.")
    return array


def as_weights(weights, grid: Grid) -> np.ndarray:
    """Patch weights as float64 (P,), row-major over ``grid``; BadSetting where they do not fit it."""
    array = np.asarray(weights, dtype=np.float64)
    if array.shape != (patch_count(grid),):
        raise BadSetting(
            f"A {grid[0]}x{grid[1]} grid takes {grid[0] * grid[1]} patch weights; got shape {array.shape}."
        )
    if not np.isfinite(array).all():
        raise BadSetting("The patch weights contain values that are not finite numbers; compute them again.")
    return array


def as_flow(flow, grid: Grid | None = None) -> np.ndarray:
    """A flow as float64 (P, P), query patches in rows; BadSetting where it does not fit ``grid``."""
    array = np.asarray(flow, dtype=np.float64)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or array.size == 0:
        raise BadSetting(f"A flow is a square (P, P) array, query patches in rows; got shape {array.shape}.")
    if grid is not None and len(array) != patch_count(grid):
        raise BadSetting(f"A {grid[0]}x{grid[1]} grid takes a flow of {grid[0] * grid[1]} patches; got {len(array)}.")
    if not np.isfinite(array).all() or array.min() < 0:
        raise BadSetting("The flow contains negative or non-finite mass; solve the transport problem again.")
    return array


def patch_count(grid: Grid) -> int:
    """P = rows * cols; BadSetting unless both are positive."""
    rows, cols = grid
    if rows < 1 or cols < 1:
        raise BadSetting(f"A patch grid needs at least one row and one column; got {rows}x{cols}.")
    return rows * cols


def pooled(fine: Grid, coarse: Grid) -> np.ndarray:
    """(C, P): which part of each of the P patches of one grid lies in each of the C patches of another, by area; every
    column sums to 1."""
    rows, cols = (_overlap(*counts) for counts in zip(fine, coarse, strict=True))
    return np.kron(rows, cols)


def _overlap(fine: int, coarse: int) -> np.ndarray:
    """(coarse, fine): the same along one side."""
    cells, fields = np.linspace(0, 1, fine + 1), np.linspace(0, 1, coarse + 1)[:, None]
    shared = np.minimum(cells[1:], fields[1:]) - np.maximum(cells[:-1], fields[:-1])
    return fine * shared.clip(min=0)


def check_patch(patch: int, count: int) -> int:
    """``patch`` as an index in 0..count-1; BadSetting outside it."""
    if not 0 <= patch < count:
        raise BadSetting(f"There is no patch {patch}; choose one from 0 to {count - 1}.")
    return int(patch)


def cell_edges(length: int, cells: int) -> np.ndarray:
    """``cells`` + 1 positions that cut ``length`` pixels into cells; rounded half up, as 150 / 8 is no whole number."""
    if not 1 <= cells <= length:
        raise BadSetting(f"{length} pixels cannot be cut into {cells} cells; choose another grid.")
    return np.floor(np.arange(cells + 1) * length / cells + 0.5).astype(int)


def cell_boxes(size: tuple[int, int], grid: Grid) -> np.ndarray:
    """Pixel boxes (P, 4) of all patches, row-major: left, top, right, bottom (exclusive); size: (height, width)."""
    patch_count(grid)
    y, x = cell_edges(size[0], grid[0]), cell_edges(size[1], grid[1])
    top, left = np.meshgrid(y[:-1], x[:-1], indexing="ij")
    bottom, right = np.meshgrid(y[1:], x[1:], indexing="ij")
    return np.stack([left, top, right, bottom], axis=-1).reshape(-1, 4)


def patch_centres(size: tuple[float, float], grid: Grid) -> np.ndarray:
    """Centres (P, 2) of all patches as x, y in pixels of a picture of ``size`` (height, width), row-major."""
    patch_count(grid)
    y = (np.arange(grid[0]) + 0.5) * size[0] / grid[0]
    x = (np.arange(grid[1]) + 0.5) * size[1] / grid[1]
    centre_y, centre_x = np.meshgrid(y, x, indexing="ij")
    return np.stack([centre_x, centre_y], axis=-1).reshape(-1, 2)


def enlarge(picture, height: int) -> np.ndarray:
    """The picture resized to ``height`` pixels, proportions kept, for drawings finer than a crop's own pixels."""
    picture = as_picture(picture)
    h, w = picture.shape[:2]
    if h == height:
        return picture
    method = cv2.INTER_CUBIC if height > h else cv2.INTER_AREA
    return cv2.resize(picture, (max(1, round(w * height / h)), height), interpolation=method)
