"""Alignment templates: where the eyes, the nose and the mouth sit in the crop that each network was trained on.

A template computes a 2x3 similarity (photo pixels → crop pixels) from a Face. A new one is one line in
TEMPLATES. Published alignments: DeepFace-EMD (its ``align_face.py``) and, for dlib, ``get_face_chip``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from demo.faces import geometry
from demo.faces.face import Face

#: dlib's mean positions of its five points, in units of the unpadded chip.
DLIB_POINTS = np.array([
    [0.8595674595992, 0.2134981538014],
    [0.6460604764104, 0.2289674387677],
    [0.1205750620789, 0.2137274526848],
    [0.3340850613712, 0.2290642403242],
    [0.4901123135679, 0.6277975316475],
])
#: Five-point targets in pixels: eye centres, nose tip, mouth corners.
COSFACE_POINTS = np.array([
    [30.2946, 51.6963], [65.5318, 51.5014], [48.0252, 71.7366], [33.5493, 92.3655], [62.7299, 92.2041],
])
#: The same as most networks since take them, on a square crop.
SQUARE_POINTS = COSFACE_POINTS + (8, 0)
FACENET_POINTS = np.array([
    [61.4356, 54.6963], [118.5318, 54.6963], [93.5252, 90.7366], [68.5493, 122.3655], [110.7299, 122.3641],
])
#: MTCNN's box: how far its centre is below the eyes, its width and its height.
MTCNN_BOX = (0.29, 2.04, 2.77)


@dataclass(frozen=True)
class Template:
    """An aligned frame. name: the word used everywhere. size: (width, height) in pixels. title: for people.

    fit: Face → 2x3 similarity, photo pixels → crop pixels.
    """

    name: str
    size: tuple[int, int]
    title: str
    fit: Callable[[Face], np.ndarray] = field(repr=False)

    def __reduce__(self):
        """Pickled by its name, as its fit cannot be; a template of one's own is as picklable as its fit."""
        known = TEMPLATES.get(self.name) is self
        return (_named, (self.name,)) if known else super().__reduce__()

    def matrix(self, face: Face) -> np.ndarray:
        """2x3 similarity that maps photo pixels to pixels of the crop.

        A face declared as aligned already is taken whole: scaled to cover the crop, centred, not turned.
        """
        return _cover(face.box, self.size) if face.aligned else self.fit(face)


def _named(name: str) -> Template:
    return TEMPLATES[name]


def _cover(box, size) -> np.ndarray:
    left, top, right, bottom = box
    width, height = size
    scale = max(width / (right - left), height / (bottom - top))
    centre = np.array([(left + right) / 2, (top + bottom) / 2])
    goal = np.array([(width - 1) / 2, (height - 1) / 2])
    return np.c_[np.eye(2) * scale, goal - scale * centre]


def five_point(target: np.ndarray) -> Callable[[Face], np.ndarray]:
    """Fit by least squares to five target points (pixels of the crop)."""
    return partial(_fit_five, target)


def _fit_five(target: np.ndarray, face: Face) -> np.ndarray:
    return geometry.similarity(face.five, target)


def dlib_chip(side: int, padding: float) -> Callable[[Face], np.ndarray]:
    """The geometry of ``dlib.get_face_chip(photo, five points, side, padding)``, to a fraction of a pixel.

    Two habits of dlib are kept, because its network was trained with them: the least-squares fit runs from chip to
    photo (its inverse differs a little from the fit from photo to chip), and a square of n units has n - 1 between
    its first and its last pixel, in the chip as in the photo.
    """
    target = (DLIB_POINTS + padding) / (1 + 2 * padding) * side
    middle = np.array([side / 2, side / 2])

    def fit(face: Face) -> np.ndarray:
        chip_to_photo = geometry.similarity(target, face.chip)
        units = geometry.scale_of(chip_to_photo)
        linear = chip_to_photo[:, :2] * ((side * units - 1) / (side - 1) / units)
        centre = geometry.apply(chip_to_photo, middle)
        return geometry.invert(np.c_[linear, centre - linear @ (middle - 0.5)])

    return fit


def eye_level(eyes: tuple[float, float], eye_to_mouth: float) -> Callable[[Face], np.ndarray]:
    """Eyes level, midpoint of the eyes at ``eyes``, ``eye_to_mouth`` pixels from it to that of the mouth corners."""

    def fit(face: Face) -> np.ndarray:
        left, right, _, mouth_left, mouth_right = face.five.astype(float)
        middle = (left + right) / 2
        scale = eye_to_mouth / max(np.linalg.norm((mouth_left + mouth_right) / 2 - middle), 1e-6)
        cosine, sine = (right - left) / max(np.linalg.norm(right - left), 1e-6)
        linear = scale * np.array([[cosine, sine], [-sine, cosine]])
        return np.c_[linear, np.asarray(eyes) - linear @ middle]

    return fit


def mtcnn_box(side: int, margin: int) -> Callable[[Face], np.ndarray]:
    """The detector's box with a margin, upright, as facenet-pytorch cuts it: box * side / (side - margin).

    ``margin`` is in pixels of the crop. That package squeezes the box to a square; here the square of the same
    area is cut, so that the face keeps its proportions. The box is the detector's where it came with five points
    (MTCNN); else it is placed from the landmarks as MTCNN would place it: MTCNN_BOX, in units of the distance
    from the eyes' midpoint to the mouth corners' (medians of MTCNN over 119 photos).
    """

    def fit(face: Face) -> np.ndarray:
        if face.five_points is not None:
            left, top, right, bottom = face.box
            centre, extent = np.array([left + right, top + bottom]) / 2, np.sqrt(face.area)
        else:
            eyes, mouth = face.five[:2].mean(0), face.five[3:].mean(0)
            unit = float(np.linalg.norm(mouth - eyes))
            below, width, height = MTCNN_BOX
            centre, extent = eyes + below * (mouth - eyes), unit * np.sqrt(width * height)
        scale = (side - margin) / max(extent, 1e-6)
        quarters = np.deg2rad(90 * round(face.roll / 90))  # 0 for every face that does not lie
        cosine, sine = np.round((np.cos(quarters), np.sin(quarters)))
        linear = scale * np.array([[cosine, sine], [-sine, cosine]])
        return np.c_[linear, (side - 1) / 2 - linear @ centre]

    return fit


_ALL = (
    Template("dlib", (150, 150), "dlib face chip, 150 x 150", dlib_chip(150, 0.25)),
    Template("arcface", (128, 128), "level eyes, 128 x 128", eye_level((64, 41), 48)),
    Template("cosface", (96, 112), "five points, 96 x 112", five_point(COSFACE_POINTS)),
    Template("five-112", (112, 112), "five points, 112 x 112", five_point(SQUARE_POINTS)),
    Template("facenet", (160, 160), "MTCNN-like box with margin, 160 x 160", mtcnn_box(160, 14)),
    Template("facenet-5pt", (160, 160), "five points, 160 x 160, off-centre as published", five_point(FACENET_POINTS)),
)
#: Every template by name.
TEMPLATES = {template.name: template for template in _ALL}
