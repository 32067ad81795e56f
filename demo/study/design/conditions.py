"""What may stand in the middle of a pair: nothing, or an explanation that ``demo.explain`` offers as a condition.

The table is read anew each time; nobody holds a list of their own."""

from __future__ import annotations

from demo.errors import BadStudy
from demo.explain import EXPLANATIONS, Condition, Explanation

#: The one condition without an explanation.
UNEXPLAINED = Condition(
    "none", "No explanation", "No explanation",
    "The two grey squares stay empty in this round: there is no explanation. Please decide by the photos only.", 0)
#: The conditions of the published study (WACV 2024), in its order.
PAPER = (UNEXPLAINED.code, "cnn_cc", "h2l_cc", "emd_flow")
#: Of a condition that this version does not know, such as one of an older study.
_UNKNOWN = "Each photo again, as a computer explains it: the pictures show what it found while comparing the two faces."


def conditions() -> dict[str, Condition]:
    """Code → condition, in the order of tables and figures."""
    explained = [one.condition for one in EXPLANATIONS.values() if one.condition]
    return {one.code: one for one in (UNEXPLAINED, *sorted(explained, key=lambda one: one.place))}


def explanation_of(code: str) -> Explanation | None:
    """What a condition explains; None for UNEXPLAINED. BadStudy for an unknown code."""
    if code not in conditions():
        raise BadStudy(f"There is no condition {code!r}: choose from {', '.join(conditions())}.")
    return next((one for one in EXPLANATIONS.values() if one.condition and one.condition.code == code), None)


def described(code: str) -> Condition:
    """A condition by its code, also one that this version does not know."""
    return conditions().get(code) or Condition(code, code, code, _UNKNOWN)


def label(code: str) -> str:
    """The name of a condition for a figure or a page."""
    return described(code).label
