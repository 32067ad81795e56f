"""A located face: its box, its landmarks, and the points that alignment is computed from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from demo.faces import geometry

#: Rows of the 68 landmarks that dlib's 5-point predictor marks: outer and inner corner of the right eye of
#: the picture, outer and inner corner of the left one, base of the nose.
CHIP_ROWS = [45, 42, 36, 39, 33]
LEFT_EYE = slice(36, 42)
RIGHT_EYE = slice(42, 48)


def _points(value, rows: int) -> np.ndarray:
    points = np.array(value, np.float32)
    if points.shape != (rows, 2):
        raise ValueError(f"expected ({rows}, 2) points, got {points.shape}")
    points.flags.writeable = False
    return points


@dataclass(frozen=True, eq=False)
class Face:
    """One face of a photo. Coordinates are photo pixels; whole numbers are pixel centres.

    box: (left, top, right, bottom). landmarks: (68, 2) float32, the usual 68-point scheme.
    score: the detector's confidence (larger is surer; its scale is the detector's own).
    chip_points: (5, 2) of dlib's 5-point predictor, or None. five_points: (5, 2) eye centres, nose tip and
    mouth corners as marked by a detector that gives them, or None. aligned: the photo is declared to be an
    aligned crop already, so every template takes it whole. Arrays are read-only copies.
    """

    box: tuple[float, float, float, float]
    landmarks: np.ndarray
    score: float = 1.0
    chip_points: np.ndarray | None = None
    five_points: np.ndarray | None = None
    aligned: bool = False

    def __post_init__(self):
        object.__setattr__(self, "box", tuple(float(side) for side in self.box))
        object.__setattr__(self, "landmarks", _points(self.landmarks, 68))
        for name in ("chip_points", "five_points"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _points(getattr(self, name), 5))

    @property
    def area(self) -> float:
        """Area of the box in square pixels."""
        left, top, right, bottom = self.box
        return max(right - left, 0.0) * max(bottom - top, 0.0)

    @property
    def roll(self) -> float:
        """Degrees by which the face is turned in the picture, clockwise, 0 = upright, -180 to 180."""
        eyes, mouth = self.five[:2].mean(0), self.five[3:].mean(0)
        across, down = mouth - eyes
        return float(np.degrees(np.arctan2(-across, down)))

    def moved(self, matrix: np.ndarray) -> Face:
        """The same face in a picture that a 2x3 similarity makes of the photo. The box stays upright and keeps its
        place round the landmarks; that of an aligned face stays the whole picture."""
        corners, scale = np.reshape(self.box, (2, 2)), geometry.scale_of(matrix)
        middle = corners.mean(0)
        box = (geometry.apply(geometry.rescale(scale), corners) if self.aligned
               else geometry.apply(matrix, middle) + scale * (corners - middle))
        points = {name: getattr(self, name) for name in ("landmarks", "chip_points", "five_points")}
        known = {name: geometry.apply(matrix, value) for name, value in points.items() if value is not None}
        return replace(self, box=tuple(box.ravel().tolist()), **known)

    @property
    def chip(self) -> np.ndarray:
        """(5, 2) points in the order of dlib's 5-point predictor, from the 68 where it did not run."""
        return self.landmarks[CHIP_ROWS] if self.chip_points is None else self.chip_points

    @property
    def five(self) -> np.ndarray:
        """(5, 2) eye centres (picture's left first), nose tip, mouth corners.

        Without a detector's own points: means of the six points of each eye, points 30, 60 and 64, as in the
        published alignment script of DeepFace-EMD.
        """
        if self.five_points is not None:
            return self.five_points
        points = self.landmarks
        return np.stack([points[LEFT_EYE].mean(0), points[RIGHT_EYE].mean(0), points[30], points[60], points[64]])
