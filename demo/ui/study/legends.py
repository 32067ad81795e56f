"""What the pictures in the middle mean, for participants: one legend per condition, all about equally long, so that
no condition's page is built differently. No legend names its method."""

from __future__ import annotations

from demo.study import Stimuli

#: Before the first of two answers.
LATER = "The two grey squares are empty for now. Decide by the photos alone; then answer again with an explanation."
_LIT = "Each photo again, lit by a computer: bright parts are those "
_ALIKE = _LIT + "it found most like the other face, dark parts least."
LEGENDS = {
    "none": "The two grey squares stay empty in this round: there is no explanation. Please decide by the photos only.",
    "cnn_cc": _ALIKE,
    "h2l_cc": _ALIKE,
    "h2l_attn": _LIT + "it looked at most while comparing, dark parts least.",
    "d_weights": _LIT + "that counted most while comparing, dark parts least.",
    "emd_flow": "Each photo rebuilt by a computer from the best matching pieces of the other face: bright pieces count "
                "most.",
}


def legend_of(stimuli: Stimuli, view: dict) -> str:
    """The legend of a trial's view, found by the picture that is shown, since a view does not name its condition."""
    if view["step"] < view["steps"]:
        return LATER
    panel = view["panels"][0]
    shown = next((one.condition for one in stimuli.renders if panel in (one.panel1, one.panel2)), "none")
    return LEGENDS.get(shown, _ALIKE)
