"""Two compared photos as the page shows them: plain values for Verdicts and the Inspector. No gradio here."""

from __future__ import annotations

import shlex

from demo.backbones import grid_name
from demo.figures import altered_title
from demo.identify import Identifier
from demo.query import Options, Query
from demo.thresholds import WEIGHTING
from demo.ui.inspect import Shown, pair_views
from demo.ui.view import photo_value
from demo.verify import WORDS, Verification, agreement

NAMES = "First photo", "Second photo"
#: Method → the Inspector's view that explains it.
VIEWS = {"cosine": "correlation", "emd": "flow", "h2l": "attention"}
MEASURES = {"cosine": "1 − cosine similarity of the two embeddings",
            "emd": "Cheapest way to move one face's patch weights onto the other's",
            "h2l": "1 − cosine similarity of the two outputs of the cross-image transformer, both orders averaged"}


def verdicts_value(found: Verification) -> dict:
    """What the Verdicts component shows."""
    return {
        "sentence": agreement(found),
        "photos": [_photo(name, query, options) for name, query, options in
                   zip(NAMES, (found.first, found.second), found.options, strict=True)],
        "rows": [_row(found, judged) for judged in found.judgements],
        "sources": list(dict.fromkeys(j.threshold.source for j in found.judgements if j.threshold)),
    }


def compared_value(found: Verification, identifier: Identifier) -> dict:
    """What the Inspector shows of the two faces."""
    grid = grid_name(found.emd.grid)
    notes = MEASURES | {"emd": f"{MEASURES['emd']}: {WEIGHTING} weights, {grid} grid, {found.emd.solver} solver"}
    shown = Shown((found.first.crop, found.second.crop), (found.first.features, found.second.features), found.emd, 0,
                  WEIGHTING, identifier.h2l(), NAMES, ("first photo", "second photo"))
    return {"title": "Why: the two faces patch by patch", "live": None,
            "terms": [[j.title, f"{j.distance:.4f}", notes[j.method]] for j in found.judgements], **pair_views(shown)}


def compare_command(found: Verification, gallery: str) -> str:
    """The command line that gives the same answer; "" where the second photo is altered, which it cannot do."""
    first, second = found.options
    if second.occlusion:
        return ""
    words = ["python", "-m", "demo", "compare", "FIRST", "SECOND", "--gallery", gallery, "--backbone",
             found.provenance["backbone"]]
    if first.occlusion:
        words += ["--occlude", first.occlusion, "--seed", str(first.seed)]
        words += ["--style", first.style] if first.style else []
    if first.detector != Options().detector:
        words += ["--detector", first.detector]
    return shlex.join(words + (["--aligned"] if first.aligned else []))


def _photo(name: str, query: Query, options: Options) -> dict:
    faces = len(query.faces)
    notes = [altered_title(query)] if query.alteration else []
    if faces > 1 and not options.aligned:
        notes.append(f"{faces} faces, the largest is compared")
    return {"title": name, "note": "; ".join(notes), "picture": photo_value(query.altered),
            "crop": photo_value(query.crop)}


def _row(found: Verification, judged) -> dict:
    line = judged.threshold
    view = VIEWS[judged.method] if judged.method != "cosine" or found.judgement("h2l") else "numbers"
    return {
        "method": judged.method, "title": judged.title, "distance": judged.distance, "verdict": judged.verdict,
        "words": WORDS.get(judged.verdict, "no threshold"), "view": view,
        "threshold": line and {"value": line.value, "lower": line.lower, "upper": line.upper,
                               "error": 100 * line.error},
    }
