"""Altering a face the way the papers do: masks, sunglasses, random crops. A new kind is one line in OCCLUSIONS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from demo.errors import BadSetting
from demo.faces import glasses, masks
from demo.faces.align import Window, align, crop_matrix, landmarks_in, resolve_template, warp
from demo.faces.crop import draw_crop
from demo.faces.face import Face
from demo.faces.overlay import Drawing


@dataclass(frozen=True)
class Occlusion:
    """One kind of alteration. title: for people. styles: name → title, empty where there is only one.

    draw: (photo, face, style, random generator) → Drawing.
    """

    title: str
    styles: Mapping[str, str]
    draw: Callable[[np.ndarray, Face, str | None, np.random.Generator], Drawing] = field(repr=False)


def _titles(styles) -> dict[str, str]:
    return {name: style.title for name, style in styles.items()}


#: Every kind of alteration by name.
OCCLUSIONS = {
    "mask": Occlusion("Face mask", _titles(masks.STYLES), masks.draw_mask),
    "sunglasses": Occlusion("Sunglasses", _titles(glasses.STYLES), glasses.draw_glasses),
    "crop": Occlusion("Random crop (70 % of the side)", {}, draw_crop),
}


@dataclass(frozen=True, eq=False)
class Alteration:
    """An altered face. Equal photo, face, kind, style and seed give an equal alteration.

    photo: the picture to show, uint8 (H, W, 3). alpha: float32 (H, W), the share of each of its pixels that is
    covered. kind, style, seed: what was drawn (style None where the kind has none). window: of a crop, else None.
    face: the face as located before. whole: the picture that aligned crops are cut from: ``photo``, or for a
    crop the photo before it.
    """

    photo: np.ndarray
    alpha: np.ndarray
    kind: str
    style: str | None
    seed: int
    window: Window | None
    face: Face
    whole: np.ndarray = field(repr=False)

    def aligned(self, template) -> tuple[np.ndarray, np.ndarray]:
        """Aligned altered crop uint8 (h, w, 3) and its cover float32 (h, w), for any template (see ``align``).

        The landmarks are those of the unaltered face: the papers alter a face that has been located already. Of a
        crop, the same window is cut from this template's frame; nothing in it is covered.
        """
        crop = align(self.whole, self.face, template, window=self.window)
        if self.window is not None:
            return crop, np.zeros(crop.shape[:2], np.float32)
        cover = warp(self.alpha, crop_matrix(self.face, template), resolve_template(template).size)
        return crop, np.clip(cover, 0, 1)

    def landmarks(self, template) -> np.ndarray:
        """float32 (68, 2): the face's landmarks as fractions of the aligned crop (see ``landmarks_in``)."""
        return landmarks_in(self.face, template, window=self.window)


def alter(photo: np.ndarray, face: Face, kind: str, *, style: str | None = None, seed: int = 0) -> Alteration:
    """Alter a located face of a uint8 (H, W, 3) photo; the photo itself is left as it is.

    style: one of ``OCCLUSIONS[kind].styles``, or None for one drawn with the seed. Raises BadSetting for an
    unknown kind or style or a negative seed, NoFace where the landmarks cannot be those of a face.
    """
    if kind not in OCCLUSIONS:
        raise BadSetting(f"There is no occlusion {kind!r}; choose one of {', '.join(OCCLUSIONS)}.")
    occlusion = OCCLUSIONS[kind]
    names = list(occlusion.styles)
    if style is not None and style not in names:
        offered = f"choose one of {', '.join(names)}" if names else "it has no styles"
        raise BadSetting(f"There is no style {style!r} of {kind}; {offered}.")
    if seed < 0:
        raise BadSetting(f"The seed is {seed}, and must be 0 or more.")
    rng = np.random.default_rng(seed)
    if names:
        drawn = names[rng.integers(len(names))]  # drawn in any case: a named style changes nothing else
        style = style or drawn
    drawing = occlusion.draw(photo, face, style, rng)
    whole = drawing.photo if drawing.window is None else photo
    return Alteration(drawing.photo, drawing.alpha, kind, style, seed, drawing.window, face, whole)


def occlude(photo: np.ndarray, face: Face, kind: str, *, style: str | None = None, seed: int = 0) -> np.ndarray:
    """The altered picture alone, uint8 RGB: ``alter(...).photo``."""
    return alter(photo, face, kind, style=style, seed=seed).photo
