"""Pairs of photos that a study could show, with what every method says of them.

As in the papers, one photo of a pair (the query) may wear a drawn mask or sunglasses; the other is left as it is.
Different people are hard negatives: those whom Stage 1 ranks nearest to the query.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from demo.backbones import Features
from demo.calibration import FEWEST, Calibration, Threshold
from demo.errors import BadStudy, DemoError
from demo.faces import Face, align, alter, find_face, load_photo
from demo.gallery import list_photos
from demo.identify import Identifier
from demo.methods import Method

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
    is right. ease: how clearly the methods are right, on average, in standard deviations; below 0 they are wrong."""

    query: Look
    other: Look
    same: bool
    distances: dict[str, float]
    right: dict[str, bool]
    ease: float

    @property
    def photos(self) -> tuple[str, str]:
        return self.query.photo.path, self.other.photo.path

    @property
    def people(self) -> set[str]:
        return {self.query.photo.identity, self.other.photo.identity}


@dataclass(frozen=True)
class Pool:
    """Everything there is to choose from. thresholds: (method, kind) → Threshold. photos: of the gallery."""

    candidates: tuple[Candidate, ...]
    thresholds: dict[tuple[str, str], Threshold]
    photos: tuple[Photo, ...]


def measure(identifier: Identifier, *, queries: Path | None = None, seed: int = 0,
            progress: Callable[[Sequence], Iterable] = iter) -> Pool:
    """All candidates of a gallery. queries: a folder of the same people with other photos (None = the gallery's own).

    progress: wraps the list of jobs. BadStudy where the gallery has no thresholds.
    """
    gallery = identifier.gallery
    photos = tuple(Photo(entry.path, entry.identity, gallery.photo_file(row), gallery.face(row), row)
                   for row, entry in enumerate(gallery.entries))
    methods = identifier.ready(verifies=True)
    thresholds = _thresholds(identifier, methods)
    found, jobs = [], [(photo, kind) for photo in (photos if queries is None else _query_photos(queries, gallery))
                       for kind in KINDS]
    for number, (photo, kind) in enumerate(progress(jobs)):
        look = Look(photo, kind, seed * 1_000_003 + number)
        features = identifier.backbone.extract(look.crop(identifier.backbone))
        rows = _partners(identifier, photo, features)
        if rows:
            others = gallery.features(rows)
            again = features[[0] * len(rows)]
            distances = {word: method.pairs(again, others).double().cpu().numpy() for word, method in methods.items()}
            found += [(look, row, {word: float(values[slot]) for word, values in distances.items()})
                      for slot, row in enumerate(rows)]
    return Pool(tuple(_judged(found, photos, thresholds)), thresholds, photos)


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


def _partners(identifier: Identifier, photo: Photo, features: Features) -> list[int]:
    """Gallery rows to pair a query with: the person's other photos, and the nearest photo of the nearest strangers."""
    entries = identifier.gallery.entries
    rows = identifier.gallery.search(features.embedding)[1].tolist()
    own = [row for row in rows if entries[row].identity == photo.identity and row != photo.row]
    nearest: dict[str, int] = {}
    for row in rows:
        if entries[row].identity != photo.identity and len(nearest) < HARD_NEGATIVES:
            nearest.setdefault(entries[row].identity, row)
    return own + list(nearest.values())


def _judged(found: list[tuple[Look, int, dict[str, float]]], photos: Sequence[Photo],
            thresholds: dict[tuple[str, str], Threshold]) -> Iterable[Candidate]:
    """Candidates with what the thresholds make of their distances."""
    methods = sorted({method for method, _ in thresholds})
    spread = {method: float(np.std([distances[method] for _, _, distances in found])) or 1.0 for method in methods}
    for look, row, distances in found:
        other = Look(photos[row], "none", 0)
        same = look.photo.identity == other.photo.identity
        margins = {method: (thresholds[method, look.kind].value - distances[method]) * (1 if same else -1)
                   for method in methods}
        right = {method: (distances[method] <= thresholds[method, look.kind].value) == same for method in methods}
        ease = float(np.mean([margins[method] / spread[method] for method in methods]))
        yield Candidate(look, other, same, distances, right, ease)
