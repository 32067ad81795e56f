"""One candidate beside the query, explained by every method: plain values for the Inspector. No gradio here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from demo.backbones import Features, grid_name
from demo.crossimage import PairMaps, pair_maps, received
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
from demo.figures import attention_maps, correlation_maps, ordinal, slot_of
from demo.identify import Match
from demo.matching import WEIGHTINGS, EMDResult, emd
from demo.ui.views.board import STAGE_TITLES, Result, explained_grid, heat_url, picture_url

LINES = 12
#: Attention is sent in units of 1 / ATTENTION_UNIT.
ATTENTION_UNIT = 10_000
#: Ways to see attention, by the words of ``demo.figures.ATTENTION``: name of the choice, what its colours measure,
#: and what it is.
WAYS = {
    "received": ("Received", "attention received", "Colours: how much each patch is looked at from the other face, "
                 "mean of both orders of the faces. Choose a patch to see where it looks."),
    "rollout": ("Rollout (extra)", "attention received", "An extra, not in the papers: attention rollout (Abnar and "
                "Zuidema 2020) multiplies up the attention of all layers, skip connections included; of a model with "
                "one layer it is the mean of the heads."),
    "relevance": ("Relevance (extra)", "relevance", "An extra, not in the papers: gradient-weighted relevance (Chefer "
                  "et al. 2021) counts only attention that raises the similarity of the two faces, so bright patches "
                  "are those that the score rests on."),
}

#: What the distances of the cross-image models are.
_MEASURES = {
    "h2l": "1 − cosine similarity of the two outputs of H2L, averaged over both orders of the faces",
    "h2": "1 − probability that H2 gives to one person, averaged over both orders of the faces",
    "h1": "1 − cosine similarity of the embeddings that H1 gives each face alone",
    "v": "1 − cosine similarity of the embeddings that V gives each face alone",
}


@dataclass(frozen=True)
class Shown:
    """Two faces to explain. crops: uint8 each. features: of one face each. emd, slot: their transport and where it
    stands in it. maps: what H2L makes of them, None where it is not ready. titles: over the faces; called: in running
    text. scale: of the weights, None for their own."""

    crops: tuple[np.ndarray, np.ndarray]
    features: tuple[Features, Features]
    emd: EMDResult
    slot: int
    weighting: str
    maps: PairMaps | None
    titles: tuple[str, str]
    called: tuple[str, str] = ("query", "match")
    scale: tuple[float, float] | None = None
    colormap: str = "viridis"


def pair_views(shown: Shown) -> dict:
    """The views of the Inspector for any two faces; title, terms and live are the caller's."""
    correlations = correlation_maps(*shown.features, shown.maps)
    return {"grid": list(shown.emd.grid), "name": shown.titles[1], **_emd_views(shown),
            "correlation": [_map(shown, maps, "correlation") for maps in correlations],
            **({"attention": _attention(shown, shown.maps)} if shown.maps else {})}


def inspector_value(result: Result, row: int) -> dict:
    """What the Inspector component shows of one candidate: numbers, and the views of every method that is ready."""
    found = result.found
    match = next(m for m in found.ranking if m.row == row)
    features, model = result.identifier.gallery.features([row]), result.identifier.h2l()
    transported, slot = _transported(result, match)
    terms, live = _terms(result, match, float(transported.distance[slot]), transported.solver)
    shown = Shown(
        (found.query.crop, result.crop(row)), (found.query.features, features), transported, slot,
        found.options.weighting, pair_maps(model, found.query.features, features) if model else None,
        ("Query", match.identity),
        scale=result.scale if found.emd is transported else None, colormap=result.colormap)
    return {"result": result.token, "row": row, "title": _title(match, bool(found.stage2)), "terms": terms,
            "live": live, **pair_views(shown)}


def _transported(result: Result, match: Match) -> tuple[EMDResult, int]:
    """The candidate's flow and weights and where they stand, computed for it alone where Stage 2 did not need them."""
    found, options = result.found, result.found.options
    if found.emd is not None and match.patch is not None:
        return found.emd, slot_of(found, match)
    grid = explained_grid(result)
    face = result.identifier.gallery.features([match.row], grid)
    return emd(found.query.features, face, options.weighting, options.solver, grid, options.share), 0


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
               "weights": heat_url(heatmap(crop, weights, grid, scale=scale, colormap=shown.colormap))}
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


