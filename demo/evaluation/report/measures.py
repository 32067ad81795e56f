"""What each section measures on a data set: a function of a source (and the section's alterations) → a finding."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import replace

from demo.backbones import available
from demo.errors import BadSetting
from demo.evaluation.ablations import ABLATIONS, GAIN, Table
from demo.evaluation.beyond import beyond
from demo.evaluation.board import Board
from demo.evaluation.faithfulness import faithfulness
from demo.evaluation.field import BEST, CENTRE, CORRRISE, RANDOM, XSSAB
from demo.evaluation.interval import Interval
from demo.evaluation.naming import score_name
from demo.evaluation.report.content import (
    METRICS,
    Dots,
    Finding,
    Kinds,
    Lines,
    Score,
    Sheet,
    pivot,
    value_of,
    word,
)
from demo.evaluation.report.faithful import passing
from demo.evaluation.report.lost import LOST, lost_photos, p_at_1_with_lost
from demo.evaluation.report.source import Source
from demo.evaluation.variants import VARIANTS
from demo.evaluation.verification import verify_pairs
from demo.methods import METHODS, Matching
from demo.methods.emd import Emd, EmdOptions

Measure = Callable[[Source, Kinds], Finding]
#: Orders that explanations are compared with, and other people's explanations.
_CONTROLS = (RANDOM, CENTRE, BEST)
_FIELD = (CORRRISE, XSSAB)
#: Settings of an ablation that names them in words → the method's name in ``paper``.
Name = Callable[[Sequence[str]], str]
#: Tables by alteration, and the columns that name a row → the answer in a few words.
Headline = Callable[[Mapping[str, Table], int], str]


def identification(source: Source, kinds: Kinds, limit: int | None = None) -> Finding:
    """P@1, RP and MAP@R of Stage 1 and of every method that re-ranks, judges pairs and is ready. Of photos that are no
    gallery photo altered by us, also P@1 where those without a face that is found are misses."""
    finest, people = source.identifier.backbone.info.grids[0], source.identifier.gallery.people
    settings = {score_name(Matching(method=word, grid=finest)): Matching(method=word)
                for word, method in source.identifier.ready(verifies=True).items() if method.reranks}
    rows, scores, counts = [], [], []
    for kind in kinds:
        found = source.measure(kind, list(settings.values()), limit=limit)
        for name, matching in {"Stage 1": None, **settings}.items():
            one = found.stage2[matching] if matching else found.stage1
            rows.append((word(kind), name, *one.ends, one.gains[0].text(2, sign=True) if one.gains else "-",
                         *([p_at_1_with_lost(found, people, matching)] if source.other else [])))
            scores.append(Score(word(kind), name, dict(zip(METRICS, one.ends, strict=True))))
        counts.append(f"{found.stage1.queries} {word(kind)}" + (
            f" ({len(found.skipped)} skipped)" if found.skipped else "") + (
            f", {lost_photos(found, people)} of people in the gallery lost: no face was found, or the photo cannot be "
            "read" if source.other else ""))
    names = list(dict.fromkeys(row[1] for row in rows))
    dots = {name: [value_of(row[2]) for row in rows if row[1] == name] for name in names}
    note = (f"Queries: {', '.join(counts)}; against {found.gallery} photos; {found.reading} metrics, k = 100, "
            "each method with its own α.")
    heads = [f"{word(kind)} " + " / ".join(f"{value_of(row[2]):.1f}" for row in rows if row[0] == word(kind))
             for kind in kinds]
    columns = ("queries", "method", *METRICS, GAIN)
    if source.other:
        heads.append("lost as misses " + " / ".join(f"{value_of(row[-1]):.1f}" for row in rows))
        columns += LOST,
    return Finding(
        f"P@1 {' / '.join(names)}: {', '.join(heads)}",
        [Sheet("Stage 1 and re-ranking", Table(columns, tuple(rows), note))],
        [Dots("How often the first match is right", "P@1, %", [word(kind) for kind in kinds], dots)], scores)


def attacks(source: Source, kinds: Kinds) -> Finding:
    """As ``identification``, on few queries: each takes ten steps through the network and back."""
    return identification(source, (None, *kinds), source.scale.attacked)


def pivoted(name: str, words: int, method: Name, along: str = "", headline: Headline | None = None) -> Measure:
    """An ablation whose rows are the same under every alteration. words: columns that name a row. along: the column of
    numbers over which curves are drawn, if any. headline: other words for the answer than the best P@1."""
    def measured(source: Source, kinds: Kinds) -> Finding:
        tables = {word(kind): ABLATIONS[name].run(source.bench(kind)) for kind in kinds}
        plots = [_curves(tables, along)] if along else [_marks(tables, words)]
        return Finding((headline or highest)(tables, words), pivot(tables, words), plots,
                       _scores(tables, words, method))

    return measured


def plain(name: str, words: int, method: Name, limited: bool = False) -> Measure:
    """An ablation with times or other columns of its own: one table per alteration. limited: on few queries."""
    def measured(source: Source, kinds: Kinds) -> Finding:
        limit = source.scale.timed if limited else None
        tables = {word(kind): ABLATIONS[name].run(source.bench(kind, limit)) for kind in kinds}
        sheets = [Sheet(f"{kind.capitalize()} queries", table) for kind, table in tables.items()]
        return Finding(timed(tables, words), sheets, (), _scores(tables, words, method))

    return measured


def networks(name: str, among: Container[str]) -> Measure:
    """An ablation over backbones; those of ``among`` that are not ready are named."""
    def measured(source: Source, kinds: Kinds) -> Finding:
        known = available(source.identifier.backbone.info.folder)
        absent = [info.title for info in known if not info.ready and info.name in among]
        try:
            tables = {word(kind): ABLATIONS[name].run(source.bench(kind)) for kind in kinds}
        except BadSetting:
            raise BadSetting(f"Needs the weights of {' or '.join(absent)}: see 'python -m demo weights list'."
                             ) from None
        note = f"Weights not at hand: {', '.join(absent)}." if absent else ""
        tables = {kind: replace(table, note=note) for kind, table in tables.items()}  # theirs names folders
        return Finding(highest(tables, 2), pivot(tables, 2), [_marks(tables, 2)])

    return measured


def verification(source: Source, kinds: Kinds) -> Finding:
    """Accuracy over folds and ROC of every method; of each pair the first photo is altered."""
    pairs, origin = source.verification_pairs()
    sheets, plots, scores, heads = [], [], [], []
    for kind in kinds:
        found = verify_pairs(pairs, source.identifier.backbone, (source.preparation(kind), source.preparation(None)),
                             store=source.store(source.identifier), gallery=source.identifier.gallery,
                             progress=source.bar(kind))
        each = [method.as_json() for method in found.methods]
        names = [method.title for method in found.methods]
        fars = [far for far in each[0]["tar_at_far"] if each[0]["tar_at_far"][far] is not None]
        rows = [(name, one["accuracy"], one["accuracy_sd"], one["auc"], one["eer"],
                 *(one["tar_at_far"][far] for far in fars)) for name, one in zip(names, each, strict=True)]
        note = (f"{found.genuine} pairs of one person and {found.strangers} of two, {origin}; {found.folds} folds, "
                f"each with the threshold that is best on the others; {len(found.skipped)} pairs skipped.")
        title = f"{word(kind).capitalize()} against unaltered photos" if kind else "Unaltered photos"
        sheets.append(Sheet(title, Table(("method", "accuracy", "± sd", "AUC", "EER",
                                          *(f"TAR at FAR {far}" for far in fars)), tuple(rows), note)))
        plots.append(Lines(f"ROC, {title[0].lower()}{title[1:]}", "FAR", "TAR", {
            name: (one["roc"]["far"], one["roc"]["tar"]) for name, one in zip(names, each, strict=True)}, (0, 1, 0, 1)))
        scores += [Score(word(kind), method.method, {"accuracy": one["accuracy"]})
                   for method, one in zip(found.methods, each, strict=True)]
        heads.append(f"{word(kind)} " + " / ".join(f"{one['accuracy']:.1f}" for one in each))
    return Finding(f"accuracy {' / '.join(names)}: {', '.join(heads)}", sheets, plots, scores)


def beyond_the_papers(source: Source, kinds: Kinds) -> Finding:
    """Other distances for Stage 2, with paired intervals against the papers' EMD."""
    found = beyond(source.identifier, source.queries(None), list(kinds), source.preparation(None),
                   store=source.store(source.identifier), progress=source.bar("all alterations"))
    names = [name.replace("**", "") for name in found.variants]
    counts = ", ".join(f"{scores.shape[1]} {word(kind)}" for kind, scores in found.scores.items())
    note = f"Queries: {counts}; {len(found.skipped)} skipped."
    sheets = [Sheet(f"{metric}, %", Table(("distance", *map(word, kinds)), tuple(
        (name, *(100 * float(found.scores[kind][number, :, at].mean()) for kind in kinds))
        for number, name in enumerate(names)), note), folded=at > 0) for at, metric in enumerate(METRICS)]
    gains = {kind: [found.difference(number, kind, 0) for number in range(1, len(names))] for kind in kinds}
    dots = {word(kind): [(one.mean, one.low, one.high) for one in column] for kind, column in gains.items()}
    rows = tuple((name, *(column[number].text(1, sign=True) for column in gains.values()))
                 for number, name in enumerate(names[1:]))
    sheets.insert(1, Sheet("P@1 less that of the papers' EMD, points, with 95 % intervals",
                           Table(("distance", *map(word, kinds)), rows, "Paired on the same queries.")))
    means = {name: sum(column[number].mean for column in gains.values()) / len(gains)
             for number, name in enumerate(names[1:]) if not VARIANTS[found.variants[number + 1]].trained}
    best = max(means, key=means.__getitem__)
    return Finding(f"most gained over all alterations: {best}, {means[best]:+.1f} points of P@1 on average", sheets,
                   [Dots("P@1 gained over the papers' EMD, with 95 % intervals", "points", names[1:], dots)])


