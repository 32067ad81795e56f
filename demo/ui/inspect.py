"""One candidate beside the query, explained by every method: plain values for the Inspector. No gradio here."""

from __future__ import annotations

import numpy as np

from demo.backbones import Features, grid_name
from demo.crossimage import CrossImageModel
from demo.crossimage.maps import cross_attention, cross_correlation, received
from demo.errors import WeightsMissing
from demo.explain import (
    FaceMaps,
    colour_bar,
    flow_lines,
    flow_picture,
    heatmap,
    paired_heat,
    percent,
    shared_scale,
    strongest_flows,
)
from demo.figures import ordinal, slot_of
from demo.identify import Match
from demo.matching import WEIGHTINGS, EMDResult, emd
from demo.ui.view import Result, explained_grid, picture_url

LINES = 12
#: Attention is sent in units of 1 / ATTENTION_UNIT.
ATTENTION_UNIT = 10_000


def inspector_value(result: Result, row: int) -> dict:
    """What the Inspector component shows of one candidate: numbers, and the views of every method that is ready."""
    match = next(m for m in result.found.ranking if m.row == row)
    grid = explained_grid(result)
    pair = result.identifier.gallery.features([row], grid)
    transported, slot = _transported(result, match, pair)
    cross = _cross_model(result)
    terms, live = _terms(result, match, float(transported.distance[slot]), transported.solver)
    value = {
        "result": result.token, "row": row, "name": match.identity, "title": _title(match, bool(result.found.stage2)),
        "grid": list(grid), "terms": terms, "live": live,
        **_emd_views(result, row, transported, slot),
    }
    if cross is not None:
        value |= _cross_views(result, row, cross)
    return value


def _transported(result: Result, match: Match, pair: Features) -> tuple[EMDResult, int]:
    """The candidate's flow and weights and where they stand, computed for it alone where Stage 2 did not need them."""
    found, options = result.found, result.found.options
    if found.emd is not None and match.patch is not None:
        return found.emd, slot_of(found, match)
    return emd(found.query.features, pair, options.weighting, options.solver, explained_grid(result)), 0


def _cross_model(result: Result) -> CrossImageModel | None:
    try:
        return result.identifier.comparison("h2l")[0].model
    except WeightsMissing:
        return None


def _emd_views(result: Result, row: int, emd_result: EMDResult, slot: int) -> dict:
    grid = explained_grid(result)
    query_crop, crop = result.found.query.crop, result.crop(row)
    flow = emd_result.flow[slot].cpu().numpy()
    u, v = (weights[slot].cpu().numpy() for weights in (emd_result.query_weights, emd_result.candidate_weights))
    scale = result.scale if result.found.emd is emd_result else shared_scale([u, v])
    strongest = strongest_flows(flow, LINES)
    sources, targets = np.nonzero(flow > 1e-6)
    weighting = WEIGHTINGS[result.found.options.weighting]

    def heat(face: np.ndarray, weights: np.ndarray) -> str:
        return picture_url(heatmap(face, weights, grid, scale=scale, colormap=result.colormap))

    return {
        "query": {"crop": picture_url(query_crop), "weights": heat(query_crop, u)},
        "candidate": {"crop": picture_url(crop), "weights": heat(crop, v)},
        "flowPicture": picture_url(flow_picture(crop, flow, grid)),
        "flowPictureBright": picture_url(flow_picture(crop, flow, grid, dim=False)),
        "lines": picture_url(flow_lines(query_crop, crop, flow, grid, LINES)),
        "lineCount": len(strongest), "lineShare": float(sum(line.mass for line in strongest)),
        "weightsBar": _bar(result, scale, "share of the weight"), "u": u.tolist(), "v": v.tolist(),
        "flow": [[int(i), int(j), float(flow[i, j])] for i, j in zip(sources, targets, strict=True)],
        "weightsHint": f"{weighting.title}: {weighting.explanation} One colour scale serves all candidates shown.",
    }


