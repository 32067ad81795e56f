"""Answers as figures in the papers' layout, and as pairs of faces to explain: results on one side, ``demo.explain`` on
the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure

from demo.backbones import grid_name
from demo.explain import (
    EXPLANATIONS,
    Agreement,
    Board,
    Cell,
    Column,
    Contrast,
    Explanation,
    FaceMaps,
    Flows,
    Pair,
    PairSheet,
    Score,
    Side,
    Signed,
    Term,
    available,
    board_figure,
    contrast,
    explain,
    explains,
    face_maps,
    maps_figure,
    pair_figure,
    patch_grid,
    rivals_of,
    sentence,
)
from demo.identify import Identification, Identifier, Match
from demo.methods import METHODS, STAGE1
from demo.query import ALTERATIONS, Query
from demo.verdict import headline
from demo.verify import Verification, agreement
from demo.words import decimals, ordinal

#: Gives the aligned crop of a gallery row.
Crops = Callable[[int], np.ndarray]


def crops_of(identifier: Identifier) -> Crops:
    """Crops cut from the gallery's photos as they are asked for."""
    return lambda row: identifier.gallery.crop(row, identifier.backbone)


def pair_of(found: Identification, identifier: Identifier, match: Match | None = None, crops: Crops | None = None, *,
            scale: tuple[float, float] | None = None, beside: Sequence[Identification] = ()) -> Pair:
    """The query and one match (default: the nearest), to be explained under the settings of an identification.

    crops: where they are cut already. scale: of the transport's weights, as shared with other candidates. beside: other
    rankings of the same query.
    """
    match, crops = match or found.ranking[0], crops or crops_of(identifier)
    known = {run.matching.method: None if run.evidence is None else run.evidence.pair(slot_of(match))
             for run in (found, *beside) if _measured(run, match)}
    features = found.query.features, identifier.gallery.whole([match.row])
    bare = Pair((found.query.crop, crops(match.row)), features, identifier.method, found.matching,
                ("Query", match.identity), known=known, scale=scale if known.get(found.matching.method) else None)
    return replace(bare, terms=terms_of(bare, [found, *beside], match))


def _measured(run: Identification, match: Match) -> Match | None:
    """The match as a ranking measured it, None where it did not."""
    return next((one for one in run.measured if one.row == match.row), None)


def terms_of(pair: Pair, runs: Sequence[Identification], match: Match) -> list[Term]:
    """Every term of a match's distance: Stage 1's, transport's (which is shown whatever ranks), and each ranking's."""
    stage1 = pair.method(STAGE1.word)
    terms = [Term(stage1.title, decimals(match.cosine, 4), f"Stage 1: {stage1.describe()}")]
    shown = {}
    for run in runs:
        if measured := _measured(run, match):
            shown[run.matching.method] = run, measured
    for word in dict.fromkeys([*_transported(pair), *shown]):
        method, options = pair.method(word), pair.matching.of(word)
        if word in shown:
            distance, evidence = shown[word][1].patch, pair.evidence(word)
        else:
            evidence = pair.evidence(word)
            distance = float(evidence.distance[0])
        terms.append(Term(method.title, decimals(distance, 4), method.describe(options, evidence)))
    for word, (run, measured) in shown.items():
        alpha, short = run.matching.alpha, METHODS[word].short
        terms.append(Term(f"Combined with {short}", decimals(measured.combined, 4),
                          f"Eq. 5.1: {alpha:g} × {decimals(measured.patch, 4)} + "
                          f"{1 - alpha:g} × {decimals(measured.cosine, 4)}", True))
        terms.append(Term(f"Rank with {short}", f"{measured.stage1_rank} → {measured.rank}",
                          "before → after re-ranking"))
    return terms


def _transported(pair: Pair) -> list[str]:
    """Methods whose evidence is a transport, which pages show of any pair."""
    return [word for word in METHODS if any(one.view == "flow" for one in explains(word).values())]


