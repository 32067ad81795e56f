"""Crops as another camera, light and alignment might have given them: seeded, many at a time, on any device."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

#: Sides of a cropped window over the side of the aligned square, and of an erased rectangle.
CROP_SIDE, ERASED = (0.55, 0.9), (0.25, 0.55)
#: Spread of the rotation in degrees (at most _MOST), of log scale, and of shifts over the side.
_TURN, _MOST, _SCALE, _SHIFT = 4.0, 10.0, 0.05, 0.025
#: Standard deviations of a blur, in pixels of a crop _SIDE wide, and the most that a picture is reduced by.
_BLUR, _SIDE, _COARSE = (0.5, 2.2), 150, 0.35


def jitter(pictures: Tensor, generator: torch.Generator, *, window: Tensor | None = None) -> Tensor:
    """uint8 (B, h, w, 3) crops → the same number, each turned, shifted, lit, coloured, blurred and made noisy by
    chance. generator: on the device of the pictures. window: (B, 3) left, top and side of a part to enlarge instead,
    as shares of the crop (``windows``)."""
    x = pictures.permute(0, 3, 1, 2).float()
    chance = _Chance(len(x), generator)
    x = _moved(x, chance, window)
    x = torch.where(chance.happens(0.35), _lit_from_a_side(x, chance), x)
    x = 255 * (x.clamp(0, 255) / 255) ** chance.normal(0.25).exp()
    x = x * (chance.normal(0.15) + chance.normal(0.05, 3)).exp() + chance.between(-18, 18)
    x = torch.where(chance.happens(0.15), x.mean(1, keepdim=True), x)
    x = torch.where(chance.happens(0.25), _coarse(x, chance), x)
    x = torch.where(chance.happens(0.35), _blurred(x, chance.between(*_BLUR).flatten() * x.shape[3] / _SIDE), x)
    noise = torch.randn(x.shape, generator=generator, device=x.device)
    x = x + noise * chance.between(2, 9) * chance.happens(0.25)
    return x.clamp(0, 255).byte().permute(0, 2, 3, 1)


def windows(count: int, generator: torch.Generator) -> Tensor:
    """(count, 3) left, top and side of random square windows, as shares of the crop."""
    chance = _Chance(count, generator)
    side = chance.between(*CROP_SIDE)
    corner = torch.rand(count, 2, generator=generator, device=generator.device) * (1 - side.view(count, 1))
    return torch.cat([corner, side.view(count, 1)], 1)


def erase(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """uint8 (B, h, w, 3) crops, each with a rectangle of one random colour, as an object before the face would be."""
    count, height, width = pictures.shape[:3]
    device = generator.device

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, device=device)

    size = ERASED[0] + (ERASED[1] - ERASED[0]) * uniform(count, 2)
    start = uniform(count, 2) * (1 - size)
    y = (torch.arange(height, device=device) + 0.5) / height
    x = (torch.arange(width, device=device) + 0.5) / width
    rows = (y >= start[:, :1]) & (y < (start + size)[:, :1])
    cols = (x >= start[:, 1:]) & (x < (start + size)[:, 1:])
    colour = torch.randint(256, (count, 1, 1, 3), generator=generator, device=device, dtype=torch.uint8)
    return torch.where((rows[:, :, None] & cols[:, None])[..., None], colour, pictures)


class _Chance:
    """Random numbers for B pictures, (B, n, 1, 1) each."""

    def __init__(self, count: int, generator: torch.Generator):
        self.count, self.generator = count, generator

    def uniform(self, each: int = 1) -> Tensor:
        return torch.rand(self.count, each, 1, 1, generator=self.generator, device=self.generator.device)

    def between(self, low: float, high: float, each: int = 1) -> Tensor:
        return low + (high - low) * self.uniform(each)

    def normal(self, spread: float, each: int = 1) -> Tensor:
        shape = (self.count, each, 1, 1)
        return spread * torch.randn(*shape, generator=self.generator, device=self.generator.device)

    def happens(self, probability: float) -> Tensor:
        return self.uniform() < probability


def _moved(x: Tensor, chance: _Chance, window: Tensor | None) -> Tensor:
    """Turned, scaled and shifted; what comes from outside repeats the edge."""
    angle = chance.normal(_TURN).clamp(-_MOST, _MOST).flatten() * (math.pi / 180)
    scale = chance.normal(_SCALE).exp().flatten()
    cos, sin = angle.cos() / scale, angle.sin() / scale
    shift = chance.normal(2 * _SHIFT, 2).view(-1, 2)
    side, middle = torch.ones_like(scale), torch.zeros_like(shift)
    if window is not None:
        side = window[:, 2]
        middle = 2 * window[:, :2] + window[:, 2:] - 1
    matrix = torch.stack([cos * side, -sin * side, shift[:, 0] + middle[:, 0],
                          sin * side, cos * side, shift[:, 1] + middle[:, 1]], 1).view(-1, 2, 3)
    grid = F.affine_grid(matrix, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


def _lit_from_a_side(x: Tensor, chance: _Chance) -> Tensor:
    angle, depth = chance.between(0, 2 * math.pi), chance.between(0.15, 0.5)
    down = torch.linspace(-1, 1, x.shape[2], device=x.device)[:, None]
    across = torch.linspace(-1, 1, x.shape[3], device=x.device)
    return x * (1 + depth * (angle.cos() * across + angle.sin() * down))


def _coarse(x: Tensor, chance: _Chance) -> Tensor:
    """Reduced and enlarged again, all by one factor: as of a small or far face."""
    factor = float(chance.between(_COARSE, 0.8)[0, 0, 0, 0])
    small = F.interpolate(x, scale_factor=factor, mode="area")
    return F.interpolate(small, size=x.shape[2:], mode="bilinear", align_corners=False)


def _blurred(x: Tensor, sigma: Tensor) -> Tensor:
    """Each picture (B, C, h, w) with a Gaussian of its own standard deviation in pixels, (B,)."""
    count, channels, height, width = x.shape
    reach = math.ceil(3 * _BLUR[1] * width / _SIDE)
    at = torch.arange(-reach, reach + 1, device=x.device)
    kernel = torch.exp(-0.5 * (at / sigma[:, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)
    flat = x.reshape(1, count * channels, height, width)
    flat = F.conv2d(F.pad(flat, (reach, reach, 0, 0), mode="replicate"), kernel[:, None, None], groups=len(kernel))
    flat = F.conv2d(F.pad(flat, (0, 0, reach, reach), mode="replicate"), kernel[:, None, :, None], groups=len(kernel))
    return flat.view_as(x)
