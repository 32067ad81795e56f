"""Queries through both stages: scores, what Stage 2 could reach at most, times, and what was left out."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass

from demo.errors import BadSetting, DemoError
from demo.evaluation.metrics import READINGS, Scores, best_places, mean_scores
from demo.evaluation.naming import plain_setting, setting_name
from demo.evaluation.per_query import QueryRecord, QueryScore
from demo.evaluation.protocol import QueryPhoto
from demo.evaluation.ranking import SEARCH, Ranker
from demo.evaluation.store import FeatureStore
from demo.evaluation.work import Work, measured_in_order
from demo.gallery import Gallery
from demo.identify import Identifier
from demo.methods import Matching
from demo.query import Preparation

#: Wraps the queries to show progress, as ``tqdm`` does.
Progress = Callable[[Sequence], Iterable]
#: Queries that could not be used are listed up to this many.
_LISTED = 20


@dataclass(frozen=True)
class Evaluation:
    """Scores of Stage 1 and of each Stage 2 setting over the same queries, with intervals over people; those of Stage 2
    also have what they gain over Stage 1.

    bounds: k → the scores of a perfect re-ranking of the first k. reading: how R was counted. left_out: how often a
    gallery photo was not compared with a query because it is the query, or what the query was made from. skipped:
    (path, reason) of queries that could not be used. cached: queries of which something was at hand already.
    timings_ms: mean per query and step, of queries that took the step in this run. stage1_ms, stage2_ms: mean per
    query, whenever it was measured. seconds: that this run took, on ``jobs`` threads. records: what was found of each
    query.
    """

    stage1: Scores
    stage2: dict[Matching, Scores]
    bounds: dict[int, Scores]
    gallery: int
    reading: str
    left_out: int
    skipped: tuple[tuple[str, str], ...]
    cached: int
    timings_ms: dict[str, float]
    stage1_ms: float
    stage2_ms: dict[Matching, float]
    seconds: float
    jobs: int
    records: tuple[QueryRecord, ...]

    def as_json(self) -> dict:
        first = next(iter(self.stage2.values()), None)
        return {
            "queries": self.stage1.queries, "gallery": self.gallery, "metrics": self.reading,
            "left_out": self.left_out,
            "skipped": [{"path": path, "reason": reason} for path, reason in self.skipped],
            "stage1": {**self.stage1.as_json(), **self.stage1.intervals_json()},
            "stage2": first.as_json() if first else None,
            "settings": [{**plain_setting(matching), **scores.as_json(), **scores.intervals_json(),
                          "ms": round(self.stage2_ms[matching], 2)} for matching, scores in self.stage2.items()],
            "best_possible": [{"k": k, **scores.as_json()} for k, scores in self.bounds.items()],
            "cached": self.cached, "timings_ms": {step: round(ms, 2) for step, ms in self.timings_ms.items()},
            "seconds": round(self.seconds, 1), "jobs": self.jobs,
        }

    def as_table(self) -> str:
        """A Markdown table, a row per setting, and a line of counts."""
        rows = [("Stage 1", self.stage1)]
        rows += [(f"Stage 2, {setting_name(matching)}", scores) for matching, scores in self.stage2.items()]
        rows += [(f"best possible at k = {k}", scores) for k, scores in self.bounds.items()]
        lines = ["| method | P@1 | RP | MAP@R | P@1, 95 % | P@1 less Stage 1's |", "|---|---|---|---|---|---|"]
        for name, scores in rows:
            ends = f"{scores.ends[0].low:.2f} to {scores.ends[0].high:.2f}" if scores.ends else "-"
            gained = scores.gains[0].text(2, sign=True) if scores.gains else "-"
            lines.append(f"| {name} | {scores.p_at_1:.2f} | {scores.rp:.2f} | {scores.map_at_r:.2f} | {ends} | "
                         f"{gained} |")
        lines.append(f"\n{self.stage1.queries} queries against {self.gallery} gallery photos ({self.reading} metrics, "
                     f"{self.left_out} times a query's own photo was left out); {len(self.skipped)} skipped; "
                     f"{self.timings_ms.get('total', 0):.0f} ms per query, {self.cached} from the cache; "
                     f"{told_time(self.seconds)} on {self.jobs} thread{'s' * (self.jobs > 1)}.")
        lines += [f"skipped {path}: {reason}" for path, reason in self.skipped[:_LISTED]]
        lines += [f"and {len(self.skipped) - _LISTED} more"] if len(self.skipped) > _LISTED else []
        return "\n".join(lines)


def told_time(seconds: float) -> str:
    """"8.2 s", "12 min 5 s", "1 h 3 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def evaluate(identifier: Identifier, queries: Sequence[QueryPhoto], settings: Sequence[Matching],
             preparation: Preparation = Preparation(), *, reading: str = "corrected",  # noqa: B008
             store: FeatureStore | None = None, bounds: Sequence[int] = (), progress: Progress = iter, jobs: int = 1,
             anew: bool = False) -> Evaluation:
    """Score Stage 1 and every Stage 2 setting over the queries.

    preparation: what happens to each query; the one with number n is altered with seed + n, so that not all wear the
    same mask. reading: a word of READINGS. store: where features and distances are looked up and kept. bounds: values
    of k for the best possible scores (default: those of the settings). jobs: queries measured at a time, in threads of
    one core each. anew: measure every distance again, for its time. Raises BadSetting for settings that do not fit.
    """
    if reading not in READINGS:
        raise BadSetting(f"Unknown metrics {reading!r}: choose from {', '.join(READINGS)}.")
    preparation.check()
    for matching in settings:
        matching.check()
    again = list(dict.fromkeys(matching for matching in settings if matching.reranks))
    for word in dict.fromkeys(matching.method for matching in again):
        identifier.method(word).warm_up()
    bounds = list(bounds or dict.fromkeys(matching.k for matching in again))
    ranker, store = Ranker(identifier), store or FeatureStore(None, identifier.backbone)
    work = Work(ranker, again, preparation, store, None if anew else store.journal)
    counts, began = _Counts(), time.perf_counter()
    records, best, stage1, stage2 = [], {k: [] for k in bounds}, [], {matching: [] for matching in again}
    problems = [_problem(photo, identifier.gallery) for photo in queries]
    with closing(measured_in_order(work, queries, problems, jobs)) as results:
        for photo, (asked, found, steps, known) in zip(progress(queries), results, strict=False):
            if isinstance(found, str):
                records.append(QueryRecord(photo.path, photo.identity, asked.alteration, asked.seed, skipped=found))
                continue
            relevant = _relevant(photo, identifier.gallery)
            places = {matching: ranker.places(found, photo, matching) for matching in (None, *again)}
            rankings = {matching: QueryScore.of(own, relevant) for matching, own in places.items()}
            records.append(QueryRecord(photo.path, photo.identity, asked.alteration, asked.seed, rankings))
            for k, scores in best.items():
                scores.append(best_places(places[None], relevant, k))
            counts.add(photo, steps, known)
            stage1.append(found.ms.get(SEARCH, 0.0))
            for matching, spent in stage2.items():
                spent.append(found.ms.get(ranker.part(photo, matching), 0.0))
    used = [record for record in records if not record.skipped]
    people = [record.identity for record in used]
    first = [record.rankings[None].scores for record in used]

    def mean(matching: Matching) -> Scores:
        return mean_scores([record.rankings[matching].scores for record in used], people, first)

    return Evaluation(
        mean_scores(first, people), {matching: mean(matching) for matching in again},
        {k: mean_scores(scores, people) for k, scores in best.items()}, len(identifier.gallery), reading,
        counts.left_out, tuple((record.path, record.skipped) for record in records if record.skipped), counts.cached,
        counts.timings(), _mean(stage1), {matching: _mean(spent) for matching, spent in stage2.items()},
        time.perf_counter() - began, jobs, tuple(records),
    )


class _Counts:
    """What is counted of the queries that could be used."""

    def __init__(self):
        self.left_out = self.cached = 0
        self._spent, self._taken = Counter(), Counter()

    def add(self, photo: QueryPhoto, steps: dict[str, float], known: bool) -> None:
        self.left_out += len(photo.exclude)
        self.cached += known
        every = {**steps, "total": sum(steps.values())}
        self._spent.update(every)
        self._taken.update(every.keys())

    def timings(self) -> dict[str, float]:
        return {step: ms / self._taken[step] for step, ms in self._spent.items()}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / max(len(values), 1)


def _problem(photo: QueryPhoto, gallery: Gallery) -> str:
    """Why a query has no score, or nothing."""
    try:
        _relevant(photo, gallery)
    except DemoError as error:
        return str(error)
    return ""


def _relevant(photo: QueryPhoto, gallery: Gallery) -> int:
    """R of a query. BadSetting where no photo of its identity may be found."""
    own = sum(gallery.entries[row].identity == photo.identity for row in photo.exclude)
    found = gallery.people[photo.identity] - own
    if found < 1:
        raise BadSetting(f"No {'other ' if own else ''}photo of {photo.identity} is in the gallery.")
    return found if photo.relevant is None else photo.relevant
