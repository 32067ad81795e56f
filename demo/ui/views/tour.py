"""A guided tour of one match in five steps, with its own numbers: plain values for the Board. No gradio here."""

from __future__ import annotations

import numpy as np

from demo.drawing.grids import patch_count
from demo.errors import DemoError
from demo.explain import Flows, Matrices, Pair, explain, explains, face_maps, flow_picture, paired_heat, patch_grid
from demo.explain.flow import FlowExplanation
from demo.explain.weights import WeightsExplanation
from demo.figures import pair_of
from demo.identify import Identification, Match
from demo.methods import METHODS, PUBLISHED, RERANKING, CrossMethod, ready
from demo.presets import PRESETS
from demo.presets import PUBLISHED as AS_PUBLISHED
from demo.ui.views.board import Result, heat_url, photo_value
from demo.words import decimals, ordinal

#: The second paper's proposal.
_H2L = "H2L"


def tour_value(result: Result, row: int) -> dict:
    """The two papers on this match: {"steps": [{"title", "text": [...], "pictures": [[src, caption], ...]}, ...]}.

    The query is ranked once more as published, whatever ranks on the page: the numbers are the papers' method's.
    """
    found = result.identifier.rank(result.found.query, PRESETS[AS_PUBLISHED].matching, truth=result.found.truth)
    match = next((one for one in found.stage2 if one.row == row and one.patch is not None), found.stage2[0])
    pair = pair_of(found, result.identifier, match, result.crop)
    moved = explain(pair, FlowExplanation.word)[FlowExplanation.word]
    assert isinstance(moved, Flows)
    steps = [_embed(result, found, match), _patches(pair, moved), _weigh(result, pair),
             _move(pair, moved, match), _rerank(result, found, match)]
    return {"kind": "tour", "result": result.token, "row": row, "name": match.identity, "steps": steps}


def _embed(result: Result, found: Identification, match: Match) -> dict:
    first = found.stage1[0]
    dim, photos = result.identifier.backbone.info.dim, len(found.stage1)
    ahead = "" if match.stage1_rank == 1 else (
        f" {match.identity} is {ordinal(match.stage1_rank)}: one number for a whole face cannot say that a part of it "
        "is covered.")
    return {"title": "Embed", "text": [
        f"A network turns each face into {dim} numbers, an embedding. Stage 1 compares directions: 1 minus the cosine "
        f"of the angle between two of them. For {match.identity} that is {decimals(match.cosine)}.",
        f"Of {photos} photos the nearest is {first.identity} at {decimals(first.cosine)}.{ahead}"],
        "pictures": [[photo_value(found.query.crop), "the query"],
                     [photo_value(result.crop(first.row)), f"1st: {first.identity}, {decimals(first.cosine)}"],
                     [photo_value(result.crop(match.row)),
                      f"{ordinal(match.stage1_rank)}: {match.identity}, {decimals(match.cosine)}"]]}


def _patches(pair: Pair, moved: Flows) -> dict:
    rows, columns = moved.grid
    return {"title": "Patches", "text": [
        f"The network's last map before the embedding keeps places apart: {rows} × {columns} patches of "
        f"{pair.features[0].at(moved.grid).patches.shape[2]} numbers each. DeepFace-EMD (CVPR 2022) compares those, "
        "and needs no training of its own.",
        f"The cost of moving between two patches is 1 minus the cosine of theirs. Between these faces it lies between "
        f"{decimals(moved.ground.min())} and {decimals(moved.ground.max())}."],
        "pictures": [[photo_value(patch_grid(crop, moved.grid, height=240)), title]
                     for crop, title in zip(pair.crops, pair.titles, strict=True)]}


def _weigh(result: Result, pair: Pair) -> dict:
    maps = face_maps(explain(pair, WeightsExplanation.word)[WeightsExplanation.word])
    assert maps is not None
    values = np.asarray(maps.query)
    strongest = int(values.argmax())
    row, column = divmod(strongest, maps.grid[1])
    even = 1 / patch_count(maps.grid)
    pictures = paired_heat(*pair.crops, maps, colormap=result.colormap)
    return {"title": "Weigh", "text": [
        "Each patch is given mass: the more it has in common with the other face as a whole, the more (average pooling "
        "correlation, APC). A patch that shows a mask ought to get less; on masked photos of LFW it gets nearly its "
        "even share all the same.",
        f"An even share would be {100 * even:.1f} %. The heaviest patch of the query, row {row + 1}, column "
        f"{column + 1}, has {100 * values[strongest]:.1f} %, the lightest {100 * values.min():.1f} %."],
        "pictures": [[heat_url(picture), title] for picture, title in zip(pictures, pair.titles, strict=True)]}


