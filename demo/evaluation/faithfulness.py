"""Faithfulness: does what the explanations name really carry the score? Asked of the model itself, patch by patch.

Patches of the aligned query are blurred out (or brought back) in the order of an explanation, the picture is embedded
again, and the similarity to the candidate is read off (``demo.evaluation.deletion``). The gain, insertion area minus
deletion area, is 0 for an order that says nothing and positive for one that tells the truth; taking one patch away at
a time shows what gain can be had. The gain of the reverse order is the same number with the other sign.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from demo.drawing.erase import erased
from demo.drawing.grids import patch_centres
from demo.errors import BadSetting, DemoError
from demo.evaluation.deletion import area, curves, leave_one_out_drops, order_of, patch_cover, shares
from demo.evaluation.interval import Interval, interval
from demo.evaluation.judges import judges_of
from demo.evaluation.protocol import QueryPhoto
from demo.evaluation.run import Progress
from demo.explain import Importance, Pair, available
from demo.identify import Identifier
from demo.methods import DEFAULT, METHODS, NONE, Matching
from demo.query import Preparation, Query, prepare_query

#: Which gallery photo the query is explained against: the nearest of its own person, or the nearest of all.
AGAINST = ("true", "top")
#: Orders that explain nothing of the pair: chance, and what every face has in its middle. And the best that is known.
RANDOM, CENTRE, BEST = "random order", "centre of the crop first", "one patch away at a time"


@dataclass(frozen=True)
class Judged:
    """One explanation judged by one score. deletion, insertion: (T + 1,) mean curves. gain: insertion area - deletion
    area. better: share of the queries with a gain above 0. possible: gain divided by that of the best order known."""

    explanation: str
    score: str
    deletion: np.ndarray
    insertion: np.ndarray
    deletion_area: Interval
    insertion_area: Interval
    gain: Interval
    better: float
    possible: float

    def as_json(self) -> dict:
        return {"explanation": self.explanation, "score": self.score, "deletion": self.deletion.tolist(),
                "insertion": self.insertion.tolist(), "deletion_area": self.deletion_area.as_json(),
                "insertion_area": self.insertion_area.as_json(), "gain": self.gain.as_json(), "better": self.better,
                "possible": self.possible}


@dataclass(frozen=True)
class Faithfulness:
    """What ``faithfulness`` found.

    own: each explanation judged by the score it explains, with the random and the best order for each model.
    crossed: explanation → model → its gain. mass: explanation → share of its mass on occluded pixels, over the queries
    that have any, and the same of what partial transport leaves unmatched; area: their share of the picture.
    shares: (T + 1,) of the patches gone or back. skipped: (path, reason).
    """

    own: tuple[Judged, ...]
    crossed: dict[str, dict[str, Interval]]
    mass: dict[str, Interval]
    area: Interval | None
    shares: np.ndarray
    queries: int
    against: str
    removal: str
    skipped: tuple[tuple[str, str], ...]

    def as_json(self) -> dict:
        return {
            "queries": self.queries, "against": self.against, "removal": self.removal, "shares": self.shares.tolist(),
            "explanations": [judged.as_json() for judged in self.own],
            "crossed": {name: {model: gain.as_json() for model, gain in gains.items()}
                        for name, gains in self.crossed.items()},
            "occluded_area": self.area.as_json() if self.area else None,
            "occluded_mass": {name: share.as_json() for name, share in self.mass.items()},
            "skipped": [{"path": path, "reason": reason} for path, reason in self.skipped],
        }

    def as_table(self) -> str:
        """Markdown: each explanation by its own score, then every explanation by every model."""
        lines = ["| explanation | score | deletion ↓ | insertion ↑ | gain (95 %) | of the possible | queries with a "
                 "gain | mass on the occluder |", "|---|---|---|---|---|---|---|---|"]
        for judged in self.own:
            mass = self.mass.get(judged.explanation)
            lines.append(f"| {judged.explanation} | {judged.score} | {judged.deletion_area.mean:.3f} | "
                         f"{judged.insertion_area.mean:.3f} | {judged.gain.text(sign=True)} | {judged.possible:.0%} | "
                         f"{judged.better:.0%} | {f'{mass.mean:.1%}' if mass else ''} |")
        models = list(dict.fromkeys(model for gains in self.crossed.values() for model in gains))
        lines += ["", f"| gain by the score of | {' | '.join(models)} |", "|---" * (len(models) + 1) + "|"]
        lines += [f"| {name} | " + " | ".join(gains[model].text(sign=True) for model in models) + " |"
                  for name, gains in self.crossed.items()]
        covered = f"; {self.area.mean:.1%} of the face is occluded" if self.area else ""
        lines.append(f"\n{self.queries} queries against "
                     f"{'the nearest photo of their person' if self.against == 'true' else 'the nearest photo'}, "
                     f"removal by {self.removal}{covered}; {len(self.skipped)} skipped.")
        lines += [f"Mass on the occluder, {name}: {share.mean:.1%}" for name, share in self.mass.items()
                  if name not in self.crossed]
        return "\n".join(lines + [f"skipped {path}: {reason}" for path, reason in self.skipped])


def faithfulness(identifier: Identifier, queries: Sequence[QueryPhoto],
                 preparation: Preparation = Preparation(), *, against: str = "true",  # noqa: B008
                 removal: str = "blur", steps: int = 16, random_orders: int = 3,
                 progress: Progress = iter) -> Faithfulness:
    """Judge every explanation that can be computed, on queries altered as asked (query number n with seed + n).

    steps: of the curves, of equally many patches each. random_orders: drawn per query by the seed. Raises BadSetting
    for an unknown word, or where no query is left.
    """
    if against not in AGAINST:
        raise BadSetting(f"Unknown candidate {against!r}: choose from {', '.join(AGAINST)}.")
    found, skipped = _Collected(), []
    for number, photo in enumerate(progress(queries)):
        seeded = replace(preparation, seed=preparation.seed + number)
        try:
            query = prepare_query(photo.file, identifier.backbone, seeded, gallery=identifier.gallery)
            stage1 = identifier.rank(query, Matching(method=NONE), exclude=photo.exclude).stage1
            row = next((match.row for match in stage1 if against == "top" or match.identity == photo.identity), None)
            if row is None:
                raise BadSetting(f"No other photo of {photo.identity} is in the gallery.")
            crop = identifier.gallery.crop(row, identifier.backbone)
        except DemoError as error:
            skipped.append((photo.path, str(error)))
            continue
        pair = Pair((query.crop, crop), (query.features, identifier.gallery.features([row])), identifier.method)
        _judge(found, identifier, query, pair, removal, steps, random_orders, np.random.default_rng(seeded.seed))
    if not found.queries:
        raise BadSetting(f"No query could be used: {skipped[0][1] if skipped else 'there is none.'}")
    return found.summed_up(shares(found.patches, steps), against, removal, tuple(skipped))


@dataclass
class _Collected:
    """What has been measured so far. own: explanation → the score that judges it. models: method → its score that
    judges everybody's explanations. curves: (order, score) → (2, T + 1) of each query."""

    queries: int = 0
    patches: int = 0
    own: dict[str, str] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)
    curves: dict[tuple[str, str], list[np.ndarray]] = field(default_factory=lambda: defaultdict(list))
    mass: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    area: list[float] = field(default_factory=list)

    def summed_up(self, x: np.ndarray, against: str, removal: str, skipped) -> Faithfulness:
        traces = {key: np.stack(values) for key, values in self.curves.items()}
        areas = {key: area(values, x) for key, values in traces.items()}  # (queries, 2)
        gains = {key: values[:, 1] - values[:, 0] for key, values in areas.items()}
        rows = [*self.own.items(), *((name, score) for name in (RANDOM, CENTRE, BEST)
                                     for score in self.models.values())]
        own = tuple(Judged(
            name, score, traces[name, score][:, 0].mean(0), traces[name, score][:, 1].mean(0),
            interval(areas[name, score][:, 0]), interval(areas[name, score][:, 1]), interval(gains[name, score]),
            float((gains[name, score] > 0).mean()), float(gains[name, score].mean() / gains[BEST, score].mean()))
            for name, score in rows)
        crossed = {name: {model: interval(gains[name, score]) for model, score in self.models.items()}
                   for name in [*self.own, RANDOM, CENTRE]}
        return Faithfulness(own, crossed, {name: interval(values) for name, values in self.mass.items()},
                            interval(self.area) if self.area else None, x, self.queries, against, removal, skipped)


