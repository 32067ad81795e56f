"""Ranks for evaluation: which places of a ranking are right, without a record of every gallery photo.

The distances and the order are those of ``demo.identify.Identifier.rank``. Memory grows with the gallery, never with
its square.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from demo.backbones import Features
from demo.identify import Identifier
from demo.methods import Matching, Reranked, rerank
from demo.query import Clock

#: Candidates that are re-ranked at a time, so that a Stage 2 over the whole gallery stays small.
CHUNK = 512


@dataclass(frozen=True)
class Ranked:
    """Of one query: for each rank from the first, whether that gallery photo is of its identity, bool (n,).

    stage2: setting → the same after re-ranking. stage1_ms, stage2_ms: time spent; settings that differ in alpha and
    k alone share the distances, and the time.
    """

    stage1: np.ndarray
    stage2: dict[Matching, np.ndarray]
    stage1_ms: float
    stage2_ms: dict[Matching, float]


class Ranker:
    """An identifier's gallery with its identities as numbers."""

    def __init__(self, identifier: Identifier):
        self.identifier = identifier
        self.gallery = identifier.gallery
        self.numbers = {name: number for number, name in enumerate(self.gallery.people)}
        self.labels = np.array([self.numbers[entry.identity] for entry in self.gallery.entries])

    def rank(self, features: Features, identity: str, settings: Sequence[Matching], *, exclude: Sequence[int] = (),
             clock: Clock | None = None) -> Ranked:
        """Rank the gallery for a query (features of one face). exclude: rows to leave out. settings: of Stage 2."""
        clock = clock or Clock(self.identifier.backbone.device)
        with clock.step("search"):
            distances, rows = (values.cpu().numpy() for values in self.gallery.search(features.embedding))
            if exclude:
                kept = ~np.isin(rows, exclude)
                distances, rows = distances[kept], rows[kept]
            hits = self.labels[rows] == self.numbers.get(identity, -1)
        groups: dict[Hashable, list[Matching]] = {}
        for matching in settings:
            if matching.reranks:
                groups.setdefault(self._measured(matching), []).append(matching)
        stage2, spent = {}, {}
        for wanted in groups.values():
            most = max(matching.k for matching in wanted)
            head, own = rows[:most].tolist(), Clock(clock.device)
            patch = self._distances(features, head, wanted[0], own)
            cosine = torch.from_numpy(distances[:most].astype(np.float64))
            for step, ms in own.steps.items():
                clock.steps.setdefault(step, ms)  # of the first group
            for matching in wanted:
                k, alpha = matching.k, self.identifier.alpha(matching, features)
                stage2[matching] = reordered(hits, rerank(cosine[:k], patch[:k], alpha))
                spent[matching] = sum(own.steps.values())
        return Ranked(hits, stage2, clock.steps["search"], spent)

    def _distances(self, features: Features, rows: list[int], matching: Matching, clock: Clock) -> Tensor:
        parts = [self.identifier.measure(features, rows[start:start + CHUNK], matching, clock).distances
                 for start in range(0, len(rows), CHUNK)]
        return torch.cat(parts).double().cpu() if parts else torch.zeros(0, dtype=torch.float64)

    def _measured(self, matching: Matching) -> Hashable:
        """What the Stage 2 distances of a setting depend on."""
        method, options = self.identifier.method(matching.method), matching.of()
        return (method.word, method.setting(options, matching.grid),
                matching.k if method.batch_matters(options) else None)


def reordered(hits: np.ndarray, found: Reranked) -> np.ndarray:
    """hits: bool (n,), by rank. The same after the first of them were re-ranked."""
    order = found.order.numpy()
    return np.concatenate([hits[order], hits[len(order):]])
