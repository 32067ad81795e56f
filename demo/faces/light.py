"""What a photo tells about its light and its camera, so that what is drawn into it looks photographed with it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from demo.errors import NoFace
from demo.faces import geometry
from demo.faces.align import warp
from demo.faces.head import Head

#: Skin that beards, hair and glasses seldom cover, as (x, y) on the head: cheeks, nose, forehead, chin.
_SITES = np.array([
    (0.45, 0.55), (0.6, 0.45), (0.7, 0.6), (0.5, 0.75), (0.33, 0.5), (0.8, 0.4), (0.13, 0.4), (0.15, 0.6), (0.0, 0.3),
    (0.0, 0.5), (0.0, -0.45), (0.25, -0.5), (0.5, -0.5), (0.0, 1.6), (0.85, 0.8), (0.6, 1.0), (0.45, 1.45),
])
_SITES = np.concatenate([_SITES, _SITES[_SITES[:, 0] > 0] * (-1, 1)])
#: Centre and radii of an ellipsoid that stands for the face.
_CENTRE, _RADII = np.array([0.0, 0.6, -0.75]), np.array([1.2, 1.6, 1.15])
#: Pixels per eye distance at which light and skin are measured.
_COARSE = 24
#: Share of the light that light skin and a shaded eye white throw back.
_SKIN, _EYE_WHITE = 0.52, 0.42
#: Red over blue, linear, of skin in neutral light. Skins differ, so only part of a deviation is held to be the light.
_SKIN_WARMTH = 2.2
#: Blur (sigma in pixels) that the gradient filter itself adds to an edge.
_SOBEL = 0.74
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)


def to_linear(values: np.ndarray) -> np.ndarray:
    """sRGB values 0..255 → linear light 0..1 (power 2.2)."""
    return (np.asarray(values, np.float32) / 255) ** 2.2


def from_linear(light: np.ndarray) -> np.ndarray:
    """Linear light 0..1 → sRGB values 0..255, not rounded (power 2.2)."""
    return 255 * np.clip(light, 0, 1) ** np.float32(1 / 2.2)


@dataclass(frozen=True, eq=False)
class Light:
    """Light and camera of one face.

    exposure: linear value of a white matt surface that faces the camera. direction: (3,) b of the shading 1 + b·n,
    n a unit normal in head axes. tint: (3,) colour of the light, luminance about 1. colourful: 0 for a grey photo,
    1 for one in colour. blur: the photo's blur in pixels (sigma). noise: sigma of its grain, 0..255.
    skin, spread: mean (3,) and inverse covariance (3, 3) of the skin's colour in sRGB values.
    """

    exposure: float
    direction: np.ndarray
    tint: np.ndarray
    colourful: float
    blur: float
    noise: float
    skin: np.ndarray
    spread: np.ndarray

    @classmethod
    def of(cls, photo: np.ndarray, head: Head) -> Light:
        """Measure a uint8 (H, W, 3) photo round a posed head."""
        heights = 1 - (((_SITES - _CENTRE[:2]) / _RADII[:2]) ** 2).sum(1)
        points = np.c_[_SITES, _CENTRE[2] + _RADII[2] * np.sqrt(np.clip(heights, 0.02, 1))]
        normals = (points - _CENTRE) / _RADII**2
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        seen = head.turn(normals)[:, 2] > 0.25
        samples = _sample(photo, head, points)
        seen &= samples.sum(1) > 0
        if seen.sum() < 8:
            raise NoFace("Too little of the face is inside the photo to alter it; choose another photo.")
        samples, normals = samples[seen], normals[seen]
        linear = to_linear(samples)
        luminance = linear @ LUMINANCE
        keep = np.abs(np.log(luminance + 0.01) - np.log(np.median(luminance) + 0.01)) < 1.6
        direction, front = _shading(luminance[keep], normals[keep])
        skin = samples[keep]
        colour = np.median(linear[keep], axis=0)
        warmth = (colour[0] / max(colour[2], 1e-3) / _SKIN_WARMTH).clip(0.3, 3) ** 0.2
        tint = np.array([warmth, 1, 1 / warmth])
        chroma = np.ptp(skin, axis=1).mean()
        eyes = to_linear(_eye_white(photo, head)) @ LUMINANCE
        scene = float(np.percentile(to_linear(photo[::8, ::8]) @ LUMINANCE, 97))
        exposure = max(front / _SKIN, eyes / _EYE_WHITE, min(0.65 * scene, 4 * front / _SKIN))
        exposure = float(np.clip(exposure, 0.06, 0.95))
        covariance = np.cov(skin.T) + np.diag([150.0, 110.0, 110.0])
        blur, noise = _camera(photo, head)
        return cls(exposure, direction, tint / (tint @ LUMINANCE), float(np.clip(chroma / 14, 0, 1)),
                   blur, noise, np.median(skin, axis=0), np.linalg.inv(covariance))

    def shade(self, normals: np.ndarray) -> np.ndarray:
        """(..., 3) unit normals in head axes → relative brightness in linear light, 1 towards the camera."""
        x, y, z = self.direction.tolist()
        return np.clip(1 + x * normals[..., 0] + y * normals[..., 1] + z * normals[..., 2], 0.12, 1.6)

    def like_skin(self, colours: np.ndarray) -> np.ndarray:
        """(..., 3) sRGB colours → 0..1, how much like this person's skin they are."""
        offset = np.asarray(colours, np.float32) - self.skin
        distance = np.einsum("...i,ij,...j->...", offset, self.spread, offset)
        return np.clip(1.6 - distance / 9, 0, 1)


