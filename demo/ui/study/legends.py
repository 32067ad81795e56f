"""What the pictures in the middle mean, for participants: one legend per condition, all about equally long, so that
no condition's page is built differently. No legend names its method."""

from __future__ import annotations

from demo.study import Stimuli
from demo.study.design.conditions import DECIDED, DECISION, UNEXPLAINED, described


def legend_of(stimuli: Stimuli, view: dict, texts: dict[str, str]) -> str:
    """The legend of a trial's view, found by the picture that is shown, since a view does not name its condition; in
    the study's language, or as the explanation itself tells it."""
    if view["step"] < view["steps"]:
        return texts["legend.later"]
    panel = view["panels"][0]
    if panel == stimuli.neutral:
        code = DECISION.code if view["decision"] else UNEXPLAINED.code
    else:
        shown = (one.condition for one in stimuli.renders if panel in (one.panel1, one.panel2))
        code = next(shown, UNEXPLAINED.code).removesuffix(DECIDED)
    return texts.get(f"legend.{code}") or described(code).legend
