"""Face masks drawn in code: a surface on the generic head, fitted to the face, textured, lit and strapped on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from demo.faces import fabric, geometry
from demo.faces.face import Face
from demo.faces.head import Head
from demo.faces.light import Light
from demo.faces.overlay import Canvas, Drawing, extent

#: Control points of the left half of a mask on the head, from the middle (u = 0) to the seam (u = 1) and, in each
#: column, from the top edge (v = 0) to the bottom edge (v = 1).
_COLUMNS_U = np.array([0.0, 0.25, 0.55, 0.8, 1.0])
_PLEATED = np.array([
    [
        (0.00, 0.24, 0.45), (0.00, 0.62, 0.64), (0.00, 1.03, 0.58),
        (0.00, 1.42, 0.46), (0.00, 1.74, 0.24), (0.00, 1.89, 0.00),
    ],
    [
        (0.30, 0.43, 0.27), (0.32, 0.74, 0.44), (0.33, 1.06, 0.44),
        (0.33, 1.39, 0.34), (0.31, 1.69, 0.13), (0.29, 1.83, -0.05),
    ],
    [
        (0.67, 0.50, 0.03), (0.70, 0.76, 0.14), (0.70, 1.04, 0.15),
        (0.67, 1.32, 0.07), (0.60, 1.57, -0.08), (0.55, 1.67, -0.20),
    ],
    [
        (0.92, 0.50, -0.22), (0.95, 0.74, -0.18), (0.94, 0.99, -0.18),
        (0.88, 1.21, -0.22), (0.80, 1.39, -0.29), (0.75, 1.48, -0.36),
    ],
    [
        (1.04, 0.47, -0.47), (1.05, 0.68, -0.46), (1.03, 0.88, -0.45),
        (0.97, 1.05, -0.44), (0.91, 1.19, -0.43), (0.86, 1.28, -0.42),
    ],
])
#: Width of the loops, and where they meet the ear: the root of its upper and of its lower end.
_CORD = 0.03
_EARS = np.array([[1.17, -0.08, -1.1], [1.14, 0.5, -0.98]])


@dataclass(frozen=True)
class MaskStyle:
    """One kind of mask. title: for people. shader: see fabric. beak: how far the middle stands off the face.

    seam: share of the side's height that is left at the seam. cord: colour of the loops, sRGB.
    """

    title: str
    shader: Callable[[fabric.Surface, np.random.Generator], fabric.Cloth]
    beak: float = 0.0
    seam: float = 1.0
    cord: tuple[int, int, int] = (236, 236, 234)


STYLES = {
    "surgical-blue": MaskStyle("Surgical, blue", fabric.surgical((150, 192, 222))),
    "surgical-white": MaskStyle("Surgical, white", fabric.surgical((232, 234, 236))),
    "surgical-black": MaskStyle("Surgical, black", fabric.surgical((46, 46, 50)), cord=(42, 42, 45)),
    "surgical-green": MaskStyle("Surgical, green", fabric.surgical((158, 206, 186))),
    "cloth": MaskStyle("Cloth, patterned", fabric.cloth, beak=0.06, seam=0.75),
    "ffp2": MaskStyle("FFP2, white", fabric.ffp2, beak=0.22, seam=0.7),
}


@cache
def _mesh(beak: float, seam: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (rows, cols, 3), unit normals (rows, cols, 3) and (u, v) (rows, cols, 2) of a mask on the head."""
    grid = _PLEATED.copy()
    middle = grid[-1, :, 1].mean()
    grid[-1, :, 1] = middle + (grid[-1, :, 1] - middle) * seam
    rise = np.array([0.0, 0.8, 1.0, 0.9, 0.45, 0.1])
    grid[..., 2] += beak * rise * np.array([1.0, 0.62, 0.22, 0.05, 0.0])[:, None]
    grid[..., 1] += beak * 0.15 * rise * np.array([1.0, 0.6, 0.2, 0.0, 0.0])[:, None]
    whole = np.concatenate([grid[:0:-1] * (-1, 1, 1), grid])
    rows = np.stack([geometry.catmull_rom(column, 4) for column in whole])
    points = np.stack([geometry.catmull_rom(row, 4) for row in rows.transpose(1, 0, 2)])
    u = geometry.catmull_rom(np.r_[-_COLUMNS_U[:0:-1], _COLUMNS_U][:, None], 4)[:, 0]
    v = np.linspace(0, 1, len(points))
    along, down = np.gradient(points, axis=1), np.gradient(points, axis=0)
    normals = np.cross(along, down)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    mesh = points, normals, np.stack(np.meshgrid(u, v), axis=-1)
    for array in mesh:
        array.flags.writeable = False
    return mesh


