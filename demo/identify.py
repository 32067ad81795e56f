"""The two-stage identification as one call: plain data comes back, nothing is drawn.

Stage 1 ranks the whole gallery by cosine distance of the embeddings. Stage 2 re-orders the first k by a
patch-wise distance mixed with the cosine distance (Eq. 5.1); the rest keeps its order.
"""

from __future__ import annotations

import json
import platform
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

import demo
from demo.backbones import Backbone, Features
from demo.calibration import Calibration, Strangers, Unfit
from demo.crossimage import CrossImageModel
from demo.errors import BadPhoto, BadSetting, NoFace
from demo.faces import NO_FACE, Face, detect_faces, load_photo
from demo.fields import fields_of
from demo.gallery import Freshness, Gallery, in_short, person_named, what_is_missed
from demo.matching import EMDResult
from demo.methods import (
    METHODS,
    NONE,
    PREPARED_ROWS,
    STAGE1,
    Matching,
    Measured,
    Method,
    first_few,
    load_method,
    ready,
    rerank,
    usual,
)
from demo.query import Clock, Preparation, Query, asked, prepare_query
from demo.ranking import Match, Ranking, Stage1

#: Instead of a method: what is usual for the backbone.
USUAL = "usual"


@dataclass(frozen=True)
class Identification:
    """Everything an identification found.

    stage1, stage2: the whole gallery ranked, beyond the first k looked up when it is asked for; stage2 is empty for
    Stage 1 alone, and may be only its first few where no more were asked for. evidence: what the method measured of the
    first k of stage1, in that order, beside their distances, or of a stage2 of a few, in its order; None where that is
    nothing. matching: the settings, with the alpha that was used. timings_ms: step → milliseconds. truth: the query's
    identity, where the caller knows it. strangers: the yardstick for the best distance, or why there is none; None
    where nobody asked for it. indexed: what ``Identifier.told`` says of the gallery. missed: what an approximate index
    of Stage 1 may have missed, in a sentence; "" for nothing. unmeasured: that what was measured on the gallery cannot
    be used, likewise.
    """

    query: Query
    stage1: Sequence[Match]
    stage2: Sequence[Match]
    evidence: Any
    matching: Matching
    provenance: dict
    timings_ms: dict[str, float]
    truth: str | None = None
    strangers: Strangers | Unfit | None = None
    indexed: str = ""
    missed: str = ""
    unmeasured: str = ""

    @property
    def told(self) -> str:
        """What is to be known beside the ranking, in sentences: of the photo and its face, of the gallery, and of the
        distances."""
        measured = self.emd.told if self.emd else ""
        told = self.query.told, self.indexed, self.missed, self.unmeasured, measured
        return " ".join(text for text in told if text)

    @property
    def emd(self) -> EMDResult | None:
        """Distances, flows and weights of the first k of stage1, in that order, where transport re-ranked them."""
        return self.evidence if isinstance(self.evidence, EMDResult) else None

    @property
    def ranking(self) -> Sequence[Match]:
        """The final ranking."""
        return self.stage2 or self.stage1

    @property
    def measured(self) -> tuple[Match, ...]:
        """Those of stage2 that Stage 2 measured, in its order."""
        return self.stage2.head if isinstance(self.stage2, Ranking) else tuple(self.stage2)

    def as_json(self, top: int | None = None) -> dict:
        """The answer as plain data; ``top`` keeps the first few of each ranking."""
        word = self.matching.method
        return {
            "query": {**self.query.as_json(), "identity": self.truth},
            "stage1": [{"rank": m.rank, "identity": m.identity, "path": m.path, "cosine": m.cosine}
                       for m in self.stage1[:top]],
            "stage2": [{"rank": m.rank, "identity": m.identity, "path": m.path, "cosine": m.cosine,
                        word: m.patch, "combined": m.combined} for m in self.stage2[:top]],
            "verdict": self._verdict(), "notes": self.told,
            "settings": {**settings_json(self.matching, self.evidence), "detector": self.query.preparation.detector,
                         **self.provenance},
            "timings_ms": {step: round(ms, 2) for step, ms in self.timings_ms.items()},
        }

    def _verdict(self) -> dict | None:
        """What the calibration says of the nearest, with the distances that it goes by."""
        yardstick, distance = self.strangers, self.ranking[0].distance
        if isinstance(yardstick, Strangers):
            near, far = yardstick.limits
            return {"says": yardstick.verdict(distance), "distance": distance, "plausible_up_to": near,
                    "nobody_beyond": far, "nearer_strangers": yardstick.share_below(distance),
                    "source": yardstick.source}
        return None if yardstick is None else {"says": None, "reason": yardstick.reason}


