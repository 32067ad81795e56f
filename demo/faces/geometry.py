"""Plane geometry shared by alignment and the occluders. Matrices are 2x3 affine maps of pixel coordinates."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike

from demo.errors import NoFace


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """2x3 similarity (rotation, one scale, shift; never a reflection) that maps (N, 2) source nearest to target.

    The least-squares solution of Umeyama (1991, Eq. 40-43) in the plane, where it has a closed form.
    """
    source, target = np.asarray(source, float), np.asarray(target, float)
    centre, goal = source.mean(0), target.mean(0)
    a, b = source - centre, target - goal
    spread = (a * a).sum()
    if spread < 1e-9:
        raise NoFace("The points of the face coincide, so it cannot be aligned; mark or detect it again.")
    cosine = (a * b).sum() / spread
    sine = (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum() / spread
    linear = np.array([[cosine, -sine], [sine, cosine]])
    return np.c_[linear, goal - linear @ centre]


def apply(matrix: np.ndarray, points: ArrayLike) -> np.ndarray:
    """(..., 2) points mapped by a 2x3 matrix, as float64."""
    return np.asarray(points, float) @ matrix[:, :2].T + matrix[:, 2]


def compose(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """The 2x3 matrix that maps by ``inner`` first and by ``outer`` next."""
    linear = outer[:, :2] @ inner[:, :2]
    return np.c_[linear, outer[:, :2] @ inner[:, 2] + outer[:, 2]]


def invert(matrix: np.ndarray) -> np.ndarray:
    """The 2x3 matrix of the inverse map."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.c_[linear, -linear @ matrix[:, 2]]


def rescale(factor_x: float, factor_y: float | None = None) -> np.ndarray:
    """Pixel coordinates of a picture → those of its copy enlarged by the factors (pixel centres are whole)."""
    fx, fy = factor_x, factor_x if factor_y is None else factor_y
    return np.array([[fx, 0.0, (fx - 1) / 2], [0.0, fy, (fy - 1) / 2]])


def shift(x: float, y: float) -> np.ndarray:
    """The matrix that adds (x, y)."""
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y]])


def scale_of(matrix: np.ndarray) -> float:
    """How many target pixels one source pixel becomes (square root of the change in area)."""
    return float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))


def catmull_rom(points: np.ndarray, steps: int, *, closed: bool = False) -> np.ndarray:
    """A smooth curve through (N, D) points, ``steps`` samples per section."""
    points = np.asarray(points, float)
    if closed:
        padded = np.concatenate([points[-1:], points, points[:2]])
    else:
        padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    a, b, c, d = (padded[i:len(padded) - 3 + i, None] for i in range(4))
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    curve = curve.reshape(-1, points.shape[1])
    return curve if closed else np.concatenate([curve, points[-1:]])


def thin_plate(source: np.ndarray, target: np.ndarray, smoothing: float = 1e-3):
    """Thin-plate spline from (N, 2) source points to (N, D) targets; returns a function (M, 2) → (M, D)."""
    source, target = np.asarray(source, float), np.asarray(target, float)
    centre, size = source.mean(0), max(float(np.ptp(source, axis=0).max()), 1e-9)

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        squared = ((a[:, None] - b[None]) ** 2).sum(-1)
        return squared * np.log(squared + 1e-12)

    knots = (source - centre) / size
    count = len(knots)
    affine = np.c_[np.ones(count), knots]
    system = np.block([[kernel(knots, knots) + smoothing * np.eye(count), affine], [affine.T, np.zeros((3, 3))]])
    # OpenCV and einsum, not LAPACK and "@", whose threads cost more than such small problems on shared cores
    _, weights = cv2.solve(system, np.r_[target, np.zeros((3, target.shape[1]))])

    def spline(points: np.ndarray) -> np.ndarray:
        points = (np.asarray(points, float) - centre) / size
        basis = np.concatenate([kernel(points, knots), np.ones((len(points), 1)), points], axis=1)
        return np.einsum("mk,kd->md", basis, np.asarray(weights))

    return spline
