"""Two faces explained: plain values for the Inspector, which draws by the kind of each result. No gradio here."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch

import numpy as np

from demo.explain import (
    EXPLANATIONS,
    VIEWS,
    Curves,
    Explanation,
    FaceMaps,
    Flows,
    Maps,
    Matrices,
    Numbers,
    Pair,
    Result,
    colour_bar,
    explain,
    flow_lines,
    flow_picture,
    paired_heat,
    percent,
)
from demo.identify import Match
from demo.methods import METHODS
from demo.ui.views import board
from demo.ui.views.board import heat_url, picture_url
from demo.words import ordinal

#: Rows of a matrix are sent in units of 1 / UNIT.
UNIT = 10_000
SIDES = "query", "candidate"


def inspector_value(result: board.Result, row: int) -> dict:
    """What the Inspector component shows of one candidate: numbers, and every explanation that is ready."""
    found = result.found
    match = next(m for m in found.ranking if m.row == row)
    return {"result": result.token, "row": row, "title": _title(match, bool(found.stage2)), "live": _live(result, row),
            **pair_value(result.pair(match), result.colormap)}


def pair_value(pair: Pair, colormap: str = "viridis") -> dict:
    """The Inspector's views of any two faces; title and live are the caller's.

    views: the tabs, each with the words of its explanations. explanations: word → its kind, texts and data.
    """
    results = explain(pair)
    views = [{"name": name, "title": view.title, "together": view.together, "explanations": words}
             for name, view in VIEWS.items() if (words := [w for w in results if EXPLANATIONS[w].view == name])]
    faces = {side: {"crop": picture_url(crop), "title": title, "called": called}
             for side, crop, title, called in zip(SIDES, pair.crops, pair.titles, pair.called, strict=True)}
    return {"name": pair.titles[1], **faces, "views": views, "explanations": {
        word: {**_texts(EXPLANATIONS[word], pair), "called": _called(EXPLANATIONS[word], results),
               "exchange": _exchange(word, results), "kind": found.kind, **_data(found, pair, colormap)}
        for word, found in results.items()}}


def _texts(one: Explanation, pair: Pair) -> dict:
    return {"title": one.title, "short": one.short or one.title, "note": one.note, "hint": one.told(pair),
            "overview": one.overview}


def _called(one: Explanation, results: dict[str, Result]) -> str:
    """What sentences call the shares of its patches: what they measure where it is the only one in sight, its title
    where that says more."""
    found, beside = results[one.word], [word for word in results if EXPLANATIONS[word].view == one.view]
    alone = len(beside) > 1 and not VIEWS[one.view].together
    return found.measure if alone and isinstance(found, Maps | Matrices) else one.title


def _exchange(word: str, results: dict[str, Result]) -> str | None:
    """The explanation that says what the patches of a map exchange: one of the same method in which mass flows."""
    if not isinstance(results[word], Maps):
        return None
    return next((other for other, found in results.items() if isinstance(found, Flows)
                 and EXPLANATIONS[other].method == EXPLANATIONS[word].method), None)


@singledispatch
def _data(found: Result, pair: Pair, colormap: str) -> dict:
    """What a kind of result is drawn from."""
    raise TypeError(f"The Inspector cannot draw {type(found).__name__}.")


@_data.register
def _flow(found: Flows, pair: Pair, colormap: str) -> dict:
    sources, targets = np.nonzero(found.flow > 1e-6)
    return {
        "grid": list(found.grid), "values": _sides([found.first.tolist(), found.second.tolist()]),
        "flow": [[int(i), int(j), float(found.flow[i, j])] for i, j in zip(sources, targets, strict=True)],
        "picture": picture_url(flow_picture(pair.crops[1], found.flow, found.grid)),
        "bright": picture_url(flow_picture(pair.crops[1], found.flow, found.grid, dim=False)),
    }


@_data.register
def _lines(found: Curves, pair: Pair, colormap: str) -> dict:
    strongest = found.strongest
    return {"picture": picture_url(flow_lines(*pair.crops, found.flows.flow, found.flows.grid, found.count)),
            "count": len(strongest), "share": float(sum(line.mass for line in strongest))}


@_data.register
def _maps(found: Maps, pair: Pair, colormap: str) -> dict:
    return {"grid": list(found.maps.grid), **_map(found.maps, found.measure, pair, colormap)}


@_data.register
def _matrix(found: Matrices, pair: Pair, colormap: str) -> dict:
    """Layers and their heads, each with its map and rows; the averages first, where there is more than one."""
    layers, heads = ([None] if found.by else [None] * (count > 1) + [*range(count)]
                     for count in found.forward.shape[:2])
    return {"grid": list(found.grid), "unit": UNIT, "by": found.by, "layers": [
        {"name": _numbered("layer", layer),
         "heads": [{"name": _numbered("head", head), **_head(found, layer, head, pair, colormap)} for head in heads]}
        for layer in layers]}


@_data.register
def _numbers(found: Numbers, pair: Pair, colormap: str) -> dict:
    return {"terms": [[term.name, term.value, term.note] for term in found.terms]}


def _numbered(what: str, number: int | None) -> str:
    return f"mean of the {what}s" if number is None else f"{what} {number + 1}"


def _head(found: Matrices, layer: int | None, head: int | None, pair: Pair, colormap: str) -> dict:
    forward, backward = (np.rint(rows * UNIT).astype(int).tolist() for rows in found.choose(layer, head))
    return {"forward": forward, "backward": backward,
            **_map(found.maps(layer, head), found.measure, pair, colormap)}


def _map(maps: FaceMaps, measure: str, pair: Pair, colormap: str) -> dict:
    """One map on both faces: pictures, the values under them, and the colour bar."""
    low, high = maps.colours
    label = f"share of the {measure}"
    return {"pictures": _sides([heat_url(picture) for picture in paired_heat(*pair.crops, maps, colormap=colormap)]),
            "values": _sides([maps.query.tolist(), maps.candidate.tolist()]),
            "bar": {"picture": picture_url(colour_bar(maps.colours, colormap=colormap, label=label)),
                    "text": f"Colour bar: {label} from {percent(low)} to {percent(high)}"}}


def _sides(both: Sequence) -> dict:
    return dict(zip(SIDES, both, strict=True))


def _title(match: Match, reranked: bool) -> str:
    if not reranked:
        return f"{match.path}: {ordinal(match.rank)}"
    if not match.moved:
        return f"{match.path}: {ordinal(match.rank)} before and after re-ranking"
    return f"{match.path}: {ordinal(match.stage1_rank)} before, {ordinal(match.rank)} after re-ranking"


def _live(result: board.Result, row: int) -> dict | None:
    """What the α slider needs, of the first ranking that measured the candidate."""
    for stage, matches in result.stages.items():
        if row in matches:
            found = matches[row]
            return {"stage": stage, "title": METHODS[stage].short, "alpha": result.runs[stage].matching.alpha,
                    "first": found.cosine, "second": found.patch}
    return None
