"""Two compared photos as the page shows them: plain values for Verdicts and the Inspector. No gradio here."""

from __future__ import annotations

import secrets
import shlex
from dataclasses import dataclass, field

from demo.backbones import grid_name
from demo.query import Options, Query
from demo.thresholds import WEIGHTING
from demo.ui.views.board import photo_value, query_pictures
from demo.ui.views.inspector import Shown, pair_views
from demo.verify import WORDS, Judgement, Verification, agreement

NAMES = "First photo", "Second photo"
#: Method → the Inspector's view that explains it.
VIEWS = {"cosine": "correlation", "emd": "flow", "h2l": "attention"}
MEASURES = {"cosine": "1 − cosine similarity of the two embeddings",
            "emd": "Cheapest way to move one face's patch weights onto the other's",
            "h2l": "1 − cosine similarity of the two outputs of the cross-image transformer, both orders averaged"}


@dataclass(frozen=True)
class Compared:
    """A comparison together with a name of its own. One per visitor and run."""

    found: Verification
    token: str = field(default_factory=lambda: secrets.token_hex(16))


def verdicts_value(found: Verification) -> dict:
    """What the Verdicts component shows."""
    return {
        "sentence": agreement(found),
        "photos": [_photo(name, query, options) for name, query, options in
                   zip(NAMES, (found.first, found.second), found.options, strict=True)],
        "rows": [_row(judged) for judged in found.judgements],
        "sources": list(dict.fromkeys(j.threshold.source for j in found.judgements if j.threshold)),
    }


def compared_value(found: Verification) -> dict:
    """What the Inspector shows of the two faces."""
    grid = grid_name(found.emd.grid)
    notes = MEASURES | {"emd": f"{MEASURES['emd']}: {WEIGHTING} weights, {grid} grid, {found.emd.solver} solver"}
    shown = Shown((found.first.crop, found.second.crop), (found.first.features, found.second.features), found.emd, 0,
                  WEIGHTING, found.maps, NAMES, ("first photo", "second photo"))
    return {"title": "Why: the two faces patch by patch", "live": None,
            "terms": [[j.title, f"{j.distance:.4f}", notes[j.method]] for j in found.judgements], **pair_views(shown)}


def compare_command(found: Verification, gallery: str) -> str:
    """The command line that gives the same answer."""
    first, second = found.options
    words = ["python", "-m", "demo", "compare", "FIRST", "SECOND", "--gallery", gallery, "--backbone",
             found.provenance["backbone"]]
    for options, which in ((first, ""), (second, "-second")):
        words += [f"--face{which}", str(options.face + 1)] if options.face else []
        words += [f"--occlude{which}", options.occlusion] if options.occlusion else []
        words += [f"--style{which}", options.style] if options.occlusion and options.style else []
    if first.occlusion or second.occlusion:
        words += ["--seed", str(first.seed)]
    if first.detector != Options().detector:
        words += ["--detector", first.detector]
    return shlex.join(words + (["--aligned"] if first.aligned else []))


def _photo(name: str, query: Query, options: Options) -> dict:
    return {"title": name, "crop": photo_value(query.crop), **query_pictures(query, options)}


def _row(judged: Judgement) -> dict:
    line = judged.threshold
    return {
        "method": judged.method, "title": judged.title, "distance": judged.distance, "verdict": judged.verdict,
        "words": WORDS.get(judged.verdict, "no threshold"), "view": VIEWS[judged.method],
        "threshold": line and {"value": line.value, "lower": line.lower, "upper": line.upper,
                               "error": 100 * line.error},
    }
