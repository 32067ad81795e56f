"""The two-stage identification as one call: plain data comes back, nothing is drawn.

Stage 1 ranks the whole gallery by cosine distance of the embeddings. Stage 2 re-orders the first k by a
patch-wise distance mixed with the cosine distance (Eq. 5.1); the rest keeps its order.
"""

from __future__ import annotations

import json
import platform
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch

import demo
from demo.backbones import Backbone, Features, Grid, grid_name
from demo.crossimage import METHODS, Comparison, CrossImageModel, load_method
from demo.errors import BadSetting, NoFace, WeightsMissing
from demo.faces import (
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
from demo.matching import SOLVERS, WEIGHTINGS, EMDResult, combined, emd

#: Ways to re-rank: word → title. All but "emd" and "none" are cross-image models (``demo.crossimage.METHODS``).
STAGE2 = {"emd": "Earth Mover's Distance (EMD)", "h2l": "Cross-image attention (H2L)",
          "h2": METHODS["H2"].title, "h1": METHODS["H1"].title, "v": METHODS["V"].title, "none": "Stage 1 only"}
#: Share of the EMD in Eq. 5.1, as in the paper.
PAPER_ALPHA = 0.7
#: Galleries up to this size are prepared for a cross-image model once; of larger ones only the candidates, each time.
PREPARED_ROWS = 2000


@dataclass(frozen=True)
class Options:
    """Settings of an identification; the defaults are the papers'. ``check`` raises BadSetting.

    stage2: a word of STAGE2. weighting, grid, solver: of "emd" only. weighting: a name of WEIGHTINGS.
    alpha: share of the Stage 2 distance in Eq. 5.1; None = 0.7 for "emd", and for a cross-image model what was
    chosen with its weights. k: how many candidates Stage 2 re-orders. grid: patches as (rows, cols), None = the
    backbone's first.
    solver: a name of SOLVERS or "auto". occlusion, style, seed: how the query is altered first, if at all.
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

    def check(self) -> None:
        """Raise BadSetting, in one sentence, for the first setting that is out of range or unknown."""
        for word, value, known in (("re-ranking", self.stage2, STAGE2), ("weighting", self.weighting, WEIGHTINGS),
                                   ("solver", self.solver, {"auto", *SOLVERS})):
            if value not in known:
                raise BadSetting(f"Unknown {word} {value!r}: choose from {', '.join(known)}.")
        if self.alpha is not None and not 0 <= self.alpha <= 1:
            raise BadSetting(f"alpha must lie between 0 and 1; got {self.alpha}.")
        if self.k < 1:
            raise BadSetting(f"k must be at least 1; got {self.k}.")


@dataclass(frozen=True)
class Query:
    """The query on its way from photo to features.

    photo: as decoded, uint8 (H, W, 3). faces: all that were found, largest first; face: the chosen one, or
    None for an aligned crop without a detectable face. alteration: what was drawn over it, if anything.
    crop: the aligned (altered) face, uint8 (h, w, 3). cover: (h, w) share of each crop pixel that the
    alteration covers. features: batch of one.
    """

    photo: np.ndarray
    faces: tuple[Face, ...]
    face: Face | None
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
            "face": options.face, "box": None if self.face is None else [round(float(x), 1) for x in self.face.box],
            "aligned": options.aligned, "occlusion": options.occlusion,
            "style": None if self.alteration is None else self.alteration.style, "seed": options.seed,
        }


@dataclass(frozen=True)
class Match:
    """One gallery photo in a ranking. Distances: smaller is nearer; None where Stage 2 did not measure it.

    rank: from 1. row: in the gallery. cosine: 1 - cosine similarity. patch: the Stage 2 distance (EMD, H2L, ...).
    combined: Eq. 5.1. stage1_rank: its rank before re-ranking.
    """

    rank: int
    row: int
    identity: str
    path: str
    cosine: float
    patch: float | None = None
    combined: float | None = None
    stage1_rank: int = 0

    @property
    def moved(self) -> int:
        """Places gained by re-ranking (negative: lost)."""
        return self.stage1_rank - self.rank

    @property
    def distance(self) -> float:
        """What the ranking it stands in goes by."""
        return self.cosine if self.combined is None else self.combined


@dataclass(frozen=True)
class Identification:
    """Everything an identification found. stage1, stage2: the whole gallery ranked (stage2 empty for "none").

    emd: distances, flows and weights of the first k of stage1, in that order; None unless stage2 is "emd".
    timings_ms: step → milliseconds. truth: the query's identity, where the caller knows it.
    """

    query: Query
    stage1: tuple[Match, ...]
    stage2: tuple[Match, ...]
    emd: EMDResult | None
    options: Options
    provenance: dict
    timings_ms: dict[str, float]
    truth: str | None = None

    @property
    def ranking(self) -> tuple[Match, ...]:
        """The final ranking."""
        return self.stage2 or self.stage1

    def as_json(self, top: int | None = None) -> dict:
        """The answer as plain data; ``top`` keeps the first few of each ranking."""
        options = self.options
        return {
            "query": {**self.query.as_json(options), "identity": self.truth},
            "stage1": [{"rank": m.rank, "identity": m.identity, "path": m.path, "cosine": m.cosine}
                       for m in self.stage1[:top]],
            "stage2": [{"rank": m.rank, "identity": m.identity, "path": m.path, "cosine": m.cosine,
                        options.stage2: m.patch, "combined": m.combined} for m in self.stage2[:top]],
            "settings": {
                "stage2": options.stage2, "weighting": options.weighting, "alpha": options.alpha, "k": options.k,
                "grid": grid_name(self.emd.grid) if self.emd else None,
                "solver": self.emd.solver if self.emd else None, "detector": options.detector, **self.provenance,
            },
            "timings_ms": {step: round(ms, 2) for step, ms in self.timings_ms.items()},
        }


def json_text(data) -> str:
    """An answer as the JSON text that every way of asking gives."""
    return json.dumps(data, indent=1, ensure_ascii=False)


class Clock:
    """Milliseconds per named step; waits for the device at the end of a step."""

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
        self.steps[name] = (time.perf_counter() - begin) * 1000

    def total(self) -> dict[str, float]:
        return {**self.steps, "total": (time.perf_counter() - self.start) * 1000}


def prepare_query(photo, backbone: Backbone, options: Options, clock: Clock | None = None) -> Query:
    """Photo (anything ``load_photo`` takes) → Query. Raises BadPhoto, NoFace or BadSetting."""
    clock = clock or Clock(backbone.device)
    with clock.step("decode"):
        photo = load_photo(photo)
    with clock.step("detect"):
        faces, face = find_query_face(photo, options)
    alteration = None
    if options.occlusion:
        with clock.step("alter"):
            alteration = alter(photo, face, options.occlusion, style=options.style, seed=options.seed)
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


class Identifier:
    """A backbone and a gallery, ready to identify. Calls leave no trace, so threads may share one."""

    def __init__(self, backbone: Backbone, gallery: Gallery):
        if gallery.manifest.weights_sha256 != backbone.weights_sha256:
            raise BadSetting(f"The gallery {gallery.name} was not built with the loaded {backbone.name} weights.")
        self.backbone = backbone
        self.gallery = gallery
        self._lock = threading.Lock()
        self._cross: dict[str, tuple[Comparison, Any]] = {}

    def identify(self, photo, *, stage2: str | None = "emd", truth: str | None = None, **options) -> Identification:
        """Identify the person in a photo (anything ``load_photo`` takes).

        stage2: a word of STAGE2; None and "none" are Stage 1 only. truth: the identity, where known, only passed on.
        options: the other fields of ``Options``. Raises BadPhoto, NoFace or BadSetting.
        """
        try:
            chosen = Options(stage2=stage2 or "none", **options)
        except TypeError:
            unknown = sorted(set(options) - {spec.name for spec in fields(Options)})
            raise BadSetting(f"Unknown setting {', '.join(unknown)}.") from None
        chosen.check()
        clock = Clock(self.backbone.device)
        query = prepare_query(photo, self.backbone, chosen, clock)
        return self.rank(query, chosen, clock=clock, truth=truth)

    def rank(self, query: Query, options: Options, *, clock: Clock | None = None, truth: str | None = None,
             exclude: Sequence[int] = ()) -> Identification:
        """Rank the gallery for a prepared query. exclude: rows to leave out (the query's own photo, say)."""
        clock = clock or Clock(self.backbone.device)
        with clock.step("search"):
            distances, rows = self.gallery.search(query.features.embedding)
            pairs = list(zip(rows.tolist(), distances.tolist(), strict=True))
            if exclude:
                left_out = set(exclude)
                pairs = [pair for pair in pairs if pair[0] not in left_out]
            entries = self.gallery.entries
            stage1 = tuple(
                Match(rank, row, entries[row].identity, entries[row].path, cosine, stage1_rank=rank)
                for rank, (row, cosine) in enumerate(pairs, start=1)
            )
        stage2, result = (), None
        if options.stage2 != "none":
            options = replace(options, alpha=self.alpha(options))
            stage2, result = self._rerank(query, stage1, options, clock)
        return Identification(query, stage1, stage2, result, options, self.provenance(), clock.total(), truth)

    def _rerank(self, query: Query, stage1: tuple[Match, ...], options: Options,
                clock: Clock) -> tuple[tuple[Match, ...], EMDResult | None]:
        head, tail = stage1[:options.k], stage1[options.k:]
        rows, result = [match.row for match in head], None
        if options.stage2 == "emd":
            with clock.step("patches"):
                candidates = self.gallery.features(rows, options.grid)
            with clock.step("emd"):
                result = emd(query.features, candidates, options.weighting, options.solver, options.grid)
                patch = result.distance.double().cpu()
        else:
            comparison, prepared = self.comparison(options.stage2)
            with clock.step("patches"):
                candidates = (comparison.prepare(self.gallery.features(rows)) if prepared is None
                              else prepared[torch.tensor(rows, device=self.backbone.device)])
            with clock.step(options.stage2):
                patch = comparison.distances(query.features, candidates).double().cpu()
        cosine = torch.tensor([match.cosine for match in head], dtype=torch.float64)
        mixed = combined(cosine, patch, options.alpha)
        order = torch.sort(mixed, stable=True).indices.tolist()
        first = tuple(
            replace(head[slot], rank=rank, patch=float(patch[slot]), combined=float(mixed[slot]))
            for rank, slot in enumerate(order, start=1)
        )
        return first + tail, result

    def comparison(self, stage2: str) -> tuple[Comparison, Any]:
        """A cross-image model for this backbone and the whole gallery prepared for it (None for a large gallery).

        Loaded and prepared on first use. WeightsMissing where no weights come for this backbone.
        """
        with self._lock:
            if stage2 not in self._cross:
                comparison = load_method(stage2.upper(), self.backbone)
                small = len(self.gallery) <= PREPARED_ROWS
                prepared = comparison.prepare(self.gallery.features(range(len(self.gallery)))) if small else None
                self._cross[stage2] = comparison, prepared
            return self._cross[stage2]

    def h2l(self) -> CrossImageModel | None:
        """The H2L of this backbone, or None where no weights come for it."""
        try:
            return self.comparison("h2l")[0].model
        except WeightsMissing:
            return None

    def alpha(self, options: Options) -> float:
        """Share of the Stage 2 distance: the one asked for, or the method's own."""
        if options.alpha is not None:
            return options.alpha
        return PAPER_ALPHA if options.stage2 == "emd" else self.comparison(options.stage2)[0].model.alpha

    def provenance(self) -> dict:
        """What the numbers were made with."""
        return {
            "backbone": self.backbone.name, "weights_sha256": self.backbone.weights_sha256,
            "gallery": self.gallery.name, "gallery_sha256": self.gallery.sha256,
            "version": demo.__version__, "torch": torch.__version__, "python": platform.python_version(),
            "device": str(self.backbone.device),
        }


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
