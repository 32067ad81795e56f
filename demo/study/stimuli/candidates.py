"""Pairs of photos that a study could show, with what every method says of them.

As in the papers, one photo of a pair (the query) may wear a drawn mask or sunglasses; the other is left as it is.
Different people are hard negatives: those whom Stage 1 ranks nearest to the query.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from demo.backbones import Features
from demo.calibration import FEWEST, Calibration, Threshold
from demo.errors import BadStudy, DemoError
from demo.faces import Face, align, alter, find_face, load_photo
from demo.gallery import list_photos
from demo.identify import Identifier
from demo.methods import Method
from demo.study.stimuli.shortcuts import COLOUR, Traits, tint

log = logging.getLogger("demo")

#: Name in the study's tables → how the query is altered.
KINDS = {"none": None, "mask": "mask", "glasses": "sunglasses"}
#: How many people near to a query are offered as its hard negatives.
HARD_NEGATIVES = 6


@dataclass(frozen=True)
class Photo:
    """A photo with its face. path: as named in the study's tables. row: in the gallery, None for a query photo."""

    path: str
    identity: str
    file: Path
    face: Face
    row: int | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Person and file name, as metadata name it."""
        return self.identity, self.file.name


@dataclass(frozen=True)
class Look:
    """A photo as it is shown. kind: a key of KINDS. seed: of the alteration."""

    photo: Photo
    kind: str
    seed: int

    def crop(self, template) -> np.ndarray:
        """The aligned crop in a frame: uint8 (h, w, 3)."""
        picture = load_photo(self.photo.file)
        if KINDS[self.kind] is None:
            return align(picture, self.photo.face, template)
        return alter(picture, self.photo.face, KINDS[self.kind], seed=self.seed).aligned(template)[0]


@dataclass(frozen=True)
class Candidate:
    """A pair. query may be altered, other never is. distances: method → distance. right: method → whether its decision
    is right. ease: how clearly the methods are right, on average, in standard deviations; below 0 they are wrong.
    unlike: in how many traits that never vary within a person they differ. equal: trait → whether both photos have the
    same value. apart: quantity → how far they differ."""

    query: Look
    other: Look
    same: bool
    distances: dict[str, float]
    right: dict[str, bool]
    ease: float
    unlike: int = 0
    equal: dict[str, bool] = field(default_factory=dict)
    apart: dict[str, float] = field(default_factory=dict)

    @cached_property
    def photos(self) -> tuple[str, str]:
        return self.query.photo.path, self.other.photo.path

    @cached_property
    def people(self) -> set[str]:
        return {self.query.photo.identity, self.other.photo.identity}

    @property
    def stratum(self) -> tuple[bool, str]:
        return self.same, self.query.kind


@dataclass(frozen=True)
class Pool:
    """Everything there is to choose from. thresholds: (method, kind) → Threshold. photos: of the gallery. traits: what
    is written of them."""

    candidates: tuple[Candidate, ...]
    thresholds: dict[tuple[str, str], Threshold]
    photos: tuple[Photo, ...]
    traits: Traits = Traits()


def measure(identifier: Identifier, *, queries: Path | None = None, seed: int = 0, traits: Traits | None = None,
            progress: Callable[[Sequence], Iterable] = iter) -> Pool:
    """All candidates of a gallery. queries: a folder of the same people with other photos (None = the gallery's own).
    traits: what is written of the photos; pairs of two people are alike in those that never vary within a person, as
    far as there are such pairs.

    progress: wraps the list of jobs. BadStudy where the gallery has no thresholds.
    """
    gallery = identifier.gallery
    photos = tuple(Photo(entry.path, entry.identity, gallery.photo_file(row), gallery.face(row), row)
                   for row, entry in enumerate(gallery.entries))
    methods = identifier.ready(verifies=True)
    thresholds, traits = _thresholds(identifier, methods), traits or Traits()
    tints: dict[str, np.ndarray] = {}
    found, jobs = [], [(photo, kind) for photo in (photos if queries is None else _query_photos(queries, gallery))
                       for kind in KINDS]
    for number, (photo, kind) in enumerate(progress(jobs)):
        look = Look(photo, kind, seed * 1_000_003 + number)
        crop = look.crop(identifier.backbone)
        if kind == "none":
            tints[photo.path] = tint(crop)
        features = identifier.backbone.extract(crop)
        rows = _partners(identifier, photos, photo, features, traits)
        if rows:
            others = gallery.features(rows)
            again = features[[0] * len(rows)]
            distances = {word: method.pairs(again, others).double().cpu().numpy() for word, method in methods.items()}
            found += [(look, row, {word: float(values[slot]) for word, values in distances.items()})
                      for slot, row in enumerate(rows)]
    for row in {row for _, row, _ in found} - {look.photo.row for look, _, _ in found}:
        tints[photos[row].path] = tint(Look(photos[row], "none", 0).crop(identifier.backbone))
    return Pool(tuple(_judged(found, photos, thresholds, traits, tints)), thresholds, photos, traits)


def _query_photos(folder: Path, gallery) -> list[Photo]:
    """Photos of the gallery's people in another folder, each with its most prominent face."""
    found = []
    for photo in list_photos(folder):
        try:
            if photo.identity in gallery.people:
                face = find_face(load_photo(photo.file))
                found.append(Photo(f"queries/{photo.path}", photo.identity, photo.file, face))
        except DemoError as error:
            log.info("study: left out %s: %s", photo.path, error)
    if not found:
        raise BadStudy(f"{folder} holds no usable photo of the people in the gallery {gallery.name}: leave it out to "
                       "pair the gallery's own photos.")
    return found


def _thresholds(identifier: Identifier, methods: dict[str, Method]) -> dict[tuple[str, str], Threshold]:
    thresholds, calibration = {}, Calibration(identifier.gallery)
    for word, method in methods.items():
        for kind, occlusion in KINDS.items():
            threshold = calibration.own_threshold(method, occlusion, None)
            if not isinstance(threshold, Threshold):
                raise BadStudy(f"The gallery {identifier.gallery.name} has no thresholds, so no method can decide: "
                               f"index it with `python -m demo gallery build`, with at least {FEWEST} pairs of photos "
                               "of one person.")
            thresholds[word, kind] = threshold
    return thresholds


def _partners(identifier: Identifier, photos: Sequence[Photo], photo: Photo, features: Features,
              traits: Traits) -> list[int]:
    """Gallery rows to pair a query with: the person's other photos, the nearest photos of the nearest strangers with
    the same fixed traits, and as many of whatever traits."""
    entries = identifier.gallery.entries
    rows = identifier.gallery.search(features.embedding)[1].tolist()
    own = [row for row in rows if entries[row].identity == photo.identity and row != photo.row]
    alike: dict[str, int] = {}
    nearest: dict[str, int] = {}
    for row in rows:
        if entries[row].identity != photo.identity:
            place = nearest if traits.unlike(photo.key, photos[row].key) else alike
            if len(place) < HARD_NEGATIVES:
                place.setdefault(entries[row].identity, row)
    return own + list(alike.values()) + list(nearest.values())


def _judged(found: list[tuple[Look, int, dict[str, float]]], photos: Sequence[Photo],
            thresholds: dict[tuple[str, str], Threshold], traits: Traits,
            tints: dict[str, np.ndarray]) -> Iterable[Candidate]:
    """Candidates with what the thresholds make of their distances, and how alike they are in anything but the face."""
    methods = sorted({method for method, _ in thresholds})
    spread = {method: float(np.std([distances[method] for _, _, distances in found])) or 1.0 for method in methods}
    for look, row, distances in found:
        other = Look(photos[row], "none", 0)
        same = look.photo.identity == other.photo.identity
        margins = {method: (thresholds[method, look.kind].value - distances[method]) * (1 if same else -1)
                   for method in methods}
        right = {method: (distances[method] <= thresholds[method, look.kind].value) == same for method in methods}
        ease = float(np.mean([margins[method] / spread[method] for method in methods]))
        one, two = look.photo.key, other.photo.key
        apart = {name: abs(values[one] - values[two]) for name, values in traits.numbers.items()
                 if one in values and two in values}
        apart[COLOUR] = float(np.linalg.norm(tints[look.photo.path] - tints[other.photo.path]))
        yield Candidate(look, other, same, distances, right, ease, traits.unlike(one, two), traits.equal(one, two),
                        apart)
