"""Queries measured in blocks, on several threads, in the order of the queries; what is known already is not measured.

Threads of one process, one core each: decoding, networks and transport all let go of the interpreter, the gallery is in
memory once, and nothing is forked.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from demo.backbones import Features
from demo.errors import DemoError
from demo.evaluation.journal import Journal
from demo.evaluation.protocol import QueryPhoto
from demo.evaluation.ranking import SEARCH, Measured, Ranker
from demo.evaluation.store import FeatureStore, as_indexed
from demo.evaluation.versions import scores_versions
from demo.methods import Matching
from demo.query import Clock, Preparation

#: Queries whose Stage 1 is one product, at the most.
BLOCK = 32


@dataclass
class _Job:
    """One query on its way. features: None where they are not needed, or cannot be had. known: whether something of it
    was at hand."""

    photo: QueryPhoto
    asked: Preparation
    clock: Clock
    problem: str
    key: str = ""
    found: Measured | None = None
    features: Features | None = None
    known: bool = False


#: Of one query: how it was prepared, what was measured or why it could not be, milliseconds by step, whether something
#: of it was known.
Result = tuple[Preparation, Measured | str, dict[str, float], bool]


@dataclass(frozen=True)
class Work:
    """What is done to each query. settings: of Stage 2. journal: where measurements are looked up and kept, if they
    are."""

    ranker: Ranker
    settings: Sequence[Matching]
    preparation: Preparation
    store: FeatureStore
    journal: Journal | None

    def block(self, queries: Sequence[tuple[QueryPhoto, int, str]]) -> list[Result]:
        """queries: (query, place among all, why it has no score or "")."""
        jobs = [self._begin(*query) for query in queries]
        self._search([job for job in jobs if job.features is not None and (
            job.found is None or self.ranker.shallow(job.found, job.photo, self.settings))])
        fresh = {}
        for job in jobs:
            if job.features is not None and job.found is not None:
                self.ranker.complete(job.found, job.features, job.photo, self.settings, job.clock)
                if job.key:
                    fresh[job.key] = job.found
        if self.journal and fresh:
            self.journal.write(fresh)
        return [(job.asked, job.found or job.problem, job.clock.steps, job.known) for job in jobs]

    def _begin(self, photo: QueryPhoto, place: int, problem: str) -> _Job:
        """What is known of a query, and its features where that is not enough."""
        place = place if photo.number is None else photo.number
        job = _Job(photo, replace(self.preparation, seed=self.preparation.seed + place),
                   Clock(self.ranker.gallery.device), problem)
        if problem:
            return job
        job.key = self._key(photo, job.asked)
        job.found = self.journal.read(job.key) if self.journal and job.key else None
        job.known = job.found is not None
        if self.ranker.missing(job.found, photo, self.settings):
            try:
                job.features = self._features(photo, job.asked, job.clock)
                job.known |= not job.clock.steps.keys() & {"decode", "index"}
            except DemoError as error:
                job.found, job.problem = None, str(error)
        return job

    def _search(self, jobs: Sequence[_Job]) -> None:
        """Stage 1 of several queries, as one product."""
        if not jobs:
            return
        shared, photos = Clock(self.ranker.gallery.device), [job.photo for job in jobs]
        with shared.step(SEARCH):
            depth = max(self.ranker.depth(photo, self.settings) for photo in photos)
            embeddings = torch.cat([job.features.embedding for job in jobs if job.features is not None])
            heads = self.ranker.heads(embeddings, photos, depth)
        for job, head in zip(jobs, heads, strict=True):
            job.found = Measured(head) if job.found is None else replace(job.found, head=head)
            job.clock.steps[SEARCH] = job.found.ms[SEARCH] = shared.steps[SEARCH] / len(jobs)

    def _features(self, photo: QueryPhoto, asked: Preparation, clock: Clock) -> Features:
        """Features of a query. A gallery photo that nothing happens to has them in the index."""
        gallery = self.ranker.gallery
        if photo.row is not None and as_indexed(asked, gallery):
            with clock.step("index"):
                wanted = {matching.grid for matching in self.settings} & set(self.ranker.identifier.backbone.info.grids)
                return replace(gallery.features([photo.row]), maps={
                    grid: gallery.features([photo.row], grid).patches for grid in wanted - {gallery.grids[0]}})
        return self.store.features(photo.file, asked, clock, gallery)

    def _key(self, photo: QueryPhoto, asked: Preparation) -> str:
        """Hash of everything that what is measured of a query depends on, but for what its parts say; empty where its
        file cannot be read."""
        gallery = self.ranker.gallery
        try:
            features = self.store.key(Path(photo.file), asked, gallery)
        except OSError:
            return ""
        stored = photo.row is not None and as_indexed(asked, gallery)
        parts = [features, stored, gallery.sha256, photo.identity, scores_versions()]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def measured_in_order(work: Work, queries: Sequence[QueryPhoto], problems: Sequence[str],
                      jobs: int) -> Generator[Result, None, None]:
    """The result of each query, in order. problems: why a query has no score, else empty, as many as queries."""
    size = max(1, min(BLOCK, len(queries) // (8 * jobs)))
    numbered = list(zip(queries, range(len(queries)), problems, strict=True))
    blocks = [numbered[start:start + size] for start in range(0, len(numbered), size)]
    if jobs == 1:
        for block in blocks:
            yield from work.block(block)
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # each query has a core of its own
    pool, waiting = ThreadPoolExecutor(jobs), deque()
    try:
        for block in blocks:
            waiting.append(pool.submit(work.block, block))
            if len(waiting) > 2 * jobs:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)
