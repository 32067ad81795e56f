"""``demo.faces.warp`` in PyTorch, so that a gradient with respect to the crop becomes one with respect to the photo."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from demo.faces import geometry, resampling


def warp(photo: Tensor, matrix: np.ndarray, size: tuple[int, int]) -> Tensor:
    """Resample a float (C, H, W) photo by a 2x3 similarity into (C, h, w), size = (w, h); zero outside the photo.

    The same steps as ``demo.faces.warp``; it differs by the rounding to whole values that OpenCV does in between.
    """
    steps = resampling(matrix, size, (photo.shape[1], photo.shape[2]))
    part = photo[:, steps.rows, steps.cols]
    if steps.reduced:
        width, height = steps.reduced
        part = _shares(part, 1, height) @ part @ _shares(part, 2, width).T
    if not steps.halved:
        return _bilinear(part, steps.matrix, size)
    return F.avg_pool2d(_bilinear(part, steps.matrix, (2 * size[0], 2 * size[1])), 2)


def _shares(part: Tensor, axis: int, new: int) -> Tensor:
    """(new, old) matrix that averages the old pixels of an axis over the length that becomes one new pixel."""
    old = part.shape[axis]
    edges = torch.arange(new + 1, dtype=torch.float64) * old / new
    pixel = torch.arange(old, dtype=torch.float64)
    shared = torch.minimum(edges[1:, None], pixel + 1) - torch.maximum(edges[:-1, None], pixel)
    return (shared.clamp(min=0) * new / old).to(part)


def _bilinear(part: Tensor, matrix: np.ndarray, size: tuple[int, int]) -> Tensor:
    width, height = size
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    source = geometry.apply(geometry.invert(matrix), np.stack([x, y], axis=-1))
    extent = np.maximum(np.array(part.shape[:0:-1]) - 1, 1)
    grid = torch.from_numpy(2 * source / extent - 1).to(part)
    return F.grid_sample(part[None], grid[None], mode="bilinear", padding_mode="zeros", align_corners=True)[0]
