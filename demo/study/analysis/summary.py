"""The study's results from its long table of answers, as plain JSON-able data: every number with its n."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from demo.study.analysis.inference import FLIPS, run_tests
from demo.study.analysis.measures import RESAMPLES, Resamples, describe_blocks, describe_condition
from demo.study.analysis.models import run_models
from demo.study.analysis.table import Answers, select_answers


def summarise(rows: pd.DataFrame | Iterable[Mapping], *, planned_n: int | None = None, seed: int = 0,
              peek: bool = False, include_preview: bool = False) -> dict:
    """Results of a study from the rows of ``responses_long.csv``.

    planned_n: complete participants that were planned; before they are there, "conditions" and "blocks" are empty,
    "tests" and "models" absent, and "hidden" says so, unless ``peek``, which marks the answer "preliminary" (looking
    early and stopping when a difference pleases finds differences that do not exist). None means that the data are
    final. seed: of bootstrap and permutations. include_preview: analyse participants of the preview and the pilot too,
    who never count towards the planned number.

    Returns "participants" and "answers" (analysed, and left out with reasons), "conditions" (see
    ``measures``; rates in percent, times in ms), "blocks" (accuracy by place in the order), "notes",
    "tests" (``inference``; differences in points) and "models" (``models``). Whatever cannot be
    given is None with a "reason" beside it. Raises BadStudy for a table that cannot be read.
    """
    answers = select_answers(rows, include_preview=include_preview)
    people = len(answers.people)
    resamples = Resamples(people, seed)
    early = planned_n is not None and answers.counted < planned_n
    hidden = early and not peek
    summary = {
        "participants": {"analysed": people, "planned": planned_n, "left_out": answers.left_out["participants"]},
        "answers": {"analysed": len(answers.frame), "left_out": answers.left_out["answers"]},
        "preliminary": early and peek, "notes": _notes(answers),
        "settings": {"seed": seed, "bootstrap_resamples": RESAMPLES, "permutations": FLIPS},
        "conditions": [] if hidden else [describe_condition(answers, condition, resamples)
                                         for condition in answers.conditions],
        "blocks": [] if hidden else describe_blocks(answers, resamples),
    }
    if include_preview:
        summary["notes"].append("Participants of the preview and the pilot are included; they do not count towards the "
                                "planned number.")
    if hidden:
        summary["hidden"] = (f"Means, tests and p-values stay hidden until the planned {planned_n} participants are "
                             f"complete; {answers.counted} {'is' if answers.counted == 1 else 'are'} so far.")
    elif people:
        summary["tests"] = run_tests(answers, seed)
        summary["models"] = run_models(answers)
    else:
        summary["hidden"] = "No participant is complete, so there is nothing to test."
    return summary


def _notes(answers: Answers) -> list[str]:
    """What a reader of the numbers must know about the design that produced them."""
    if len(answers.conditions) < 2:
        return []
    notes = []
    if (answers.frame.groupby("pair_id")["condition"].nunique() == 1).all():
        notes.append("Every pair was shown in one condition only: a difference between conditions may be a difference "
                     "between their pairs.")
    if (answers.frame.groupby("condition")["block"].nunique() == 1).all():
        notes.append("Everybody saw the conditions in the same order: a difference between conditions may be practice "
                     "or fatigue.")
    return notes
