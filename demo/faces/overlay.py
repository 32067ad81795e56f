"""Drawing something into a photo round a face: layers with coverage, blended the way a camera would have seen them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from demo.errors import NoFace
from demo.faces import geometry
from demo.faces.align import Window
from demo.faces.head import SHAPE, Head
from demo.faces.light import LUMINANCE, Light

#: Working pixels per eye distance: this many for small faces, but at most so many times the photo's own;
#: for large faces the photo's own resolution up to a limit.
_SMALL, _FINEST, _LARGE = 192, 3.0, 320
_BITS = 4


@dataclass(frozen=True, eq=False)
class Drawing:
    """What an alteration draws. photo: the picture to show. alpha: its cover map (H, W) float32 0..1.

    window: of a crop. matrix: of a perturbed photo, the 2x3 map from the photo's pixels to the picture's.
    """

    photo: np.ndarray
    alpha: np.ndarray
    window: Window | None = None
    matrix: np.ndarray | None = None


def extent(cover: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of the smallest rectangle that holds all of a coverage."""
    left, top, width, height = cv2.boundingRect((cover > 0).view(np.uint8))
    return slice(top, top + height), slice(left, left + width)


class Canvas:
    """Layers over the part of a photo round one head, at a working resolution of their own.

    Points are given in photo pixels; coverages are float32 (h, w) maps of the canvas, 0..1. ``colour`` is
    premultiplied sRGB 0..255, ``alpha`` its coverage, ``shadow`` the factor left of the photo's own light.
    """

    def __init__(self, photo: np.ndarray, head: Head, light: Light, bounds: np.ndarray):
        """bounds: (N, 2) photo pixels that the canvas has to hold; what lies beyond the photo is cut off."""
        self.photo, self.head, self.light = photo, head, light
        limit = np.array(photo.shape[1::-1])
        low = np.clip(np.floor(bounds.min(0)), 0, limit).astype(int)
        high = np.clip(np.ceil(bounds.max(0)), 0, limit).astype(int)
        if (high - low).min() < 8:
            raise NoFace("The face lies outside the photo, so it cannot be altered; choose another photo.")
        self._box = (*low.tolist(), *high.tolist())
        zoom = max(min(_SMALL / head.scale, _FINEST), min(_LARGE / head.scale, 1.0))
        self.size = tuple(np.maximum(np.rint((high - low) * zoom), 8).astype(int).tolist())
        factors = np.array(self.size) / (high - low)
        self.matrix = geometry.compose(geometry.rescale(*factors), geometry.shift(*-low.astype(float)))
        #: Canvas pixels per eye distance.
        self.unit = head.scale * float(factors.mean())
        width, height = self.size
        self.colour = np.zeros((height, width, 3), np.float32)
        self.alpha = np.zeros((height, width), np.float32)
        self.shadow = np.ones((height, width), np.float32)

    @cached_property
    def skin(self) -> np.ndarray:
        """Map (h, w), 0..1: how much the photo there looks like this person's skin."""
        left, top, right, bottom = self._box
        part = cv2.blur(self.photo[top:bottom, left:right], (3, 3))
        zoom = min(1.0, 64 / self.head.scale)
        part = cv2.resize(part, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)
        return cv2.resize(self.light.like_skin(part), self.size, interpolation=cv2.INTER_LINEAR)

    @cached_property
    def body(self) -> np.ndarray:
        """Map (h, w), 0..1: face and neck, the only places where a shadow may fall."""
        outline = np.concatenate([SHAPE[:17], [(0.85, -0.9, 0.0), (-0.85, -0.9, 0.0)]])
        neck = np.array([(-0.8, 1.0, -0.6), (0.8, 1.0, -0.6), (0.85, 3.0, -0.6), (-0.85, 3.0, -0.6)])
        face, below = (self.polygon(self.head.place(points)) for points in (outline, neck))
        return self.blur(np.maximum(face, below), 0.02)

    def to_canvas(self, points: np.ndarray) -> np.ndarray:
        """(..., 2) photo pixels → canvas pixels."""
        return geometry.apply(self.matrix, points)

    def blank(self) -> np.ndarray:
        """An empty coverage."""
        return np.zeros(self.alpha.shape, np.float32)

    def polygon(self, points: np.ndarray) -> np.ndarray:
        """Coverage of the inside of a closed line (N, 2)."""
        cover = np.zeros(self.alpha.shape, np.uint8)
        cv2.fillPoly(cover, [_fixed(self.to_canvas(points))], 255, cv2.LINE_AA, _BITS)
        return cover.astype(np.float32) / 255

    def stroke(self, points: np.ndarray, width: float, *, closed: bool = False) -> np.ndarray:
        """Coverage of a line through (N, 2) points, ``width`` in eye distances; thinner than a pixel it is fainter."""
        cover = np.zeros(self.alpha.shape, np.uint8)
        pixels = width * self.unit
        thick = max(1, round(pixels))
        cv2.polylines(cover, [_fixed(self.to_canvas(points))], closed, 255, thick, cv2.LINE_AA, _BITS)
        return cover.astype(np.float32) * (min(1.0, pixels / thick) / 255)

    def fade_out(self, cover: np.ndarray, line: np.ndarray, length: float) -> np.ndarray:
        """``cover`` fading to nothing over the last ``length`` eye distances before the end of a line (N, 2)."""
        part = extent(cover)
        end = self.to_canvas(np.asarray(line)[-1])
        x, y = np.arange(part[1].start, part[1].stop) - end[0], np.arange(part[0].start, part[0].stop) - end[1]
        cover[part] *= np.minimum(np.hypot(x[None], y[:, None]) / (length * self.unit), 1)
        return cover

    def tuck(self, line: np.ndarray) -> int:
        """How many of the (N, 2) points of a strap or an arm to draw: all where it ends on skin, else up to the hair.

        The first half is always drawn: it may cross a beard or stand free of the face.
        """
        at = np.rint(self.to_canvas(line)).astype(int).clip(0, np.array(self.size) - 1)
        skin = self.skin[at[:, 1], at[:, 0]]
        half = len(line) // 2
        if skin[-len(line) // 4:].max() > 0.5:
            return len(line)
        hidden = np.flatnonzero(skin[half:] < 0.4)
        return half + (int(hidden[0]) if len(hidden) else half)

    def blur(self, cover: np.ndarray, sigma: float) -> np.ndarray:
        """Gaussian blur, sigma in eye distances; done at reduced size where it is wide."""
        pixels = sigma * self.unit
        if pixels < 0.3:
            return cover
        step = max(1, int(pixels / 2))
        if step == 1:
            return cv2.GaussianBlur(cover, (0, 0), pixels)
        small = cv2.resize(cover, None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_AREA)
        small = cv2.GaussianBlur(small, (0, 0), pixels / step)
        return cv2.resize(small, self.size, interpolation=cv2.INTER_LINEAR)

    def paint(self, colour, cover: np.ndarray) -> None:
        """Lay a colour ((3,) or (h, w, 3), sRGB 0..255) over what is there."""
        part = extent(cover)
        colour = np.asarray(colour, np.float32)
        cover = cover[part]
        colour = colour[part] if colour.ndim == 3 else colour
        self.colour[part] = self.colour[part] * (1 - cover)[..., None] + colour * cover[..., None]
        self.alpha[part] = self.alpha[part] * (1 - cover) + cover

    def cast(self, cover: np.ndarray, strength: float, *, down: float, soft: float) -> None:
        """Darken face and neck by the shadow of ``cover``, moved away from the light by ``down`` eye distances."""
        aside = -float(self.light.direction[0]) * down * 1.5
        move = (self.head.rotation[:2] @ [aside, down, 0]) * self.unit
        moved = cv2.warpAffine(cover, geometry.shift(*move), self.size)
        self.shadow *= 1 - strength * self.blur(moved, soft) * self.body

    def lit(self, colour, brightness) -> np.ndarray:
        """A matt surface of this sRGB colour in the photo's light; brightness: relative, linear, scalar or (h, w)."""
        colour = np.asarray(colour, np.float32)
        tint = np.asarray(self.light.tint, np.float32) ** (1 / 2.2)
        level = (np.maximum(brightness, 0) * self.light.exposure) ** np.float32(1 / 2.2)
        shaded = colour * tint * np.asarray(level, np.float32)[..., None]
        if self.light.colourful < 1:
            grey = (shaded @ LUMINANCE)[..., None]
            shaded = grey + (shaded - grey) * self.light.colourful
        return np.minimum(shaded, 250)

    def finish(self, rng: np.random.Generator) -> Drawing:
        """Blend the layers into a copy of the photo, as blurred and as grainy as the photo is."""
        left, top, right, bottom = self._box
        size = (right - left, bottom - top)
        shrink = self.size[0] >= size[0]
        extra = self.light.blur**2 - (0.35 if shrink else 0.5 * size[0] / self.size[0]) ** 2

        def to_photo(layer: np.ndarray) -> np.ndarray:
            layer = cv2.resize(layer, size, interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR)
            return cv2.GaussianBlur(layer, (0, 0), float(np.sqrt(extra))) if extra > 0.1 else layer

        colour, cover, shadow = to_photo(self.colour), to_photo(self.alpha), to_photo(self.shadow)
        cover[cover < 1 / 255] = 0
        shadow[shadow > 1 - 1 / 255] = 1
        colour *= (cover > 0)[..., None]
        colour += (rng.standard_normal(cover.shape, np.float32) * cover * (0.85 * self.light.noise))[..., None]
        colour += self.photo[top:bottom, left:right] * (shadow * (1 - cover))[..., None]
        photo, alpha = self.photo.copy(), np.zeros(self.photo.shape[:2], np.float32)
        photo[top:bottom, left:right] = np.clip(colour + 0.5, 0, 255.5)
        alpha[top:bottom, left:right] = cover
        return Drawing(photo, alpha)


def _fixed(points: np.ndarray) -> np.ndarray:
    return np.rint(np.asarray(points) * (1 << _BITS)).astype(np.int32).reshape(-1, 1, 2)