def _cross_views(result: Result, row: int, model: CrossImageModel) -> dict:
    """Attention between the faces, averaged over both orders, and the correlation maps of the CNN and of the model."""
    query_crop, crop = result.found.query.crop, result.crop(row)
    query, candidate = result.found.query.features, result.identifier.gallery.features([row])
    output, reverse = model.compare_features(query, candidate), model.compare_features(candidate, query)
    attention = cross_attention(output, reverse=reverse)
    mean_forward, mean_backward = attention.choose()
    looked_at = FaceMaps("Attention", received(mean_backward), received(mean_forward), output.grid)
    heat = paired_heat(query_crop, crop, looked_at, colormap=result.colormap)
    heads = [(name, *attention.choose(head=head)) for name, head in
             [("mean of the heads", None), *((f"head {head + 1}", head) for head in range(attention.forward.shape[1]))]]
    correlation = []
    patches = {"CNN patches": (query.patches, candidate.patches), "H2L patches": (output.z1, output.z2)}
    for title, (first, second) in patches.items():
        on_query, on_candidate = cross_correlation(first, second)
        maps = FaceMaps(title, on_query[0], on_candidate[0], output.grid)
        pictures = paired_heat(query_crop, crop, maps, colormap=result.colormap)
        correlation.append({"title": title, "query": picture_url(pictures[0]), "candidate": picture_url(pictures[1]),
                            "bar": _bar(result, maps.colours, "share of the correlation")})
    return {
        "attention": {
            "query": picture_url(heat[0]), "candidate": picture_url(heat[1]), "grid": list(output.grid),
            "bar": _bar(result, looked_at.colours, "share of the attention received"),
            "heads": [{"name": name, "forward": _units(forward), "backward": _units(backward)}
                      for name, forward, backward in heads],
            "unit": ATTENTION_UNIT, "receivedQuery": looked_at.query.tolist(),
            "receivedCandidate": looked_at.candidate.tolist(),
        },
        "correlation": correlation,
    }


def _units(rows: np.ndarray) -> list[list[int]]:
    return np.rint(rows * ATTENTION_UNIT).astype(int).tolist()


def _bar(result: Result, scale: tuple[float, float], label: str) -> dict:
    low, high = scale
    return {"picture": picture_url(colour_bar(scale, colormap=result.colormap, label=label)),
            "text": f"Colour bar: {label} from {percent(low)} to {percent(high)}"}


def _title(match: Match, reranked: bool) -> str:
    if not reranked:
        return f"{match.path}: {ordinal(match.rank)}"
    if not match.moved:
        return f"{match.path}: {ordinal(match.rank)} before and after re-ranking"
    return f"{match.path}: {ordinal(match.stage1_rank)} before, {ordinal(match.rank)} after re-ranking"


def _terms(result: Result, match: Match, distance: float, solver: str) -> tuple[list[list[str]], dict | None]:
    """Rows of the score breakdown (name, number, note), and what the α slider needs."""
    options = result.found.options
    terms = [["Cosine distance", f"{match.cosine:.4f}", "Stage 1: 1 − cosine similarity of the two embeddings"],
             ["Earth Mover's Distance", f"{distance:.4f}",
              "Cheapest way to move the query's patch weights onto the match's: "
              f"{options.weighting} weights, {grid_name(explained_grid(result))} grid, {solver} solver"]]
    names = {"emd": "EMD", "h2l": "H2L"}
    live = None
    for run in filter(None, (result.found, result.beside)):
        stage, alpha = run.options.stage2, run.options.alpha
        found = result.stages.get(stage, {}).get(match.row)
        if found is None:
            continue
        if stage == "h2l":
            terms.append(["H2L distance", f"{found.patch:.4f}", "1 − cosine similarity of the two outputs of H2L, "
                          "averaged over both orders of the faces"])
        terms.append([f"Combined with {names[stage]}", f"{found.combined:.4f}",
                      f"Eq. 5.1: {alpha:g} × {found.patch:.4f} + {1 - alpha:g} × {found.cosine:.4f}"])
        terms.append([f"Rank with {names[stage]}", f"{found.stage1_rank} → {found.rank}", "before → after re-ranking"])
        if live is None:
            live = {"stage": stage, "alpha": alpha, "patch": found.patch, "cosine": found.cosine}
    return terms, live
