"""Projected gradient descent (Madry et al. 2018) on a photo, through its alignment, against an image embedding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from demo.attack.warp import warp
from demo.backbones import Backbone
from demo.errors import BadSetting
from demo.faces import Face, crop_matrix, footprint, geometry, resolve_template

#: Larger changes are plainly visible.
LARGEST_EPS = 16


@dataclass(frozen=True)
class PGD:
    """How hard to try, in steps of 1/255. eps: largest change of a pixel value, whole, 0 to LARGEST_EPS. step: change
    per step. steps: how many. Raises BadSetting for values out of range."""

    eps: int = 8
    step: float = 2.0
    steps: int = 10

    def __post_init__(self):
        if not (0 <= self.eps <= LARGEST_EPS and self.eps == int(self.eps)):
            raise BadSetting(f"eps must be a whole number from 0 to {LARGEST_EPS}, of 255; got {self.eps}.")
        if self.steps < 1 or self.step <= 0:
            raise BadSetting(f"PGD needs at least one step of more than 0; got {self.steps} of {self.step:g}.")


def label(backbone: Backbone) -> str:
    """What such an attack is called wherever it is shown."""
    return f"white-box PGD on {backbone.name}; not TALFW"


def perturb(photo: np.ndarray, face: Face, backbone: Backbone, reference: Tensor, *, towards: bool,
            pgd: PGD | None = None, seed: int = 0) -> np.ndarray:
    """A uint8 (H, W, 3) photo changed by at most ``pgd.eps`` per value, so that its face's embedding moves.

    reference: (D,) embedding to come near to in cosine (``towards``) or to get away from. The change is made on the
    photo and seen by the network through a differentiable copy of its alignment, which is held fixed; pixels that the
    aligned crop does not depend on stay as they are. It starts at random (seeded), moves by the sign of the gradient,
    is cut to eps and to 0..255 after each step and rounded at the end. Backbones that see no colour get one change
    for red, green and blue.
    """
    pgd = pgd or PGD()
    size = resolve_template(backbone).size
    matrix = crop_matrix(face, backbone)
    part = footprint(matrix, size, photo.shape[:2])
    matrix = geometry.compose(matrix, geometry.shift(part[1].start, part[0].start))
    clean = torch.from_numpy(np.ascontiguousarray(photo[part])).to(backbone.device).float().permute(2, 0, 1)
    wanted = reference.detach().clone().to(backbone.device).reshape(1, -1)
    room = (clean.amin(0, True), clean.amax(0, True)) if backbone.grey else (clean, clean)
    low, high = (-room[0]).clamp(min=-pgd.eps), (255 - room[1]).clamp(max=pgd.eps)
    with torch.enable_grad():
        seen = torch.zeros_like(low, requires_grad=True)
        touched = torch.autograd.grad(warp(seen, matrix, size).sum(), seen)[0] > 0
        start = torch.rand(low.shape, generator=torch.Generator().manual_seed(seed)).to(low)
        change = ((2 * start - 1) * pgd.eps * touched).clamp(low, high)
        for _ in range(pgd.steps):
            change.requires_grad_(True)
            crop = warp(clean + change, matrix, size)
            cosine = F.cosine_similarity(backbone.embed(crop.permute(1, 2, 0)[None]), wanted).sum()
            slope = torch.autograd.grad(cosine, change)[0].sign()
            change = (change.detach() + (pgd.step if towards else -pgd.step) * slope).clamp(low, high)
    altered = photo.copy()
    altered[part] = (clean + change.detach().round()).permute(1, 2, 0).to(torch.uint8).cpu().numpy()
    return altered