def settings_json(matching: Matching, evidence: Any) -> dict:
    """The settings of a ranking as plain data. Those of a method that did not rank are null, unless pictures show them
    all the same; what the evidence knows better (the solver that "auto" became, the grid) it says."""
    used = {one.key for one in matching.used()} | {one.key for one in fields_of(Matching)} - {"grid"}
    values = {}
    for holder in (matching, *matching.options):
        for one in fields_of(type(holder)):
            known = getattr(evidence, one.name, None)
            value = getattr(holder, one.name) if known is None else known
            shown = one.always or one.key in used or known is not None
            values[one.key] = (one.show(value) if one.parse and value is not None else value) if shown else None
    return values


def json_text(data) -> str:
    """An answer as the JSON text that every way of asking gives."""
    return json.dumps(data, indent=1, ensure_ascii=False)


class Identifier:
    """A backbone and a gallery, ready to identify. Calls leave no trace, so threads may share one.

    model: re-ranks by this cross-image model instead of the one of its kind that comes with the app; it must work on
    the backbone. freshness: asks the gallery's folder what has changed.
    """

    def __init__(self, backbone: Backbone, gallery: Gallery, model: CrossImageModel | None = None):
        if gallery.manifest.weights_sha256 != backbone.weights_sha256:
            raise BadSetting(f"The gallery {gallery.name} was not built with the loaded {backbone.name} weights.")
        if model is not None and model.backbone.weights_sha256 != backbone.weights_sha256:
            raise BadSetting(f"This Model {model.kind} works on its own {model.backbone.name} backbone: use that one.")
        self.backbone = backbone
        self.gallery = gallery
        self.model = model
        self.freshness, self._missed = Freshness(gallery), what_is_missed(gallery)
        self._lock = threading.Lock()
        self._methods: dict[str, Method] = {}
        self._prepared: dict[str, Any] = {}

    def told(self) -> str:
        """What is to be known of the gallery beside every answer, in sentences: what has changed in its folder since it
        was indexed, and what was left out where it was indexed on the way; "" for nothing."""
        return " ".join(text for text in (self.freshness.told(wait=False), in_short(self.gallery.left_out)) if text)

    def __reduce__(self):
        """Pickled as what it was made of."""
        return type(self), (self.backbone, self.gallery, self.model)

    def identify(self, photo, *, stage2: str | None = USUAL, truth: str | None = None, first: int | None = None,
                 **settings) -> Identification:
        """Identify the person in a photo (anything ``load_photo`` takes).

        stage2: the word of a method that re-ranks, by default what is usual for the backbone and takes these settings;
        None and "none" are Stage 1 only. truth: the identity, where known, only passed on. first: how many of the
        re-ranked are wanted, None = all; where the method knows lower bounds, candidates that cannot be among them are
        not measured then, and ``stage2`` holds no others. settings: by name, of ``demo.query.Preparation``,
        ``demo.methods.Matching`` and the methods' options. Raises BadPhoto, NoFace or BadSetting.
        """
        word = usual(self.backbone, self.gallery, settings).word if stage2 == USUAL else stage2 or NONE
        return self.answer(photo, *asked(stage2=word, **settings), truth=truth, first=first)

    def everyone(self, photo, preparation: Preparation, matching: Matching, *, first: int | None = None,
                 most: int | None = None) -> list[Identification]:
        """An answer for every face of a photo, the most prominent first; small faces are looked for beside large ones.
        most: a photo of more faces is not answered. Raises BadPhoto, NoFace or BadSetting."""
        photo = load_photo(photo, self.gallery.limits)
        if preparation.aligned:
            return [self.answer(photo, preparation, matching, first=first)]
        faces = tuple(detect_faces(photo, preparation.detector, folder=self.backbone.info.folder, every=True))
        if not faces:
            raise NoFace(NO_FACE)
        if most is not None and len(faces) > most:
            raise BadPhoto(f"The photo shows {len(faces)} faces and the limit is {most}: send a part of it.")
        return [self.answer(photo, replace(preparation, face=number), matching, first=first, faces=faces)
                for number in range(len(faces))]

    def answer(self, photo, preparation: Preparation, matching: Matching, *, truth: str | None = None,
               first: int | None = None, faces: tuple[Face, ...] = ()) -> Identification:
        """``identify`` with the settings as they are kept. faces: those that were found in the photo already."""
        clock = Clock(self.backbone.device)
        query = prepare_query(photo, self.backbone, preparation, clock, self.gallery, faces=faces)
        found = self.rank(query, matching, clock=clock, truth=truth and person_named(truth), first=first)
        with clock.step("strangers"):
            strangers = self.strangers(found)
        return replace(found, strangers=strangers, indexed=self.told(), missed=self._missed,
                       unmeasured=Calibration(self.gallery).damage, timings_ms=clock.total())

    def rank(self, query: Query, matching: Matching, *, clock: Clock | None = None, truth: str | None = None,
             exclude: Sequence[int] = (), first: int | None = None) -> Identification:
        """Rank the gallery for a prepared query. exclude: rows to leave out (the query's own photo, say). first: as of
        ``identify``."""
        if first is not None and first < 1:
            raise BadSetting(f"At least the first one has to be wanted, not {first}.")
        clock = clock or Clock(self.backbone.device)
        with clock.step("search"):
            whole = Stage1(self.gallery, query.features.embedding, frozenset(exclude))
            stage1 = Ranking(whole.first(matching.k), whole)
        stage2, evidence, used = (), None, self.provenance()
        if matching.reranks:
            matching = replace(matching, alpha=self.alpha(matching, query.features))
            stage2, evidence = self._rerank(query, stage1.head, matching, clock, first)
            if first is None or len(stage2) == len(stage1.head):
                stage2 = Ranking(stage2, whole)
            used |= self.method(matching.method).provenance()
        return Identification(query, stage1, stage2, evidence, matching, used, clock.total(), truth)

    def _rerank(self, query: Query, head: tuple[Match, ...], matching: Matching, clock: Clock,
                first: int | None) -> tuple[tuple[Match, ...], Any]:
        """Stage 2 of the first of Stage 1, and its evidence."""
        cosine = torch.tensor([match.cosine for match in head], dtype=torch.float64)
        assert matching.alpha is not None

        def ranked(slots: torch.Tensor, patch: torch.Tensor, combined: torch.Tensor) -> tuple[Match, ...]:
            lists = slots.tolist(), patch.tolist(), combined.tolist()
            return tuple(replace(head[slot], rank=rank, patch=near, combined=mixed)
                         for rank, (slot, near, mixed) in enumerate(zip(*lists, strict=True), start=1))

        method, options = self.method(matching.method), matching.of()
        with clock.step("patches"):
            candidates = self._candidates(method, [match.row for match in head], matching)
        with clock.step(method.word):
            bounded = None
            if first is not None and first < len(head):
                bounded = method.bounded(query.features, candidates, options, matching.grid)
            if bounded is not None and first is not None:
                few = first_few(cosine, bounded.least, bounded.measure, matching.alpha, first)
                return ranked(few.slots, few.patch, few.combined), few.evidence
            measured = method.distances(query.features, candidates, options, matching.grid)
        patch = measured.distances.double().cpu()
        final = rerank(cosine, patch, matching.alpha)
        return ranked(final.order, patch[final.order], final.distances[final.order]), measured.evidence

    def measure(self, features: Features, rows: Sequence[int], matching: Matching, clock: Clock) -> Measured:
        """Stage 2 distances (k,) of a query's features to some gallery rows, with what explains them."""
        method = self.method(matching.method)
        with clock.step("patches"):
            candidates = self._candidates(method, rows, matching)
        with clock.step(method.word):
            return method.distances(features, candidates, matching.of(method.word), matching.grid)

    def measures(self, features: Features, rows: Sequence[int], matching: Matching,
                 clock: Clock) -> Callable[[Matching], torch.Tensor]:
        """Setting → the distances that ``measure`` gives under it, of settings that have the method and the grid of
        ``matching``: what those share is computed once."""
        method = self.method(matching.method)
        with clock.step("patches"):
            candidates = self._candidates(method, rows, matching)
        with clock.step(method.word):
            under = method.under(features, candidates, matching.grid)
        return lambda wanted: under(wanted.of(method.word))

    def _candidates(self, method: Method, rows: Sequence[int], matching: Matching) -> Any:
        whole = self._whole(method)
        if whole is None:
            return method.prepare(self.gallery.features(rows, matching.grid if method.uses_grid else None))
        return whole[torch.tensor(rows, device=self.backbone.device)]

    def _whole(self, method: Method) -> Any:
        """The whole gallery prepared for a method, once; None where that is not worth it, or too much."""
        if not method.cached or len(self.gallery) > PREPARED_ROWS:
            return None
        with self._lock:
            if method.word not in self._prepared:
                self._prepared[method.word] = method.prepare(self.gallery.features(range(len(self.gallery))))
            return self._prepared[method.word]

    def method(self, word: str) -> Method:
        """A method for this backbone and gallery, loaded on first use. WeightsMissing where no weights come for it."""
        with self._lock:
            if word not in self._methods:
                self._methods[word] = load_method(word, self.backbone, self.gallery, model=self.model)
            return self._methods[word]

    def ready(self, *, verifies: bool = False) -> dict[str, Method]:
        """Word → method, of all that can be used here. verifies: only those that judge pairs."""
        among = {word: one for word, one in METHODS.items() if one.verifies or not verifies}
        given = {one.word for one in among.values() if self.model and one.trained and one.name == self.model.kind}
        return {word: self.method(word) for word in among
                if word in given or word in ready(self.backbone, self.gallery, among=among)}

    def prepare_all(self) -> None:
        """Load every method that judges pairs and prepare the gallery for it, so that no visitor waits for it; patches
        that a small gallery does not hold are computed too."""
        if len(self.gallery) <= PREPARED_ROWS:
            self.gallery.features(range(len(self.gallery)))
        for method in self.ready(verifies=True).values():
            self._whole(method)

    def alpha(self, matching: Matching, features: Features) -> float:
        """Share of the Stage 2 distance for a query (features of one face)."""
        alpha = self.method(matching.method).alpha_for(features, matching.of(), matching.alpha)
        assert alpha is not None  # every method that re-ranks has one
        return alpha

    def strangers(self, found: Identification) -> Strangers | Unfit:
        """The yardstick for the distances of an answer: how near strangers come under the same settings, their photos
        altered in the same way; or why that is not known."""
        if found.query.faceless:
            return Unfit(found.query.faceless, photo=True)
        matching = found.matching
        method = self.method(matching.method if matching.reranks else STAGE1.word)
        return Calibration(self.gallery).strangers(
            method, matching, found.query.measured_as, matching.alpha if matching.reranks else None, found.query.crop)

    def provenance(self) -> dict:
        """What the numbers were made with."""
        return {
            "backbone": self.backbone.name, "weights_sha256": self.backbone.weights_sha256,
            "gallery": self.gallery.name, "gallery_sha256": self.gallery.sha256,
            "version": demo.__version__, "torch": torch.__version__, "python": platform.python_version(),
            "device": str(self.backbone.device),
        }