def faithful(source: Source, kinds: Kinds) -> Finding:
    """Deletion and insertion in the order of every explanation."""
    sheets, plots, passed, shown = [], [], 0, 0
    for kind in kinds:
        found = faithfulness(source.identifier, source.queries(None, source.scale.explained),
                             source.preparation(kind), progress=source.bar(kind))
        covered = f"; {100 * found.area:.1f} % of the face is covered" if found.area else ""
        note = (f"{found.probes} {word(kind)} probes of {found.people} people, each against the nearest photo of its "
                f"person; pixels replaced by {found.removal}{covered}; {len(found.skipped)} skipped. Deletion and "
                "insertion: area x 100 of the share still accepted at the clean equal error rate's threshold.")
        rows = tuple((found.titles[one.method], one.explanation, one.deletion.mean, one.insertion.mean,
                      one.margin.text(sign=True), f"{one.possible.mean:.0%}", f"{one.random_p:.3f}",
                      f"{one.centre_p:.3f}", "-" if one.mass is None else f"{one.mass:.1%}") for one in found.rows)
        own = [one for one in found.rows if one.explanation not in (*_CONTROLS, *_FIELD)]
        passed, shown = passed + sum(one.passes for one in own), shown + len(own)
        table = Table(("score", "explanation", "deletion ↓", "insertion ↑", "1:N margin (95 %)", "of the possible",
                       "p random", "p centre first", "mass on the occluder"), rows, note)
        sheets.append(Sheet(f"Every explanation, judged by the score it explains, {word(kind)}", table))
        reached = [(100 * one.possible.mean, 100 * one.possible.low, 100 * one.possible.high) for one in own]
        plots += [Dots(f"Faithfulness of each explanation, {word(kind)}, with 95 % intervals",
                       "% of what is possible, random orders at 0",
                       [f"{found.titles[one.method]}: {one.explanation}" for one in own], {"possible": reached}),
                  *_traces(found)]
    return Finding(passing(passed, shown), sheets, plots)


