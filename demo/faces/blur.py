"""A blurred photo: out of focus (a disc) or moved during the exposure (a line), added up in linear light."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from demo.faces import geometry
from demo.faces.face import Face
from demo.faces.light import from_linear, to_linear
from demo.faces.overlay import Drawing
from demo.faces.strength import Strength, eye_distance

#: Photos with more pixels between the eyes are blurred at this resolution: finer detail is lost in any case.
_FINEST = 160


def disc(radius: float, rng: np.random.Generator) -> np.ndarray:
    """What becomes of a point that is out of focus: an even disc. Sums to 1; radius in pixels."""
    x, y, _ = _square(radius)
    return _even(np.clip(radius + 0.5 - np.hypot(x, y), 0, 1))


def streak(length: float, rng: np.random.Generator) -> np.ndarray:
    """What becomes of a point when the camera moves: a line of random direction. Sums to 1; length in pixels."""
    x, y, reach = _square(length / 2)
    angle = rng.uniform(0, np.pi)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    return _even(np.clip(length / 2 + 0.5 - np.abs(along), 0, 1) * np.clip(1 - np.abs(across), 0, 1))


@dataclass(frozen=True)
class BlurStyle(Strength):
    """kernel: (size in pixels, random generator) → (n, n) weights. low, high: that size in eye distances."""

    kernel: Callable[[float, np.random.Generator], np.ndarray]


STYLES = {
    "defocus-light": BlurStyle("Out of focus, light", 0.05, 0.08, disc),
    "defocus-medium": BlurStyle("Out of focus, medium", 0.10, 0.14, disc),
    "defocus-strong": BlurStyle("Out of focus, strong", 0.16, 0.20, disc),
    "motion-light": BlurStyle("Motion, light", 0.12, 0.20, streak),
    "motion-medium": BlurStyle("Motion, medium", 0.28, 0.40, streak),
    "motion-strong": BlurStyle("Motion, strong", 0.50, 0.65, streak),
}


def blur(photo: np.ndarray, face: Face, style: str, rng: np.random.Generator) -> Drawing:
    """Blur a uint8 (H, W, 3) photo as a whole."""
    eyes = eye_distance(face)
    zoom = min(1.0, _FINEST / eyes)
    chosen = STYLES[style]
    kernel = chosen.kernel(chosen.draw(rng) * eyes * zoom, rng)
    height, width = photo.shape[:2]
    small = cv2.resize(photo, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA) if zoom < 1 else photo
    soft = np.empty_like(small)
    for channel in range(3):  # one at a time: photos may be large, and light is four bytes a value
        light = cv2.filter2D(to_linear(small[..., channel]), -1, kernel, borderType=cv2.BORDER_REFLECT)
        soft[..., channel] = np.rint(from_linear(light))
    soft = cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR) if zoom < 1 else soft
    return Drawing(soft, np.zeros((height, width), np.float32), matrix=geometry.shift(0, 0))


def _square(reach: float) -> tuple[np.ndarray, np.ndarray, int]:
    """Pixel coordinates x, y of a square with a middle pixel that holds everything within ``reach`` of it."""
    whole = int(np.ceil(reach)) + 1
    y, x = np.mgrid[-whole:whole + 1, -whole:whole + 1].astype(np.float32)
    return x, y, whole


def _even(kernel: np.ndarray) -> np.ndarray:
    return (kernel / kernel.sum()).astype(np.float32)
