"""What masks are made of: colour and relief as functions of the place on the mask, so sharp at any size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True, eq=False)
class Surface:
    """Places on a mask, maps (h, w): u from -1 to 1 across, v from 0 to 1 down, rim 0 at the outline to 1 inside."""

    u: np.ndarray
    v: np.ndarray
    rim: np.ndarray


@dataclass(frozen=True, eq=False)
class Cloth:
    """colour: (3,) or (h, w, 3) sRGB. relief: (h, w) factor on the linear light from folds and seams."""

    colour: np.ndarray
    relief: np.ndarray


def _bump(distance: np.ndarray, width: float) -> np.ndarray:
    return np.exp(-((distance / width) ** 2))


def _wrinkles(surface: Surface, rng: np.random.Generator, across: int, down: int) -> np.ndarray:
    """Smooth seeded unevenness, about -1 to 1."""
    knots = rng.standard_normal((down, across)).astype(np.float32)
    x, y = (surface.u + 1) / 2 * (across - 1), surface.v * (down - 1)
    grow = 8 if across < 40 else 2
    field = cv2.resize(knots, None, fx=grow, fy=grow, interpolation=cv2.INTER_CUBIC)
    x, y = (((places + 0.5) * grow - 0.5).astype(np.float32) for places in (x, y))
    return cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _fibres(surface: Surface, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Relief of the fleece itself: fine seeded grain."""
    return 1 + strength * _wrinkles(surface, rng, 150, 100)


def _hem(surface: Surface) -> np.ndarray:
    """Relief of the welded seam along all four edges, and the darkening where the cloth turns to the skin."""
    inset = np.minimum((1 - np.abs(surface.u)) * 1.35, np.minimum(surface.v, 1 - surface.v) * 1.7)
    return (1 - 0.10 * _bump(inset - 0.075, 0.012) + 0.05 * _bump(inset - 0.05, 0.02)) * (0.72 + 0.28 * surface.rim)


def surgical(colour: tuple[int, int, int]) -> Callable[[Surface, np.random.Generator], Cloth]:
    """Pleated three-ply mask: three bowed pleats, a nose wire, welded edges."""

    def shader(surface: Surface, rng: np.random.Generator) -> Cloth:
        u, v = surface.u, surface.v
        relief = _hem(surface)
        waviness = _wrinkles(surface, rng, 9, 4)
        for centre in (0.30, 0.49, 0.67) + rng.uniform(-0.02, 0.02, 3):
            line = v - centre - 0.02 * (1 - u**2) - 0.006 * waviness
            depth = 0.75 + 0.25 * np.abs(u)
            relief = relief * (1 - 0.26 * depth * _bump(line, 0.011))
            relief *= 1 + 0.10 * depth * _bump(line - 0.035, 0.03) - 0.10 * depth * _bump(line + 0.03, 0.03)
        wire = _bump(v - 0.085, 0.022) * np.clip((0.36 - np.abs(u)) * 20, 0, 1)
        relief *= 1 + 0.05 * wire - 0.06 * _bump(v - 0.12, 0.012) * np.clip((0.36 - np.abs(u)) * 20, 0, 1)
        relief *= 1 + 0.035 * waviness + 0.03 * _wrinkles(surface, rng, 17, 5)
        relief *= _fibres(surface, rng, 0.03)
        return Cloth(np.asarray(colour, np.float32), relief)

    return shader


_GROUNDS = ((38, 52, 92), (150, 44, 50), (44, 84, 66), (66, 62, 70), (222, 214, 200), (120, 146, 178), (196, 150, 66))
_FIGURES = ((236, 232, 222), (222, 186, 120), (214, 220, 230), (60, 66, 86), (232, 170, 160))


def cloth(surface: Surface, rng: np.random.Generator) -> Cloth:
    """Sewn cotton mask with a seam down the middle; colours and pattern (plain, stripes, checks, dots) are drawn."""
    u, v = surface.u, surface.v
    ground = np.asarray(_GROUNDS[rng.integers(len(_GROUNDS))], np.float32)
    figures = [np.asarray(f, np.float32) for f in _FIGURES if abs(sum(f) - ground.sum()) > 150]
    figure = figures[rng.integers(len(figures))]
    x, y = u * 1.35, v * 1.75
    kind, pitch = rng.integers(4), rng.uniform(0.11, 0.2)
    if kind == 0:
        share = np.zeros_like(u)
    elif kind == 1:
        share = _band(y, pitch, 0.3)
    elif kind == 2:
        share = 0.5 * (_band(x, pitch, 0.5) + _band(y, pitch, 0.5))
    else:
        row = np.floor(y / pitch)
        dx, dy = (x / pitch + 0.5 * (row % 2)) % 1 - 0.5, y / pitch - row - 0.5
        share = np.clip((0.26 - np.sqrt(dx**2 + dy**2)) * 12 + 0.5, 0, 1)
    colour = ground + (figure - ground) * share[..., None]
    relief = _hem(surface) * (1 - 0.22 * _bump(u, 0.012) + 0.08 * _bump(np.abs(u) - 0.035, 0.02))
    relief *= 1 + 0.05 * _wrinkles(surface, rng, 8, 6) + 0.04 * _wrinkles(surface, rng, 15, 9)
    relief *= _fibres(surface, rng, 0.04)
    return Cloth(colour, relief)


def _band(x: np.ndarray, pitch: float, share: float) -> np.ndarray:
    """Stripes: 1 on ``share`` of each period, with edges a twentieth of a period wide."""
    return np.clip((share / 2 - np.abs((x / pitch) % 1 - 0.5)) * 20 + 0.5, 0, 1)


def ffp2(surface: Surface, rng: np.random.Generator) -> Cloth:
    """Folded half mask of stiff fleece: a welded ridge down the middle, two weld lines beside the edges."""
    u, v = surface.u, surface.v
    relief = _hem(surface)
    relief *= 1 - 0.16 * _bump(u, 0.014) + 0.10 * _bump(np.abs(u) - 0.03, 0.018)
    for line, strength in ((0.16, 0.09), (0.19, 0.06)):
        dots = 0.6 + 0.4 * np.sign(np.sin(u * 90))
        relief *= 1 - strength * dots * (_bump(v - line, 0.007) + _bump(v - 1 + line * 0.8, 0.007))
    relief *= 1 - 0.10 * _bump(np.abs(u) - 0.80, 0.008)
    wire = np.clip((0.30 - np.abs(u)) * 25, 0, 1)
    relief *= 1 - 0.10 * wire * _bump(v - 0.075, 0.006) - 0.10 * wire * _bump(v - 0.125, 0.006)
    relief *= (1 + 0.03 * _wrinkles(surface, rng, 7, 5)) * _fibres(surface, rng, 0.015)
    return Cloth(np.asarray((232, 233, 234), np.float32), relief)
