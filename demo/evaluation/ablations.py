"""The papers' ablations, each one table: a registry entry with its title, the paper's item and its function.

All share the queries and their features (``demo.evaluation.store``); a new ablation is a function and an entry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product

from demo.backbones import available, grid_name
from demo.errors import BadSetting
from demo.evaluation.datasets import drawn_pairs
from demo.evaluation.interval import Interval
from demo.evaluation.metrics import METRICS, Scores
from demo.evaluation.naming import setting_name
from demo.evaluation.protocol import QueryPhoto
from demo.evaluation.run import Evaluation, Progress, evaluate
from demo.evaluation.store import FeatureStore
from demo.evaluation.verification import verify_pairs
from demo.gallery import Photo
from demo.identify import Identifier
from demo.matching import SOLVERS, WEIGHTINGS
from demo.methods import NONE, PUBLISHED, STAGE1, Matching
from demo.methods.emd import Emd
from demo.methods.h2l import H2L
from demo.query import Preparation

ALPHAS = (0.0, 0.3, 0.5, 0.7, 1.0)
KS = (50, 100, 200, 300)
#: The column of what is gained, and of the interval of it.
GAIN = "P@1 less Stage 1's"
#: Patches of the finest grid that every weighting is measured on: transport of 14x14 takes 30 times as long as of 7x7.
MOST_PATCHES = 100
#: Pairs of one person, and of two, for the verification accuracy of the models.
PAIRS = 300
#: Backbones that differ in how the face is aligned alone.
ALIGNMENTS = {"facenet": "box and margin (MTCNN's way)", "facenet-5pt": "five points"}

Cell = str | float | Interval


@dataclass(frozen=True)
class Bench:
    """What an ablation measures with. identify: backbone name → an identifier of the same gallery. queries: of an
    identifier. preparation: of the queries. matching: the settings that are not varied. store: of an identifier.
    reading: a word of READINGS. jobs: queries measured at a time. models: name of a file → an identifier with the H2L
    of that file."""

    identify: Callable[[str], Identifier] = field(repr=False)
    queries: Callable[[Identifier], Sequence[QueryPhoto]] = field(repr=False)
    store: Callable[[Identifier], FeatureStore] = field(repr=False)
    backbone: str
    preparation: Preparation = Preparation()
    matching: Matching = Matching(method=PUBLISHED.word)
    reading: str = "corrected"
    progress: Progress = iter
    jobs: int = 1
    models: Mapping[str, Callable[[], Identifier]] = field(default_factory=dict, repr=False)

    @cached_property
    def identifier(self) -> Identifier:
        return self.identify(self.backbone)

    def measure(self, settings: Sequence[Matching], identifier: Identifier | None = None,
                bounds: Sequence[int] = (), *, timed: bool = False) -> Evaluation:
        """timed: the times matter, so that queries are measured one after another, and anew."""
        identifier = identifier or self.identifier
        return evaluate(identifier, self.queries(identifier), settings, self.preparation, reading=self.reading,
                        store=self.store(identifier), bounds=bounds, progress=self.progress,
                        jobs=1 if timed else self.jobs, anew=timed)


@dataclass(frozen=True)
class Table:
    """columns: names. rows: cells: text, numbers (percent, or ms where the name says so), or intervals of percent.
    note: of counts."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str

    def as_json(self) -> dict:
        """Of an interval the mean stands under the column's name and the ends under that and ", 95 %"."""
        rows = []
        for row in self.rows:
            named = dict(zip(self.columns, row, strict=True))
            rows.append({name: cell.mean if isinstance(cell, Interval) else cell for name, cell in named.items()}
                        | {f"{name}, 95 %": [cell.low, cell.high] for name, cell in named.items()
                           if isinstance(cell, Interval)})
        return {"rows": rows, "note": self.note}

    def as_markdown(self) -> str:
        lines = ["| " + " | ".join(self.columns) + " |", "|---" * len(self.columns) + "|"]
        lines += ["| " + " | ".join(map(_printed, row)) + " |" for row in self.rows]
        return "\n".join([*lines, "", self.note])


def _printed(cell: Cell) -> str:
    if isinstance(cell, Interval):
        return cell.text(2)
    return cell if isinstance(cell, str) else f"{cell:.2f}"


@dataclass(frozen=True)
class Ablation:
    """name: the word of the command line. item: what it repeats of the papers."""

    name: str
    title: str
    item: str
    run: Callable[[Bench], Table] = field(repr=False)


def _cells(scores: Scores) -> tuple[float | Interval, ...]:
    return scores.ends or (scores.p_at_1, scores.rp, scores.map_at_r)


def _gain(scores: Scores) -> tuple[str]:
    """Of P@1 over Stage 1, with its interval."""
    return (scores.gains[0].text(2, sign=True) if scores.gains else "-",)