def _move(pair: Pair, moved: Flows, match: Match) -> dict:
    assert match.patch is not None
    stays = float(np.trace(moved.flow) / max(moved.flow.sum(), 1e-12))
    return {"title": "Move", "text": [
        "The Earth Mover's Distance is the least total cost of moving all mass of one face onto the mass of the other. "
        f"Here it is {decimals(match.patch)}, and {100 * stays:.0f} % of the mass stays at its place.",
        "In the middle the query is rebuilt from the other face: at each place stands the patch that most of its mass "
        "goes to. Where the face is whole again, the two agree."],
        "pictures": [[photo_value(pair.crops[0]), "the query"],
                     [heat_url(flow_picture(pair.crops[1], moved.flow, moved.grid, dim=False)), "rebuilt"],
                     [photo_value(pair.crops[1]), match.identity]]}


def _rerank(result: Result, found: Identification, match: Match) -> dict:
    alpha = found.matching.alpha or 0.0
    assert match.patch is not None and match.combined is not None
    text = [
        f"Stage 2 orders the first {min(found.matching.k, len(found.stage1))} again, by {alpha:g} × "
        f"{decimals(match.patch)} + {1 - alpha:g} × {decimals(match.cosine)} = {decimals(match.combined)}. "
        f"{match.identity} goes from {ordinal(match.stage1_rank)} to {ordinal(match.rank)}.",
        "Transport learns nothing. Face-ViT (WACV 2024) trains a small transformer for the same question: its H2L "
        "takes both faces' patches at once, every patch looks at all patches of the other face, and the two summaries "
        f"are compared. One pass per pair, no transport. {_h2l_told(result, match)}"]
    if result.found.matching.method != PUBLISHED.word and result.found.stage2:
        ranked = METHODS[result.found.matching.method]
        now = next((one.rank for one in result.found.stage2 if one.row == match.row), None)
        text.append(f"This page ranked by {ranked.short}: {ranked.explanation}"
                    + (f" There {match.identity} is {ordinal(now)}." if now else ""))
    pictures = [[photo_value(result.crop(one.row)), f"{ordinal(one.rank)}: {one.identity}, {decimals(one.combined)}"]
                for one in found.stage2[:3] if one.combined is not None]
    return {"title": "Re-rank", "text": text, "pictures": pictures + _h2l_picture(result, match)}


def _h2l(result: Result) -> type[CrossMethod] | None:
    """The second paper's method, where it is ready for this backbone."""
    can = ready(result.identifier.backbone, result.identifier.gallery, among=RERANKING)
    return next((one for one in can.values() if issubclass(one, CrossMethod) and one.name == _H2L), None)


def _h2l_told(result: Result, match: Match) -> str:
    chosen = _h2l(result)
    if chosen is None:
        return "None comes with this backbone: choose dlib's under Method settings to see its attention here."
    method = result.identifier.method(chosen.word)
    distance = float(method.pairs(result.found.query.features, result.identifier.gallery.whole([match.row]))[0])
    return f"For this pair it says {decimals(distance)}."


def _h2l_picture(result: Result, match: Match) -> list[list[str]]:
    """Where H2L looks on the query, where it is ready."""
    chosen = _h2l(result)
    if chosen is None:
        return []
    pair = pair_of(result.found, result.identifier, match, result.crop)
    try:
        looks = next((one for one in explain(pair, *explains(chosen.word)).values() if isinstance(one, Matrices)), None)
    except DemoError:
        return []
    maps = None if looks is None else face_maps(looks)
    return [] if maps is None else [[heat_url(paired_heat(*pair.crops, maps, colormap=result.colormap)[0]),
                                     f"where {chosen.short} looks on the query"]]