def highest(tables: Mapping[str, Table], words: int) -> str:
    """Under each alteration the row of the highest P@1."""
    parts = []
    for kind, table in tables.items():
        at = table.columns.index("P@1")
        row = max(table.rows, key=lambda row: value_of(row[at]))
        parts.append(f"{kind} {value_of(row[at]):.1f} ({_named(row, words)})")
    return "best P@1: " + ", ".join(parts)


def at_most(tables: Mapping[str, Table], words: int) -> str:
    """Stage 1 and what re-ranking can reach."""
    ends = {kind: (table.rows[0], table.rows[-1]) for kind, table in tables.items()}
    reached = next(last for _, last in ends.values())[0]
    return f"P@1 of Stage 1, and {reached}: " + ", ".join(
        f"{kind} {value_of(first[words]):.1f}, {value_of(last[words]):.1f}" for kind, (first, last) in ends.items())


def timed(tables: Mapping[str, Table], words: int) -> str:
    """P@1 and milliseconds of each row; of many, the papers' own."""
    parts, known = [], {"Stage 1", *(method.name for method in METHODS.values() if method.verifies)}
    for kind, table in tables.items():
        p, ms = table.columns.index("P@1"), table.columns.index("ms per query")
        rows = table.rows if len(table.rows) < 8 else [
            row for row in table.rows
            if row[0] in known or str(row[0]).startswith(f"{Emd.short}, {EmdOptions().weighting}")]
        parts.append(f"{kind} " + ", ".join(
            f"{row[0]} {value_of(row[p]):.1f} ({value_of(row[ms]):.1f} ms)" for row in rows))
    return "P@1 (time per query): " + "; ".join(parts)


