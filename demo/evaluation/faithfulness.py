"""The faithfulness board: does what the explanations name really carry the score? Asked of the model itself.

Pixels of the aligned probe are taken away (or brought back) in the order of an explanation, in tenths; every version is
embedded again and compared with the nearest photo of its person and with the nearest stranger. Reported as the
literature does: the share of pairs still accepted at the threshold of the clean scores' equal error rate, as an area
times 100 (deletion: smaller is better, insertion: larger); and by what it does to the score itself, as a share of what
the order by single-patch occlusion does, with random orders at 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from demo.backbones import Features
from demo.errors import BadSetting, DemoError
from demo.evaluation.board import AREA, MASS, WORN, Board, Record, board
from demo.evaluation.curve_store import CurveStore
from demo.evaluation.deletion import inner, order_of, outer, pixel_map, versions
from demo.evaluation.field import (
    BEST,
    CENTRE,
    CORRRISE,
    RANDOM,
    XSSAB,
    centre_map,
    corrrise_map,
    random_map,
    rise_masks,
    xssab_map,
)
from demo.evaluation.protocol import QueryPhoto
from demo.evaluation.rates import roc
from demo.evaluation.run import Progress
from demo.explain import Pair, available
from demo.explain.covers import REMOVALS, erased, patch_cover
from demo.identify import Identifier
from demo.methods import METHODS, NONE, STAGE1, Matching, Method
from demo.query import Preparation, Query, prepare_query

#: Raise it when the same probe gives other curves.
VERSION = 3
#: Strangers whose clean scores set the threshold, evenly spread over the gallery.
STRANGERS = 24
#: Versions of a probe that are embedded and compared at a time.
_BATCH = 64


@dataclass(frozen=True)
class Probe:
    """A photo that is explained. query: prepared. true, stranger: gallery rows of the nearest photo of its person and
    of anybody else. own, others: clean distances by method to the first, and to STRANGERS others (n,)."""

    photo: QueryPhoto
    query: Query
    true: int
    stranger: int
    own: dict[str, float]
    others: dict[str, np.ndarray]


@dataclass(frozen=True)
class Asked:
    """How curves are made. removal: a word of REMOVALS. steps: of a curve. masks: of CorrRISE. methods: whose scores,
    None = those that judge pairs here."""

    removal: str = "black"
    steps: int = 10
    masks: int = 128
    methods: tuple[str, ...] | None = None


def faithfulness(identifier: Identifier, queries: Sequence[QueryPhoto], preparation: Preparation = Preparation(),  # noqa: B008
                 asked: Asked = Asked(), *, store: CurveStore | None = None, kept: bool = False,
                 progress: Progress = iter) -> Board:
    """Judge every explanation that is ready, and the field's, on queries altered as asked (query number n with seed +
    n), each against the nearest photo of its person.

    store: keeps what was measured of each probe. kept: sum up what it holds and measure nothing. Raises BadSetting for
    an unknown word, or where no query is left.
    """
    if asked.removal not in REMOVALS:
        raise BadSetting(f"Unknown removal {asked.removal!r}: choose from {', '.join(REMOVALS)}.")
    if asked.steps < 2:
        raise BadSetting(f"A curve has at least 2 steps; got {asked.steps}.")
    methods = _methods(identifier, asked)
    probes, skipped = _probes(identifier, queries, preparation, methods)
    if not probes:
        raise BadSetting(f"No query could be used: {skipped[0][1] if skipped else 'there is none.'}")
    limits = {word: threshold([one.own[word] for one in probes], np.concatenate([one.others[word] for one in probes]))
              for word in methods}
    store, records = store or CurveStore(None), {}
    settings = (VERSION, identifier.gallery.sha256, [(word, one.key) for word, one in methods.items()],
                identifier.backbone.weights_sha256, asked, limits)
    numbers = np.random.default_rng(0).permutation(len(probes)).tolist()  # those of a stopped run are of all people
    for number in progress(numbers):
        probe = probes[number]
        key = (settings, probe.query.crop.tobytes(), probe.true, probe.stranger, number)
        curves = store.read(*key)
        if curves is None and kept:
            continue
        if curves is None:
            curves = _judged(identifier, methods, probe, asked, limits, np.random.default_rng(number))
            store.write(curves, *key)
        records[number] = Record(probe.photo.identity, curves)
    if not records:
        raise BadSetting("Nothing was measured of these photos yet: leave out --kept.")
    measured = [records[number] for number in sorted(records)]
    return board(measured, {word: METHODS[word].short for word in methods}, limits, asked.removal,
                 preparation.alteration, tuple(skipped))


def threshold(own: Sequence[float], others: np.ndarray) -> float:
    """The distance at which as many strangers are accepted as people are refused (EER)."""
    found = roc(np.concatenate([own, others]), np.arange(len(own) + len(others)) < len(own))
    return float(found.thresholds[int(np.argmax(found.far >= 1 - found.tar))])


def _methods(identifier: Identifier, asked: Asked) -> dict[str, Method]:
    if asked.methods is None:
        return identifier.ready(verifies=True)
    return {word: identifier.method(word) for word in METHODS if word in asked.methods}


def _probes(identifier: Identifier, queries: Sequence[QueryPhoto], preparation: Preparation,
            methods: Mapping[str, Method]) -> tuple[list[Probe], list[tuple[str, str]]]:
    gallery, found, skipped = identifier.gallery, [], []
    entries = gallery.entries
    spread = np.unique(np.linspace(0, len(gallery) - 1, 2 * STRANGERS).round().astype(int)).tolist()
    for number, photo in enumerate(queries):
        seeded = replace(preparation, seed=preparation.seed + number)
        try:
            query = prepare_query(photo.file, identifier.backbone, seeded, gallery=gallery)
            ranked = identifier.rank(query, Matching(method=NONE), exclude=photo.exclude).stage1
            true = next((one.row for one in ranked if one.identity == photo.identity), None)
            stranger = next((one.row for one in ranked if one.identity != photo.identity), None)
            if true is None or stranger is None:
                who = f"No other photo of {photo.identity}" if true is None else "Nobody else"
                raise BadSetting(f"{who} is in the gallery.")
        except DemoError as error:
            skipped.append((photo.path, str(error)))
            continue
        others = [row for row in spread if entries[row].identity != photo.identity][:STRANGERS]
        faces = gallery.whole([true, *others])
        clean = {word: one.distances(query.features, one.prepare(faces)).distances.double().cpu().numpy()
                 for word, one in methods.items()}
        found.append(Probe(photo, query, true, stranger, {word: float(each[0]) for word, each in clean.items()},
                           {word: each[1:] for word, each in clean.items()}))
    return found, skipped


@dataclass
class _Asking:
    """Versions of one probe, compared. ``scores`` gives distances (M, 2) to its person and to the stranger."""

    identifier: Identifier
    probe: Probe
    removal: str

    def features(self, crops: np.ndarray) -> Features:
        features = self.probe.query.features
        found = self.identifier.backbone.extract(crops)
        if features.landmarks is not None:  # they stay where they were
            found = replace(found, landmarks=features.landmarks.expand(len(found), -1, -1))
        return found

    def erased(self, kept: np.ndarray) -> Features:
        """Of versions that keep patches (M, P) or pixels (M, h, w)."""
        grid = self.probe.query.features.grid
        parts = [self.features(erased(self.probe.query.crop, kept[at:at + _BATCH], grid, self.removal))
                 for at in range(0, len(kept), _BATCH)]
        return _joined(parts)

    def scores(self, method: Method, faces: Features) -> np.ndarray:
        """(M, 2) distances of versions to the nearest photo of their person, and to the nearest stranger."""
        others = self.identifier.gallery.whole([self.probe.true, self.probe.stranger])
        return distances(method, faces, others)


@torch.inference_mode()
def distances(method: Method, versions_of: Features, others: Features) -> np.ndarray:
    """(M, B) distances of M faces to B others, pair by pair."""
    columns = []
    for other in range(len(others)):
        parts: list[Tensor] = []
        for at in range(0, len(versions_of), _BATCH):
            some = versions_of[at:at + _BATCH]
            parts.append(method.pairs(some, others[[other] * len(some)]).double().cpu())
        columns.append(torch.cat(parts))
    return torch.stack(columns, 1).numpy()


def _joined(parts: Sequence[Features]) -> Features:
    first = parts[0]
    marks = [one.landmarks for one in parts if one.landmarks is not None]
    return replace(first, embedding=torch.cat([one.embedding for one in parts]),
                   patches=torch.cat([one.patches for one in parts]),
                   maps={grid: torch.cat([one.maps[grid] for one in parts]) for grid in first.maps},
                   landmarks=torch.cat(marks) if marks else None)


def _judged(identifier: Identifier, methods: Mapping[str, Method], probe: Probe, asked: Asked,
            limits: Mapping[str, float], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Name of an explanation and method → (2, T + 1, 2) distances, deletion and insertion, to the person and to the
    stranger."""
    asking, crop = _Asking(identifier, probe, asked.removal), probe.query.crop
    size, grid = crop.shape[:2], probe.query.features.grid
    pair = Pair((crop, crop), (probe.query.features, identifier.gallery.whole([probe.true])), identifier.method,
                Matching())
    named = {(name, word): values for word in methods for name, values in _ours(pair, word).items()}
    maps = {key: pixel_map(values, _grid_of(pair.features[0], len(values)), size) for key, values in named.items()}
    shared = {RANDOM: random_map(size, grid, rng), CENTRE: centre_map(size),
              XSSAB: xssab_map(identifier.backbone, crop, identifier.gallery.whole([probe.true]).embedding[0],
                               1 - limits.get(STAGE1.word, 1.0))}
    maps |= {(name, word): shown for name, shown in shared.items() for word in methods}
    maps |= _asked_of(asking, methods, asked.masks, rng)

    distinct: dict[bytes, int] = {}
    orders, place = [], {}
    for name, shown in maps.items():
        at = distinct.setdefault(shown.tobytes(), len(orders))
        if at == len(orders):
            orders.append(versions(order_of(shown.ravel(), rng), asked.steps))
        place[name] = at
    faces = asking.erased(inner(orders).reshape(-1, *size))
    found = {WORN: np.array(probe.query.measured_as is not None), **_on_cover(pair, named, probe.query.cover)}
    between = 2 * (asked.steps - 1)
    for word, method in methods.items():
        wanted = sorted({at for (_, of), at in place.items() if of == word})
        rows = [0, 1, *(2 + at * between + step for at in wanted for step in range(between))]
        curves = outer(asking.scores(method, faces[rows]), len(wanted), asked.steps)
        slot = {at: number for number, at in enumerate(wanted)}
        found |= {f"{name}|{word}": curves[slot[at]] for (name, of), at in place.items() if of == word}
    return found


