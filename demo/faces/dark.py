"""Low light: too little exposure, and the noise that a sensor has at such an exposure."""

from __future__ import annotations

import cv2
import numpy as np

from demo.faces import geometry
from demo.faces.face import Face
from demo.faces.light import from_linear, to_linear
from demo.faces.overlay import Drawing
from demo.faces.strength import Strength, eye_distance

#: Aperture stops below the photo's own exposure.
STYLES = {
    "light": Strength("Light: 1.5 to 2 stops", 1.5, 2.0),
    "medium": Strength("Medium: 2.5 to 3.5 stops", 2.5, 3.5),
    "strong": Strength("Strong: 4 to 5 stops", 4.0, 5.0),
}
#: Electrons of a white pixel at the photo's own exposure and of the read-out noise (sigma), where the eyes are so
#: many pixels apart. The light on a face is shared by its pixels, so that finer photos have noisier pixels.
_WHITE, _READ, _EYES = 800.0, 3.0, 60.0
#: Noise is spread over so many pixels (sigma) when colours are interpolated between the sensor's.
_DEMOSAIC = 0.55


def dark(photo: np.ndarray, face: Face, style: str, rng: np.random.Generator) -> Drawing:
    """Darken a uint8 (H, W, 3) photo as a whole: shot and read-out noise are added in linear light."""
    share = 2.0 ** -STYLES[style].draw(rng)
    pixels = (eye_distance(face) / _EYES) ** 2
    white, read = _WHITE / pixels, _READ / np.sqrt(pixels)
    taken = np.empty_like(photo)
    for channel in range(3):  # one at a time: photos may be large, and light is four bytes a value
        electrons = to_linear(photo[..., channel]) * np.float32(share * white)
        noise = rng.standard_normal(electrons.shape, np.float32) * np.sqrt(electrons + np.float32(read**2))
        seen = electrons + cv2.GaussianBlur(noise, (0, 0), _DEMOSAIC)
        taken[..., channel] = np.rint(from_linear(seen / np.float32(white)))
    return Drawing(taken, np.zeros(photo.shape[:2], np.float32), matrix=geometry.shift(0, 0))
