"""Measuring what distances mean on folders of people, for every gallery that cannot tell by itself.

Several sources, since photos of another kind break a threshold: of each the distances of pairs of one person and of
two, and how near its strangers come, for photos unaltered and altered. Numbers only are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
import torch

from demo.backbones import Backbone
from demo.calibration.faces import AlteredFaces
from demo.calibration.keys import KINDS, PAIRS, STRANGERS, array_key
from demo.calibration.quality import sharpness
from demo.calibration.reference import Reference, SourceInfo, strata
from demo.errors import BadGallery
from demo.gallery import Gallery, Photo, is_picture, list_photos
from demo.methods import METHODS, Method, load_method, ready

#: Of each source: people with two photos who are paired, people with one photo (or one more) whom queries meet as
#: strangers, pairs of strangers, and photos that play the query.
PEOPLE, OTHERS, STRANGER_PAIRS, QUERIES = 200, 500, 1000, 120

#: Wraps the list of steps to show progress, as ``tqdm`` does; may raise to stop.
Progress = Callable[[Sequence], Iterable]


@dataclass(frozen=True)
class Source:
    """Photos of one kind. name: told wherever the numbers are. soft: they are softened first."""

    name: str
    gallery: Gallery
    soft: bool = False


def choose_photos(folder: Path, most: int = PEOPLE, others: int = OTHERS) -> list[Photo]:
    """Photos of a source: the first two of up to ``most`` people with two or more, and one each of up to ``others``
    more, evenly spread by name. A folder without sub-folders holds photos of different people. BadGallery for none."""
    flat = [Photo(file.name, file.stem, file) for file in sorted(folder.iterdir())
            if is_picture(file)] if folder.is_dir() else []
    people: dict[str, list[Photo]] = {}
    for photo in flat or list_photos(folder):
        people.setdefault(photo.identity, []).append(photo)
    several = _spread([name for name, own in people.items() if len(own) > 1], most)
    single = _spread([name for name in people if name not in set(several)], others)
    return sorted((photo for names, count in ((several, 2), (single, 1)) for name in names
                   for photo in people[name][:count]), key=lambda photo: photo.path)


def _spread(names: Sequence[str], most: int) -> list[str]:
    return [names[int(at)] for at in np.linspace(0, len(names), min(most, len(names)), endpoint=False)]


def judging(backbone: Backbone) -> list[Method]:
    """The methods that judge pairs on a backbone and are ready."""
    among = {word: one for word, one in METHODS.items() if one.verifies}
    return [load_method(word, backbone) for word in ready(backbone, among=among)]


def measure_reference(sources: Sequence[Source], backbone: Backbone, file: Path,
                      progress: Progress = iter) -> Reference:
    """Measure every source by every method that judges pairs and is ready, at its default options, and keep the
    numbers in ``file``. What stands in it already for the same photos and weights is not measured again: after a stop
    it goes on with the next source, and for a method with new weights only that one is measured."""
    methods = judging(backbone)
    for source in sources:
        known = Reference.read(file, backbone)
        missing = [method for method in methods if not known.holds(source.name, source.gallery.sha256, method)]
        if missing:
            _Measurement(source, backbone, missing, methods).run(file, progress)
    return Reference.read(file, backbone)


class _Measurement:
    """One source: which photos meet, and the arrays as they fill."""

    def __init__(self, source: Source, backbone: Backbone, missing: Sequence[Method], methods: Sequence[Method]):
        self.source, self.backbone, self.missing, self.methods = source, backbone, missing, methods
        self.faces = AlteredFaces(source.gallery, backbone, soft=source.soft)
        self.arrays: dict[str, np.ndarray] = {}

    def run(self, file: Path, progress: Progress) -> None:
        gallery, rng = self.source.gallery, np.random.default_rng(0)
        rows: dict[str, list[int]] = {}
        for row, entry in enumerate(gallery.entries):
            rows.setdefault(entry.identity, []).append(row)
        paired = [own[:2] for own in rows.values() if len(own) > 1][:PEOPLE]
        pool = [row for own in paired for row in own] or [own[0] for own in rows.values()][:PEOPLE]
        usable = {row for row in progress(pool) if self.faces.usable(row)}
        pool = [row for row in pool if row in usable]
        genuine = [(one, other) for one, other in paired if one in usable and other in usable]
        people = np.array([gallery.entries[row].identity for row in pool])
        drawn = rng.integers(0, len(pool), (4 * STRANGER_PAIRS, 2)) if len(pool) > 1 else np.empty((0, 2), int)
        strangers = [(pool[one], pool[other]) for one, other in drawn if people[one] != people[other]][:STRANGER_PAIRS]
        if not strangers:
            raise BadGallery(f"{self.source.name} has too few usable photos of different people.")
        cohort = [own[0] for own in rows.values() if not self.source.soft or own[0] in usable]  # fewer to soften
        queries = [row for row in pool if row in set(cohort)]
        queries = queries[::max(1, len(queries) // QUERIES)][:QUERIES]
        steps = [*(lambda kinds=kinds: self._pairs(genuine, strangers, kinds)
                   for kinds in combinations_with_replacement(KINDS, 2)),
                 *(lambda kind=kind: self._nearest(queries, cohort, kind) for kind in KINDS)]
        for step in progress(steps):
            step()
        info = SourceInfo(self.source.name, gallery.sha256, people=len(rows), photos=len(gallery),
                          others=len(cohort) - 1, soft=self.source.soft, sharpness=self._sharpness(pool))
        Reference.read(file, self.backbone).having(info, self.arrays, self.methods).write(file)

    def _pairs(self, genuine: Sequence[tuple[int, int]], strangers: Sequence[tuple[int, int]],
               kinds: tuple[str, str]) -> None:
        both = [*genuine, *(() if kinds[0] == kinds[1] else ((other, one) for one, other in genuine))]
        for method in self.missing:
            for which, pairs in (("genuine", both), ("strangers", strangers)):
                key = array_key(PAIRS, method, self.source.name, *kinds, which)
                self.arrays[key] = self.faces.distances(method, pairs, kinds).astype(np.float16)

    def _nearest(self, queries: Sequence[int], cohort: Sequence[int], kind: str) -> None:
        """Of each query some of its strangers by their rank (``strata``), of the unaltered photos of all."""
        plain = torch.nn.functional.normalize(torch.cat(
            [self.faces.stacked([row], KINDS[0]).embedding for row in cohort]), dim=1)
        names = [self.source.gallery.entries[row].identity for row in cohort]
        ranks, _ = strata(len(cohort) - 1)
        pairs = []
        for row in queries:
            face = self.faces.stacked([row], kind)
            own = names.index(self.source.gallery.entries[row].identity)
            order = torch.argsort(1 - plain @ torch.nn.functional.normalize(face.embedding[0], dim=0), stable=True)
            others = order[order != own][torch.from_numpy(ranks)].tolist()
            pairs += [(row, cohort[other]) for other in others]
        for method in self.missing:
            found = self.faces.distances(method, pairs, (kind, KINDS[0])).reshape(len(queries), len(ranks))
            self.arrays[array_key(STRANGERS, method, self.source.name, kind)] = found.astype(np.float16)

    def _sharpness(self, rows: Sequence[int]) -> dict[str, float]:
        """Kind of alteration → what the softest hundredth of some photos stays below."""
        some = rows[::max(1, len(rows) // QUERIES)]
        return {kind: round(float(np.quantile([sharpness(self.faces.crop(row, kind)) for row in some], 0.01)), 4)
                for kind in KINDS}
