"""A tilted camera: the whole photo turned in its plane about the middle of the face."""

from __future__ import annotations

import cv2
import numpy as np

from demo.faces.face import Face
from demo.faces.overlay import Drawing
from demo.faces.strength import Strength

#: Degrees, to either side.
STYLES = {
    "light": Strength("Light: 5 to 15°", 5, 15),
    "medium": Strength("Medium: 15 to 25°", 15, 25),
    "strong": Strength("Strong: 25 to 40°", 25, 40),
}


def rotate(photo: np.ndarray, face: Face, style: str, rng: np.random.Generator) -> Drawing:
    """Turn a uint8 (H, W, 3) photo, which keeps its size; corners that come into view repeat its edge."""
    angle = STYLES[style].draw(rng) * rng.choice([-1, 1])
    matrix = rotation(face.landmarks.mean(0), angle)
    height, width = photo.shape[:2]
    turned = cv2.warpAffine(photo, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return Drawing(turned, np.zeros((height, width), np.float32), matrix=matrix)


def rotation(centre: np.ndarray, degrees: float) -> np.ndarray:
    """2x3 matrix that turns pixel coordinates about a point, counter-clockwise as seen, by an angle in degrees."""
    return cv2.getRotationMatrix2D(tuple(map(float, centre)), degrees, 1.0)
