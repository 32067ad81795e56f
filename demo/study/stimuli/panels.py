"""What stands in the middle of a pair: one function per condition, registered in PANELS.

Every panel is two pictures, the left one speaking of the first face and the right one of the second, each drawn on its
own face (the published study drew each correlation map on the other one, REFERENCE A8). Because they are two files,
left and right can be exchanged for a participant. The papers darkened the face where the map was low and used no
colours; so it is done here, in every condition alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np

from demo.backbones import Features
from demo.crossimage import CrossImageModel
from demo.crossimage.maps import cross_attention, cross_correlation, received
from demo.explain import flow_picture
from demo.matching import EMDResult

Pictures = tuple[np.ndarray, np.ndarray]
#: Grey of the panels in the condition without an explanation.
NEUTRAL = 128
#: How bright the darkest part stays, so that the face can be made out.
_FLOOR = 0.15


@dataclass(frozen=True)
class Shown:
    """Two faces to explain. crops: uint8 (s, s, 3) each, as large as they are shown. features: of one face each. emd:
    their transport, first → second. model: H2L, or None where it is not ready."""

    crops: Pictures
    features: tuple[Features, Features]
    emd: EMDResult
    model: CrossImageModel | None


@dataclass(frozen=True)
class Panel:
    """A condition. title: for operators. method: whose decision it explains, a key of
    ``demo.thresholds.pair_methods``, or None. draw: the two pictures."""

    title: str
    method: str | None
    draw: Callable[[Shown], Pictures] = field(repr=False)


def brightness(crop: np.ndarray, values: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """A face lit by a map (P,), from almost dark at its smallest value to full at its largest; uint8 like ``crop``.

    The map is scaled to its own range, as in the published study; a map without a range leaves the face as it is.
    """
    values = np.asarray(values, np.float64).reshape(grid)
    low, high = values.min(), values.max()
    if high - low <= 1e-6 * abs(high):
        return crop.copy()
    light = cv2.resize((values - low) / (high - low), crop.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return (crop * (_FLOOR + (1 - _FLOOR) * light[..., None]) + 0.5).astype(np.uint8)


def _neutral(shown: Shown) -> Pictures:
    return np.full_like(shown.crops[0], NEUTRAL), np.full_like(shown.crops[1], NEUTRAL)


def _lit(shown: Shown, maps: tuple[np.ndarray, np.ndarray], grid: tuple[int, int]) -> Pictures:
    return brightness(shown.crops[0], maps[0], grid), brightness(shown.crops[1], maps[1], grid)


def _cnn_correlation(shown: Shown) -> Pictures:
    first, second = shown.features
    maps = cross_correlation(first.patches, second.patches)
    return _lit(shown, (maps[0][0], maps[1][0]), first.grid)


def _both_orders(shown: Shown):
    """The model's output for first and second, and for second and first: its distances are means over both."""
    first, second = (face.at(shown.model.backbone.info.grids[0]) for face in shown.features)
    return shown.model.compare_features(first, second), shown.model.compare_features(second, first)


def _h2l_correlation(shown: Shown) -> Pictures:
    output, reverse = _both_orders(shown)
    forward, backward = cross_correlation(output.z1, output.z2), cross_correlation(reverse.z1, reverse.z2)
    return _lit(shown, ((forward[0] + backward[1])[0], (forward[1] + backward[0])[0]), output.grid)


def _h2l_attention(shown: Shown) -> Pictures:
    output, reverse = _both_orders(shown)
    forward, backward = cross_attention(output, reverse=reverse).choose()
    return _lit(shown, (received(backward), received(forward)), output.grid)


def _emd_flow(shown: Shown) -> Pictures:
    """Each face rebuilt from the patches of the other that it matches best, as bright as their mass (Eq. 3.9)."""
    flow, grid = shown.emd.flow[0].cpu().numpy(), shown.emd.grid
    rebuilt = []
    for other, mass in ((shown.crops[1], flow), (shown.crops[0], flow.T)):
        dark, bright = flow_picture(other, mass, grid), flow_picture(other, mass, grid, dim=False)
        rebuilt.append(cv2.addWeighted(bright, _FLOOR, dark, 1 - _FLOOR, 0))
    return rebuilt[0], rebuilt[1]


def _emd_weights(shown: Shown) -> Pictures:
    weights = shown.emd.query_weights[0].cpu().numpy(), shown.emd.candidate_weights[0].cpu().numpy()
    return _lit(shown, weights, shown.emd.grid)


#: Every condition by name.
PANELS = {
    "none": Panel("No explanation", None, _neutral),
    "cnn_cc": Panel("Cross-correlation of the CNN's patches", "cosine", _cnn_correlation),
    "h2l_cc": Panel("Cross-correlation of H2L's patches", "h2l", _h2l_correlation),
    "emd_flow": Panel("Flow of the Earth Mover's Distance", "emd", _emd_flow),
    "h2l_attn": Panel("Cross-attention of H2L", "h2l", _h2l_attention),
    "d_weights": Panel("Weights of the Earth Mover's Distance", "emd", _emd_weights),
}