def _sample(photo: np.ndarray, head: Head, points: np.ndarray) -> np.ndarray:
    """(N, 3) mean colours round (N, 3) points of the head; zero outside the photo."""
    pixels = head.place(points)
    low = pixels.min(0) - head.scale / 4
    zoom = _COARSE / head.scale
    matrix = geometry.compose(geometry.rescale(zoom), geometry.shift(*-low))
    size = tuple(np.ceil((np.ptp(pixels, axis=0) + head.scale / 2) * zoom).astype(int).tolist())
    small = cv2.blur(warp(photo, matrix, size), (3, 3))
    at = np.rint(geometry.apply(matrix, pixels)).astype(int)
    return small[at[:, 1].clip(0, size[1] - 1), at[:, 0].clip(0, size[0] - 1)].astype(np.float32)


def _shading(luminance: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, float]:
    """Robust fit of luminance = k (1 + b·(n - front)); returns b and the luminance towards the camera."""
    front = np.array([0.0, 0.0, 1.0])
    design = np.c_[np.ones(len(normals)), normals - front]
    weights = np.ones(len(luminance))
    prior = np.array([0.0, -0.25, 0.35])
    level = float(np.median(luminance))
    answer = np.r_[1, prior] * level
    ridge = np.diag([1e-3, 2.0, 2.0, 4.0])
    for _ in range(4):
        weighted = design * weights[:, None]
        answer = np.linalg.solve(weighted.T @ design + ridge,
                                 weighted.T @ luminance + ridge @ np.r_[0, prior * level])
        residual = np.abs(luminance - design @ answer)
        weights = 1 / np.maximum(residual / (np.median(residual) + 1e-3), 1)
    level = max(float(answer[0]), 1e-3)
    direction = answer[1:] / level
    return direction * min(1.0, 0.8 / max(float(np.linalg.norm(direction)), 1e-9)), level


def _eye_white(photo: np.ndarray, head: Head) -> np.ndarray:
    """Colour of the brightest fifth of the eyes' opening."""
    colours = [
        _sample(photo, head, np.c_[np.linspace(x - 0.2, x + 0.2, 15), np.full(15, y), np.zeros(15)])
        for x in (-0.5, 0.5) for y in (-0.02, 0.01)
    ]
    colours = np.concatenate(colours)
    order = np.argsort(colours @ LUMINANCE)
    return colours[order[-len(order) // 5:]].mean(0)


def _camera(photo: np.ndarray, head: Head) -> tuple[float, float]:
    """Blur (sigma in pixels) and grain (sigma, 0..255) of the face's part of the photo."""
    corners = head.place(np.array([(-1.0, -0.5, 0), (1.0, 1.5, 0), (-1.0, 1.5, 0), (1.0, -0.5, 0)]))
    left, top = np.maximum(corners.min(0).astype(int), 0)
    right, bottom = np.maximum(corners.max(0).astype(int) + 1, 0)
    grey = photo[top:bottom, left:right]
    if min(grey.shape[:2]) < 12:
        return 0.6, 1.0
    grey = cv2.cvtColor(np.ascontiguousarray(grey[:1200, :1200]), cv2.COLOR_RGB2GRAY).astype(np.float32)
    laplacian = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    grain = np.abs(cv2.filter2D(grey, -1, laplacian))[1:-1, 1:-1]
    noise = float(np.median(grain)) / 0.6745 / 6

    def slope(picture: np.ndarray) -> np.ndarray:
        return cv2.magnitude(cv2.Sobel(picture, -1, 1, 0, ksize=3), cv2.Sobel(picture, -1, 0, 1, ksize=3))

    # an edge of blur s, blurred again by r, loses the factor sqrt(s^2 + r^2) / s of its slope
    again = 1.2
    sharp, soft = slope(grey), slope(cv2.GaussianBlur(grey, (0, 0), again))
    strong = sharp >= np.percentile(sharp, 97)
    ratio = float(np.median(sharp[strong] / np.maximum(soft[strong], 1e-3)))
    blur = np.sqrt(max(again**2 / max(ratio**2 - 1, 0.05) - _SOBEL**2, 0))
    return float(np.clip(blur, 0.4, 6.0)), float(np.clip(noise, 0.3, 12.0))
