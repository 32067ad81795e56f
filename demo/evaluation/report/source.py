"""A data set as the report measures it, and how much of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from demo.errors import BadSetting
from demo.evaluation.ablations import Bench
from demo.evaluation.datasets import DATASETS, Pair, drawn_pairs
from demo.evaluation.protocol import QueryPhoto, leave_one_out, query_set
from demo.evaluation.run import Evaluation, evaluate
from demo.evaluation.store import FeatureStore
from demo.gallery import Photo
from demo.identify import Identifier
from demo.query import Options

#: Wraps the work of one section to show progress: (items, what they are).
Progress = Callable[[Sequence, str], Iterable]


@dataclass(frozen=True)
class Scale:
    """How much is measured. queries: per data set at the most (None = all); fewer where each takes long: for run
    times, attacks and faithfulness. pairs: drawn of one person and of two, each."""

    queries: int | None = None
    timed: int = 60
    attacked: int = 30
    explained: int = 40
    pairs: int = 300


QUICK = Scale(queries=24, timed=12, attacked=6, explained=4, pairs=60)


@dataclass(frozen=True)
class Source:
    """name: what the report calls it. identify: backbone name → an identifier of its gallery. photos: query photos
    (None = leave one out). dataset: its name in DATASETS if it is one of the papers', which is then measured by their
    protocol. pairs: the official pairs, where they lie with it. only: the sections it is for (None = all)."""

    name: str
    identify: Callable[[str], Identifier] = field(repr=False)
    store: Callable[[Identifier], FeatureStore] = field(repr=False)
    backbone: str
    scale: Scale = Scale()
    photos: Sequence[Photo] | None = field(default=None, repr=False)
    dataset: str | None = None
    pairs: Sequence[Pair] | None = field(default=None, repr=False)
    only: Sequence[str] | None = None
    progress: Progress = field(default=lambda items, words: items, repr=False)

    @cached_property
    def identifier(self) -> Identifier:
        return self.identify(self.backbone)

    @property
    def reading(self) -> str:
        return "paper" if self.dataset else "corrected"

    def gallery_photos(self) -> list[Photo]:
        gallery = self.identifier.gallery
        return [Photo(entry.path, entry.identity, gallery.photo_file(row)) for row, entry in enumerate(gallery.entries)]

    def queries(self, kind: str | None, limit: int | None = None,
                identifier: Identifier | None = None) -> list[QueryPhoto]:
        """The queries of a protocol, evenly spread where there are more than the scale or ``limit`` allows.

        One of the papers' sets, altered: all photos against the gallery with their unaltered selves in it, as the
        papers did. Every other: without the photo that a query was made from.
        """
        gallery = (identifier or self.identifier).gallery
        if self.photos is not None:
            found = query_set(self.photos, gallery, exclude_source=not self.dataset)
        elif self.dataset and kind:
            found = query_set(self.gallery_photos(), gallery, exclude_source=False)
        else:
            found = leave_one_out(gallery, self.reading)
        return spread(found, min(filter(None, (limit, self.scale.queries)), default=None))

    def measure(self, kind: str | None, settings: Sequence[Options], *, bounds: Sequence[int] = (),
                limit: int | None = None) -> Evaluation:
        """Every setting on the queries altered in one way."""
        settings = [replace(options, occlusion=kind) for options in settings]
        found = evaluate(self.identifier, self.queries(kind, limit), settings, reading=self.reading,
                         store=self.store(self.identifier), bounds=bounds, progress=self.bar(kind))
        if not found.stage1.queries:
            raise BadSetting("No query could be used: " + (found.skipped[0][1] if found.skipped else "there is none."))
        return found

    def bench(self, kind: str | None, limit: int | None = None) -> Bench:
        """What ``demo.evaluation.ablations`` measures with."""
        return Bench(self.identify, lambda identifier: self.queries(kind, limit, identifier), self.store,
                     self.backbone, Options(occlusion=kind), self.reading, self.bar(kind))

    def verification_pairs(self) -> tuple[Sequence[Pair], str]:
        """Pairs, and where they come from in words."""
        if self.pairs is not None:
            return spread(self.pairs, self.scale.queries), f"the official pairs of {DATASETS[self.dataset].title}"
        return drawn_pairs(self.gallery_photos(), self.scale.pairs), "pairs drawn from the gallery's people"

    def bar(self, kind: str | None) -> Callable[[Sequence], Iterable]:
        return lambda items: self.progress(items, f"{self.name}, {kind or 'unaltered'}")


def spread(items: Sequence, limit: int | None) -> list:
    """At most ``limit`` items (None = all), evenly spread."""
    if limit is None or len(items) <= limit:
        return list(items)
    return [items[place * len(items) // limit] for place in range(limit)]