def _note(found: Evaluation) -> str:
    return (f"{found.stage1.queries} queries against {found.gallery} gallery photos, {len(found.skipped)} skipped; "
            f"{found.reading} metrics.")


def _table(found: Evaluation, columns: Sequence[str], rows: Mapping[Matching, Sequence[str]],
           timed: bool = False) -> Table:
    """A row for Stage 1 and for each setting: its words, its scores and, if wanted, ms per query of the stage."""
    lines = [("Stage 1", *["-"] * (len(columns) - 1), *_cells(found.stage1), "-", *[found.stage1_ms] * timed)]
    lines += [(*words, *_cells(scores := found.stage2[matching]), *_gain(scores), *[found.stage2_ms[matching]] * timed)
              for matching, words in rows.items()]
    return Table((*columns, *METRICS, GAIN, *["ms per query"] * timed), tuple(lines), _note(found))


def _every_weighting(bench: Bench) -> dict[Matching, tuple[str, str]]:
    method, found = bench.identifier.method(Emd.word), {}
    grids = [grid for grid in method.backbone.info.grids if grid[0] * grid[1] <= MOST_PATCHES]
    for grid, weighting in product(grids, WEIGHTINGS):
        matching = bench.matching.having(method=Emd.word, weighting=weighting, grid=grid)
        if method.unfit(matching.of(), grid) is None:
            found[matching] = weighting, grid_name(grid)
    return found


def _weighting(bench: Bench) -> Table:
    rows = _every_weighting(bench)
    return _table(bench.measure(list(rows)), ("weighting", "grid"), rows)


def _alpha(bench: Bench) -> Table:
    rows = {replace(bench.matching, alpha=alpha): (f"{alpha:g}",) for alpha in ALPHAS}
    return _table(bench.measure(list(rows)), ("α",), rows)


def _k(bench: Bench) -> Table:
    rows = {replace(bench.matching, k=k): (str(k),) for k in KS}
    return _table(bench.measure(list(rows)), ("k",), rows)


def _one_stage(bench: Bench) -> Table:
    everybody = max(len(bench.identifier.gallery), 1)
    rows = {}
    for weighting in dict.fromkeys((bench.matching.of(Emd.word).weighting, "uniform")):
        two = bench.matching.having(method=Emd.word, weighting=weighting)
        rows[replace(two, alpha=1.0, k=everybody)] = (f"{Emd.short} at Stage 1, {weighting}",)
        rows[two] = (f"two stages, {weighting}",)
    # Each is measured on its own: settings of one weighting would share their distances, and so their time.
    each = {matching: bench.measure([matching], timed=True) for matching in rows}
    first = next(iter(each.values()))
    whole = replace(first, stage2={matching: found.stage2[matching] for matching, found in each.items()},
                    stage2_ms={matching: found.stage2_ms[matching] for matching, found in each.items()})
    return _table(whole, ("method",), rows, timed=True)


def _solver(bench: Bench) -> Table:
    rows = {bench.matching.having(method=Emd.word, solver=solver): (solver,) for solver in SOLVERS}
    return _table(bench.measure(list(rows), timed=True), ("solver",), rows, timed=True)


def _time(bench: Bench) -> Table:
    rows = {matching: (f"{Emd.short}, {weighting}, {grid}",)
            for matching, (weighting, grid) in _every_weighting(bench).items()}
    rows |= {replace(bench.matching, method=word, alpha=None): (method.name,)
             for word, method in bench.identifier.ready().items() if method.reranks and word != Emd.word}
    return _table(bench.measure(list(rows), timed=True), ("method",), rows, timed=True)


def _methods(bench: Bench) -> Table:
    """Tab 4.1's models side by side, each mixed with the cosine by its own alpha. Verification is on seeded pairs of
    the gallery's people, the first photo of each altered like the queries."""
    identifier, seed = bench.identifier, bench.preparation.seed
    ready = identifier.ready()
    methods = {word: ready[word] for word in reversed(ready) if ready[word].reranks}  # the simplest first, D last
    rows = {word: replace(bench.matching, method=word, alpha=None) for word in methods}
    found = bench.measure(list(rows.values()))
    gallery = identifier.gallery
    photos = [Photo(entry.path, entry.identity, gallery.photo_file(row)) for row, entry in enumerate(gallery.entries)]
    verified = verify_pairs(
        drawn_pairs(photos, PAIRS, seed), identifier.backbone,
        (bench.preparation, replace(bench.preparation, alteration=None, style=None)),
        replace(bench.matching, alpha=None), methods=ready, store=bench.store(identifier), progress=bench.progress)
    accuracy = {method.method: method.accuracy[0] for method in verified.methods}
    lines = [(STAGE1.name, STAGE1.kind or STAGE1.title, *_cells(found.stage1), "-", accuracy[STAGE1.word],
              found.stage1_ms)]
    lines += [(methods[word].name, methods[word].kind or methods[word].title, *_cells(scores := found.stage2[matching]),
               *_gain(scores), accuracy[word], found.stage2_ms[matching]) for word, matching in rows.items()]
    return Table(("model", "what it is", *METRICS, GAIN, "verification accuracy", "ms per query"), tuple(lines),
                 f"{_note(found)} Verification on {verified.genuine} pairs of one person and {verified.strangers} of "
                 f"two in {verified.folds} folds.")