def board(found: Identification, identifier: Identifier, crops: Crops, top: int = 5,
          beside: Sequence[Identification] = ()) -> Board:
    """Both rankings with small pictures of what explains the second between them, as ``explain.board_figure`` takes
    them. beside: further rankings of the same query, a column each."""
    columns = [Column("Stage 1", [_cell(found, crops, match) for match in found.stage1[:top]], "cosine distance")]
    final = found.stage2[:top]
    if pictured := pictured_by(found):
        pictures = [Cell(picture) for match in final if match.patch is not None
                    and (picture := pictured.thumbnail(pair_of(found, identifier, match, crops))) is not None]
        columns.append(Column(pictured.title, pictures, pictured.thumbnail_note))
    for run in [found, *beside] if final else beside:
        columns.append(Column("Stage 2", [_cell(run, crops, match, reranked=True) for match in run.stage2[:top]],
                              f"{METHODS[run.matching.method].short}, α = {run.matching.alpha:g}"))
    return Board("Explainable face identification", _query_pictures(found), columns, headline(found), caption(found))


def pictured_by(found: Identification) -> Explanation | None:
    """The explanation of the ranking's method that has small pictures for a board, if one has."""
    if not found.stage2:
        return None
    return next((one for one in explains(found.matching.method).values() if one.thumbnail_note), None)


def ranking_figure(found: Identification, identifier: Identifier, crops: Crops | None = None, top: int = 5,
                   beside: Sequence[Identification] = ()) -> Figure:
    """Both rankings on a sheet, and those beside them."""
    return board_figure(board(found, identifier, crops or crops_of(identifier), top, beside))


def match_figure(found: Identification, identifier: Identifier, match: Match | None = None,
                 crops: Crops | None = None, *, scale: tuple[float, float] | None = None,
                 colormap: str = "viridis") -> Figure:
    """One match (default: the nearest) on a sheet: everything that explains it, each in its kind."""
    match = match or found.ranking[0]
    pair = pair_of(found, identifier, match, crops, scale=scale)
    maps = sheet_maps(pair)
    if pictured_by(found) is None or match.patch is None:  # beyond the first k there is no Stage 2 distance to show
        return maps_figure(*pair.crops, maps, colormap=colormap, title=f"Query and {match.identity}",
                           names=("Query", match.identity))
    assert match.patch is not None and match.combined is not None  # one of the first k
    scores = (Score("Cosine distance", match.cosine), Score(METHODS[found.matching.method].short, match.patch),
              Score(f"Combined, α = {found.matching.alpha:g}", match.combined, total=True))
    summary = f"{ordinal(match.stage1_rank)} before re-ranking, {ordinal(match.rank)} after. {sentence(pair)}"
    return pair_figure(sheet_of(pair, maps, scores, title=f"Query and {match.identity}", summary=summary,
                                caption=caption(found)), colormap=colormap)


def rivals(found: Identification, match: Match) -> list[Match]:
    """The nearest photo of each of the next few people, nearest first. Empty where nothing was re-ranked."""
    if match.patch is None:
        return []
    ranked = found.measured
    return [ranked[at] for at in rivals_of([one.identity for one in ranked], ranked.index(match))]


def contrasts(found: Identification, identifier: Identifier, match: Match | None = None,
              crops: Crops | None = None) -> list[Contrast]:
    """Why a match (default: the nearest) and not another: beside the nearest photo of each of the next few people,
    nearest first. Empty where nothing was re-ranked."""
    match = match or found.ranking[0]
    others = rivals(found, match)
    if not others:
        return []
    word, alpha = found.matching.method, found.matching.alpha
    explanation = next(one for one in explains(word).values() if isinstance(one, Agreement))
    assert alpha is not None  # it was re-ranked
    faces = [match, *others]
    signed = explanation.contributions(pair_of(found, identifier, match, crops),
                                       identifier.gallery.whole([one.row for one in faces]))
    sides = [_side(found, one) for one in faces]
    return [contrast(sides[0], side, signed[0], theirs, alpha, STAGE1.word)
            for side, theirs in zip(sides[1:], signed[1:], strict=True)]


def _side(found: Identification, match: Match) -> Side:
    method = METHODS[found.matching.method]
    assert match.patch is not None and match.combined is not None
    addends = {} if found.evidence is None else method.addends(found.evidence.pair(slot_of(match)))
    return Side(match.identity, match.cosine, match.patch, match.combined, addends or {method.short: match.patch},
                match.stage1_rank, match.rank)


def explained_json(pair: Pair, contrasted: Sequence[Contrast] = ()) -> dict:
    """What explains a pair, as plain data: the sentence, the contributions by method, and the other candidates."""
    return {"sentence": sentence(pair), "contributions": {
        EXPLANATIONS[word].method: {"distance": result.distance, "baseline": result.baseline, "grid": list(result.grid),
                                    "values": result.values.tolist()}
        for word, result in explain(pair).items() if isinstance(result, Signed)},
        "contrasts": [one.as_json() for one in contrasted]}


