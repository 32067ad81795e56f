"""What may stand in the middle of a pair: nothing, or an explanation that ``demo.explain`` offers as a condition.

The table is read anew each time; nobody holds a list of their own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from reprlib import repr as brief

from demo.errors import BadStudy
from demo.explain import EXPLANATIONS, Condition, Explanation
from demo.methods import DEFAULT

#: The one condition without an explanation.
UNEXPLAINED = Condition(
    "none", "No explanation", "No explanation",
    "The two dark squares stay empty in this round: there is no explanation. Please decide by the photos only.", 0)
#: The conditions of the published study (WACV 2024), in its order.
PAPER = (UNEXPLAINED.code, "cnn_cc", "h2l_cc", "emd_flow")
#: What a condition's code ends with where the model's decision is shown too, and the condition of the decision alone.
DECIDED = "+decision"
DECISION = Condition(
    "decision", "The decision alone", "Decision",
    "The two dark squares stay empty in this round: there is no explanation. A computer's answer stands below them.", 1)
#: Of a condition that this version does not know, such as one of an older study.
_UNKNOWN = "Each photo again, as a computer explains it: the pictures show what it found while comparing the two faces."


def conditions() -> dict[str, Condition]:
    """Code → condition, in the order of tables and figures."""
    explained = [one.condition for one in EXPLANATIONS.values() if one.condition]
    alone = [UNEXPLAINED, *sorted(explained, key=lambda one: one.place)]
    decided = [replace(one, code=one.code + DECIDED, title=f"{one.title}, and the decision",
                       label=f"{one.label} + decision") for one in alone[1:]]
    return {one.code: one for one in (*alone, DECISION, *decided)}


def reference(chosen: Iterable[str]) -> str:
    """Of a study's conditions, the one that all others are compared with: UNEXPLAINED, or the first of the table."""
    known = list(conditions())
    return min(chosen, key=lambda code: (known.index(code) if code in known else len(known), code))


def shows_decision(code: str) -> bool:
    """Whether participants are told what the model decides."""
    return code == DECISION.code or code.endswith(DECIDED)


def method_of(code: str) -> str | None:
    """Word of the method whose decision belongs to a condition; None for UNEXPLAINED."""
    explanation = explanation_of(code)
    return explanation.method if explanation else DEFAULT.word if code == DECISION.code else None


def explanation_of(code: str) -> Explanation | None:
    """What a condition explains; None for UNEXPLAINED and DECISION. BadStudy for an unknown code."""
    if code not in conditions():
        plain = [one for one in conditions() if not one.endswith(DECIDED)]
        raise BadStudy(f"There is no condition {brief(code)}: choose from {', '.join(plain)}; {DECIDED} behind an "
                       "explanation shows the model's decision with it.")
    plain = code.removesuffix(DECIDED)
    return next((one for one in EXPLANATIONS.values() if one.condition and one.condition.code == plain), None)


def described(code: str) -> Condition:
    """A condition by its code, also one that this version does not know."""
    return conditions().get(code) or Condition(code, code, code, _UNKNOWN)


def label(code: str) -> str:
    """The name of a condition for a figure or a page."""
    return described(code).label
