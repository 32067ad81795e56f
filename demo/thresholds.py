"""From which distance on are two photos of different people? Thresholds for verification, measured on a gallery.

A threshold belongs to a method and to what was done to the photos: a mask makes everybody look more alike. So pairs
of gallery photos, altered as the photos in question are, give the distances of one person's photos and of strangers'.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import combinations_with_replacement, permutations
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from demo.backbones import Backbone, Features
from demo.crossimage import CrossImageModel, load_method
from demo.errors import DemoError, WeightsMissing
from demo.faces import OCCLUSIONS, alter, load_photo
from demo.gallery import Gallery
from demo.matching import emd

log = logging.getLogger("demo")

FILE = "pairs.safetensors"
#: EMD is judged at the papers' weights and the backbone's finest grid.
WEIGHTING = "apc"
#: The last people by name, with up to so many photos each: training holds the last people out, so H2L does not know
#: these. 30 of the bundled people were.
PEOPLE, PHOTOS = 30, 3
STRANGER_PAIRS = 500
#: Fewer pairs of one person say too little to set a threshold.
FEWEST = 20
#: The verdict "same" may be given to this share of strangers, "different" to this share of one person's pairs.
STRANGERS_PASS, OWN_FAIL = 0.01, 0.05
KINDS = ("plain", *OCCLUSIONS)
_BATCH = 32

#: (first face, second face) → (B,) distances of B pairs.
Distances = Callable[[Features, Features], Tensor]


@dataclass(frozen=True)
class Threshold:
    """Where a method draws the line; distances, smaller is nearer.

    value: the distance of equal error rate. lower, upper: between them the verdict is "uncertain". error: the equal
    error rate, 0 to 1. genuine, strangers: how many pairs were measured. source: on what, in a sentence.
    """

    value: float
    lower: float
    upper: float
    error: float
    genuine: int
    strangers: int
    source: str

    def verdict(self, distance: float) -> str:
        """"same", "uncertain" or "different"."""
        if distance < self.lower:
            return "same"
        return "different" if distance > self.upper else "uncertain"


def set_threshold(genuine: Sequence[float], strangers: Sequence[float], source: str = "") -> Threshold:
    """The threshold that measured distances give: of pairs of one person's photos, and of strangers' photos.

    A pair passes where its distance is at most t. ``value`` lies in the middle of the distances t at which the share
    of strangers that pass and the share of genuine pairs that fail are nearest to each other. The band reaches from
    where STRANGERS_PASS of the strangers pass to where OWN_FAIL of the genuine pairs fail, in either order (where
    the two do not overlap, nothing measured lies between), and always holds ``value``.
    """
    own, other = np.sort(np.asarray(genuine, float)), np.sort(np.asarray(strangers, float))
    steps = np.unique(np.concatenate([own, other]))
    passing = np.searchsorted(other, steps, side="right") / len(other)
    failing = 1 - np.searchsorted(own, steps, side="right") / len(own)
    best = int(np.abs(passing - failing).argmin())
    value = float(steps[best:best + 2].mean())
    error = float(passing[best] + failing[best]) / 2
    ends = value, float(np.quantile(other, STRANGERS_PASS)), float(np.quantile(own, 1 - OWN_FAIL))
    return Threshold(value, min(ends), max(ends), error, len(own), len(other), source)


def pair_methods(backbone: Backbone, model: CrossImageModel | None) -> dict[str, tuple[str, Distances]]:
    """Every way to compare two faces of a backbone, with an H2L where there is one: method → (key of its weights,
    distances)."""
    methods = {"cosine": (backbone.weights_sha256, cosine_distances), "emd": (backbone.weights_sha256, emd_distances)}
    if model is not None:
        methods["h2l"] = model.sha256, partial(cross_distances, model)
    return methods


def cosine_distances(first: Features, second: Features) -> Tensor:
    """1 - cosine of the embeddings, pair by pair."""
    return 1 - F.cosine_similarity(first.embedding, second.embedding)


def emd_distances(first: Features, second: Features) -> Tensor:
    """Earth Mover's Distance of the patches, pair by pair."""
    return emd(first, second, WEIGHTING).distance


def cross_distances(model: CrossImageModel, first: Features, second: Features) -> Tensor:
    """1 - similarity by a cross-image model, averaged over both orders of the faces, pair by pair."""
    return 1 - (model.compare_features(first, second).similarity
                + model.compare_features(second, first).similarity) / 2


