"""Ranks for evaluation: where the right photos stand, without a record of every gallery photo.

The distances and the order are those of ``demo.identify.Identifier.rank``. Stage 1 of many queries is one matrix
product. What is measured of a query depends on no protocol: which photos are left out, alpha and k are applied to the
same distances afterwards (``places``).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from demo.backbones import Features
from demo.evaluation.protocol import QueryPhoto
from demo.identify import Identifier
from demo.methods import Matching, rerank
from demo.query import Clock

#: Candidates that are re-ranked at a time, so that a Stage 2 over the whole gallery stays small.
CHUNK = 512
#: What the time of Stage 1 is kept under.
SEARCH = "search"


@dataclass(frozen=True)
class Head:
    """Stage 1 of one query with nothing left out. rows, cosine: (n,) the nearest n, in order, and their distances.
    known, ranks: (m,) rows of the query's identity and of what its protocol leaves out, and their ranks from 0 in the
    whole gallery."""

    rows: np.ndarray
    cosine: np.ndarray
    known: np.ndarray
    ranks: np.ndarray


@dataclass
class Measured:
    """One query. distances: part (see ``Ranker.part``) → (n,) Stage 2 distances of the first n of the head, or of what
    the part says. alphas: the share of the Stage 2 distance, by what it depends on. ms: part → time spent."""

    head: Head
    distances: dict[str, np.ndarray] = field(default_factory=dict)
    alphas: dict[str, float] = field(default_factory=dict)
    ms: dict[str, float] = field(default_factory=dict)


class Ranker:
    """An identifier's gallery with its identities as numbers."""

    def __init__(self, identifier: Identifier):
        self.identifier = identifier
        self.gallery = identifier.gallery
        self.numbers = {name: number for number, name in enumerate(self.gallery.people)}
        self.labels = np.array([self.numbers[entry.identity] for entry in self.gallery.entries])
        order = np.argsort(self.labels, kind="stable")
        self.rows = np.split(order, np.cumsum(np.bincount(self.labels))[:-1])

    def depth(self, photo: QueryPhoto, settings: Sequence[Matching]) -> int:
        """How much of Stage 1 the settings need, with room for what is left out."""
        return min(max((matching.k for matching in settings), default=0) + len(photo.exclude), len(self.gallery))

    def heads(self, embeddings: Tensor, photos: Sequence[QueryPhoto], depth: int) -> list[Head]:
        """Stage 1 of queries: embeddings (B, D), as many photos. depth: rows of each head."""
        with torch.inference_mode():
            near = 1 - F.normalize(embeddings.to(self.gallery.device), dim=1) @ self.gallery.embeddings.T
            distances, rows = (part.cpu().numpy() for part in torch.sort(near, dim=1, stable=True))
        ranks, found = np.empty(rows.shape[1], np.int32), []
        for photo, near, order in zip(photos, distances, rows, strict=True):
            ranks[order] = np.arange(len(order), dtype=np.int32)
            known = np.union1d(self._own(photo), np.array(photo.exclude, np.int64)).astype(np.int32)
            found.append(Head(order[:depth].astype(np.int32), near[:depth].copy(), known, ranks[known]))
        return found

    def part(self, photo: QueryPhoto, matching: Matching) -> str:
        """What the Stage 2 distances of a setting depend on, beside the query: the rows as well, where a face's
        distance depends on which others are measured with it."""
        method, options = self.identifier.method(matching.method), matching.of()
        words = [method.word, method.key, method.setting(options, matching.grid)]
        if method.batch_matters(options):
            words.append(f"first {matching.k} without {sorted(photo.exclude)}")
        return " ".join(words)

    def share(self, matching: Matching) -> str:
        """What the alpha of a setting depends on, beside the query."""
        return f"{matching.method} {matching.alpha} {matching.of()}"

    def missing(self, found: Measured | None, photo: QueryPhoto, settings: Sequence[Matching]) -> bool:
        """Whether anything has yet to be measured."""
        if found is None or self.shallow(found, photo, settings):
            return True
        return any(self.share(matching) not in found.alphas or self._known(found, photo, matching)
                   < len(self._wanted(found, photo, matching)) for matching in settings)

    def shallow(self, found: Measured, photo: QueryPhoto, settings: Sequence[Matching]) -> bool:
        """Whether Stage 1 must be looked at again: for further rows, or ranks of other photos."""
        return (len(found.head.rows) < self.depth(photo, settings)
                or not set(photo.exclude) | set(self._own(photo).tolist()) <= set(found.head.known.tolist()))

    def complete(self, found: Measured, features: Features, photo: QueryPhoto, settings: Sequence[Matching],
                 clock: Clock) -> None:
        """Measure what is missing of the Stage 2 of a query (features of one face)."""
        groups: dict[tuple[Hashable, ...], dict[str, Matching]] = {}
        for matching in settings:
            share, part = self.share(matching), self.part(photo, matching)
            if share not in found.alphas:
                found.alphas[share] = self.identifier.alpha(matching, features)
            start = self._known(found, photo, matching)
            if start < len(self._wanted(found, photo, matching)):
                method = self.identifier.method(matching.method)
                alone = part if method.batch_matters(matching.of()) else ""
                parts = groups.setdefault((matching.method, matching.grid, start, alone), {})
                if part not in parts or matching.k > parts[part].k:
                    parts[part] = matching
        for parts in groups.values():
            deepest = max(parts.values(), key=lambda matching: matching.k)
            wanted = self._wanted(found, photo, deepest)[self._known(found, photo, deepest):].tolist()
            for at in range(0, len(wanted), CHUNK):
                self._measure(found, features, wanted[at:at + CHUNK], parts, clock)

    def _measure(self, found: Measured, features: Features, rows: list[int], parts: dict[str, Matching],
                 clock: Clock) -> None:
        """Append the distances to some rows under settings of one method and grid."""
        shared = Clock(clock.device)
        under = self.identifier.measures(features, rows, next(iter(parts.values())), shared)
        for step, ms in shared.steps.items():
            clock.steps[step] = clock.steps.get(step, 0.0) + ms
        for part, matching in parts.items():
            own = Clock(clock.device)
            with own.step(matching.method):
                distances = under(matching).cpu().numpy()
            spent = own.steps[matching.method]
            clock.steps[matching.method] = clock.steps.get(matching.method, 0.0) + spent
            found.distances[part] = np.concatenate([found.distances.get(part, distances[:0]), distances])
            found.ms[part] = found.ms.get(part, 0.0) + spent + sum(shared.steps.values())

    def _known(self, found: Measured, photo: QueryPhoto, matching: Matching) -> int:
        """How many distances of a setting are known."""
        return len(found.distances.get(self.part(photo, matching), ()))

    def _wanted(self, found: Measured, photo: QueryPhoto, matching: Matching) -> np.ndarray:
        """Rows whose distances a setting needs."""
        rows = found.head.rows[:min(matching.k + len(photo.exclude), len(self.gallery))]
        if self.identifier.method(matching.method).batch_matters(matching.of()):
            return rows[~np.isin(rows, photo.exclude)][:matching.k]
        return rows

    def places(self, found: Measured, photo: QueryPhoto, matching: Matching | None) -> np.ndarray:
        """Where the photos of the query's identity stand, from 0, growing; without those that its protocol leaves out.
        matching: of Stage 2; None = Stage 1."""
        head = found.head
        gone = np.isin(head.known, photo.exclude)
        right = head.ranks[~gone & np.isin(head.known, self._own(photo))]
        places = np.sort(right - np.searchsorted(np.sort(head.ranks[gone]), right))
        if matching is None:
            return places
        kept = ~np.isin(head.rows, photo.exclude)
        distances = found.distances[self.part(photo, matching)]
        if not self.identifier.method(matching.method).batch_matters(matching.of()):
            distances = distances[kept[:len(distances)]]
        cosine, patch = (torch.from_numpy(part[:matching.k].astype(np.float64))
                         for part in (head.cosine[kept], distances))
        order = rerank(cosine, patch, found.alphas[self.share(matching)]).order.numpy()
        hits = np.zeros(len(order), bool)
        hits[places[places < len(order)]] = True
        return np.concatenate([np.flatnonzero(hits[order]), places[places >= len(order)]])

    def _own(self, photo: QueryPhoto) -> np.ndarray:
        """Rows of the query's identity."""
        number = self.numbers.get(photo.identity)
        return self.rows[number] if number is not None else np.empty(0, np.int64)
