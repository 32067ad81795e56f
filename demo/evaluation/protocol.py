"""Identification protocols: leave-one-out over a gallery, or a set of queries against it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from demo.backbones import grid_name
from demo.errors import DemoError
from demo.evaluation.metrics import Scores, mean_scores, score_query
from demo.gallery import Gallery, list_photos
from demo.identify import Identifier
from demo.query import Clock, Options, prepare_query

#: Wraps the queries to show progress, as ``tqdm`` does.
Progress = Callable[[Sequence], Iterable]


@dataclass(frozen=True)
class QueryPhoto:
    """A query file, its identity, and the gallery rows it must not be compared with."""

    path: str
    file: Path
    identity: str
    exclude: tuple[int, ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """Scores of Stage 1 and of each Stage 2 setting over the same queries.

    skipped: (path, reason) of queries that could not be used. timings_ms: mean per query and step; for
    Stage 2 of the first setting.
    """

    stage1: Scores
    stage2: dict[Options, Scores]
    gallery: int
    skipped: tuple[tuple[str, str], ...]
    timings_ms: dict[str, float]

    def as_json(self) -> dict:
        first = next(iter(self.stage2.values()), None)
        return {
            "queries": self.stage1.queries, "gallery": self.gallery,
            "skipped": [{"path": path, "reason": reason} for path, reason in self.skipped],
            "stage1": self.stage1.as_json(), "stage2": first.as_json() if first else None,
            "settings": [{"weighting": options.weighting, "grid": _grid(options), "alpha": options.alpha,
                          "k": options.k, **scores.as_json()} for options, scores in self.stage2.items()],
            "timings_ms": {step: round(ms, 2) for step, ms in self.timings_ms.items()},
        }

    def as_table(self) -> str:
        """A Markdown table, a row per setting, and a line of counts."""
        rows = [("Stage 1", self.stage1)]
        rows += [(f"Stage 2, {options.weighting}, {_grid(options)}", scores) for options, scores in self.stage2.items()]
        lines = ["| method | P@1 | RP | MAP@R |", "|---|---|---|---|"]
        lines += [f"| {name} | {scores.p_at_1:.2f} | {scores.rp:.2f} | {scores.map_at_r:.2f} |"
                  for name, scores in rows]
        lines.append(f"\n{self.stage1.queries} queries against {self.gallery} gallery photos; "
                     f"{len(self.skipped)} skipped; {self.timings_ms.get('total', 0):.0f} ms per query.")
        lines += [f"skipped {path}: {reason}" for path, reason in self.skipped]
        return "\n".join(lines)


def leave_one_out(gallery: Gallery) -> list[QueryPhoto]:
    """Each gallery photo as a query against all others (and against no copy of itself). Photos of identities with
    one photo only are no queries: they stay as distractors."""
    same_content = defaultdict(list)
    for row, entry in enumerate(gallery.entries):
        same_content[entry.sha256].append(row)
    return [
        QueryPhoto(entry.path, gallery.photo_file(row), entry.identity, tuple(same_content[entry.sha256]))
        for row, entry in enumerate(gallery.entries) if gallery.people[entry.identity] > 1
    ]


def query_folder(folder: str | Path) -> list[QueryPhoto]:
    """The photos of a folder with one sub-folder per identity."""
    return [QueryPhoto(photo.path, photo.file, photo.identity) for photo in list_photos(folder)]


def evaluate(identifier: Identifier, queries: Sequence[QueryPhoto], settings: Sequence[Options], *,
             progress: Progress = iter) -> Evaluation:
    """Score Stage 1 and every Stage 2 setting over the queries.

    The settings must agree on all that happens to the photo (occlusion, style, seed, detector): each query is
    prepared once. Query number n is altered with seed + n, so that not all wear the same mask.
    """
    stage1_scores, stage2_scores = [], {options: [] for options in settings if options.stage2 != "none"}
    skipped, spent = [], Counter()
    runs = list(stage2_scores) or [replace(settings[0], stage2="none")]
    for number, photo in enumerate(progress(queries)):
        relevant = identifier.gallery.people[photo.identity] - len(photo.exclude)
        if relevant < 1:
            skipped.append((photo.path, f"No photo of {photo.identity} is in the gallery."))
            continue
        try:
            clock = Clock(identifier.backbone.device)
            seeded = replace(runs[0], seed=runs[0].seed + number)
            query = prepare_query(photo.file, identifier.backbone, seeded, clock)
        except DemoError as error:
            skipped.append((photo.path, str(error)))
            continue
        for options in runs:
            found = identifier.rank(query, options, clock=clock, exclude=photo.exclude)
            if options is runs[0]:
                stage1_scores.append(score_query(_hits(found.stage1, photo.identity), relevant))
                spent.update(found.timings_ms)
            if options in stage2_scores:
                stage2_scores[options].append(score_query(_hits(found.stage2, photo.identity), relevant))
            clock = Clock(identifier.backbone.device)
    count = max(len(stage1_scores), 1)
    return Evaluation(
        mean_scores(stage1_scores), {options: mean_scores(scores) for options, scores in stage2_scores.items()},
        len(identifier.gallery), tuple(skipped), {step: ms / count for step, ms in spent.items()},
    )


def _grid(options: Options) -> str:
    return grid_name(options.grid) if options.grid else "finest"


def _hits(ranking, identity: str) -> list[bool]:
    return [match.identity == identity for match in ranking]
