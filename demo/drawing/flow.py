"""The optimal flow between two faces: which patch of one matches which patch of the other."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from demo.drawing.grids import Grid, as_flow, as_picture, cell_boxes, check_patch
from demo.errors import BadSetting

#: Masses that differ by less than this part of the largest are alike (rounding of the solvers).
_ALIKE = 1e-4
#: How bright a gentle veil leaves the patch of least mass.
_VEILED = 0.35


class Flow(NamedTuple):
    """Mass that goes from query patch ``i`` to candidate patch ``j``; all masses of a pair sum to 1."""

    i: int
    j: int
    mass: float


def best_matches(flow) -> tuple[np.ndarray, np.ndarray]:
    """For each query patch the candidate patch k = argmax_j f_ij, and its brightness in 0..1 (Eq. 3.9).

    flow: (P, P), query patches in rows. Brightness is (f_ik - min) / (max - min) over the patches;
    where all f_ik are alike, every patch is fully bright. Returns (k (P,), brightness (P,)).
    """
    flow = as_flow(flow)
    best = flow.argmax(axis=1)
    mass = flow[np.arange(len(flow)), best]
    low, high = mass.min(), mass.max()
    if high - low <= _ALIKE * high:
        return best, np.ones(len(flow))
    return best, (mass - low) / (high - low)


def flow_picture(candidate_crop, flow, grid: Grid, *, dim: bool = True, veil: bool = False) -> np.ndarray:
    """The query rebuilt from the candidate's patches, as the papers draw it (Eq. 3.9).

    candidate_crop: uint8 (h, w, 3). flow: (P, P), flow[i, j] the mass from query patch i to candidate patch
    j, both row-major over ``grid`` == (rows, cols). At the place of query patch i stands the candidate patch
    that receives most of i's mass, as bright as that mass (``best_matches``). Cells that differ by a pixel
    in size, because the crop does not divide by the grid, are resized. dim: False leaves every patch that sends
    any mass fully bright, to see the matches where little mass makes Eq. 3.9 dark. veil: dim gently instead, by the
    square root of that brightness and never to black. Returns uint8 (h, w, 3).
    """
    crop = as_picture(candidate_crop, "candidate's crop")
    flow = as_flow(flow, grid)
    best, brightness = best_matches(flow)
    boxes = cell_boxes(crop.shape[:2], grid)
    picture = np.empty_like(crop)
    shade = _VEILED + (1 - _VEILED) * np.sqrt(brightness) if veil else brightness
    gains = np.round(shade * 256).astype(int) if dim or veil else np.where(flow.any(axis=1), 256, 0)
    for (left, top, right, bottom), source, gain in zip(boxes, boxes[best], gains, strict=True):
        patch = crop[source[1]:source[3], source[0]:source[2]]
        if patch.shape[:2] != (bottom - top, right - left):
            patch = cv2.resize(patch, (int(right - left), int(bottom - top)), interpolation=cv2.INTER_LINEAR)
        picture[top:bottom, left:right] = patch if gain == 256 else patch * (gain / 256) + 0.5
    return picture


def strongest_flows(flow, n: int = 12, *, patch: int | None = None) -> list[Flow]:
    """The ``n`` largest masses of a flow (P, P), largest first; fewer where fewer patches exchange mass.

    patch: only flows that leave this query patch. Where more flows are equally strong than there is room
    for (uniform weights), those shown are spread evenly over the query instead of being its first rows.
    """
    flow = as_flow(flow)
    if n < 1:
        raise BadSetting(f"The number of flows to show must be at least 1; got {n}.")
    masses = flow.copy()
    if patch is not None:
        masses[np.arange(len(flow)) != check_patch(patch, len(flow))] = 0
    order = np.argsort(-masses, axis=None, kind="stable")[: np.count_nonzero(masses)]
    ranked = masses.flat[order]
    if len(order) > n:
        margin = _ALIKE * ranked[0]
        above = np.flatnonzero(ranked > ranked[n - 1] + margin)
        tied = np.flatnonzero(np.abs(ranked - ranked[n - 1]) <= margin)
        tied = tied[np.argsort(order[tied])]
        room = n - len(above)
        spread = tied[((np.arange(room) + 0.5) * len(tied) / room).astype(int)]
        order = order[np.sort(np.concatenate([above, spread]))]
    return [Flow(int(k // len(flow)), int(k % len(flow)), float(masses.flat[k])) for k in order]
