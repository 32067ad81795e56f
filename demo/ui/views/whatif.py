"""What a change makes of a match, as the page shows it: plain values for the Board. No gradio here."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from demo.errors import BadSetting
from demo.explain import EXPLANATIONS, Flows, Pair, explain, face_maps, flow_picture, paired_heat
from demo.ui.views.board import TOP, Result, heat_url, photo_value
from demo.whatif import DrawnMask, Edit, Hidden, Outcome

#: More than any question of a page names: the finest grids have 256 patches.
_MOST = 1024


def edit_of(sent: Any) -> Edit:
    """What a page sends as a change: {"query": {"covered": [...], "blurred": [...]}, "candidate": {...}, "mask": null
    or [right, down], "forced": [[patch, patch], ...]}. BadSetting for anything else."""
    if not isinstance(sent, Mapping):
        raise BadSetting("A change must be an object.")
    mask = sent.get("mask")
    if mask is not None and not (isinstance(mask, list) and len(mask) == 2 and all(map(_is_number, mask))):
        raise BadSetting("The place of a mask must be two numbers.")
    forced = sent.get("forced") or []
    if not isinstance(forced, list) or len(forced) > _MOST or not all(len(_patches(pair)) == 2 for pair in forced):
        raise BadSetting("Patches are forced in pairs.")
    return Edit(_hidden(sent.get("query")), _hidden(sent.get("candidate")),
                None if mask is None else (float(mask[0]), float(mask[1])),
                tuple((first, second) for first, second in map(_patches, forced)))


def outcome_value(result: Result, row: int, edit: Edit, word: str, number: int, alpha: float | None = None) -> dict:
    """The answer to one question, in every ranking. word: of the explanation that is drawn. number: of the question,
    sent back. alpha: share of the first ranking's distance that the page shows, None = the one that was asked for."""
    outcomes = {method: one.ask(row, edit) for method, one in result.what_ifs.items()}
    outcome, *_ = outcomes.values()
    nearest = [_nearest(each, result.what_ifs[method].alpha if alpha is None or each is not outcome else alpha)
               for method, each in outcomes.items()]
    shown = [one for rows in (_nearest(outcome, 0.0), *nearest) for one in rows[:TOP]]
    unseen = [one for one in dict.fromkeys(shown) if one not in result.shown_rows]
    mask = result.what_if.mask if edit.mask is not None else None
    return {
        "kind": "outcome", "result": result.token, "row": row, "number": number, "of": len(outcome.cosines),
        "unforced": outcome.unforced, "first": list(outcome.cosines.items()),
        "second": {method: list(each.patches.items()) for method, each in outcomes.items() if each.patches},
        "thumbs": {str(one): photo_value(result.crop(one)) for one in unseen},
        "crops": [photo_value(crop) for crop in outcome.crops], "reason": reason_picture(result, row, outcome, word),
        "mask": None if mask is None else {"bare": photo_value(mask.bare), "cloth": _cloth(mask)},
    }


def map_value(result: Result, row: int, edit: Edit, word: str, number: int) -> dict:
    """The map alone, of an explanation that takes longer than the numbers."""
    return {"kind": "map", "result": result.token, "row": row, "number": number,
            "reason": reason_picture(result, row, result.what_if.ask(row, edit), word)}


def played_value(result: Result, row: int, word: str, alpha: float | None = None) -> dict:
    """Patches hidden in the order of an explanation, beside random orders, as the page plays it. alpha: as
    ``outcome_value`` has it."""
    if word not in EXPLANATIONS:
        raise BadSetting(f"Unknown explanation {word!r}.")
    match = next(match for match in result.found.ranking if match.row == row)
    named = EXPLANATIONS[word].importances(result.pair(match))
    patches = int(np.prod(result.what_if.grid))
    values = next((one.values for one in named if len(one.values) == patches), None)
    if values is None:
        raise BadSetting("This explanation names no order of the patches.")
    order = np.argsort(-np.asarray(values, float), kind="stable")
    played = result.what_if.play(row, order.tolist(), alpha=alpha)
    return {
        "kind": "played", "result": result.token, "row": row, "title": EXPLANATIONS[word].title,
        "order": list(played.order), "shares": played.shares.tolist(), "named": played.named.tolist(),
        "random": played.random.mean(0).tolist(), "crops": [photo_value(crop) for crop in played.crops],
    }


def reason_picture(result: Result, row: int, outcome: Outcome, word: str) -> str | None:
    """The explanation drawn on the query as it is now; None where it cannot be."""
    if word not in EXPLANATIONS:
        return None
    found, identifier = result.found, result.identifier
    known = {found.matching.method: outcome.evidence} if outcome.evidence is not None else {}
    titles = "Query", identifier.gallery.entries[row].identity
    pair = Pair(outcome.crops, outcome.features, identifier.method, found.matching, titles, known=known)
    if EXPLANATIONS[word].unavailable(pair):
        return None
    shown = explain(pair, word)[word]
    if isinstance(shown, Flows):
        return heat_url(flow_picture(pair.crops[1], shown.flow, shown.grid, dim=False))
    maps = face_maps(shown)
    return None if maps is None else heat_url(paired_heat(*pair.crops, maps, colormap=result.colormap)[0])


def _nearest(outcome: Outcome, alpha: float) -> list[int]:
    """The rows, nearest first."""
    cosines, patches = outcome.cosines, outcome.patches or outcome.cosines
    return sorted(cosines, key=lambda row: alpha * patches[row] + (1 - alpha) * cosines[row])


def _cloth(mask: DrawnMask) -> str:
    """The mask alone, with what it does not cover transparent."""
    alpha = np.rint(255 * mask.alpha).astype(np.uint8)[..., None]
    _, data = cv2.imencode(".png", np.concatenate([mask.picture[..., ::-1], alpha], 2))
    return "data:image/png;base64," + base64.b64encode(data.tobytes()).decode()


def _hidden(sent: Any) -> Hidden:
    sent = sent if isinstance(sent, Mapping) else {}
    return Hidden(_patches(sent.get("covered")), _patches(sent.get("blurred")))


def _patches(sent: Any) -> tuple[int, ...]:
    if sent is None:
        return ()
    if not isinstance(sent, list) or len(sent) > _MOST or not all(type(one) is int for one in sent):
        raise BadSetting("Patches must be a list of whole numbers.")
    return tuple(sent)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
