"""One candidate beside the query, explained by every method: plain values for the Inspector. No gradio here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from demo.backbones import Features, grid_name
from demo.crossimage import CrossImageModel
from demo.crossimage.maps import cross_attention, cross_correlation, received
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


@dataclass(frozen=True)
class Shown:
    """Two faces to explain. crops: uint8 each. features: of one face each. emd, slot: their transport and where it
    stands in it. titles: over the faces; called: in running text. scale: of the weights, None for their own."""

    crops: tuple[np.ndarray, np.ndarray]
    features: tuple[Features, Features]
    emd: EMDResult
    slot: int
    weighting: str
    model: CrossImageModel | None
    titles: tuple[str, str]
    called: tuple[str, str] = ("query", "match")
    scale: tuple[float, float] | None = None
    colormap: str = "viridis"


def pair_views(shown: Shown) -> dict:
    """The views of the Inspector for any two faces; title, terms and live are the caller's."""
    return {"grid": list(shown.emd.grid), "name": shown.titles[1], **_emd_views(shown),
            **(_cross_views(shown) if shown.model else {})}


def inspector_value(result: Result, row: int) -> dict:
    """What the Inspector component shows of one candidate: numbers, and the views of every method that is ready."""
    found = result.found
    match = next(m for m in found.ranking if m.row == row)
    pair = result.identifier.gallery.features([row], explained_grid(result))
    transported, slot = _transported(result, match, pair)
    terms, live = _terms(result, match, float(transported.distance[slot]), transported.solver)
    shown = Shown(
        (found.query.crop, result.crop(row)), (found.query.features, result.identifier.gallery.features([row])),
        transported, slot, found.options.weighting, result.identifier.h2l(), ("Query", match.identity),
        scale=result.scale if found.emd is transported else None, colormap=result.colormap)
    return {"result": result.token, "row": row, "title": _title(match, bool(found.stage2)), "terms": terms,
            "live": live, **pair_views(shown)}


def _transported(result: Result, match: Match, pair: Features) -> tuple[EMDResult, int]:
    """The candidate's flow and weights and where they stand, computed for it alone where Stage 2 did not need them."""
    found, options = result.found, result.found.options
    if found.emd is not None and match.patch is not None:
        return found.emd, slot_of(found, match)
    return emd(found.query.features, pair, options.weighting, options.solver, explained_grid(result)), 0


def _emd_views(shown: Shown) -> dict:
    result, grid = shown.emd, shown.emd.grid
    flow = result.flow[shown.slot].cpu().numpy()
    u, v = (weights[shown.slot].cpu().numpy() for weights in (result.query_weights, result.candidate_weights))
    scale = shown.scale or shared_scale([u, v])
    strongest = strongest_flows(flow, LINES)
    sources, targets = np.nonzero(flow > 1e-6)
    weighting = WEIGHTINGS[shown.weighting]
    faces = {
        side: {"crop": picture_url(crop), "title": title, "called": called,
               "weights": picture_url(heatmap(crop, weights, grid, scale=scale, colormap=shown.colormap))}
        for side, crop, title, called, weights in zip(("query", "candidate"), shown.crops, shown.titles, shown.called,
                                                      (u, v), strict=True)
    }
    shared = " One colour scale serves all candidates shown." if shown.scale else ""
    return {
        **faces,
        "flowPicture": picture_url(flow_picture(shown.crops[1], flow, grid)),
        "flowPictureBright": picture_url(flow_picture(shown.crops[1], flow, grid, dim=False)),
        "lines": picture_url(flow_lines(*shown.crops, flow, grid, LINES)),
        "lineCount": len(strongest), "lineShare": float(sum(line.mass for line in strongest)),
        "weightsBar": _bar(shown, scale, "share of the weight"), "u": u.tolist(), "v": v.tolist(),
        "flow": [[int(i), int(j), float(flow[i, j])] for i, j in zip(sources, targets, strict=True)],
        "weightsHint": f"{weighting.title}: {weighting.explanation}{shared}",
    }


def _cross_views(shown: Shown) -> dict:
    """Attention between the faces, averaged over both orders, and the correlation maps of the CNN and of the model."""
    model = shown.model
    query, candidate = (face.at(model.backbone.info.grids[0]) for face in shown.features)
    output, reverse = model.compare_features(query, candidate), model.compare_features(candidate, query)
    attention = cross_attention(output, reverse=reverse)
    mean_forward, mean_backward = attention.choose()
    looked_at = FaceMaps("Attention", received(mean_backward), received(mean_forward), output.grid)
    heat = paired_heat(*shown.crops, looked_at, colormap=shown.colormap)
    heads = [(name, *attention.choose(head=head)) for name, head in
             [("mean of the heads", None), *((f"head {head + 1}", head) for head in range(attention.forward.shape[1]))]]
    correlation = []
    patches = {"CNN patches": (query.patches, candidate.patches), "H2L patches": (output.z1, output.z2)}
    for title, (first, second) in patches.items():
        on_query, on_candidate = cross_correlation(first, second)
        maps = FaceMaps(title, on_query[0], on_candidate[0], output.grid)
        pictures = paired_heat(*shown.crops, maps, colormap=shown.colormap)
        correlation.append({"title": title, "query": picture_url(pictures[0]), "candidate": picture_url(pictures[1]),
                            "bar": _bar(shown, maps.colours, "share of the correlation")})
    return {
        "attention": {
            "query": picture_url(heat[0]), "candidate": picture_url(heat[1]), "grid": list(output.grid),
            "bar": _bar(shown, looked_at.colours, "share of the attention received"),
            "heads": [{"name": name, "forward": _units(forward), "backward": _units(backward)}
                      for name, forward, backward in heads],
            "unit": ATTENTION_UNIT, "receivedQuery": looked_at.query.tolist(),
            "receivedCandidate": looked_at.candidate.tolist(),
        },
        "correlation": correlation,
    }


def _units(rows: np.ndarray) -> list[list[int]]:
    return np.rint(rows * ATTENTION_UNIT).astype(int).tolist()


def _bar(shown: Shown, scale: tuple[float, float], label: str) -> dict:
    low, high = scale
    return {"picture": picture_url(colour_bar(scale, colormap=shown.colormap, label=label)),
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