def _judge(found: _Collected, identifier: Identifier, query: Query, pair: Pair, removal: str, steps: int,
           random_orders: int, rng: np.random.Generator) -> None:
    """Add one query's curves."""
    features = query.features
    named = _named(pair)
    judges = judges_of(named, identifier.method)
    main = {METHODS[word].name: group[0].score for word, group in judges.items()}

    def ask(kept: np.ndarray) -> dict[str, np.ndarray]:
        versions = identifier.backbone.extract(erased(query.crop, kept, features.grid, removal))
        if features.landmarks is not None:  # they stay where they were
            versions = replace(versions, landmarks=features.landmarks.expand(len(versions), -1, -1))
        return {one.score: one.similarity(versions, pair.features[1]) for group in judges.values() for one in group}

    patches = features.patches.shape[1]
    drops = leave_one_out_drops(patches, ask)
    centres = patch_centres((1, 1), features.grid)
    orders = {each.name: [order_of(each.values, rng)] for each in named}
    orders[RANDOM] = [rng.permutation(patches) for _ in range(random_orders)]
    orders[CENTRE] = [order_of(-np.hypot(*(centres - 0.5).T).round(9), rng)]
    best = {score: [order_of(drops[score], rng)] for score in main.values()}
    every = [*orders.values(), *best.values()]
    traced = curves(sum(every, []), ask, steps)
    found.queries, found.patches = found.queries + 1, patches
    found.own, found.models = {each.name: each.score for each in named}, main
    of_score = {one.score: group[0].score for group in judges.values() for one in group}
    for score, lines in traced.items():
        parts = dict(zip([*orders, *((BEST, of) for of in best)],
                         np.split(lines, np.cumsum([len(group) for group in every])[:-1]), strict=True))
        for name in orders:
            found.curves[name, score].append(parts[name].mean(0))
        found.curves[BEST, score].append(parts[BEST, of_score[score]][0])  # the best known for that method
    cover = patch_cover(query.cover, features.grid)
    if cover.any():
        found.area.append(float(cover.mean()))
        left_out = {name: values for one in available(pair).values() for name, values in one.left_out(pair).items()}
        for name, values in ({each.name: each.values for each in named} | left_out).items():
            found.mass[name].append(float(values @ cover / values.sum() if values.any() else cover.mean()))


def _named(pair: Pair) -> list[Importance]:
    """What every explanation says of the first face's patches: those of the default method first, then by method, and
    of one method by the setting that they explain."""
    found = [each for one in available(pair).values() for each in one.importances(pair)]
    methods, settings = [DEFAULT.word, *METHODS], list(dict.fromkeys(each.setting for each in found))
    return sorted(found, key=lambda each: (methods.index(each.method), settings.index(each.setting)))
