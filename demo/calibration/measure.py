"""Measuring what a distance means on a gallery: photos altered as a query would be, compared with known people.

A distance alone says little: a mask makes everybody look more alike. So photos of the gallery are altered, and
compared with their nearest strangers (what somebody who is not in the gallery would get as a first match), and in
pairs of one person and of two (from which thresholds are set).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations_with_replacement, permutations

import numpy as np
import torch

from demo.backbones import Backbone
from demo.calibration.faces import AlteredFaces
from demo.calibration.keys import KINDS, PAIRS, STRANGERS, array_key
from demo.calibration.store import Calibration
from demo.gallery import Gallery
from demo.methods import METHODS, PREPARED_ROWS, Method, load_method, ready

#: Photos that play the query, and nearest strangers (by cosine) that each is compared with.
SAMPLE, NEAREST = 200, 100
#: The last people by name, with up to so many photos each, are paired: training holds the last people out, so the
#: cross-image models do not know these. 30 of the bundled people were.
PEOPLE, PHOTOS = 30, 3
STRANGER_PAIRS = 500

#: Wraps the list of jobs to show progress, as ``tqdm`` does; may raise to stop.
Progress = Callable[[Sequence], Iterable]


def calibrate(gallery: Gallery, backbone: Backbone, progress: Progress = iter) -> Calibration:
    """Measure strangers and pairs on a gallery by every method that judges pairs and is ready, at its default
    options, for photos unaltered and altered in every way; keep the distances with the index.

    Nothing is measured of a gallery of one person. An error or a stop in ``progress`` leaves what was there.
    """
    work = _Work(gallery, backbone)
    for job in progress(work.jobs()):
        job()
    kept = Calibration(gallery)
    if work.arrays:
        kept.write(work.arrays)
    return Calibration(gallery)


class _Work:
    """The photos, the methods, and the arrays as they fill."""

    def __init__(self, gallery: Gallery, backbone: Backbone):
        self.gallery, self.backbone = gallery, backbone
        among = {word: method for word, method in METHODS.items() if method.verifies}
        self.methods = [load_method(word, backbone, gallery) for word in ready(backbone, gallery, among=among)]
        self.arrays: dict[str, np.ndarray] = {}
        self.faces = AlteredFaces(gallery, backbone)
        self._prepared = {}

    def jobs(self) -> list[Callable[[], None]]:
        """What there is to do, in order."""
        if len(self.gallery.people) < 2:
            return []
        rows = np.random.default_rng(0).permutation(len(self.gallery))[:SAMPLE].tolist()
        found: dict[str, list[np.ndarray]] = defaultdict(list)
        jobs = [lambda kind=kind, row=row: self._strangers(found, kind, row) for kind in KINDS for row in rows]
        return [*jobs, lambda: self._keep_strangers(found), *self._pair_jobs()]

    def _strangers(self, found: dict[str, list[np.ndarray]], kind: str, row: int) -> None:
        """One photo against its nearest strangers."""
        query = self.faces.face(row, kind)
        if query is None:
            return
        person = self.gallery.entries[row].identity
        distances, ranked = self.gallery.search(query.embedding, NEAREST + self.gallery.people[person])
        slots = [slot for slot, entry in enumerate(self.gallery.entries_of(ranked.tolist()))
                 if entry.identity != person][:NEAREST]
        others = ranked[slots].tolist()
        for method in self.methods:
            measured = (method.distances(query, self._of(method, others)).distances if method.reranks
                        else distances[slots])
            found[array_key(STRANGERS, method, kind)].append(measured.cpu().numpy().astype(np.float32))

    def _of(self, method: Method, rows: list[int]):
        """Gallery faces prepared for a method, which prepares all of them once if it is worth it."""
        if not method.cached or len(self.gallery) > PREPARED_ROWS:
            return method.prepare(self.gallery.features(rows))
        if method.word not in self._prepared:
            self._prepared[method.word] = method.prepare(self.gallery.features(range(len(self.gallery))))
        return self._prepared[method.word][torch.tensor(rows, device=self.backbone.device)]

    def _keep_strangers(self, found: dict[str, list[np.ndarray]]) -> None:
        """Rows of one length: everybody is compared with as many as the person who has fewest strangers."""
        fewest = min((len(row) for rows in found.values() for row in rows), default=0)
        self.arrays |= {key: np.stack([row[:fewest] for row in rows]) for key, rows in found.items() if fewest}

    def _pair_jobs(self) -> list[Callable[[], None]]:
        rows = _pool(self.gallery)
        if not any(_pairs([self.gallery.entries[row].identity for row in rows])[0]):
            return []
        pairs: list[tuple[int, int]] = []
        own: list[int] = []

        def choose() -> None:
            usable = [row for row in rows if self.faces.usable(row)]
            genuine, strangers = _pairs([self.gallery.entries[row].identity for row in usable])
            if genuine and strangers:
                pairs.extend((usable[one], usable[other]) for one, other in genuine + strangers)
                own.append(len(genuine))

        return [choose, *(lambda kinds=kinds: self._measure_pairs(pairs, own, kinds)
                          for kinds in combinations_with_replacement(KINDS, 2))]

    def _measure_pairs(self, pairs: list[tuple[int, int]], own: list[int], kinds: tuple[str, str]) -> None:
        if not pairs:
            return
        for method in self.methods:
            found = self.faces.distances(method, pairs, kinds)
            self.arrays[array_key(PAIRS, method, *kinds, "genuine")] = found[:own[0]]
            self.arrays[array_key(PAIRS, method, *kinds, "strangers")] = found[own[0]:]


def _pool(gallery: Gallery) -> list[int]:
    """Rows of the photos to pair: of the last people by name who have more than one."""
    several = sorted(name for name, photos in gallery.people.items() if photos > 1)
    return [row for name in several[-PEOPLE:] for row in gallery.rows_of(name)[:PHOTOS]]


def _pairs(identities: Sequence[str]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Slots of all ordered pairs of one person, and of STRANGER_PAIRS (or all) of two, drawn at random."""
    pairs = list(permutations(range(len(identities)), 2))
    genuine = [pair for pair in pairs if identities[pair[0]] == identities[pair[1]]]
    others = [pair for pair in pairs if identities[pair[0]] != identities[pair[1]]]
    drawn = np.random.default_rng(0).permutation(len(others))[:STRANGER_PAIRS]
    return genuine, [others[slot] for slot in drawn]
