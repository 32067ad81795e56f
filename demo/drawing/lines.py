"""Two faces side by side, with the strongest flows drawn between their patches."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image, ImageDraw

from demo.drawing.flow import strongest_flows
from demo.drawing.grids import (
    Grid,
    as_flow,
    as_picture,
    cell_boxes,
    enlarge,
    patch_centres,
)
from demo.drawing.heat import percent
from demo.drawing.text import font

#: Light colours that stay apart for colour-blind readers (after Okabe and Ito) and show on any skin and on white.
LINE_COLOURS = ((255, 190, 0), (70, 190, 255), (255, 112, 80), (50, 214, 150), (244, 130, 208), (170, 150, 255))

#: White between the two faces, as part of their height.
FACE_GAP = 0.15

#: Curves with less than this part of the strongest one's mass could not be seen, and are left out.
_VISIBLE = 0.01
_SHADOW = (20, 20, 20)
_STEPS = np.linspace(0, 1, 33)[:, None]


def flow_lines(query_crop, candidate_crop, flow, grid: Grid, n: int = 12, *, patch: int | None = None,
               height: int = 400) -> np.ndarray:
    """Query (left) and candidate (right) with the ``n`` strongest flows as curves between patch centres.

    Crops: uint8 (h, w, 3). flow: (P, P), query patches in rows, row-major over ``grid`` == (rows, cols). Width
    and opacity of a curve grow with its mass; both patches are framed in its colour. patch: show only where
    the mass of this query patch goes, with its share of all mass and the share that each curve carries.
    height: of a face in the result, in pixels. Returns uint8 (height, 2 * width of a face + gap, 3) on white.
    """
    flow = as_flow(flow, grid)
    shown = strongest_flows(flow, n, patch=patch)
    shown = [pair for pair in shown if pair.mass >= _VISIBLE * shown[0].mass]
    left = enlarge(as_picture(query_crop, "query's crop"), height)
    right = enlarge(as_picture(candidate_crop, "candidate's crop"), height)
    offset = left.shape[1] + round(FACE_GAP * height)
    canvas = np.full((height, offset + right.shape[1], 3), 255, np.uint8)
    canvas[:, :left.shape[1]] = left
    canvas[:, offset:] = right
    starts, ends = patch_centres(left.shape[:2], grid), patch_centres(right.shape[:2], grid) + (offset, 0)
    from_boxes = cell_boxes(left.shape[:2], grid)
    to_boxes = cell_boxes(right.shape[:2], grid) + (offset, 0, offset, 0)

    ink = _Ink(canvas)
    if patch is not None:
        ink.frame(from_boxes[patch], LINE_COLOURS[0], 1.0)
    largest = shown[0].mass if shown else 1.0
    colour_of = {pair: LINE_COLOURS[k % len(LINE_COLOURS)] for k, pair in enumerate(sorted(shown))}
    curves = {pair: _curve(starts[pair.i], ends[pair.j], height, starts[pair.i, 0] / left.shape[1])
              for pair in reversed(shown)}
    for pair in curves:
        ink.frame(from_boxes[pair.i], colour_of[pair], pair.mass / largest)
        ink.frame(to_boxes[pair.j], colour_of[pair], pair.mass / largest)
    for pair, curve in curves.items():
        ink.stroke(curve, colour_of[pair], pair.mass / largest)
    for pair, curve in curves.items():
        ink.dot(curve[0], colour_of[pair])
        ink.dot(curve[-1], colour_of[pair])
    picture = ink.blended()
    if patch is None:
        return picture
    labels = [(from_boxes[patch], flow[patch].sum())] + [(to_boxes[pair.j], pair.mass) for pair in shown]
    return _labelled(picture, labels)


def _curve(start: np.ndarray, end: np.ndarray, height: int, column: float) -> np.ndarray:
    """Points (33, 2) of a shallow arc from patch to patch.

    Straight lines between patches of one row would lie on each other, so the arcs bend, the more the further
    left they begin (``column``, 0 to 1): away from the middle of the picture, unless its edge is too near.
    """
    middle = (start + end) / 2
    rise = 0.15 * height
    outwards = -1 if middle[1] < height / 2 else 1
    if not rise < middle[1] < height - rise:
        outwards = -outwards
    bend = middle + (0, 2 * outwards * rise * (1 - 0.9 * column))
    return (1 - _STEPS) ** 2 * start + 2 * _STEPS * (1 - _STEPS) * bend + _STEPS**2 * end


class _Ink:
    """Translucent drawing: colours go opaquely on a second layer, which is blended once through a coverage mask."""

    def __init__(self, canvas: np.ndarray):
        self.canvas = canvas
        self.paint = canvas.copy()
        self.cover = np.zeros(canvas.shape[:2], np.uint8)
        self.unit = len(canvas) / 400

    def stroke(self, points: np.ndarray, colour, strength: float) -> None:
        fixed = [np.round(points * 16).astype(np.int32)]
        width = self.unit * (1.6 + 4.0 * strength)
        opacity = 110 + 130 * strength
        for tint, wide, cover in ((_SHADOW, width + 1.6 * self.unit, 0.55 * opacity), (colour, width, opacity)):
            cv2.polylines(self.paint, fixed, False, tint, max(1, round(wide)) + 1, cv2.LINE_AA, 4)
            cv2.polylines(self.cover, fixed, False, int(cover), max(1, round(wide)), cv2.LINE_AA, 4)

    def frame(self, box: np.ndarray, colour, strength: float) -> None:
        left, top, right, bottom = (int(value) for value in box)
        for tint, wide, cover in ((_SHADOW, 3.2, 110), (colour, 1.8, 150 + 100 * strength)):
            corners = (left, top), (right - 1, bottom - 1)
            cv2.rectangle(self.paint, *corners, tint, max(1, round(wide * self.unit)))
            cv2.rectangle(self.cover, *corners, int(cover), max(1, round(wide * self.unit)))

    def dot(self, centre: np.ndarray, colour) -> None:
        x, y = (round(value * 16) for value in centre)
        radius = 4.4 * self.unit
        for tint, size in ((_SHADOW, radius + 1.2 * self.unit), (colour, radius)):
            cv2.circle(self.paint, (x, y), round(size * 16), tint, -1, cv2.LINE_AA, 4)
            cv2.circle(self.cover, (x, y), round(size * 16), 255, -1, cv2.LINE_AA, 4)

    def blended(self) -> np.ndarray:
        share = cv2.merge([self.cover] * 3)
        ink = cv2.multiply(self.paint, share, scale=1 / 255)
        return cv2.add(ink, cv2.multiply(self.canvas, 255 - share, scale=1 / 255))


def _labelled(picture: np.ndarray, labels: list[tuple[np.ndarray, float]]) -> np.ndarray:
    """Shares in percent, each written at the foot of its patch."""
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    for (left, top, right, bottom), share in labels:
        size = int(min(max(9, (right - left) / 4), (bottom - top) / 3, 20))
        draw.text(((left + right) / 2, bottom - 2), percent(share), "white", font(size, bold=True), anchor="md",
                  stroke_width=2, stroke_fill=_SHADOW)
    return np.asarray(image)
