"""A photo that was sent around: made small, saved as a JPEG of low quality, and read again."""

from __future__ import annotations

from io import BytesIO

import cv2
import numpy as np
from PIL import Image

from demo.faces import geometry
from demo.faces.face import Face
from demo.faces.overlay import Drawing
from demo.faces.strength import Strength, eye_distance

#: Quality as the usual libraries count it, 1 to 100; photos as a camera writes them have 90 and more.
STYLES = {
    "light": Strength("Light: quality 25 to 35", 25, 35),
    "medium": Strength("Medium: quality 12 to 16", 12, 16),
    "strong": Strength("Strong: quality 5 to 8", 5, 8),
}
#: Photos with more pixels between the eyes are reduced first, as services do that compress like this.
_LARGEST = 80


def jpeg(photo: np.ndarray, face: Face, style: str, rng: np.random.Generator) -> Drawing:
    """Compress a uint8 (H, W, 3) photo; chroma at half the resolution (4:2:0). The picture may be smaller than it."""
    height, width = photo.shape[:2]
    zoom = min(1.0, _LARGEST / eye_distance(face))
    size = (round(width * zoom), round(height * zoom))
    small = cv2.resize(photo, size, interpolation=cv2.INTER_AREA) if zoom < 1 else photo
    picture = np.array(Image.open(BytesIO(compress(small, round(STYLES[style].draw(rng))))))
    return Drawing(picture, np.zeros(picture.shape[:2], np.float32),
                   matrix=geometry.rescale(size[0] / width, size[1] / height))


def compress(photo: np.ndarray, quality: int) -> bytes:
    """A JPEG file of a uint8 (H, W, 3) photo, chroma subsampled 4:2:0."""
    file = BytesIO()
    Image.fromarray(photo).save(file, "JPEG", quality=quality, subsampling="4:2:0")
    return file.getvalue()