def measure_pairs(gallery: Gallery, backbone: Backbone,
                  progress: Callable[[Sequence], Iterable] = iter) -> None:
    """Measure pairs of gallery photos, unaltered and altered in every way, and keep the distances with the index.

    Each pair is measured by every method that is ready, for all combinations of alterations of its two photos.
    Nothing is written for a gallery of one person or with one photo of each.
    """
    pool = _pool(gallery)
    crops = {}
    for row in pool:
        try:
            crops[row] = [_altered(gallery, backbone, row, kind) for kind in OCCLUSIONS]
        except DemoError as error:
            log.info("pairs: left out %s: %s", gallery.entries[row].path, error)
    rows = list(crops)
    genuine, strangers = _pairs([gallery.entries[row].identity for row in rows])
    if not (genuine and strangers):
        return
    faces = {"plain": gallery.features(rows)}
    faces |= {kind: backbone.extract([crops[row][slot] for row in rows]) for slot, kind in enumerate(OCCLUSIONS)}
    first, second = torch.tensor(genuine + strangers, device=backbone.device).T
    arrays = {}
    model = None
    with suppress(WeightsMissing):
        model = load_method("H2L", backbone).model
    methods = pair_methods(backbone, model)
    for kinds in progress(list(combinations_with_replacement(KINDS, 2))):
        for name, (weights, distances) in methods.items():
            found = torch.cat([distances(faces[kinds[0]][one], faces[kinds[1]][other]) for one, other in
                               zip(first.split(_BATCH), second.split(_BATCH), strict=True)]).cpu().numpy()
            key = _key(name, weights, *kinds)
            arrays[f"{key}/genuine"] = found[:len(genuine)].astype(np.float32)
            arrays[f"{key}/strangers"] = found[len(genuine):].astype(np.float32)
    unfinished = gallery.folder / (FILE + ".part")
    save_file(arrays, unfinished)
    unfinished.replace(gallery.folder / FILE)


def load_threshold(gallery: Gallery, method: str, weights: str, first: str | None,
                   second: str | None) -> Threshold | None:
    """The threshold of a method (see ``pair_methods`` for the key of its weights) for photos altered like this.

    first, second: how the photos were altered, or None. None where too few pairs were measured, or with other weights,
    or none altered like this: only OCCLUSIONS are measured.
    """
    file = Path(gallery.folder) / FILE
    kinds = (first or "plain", second or "plain")
    if not (file.is_file() and set(kinds) <= set(KINDS)):
        return None
    kinds = sorted(kinds, key=KINDS.index)
    key = _key(method, weights, *kinds)
    arrays = load_file(file)
    genuine, strangers = (arrays.get(f"{key}/{which}") for which in ("genuine", "strangers"))
    if genuine is None or len(genuine) < FEWEST:
        return None
    altered = ("both unaltered" if set(kinds) == {"plain"}
               else f"altered as these two are ({' and '.join(map(_named, kinds))})")
    return set_threshold(genuine, strangers, (
        f"Set on {len(genuine)} pairs of photos of one person and {len(strangers)} pairs of strangers from the gallery "
        f"{gallery.name}, {altered}."))


def _pool(gallery: Gallery) -> list[int]:
    """Rows of the photos to pair: of the last people by name who have more than one."""
    people: dict[str, list[int]] = {}
    for row, entry in enumerate(gallery.entries):
        people.setdefault(entry.identity, []).append(row)
    several = [name for name, rows in sorted(people.items()) if len(rows) > 1]
    return [row for name in several[-PEOPLE:] for row in people[name][:PHOTOS]]


def _pairs(identities: Sequence[str]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Slots of all ordered pairs of one person, and of STRANGER_PAIRS (or all) of two, drawn at random."""
    pairs = list(permutations(range(len(identities)), 2))
    genuine = [pair for pair in pairs if identities[pair[0]] == identities[pair[1]]]
    others = [pair for pair in pairs if identities[pair[0]] != identities[pair[1]]]
    drawn = np.random.default_rng(0).permutation(len(others))[:STRANGER_PAIRS]
    return genuine, [others[slot] for slot in drawn]


def _key(method: str, weights: str, first: str, second: str) -> str:
    return f"{method}/{weights[:12]}/{first}/{second}"


def _named(kind: str) -> str:
    return "unaltered" if kind == "plain" else OCCLUSIONS[kind].title.lower()


def _altered(gallery: Gallery, backbone: Backbone, row: int, kind: str) -> np.ndarray:
    return alter(load_photo(gallery.photo_file(row)), gallery.face(row), kind, seed=row).aligned(backbone)[0]