def draw_mask(photo: np.ndarray, face: Face, style: str, rng: np.random.Generator) -> Drawing:
    """Put a mask of this style on a face of a uint8 (H, W, 3) photo. Raises NoFace for implausible landmarks."""
    chosen = STYLES[style]
    head = Head.of(face)
    light = Light.of(photo, head)
    points, normals, uv = _mesh(chosen.beak, chosen.seam)
    points = points + [0, rng.uniform(-0.05, 0.04), 0] * (1 - uv[..., 1:]) ** 2
    ends = np.concatenate([points.reshape(-1, 3), _EARS, _EARS * (-1, 1, 1)])
    places = head.place(ends)
    canvas = Canvas(photo, head, light, np.concatenate([places - 0.2 * head.scale, places + 0.2 * head.scale]))
    cover = _cover(canvas, head.place(points))
    cloth = _cloth(canvas, chosen, cover, head, points, normals, uv, rng)
    canvas.cast(cover, 0.42, down=0.05, soft=0.05)
    canvas.cast(cover, 0.25, down=0.015, soft=0.02)
    _loops(canvas, chosen, points)
    canvas.paint(cloth, cover)
    return canvas.finish(rng)


def _cover(canvas: Canvas, places: np.ndarray) -> np.ndarray:
    """Coverage of the whole surface: every cell of the mesh filled, then the outline smoothed."""
    corners = canvas.to_canvas(places)
    cells = np.stack([corners[:-1, :-1], corners[:-1, 1:], corners[1:, 1:], corners[1:, :-1]], axis=2)
    filled = np.zeros(canvas.alpha.shape, np.uint8)
    for cell in np.rint(cells.reshape(-1, 4, 1, 2)).astype(np.int32):
        cv2.fillConvexPoly(filled, cell, 255)
    soft = canvas.blur(filled.astype(np.float32) / 255, 0.012)
    return np.clip((soft - 0.5) * 2.5 + 0.5, 0, 1)


def _cloth(canvas: Canvas, style: MaskStyle, cover, head: Head, points, normals, uv, rng) -> np.ndarray:
    """Colours (h, w, 3) of the lit cloth where it covers."""
    facing = head.turn(normals)[..., 2] > 0.05
    facing[1::2] = facing[:, 1::2] = False
    knots = canvas.to_canvas(head.place(points[facing]))
    spline = geometry.thin_plate(knots, np.c_[uv[facing], normals[facing]], 1e-4)
    part = extent(cover)
    (top, bottom), (left, right) = ((side.start, side.stop) for side in part)
    # the map is smooth: a coarse grid of it, enlarged, is as good as one value per pixel
    step = max(2, round(canvas.unit / 12))
    coarse_x, coarse_y = np.arange(left, right + step, step), np.arange(top, bottom + step, step)
    at = np.stack(np.meshgrid(coarse_x, coarse_y), axis=-1)
    values = spline(at.reshape(-1, 2)).reshape(*at.shape[:2], 5).astype(np.float32)
    fine_x, fine_y = np.meshgrid(np.arange(right - left, dtype=np.float32) / step,
                                 np.arange(bottom - top, dtype=np.float32) / step)
    values = cv2.remap(values, fine_x, fine_y, cv2.INTER_LINEAR)
    direction = values[..., 2:]
    direction /= np.maximum(np.linalg.norm(direction, axis=-1, keepdims=True), 1e-6)
    edge = canvas.blur(cover, 0.05)[part]
    surface = fabric.Surface(values[..., 0], values[..., 1], np.clip(2 * edge - 1, 0, 1))
    made = style.shader(surface, rng)
    shade = canvas.light.shade(direction) * made.relief
    colours = np.zeros((*cover.shape, 3), np.float32)
    colours[part] = canvas.lit(made.colour, shade)
    return colours


def _loops(canvas: Canvas, style: MaskStyle, points: np.ndarray) -> None:
    """Elastic loops from the corners of the mask to the ears, hidden behind the head and under hair."""
    loops = canvas.blank()
    for side, column in ((-1, 0), (1, -1)):
        visible = canvas.head.visible([side * 0.93, 0.0, 0.37])
        if not visible:
            continue
        for start, ear in ((points[1, column], _EARS[0]), (points[-2, column], _EARS[1])):
            end = ear * (side, 1, 1)
            middle = (start + end) / 2 + [side * 0.06, 0.03, 0]
            t = np.linspace(0, 1, 24)[:, None]
            curve = canvas.head.place((1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * end)
            curve = curve[:canvas.tuck(curve)]
            cord = canvas.fade_out(canvas.stroke(curve, _CORD), curve, 0.12)
            np.maximum(loops, cord * visible, out=loops)
    canvas.cast(loops, 0.35, down=0.025, soft=0.015)
    canvas.paint(canvas.lit(style.cord, 0.8), loops * 0.95)
