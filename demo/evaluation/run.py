"""Queries through both stages: scores, what Stage 2 could reach at most, times, and what was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from demo.backbones import grid_name
from demo.errors import BadSetting, DemoError
from demo.evaluation.metrics import READINGS, Scores, best_possible, mean_scores, score_query
from demo.evaluation.protocol import QueryPhoto
from demo.evaluation.ranking import Ranker
from demo.evaluation.store import FeatureStore
from demo.identify import Identifier
from demo.matching import warm_up
from demo.query import Clock, Options

#: Wraps the queries to show progress, as ``tqdm`` does.
Progress = Callable[[Sequence], Iterable]


@dataclass(frozen=True)
class Evaluation:
    """Scores of Stage 1 and of each Stage 2 setting over the same queries.

    bounds: k → the scores of a perfect re-ranking of the first k. reading: how R was counted. left_out: how often a
    gallery photo was not compared with a query because it is the query, or what the query was made from. skipped:
    (path, reason) of queries that could not be used. cached: queries whose features were at hand already. timings_ms:
    mean per query and step, of queries that took the step; for Stage 2 of the first setting. stage1_ms, stage2_ms:
    mean per query.
    """

    stage1: Scores
    stage2: dict[Options, Scores]
    bounds: dict[int, Scores]
    gallery: int
    reading: str
    left_out: int
    skipped: tuple[tuple[str, str], ...]
    cached: int
    timings_ms: dict[str, float]
    stage1_ms: float
    stage2_ms: dict[Options, float]

    def as_json(self) -> dict:
        first = next(iter(self.stage2.values()), None)
        return {
            "queries": self.stage1.queries, "gallery": self.gallery, "metrics": self.reading,
            "left_out": self.left_out,
            "skipped": [{"path": path, "reason": reason} for path, reason in self.skipped],
            "stage1": self.stage1.as_json(), "stage2": first.as_json() if first else None,
            "settings": [{"stage2": options.stage2, "weighting": options.weighting, "grid": grid_of(options),
                          "alpha": options.alpha, "k": options.k, "solver": options.solver, **scores.as_json(),
                          "ms": round(self.stage2_ms[options], 2)} for options, scores in self.stage2.items()],
            "best_possible": [{"k": k, **scores.as_json()} for k, scores in self.bounds.items()],
            "cached": self.cached, "timings_ms": {step: round(ms, 2) for step, ms in self.timings_ms.items()},
        }

    def as_table(self) -> str:
        """A Markdown table, a row per setting, and a line of counts."""
        rows = [("Stage 1", self.stage1)]
        rows += [(f"Stage 2, {method_of(options)}", scores) for options, scores in self.stage2.items()]
        rows += [(f"best possible at k = {k}", scores) for k, scores in self.bounds.items()]
        lines = ["| method | P@1 | RP | MAP@R |", "|---|---|---|---|"]
        lines += [f"| {name} | {scores.p_at_1:.2f} | {scores.rp:.2f} | {scores.map_at_r:.2f} |"
                  for name, scores in rows]
        lines.append(f"\n{self.stage1.queries} queries against {self.gallery} gallery photos ({self.reading} metrics, "
                     f"{self.left_out} times a query's own photo was left out); {len(self.skipped)} skipped; "
                     f"{self.timings_ms.get('total', 0):.0f} ms per query, {self.cached} from the cache.")
        lines += [f"skipped {path}: {reason}" for path, reason in self.skipped]
        return "\n".join(lines)


def evaluate(identifier: Identifier, queries: Sequence[QueryPhoto], settings: Sequence[Options], *,
             reading: str = "corrected", store: FeatureStore | None = None, bounds: Sequence[int] = (),
             progress: Progress = iter) -> Evaluation:
    """Score Stage 1 and every Stage 2 setting over the queries.

    The settings must agree on all that happens to the photo (occlusion, style, seed, detector): each query is
    prepared once. Query number n is altered with seed + n, so that not all wear the same mask. reading: a word of
    READINGS. store: where features are looked up and kept. bounds: values of k for the best possible scores
    (default: those of the settings).
    """
    if reading not in READINGS:
        raise BadSetting(f"Unknown metrics {reading!r}: choose from {', '.join(READINGS)}.")
    for options in settings:
        options.check()
    again = [options for options in settings if options.stage2 != "none"]
    if any(options.stage2 == "emd" for options in again) and identifier.backbone.device.type == "cpu":
        warm_up()
    bounds = list(bounds or dict.fromkeys(options.k for options in again))
    ranker, store = Ranker(identifier), store or FeatureStore(None, identifier.backbone)
    people, before = identifier.gallery.people, store.hits
    stage1, stage2, best = [], {options: [] for options in again}, {k: [] for k in bounds}
    skipped, left_out, spent, taken, spent1, spent2 = [], 0, Counter(), Counter(), 0.0, Counter()
    for number, photo in enumerate(progress(queries)):
        own = sum(identifier.gallery.entries[row].identity == photo.identity for row in photo.exclude)
        relevant = people[photo.identity] - own if photo.relevant is None else photo.relevant
        if people[photo.identity] - own < 1:
            reason = f"No {'other ' if own else ''}photo of {photo.identity} is in the gallery."
            skipped.append((photo.path, reason))
            continue
        clock = Clock(identifier.backbone.device)
        try:
            features = store.features(photo.file, replace(settings[0], seed=settings[0].seed + number), clock,
                                      identifier.gallery)
        except DemoError as error:
            skipped.append((photo.path, str(error)))
            continue
        ranked = ranker.rank(features, photo.identity, again, exclude=photo.exclude, clock=clock)
        stage1.append(score_query(ranked.stage1, relevant))
        for options, hits in ranked.stage2.items():
            stage2[options].append(score_query(hits, relevant))
        for k, scores in best.items():
            scores.append(best_possible(ranked.stage1, relevant, k))
        left_out += len(photo.exclude)
        steps = {**clock.steps, "total": sum(clock.steps.values())}
        spent.update(steps)
        taken.update(steps.keys())
        spent1 += ranked.stage1_ms
        spent2.update(ranked.stage2_ms)
    count = max(len(stage1), 1)
    return Evaluation(
        mean_scores(stage1), {options: mean_scores(scores) for options, scores in stage2.items()},
        {k: mean_scores(scores) for k, scores in best.items()}, len(identifier.gallery), reading, left_out,
        tuple(skipped), store.hits - before, {step: ms / taken[step] for step, ms in spent.items()},
        spent1 / count, {options: spent2[options] / count for options in again},
    )


def grid_of(options: Options) -> str:
    """The grid of a setting in a word."""
    return grid_name(options.grid) if options.grid else "finest"


def method_of(options: Options) -> str:
    """What a table calls the Stage 2 of a setting."""
    return f"{options.weighting}, {grid_of(options)}" if options.stage2 == "emd" else options.stage2
