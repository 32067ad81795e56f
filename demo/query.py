"""What is asked: the settings of an identification, and the query photo on its way to features."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch

from demo.attack import ATTACKS, adversarial
from demo.backbones import Backbone, Features, Grid
from demo.crossimage import METHODS
from demo.errors import BadSetting, NoFace
from demo.faces import (
    DRAWN,
    NO_FACE,
    Alteration,
    Face,
    align,
    aligned_face,
    alter,
    detect_faces,
    landmarks_in,
    load_photo,
)
from demo.gallery import Gallery
from demo.matching import SOLVERS, WEIGHTINGS, check_share

#: Every way to alter the query: word → what menus show. Those of ``demo.attack`` are made against the backbone.
ALTERATIONS = {**DRAWN, **ATTACKS}

#: Ways to re-rank: word → title. All but "emd" and "none" are cross-image models (``demo.crossimage.METHODS``).
STAGE2 = {"emd": "Earth Mover's Distance (EMD)", "h2l": "Cross-image attention (H2L)",
          "h2": METHODS["H2"].title, "h1": METHODS["H1"].title, "v": METHODS["V"].title, "none": "Stage 1 only"}


@dataclass(frozen=True)
class Options:
    """Settings of an identification; the defaults are the papers'. ``check`` raises BadSetting.

    stage2: a word of STAGE2. weighting, grid, solver, share, adaptive: of "emd" only. weighting: a name of WEIGHTINGS.
    alpha: share of the Stage 2 distance in Eq. 5.1; None = 0.7 for "emd", and for a cross-image model what was
    chosen with its weights. k: how many candidates Stage 2 re-orders. grid: patches as (rows, cols), None = the
    backbone's first.
    solver: a name of SOLVERS or "auto". share: of the patches' mass that transport must move (see
    ``demo.matching.transport``). adaptive: raise alpha for a query whose patches are out of place (see
    ``demo.matching.adapt``). occlusion, style, seed: how the query is altered first, if at all; occlusion
    is a word of ALTERATIONS.
    detector: which face detector. face: which face of the photo, 0 = the largest.
    aligned: the photo is an aligned crop already, so no face is looked for.
    """

    stage2: str = "emd"
    weighting: str = "apc"
    alpha: float | None = None
    k: int = 100
    grid: Grid | None = None
    solver: str = "auto"
    occlusion: str | None = None
    style: str | None = None
    seed: int = 0
    detector: str = "hog"
    face: int = 0
    aligned: bool = False
    share: float = 1.0
    adaptive: bool = False

    def check(self) -> None:
        """Raise BadSetting, in one sentence, for the first setting that is out of range or unknown."""
        for word, value, known in (("re-ranking", self.stage2, STAGE2), ("weighting", self.weighting, WEIGHTINGS),
                                   ("solver", self.solver, {"auto", *SOLVERS})):
            if value not in known:
                raise BadSetting(f"Unknown {word} {value!r}: choose from {', '.join(known)}.")
        if self.occlusion is not None and self.occlusion not in ALTERATIONS:
            raise BadSetting(f"There is no alteration {self.occlusion!r}: choose from {', '.join(ALTERATIONS)}.")
        if self.alpha is not None and not 0 <= self.alpha <= 1:
            raise BadSetting(f"alpha must lie between 0 and 1; got {self.alpha}.")
        check_share(self.share, self.solver)
        if self.k < 1:
            raise BadSetting(f"k must be at least 1; got {self.k}.")


@dataclass(frozen=True)
class Query:
    """The query on its way from photo to features.

    photo: as decoded, uint8 (H, W, 3). faces: all that were found in it, largest first; face: the chosen one.
    alteration: what was done to it, if anything, with the face as found in a perturbed photo.
    crop: the aligned (altered) face, uint8 (h, w, 3). cover: (h, w) share of each crop pixel that the
    alteration covers. features: batch of one.
    """

    photo: np.ndarray
    faces: tuple[Face, ...]
    face: Face
    alteration: Alteration | None
    crop: np.ndarray
    cover: np.ndarray
    features: Features

    @property
    def altered(self) -> np.ndarray:
        """The photo as the matcher meets it."""
        return self.photo if self.alteration is None else self.alteration.photo

    def as_json(self, options: Options) -> dict:
        """The photo and what was done to it, as plain data. options: those it was prepared with."""
        return {
            "width": self.photo.shape[1], "height": self.photo.shape[0], "faces": len(self.faces),
            "face": options.face, "box": [round(float(x), 1) for x in self.face.box],
            "aligned": options.aligned, "occlusion": options.occlusion,
            "style": None if self.alteration is None else self.alteration.style, "seed": options.seed,
            "note": "" if self.alteration is None else self.alteration.note,
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


def prepare_query(photo, backbone: Backbone, options: Options, clock: Clock | None = None,
                  gallery: Gallery | None = None) -> Query:
    """Photo (anything ``load_photo`` takes) → Query. Raises BadPhoto, NoFace (FaceLost after altering) or BadSetting.

    gallery: where an adversarial alteration looks for whom to impersonate.
    """
    clock = clock or Clock(backbone.device)
    with clock.step("decode"):
        photo = load_photo(photo)
    with clock.step("detect"):
        faces, face = find_query_face(photo, options)
    alteration = None
    if options.occlusion:
        with clock.step("alter"):
            alteration = altered_photo(photo, face, backbone, options, gallery).relocated(options.detector)
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
    return Query(photo, faces, face, alteration, crop, cover, features)


def altered_photo(photo: np.ndarray, face: Face, backbone: Backbone, options: Options,
                  gallery: Gallery | None) -> Alteration:
    """What ``options`` asks to be done to a photo."""
    if options.occlusion not in ATTACKS:
        return alter(photo, face, options.occlusion, style=options.style, seed=options.seed)
    if options.style is not None:
        raise BadSetting(f"There is no style {options.style!r} of {options.occlusion}; it has no styles.")
    return adversarial(photo, face, options.occlusion, backbone, gallery, seed=options.seed)


def find_query_face(photo: np.ndarray, options: Options) -> tuple[tuple[Face, ...], Face]:
    """All faces of a photo and the chosen one; NoFace where there is none, BadSetting for a face that is not there."""
    if options.aligned:
        face = aligned_face(photo)
        return (face,), face
    faces = tuple(detect_faces(photo, options.detector))
    if not faces:
        raise NoFace(NO_FACE)
    if not 0 <= options.face < len(faces):
        raise BadSetting(f"The photo has {len(faces)} face(s), so there is no face number {options.face + 1}.")
    return faces, faces[options.face]
