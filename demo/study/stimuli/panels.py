"""What stands in the middle of a pair: an explanation, drawn by the kind of its result, or nothing.

Every panel is two pictures, the left one speaking of the first face and the right one of the second, each drawn on its
own face (the published study drew each correlation map on the other one). Because they are two files, left and right
can be exchanged for a participant. The papers darkened the face where the map was low and used no colours; so it is
done here, in every condition alike.
"""

from __future__ import annotations

import cv2
import numpy as np

from demo.errors import BadStudy
from demo.explain import Explanation, FaceMaps, Flows, Pair, explain, face_maps, flow_picture
from demo.explain.results import Result

Pictures = tuple[np.ndarray, np.ndarray]
#: Mean brightness of every panel in every condition, of 255, and so the grey of the one without an explanation: no
#: condition is told from another, nor a pair from another, by how light its pictures are.
LIGHT = 64
#: No panel is made lighter than this many times.
_MOST_GAIN = 8.0
#: How bright the darkest part stays, so that the face can be made out.
_FLOOR = 0.15


def panels(pair: Pair, explanation: Explanation | None) -> Pictures:
    """The two pictures, uint8 and each as large as its face. explanation: None = there is none, so both are grey.

    BadStudy for an explanation whose result is neither a map per face nor a flow; BadSetting, with the reason, for one
    that cannot be computed of this pair.
    """
    if explanation is None:
        return neutral(pair.crops[0].shape), neutral(pair.crops[1].shape)
    return pictured(pair.crops, explain(pair, explanation.word, both=True)[explanation.word], explanation.title)


def pictured(crops: Pictures, result: Result, title: str) -> Pictures:
    """The two pictures of a result. title: of its explanation. BadStudy where it is no picture."""
    if isinstance(result, Flows):
        return _rebuilt(crops, result)
    maps = face_maps(result)
    if maps is None:
        raise BadStudy(f"{title} gives no picture of either face, so it cannot be a condition.")
    return _lit(crops, maps)


def levelled(picture: np.ndarray) -> np.ndarray:
    """A panel with the mean brightness LIGHT: multiplied by one number (at most _MOST_GAIN), what is over 255 cut."""
    low, high = 0.0, _MOST_GAIN
    values = picture.astype(np.float32)
    for _ in range(24):
        gain = (low + high) / 2
        low, high = (gain, high) if np.minimum(values * gain, 255).mean() < LIGHT else (low, gain)
    return (np.minimum(values * high, 255) + 0.5).clip(0, 255).astype(np.uint8)


def neutral(shape: tuple[int, ...]) -> np.ndarray:
    """The picture that explains nothing: uint8 of a shape (h, w, 3)."""
    return np.full(shape, LIGHT, np.uint8)


def brightness(crop: np.ndarray, values: np.ndarray, grid: tuple[int, int],
               scale: tuple[float, float] | None = None) -> np.ndarray:
    """A face lit by a map (P,), from almost dark at the low end of ``scale`` to full at its high end; uint8 like
    ``crop``.

    scale: None = the map's own range, as in the published study; a map without a range leaves the face as it is.
    """
    values = np.asarray(values, np.float64).reshape(grid)
    low, high = scale or (values.min(), values.max())
    if high - low <= 1e-6 * abs(high):
        return crop.copy()
    light = cv2.resize((values - low) / (high - low), crop.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return (crop * (_FLOOR + (1 - _FLOOR) * light[..., None]) + 0.5).astype(np.uint8)


def _lit(crops: Pictures, maps: FaceMaps) -> Pictures:
    """Each face lit by its own map; contributions on one scale for both faces, whose middle is none."""
    scale = maps.colours if maps.signed else None
    return (brightness(crops[0], maps.query, maps.grid, scale), brightness(crops[1], maps.candidate, maps.grid, scale))


def _rebuilt(crops: Pictures, flows: Flows) -> Pictures:
    """Each face rebuilt from the patches of the other that it matches best, as bright as their mass (Eq. 3.9)."""
    rebuilt = []
    for other, mass in ((crops[1], flows.flow), (crops[0], flows.flow.T)):
        dark, bright = flow_picture(other, mass, flows.grid), flow_picture(other, mass, flows.grid, dim=False)
        rebuilt.append(cv2.addWeighted(bright, _FLOOR, dark, 1 - _FLOOR, 0))
    return rebuilt[0], rebuilt[1]