def _traces(found: Board) -> list[Lines]:
    """For each score, the curves of its best explanation, of the field's, of the orders that know nothing and of the
    best one known."""
    plots = []
    for method, title in found.titles.items():
        judged = [one for one in found.rows if one.method == method]
        best = max((one for one in judged if one.explanation not in (*_CONTROLS, *_FIELD)),
                   key=lambda one: one.possible.mean, default=None)
        shown = [*([best] if best else []), *(one for one in judged if one.explanation in (*_CONTROLS, *_FIELD))]
        for at, (way, x) in enumerate((("deletion", "share of the pixels removed"),
                                       ("insertion", "share of the pixels shown"))):
            steps = [number / (len(shown[0].curves[at]) - 1) for number in range(len(shown[0].curves[at]))]
            plots.append(Lines(f"{way.capitalize()}, {title}", x, "share accepted", {
                one.explanation: (steps, one.curves[at].tolist()) for one in shown}))
    return plots


def _scores(tables: Mapping[str, Table], words: int, method: Name) -> list[Score]:
    found = []
    for kind, table in tables.items():
        for row in table.rows:
            cells = dict(zip(table.columns, row, strict=True))
            values: dict[str, float | Interval] = {
                metric: cell for metric in METRICS if not isinstance(cell := cells[metric], str)}
            if "verification accuracy" in cells:
                values["accuracy"] = value_of(cells["verification accuracy"])
            if "ms per query" in cells:
                values["ms"] = value_of(cells["ms per query"])
            found.append(Score(kind, method([str(cell) for cell in row[:words]]), values))
    return found


def _named(row: tuple, words: int) -> str:
    return ", ".join(cell for cell in row[:words] if cell != "-")


def _marks(tables: Mapping[str, Table], words: int) -> Dots:
    first = next(iter(tables.values()))
    return Dots("How often the first match is right", "P@1, %",
                [_named(row, words) for row in first.rows],
                {kind: [value_of(row[table.columns.index("P@1")]) for row in table.rows]
                 for kind, table in tables.items()})


def _curves(tables: Mapping[str, Table], along: str) -> Lines:
    series = {}
    for kind, table in tables.items():
        rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows if row[0] != "Stage 1"]
        series[kind] = [value_of(row[along]) for row in rows], [value_of(row["P@1"]) for row in rows]
    return Lines(f"P@1 over {along}", along, "P@1, %", series)