def _sizes(bench: Bench) -> Table:
    """H2Ls of several sizes, each a file of its own, re-ranking the same queries."""
    if not bench.models:
        raise BadSetting("Name the H2L files to compare with --models; 'train-h2l --depth 2 --heads 4' makes one.")
    rows, notes = [], {}
    for name, identify in bench.models.items():
        identifier, matching = identify(), replace(bench.matching, method=H2L.word, grid=None)
        found = bench.measure([matching], identifier)
        method = identifier.method(H2L.word)
        assert isinstance(method, H2L)
        sizes = method.model.network.sizes
        scores = found.stage2[matching]
        rows.append((name, *map(str, (sizes.depth, sizes.heads, sizes.output)), *_cells(scores), *_gain(scores),
                     found.stage2_ms[matching]))
        notes[_note(found)] = None
    return Table(("model", "depth", "heads", "output", *METRICS, GAIN, "ms per query"), tuple(rows), " ".join(notes))


def _bound(bench: Bench) -> Table:
    found = bench.measure([replace(bench.matching, method=NONE)], bounds=KS)
    rows = [("Stage 1", *_cells(found.stage1))]
    rows += [(f"best possible at k = {k}", *_cells(scores)) for k, scores in found.bounds.items()]
    return Table(("ranking", *METRICS), tuple(rows), _note(found))


def _backbones(bench: Bench, names: Mapping[str, str]) -> Table:
    """One row per backbone and stage; those that are not ready are named in the note with what they need."""
    infos = {info.name: info for info in available(bench.identifier.backbone.info.folder)}
    rows, notes = [], []
    for name, title in names.items():
        if not infos[name].ready:
            notes.append(f"Without {name}: {infos[name].why_not}")
            continue
        identifier = bench.identifier if name == bench.backbone else bench.identify(name)
        matching = replace(bench.matching, grid=None)
        found = bench.measure([matching], identifier)
        rows.append((title, "Stage 1", *_cells(found.stage1), "-"))
        if matching in found.stage2:
            finest = replace(matching, grid=identifier.backbone.info.grids[0])
            scores = found.stage2[matching]
            rows.append((title, f"Stage 2, {setting_name(finest)}", *_cells(scores), *_gain(scores)))
        notes.insert(0, f"{name}: {_note(found)}")
    if not rows:
        raise BadSetting(notes[0].partition(": ")[2])
    return Table(("backbone", "ranking", *METRICS, GAIN), tuple(rows), " ".join(notes))


def _alignment(bench: Bench) -> Table:
    return _backbones(bench, ALIGNMENTS)


def _backbone(bench: Bench) -> Table:
    return _backbones(bench, {info.name: info.title for info in available(bench.identifier.backbone.info.folder)})


_ROWS = (
    Ablation("weighting", "Patch weighting and grid", "DeepFace-EMD Tab 5.2", _weighting),
    Ablation("alpha", "Share of the patch distance in Eq. 5.1", "DeepFace-EMD, choice of α", _alpha),
    Ablation("k", "Candidates that are re-ranked", "DeepFace-EMD, choice of k", _k),
    Ablation("one-stage", "EMD at Stage 1 against two stages", "DeepFace-EMD Tab 5.3", _one_stage),
    Ablation("alignment", "How the face is aligned", "DeepFace-EMD Tab 5.1", _alignment),
    Ablation("backbone", "Every backbone that is ready", "DeepFace-EMD Tab 5.4", _backbone),
    Ablation("solver", "Exact transport, Sinkhorn, and Sinkhorn as published", "not in the papers", _solver),
    Ablation("bound", "What re-ranking the first k can reach", "DeepFace-EMD Tab 5.2, max precision", _bound),
    Ablation("methods", "The models of Tab 4.1 side by side", "Face-ViT Tab 5.10, 5.11 and 5.12", _methods),
    Ablation("sizes", "Depth, heads and output of H2L", "Face-ViT Tab 5.10, (depth, heads)", _sizes),
    Ablation("time", "Run time of every method", "Face-ViT Tab 5.12 and 5.14", _time),
)
ABLATIONS = {ablation.name: ablation for ablation in _ROWS}
