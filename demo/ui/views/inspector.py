"""Two faces explained: plain values for the Inspector, which draws by the kind of each result. No gradio here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import singledispatch

import numpy as np

from demo.drawing.signed import cost_strip
from demo.explain import (
    EXPLANATIONS,
    VIEWS,
    Badge,
    Contrast,
    Curves,
    Explanation,
    FaceMaps,
    Flows,
    Maps,
    Matrices,
    Numbers,
    Pair,
    Result,
    Signed,
    available,
    badge,
    explain,
    face_maps,
    flow_picture,
    paired_heat,
    sentence,
    signed_heat,
    signed_strip,
    told,
)
from demo.explain.regions import REGIONS, regions
from demo.explain.worn import worn_name
from demo.figures import contrasts, rivals
from demo.identify import Match
from demo.methods import METHODS
from demo.ui.views import board
from demo.ui.views.board import heat_url, picture_url
from demo.words import decimals, ordinal, rounded

#: Rows of a matrix are sent in units of 1 / UNIT.
UNIT = 10_000
#: Colours that are sent of a colour bar; the page blends between them.
BAR = 33
#: Mass below this does not flow.
LEAST = 1e-6
#: How bright the patches of the rebuilt face are: word → what ``flow_picture`` takes. The first is shown first.
BRIGHTNESS: dict[str, dict[str, bool]] = {"full": {"dim": False}, "veil": {"veil": True}, "published": {"dim": True}}
#: The grid on which mass that flows is shown to whom the network's own is too fine.
COARSE = (4, 4)
SIDES = "query", "candidate"


def inspector_value(result: board.Result, row: int) -> dict:
    """What the Inspector component shows of one candidate: numbers, and every explanation that is ready. contrasted:
    whether ``contrasts_value`` has others to compare it with. What is slow and seen only when it is chosen has the kind
    "later": ``explained_value`` has it then."""
    found = result.found
    match = next(m for m in found.ranking if m.row == row)
    pair = result.pair(match)
    return {"result": result.token, "row": row, "title": _title(match, bool(found.stage2)), "live": _live(result, row),
            "contrasted": bool(rivals(found, match)), **pair_value(pair, result.colormap, _later(pair))}


def contrasts_value(result: board.Result, row: int) -> dict:
    """Why a candidate and not one of the next people, as the Inspector shows it when it is asked."""
    match = next(m for m in result.found.ranking if m.row == row)
    found = contrasts(result.found, result.identifier, match, result.crop)
    return {"kind": "contrasts", "result": result.token, "row": row,
            "contrasts": [_contrast(one, result, match) for one in found]}


def explained_value(result: board.Result, row: int, word: str) -> dict:
    """One explanation of a candidate, which the Inspector goes on to show. BadSetting where it cannot be had."""
    pair = result.pair(next(m for m in result.found.ranking if m.row == row))
    results = explain(pair, word)
    return {"kind": "explained", "result": result.token, "row": row, "word": word,
            "explanation": _explanation(word, results, pair, result.colormap)}


def _later(pair: Pair) -> list[str]:
    """The explanations that are slow, but for the first of each view; and where that one failed the test of its
    faithfulness, but for the first that passed it as well."""
    ranked, later = _by_method(available(pair), pair), []
    for view in VIEWS:
        first, *others = [word for word in ranked if EXPLANATIONS[word].view == view] or [""]
        slow = [word for word in others if EXPLANATIONS[word].slow]
        instead = slow and _badge(first, pair).passes is False and next(
            (word for word in slow if _badge(word, pair).passes), None)
        later += [word for word in slow if word != instead]
    return later


def _by_method(words: Collection[str], pair: Pair) -> list[str]:
    """Those of the ranking method first."""
    return sorted(words, key=lambda word: EXPLANATIONS[word].method != pair.matching.method)


def pair_value(pair: Pair, colormap: str = "viridis", later: Collection[str] = ()) -> dict:
    """The Inspector's views of any two faces; title and live are the caller's.

    views: the tabs, each with the words of its explanations, of those that one is chosen of the ranking method's first.
    explanations: word → its kind, texts and data. sentence: why they match, in words. later: of these the texts
    alone.
    """
    words = list(available(pair))
    results, ranks = explain(pair, *(word for word in words if word not in later)), _by_method(words, pair)
    views = [{"name": name, "title": view.title, "together": view.together, "explanations": inside}
             for name, view in VIEWS.items()
             if (inside := [w for w in (words if view.together else ranks) if EXPLANATIONS[w].view == name])]
    faces = {side: {"crop": picture_url(crop), "title": title, "called": called}
             for side, crop, title, called in zip(SIDES, pair.crops, pair.titles, pair.called, strict=True)}
    return {"name": pair.titles[1], **faces, "sentence": sentence(pair), "views": views, "explanations": {
        word: _explanation(word, results, pair, colormap) if word in results
        else {**_texts(EXPLANATIONS[word], pair), "kind": "later"} for word in words}}


def _explanation(word: str, results: dict[str, Result], pair: Pair, colormap: str) -> dict:
    measured = _badge(word, pair).as_json() if _orders(results[word]) else None
    return {**_texts(EXPLANATIONS[word], pair), "badge": measured,
            "called": _called(EXPLANATIONS[word], results), "exchange": _exchange(word, results),
            "kind": results[word].kind, **_data(results[word], pair, colormap)}


def _texts(one: Explanation, pair: Pair) -> dict:
    return {"title": one.title, "short": one.short or one.title, "note": one.note, "hint": one.told(pair),
            "overview": one.overview}


def _badge(word: str, pair: Pair) -> Badge:
    """How faithful an explanation was measured to be, on faces like the first."""
    method = EXPLANATIONS[word].method
    return badge(word, method, pair.method(method).backbone.name, pair.once("worn", lambda: worn_name(pair)))


def _orders(found: Result) -> bool:
    """Whether it says which patches matter more."""
    return isinstance(found, Flows | Maps | Matrices | Signed)


def _contrast(found: Contrast, result: board.Result, match: Match) -> dict:
    """A rival: what of the query prefers which, and the way from one lead to the other."""
    rival = next(one for one in result.found.ranking if one.rank == found.rival.after)
    query, crop = result.found.query.crop, result.crop(rival.row)
    limit = found.maps.colours[1]
    return {"name": found.rival.name, "row": rival.row, "told": told(found), "grid": list(found.grid),
            "values": found.values.tolist(), "lead": found.lead, "crop": picture_url(crop),
            "ours": picture_url(result.crop(match.row)),
            "picture": heat_url(signed_heat(query, found.values, found.grid, limit)),
            "bar": _bar(signed_strip(BAR), "prefers", [
                (0.0, f"{found.rival.name}, {decimals(limit)}"), (0.5, "0"),
                (1.0, f"{found.first.name}, {decimals(limit)}")]),
            "steps": [[name, value] for name, value in found.steps],
            "ranks": [[side.name, side.before, side.after] for side in (found.first, found.rival)]}


def _called(one: Explanation, results: dict[str, Result]) -> str:
    """What sentences call the shares of its patches: what they measure where it is the only one in sight, else what
    tells it apart."""
    found, beside = results[one.word], [word for word in results if EXPLANATIONS[word].view == one.view]
    alone = len(beside) > 1 and not VIEWS[one.view].together
    return found.measure if alone and isinstance(found, Maps | Matrices) else one.called or one.title


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
    return {**_rebuilt(found, pair), **_coarse(found, lambda flows: _rebuilt(flows, pair))}


def _coarse(found: Flows, drawn: Callable[[Flows], dict]) -> dict:
    """Beside what flows between the patches, the same on fewer: larger ones are easier to read, and to tap."""
    finer = found.grid[0] > COARSE[0] and found.grid[1] > COARSE[1]
    return {"coarse": drawn(found.coarser(COARSE))} if finer else {}


def _rebuilt(found: Flows, pair: Pair) -> dict:
    return {
        **_moved(found, pair),
        "pictures": {name: picture_url(flow_picture(pair.crops[1], found.flow, found.grid, **how))
                     for name, how in BRIGHTNESS.items()},
    }


@_data.register
def _lines(found: Curves, pair: Pair, colormap: str) -> dict:
    """The flows, of which the page draws as many as are asked for. outside: which patches of either face show no face;
    apart: share of the mass that leaves or enters them."""
    return {**_drawn(found.flows, pair), **_coarse(found.flows, lambda flows: _drawn(flows, pair)),
            "count": found.count, "shape": list(pair.crops[0].shape[:2])}


def _drawn(flows: Flows, pair: Pair) -> dict:
    marks = [face.landmarks for face in pair.features]
    outside = [regions(flows.grid, None if one is None else one[0].cpu().numpy()) == len(REGIONS) - 1 for one in marks]
    apart = flows.flow[outside[0][:, None] | outside[1][None]].sum() / max(flows.flow.sum(), 1e-12)
    low, high = (float(flows.ground[flows.flow > LEAST].min()), float(flows.ground[flows.flow > LEAST].max()))
    return {**_moved(flows, pair), "outside": _sides([one.tolist() for one in outside]),
            "apart": float(apart), "scale": [low, high],
            "bar": _bar(cost_strip(BAR), "cost of a line: distance between its patches",
                        [(0.0, f"{low:.2f}"), (1.0, f"{high:.2f}")])}


def _moved(found: Flows, pair: Pair) -> dict:
    """Mass that flows as [from, to, mass, cost], and what each patch has of it."""
    sources, targets = np.nonzero(found.flow > LEAST)
    return {"grid": list(found.grid), "values": _sides([found.first.tolist(), found.second.tolist()]),
            "flow": [[int(i), int(j), float(found.flow[i, j]), rounded(float(found.ground[i, j]), 4)]
                     for i, j in zip(sources, targets, strict=True)]}


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
    label = f"share of the {measure}"
    return {"pictures": _sides([heat_url(picture) for picture in paired_heat(*pair.crops, maps, colormap=colormap)]),
            "values": _sides([maps.query.tolist(), maps.candidate.tolist()]),
            "bar": _bar(maps.strip(colormap, BAR), label, maps.marks)}


@_data.register
def _signed(found: Signed, pair: Pair, colormap: str) -> dict:
    """Contributions to the distance; they lie on the first face alone."""
    maps = face_maps(found)
    assert maps is not None
    heat = signed_heat(pair.crops[0], found.values, found.grid, maps.colours[1])
    return {"grid": list(found.grid), "distance": found.distance, "baseline": found.baseline,
            "stranger": found.stranger, "values": _sides([maps.query.tolist(), maps.candidate.tolist()]),
            "pictures": _sides([heat_url(heat), picture_url(pair.crops[1])]),
            "bar": _bar(maps.strip(colormap, BAR), "contribution to the distance", maps.marks)}


def _bar(strip: np.ndarray, label: str, marks: Sequence[tuple[float, str]]) -> dict:
    """A colour bar that the page draws in its own colours. marks: (place along it in 0..1, text)."""
    texts = [text for _, text in marks]
    return {"colours": ["#" + bytes(colour.tolist()).hex() for colour in strip], "label": label, "marks": list(marks),
            "text": f"Colour bar: {label}: {', '.join(texts)}"}


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
