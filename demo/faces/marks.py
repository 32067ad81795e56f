"""The five points of a face that was found, marked again so that they stay where they are under masks and glasses.

CenterFace marks points to a fraction of a cell, and under a mask it guesses. So every face is looked at once more, in
an upright picture in which all faces have one size, and its mirror image; there the points are a linear function
(``demo.faces.fit_marks``) of the network's last map and of the network's own points.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from demo.faces import centerface, geometry
from demo.faces.align import warp
from demo.faces.templates import SQUARE_POINTS
from demo.weights import find, load_network

#: The picture of a face: its side and the distance of the eyes in pixels, and how many go through at a time.
SIDE, EYES, BATCH = 192, 40, 16
#: The last map is averaged to so many cells a side; the network's own points count so much beside one of its values.
CELLS, OWN = 12, 0.3
#: The middle of the face is looked for this near to the middle of the picture, in pixels: there may be others in it.
NEAR = 32
#: A face that the network sees there with less than this probability keeps the points it had.
SEEN = 0.1
#: Order of the five points in a mirror image.
MIRRORED = [1, 0, 2, 4, 3]
#: Where the five points are to be in the picture, (5, 2).
FRAME = ((SQUARE_POINTS - SQUARE_POINTS.mean(0)) * (EYES / np.linalg.norm(SQUARE_POINTS[1] - SQUARE_POINTS[0]))
         + (SIDE - 1) / 2)


class Marks(nn.Module):
    """(B, N) features of ``look`` → (B, 5, 2) points in pixels of the picture."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(centerface.WIDTH * CELLS**2 + FRAME.size, FRAME.size)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x).unflatten(1, (5, 2)) + torch.from_numpy(FRAME).float()


@cache
def _marks(path: Path) -> Marks:
    return load_network("centerface-points", Marks, path).eval().requires_grad_(False)


def cut(photo: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The picture uint8 (SIDE, SIDE, 3) of the face with these five points, and the 2x3 map to it from the photo."""
    matrix = geometry.similarity(points, FRAME)
    return warp(photo, matrix, (SIDE, SIDE)), matrix


@torch.inference_mode()
def look(pictures: np.ndarray, folder: Path | None = None) -> tuple[Tensor, np.ndarray, np.ndarray]:
    """Of uint8 (B, SIDE, SIDE, 3) pictures: features (B, N), the network's own points (B, 5, 2) of the face that it
    is surest of in the middle, and how sure (B,)."""
    network = centerface.network(folder)
    shared = network.shared(centerface.tensor(pictures))
    heat, *maps = (one.numpy() for one in network.read(shared))
    first, last = ((SIDE // 2 + reach) // centerface.CELL for reach in (-NEAR, NEAR))
    middle = heat[:, 0, first:last, first:last]
    cells = np.unravel_index(middle.reshape(len(heat), -1).argmax(1), middle.shape[1:])
    cells = tuple(one + first for one in cells)
    own = np.concatenate([centerface.at_cells(rows[None], cols[None], *one)[1]
                          for rows, cols, *one in zip(*cells, *maps, strict=True)])
    pooled = F.adaptive_avg_pool2d(shared, CELLS).flatten(1)
    features = torch.cat([pooled, OWN * torch.from_numpy(own - FRAME).flatten(1).float()], 1)
    return features, own, middle.max((1, 2))


def mirror(points: np.ndarray) -> np.ndarray:
    """(..., 5, 2) points of a picture → those of its mirror image, or back."""
    points = points[..., MIRRORED, :].copy()
    points[..., 0] = SIDE - 1 - points[..., 0]
    return points


def look_closer(photo: np.ndarray, points: Sequence[np.ndarray], folder: Path | None = None) -> list[np.ndarray]:
    """The five points of faces of a photo, each (5, 2), marked again.

    Raises WeightsMissing without the weights files.
    """
    marks = _marks(find("centerface-points", folder))
    found = list(points)
    for start in range(0, len(found), BATCH):
        pictures, matrices = zip(*(cut(photo, one) for one in found[start:start + BATCH]), strict=True)
        pictures = np.stack(pictures)
        features, _, sure = look(np.concatenate([pictures, pictures[:, :, ::-1]]), folder)
        there, mirrored = marks(features).numpy().reshape(2, -1, 5, 2)
        both = (there + mirror(mirrored)) / 2
        seen = sure.reshape(2, -1).max(0) > SEEN
        for at, (matrix, one) in enumerate(zip(matrices, both, strict=True)):
            if seen[at]:
                found[start + at] = geometry.apply(geometry.invert(matrix), one)
    return found
