"""What the pictures in the middle mean, for participants: one legend per condition, all about equally long, so that
no condition's page is built differently. No legend names its method."""

from __future__ import annotations

from demo.study import Stimuli
from demo.study.design.conditions import DECISION, UNEXPLAINED, described

#: Before the first of two answers.
LATER = "The two dark squares are empty for now. Decide by the photos alone; then answer again with an explanation."


def legend_of(stimuli: Stimuli, view: dict) -> str:
    """The legend of a trial's view, found by the picture that is shown, since a view does not name its condition."""
    if view["step"] < view["steps"]:
        return LATER
    panel = view["panels"][0]
    if panel == stimuli.neutral:
        return DECISION.legend if view["decision"] else UNEXPLAINED.legend
    shown = (one.condition for one in stimuli.renders if panel in (one.panel1, one.panel2))
    return described(next(shown, UNEXPLAINED.code)).legend
