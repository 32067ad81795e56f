"""The query photo on its way to features: what is asked of the photo, and what becomes of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from demo import fields
from demo.attack import ATTACKS, adversarial
from demo.backbones import Backbone, Features
from demo.errors import BadSetting, NoFace
from demo.faces import (
    DEFAULT_DETECTOR,
    DETECTORS,
    DRAWN,
    LYING,
    NO_FACE,
    Alteration,
    Face,
    Kind,
    Limits,
    align,
    aligned_face,
    alter,
    detect_faces,
    landmarks_in,
    load_photo,
)
from demo.fields import fields_of, option
from demo.gallery import Gallery
from demo.methods import Matching
from demo.visibility import Seen, seen_on
from demo.visibility.estimate import WORN
from demo.words import rounded

#: Every way to alter the query: word → what menus show. Those of ``demo.attack`` are made against the backbone.
ALTERATIONS = {**DRAWN, **ATTACKS}
CROP = "crop"
#: What becomes of a crop: the face is found and aligned again, or its window is compared as it lies.
FOUND, KEPT = "found", "kept"
#: The alteration, to those who ask what was measured for it, of a crop as it lies: nothing was.
KEPT_CROP = "crop as it lies"
#: Raise it when ``prepare_query`` makes other features of the same photo and settings by what it does itself; the rooms
#: that it goes through have versions of their own.
VERSION = 1


def kind_called(word: str) -> Kind:
    """What is said of an alteration: of a word of ALTERATIONS what menus show, of KEPT_CROP that name."""
    return ALTERATIONS.get(word) or Kind(word)


@dataclass(frozen=True)
class Preparation:
    """What happens to a photo before it is compared. ``check`` raises BadSetting.

    alteration: how it is altered first, if at all, a word of ALTERATIONS. style: of the alteration, None = drawn by
    the seed. detector: which face detector. face: which face of the photo, 0 = the most prominent. aligned: the photo
    is an aligned crop already, so no face is looked for. seed: of what an alteration draws by chance. framing: FOUND
    or KEPT, what becomes of a crop.
    """

    alteration: str | None = option(
        None, kind=str, word="occlude", key="occlusion", title="Alter the photo", called="alteration", each=True,
        help="Alter the photo before anything else; dodge and impersonate are white-box PGD on the backbone, not "
             "TALFW.", unset="leave as it is",
        choices=lambda: {word: kind.title for word, kind in ALTERATIONS.items()})
    style: str | None = option(None, kind=str, title="Style", each=True, of="alteration",
                               help="Style of the alteration.", unset="drawn by the seed")
    detector: str = option(
        DEFAULT_DETECTOR, title="Face detector", called="detector", help="Which face detector looks for faces.",
        choices=lambda: {name: one.title for name, one in DETECTORS.items()})
    face: int = option(0, title="Face", low=0, each=True,
                       help="Which face of the photo, 1 = the most prominent: large, and near the middle.",
                       parse=lambda text: int(text) - 1, show=lambda face: str(face + 1))
    aligned: bool = option(False, title="The photo is already an aligned face",
                           help="Photos are aligned crops: look for no face.")
    seed: int = option(0, title="Seed of the alteration", help="What is drawn by chance depends on it.", low=0,
                       of="alteration")
    framing: str = option(
        FOUND, title="A crop", called="what becomes of a crop",
        help="In a crop the face is found again, as in a photo that was cropped before it was uploaded; or the window "
             "is compared as it lies, as in the papers.",
        choices={FOUND: "Find the face in it again", KEPT: "Compare it as it lies, as in the papers"},
        unset=f"{FOUND}; {KEPT} with the published preset and with metrics as in the papers")

    @property
    def keeps_window(self) -> bool:
        """Whether a crop is compared as it lies."""
        return self.alteration == CROP and self.framing == KEPT

    def check(self) -> None:
        """Raise BadSetting, in one sentence, for the first setting that is out of range or unknown."""
        fields.check(self)


def asked(**settings: Any) -> tuple[Preparation, Matching]:
    """Settings by name (``occlusion="mask", weighting="sc", k=50``) as what prepares the photo and what matches; the
    rest at its default. Checked: BadSetting, in one sentence, for an unknown name or value."""
    photo = {known for one in fields_of(Preparation) for known in (one.name, one.key)}
    preparation = fields.changed(Preparation(), {name: value for name, value in settings.items() if name in photo})
    matching = Matching().having(**{name: value for name, value in settings.items() if name not in photo})
    preparation.check()
    matching.check()
    return preparation, matching


@dataclass(frozen=True)
class Query:
    """The query on its way from photo to features.

    photo: as decoded, uint8 (H, W, 3). faces: all that were found in it, most prominent first; face: the chosen one.
    alteration: what was done to it, if anything, with the face as found in a perturbed or cropped photo.
    crop: the aligned (altered) face, uint8 (h, w, 3). cover: (h, w) share of each crop pixel that the
    alteration covers. features: batch of one. preparation: what was asked for. seen: what is seen to cover the face,
    drawn or worn; None where that is not known, as for the backbone, or after an alteration that can look like a cover.
    """

    photo: np.ndarray
    faces: tuple[Face, ...]
    face: Face
    alteration: Alteration | None
    crop: np.ndarray
    cover: np.ndarray
    features: Features
    preparation: Preparation = Preparation()
    seen: Seen | None = None

    @property
    def worn(self) -> str | None:
        """What the face wears that nobody drew, a word of OCCLUSIONS; None for nothing, or where that is not known."""
        return self.seen.wears if self.seen and self.alteration is None and not self.faceless else None

    @property
    def measured_as(self) -> str | None:
        """The alteration whose strangers and thresholds fit this face: the one that was made, else what is worn. A crop
        in which no face was found is one as it lies, too."""
        if self.alteration is not None and self.alteration.window is not None:
            return KEPT_CROP
        return self.preparation.alteration or self.worn

    @property
    def told(self) -> str:
        """That the face lies, and what covers it, in a sentence or two; "" for nothing, or where it is not known."""
        return " ".join(text for text in (self.faceless, self._turned, self._covered) if text)

    @property
    def faceless(self) -> str:
        """That no face is seen in a photo that is declared to be one, in a sentence; else ""."""
        if not self.preparation.aligned or self.face.score > 0:
            return ""
        return "No face is seen in this photo, which was taken as an aligned face: its distances say nothing."

    @property
    def _turned(self) -> str:
        roll = 0.0 if self.preparation.aligned else abs(self.face.roll)
        if roll <= LYING:
            return ""
        return (f"The face lies {'upside down' if roll > 180 - LYING else 'on its side'} in this photo and was turned "
                "upright.")

    @property
    def _covered(self) -> str:
        if self.seen is None or not self.seen.sentence or self.faceless:
            return ""
        if not self.worn:
            return self.seen.sentence
        return (f"{self.seen.sentence} Nothing was drawn here, so distances are judged as those of faces with "
                f"{self.seen.drawn}.")

    @property
    def altered(self) -> np.ndarray:
        """The photo as the matcher meets it."""
        return self.photo if self.alteration is None else self.alteration.photo

    def as_json(self) -> dict:
        """The photo and what was done to it, as plain data."""
        asked = self.preparation
        return {
            "width": self.photo.shape[1], "height": self.photo.shape[0], "faces": len(self.faces),
            "face": asked.face, "box": [rounded(float(x), 1) for x in self.face.box],
            "aligned": asked.aligned, "occlusion": asked.alteration,
            "style": None if self.alteration is None else self.alteration.style, "seed": asked.seed,
            "framing": asked.framing if asked.alteration == CROP else None,
            "note": "" if self.alteration is None else self.alteration.note,
            "seen": self.seen.as_json() if self.seen else None,
        }


class Clock:
    """Milliseconds per named step, all times it was taken; waits for the device at the end of a step."""

    def __init__(self, device: torch.device):
        self.device = device
        self.start = time.perf_counter()
        self.steps: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.steps[name] = self.steps.get(name, 0.0) + (time.perf_counter() - begin) * 1000

    def total(self) -> dict[str, float]:
        return {**self.steps, "total": (time.perf_counter() - self.start) * 1000}


def prepare_query(photo, backbone: Backbone, preparation: Preparation, clock: Clock | None = None,
                  gallery: Gallery | None = None, limits: Limits | None = None,
                  faces: tuple[Face, ...] = ()) -> Query:
    """Photo (anything ``load_photo`` takes) → Query. Raises BadPhoto, NoFace (FaceLost after altering) or BadSetting.

    gallery: where an adversarial alteration looks for whom to impersonate. limits: of the photo (default: those that
    the gallery was opened with). faces: those that were found in it already.
    """
    limits = limits or (Limits() if gallery is None else gallery.limits)
    clock = clock or Clock(backbone.device)
    with clock.step("decode"):
        photo = load_photo(photo, limits)
    with clock.step("detect"):
        if faces:
            face = faces[preparation.face]
        else:
            faces, face = find_query_face(photo, preparation, backbone.info.folder)
    alteration = None
    if preparation.alteration:
        with clock.step("alter"):
            alteration = altered_photo(photo, face, backbone, preparation, gallery)
            if not preparation.keeps_window:
                alteration = alteration.relocated(preparation.detector, folder=backbone.info.folder)
    with clock.step("align"):
        if alteration is not None:
            crop, cover = alteration.aligned(backbone)
            landmarks = alteration.landmarks(backbone)
        else:
            crop, landmarks = align(photo, face, backbone), landmarks_in(face, backbone)
            cover = np.zeros(crop.shape[:2], np.float32)
    with clock.step("embed"):
        features = replace(backbone.extract(crop),
                           landmarks=torch.from_numpy(landmarks)[None].to(backbone.device))
        # Blurred and cropped faces were not learned from, and some of them look masked.
        seen = seen_on(features, backbone) if preparation.alteration in (None, *WORN) else None
    return Query(photo, faces, face, alteration, crop, cover, features, preparation, seen)


def altered_photo(photo: np.ndarray, face: Face, backbone: Backbone, preparation: Preparation,
                  gallery: Gallery | None) -> Alteration:
    """What is asked to be done to a photo."""
    kind, style, seed = preparation.alteration, preparation.style, preparation.seed
    assert kind is not None
    if kind not in ATTACKS:
        return alter(photo, face, kind, style=style, seed=seed)
    if style is not None:
        raise BadSetting(f"There is no style {style!r} of {kind}; it has no styles.")
    return adversarial(photo, face, kind, backbone, gallery, seed=seed)


def find_query_face(photo: np.ndarray, preparation: Preparation,
                    folder: Path | None = None) -> tuple[tuple[Face, ...], Face]:
    """All faces of a photo and the chosen one; NoFace where there is none, BadSetting for a face that is not there.

    folder: where the detector's weights are looked for first.
    """
    if preparation.aligned:
        face = aligned_face(photo, folder=folder)
        return (face,), face
    faces = tuple(detect_faces(photo, preparation.detector, folder=folder))
    if not faces:
        raise NoFace(NO_FACE)
    if not 0 <= preparation.face < len(faces):
        raise BadSetting(f"The photo has {len(faces)} face(s), so there is no face number {preparation.face + 1}.")
    return faces, faces[preparation.face]
