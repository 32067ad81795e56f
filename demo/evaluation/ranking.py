"""Ranks for evaluation: which places of a ranking are right, without a record of every gallery photo.

The distances and the order are those of ``demo.identify.Identifier.rank``. Memory grows with the gallery, never with
its square.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from demo.backbones import Features
from demo.identify import Identifier
from demo.matching import combined
from demo.query import Clock, Options

#: Candidates that are re-ranked at a time, so that a Stage 2 over the whole gallery stays small.
CHUNK = 512


@dataclass(frozen=True)
class Ranked:
    """Of one query: for each rank from the first, whether that gallery photo is of its identity, bool (n,).

    stage2: setting → the same after re-ranking. stage1_ms, stage2_ms: time spent; settings that differ in alpha and
    k alone share the distances, and the time.
    """

    stage1: np.ndarray
    stage2: dict[Options, np.ndarray]
    stage1_ms: float
    stage2_ms: dict[Options, float]


class Ranker:
    """An identifier's gallery with its identities as numbers."""

    def __init__(self, identifier: Identifier):
        self.identifier = identifier
        self.gallery = identifier.gallery
        self.numbers = {name: number for number, name in enumerate(self.gallery.people)}
        self.labels = np.array([self.numbers[entry.identity] for entry in self.gallery.entries])

    def rank(self, features: Features, identity: str, settings: Sequence[Options], *, exclude: Sequence[int] = (),
             clock: Clock | None = None) -> Ranked:
        """Rank the gallery for a query (features of one face). exclude: rows to leave out. settings: of Stage 2."""
        clock = clock or Clock(self.identifier.backbone.device)
        with clock.step("search"):
            distances, rows = (values.cpu().numpy() for values in self.gallery.search(features.embedding))
            if exclude:
                kept = ~np.isin(rows, exclude)
                distances, rows = distances[kept], rows[kept]
            hits = self.labels[rows] == self.numbers.get(identity, -1)
        groups: dict[Options, list[Options]] = {}
        for options in settings:
            if options.stage2 != "none":
                groups.setdefault(_measured(options), []).append(options)
        stage2, spent = {}, {}
        for wanted in groups.values():
            most = max(options.k for options in wanted)
            head, own = rows[:most].tolist(), Clock(clock.device)
            patch = self._distances(features, head, wanted[0], own)
            cosine = torch.from_numpy(distances[:most].astype(np.float64))
            for step, ms in own.steps.items():
                clock.steps.setdefault(step, ms)  # of the first group
            for options in wanted:
                mixed = combined(cosine[:options.k], patch[:options.k], self.identifier.alpha(options, features))
                order = torch.sort(mixed, stable=True).indices.numpy()
                stage2[options] = np.concatenate([hits[:options.k][order], hits[options.k:]])
                spent[options] = sum(own.steps.values())
        return Ranked(hits, stage2, clock.steps["search"], spent)

    def _distances(self, features: Features, rows: list[int], options: Options, clock: Clock) -> Tensor:
        parts = [self.identifier.measure(features, rows[start:start + CHUNK], options, clock)[0]
                 for start in range(0, len(rows), CHUNK)]
        return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.float64)


def _measured(options: Options) -> Options:
    """What the Stage 2 distances of a setting depend on. The published solver's depend on k too: it stops when the
    whole batch has converged on average."""
    return replace(options, alpha=None, adaptive=False, k=options.k if options.solver == "authors" else 0)