def _ours(pair: Pair, word: str) -> dict[str, np.ndarray]:
    """The shipped explanations of a method's score where it ranks by its defaults: explanation → (P,)."""
    pair = replace(pair, matching=Matching(method=word), _kept={})
    setting, found = getattr(pair.matching.of(word), "weighting", ""), {}
    for name, one in available(pair).items():
        if one.method == word:
            fitting = [each for each in one.importances(pair) if each.setting in ("", setting)]
            if fitting:
                found[name] = fitting[0].values
    return found


def _on_cover(pair: Pair, named: Mapping[tuple[str, str], np.ndarray], cover: np.ndarray) -> dict[str, np.ndarray]:
    """Where something is drawn over the probe, cover (h, w): the share of it that each explanation's mass lies on, of
    what is positive, and of what a method leaves out, which is a guess at the cover."""
    if not cover.any():
        return {}
    left_out = {(name, ""): values for one in available(pair).values() for name, values in one.left_out(pair).items()}
    found = {AREA: np.array(cover.mean())}
    for (name, word), values in {**named, **left_out}.items():
        mass, share = np.maximum(values, 0), patch_cover(cover, _grid_of(pair.features[0], len(values)))
        if mass.any():
            found[f"{MASS}{name}|{word}"] = np.array(mass @ share / mass.sum())
    return found


