"""A gallery ranked for one query: the first ones are there, the rest is looked up when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import overload

import numpy as np
from torch import Tensor

from demo.gallery import Gallery

#: Matches of the tail that are made at a time.
AT_A_TIME = 1000


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
class Stage1:
    """Stage 1 of one query. embedding: (D,) or (1, D). exclude: rows that are left out."""

    gallery: Gallery
    embedding: Tensor
    exclude: frozenset[int] = frozenset()

    def __len__(self) -> int:
        return len(self.gallery) - len(self.exclude)

    def first(self, count: int) -> tuple[Match, ...]:
        """The nearest ``count``, at a cost that hardly depends on the gallery's size."""
        return tuple(self._matches(*self._ordered(count + len(self.exclude)), 0, count))

    def from_rank(self, start: int) -> Iterator[Match]:
        """All from place ``start`` (from 0) on: the whole gallery is sorted for it, every time."""
        distances, rows = self._ordered(None)
        for at in range(start, len(rows), AT_A_TIME):
            yield from self._matches(distances, rows, at, at + AT_A_TIME)

    def _ordered(self, count: int | None) -> tuple[np.ndarray, np.ndarray]:
        distances, rows = (part.cpu().numpy() for part in self.gallery.search(self.embedding, count))
        if self.exclude:
            kept = ~np.isin(rows, list(self.exclude))
            distances, rows = distances[kept], rows[kept]
        return distances, rows

    def _matches(self, distances: np.ndarray, rows: np.ndarray, start: int, stop: int) -> Iterator[Match]:
        wanted = rows[start:stop].tolist()
        found = zip(wanted, distances[start:stop].tolist(), self.gallery.entries_of(wanted), strict=True)
        for rank, (row, cosine, entry) in enumerate(found, start=start + 1):
            yield Match(rank, row, entry.identity, entry.path, cosine, stage1_rank=rank)


class Ranking(Sequence[Match]):
    """Matches, nearest first. head: the first ones; those that follow stand as in Stage 1 and are made when they are
    asked for, not kept."""

    def __init__(self, head: Sequence[Match], stage1: Stage1):
        self.head = tuple(head)
        self._stage1 = stage1

    def __len__(self) -> int:
        return len(self._stage1)

    def __iter__(self) -> Iterator[Match]:
        return chain(self.head, self._tail())

    def _tail(self) -> Iterator[Match]:
        if len(self) <= len(self.head):
            return
        if self._stage1.gallery.index is None:
            yield from self._stage1.from_rank(len(self.head))
            return
        known = {match.row for match in self.head}  # of an approximate search: they need not be the nearest
        rest = (match for match in self._stage1.from_rank(0) if match.row not in known)
        yield from (replace(match, rank=rank, stage1_rank=rank)
                    for rank, match in enumerate(rest, start=len(self.head) + 1))

    @overload
    def __getitem__(self, index: int) -> Match: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Match, ...]: ...

    def __getitem__(self, index: int | slice) -> Match | tuple[Match, ...]:
        places = range(len(self))[index]
        if isinstance(places, int):
            return self.head[places] if places < len(self.head) else tuple(self)[places]
        furthest = max(places[0], places[-1]) if places else 0
        known = self.head if furthest < len(self.head) else tuple(self)
        return tuple(known[place] for place in places)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ranking | tuple) and len(self) == len(other) and all(
            one == two for one, two in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Ranking of {len(self)}, first {self.head[:1]}>"