def _attention(shown: Shown, maps: PairMaps) -> dict:
    """Every way to see what H2L attends to: per layer its heads, each with colours and rows of a map. A choice of one
    is none."""
    whole = attention_maps(maps)
    layers, heads = maps.attention.forward.shape[:2]
    every_layer = [(None, "mean of the layers")] * (layers > 1)
    every_layer += [(layer, f"layer {layer + 1}") for layer in range(layers)]
    every_head = [(None, "mean of the heads")] * (heads > 1) + [(head, f"head {head + 1}") for head in range(heads)]
    choices = {
        "received": [{"name": layer_name, "heads": [_head(shown, maps, name, maps.attention.choose(layer, head))
                                                    for head, name in every_head]}
                     for layer, layer_name in every_layer],
        "rollout": [{"name": "", "heads": [_head(shown, maps, "rollout", maps.rolled)]}],
        "relevance": [{"name": "", "heads": [{"name": "relevance", "map": _map(shown, whole["relevance"], "relevance"),
                                              "forward": None, "backward": None}]}],
    }
    return {"grid": list(maps.grid), "unit": ATTENTION_UNIT,
            "ways": [{"word": word, "title": title, "measure": measure, "hint": hint, "layers": choices[word]}
                     for word, (title, measure, hint) in WAYS.items()]}


def _head(shown: Shown, maps: PairMaps, name: str, rows: tuple[np.ndarray, np.ndarray]) -> dict:
    forward, backward = rows
    looked_at = FaceMaps(name, received(backward), received(forward), maps.grid)
    return {"name": name, "map": _map(shown, looked_at, "attention received"),
            "forward": _units(forward), "backward": _units(backward)}


def _map(shown: Shown, maps: FaceMaps, measure: str) -> dict:
    """One map on both faces: pictures, the values under them, and the colour bar."""
    query, candidate = paired_heat(*shown.crops, maps, colormap=shown.colormap)
    return {"title": maps.title, "grid": list(maps.grid), "query": heat_url(query), "candidate": heat_url(candidate),
            "values": {"query": maps.query.tolist(), "candidate": maps.candidate.tolist()},
            "bar": _bar(shown, maps.colours, f"share of the {measure}")}


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


def _moved(share: float) -> str:
    return "the query's patch weights" if share == 1 else f"{percent(share)} of the query's patch weights, per mass,"


def _terms(result: Result, match: Match, distance: float, solver: str) -> tuple[list[list[str]], dict | None]:
    """Rows of the score breakdown (name, number, note), and what the α slider needs."""
    options = result.found.options
    terms = [["Cosine distance", f"{match.cosine:.4f}", "Stage 1: 1 − cosine similarity of the two embeddings"],
             ["Earth Mover's Distance", f"{distance:.4f}",
              f"Cheapest way to move {_moved(options.share)} onto the match's: "
              f"{options.weighting} weights, {grid_name(explained_grid(result))} grid, {solver} solver"]]
    live = None
    for run in filter(None, (result.found, result.beside)):
        stage, alpha = run.options.stage2, run.options.alpha
        found = result.stages.get(stage, {}).get(match.row)
        if found is None:
            continue
        name = STAGE_TITLES[stage]
        if stage in _MEASURES:
            terms.append([f"{name} distance", f"{found.patch:.4f}", _MEASURES[stage]])
        terms.append([f"Combined with {name}", f"{found.combined:.4f}",
                      f"Eq. 5.1: {alpha:g} × {found.patch:.4f} + {1 - alpha:g} × {found.cosine:.4f}"])
        terms.append([f"Rank with {name}", f"{found.stage1_rank} → {found.rank}", "before → after re-ranking"])
        if live is None:
            live = {"stage": stage, "alpha": alpha, "patch": found.patch, "cosine": found.cosine}
    return terms, live
