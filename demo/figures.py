"""An identification as figures in the papers' layout: results on one side, ``demo.explain`` on the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from demo.backbones import Features, grid_name
from demo.crossimage import PairMaps, cross_correlation, received
from demo.explain import Board, Cell, Column, FaceMaps, Pair, Score, flow_picture, patch_grid, percent
from demo.identify import Identification, Identifier, Match
from demo.matching import WEIGHTINGS
from demo.query import ALTERATIONS, Query
from demo.thresholds import WEIGHTING
from demo.verify import SHORT, Verification, agreement

#: Ways to see what a cross-image model attends to, by the words of ``attention_maps``.
ATTENTION = {"received": "H2L attention received", "rollout": "H2L rollout (extra)",
             "relevance": "H2L relevance (extra)"}
#: Gives the aligned crop of a gallery row.
Crops = Callable[[int], np.ndarray]


def crops_of(identifier: Identifier) -> Crops:
    """Crops cut from the gallery's photos as they are asked for."""
    return lambda row: identifier.gallery.crop(row, identifier.backbone)


def board(found: Identification, crops: Crops, top: int = 5) -> Board:
    """Both rankings with the flow pictures between them, as ``explain.board_figure`` takes them."""
    columns = [Column("Stage 1", [_cell(found, crops, match) for match in found.stage1[:top]], "cosine distance")]
    final = found.stage2[:top]
    if found.emd is not None:
        flows = [Cell(flow_picture(crops(match.row), flow_of(found, match), found.emd.grid))
                 for match in final if match.patch is not None]
        columns.append(Column("Flow", flows, "query rebuilt"))
    if final:
        columns.append(Column("Stage 2", [_cell(found, crops, match, reranked=True) for match in final],
                              f"{found.options.stage2.upper()}, α = {found.options.alpha:g}"))
    return Board("Explainable face identification", _query_pictures(found), columns, sentence(found), caption(found))


def pair(found: Identification, crops: Crops, match: Match, scale: tuple[float, float] | None = None,
         maps: Sequence[FaceMaps] = ()) -> Pair:
    """One candidate of an EMD re-ranking beside the query, as ``explain.pair_figure`` takes it. scale: weights."""
    slot = slot_of(found, match)
    emd = found.emd
    return Pair(
        found.query.crop, crops(match.row), emd.grid, emd.query_weights[slot].cpu().numpy(),
        emd.candidate_weights[slot].cpu().numpy(), flow_of(found, match), scale,
        scores=(Score("Cosine distance", match.cosine), Score("EMD", match.patch),
                Score(f"Combined, α = {found.options.alpha:g}", match.combined, total=True)), maps=maps,
        candidate_name=match.identity, measure=WEIGHTINGS[found.options.weighting].title,
        title=f"Query and {match.identity}",
        summary=f"{ordinal(match.stage1_rank)} before re-ranking, {ordinal(match.rank)} after.",
        caption=caption(found),
    )


def verified_pair(found: Verification) -> Pair:
    """Two compared photos as ``explain.pair_figure`` takes them: every method's distance, verdict and explanation."""
    weights = found.emd.query_weights[0].cpu().numpy(), found.emd.candidate_weights[0].cpu().numpy()
    lines = ", ".join(f"{SHORT[judged.method]} {judged.threshold.value:.3f}" for judged in found.judgements
                      if judged.threshold)
    used = found.provenance
    return Pair(
        found.first.crop, found.second.crop, found.emd.grid, *weights, found.emd.flow[0].cpu().numpy(),
        scores=[Score(SHORT[judged.method] + (f": {judged.verdict}" if judged.verdict else ""), judged.distance)
                for judged in found.judgements],
        maps=further_maps(found.first.features, found.second.features, found.maps),
        query_name="First photo", candidate_name="Second photo", measure=WEIGHTINGS[WEIGHTING].title,
        title="Are these two photos of one person?",
        summary=agreement(found) + (f" Thresholds: {lines}." if lines else ""),
        caption=f"thresholds from gallery {used['gallery']}; backbone {used['backbone']} "
                f"({used['weights_sha256'][:8]}); {grid_name(found.emd.grid)} patches. "
                "Smaller distances are nearer; a distance is no proof of identity.",
    )


