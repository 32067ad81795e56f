"""Two compared photos as the page shows them: plain values for Verdicts and the Inspector. No gradio here."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from demo.explain import EXPLANATIONS, Pair, explains
from demo.query import Query
from demo.ui.views.board import photo_value, query_pictures
from demo.ui.views.inspector import pair_value
from demo.verify import WORDS, Judgement, Verification, agreement


@dataclass(frozen=True)
class Compared:
    """A comparison together with a name of its own. One per visitor and run. asked: the form that it answers."""

    found: Verification
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    asked: tuple = ()


def verdicts_value(found: Verification) -> dict:
    """What the Verdicts component shows."""
    return {
        "sentence": agreement(found),
        "photos": [_photo(name, query) for name, query in zip(found.pair.titles, (found.first, found.second),
                                                              strict=True)],
        "rows": [_row(judged, found.pair) for judged in found.judgements],
        "sources": list(dict.fromkeys(j.threshold.source for j in found.judgements if j.threshold)),
    }


def compared_value(found: Verification) -> dict:
    """What the Inspector shows of the two faces."""
    return {"title": "Why: the two faces patch by patch", "live": None, **pair_value(found.pair)}


def _photo(name: str, query: Query) -> dict:
    return {"title": name, "crop": photo_value(query.crop), **query_pictures(query)}


def _row(judged: Judgement, pair: Pair) -> dict:
    line = judged.threshold
    # A method without explanations of its own has at least its numbers, which come last.
    reason = next((one for one in explains(judged.method).values() if one.unavailable(pair) is None),
                  [*EXPLANATIONS.values()][-1])
    return {
        "method": judged.method, "title": judged.title, "distance": judged.distance, "verdict": judged.verdict,
        "words": "no threshold" if judged.verdict is None else WORDS[judged.verdict], "view": reason.view,
        "explanation": reason.word,
        "threshold": line and {"value": line.value, "lower": line.lower, "upper": line.upper,
                               "error": 100 * line.error},
    }
