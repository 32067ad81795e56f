"""Altering photos: something drawn over a located face, or the whole photo made worse. A new kind is one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from demo.errors import BadSetting, FaceLost
from demo.faces import blur, dark, glasses, jpeg, masks, rotate
from demo.faces.align import Window, align, crop_matrix, landmarks_in, resolve_template, warp
from demo.faces.crop import FRAME, draw_crop
from demo.faces.detect import DEFAULT_DETECTOR, aligned_face, detect_faces
from demo.faces.face import Face
from demo.faces.overlay import Drawing


@dataclass(frozen=True)
class Kind:
    """One kind of alteration, as menus show it. title: for people. styles: name → title, empty where there is one only.

    note: what to know before using it, in a sentence or two; "" where the title says it.
    """

    title: str
    styles: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Occlusion(Kind):
    """A kind that is drawn. draw: (photo, face, style, random generator) → Drawing."""

    draw: Callable[[np.ndarray, Face, str | None, np.random.Generator], Drawing] = field(repr=False, kw_only=True)


def _kind(title: str, draw, styles=()) -> Occlusion:
    return Occlusion(title, {name: styles[name].title for name in styles}, draw=draw)


#: What is drawn over a face that has been located: the papers' occlusions.
OCCLUSIONS = {
    "mask": _kind("Face mask", masks.draw_mask, masks.STYLES),
    "sunglasses": _kind("Sunglasses", glasses.draw_glasses, glasses.STYLES),
    "crop": _kind("Random crop (70\u00a0% of the side)", draw_crop),
}
#: What happens to a whole photo, in which the face has to be found again.
PERTURBATIONS = {
    "rotate": _kind("In-plane rotation", rotate.rotate, rotate.STYLES),
    "blur": _kind("Blur", blur.blur, blur.STYLES),
    "dark": _kind("Low light", dark.dark, dark.STYLES),
    "jpeg": _kind("JPEG compression", jpeg.jpeg, jpeg.STYLES),
}
#: Every kind that ``alter`` knows.
DRAWN = {**OCCLUSIONS, **PERTURBATIONS}


@dataclass(frozen=True, eq=False)
class Alteration:
    """An altered face. Equal photo, face, kind, style and seed give an equal alteration.

    photo: the picture to show, uint8 (H, W, 3). alpha: float32 (H, W), the share of each of its pixels that is
    covered. kind, style, seed: what was drawn (style None where the kind has none). window: of a crop, until
    ``relocated``, else None. face: the face as located before; of a perturbed photo moved as its pixels were, until
    ``relocated``. whole: the picture that aligned crops are cut from: ``photo``, or with a window the photo before it.
    perturbed: the whole photo was altered, so that whoever meets it has to find the face in it. note: what else to say
    wherever it is shown.
    """

    photo: np.ndarray
    alpha: np.ndarray
    kind: str
    style: str | None
    seed: int
    window: Window | None
    face: Face
    whole: np.ndarray = field(repr=False)
    perturbed: bool = False
    note: str = ""

    def relocated(self, detector: str = DEFAULT_DETECTOR, *, folder: Path | None = None) -> Alteration:
        """The alteration with its face as a matcher finds it: of a perturbed photo, or of a crop, detected again in
        that picture.

        Of several faces it is the one where this one must be. Mask and sunglasses are drawn on a face that was located,
        as in the papers, and stay as they are; a photo declared as an aligned crop stays one, until it is cropped.
        A crop in which no face is found is left as it lies, its window kept. folder: where weights are looked for
        first. Raises FaceLost where no face is found in a perturbed photo any more.
        """
        if self.perturbed and self.face.aligned:
            return replace(self, face=aligned_face(self.photo, folder=folder))
        if not self.perturbed and self.window is None:
            return self
        middle = self._middle
        found = [face for face in detect_faces(self.photo, detector, folder=folder)
                 if (np.reshape(face.box, (2, 2)) - middle).prod(0).max() < 0]  # corners on either side of it
        if not found:
            if self.window is not None:
                return replace(self, note="No face was found in the crop, so it is compared as it lies.")
            raise FaceLost("No face was found any more in the altered photo: choose a weaker style, or another "
                           "detector.", self.photo)
        face = min(found, key=lambda face: np.linalg.norm(face.landmarks.mean(0) - middle))
        return replace(self, face=face, window=None, whole=self.photo)

    @property
    def _middle(self) -> np.ndarray:
        """Where the middle of the face is in the picture, x and y in pixels."""
        if self.window is None:
            return self.face.landmarks.mean(0)
        return landmarks_in(self.face, FRAME, window=self.window).mean(0) * self.photo.shape[1::-1] - 0.5

    def aligned(self, template) -> tuple[np.ndarray, np.ndarray]:
        """Aligned altered crop uint8 (h, w, 3) and its cover float32 (h, w), for any template (see ``align``).

        By the landmarks of ``face``: of an occlusion those of the unaltered face, as the papers alter a face that has
        been located already. With a window, the same one is cut from this template's frame; nothing in it is covered.
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

    style: one of ``DRAWN[kind].styles``, or None for one drawn with the seed. Raises BadSetting for an unknown kind or
    style or a negative seed, NoFace where the landmarks cannot be those of a face.
    """
    if kind not in DRAWN:
        raise BadSetting(f"There is no alteration {kind!r}; choose one of {', '.join(DRAWN)}.")
    chosen = DRAWN[kind]
    names = list(chosen.styles)
    if style is not None and style not in names:
        offered = f"choose one of {', '.join(names)}" if names else "it has no styles"
        raise BadSetting(f"There is no style {style!r} of {kind}; {offered}.")
    if seed < 0:
        raise BadSetting(f"The seed is {seed}, and must be 0 or more.")
    rng = np.random.default_rng(seed)
    if names:
        drawn = names[rng.integers(len(names))]  # drawn in any case: a named style changes nothing else
        style = style or drawn
    drawing = chosen.draw(photo, face, style, rng)
    if drawing.matrix is not None:
        return perturbed(drawing.photo, face.moved(drawing.matrix), kind, style=style, seed=seed)
    whole = drawing.photo if drawing.window is None else photo
    return Alteration(drawing.photo, drawing.alpha, kind, style, seed, drawing.window, face, whole)


def perturbed(photo: np.ndarray, face: Face, kind: str, *, style: str | None = None, seed: int = 0,
              note: str = "") -> Alteration:
    """The alteration that a photo altered as a whole is. face: where the face must be in it. Nothing is covered."""
    return Alteration(photo, np.zeros(photo.shape[:2], np.float32), kind, style, seed, None, face, photo, True, note)


def occlude(photo: np.ndarray, face: Face, kind: str, *, style: str | None = None, seed: int = 0) -> np.ndarray:
    """The altered picture alone, uint8 RGB: ``alter(...).photo``."""
    return alter(photo, face, kind, style=style, seed=seed).photo
