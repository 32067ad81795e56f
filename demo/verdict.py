"""What a calibration says of an answer: is the nearest plausible, or probably nobody of this gallery? In words."""

from __future__ import annotations

from dataclasses import dataclass

from demo.calibration import NOBODY, PLAUSIBLE, UNCERTAIN, Strangers, Unfit
from demo.identify import Identification
from demo.query import kind_called
from demo.words import decimals, ordinal

_PROOF = "A distance says how alike two pictures are to this network; it does not prove who someone is."


@dataclass(frozen=True)
class Verdict:
    """word: PLAUSIBLE, UNCERTAIN or NOBODY, None where the answer was not compared with strangers. text: one sentence.
    detail: what was measured, or why nothing was."""

    word: str | None
    text: str
    detail: str


def verdict_of(found: Identification) -> Verdict:
    """How the best distance compares with how near strangers come in this gallery, or why it is not compared."""
    if not isinstance(found.strangers, Strangers):
        return _uncompared(found.strangers)
    best, strangers = found.ranking[0], found.strangers
    below, (low, high) = strangers.share_below(best.distance), strangers.range
    word = strangers.verdict(best.distance)
    text = {PLAUSIBLE: f"Nearer than strangers come: {best.identity} is a plausible match.",
            UNCERTAIN: "Uncertain: some strangers come as near as this.",
            NOBODY: "Farther than people are who are in the gallery, all but a few of them."}[word]
    near, far = strangers.limits
    return Verdict(word, text, (
        f"{strangers.source} Nine in ten of those nearest strangers lie between {decimals(low)} and {decimals(high)}; "
        f"{100 * below:.0f} % of them are nearer than {decimals(best.distance)}. A match is called plausible up to "
        f"{decimals(near)}, and nobody of this gallery beyond {decimals(far)}. {_PROOF}"))


def headline(found: Identification) -> str:
    """The answer in one or two sentences, distances to three decimals; first what the calibration says of it."""
    best = found.ranking[0]
    when = "after re-ranking" if found.stage2 else "by cosine distance"
    word = verdict_of(found).word
    if word == NOBODY:
        return f"Probably nobody in this gallery (nearest {when}: {best.identity} at {decimals(best.distance)})."
    other = next((match for match in found.ranking if match.identity != best.identity), None)
    text = "Uncertain. " if word == UNCERTAIN else ""
    text += f"Nearest {when}: {best.identity} at {decimals(best.distance)}"
    text += f"; next {other.identity} at {decimals(other.distance)}." if other else "."
    if found.stage2:
        before = next(match.rank for match in found.stage1 if match.identity == best.identity)
        text += " It was also first before re-ranking." if before == 1 else (
            f" Before re-ranking, the nearest photo of {best.identity} was {ordinal(before)}.")
    return text


def _uncompared(unfit: Unfit | None) -> Verdict:
    """Where how near strangers come is not known."""
    if unfit is not None and unfit.photo:
        return Verdict(None, "Not compared with strangers: this photo is unlike any that was measured.", unfit.reason)
    if unfit is None or unfit.asked is None:
        told = "Not compared with strangers: how near they come was not measured for these settings."
        return Verdict(None, told, unfit.reason if unfit else told)
    told = "Not compared with strangers: how near they come was not measured for photos altered like this."
    return Verdict(None, kind_called(unfit.asked).note or told,
                   f"{told} Their distances under other alterations would mislead.")
