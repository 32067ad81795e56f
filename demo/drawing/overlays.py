"""What the method looks at, drawn on the photo: detected faces and the patch grid."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw

from demo.drawing.grids import Grid, as_picture, cell_boxes, cell_edges, check_patch, enlarge, patch_count
from demo.drawing.text import font
from demo.errors import BadSetting

#: Colour of what is chosen; what may be chosen instead is white. Both stand on a dark shadow.
CHOSEN = (255, 190, 0)
OTHER = (255, 255, 255)
_SHADOW = (20, 20, 20)


def patch_grid(crop, grid: Grid, *, patch: int | None = None, height: int = 400) -> np.ndarray:
    """The crop with its patch grid drawn on it, and one patch framed if asked for.

    crop: uint8 (h, w, 3). grid: (rows, cols). patch: index, row-major. height: of the result, in pixels,
    so that the lines stay thin whatever the crop's size. Returns uint8 (height, w, 3).
    """
    picture = enlarge(as_picture(crop, "crop"), height)
    lines = picture.copy()
    for tint, shift in ((0, 1), (255, 0)):
        for y in cell_edges(picture.shape[0], grid[0])[1:-1] + shift:
            lines[y] = tint
        for x in cell_edges(picture.shape[1], grid[1])[1:-1] + shift:
            lines[:, x] = tint
    picture = cv2.addWeighted(lines, 0.4, picture, 0.6, 0)
    if patch is not None:
        box = cell_boxes(picture.shape[:2], grid)[check_patch(patch, patch_count(grid))]
        image = Image.fromarray(picture)
        _frame(ImageDraw.Draw(image), box, CHOSEN, max(2, height // 130))
        picture = np.asarray(image)
    return picture


def face_boxes(photo, boxes: ArrayLike, chosen: int = 0) -> np.ndarray:
    """The photo with its faces boxed: the chosen one in a heavy frame, the others in thin ones.

    photo: uint8 (H, W, 3). boxes: (n, 4) left, top, right, bottom in pixels of the photo; parts outside it are
    cut off. With several faces each box carries its number, 1 for the first. Lines and numbers scale with
    the photo, so that they can be read however small it is shown. Returns uint8 (H, W, 3).
    """
    photo = as_picture(photo, "photo")
    boxes = np.asarray(boxes, dtype=float).reshape(-1, 4)
    if len(boxes) and not 0 <= chosen < len(boxes):
        raise BadSetting(f"Face {chosen + 1} was chosen, but the photo has {len(boxes)}.")
    height, width = photo.shape[:2]
    image = Image.fromarray(photo)
    draw = ImageDraw.Draw(image)
    unit = max(1.0, max(height, width) / 400)
    limits = np.array([width, height, width, height])
    for k in sorted(range(len(boxes)), key=lambda k: k == chosen):
        box = np.clip(np.round(boxes[k]), 0, limits).astype(int)
        if box[2] - box[0] < 2 or box[3] - box[1] < 2:
            continue
        _frame(draw, box, CHOSEN if k == chosen else OTHER, round((3 if k == chosen else 1.5) * unit))
        if len(boxes) > 1:
            _number(draw, box, str(k + 1), CHOSEN if k == chosen else OTHER, unit, width)
    return np.asarray(image)


def _frame(draw: ImageDraw.ImageDraw, box, colour, width: int) -> None:
    """A frame inside ``box`` (right and bottom exclusive) with a thin dark line on both sides of it."""
    left, top, right, bottom = (int(value) for value in box)
    thin = max(1, width // 3)
    for tint, inset, wide in ((_SHADOW, 0, width + 2 * thin), (colour, thin, width)):
        if right - left > 2 * inset + 1 and bottom - top > 2 * inset + 1:
            draw.rectangle((left + inset, top + inset, right - 1 - inset, bottom - 1 - inset), outline=tint, width=wide)


def _number(draw: ImageDraw.ImageDraw, box, text: str, colour, unit: float, photo_width: int) -> None:
    """A label on top of ``box``, or in its upper left corner where the photo ends above it."""
    left, top, _, bottom = (int(value) for value in box)
    size = int(max(9, min(17 * unit, 0.45 * (bottom - top))))
    letters = font(size, bold=True)
    wide, high = round(letters.getlength(text) + 0.7 * size), round(1.35 * size)
    top = top - high if top >= high else top
    left = max(0, min(left, photo_width - wide - 1))
    draw.rectangle((left, top, left + wide, top + high), fill=colour, outline=_SHADOW, width=max(1, size // 12))
    draw.text((left + wide / 2, top + high / 2), text, _SHADOW, letters, anchor="mm")
