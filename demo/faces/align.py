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


def warp(picture: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resample a (H, W) or (H, W, 3) uint8 or float32 picture by a 2x3 similarity into (h, w[, 3]); zero outside it.

    Enlarging is bilinear. Shrinking averages over the area that becomes one pixel: the needed region is reduced
    to at most twice the target's resolution, warped at twice the target's size and averaged 2 x 2. So a photo and
    its reduced copy give nearly the same crop.
    """
    width, height = size
    scale = geometry.scale_of(matrix)
    if scale >= 1:
        return cv2.warpAffine(picture, matrix, (width, height), flags=cv2.INTER_LINEAR)
    inverse = geometry.invert(matrix)
    corners = geometry.apply(inverse, [(-1, -1), (width, -1), (width, height), (-1, height)])
    margin = math.ceil(2 / scale)
    left, top = np.maximum(np.floor(corners.min(0)).astype(int) - margin, 0)
    right, bottom = np.ceil(corners.max(0)).astype(int) + margin + 1
    region = picture[top:bottom, left:right]
    if region.size == 0:
        return np.zeros((height, width, *picture.shape[2:]), picture.dtype)
    matrix = geometry.compose(matrix, geometry.shift(left, top))
    if scale < 0.5:
        old_height, old_width = region.shape[:2]
        new = (max(1, round(old_width * 2 * scale)), max(1, round(old_height * 2 * scale)))
        region = cv2.resize(region, new, interpolation=cv2.INTER_AREA)
        matrix = geometry.compose(matrix, geometry.rescale(old_width / new[0], old_height / new[1]))
    double = geometry.compose(geometry.rescale(2), matrix)
    fine = cv2.warpAffine(region, double, (2 * width, 2 * height), flags=cv2.INTER_LINEAR)
    return cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA)
