"""Queries through both stages: scores, what Stage 2 could reach at most, times, and what was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from demo.errors import BadSetting, DemoError
from demo.evaluation.metrics import READINGS, Scores, best_possible, mean_scores
from demo.evaluation.naming import plain_setting, setting_name
from demo.evaluation.per_query import QueryRecord, QueryScore
from demo.evaluation.protocol import QueryPhoto
from demo.evaluation.ranking import Ranker
from demo.evaluation.store import FeatureStore
from demo.gallery import Gallery
from demo.identify import Identifier
from demo.methods import Matching
from demo.query import Clock, Preparation

#: Wraps the queries to show progress, as ``tqdm`` does.
Progress = Callable[[Sequence], Iterable]


@dataclass(frozen=True)
class Evaluation:
    """Scores of Stage 1 and of each Stage 2 setting over the same queries.

    bounds: k → the scores of a perfect re-ranking of the first k. reading: how R was counted. left_out: how often a
    gallery photo was not compared with a query because it is the query, or what the query was made from. skipped:
    (path, reason) of queries that could not be used. cached: queries whose features were at hand already. timings_ms:
    mean per query and step, of queries that took the step; for Stage 2 of the first setting. stage1_ms, stage2_ms:
    mean per query. records: what was found of each query.
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
    records: tuple[QueryRecord, ...]

    def as_json(self) -> dict:
        first = next(iter(self.stage2.values()), None)
        return {
            "queries": self.stage1.queries, "gallery": self.gallery, "metrics": self.reading,
            "left_out": self.left_out,
            "skipped": [{"path": path, "reason": reason} for path, reason in self.skipped],
            "stage1": self.stage1.as_json(), "stage2": first.as_json() if first else None,
            "settings": [{**plain_setting(matching), **scores.as_json(), "ms": round(self.stage2_ms[matching], 2)}
                         for matching, scores in self.stage2.items()],
            "best_possible": [{"k": k, **scores.as_json()} for k, scores in self.bounds.items()],
            "cached": self.cached, "timings_ms": {step: round(ms, 2) for step, ms in self.timings_ms.items()},
        }

    def as_table(self) -> str:
        """A Markdown table, a row per setting, and a line of counts."""
        rows = [("Stage 1", self.stage1)]
        rows += [(f"Stage 2, {setting_name(matching)}", scores) for matching, scores in self.stage2.items()]
        rows += [(f"best possible at k = {k}", scores) for k, scores in self.bounds.items()]
        lines = ["| method | P@1 | RP | MAP@R |", "|---|---|---|---|"]
        lines += [f"| {name} | {scores.p_at_1:.2f} | {scores.rp:.2f} | {scores.map_at_r:.2f} |"
                  for name, scores in rows]
        lines.append(f"\n{self.stage1.queries} queries against {self.gallery} gallery photos ({self.reading} metrics, "
                     f"{self.left_out} times a query's own photo was left out); {len(self.skipped)} skipped; "
                     f"{self.timings_ms.get('total', 0):.0f} ms per query, {self.cached} from the cache.")
        lines += [f"skipped {path}: {reason}" for path, reason in self.skipped]
        return "\n".join(lines)


def evaluate(identifier: Identifier, queries: Sequence[QueryPhoto], settings: Sequence[Matching],
             preparation: Preparation = Preparation(), *, reading: str = "corrected",  # noqa: B008
             store: FeatureStore | None = None, bounds: Sequence[int] = (), progress: Progress = iter) -> Evaluation:
    """Score Stage 1 and every Stage 2 setting over the queries.

    preparation: what happens to each query; number n is altered with seed + n, so that not all wear the same mask.
    reading: a word of READINGS. store: where features are looked up and kept. bounds: values of k for the best possible
    scores (default: those of the settings). Raises BadSetting for settings that do not fit.
    """
    if reading not in READINGS:
        raise BadSetting(f"Unknown metrics {reading!r}: choose from {', '.join(READINGS)}.")
    preparation.check()
    for matching in settings:
        matching.check()
    again = [matching for matching in settings if matching.reranks]
    for word in dict.fromkeys(matching.method for matching in again):
        identifier.method(word).warm_up()
    bounds = list(bounds or dict.fromkeys(matching.k for matching in again))
    ranker, store = Ranker(identifier), store or FeatureStore(None, identifier.backbone)
    before, records, best = store.hits, [], {k: [] for k in bounds}
    left_out, spent, taken, spent1, spent2 = 0, Counter(), Counter(), 0.0, Counter()
    for number, photo in enumerate(progress(queries)):
        asked, clock = replace(preparation, seed=preparation.seed + number), Clock(identifier.backbone.device)
        record = QueryRecord(photo.path, photo.identity, asked.alteration, asked.seed)
        try:
            relevant = _relevant(photo, identifier.gallery)
            features = store.features(photo.file, asked, clock, identifier.gallery)
        except DemoError as error:
            records.append(replace(record, skipped=str(error)))
            continue
        ranked = ranker.rank(features, photo.identity, again, exclude=photo.exclude, clock=clock)
        records.append(replace(record, rankings={
            matching: QueryScore.of(hits, relevant) for matching, hits in ((None, ranked.stage1),
                                                                           *ranked.stage2.items())}))
        for k, scores in best.items():
            scores.append(best_possible(ranked.stage1, relevant, k))
        left_out += len(photo.exclude)
        steps = {**clock.steps, "total": sum(clock.steps.values())}
        spent.update(steps)
        taken.update(steps.keys())
        spent1 += ranked.stage1_ms
        spent2.update(ranked.stage2_ms)
    used = [record.rankings for record in records if not record.skipped]
    count = max(len(used), 1)

    def mean(setting: Matching | None) -> Scores:
        return mean_scores([rankings[setting].scores for rankings in used])

    return Evaluation(
        mean(None), {matching: mean(matching) for matching in again},
        {k: mean_scores(scores) for k, scores in best.items()}, len(identifier.gallery), reading, left_out,
        tuple((record.path, record.skipped) for record in records if record.skipped), store.hits - before,
        {step: ms / taken[step] for step, ms in spent.items()}, spent1 / count,
        {matching: spent2[matching] / count for matching in again}, tuple(records),
    )


def _relevant(photo: QueryPhoto, gallery: Gallery) -> int:
    """R of a query. BadSetting where no photo of its identity may be found."""
    own = sum(gallery.entries[row].identity == photo.identity for row in photo.exclude)
    found = gallery.people[photo.identity] - own
    if found < 1:
        raise BadSetting(f"No {'other ' if own else ''}photo of {photo.identity} is in the gallery.")
    return found if photo.relevant is None else photo.relevant