def verified_pair(found: Verification) -> PairSheet:
    """Two compared photos as ``explain.pair_figure`` takes them: every method's distance, verdict and explanation."""
    lines = ", ".join(f"{judged.short} {decimals(judged.threshold.value)}" for judged in found.judgements
                      if judged.threshold)
    used = found.provenance
    scores = [Score(judged.short + (f": {judged.verdict}" if judged.verdict else ""), judged.distance)
              for judged in found.judgements]
    return sheet_of(
        found.pair, sheet_maps(found.pair), scores, title="Are these two photos of one person?",
        summary=agreement(found) + (f" Thresholds: {lines}." if lines else ""),
        caption=f"thresholds from gallery {used['gallery']}; backbone {used['backbone']} "
                f"({used['weights_sha256'][:8]}); {grid_name(found.pair.transport.grid)} patches. "
                "Smaller distances are nearer; a distance is no proof of identity.")


def sheet_maps(pair: Pair, *, every: bool = False) -> list[FaceMaps]:
    """Every explanation of a pair that is a map per face, but for those that a sheet shows in its first row. every:
    also those that a sheet leaves out as saying nearly the same as another."""
    found = []
    for word, one in available(pair).items():
        if not one.first_row and (every or one.on_sheet(pair)) and (maps := face_maps(explain(pair, word)[word])):
            found.append(maps)
    return found


def sheet_of(pair: Pair, maps: Sequence[FaceMaps], scores: Sequence[Score], *, title: str, summary: str,
             caption: str) -> PairSheet:
    """A pair as ``explain.pair_figure`` takes it: transport first, then maps."""
    results = explain(pair)
    flows = next(result for result in results.values() if isinstance(result, Flows))
    first = next(face_maps(results[word]) for word, one in EXPLANATIONS.items() if one.first_row)
    assert first is not None
    return PairSheet(
        *pair.crops, flows.grid, flows.first, flows.second, flows.flow, pair.scale, scores=scores, maps=maps,
        query_name=pair.titles[0], candidate_name=pair.titles[1], measure=first.title, title=title, summary=summary,
        caption=caption)


def slot_of(match: Match) -> int:
    """Where a match stands in the evidence of an identification: it follows Stage 1."""
    return match.stage1_rank - 1


def caption(found: Identification) -> str:
    """The settings behind a figure, in one line."""
    matching, used, asked = found.matching, found.provenance, found.query.preparation
    words = [f"gallery {used['gallery']}", f"backbone {used['backbone']} ({used['weights_sha256'][:8]})"]
    if found.stage2:
        words += [*METHODS[matching.method].settings_told(matching.of(), found.evidence), f"k = {matching.k}"]
    if asked.alteration:
        words.append(f"{altered_label(found.query)}, seed {asked.seed}")
    return "; ".join(words) + ". Smaller distances are nearer; a distance is no proof of identity."


def altered_title(query: Query) -> str:
    """What was done to the photo, in words."""
    alteration = query.alteration
    assert alteration is not None
    kind = ALTERATIONS[alteration.kind]
    style = kind.styles.get(alteration.style)
    return f"{kind.title}, {style.lower()}" if style else kind.title


def altered_label(query: Query) -> str:
    """What was done to the photo, in words, with what else is to be said of it."""
    note = query.alteration.note if query.alteration else ""
    return f"{altered_title(query)} ({note})" if note else altered_title(query)


def _cell(found: Identification, crops: Crops, match: Match, reranked: bool = False) -> Cell:
    correct = None if found.truth is None else match.identity == found.truth
    return Cell(crops(match.row), match.rank, match.identity, match.distance if reranked else match.cosine,
                match.stage1_rank if reranked else None, correct)


def _query_pictures(found: Identification) -> list[tuple[str, np.ndarray]]:
    query = found.query
    pictures = [("Original", query.photo)]
    if query.alteration is not None:
        pictures.append((altered_title(query), query.altered))
    grid = getattr(found.evidence, "grid", None)
    pictures.append(("Aligned", patch_grid(query.crop, grid) if grid else query.crop))
    return pictures
