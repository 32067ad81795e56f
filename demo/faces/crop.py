"""The random crop of the papers: a window of the aligned face, 70 % of its side, enlarged again."""

from __future__ import annotations

import numpy as np

from demo.faces import geometry
from demo.faces.align import Window, crop_matrix, resolve_template, warp
from demo.faces.face import Face
from demo.faces.overlay import Drawing

#: Side of the window over that of the aligned square, and the frame in which it is drawn.
SIDE, FRAME = 0.7, "dlib"
#: Sides, in pixels, that the picture of the window may have.
_SMALLEST, _LARGEST = 64, 512


def draw_crop(photo: np.ndarray, face: Face, style: str | None, rng: np.random.Generator) -> Drawing:
    """A window of int(0.7 S) of the S pixels of the aligned square, x and y uniform over the whole pixels left.

    The picture is cut from the photo at the photo's own resolution (64 to 512 pixels a side); nothing is covered.
    """
    template = resolve_template(FRAME)
    pixels = template.size[0]
    side = int(SIDE * pixels)
    x, y = rng.integers(0, pixels - side + 1, 2) / pixels
    window = Window(float(x), float(y), side / pixels)
    matrix = crop_matrix(face, template, window)
    size = int(np.clip(round(pixels / geometry.scale_of(matrix)), _SMALLEST, _LARGEST))
    picture = warp(photo, geometry.compose(geometry.rescale(size / pixels), matrix), (size, size))
    return Drawing(picture, np.zeros((size, size), np.float32), window)