def _grid_of(features: Features, patches: int):
    """The grid of so many patches."""
    return next(grid for grid in (features.grid, *features.maps) if grid[0] * grid[1] == patches)


def _asked_of(asking: _Asking, methods: Iterable[str], masks: int, rng: np.random.Generator
              ) -> dict[tuple[str, str], np.ndarray]:
    """Maps that ask the score itself: single-patch occlusion, the best order known, and CorrRISE."""
    crop, grid = asking.probe.query.crop, asking.probe.query.features.grid
    size, patches = crop.shape[:2], grid[0] * grid[1]
    alone = asking.erased(np.concatenate([np.ones((1, patches), bool), ~np.eye(patches, dtype=bool)]))
    random_masks = rise_masks(size, masks, rng)
    masked = _joined([asking.features((crop * random_masks[at:at + _BATCH, ..., None]).round().astype(np.uint8))
                      for at in range(0, masks, _BATCH)])
    true = asking.identifier.gallery.whole([asking.probe.true])
    found = {}
    for word in methods:
        method = asking.identifier.method(word)
        apart = distances(method, alone, true)[:, 0]
        found[BEST, word] = pixel_map(apart[1:] - apart[0], grid, size)
        found[CORRRISE, word] = corrrise_map(random_masks, -distances(method, masked, true)[:, 0])
    return found