def attention_maps(maps: PairMaps) -> dict[str, FaceMaps]:
    """What a cross-image model attends to, by a word for each way to see it; the last two are not in the papers."""
    forward, backward = maps.attention.choose()
    looked_at = {"received": (received(backward), received(forward)),
                 "rollout": tuple(received(rows) for rows in reversed(maps.rolled)), "relevance": maps.relevance}
    return {word: FaceMaps(ATTENTION[word], *faces, maps.grid) for word, faces in looked_at.items()}


def correlation_maps(first: Features, second: Features, maps: PairMaps | None) -> list[FaceMaps]:
    """Cross-correlation of the backbone's patches (features of one face each), and of H2L's where there is one."""
    on_first, on_second = cross_correlation(first.patches, second.patches)
    found = [FaceMaps("CNN correlation", on_first[0], on_second[0], first.grid)]
    return found + ([FaceMaps("H2L correlation", *maps.correlation, maps.grid)] if maps else [])


def further_maps(first: Features, second: Features, maps: PairMaps | None, *, every: bool = False) -> list[FaceMaps]:
    """The explanations of a pair beside its flow and weights. every: rollout too, which with one layer says the same
    as attention."""
    attended = attention_maps(maps) if maps else {}
    return [*(looked for word, looked in attended.items() if every or word != "rollout"),
            *correlation_maps(first, second, maps)]


def slot_of(found: Identification, match: Match) -> int:
    """Where a match stands in the arrays of ``found.emd``: they follow Stage 1."""
    return match.stage1_rank - 1


def flow_of(found: Identification, match: Match) -> np.ndarray:
    """(P, P) flow from the query's patches to the match's."""
    return found.emd.flow[slot_of(found, match)].cpu().numpy()


def sentence(found: Identification) -> str:
    """The answer in one or two sentences, distances to three decimals."""
    best = found.ranking[0]
    other = next((match for match in found.ranking if match.identity != best.identity), None)
    when = "after re-ranking" if found.stage2 else "by cosine distance"
    text = f"Nearest {when}: {best.identity} at {best.distance:.3f}"
    text += f"; next person {other.identity} at {other.distance:.3f}." if other else "."
    if found.stage2:
        before = next(match.rank for match in found.stage1 if match.identity == best.identity)
        text += " It was also first before re-ranking." if before == 1 else (
            f" Before re-ranking, the nearest photo of {best.identity} was {ordinal(before)}.")
    return text


def caption(found: Identification) -> str:
    """The settings behind a figure, in one line."""
    options, used = found.options, found.provenance
    words = [f"gallery {used['gallery']}", f"backbone {used['backbone']} ({used['weights_sha256'][:8]})"]
    if found.emd is not None:
        words += [f"{options.weighting} weights", f"{grid_name(found.emd.grid)} patches", f"k = {options.k}",
                  f"{found.emd.solver} transport"]
        words += [f"{percent(found.emd.share)} of the mass moved"] if found.emd.share < 1 else []
    elif found.stage2:
        words += [f"{options.stage2.upper()} re-ranking", f"k = {options.k}"]
    if options.occlusion:
        words.append(f"{altered_label(found.query)}, seed {options.seed}")
    return "; ".join(words) + ". Smaller distances are nearer; a distance is no proof of identity."


def altered_title(query: Query) -> str:
    """What was done to the photo, in words."""
    alteration = query.alteration
    kind = ALTERATIONS[alteration.kind]
    style = kind.styles.get(alteration.style)
    return f"{kind.title}, {style.lower()}" if style else kind.title


def altered_label(query: Query) -> str:
    """What was done to the photo, in words, with what else is to be said of it."""
    note = query.alteration.note
    return f"{altered_title(query)} ({note})" if note else altered_title(query)


def ordinal(number: int) -> str:
    """1 → "1st"."""
    tail = "th" if 10 < number % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{tail}"


def _cell(found: Identification, crops: Crops, match: Match, reranked: bool = False) -> Cell:
    correct = None if found.truth is None else match.identity == found.truth
    return Cell(crops(match.row), match.rank, match.identity, match.distance if reranked else match.cosine,
                match.stage1_rank if reranked else None, correct)


def _query_pictures(found: Identification) -> list[tuple[str, np.ndarray]]:
    query = found.query
    pictures = [("Original", query.photo)]
    if query.alteration is not None:
        pictures.append((altered_title(found.query), query.altered))
    grid = found.emd.grid if found.emd is not None else None
    pictures.append(("Aligned", patch_grid(query.crop, grid) if grid else query.crop))
    return pictures
