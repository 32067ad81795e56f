"""Explanations of other people's, and orders that explain nothing, to judge ours beside: maps of one probe.

Everything is written from the papers: CorrRISE (Lu, Xu, Ebrahimi: Towards Visual Saliency Explanations of Face
Verification, WACV 2024) and xSSAB (Huber, Luu, Terhörst, Damer: Efficient Explainable Face Verification based on
Similarity Score Argument Backpropagation, WACV 2024).
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from demo.backbones import Backbone
from demo.drawing.grids import Grid

RANDOM, CENTRE, BEST = "random", "centre first", "one patch away at a time"
CORRRISE, XSSAB = "CorrRISE", "xSSAB"
#: Cells of CorrRISE's low-resolution masks along a side, and how likely each is kept (RISE's own).
_CELLS, _KEPT = 7, 0.5


def random_map(size: tuple[int, int], grid: Grid, rng: np.random.Generator) -> np.ndarray:
    """(h, w): patches in random order, drawn as every map of patches is."""
    return cv2.resize(rng.permutation(grid[0] * grid[1]).astype(np.float64).reshape(grid), size[::-1],
                      interpolation=cv2.INTER_LINEAR)


def centre_map(size: tuple[int, int]) -> np.ndarray:
    """(h, w): the nearer to the middle of the crop the more important, whoever is on it."""
    height, width = size
    y, x = np.mgrid[0:height, 0:width]
    return -np.hypot((y + 0.5) / height - 0.5, (x + 0.5) / width - 0.5)


def rise_masks(size: tuple[int, int], count: int, rng: np.random.Generator) -> np.ndarray:
    """float32 (count, h, w) in 0..1: RISE's masks, random cells enlarged bilinearly and shifted by part of a cell."""
    height, width = size
    cell = -(-height // _CELLS), -(-width // _CELLS)
    masks = np.empty((count, height, width), np.float32)
    for mask in masks:
        cells = (rng.random((_CELLS + 1, _CELLS + 1)) < _KEPT).astype(np.float32)
        large = cv2.resize(cells, ((_CELLS + 1) * cell[1], (_CELLS + 1) * cell[0]), interpolation=cv2.INTER_LINEAR)
        top, left = rng.integers(cell[0]), rng.integers(cell[1])
        mask[:] = large[top:top + height, left:left + width]
    return masks


def corrrise_map(masks: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(h, w): Pearson correlation over M masks (M, h, w) of a pixel's value with the masked probe's score (M,)."""
    deviation = masks - masks.mean(0)
    scored = scores - scores.mean()
    among = np.sqrt((deviation ** 2).sum(0) * (scored ** 2).sum())
    return np.einsum("mhw,m->hw", deviation, scored) / np.maximum(among, 1e-12)


def xssab_map(backbone: Backbone, crop: np.ndarray, other: Tensor, threshold: float) -> np.ndarray:
    """(h, w): xSSAB of an aligned probe, uint8 (h, w, 3), against the embedding (D,) of a reference.

    The addends a_d b_d of the cosine similarity are arguments for one person where they exceed an even share of the
    decision's threshold (a similarity), and against one otherwise; each side's sum is taken back to the pixels, and the
    strength of the second gradient is subtracted from that of the first.
    """
    reference = F.normalize(other, dim=0)
    with torch.enable_grad():
        pixels = torch.from_numpy(crop).to(backbone.device).float()[None].requires_grad_()
        arguments = F.normalize(backbone.embed(pixels)[0], dim=0) * reference
        supports = arguments.detach() > threshold / len(arguments)
        maps = [torch.autograd.grad(arguments[side].sum(), pixels, retain_graph=True)[0][0].abs().sum(2)
                for side in (supports, ~supports)]
    return (maps[0] - maps[1]).double().cpu().numpy()
