"""How often are the verdicts wrong? Pairs judged by thresholds, and best matches compared with strangers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from demo.calibration import Calibration, Strangers, Threshold
from demo.errors import DemoError
from demo.evaluation.interval import Interval, interval
from demo.evaluation.protocol import QueryPhoto
from demo.identify import Identifier
from demo.methods import METHODS, NONE, Matching
from demo.query import ALTERATIONS, Preparation, Query, prepare_query
from demo.visibility import seen_on

#: Photos of strangers that each query is paired with.
STRANGERS = 5
#: What is counted, in the order of the table: which verdict is wrong, and of whom.
MISTAKES = {
    "different": "one person called different",
    "same": "strangers called same",
    "nobody": "in the gallery, told probably nobody",
    "plausible": "not in the gallery, told plausible",
}
#: Right and decided, beside the mistakes: the rest is uncertain.
RIGHT = {"different": "same", "same": "different", "nobody": "plausible", "plausible": "nobody"}

#: Wraps the queries to show progress, as ``tqdm`` does.
Progress = Callable[[Sequence], Iterable]


@dataclass
class Count:
    """Verdicts of one kind: of whom, whether wrong, and whether right; the rest was uncertain or refused."""

    people: list[str] = field(default_factory=list)
    wrong: list[bool] = field(default_factory=list)
    right: list[bool] = field(default_factory=list)
    refused: int = 0

    def add(self, person: str, verdict: str | None, mistake: str) -> None:
        """None for a verdict that was refused: neither right nor wrong."""
        self.people.append(person)
        self.wrong.append(verdict == mistake)
        self.right.append(verdict == RIGHT[mistake])
        self.refused += verdict is None

    @property
    def error(self) -> Interval:
        """Share that is wrong, with its interval over people."""
        return interval(np.array(self.wrong, float), self.people)


@dataclass(frozen=True)
class Verdicts:
    """alteration → method → mistake → count. skipped: (path, reason) of queries that could not be used. source: the
    sentences that the verdicts went by."""

    counts: dict[str | None, dict[str, dict[str, Count]]]
    gallery: int
    queries: int
    skipped: tuple[tuple[str, str], ...]
    sources: tuple[str, ...]

    def as_json(self) -> dict:
        return {
            "gallery": self.gallery, "queries": self.queries, "sources": list(self.sources),
            "skipped": [{"path": path, "reason": reason} for path, reason in self.skipped],
            "verdicts": [{
                "alteration": alteration, "method": word, "mistake": mistake, "n": len(count.wrong),
                "error": count.error.as_json(), "right": float(np.mean(count.right)), "refused": count.refused}
                for alteration, methods in self.counts.items() for word, mistakes in methods.items()
                for mistake, count in mistakes.items() if count.wrong]}

    def as_table(self) -> str:
        """A Markdown table, percent: a row per alteration and method."""
        lines = ["| queries | method | " + " | ".join(MISTAKES.values()) + " |", "|---" * (2 + len(MISTAKES)) + "|"]
        for alteration, methods in self.counts.items():
            title = "unaltered" if alteration is None else ALTERATIONS[alteration].title
            lines += [f"| {title} | {METHODS[word].short} | "
                      + " | ".join(_cell(mistakes[mistake]) for mistake in MISTAKES) + " |"
                      for word, mistakes in methods.items()]
        lines.append(f"\nPercent of the verdicts, in brackets the 95 % interval over people and the share that is "
                     f"decided and right; what is left is uncertain or refused. {self.queries} queries against "
                     f"{self.gallery} gallery photos; {len(self.skipped)} skipped.")
        return "\n".join([*lines, *self.sources, *(f"skipped {path}: {reason}" for path, reason in self.skipped)])


def _cell(count: Count) -> str:
    if not count.wrong:
        return ""
    error = count.error
    return (f"{100 * error.mean:.1f} ({100 * error.low:.1f} to {100 * error.high:.1f}; right "
            f"{100 * np.mean(count.right):.0f})")


def verdicts(identifier: Identifier, queries: Sequence[QueryPhoto], alterations: Sequence[str | None] = (None,),
             preparation: Preparation = Preparation(), *, methods: Sequence[str] | None = None,  # noqa: B008
             progress: Progress = iter) -> Verdicts:
    """Judge queries as the pages do, by every method (words; default all that judge pairs and are ready).

    Each query, altered with its number as seed, is compared with a photo of its person and with STRANGERS of others,
    drawn at random; and its best match is judged, and the best of other people, which is what somebody who is not in
    the gallery gets. Photos that cannot be used are skipped.
    """
    ready = identifier.ready(verifies=True)
    words = [word for word in ready if methods is None or word in methods]
    counts = {alteration: {word: {mistake: Count() for mistake in MISTAKES} for word in words}
              for alteration in alterations}
    judge, skipped = _Judge(identifier, words), []
    jobs = [(alteration, number, photo) for alteration in alterations for number, photo in enumerate(queries)]
    for alteration, number, photo in progress(jobs):
        asked = replace(preparation, alteration=alteration, seed=preparation.seed + number)
        try:
            query = prepare_query(photo.file, identifier.backbone, asked, gallery=identifier.gallery)
        except DemoError as error:
            skipped.append((photo.path, str(error)))
            continue
        judge.judge(query, photo, number, counts[alteration])
    return Verdicts(counts, len(identifier.gallery), len(queries), tuple(skipped), tuple(judge.sources))


class _Judge:
    """One identifier and what it says."""

    def __init__(self, identifier: Identifier, words: Sequence[str]):
        self.identifier, self.calibration = identifier, Calibration(identifier.gallery)
        self.methods = {word: identifier.method(word) for word in words}
        self.sources: dict[str, None] = {}
        self._worn: dict[int, str | None] = {}

    def judge(self, query: Query, photo: QueryPhoto, number: int, counts: dict[str, dict[str, Count]]) -> None:
        """Add the verdicts on one query."""
        entries = self.identifier.gallery.entries
        own = [row for row, entry in enumerate(entries) if entry.identity == photo.identity]
        mine = [row for row in own if row not in photo.exclude]
        rng = np.random.default_rng(number)
        others = [row for row in rng.permutation(len(entries))[:STRANGERS + len(own)].tolist() if row not in own]
        for word, found in counts.items():
            for row in rng.permutation(mine)[:1].tolist():
                found["different"].add(photo.identity, self._pair(word, query, row), "different")
            for row in others[:STRANGERS]:
                found["same"].add(photo.identity, self._pair(word, query, row), "same")
            there, gone = self._best(word, query, photo)
            if mine:
                found["nobody"].add(photo.identity, there, "nobody")
            found["plausible"].add(photo.identity, gone, "plausible")

    def _pair(self, word: str, query: Query, row: int) -> str | None:
        line = self.calibration.threshold(self.methods[word], query.measured_as, self._wears(row), (query.crop,))
        if not isinstance(line, Threshold):
            return None
        self.sources.setdefault(line.source)
        other = self.identifier.gallery.features([row])
        return line.verdict(float(self.methods[word].pairs(query.features, other)[0]))

    def _best(self, word: str, query: Query, photo: QueryPhoto) -> tuple[str | None, str | None]:
        """The verdicts on the best match, and on the best one of other people."""
        matching = Matching().having(method=word if self.methods[word].reranks else NONE)
        found = self.identifier.rank(query, matching, exclude=photo.exclude)
        yardstick = self.identifier.strangers(found)
        if not isinstance(yardstick, Strangers):
            return None, None
        self.sources.setdefault(yardstick.source)
        other = next((match for match in found.ranking if match.identity != photo.identity), None)
        return (yardstick.verdict(found.ranking[0].distance),
                None if other is None else yardstick.verdict(other.distance))

    def _wears(self, row: int) -> str | None:
        """What the person on a gallery photo wears."""
        if row not in self._worn:
            seen = seen_on(self.identifier.gallery.features([row]), self.identifier.backbone)
            self._worn[row] = seen.wears if seen else None
        return self._worn[row]
