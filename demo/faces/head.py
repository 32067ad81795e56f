"""A generic head in three dimensions, and how it sits in a photo: the frame in which masks and glasses are built.

Units: the distance between the eye centres is 1. Axes: x to the right of the picture, y down, z towards the
camera; the origin is between the eyes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from demo.errors import NoFace
from demo.faces.face import Face

#: Mean position (68, 3) of the landmarks, fitted to those of the project's synthetic people, whose head angles
#: are known (orthographic least squares, mirrored and averaged).
SHAPE = np.array([
    [-1.13, -0.02, -0.80], [-1.13, 0.28, -0.75], [-1.09, 0.58, -0.71], [-1.03, 0.88, -0.67],
    [-0.91, 1.15, -0.56], [-0.74, 1.40, -0.39], [-0.52, 1.60, -0.19], [-0.28, 1.75, -0.01],
    [0.00, 1.80, 0.06], [0.28, 1.75, -0.01], [0.52, 1.60, -0.19], [0.74, 1.40, -0.39],
    [0.91, 1.15, -0.56], [1.03, 0.88, -0.67], [1.09, 0.58, -0.71], [1.13, 0.28, -0.75],
    [1.13, -0.02, -0.80], [-0.91, -0.22, -0.18], [-0.75, -0.31, -0.04], [-0.56, -0.33, 0.07],
    [-0.36, -0.29, 0.17], [-0.17, -0.22, 0.24], [0.17, -0.22, 0.24], [0.36, -0.29, 0.17],
    [0.56, -0.33, 0.07], [0.75, -0.31, -0.04], [0.91, -0.22, -0.18], [0.00, -0.01, 0.26],
    [0.00, 0.19, 0.35], [0.00, 0.39, 0.46], [0.00, 0.59, 0.56], [-0.23, 0.72, 0.31],
    [-0.12, 0.76, 0.36], [0.00, 0.79, 0.38], [0.12, 0.76, 0.36], [0.23, 0.72, 0.31],
    [-0.69, -0.01, -0.07], [-0.57, -0.07, 0.00], [-0.42, -0.07, 0.02], [-0.30, 0.03, 0.02],
    [-0.43, 0.06, 0.02], [-0.58, 0.06, 0.00], [0.30, 0.03, 0.02], [0.42, -0.07, 0.02],
    [0.57, -0.07, 0.00], [0.69, -0.01, -0.07], [0.58, 0.06, 0.00], [0.43, 0.06, 0.02],
    [-0.42, 1.09, 0.07], [-0.27, 1.03, 0.23], [-0.11, 0.99, 0.33], [0.00, 1.03, 0.35],
    [0.11, 0.99, 0.33], [0.27, 1.03, 0.23], [0.42, 1.09, 0.07], [0.28, 1.23, 0.19],
    [0.12, 1.29, 0.28], [0.00, 1.31, 0.30], [-0.12, 1.29, 0.28], [-0.28, 1.23, 0.19],
    [-0.35, 1.10, 0.09], [-0.11, 1.10, 0.31], [0.00, 1.11, 0.33], [0.11, 1.10, 0.31],
    [0.35, 1.10, 0.09], [0.11, 1.13, 0.30], [0.00, 1.15, 0.31], [-0.11, 1.13, 0.30],
])
#: How far a pose may trust each landmark: jaw and mouth move with speech and with the viewing angle.
_WEIGHTS = np.array([0.3] * 17 + [1.0] * 31 + [0.3] * 20)
#: Reach of one landmark's correction, in eye distances.
_REACH = 0.3
#: Landmarks that spectacles rest on: the bridge of the nose and the eyes.
_RIGID = np.r_[27, 28, 36:48]
#: Poses beyond this fit badly to 68 landmarks: root mean square error in eye distances.
_WORST_FIT = 0.2
#: Least pixels per eye distance that can be drawn on.
_SMALLEST = 6.0
_NO_SHAPE = "The landmarks do not form a face, so it cannot be altered; try a more frontal photo."


@dataclass(frozen=True, eq=False)
class Head:
    """The generic head posed to a face. scale: pixels per eye distance. rotation: (3, 3). origin: (2,) pixels.

    corrections: (68, 2) pixels from where the posed model puts each landmark to where the photo has it.
    """

    scale: float
    rotation: np.ndarray
    origin: np.ndarray
    corrections: np.ndarray

    @classmethod
    def of(cls, face: Face) -> Head:
        """Pose the head by weighted least squares under orthographic projection.

        Raises NoFace where the landmarks cannot be those of a face seen from the front half.
        """
        points = face.landmarks.astype(float)
        if not np.isfinite(points).all():
            raise NoFace(_NO_SHAPE)
        weights = _WEIGHTS / _WEIGHTS.sum()
        centre, middle = weights @ points, weights @ SHAPE
        root = np.sqrt(weights)[:, None]
        affine, *_ = np.linalg.lstsq(root * (SHAPE - middle), root * (points - centre), rcond=None)
        u, stretch, vt = np.linalg.svd(affine.T, full_matrices=False)
        scale, rows = float(stretch.mean()), u @ vt
        rotation = np.vstack([rows, np.cross(*rows)])
        origin = centre - scale * rows @ middle
        corrections = points - (origin + scale * SHAPE @ rows.T)
        error = np.sqrt((weights[:, None] * corrections**2).sum()) / max(scale, 1e-9)
        if scale < _SMALLEST:
            raise NoFace("The face is too small to be altered; take a larger photo of it.")
        if error > _WORST_FIT or rotation[2, 2] < 0.4:
            raise NoFace(_NO_SHAPE)
        return cls(scale, rotation, origin, corrections)

    @cached_property
    def width(self) -> float:
        """This head's width at the temples over the generic one's, 0.85 to 1.15."""
        wide = self.scale * abs(SHAPE[16, 0] - SHAPE[0, 0])
        wider = float((self.corrections[16] - self.corrections[0]) @ self.rotation[:2, 0])
        return float(np.clip(1 + wider / wide, 0.85, 1.15))

    def project(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) points of the head → (..., 2) photo pixels, as of something stiff that sits on eyes and nose.

        The corrections of eyes and nose bridge are followed by an affine map, which keeps straight lines straight
        and takes up what perspective and this person's proportions add to the generic pose.
        """
        points = np.asarray(points, float)
        known = np.c_[np.ones(len(_RIGID)), SHAPE[_RIGID, :2]]
        affine = np.linalg.solve(known.T @ known + np.diag([0, 0.2, 2.0]), known.T @ self.corrections[_RIGID])
        bend = affine[0] + points[..., :2] @ affine[1:]
        return self.origin + self.scale * points @ self.rotation[:2].T + bend

    def place(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) points of the head → (..., 2) photo pixels, as of something soft that lies on the skin.

        Near a landmark the point moves with it (Gaussian average of the corrections), so that it follows this
        person's jaw, nose and cheeks and not the generic ones.
        """
        points = np.asarray(points, float)
        squared = ((points[..., None, :] - SHAPE) ** 2).sum(-1)
        near = np.exp(-squared / (2 * _REACH**2))
        corrections = np.einsum("...k,kd->...d", near, self.corrections) / (near.sum(-1, keepdims=True) + 0.3)
        return self.origin + self.scale * points @ self.rotation[:2].T + corrections

    def turn(self, directions: np.ndarray) -> np.ndarray:
        """(..., 3) directions of the head → directions seen from the camera (z > 0 faces it)."""
        return np.asarray(directions, float) @ self.rotation.T

    def visible(self, normal) -> float:
        """0..1: whether a side of the head with this outward normal (3,) faces the camera."""
        return float(np.clip((self.turn(normal)[2] + 0.02) / 0.12, 0, 1))
