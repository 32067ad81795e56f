"""How strong a perturbation of the whole photo is, and what it is measured against: the size of the face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from demo.faces.face import Face


@dataclass(frozen=True)
class Strength:
    """A style of a perturbation. title: for people. low, high: the amount is drawn evenly between them."""

    title: str
    low: float
    high: float

    def draw(self, rng: np.random.Generator) -> float:
        """The amount."""
        return float(rng.uniform(self.low, self.high))


def eye_distance(face: Face) -> float:
    """Pixels between the centres of the eyes, so that photos of every size are perturbed alike."""
    left, right = face.five[:2].astype(float)
    return max(float(np.linalg.norm(right - left)), 1.0)
