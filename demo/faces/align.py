"""Cutting aligned crops out of a photo: one antialiased warp for pictures and for cover maps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from demo.errors import BadSetting
from demo.faces import geometry
from demo.faces.face import Face
from demo.faces.templates import TEMPLATES, Template


@dataclass(frozen=True)
class Window:
    """A part of an aligned crop: left and top edge and side, as fractions of the crop's width and height."""

    x: float
    y: float
    side: float

    def __post_init__(self):
        inside = 0 <= self.x <= 1 - self.side + 1e-9 and 0 <= self.y <= 1 - self.side + 1e-9
        if not (0 < self.side <= 1 and inside):
            raise BadSetting(
                f"A window of side {self.side:g} at ({self.x:g}, {self.y:g}) does not lie inside the crop (0 to 1)."
            )

    def matrix(self, size: tuple[int, int]) -> np.ndarray:
        """2x3 map: pixels of a (width, height) crop → pixels of the window enlarged to the same size."""
        width, height = size
        shift = geometry.shift(-self.x * width, -self.y * height)
        return geometry.compose(geometry.rescale(1 / self.side), shift)


def resolve_template(template) -> Template:
    """A Template from a Template, a name in TEMPLATES, or anything with a ``template`` attribute (a Backbone)."""
    template = getattr(template, "template", template)
    if isinstance(template, Template):
        return template
    if template not in TEMPLATES:
        raise BadSetting(f"There is no template {template!r}; choose one of {', '.join(TEMPLATES)}.")
    return TEMPLATES[template]


def crop_matrix(face: Face, template, window: Window | None = None) -> np.ndarray:
    """2x3 map of photo pixels to pixels of the crop (of the window of it, where one is given)."""
    template = resolve_template(template)
    matrix = template.matrix(face)
    return matrix if window is None else geometry.compose(window.matrix(template.size), matrix)


def align(photo: np.ndarray, face: Face, template, *, window: Window | None = None) -> np.ndarray:
    """uint8 (h, w, 3) aligned crop of a uint8 (H, W, 3) photo; beyond the photo it is black, as in dlib's chips.

    template: a Template, a name in TEMPLATES, or a Backbone. window: cut this part only, from the photo at its
    full resolution. Raises BadSetting for an unknown template, NoFace where the landmarks allow no alignment.
    """
    return warp(photo, crop_matrix(face, template, window), resolve_template(template).size)


def align_points(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(N, 2) photo points → float32 (N, 2) pixels of the crop."""
    return geometry.apply(matrix, points).astype(np.float32)


def landmarks_in(face: Face, template, *, window: Window | None = None) -> np.ndarray:
    """float32 (68, 2): the landmarks as fractions of the crop's width and height (outside 0..1 = cut off)."""
    points = align_points(face.landmarks, crop_matrix(face, template, window))
    return ((points + 0.5) / resolve_template(template).size).astype(np.float32)


@dataclass(frozen=True)
class Resampling:
    """The steps by which ``warp`` makes a picture of a size (width, height): each is linear in the pixels.

    rows, cols: the part of the photo that is needed. reduced: (width, height) to which that part is averaged first,
    or None. matrix: 2x3, from there to the picture, bilinear; where ``halved``, to one of twice the size whose pixels
    are then averaged 2 x 2.
    """

    rows: slice
    cols: slice
    reduced: tuple[int, int] | None
    matrix: np.ndarray
    size: tuple[int, int]
    halved: bool


def resampling(matrix: np.ndarray, size: tuple[int, int], photo: tuple[int, int]) -> Resampling:
    """How to warp a photo of (height, width) by a 2x3 similarity into a picture of (width, height).

    Enlarging is bilinear. Shrinking averages over the area that becomes one pixel: the needed part is reduced
    to at most twice the target's resolution, warped at twice the target's size and averaged 2 x 2. So a photo and
    its reduced copy give nearly the same crop.
    """
    scale = geometry.scale_of(matrix)
    if scale >= 1:
        return Resampling(slice(0, photo[0]), slice(0, photo[1]), None, matrix, size, False)
    rows, cols = footprint(matrix, size, photo)
    matrix = geometry.compose(matrix, geometry.shift(cols.start, rows.start))
    reduced = None
    if scale < 0.5:
        height, width = rows.stop - rows.start, cols.stop - cols.start
        reduced = (max(1, round(width * 2 * scale)), max(1, round(height * 2 * scale)))
        matrix = geometry.compose(matrix, geometry.rescale(width / reduced[0], height / reduced[1]))
    return Resampling(rows, cols, reduced, geometry.compose(geometry.rescale(2), matrix), size, True)


def footprint(matrix: np.ndarray, size: tuple[int, int], photo: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of a photo of (height, width) that a picture warped from it by a 2x3 matrix can depend on."""
    width, height = size
    corners = geometry.apply(geometry.invert(matrix), [(-1, -1), (width, -1), (width, height), (-1, height)])
    margin = math.ceil(2 / min(geometry.scale_of(matrix), 1))
    limit = np.array(photo[::-1])
    left, top = np.clip(np.floor(corners.min(0)).astype(int) - margin, 0, limit).tolist()
    right, bottom = np.clip(np.ceil(corners.max(0)).astype(int) + margin + 1, 0, limit).tolist()
    return slice(top, bottom), slice(left, right)


def warp(picture: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resample a (H, W) or (H, W, 3) uint8 or float32 picture by a 2x3 similarity into (h, w[, 3]); zero outside it.

    See ``resampling`` for the steps.
    """
    width, height = size
    steps = resampling(matrix, size, picture.shape[:2])
    part = picture[steps.rows, steps.cols]
    if part.size == 0:
        return np.zeros((height, width, *picture.shape[2:]), picture.dtype)
    if steps.reduced:
        part = cv2.resize(part, steps.reduced, interpolation=cv2.INTER_AREA)
    if not steps.halved:
        return cv2.warpAffine(part, steps.matrix, size, flags=cv2.INTER_LINEAR)
    fine = cv2.warpAffine(part, steps.matrix, (2 * width, 2 * height), flags=cv2.INTER_LINEAR)
    return cv2.resize(fine, size, interpolation=cv2.INTER_AREA)
