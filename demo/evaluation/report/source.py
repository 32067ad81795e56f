"""A data set as the report measures it, and how much of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath

from demo.errors import BadSetting
from demo.evaluation.ablations import Bench
from demo.evaluation.datasets import DATASETS, Pair, drawn_pairs
from demo.evaluation.protocol import QueryPhoto, leave_one_out, query_set, spread
from demo.evaluation.run import Evaluation, evaluate
from demo.evaluation.store import FeatureStore
from demo.gallery import Gallery, Photo
from demo.identify import Identifier
from demo.methods import Matching
from demo.query import CROP, FOUND, KEPT, Preparation

#: Among the alterations of a section: a crop whose face is found again.
FOUND_CROP = "crop, found again"
#: Wraps the work of one section to show progress: (items, what they are).
Progress = Callable[[Sequence, str], Iterable]


@dataclass(frozen=True)
class Scale:
    """How much is measured. queries: per data set at the most (None = all); fewer where each takes long: for run
    times, attacks, faithfulness and verdicts. pairs: drawn of one person and of two, each. pictures: that faces are
    looked for in, a photo under each alteration being one."""

    queries: int | None = None
    timed: int = 60
    attacked: int = 30
    explained: int = 40
    judged: int = 200
    pairs: int = 300
    pictures: int = 480

    @property
    def limits(self) -> tuple[int | None, ...]:
        """Of the queries that any section takes."""
        return None, self.timed, self.attacked, self.explained, self.judged


QUICK = Scale(queries=24, timed=12, attacked=6, explained=4, judged=12, pairs=60, pictures=48)


@dataclass(frozen=True)
class Source:
    """name: what the report calls it. identify: backbone name → an identifier of its gallery. photos: query photos
    (None = leave one out). other: they were not made from the gallery's, so that each is compared with the whole
    gallery, and as it is. every: all photos of a data set, those without a face among them, which are its queries when
    they are altered. dataset: its name in DATASETS if it is one of the papers', which is then measured by their
    protocol. pairs: the official pairs, where they lie with it. only: the sections it is for, each with the alterations
    that are measured of it there, None = all that the section has (None = every section). jobs: queries measured at a
    time."""

    name: str
    identify: Callable[[str], Identifier] = field(repr=False)
    store: Callable[[Identifier], FeatureStore] = field(repr=False)
    backbone: str
    scale: Scale = Scale()
    photos: Sequence[Photo] | None = field(default=None, repr=False)
    other: bool = False
    every: Sequence[Photo] | None = field(default=None, repr=False)
    dataset: str | None = None
    pairs: Sequence[Pair] | None = field(default=None, repr=False)
    only: Mapping[str, Sequence[str | None] | None] | None = None
    jobs: int = 1
    progress: Progress = field(default=lambda items, words: items, repr=False)
    _known: dict[str | None, str] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def identifier(self) -> Identifier:
        return self.identify(self.backbone)

    def preparation(self, kind: str | None) -> Preparation:
        """Of the queries: altered so, found by the detector that the gallery was made with. A crop is compared as it
        lies, as in the papers, FOUND_CROP is one whose face is found again."""
        again = kind == FOUND_CROP
        return Preparation(alteration=CROP if again else kind, detector=self.identifier.gallery.manifest.detector,
                           framing=FOUND if again else KEPT)

    @property
    def reading(self) -> str:
        return "paper" if self.dataset else "corrected"

    def kinds(self, section: str, every: Sequence[str | None]) -> Sequence[str | None]:
        """Which of a section's alterations are measured here; empty where it is not for this."""
        if self.other:
            every = [kind for kind in every if kind is None]
        if self.only is None:
            return every
        chosen = self.only.get(section, ())
        return every if chosen is None else [kind for kind in every if kind in chosen]

    def gallery_photos(self) -> list[Photo]:
        gallery = self.identifier.gallery
        return [Photo(entry.path, entry.identity, gallery.photo_file(row)) for row, entry in enumerate(gallery.entries)]

    def looked_at(self, limit: int) -> list[Photo]:
        """Photos for which it does not matter whether a face is found, evenly spread: the queries, else all that the
        gallery was made from."""
        photos = self.photos or self.every
        if not photos:
            manifest = self.identifier.gallery.manifest
            photos = self.gallery_photos() + [
                Photo(one.path, PurePosixPath(one.path).parts[0], manifest.photos / one.path)
                for one in manifest.failures]
        return spread(photos, limit)

    def queries(self, kind: str | None, limit: int | None = None,
                identifier: Identifier | None = None) -> list[QueryPhoto]:
        """The queries of a protocol, evenly spread where there are more than the scale or ``limit`` allows.

        One of the papers' sets, altered: all photos against the gallery with their unaltered selves in it, as the
        papers did. Every other: without the photo that a query was made from.
        """
        return self._few(self._protocol(kind, (identifier or self.identifier).gallery), limit)

    def apart(self, limit: int | None = None) -> list[QueryPhoto]:
        """The queries, evenly spread, each without the photo that it was made from, whatever the protocol."""
        gallery = self.identifier.gallery
        return self._few(leave_one_out(gallery) if self.photos is None else
                         query_set(self.photos, gallery, exclude_source=not self.other), limit)

    def _protocol(self, kind: str | None, gallery: Gallery) -> list[QueryPhoto]:
        if self.photos is not None:
            return query_set(self.photos, gallery, exclude_source=not (self.dataset or self.other))
        if self.dataset and kind:
            return query_set(self.every or self.gallery_photos(), gallery, exclude_source=False)
        return leave_one_out(gallery, self.reading)

    def _few(self, queries: Sequence[QueryPhoto], limit: int | None) -> list[QueryPhoto]:
        return spread(queries, min(filter(None, (limit, self.scale.queries)), default=None))

    def chosen(self, kinds: Sequence[str | None]) -> list[str]:
        """Hashes of what is measured under these alterations, however few of it a section takes: which queries in
        which order, what each must not be compared with and how many photos count as right; and the pairs."""
        return [*map(self._chosen, dict.fromkeys((None, *kinds))), self._chosen_pairs]

    def _chosen(self, kind: str | None) -> str:
        if kind not in self._known:
            queries = self._protocol(kind, self.identifier.gallery)
            self._known[kind] = _hash([[(one.path, one.identity, one.exclude, one.relevant)
                                        for one in self._few(queries, limit)] for limit in self.scale.limits])
        return self._known[kind]

    @cached_property
    def _chosen_pairs(self) -> str:
        try:
            pairs, origin = self.verification_pairs()
        except BadSetting as error:  # the sections that need pairs say so
            return str(error)
        return _hash([origin, [(one.first.path, one.second.path, one.same, one.fold) for one in pairs]])

    def measure(self, kind: str | None, settings: Sequence[Matching], *, bounds: Sequence[int] = (),
                limit: int | None = None) -> Evaluation:
        """Every setting on the queries altered in one way."""
        found = evaluate(self.identifier, self.queries(kind, limit), settings,
                         self.preparation(kind),
                         reading=self.reading, store=self.store(self.identifier), bounds=bounds,
                         progress=self.bar(kind), jobs=self.jobs)
        if not found.stage1.queries:
            raise BadSetting("No query could be used: " + (found.skipped[0][1] if found.skipped else "there is none."))
        return found

    def bench(self, kind: str | None, limit: int | None = None) -> Bench:
        """What ``demo.evaluation.ablations`` measures with."""
        return Bench(self.identify, lambda identifier: self.queries(kind, limit, identifier), self.store,
                     self.backbone, self.preparation(kind), reading=self.reading,
                     progress=self.bar(kind), jobs=self.jobs)

    def verification_pairs(self) -> tuple[Sequence[Pair], str]:
        """Pairs, and where they come from in words."""
        if self.pairs is not None:
            assert self.dataset is not None
            return spread(self.pairs, self.scale.queries), f"the official pairs of {DATASETS[self.dataset].title}"
        return drawn_pairs(self.gallery_photos(), self.scale.pairs), "pairs drawn from the gallery's people"

    def bar(self, kind: str | None) -> Callable[[Sequence], Iterable]:
        return lambda items: self.progress(items, f"{self.name}, {kind or 'unaltered'}")


def _hash(data) -> str:
    return hashlib.sha256(json.dumps(data).encode()).hexdigest()
