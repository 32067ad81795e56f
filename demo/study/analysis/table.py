"""The long table of answers (``responses_long.csv``) made ready for analysis: what counts, what does not, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from demo.errors import BadStudy
from demo.study.design.conditions import conditions

_NEEDED = ("pid", "phase", "condition", "pair_id", "same", "answer")
_NUMBERS = ("block", "pos", "same", "correct", "confidence", "rt_ms", "rt_server_ms", "model_pred", "switched",
            "excluded", "is_preview")
_LEFT_OUT_PHASES = {"train": "training pairs", "attn": "attention checks"}


@dataclass(frozen=True)
class Answers:
    """What is analysed, and what is not.

    frame: one row per analysed answer with the columns person (0 to n - 1), condition, pair_id, block (0 is the first),
    same, said_same, correct, follows and model_right (these two NaN where no model decision is known), confidence,
    rt_ms, occlusion, switched and first_same (two-step mode: the second answer differs; the first answer was "same";
    NaN otherwise). people: pids, where person is the place in the list. counted: how many of them are of the live
    study, which alone count towards the planned number. conditions: in the order of the papers.
    left_out: {"participants": {reason: n}, "answers": {reason: n}}.
    """

    frame: pd.DataFrame
    people: tuple[str, ...]
    counted: int
    conditions: tuple[str, ...]
    left_out: dict[str, dict[str, int]]


def read_table(rows: pd.DataFrame | Iterable[Mapping]) -> pd.DataFrame:
    """The rows with numbers as numbers and empty cells as NaN, whether they come from a store or from a CSV file.

    Raises BadStudy for a table that lacks a column, holds a word where a number belongs, or mixes two studies.
    """
    frame = rows.copy() if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
    if frame.empty:
        return pd.DataFrame({name: [] for name in (*_NEEDED, *_NUMBERS)})
    lacking = [name for name in _NEEDED if name not in frame]
    if lacking:
        raise BadStudy(f"The table of answers has no column {lacking[0]!r}: give an export's responses_long.csv.")
    if "study_id" in frame and frame["study_id"].nunique() > 1:
        raise BadStudy("The table holds answers of more than one study; analyse one study at a time.")
    for name in _NUMBERS:
        cells = frame[name] if name in frame else pd.Series(np.nan, index=frame.index)
        try:
            frame[name] = pd.to_numeric(cells.replace({"": np.nan, "True": 1, "False": 0})).astype(float)
        except (ValueError, TypeError):
            raise BadStudy(f"Column {name!r} of the table of answers holds something that is not a number.") from None
    return frame.reset_index(drop=True)


def select_answers(rows: pd.DataFrame | Iterable[Mapping], *, include_preview: bool = False) -> Answers:
    """The main answers of complete participants who are not excluded, nor of a preview or pilot unless asked for.

    Complete is what the column ``status`` calls "completed" (or "excluded", who are left out for that reason); in
    a table without it, whoever answered as many main pairs of every condition as the one who answered most.
    Raises BadStudy for an answer other than "same" or "diff", or a column ``correct`` that contradicts the answer.
    """
    table = read_table(rows)
    answered = table["answer"].notna() & (table["answer"] != "")
    reasons = _why_left_out(table, include_preview)
    of_others = table["pid"].isin(reasons)
    main = table["phase"] == "main"
    kept = table[main & answered & ~of_others]
    why = np.select([of_others, ~main, ~answered], ["of participants left out", table["phase"], "time ran out"], "")
    left_out = {"participants": _count(reasons.values()),
                "answers": _count(_LEFT_OUT_PHASES.get(reason, reason) for reason in why if reason)}
    counted = kept.loc[kept["is_preview"] != 1, "pid"].nunique()
    return Answers(_derive(kept), tuple(sorted(kept["pid"].unique())), counted, _in_order(kept["condition"].unique()),
                   left_out)


def _why_left_out(table: pd.DataFrame, include_preview: bool) -> dict[str, str]:
    """pid → the first reason that applies, for every participant who is not analysed."""
    by_person = table.groupby("pid")
    preview, excluded = by_person["is_preview"].max() == 1, by_person["excluded"].max() == 1
    if "status" in table:
        status = by_person["status"].first()
        excluded |= status == "excluded"
        complete = status == "completed"
    else:
        counts = table[table["phase"] == "main"].groupby(["pid", "condition"]).size().unstack(fill_value=0)
        complete = (counts == counts.max()).all(axis=1).reindex(preview.index, fill_value=False)
    reasons = {}
    for pid in preview.index:
        if preview[pid] and not include_preview:
            reasons[pid] = "preview or pilot"
        elif excluded[pid]:
            reasons[pid] = "excluded by the operator"
        elif not complete[pid]:
            reasons[pid] = "incomplete"
    return reasons


def _derive(main: pd.DataFrame) -> pd.DataFrame:
    wrong_word = main[~main["answer"].isin(["same", "diff"])]
    if len(wrong_word):
        raise BadStudy(f"The answer {wrong_word['answer'].iloc[0]!r} is neither 'same' nor 'diff'.")
    if main["same"].isna().any():
        raise BadStudy("Column 'same' of the table of answers is empty in places; give the whole export.")
    said, same = main["answer"] == "same", main["same"] == 1
    correct = said == same
    stated = main["correct"].notna()
    if (correct[stated] != (main["correct"][stated] == 1)).any():
        raise BadStudy("Column 'correct' contradicts the answers in the table; was the file edited?")
    known = main["model_pred"].notna()
    predicted = main["model_pred"] == 1
    return pd.DataFrame({
        "person": pd.Categorical(main["pid"], categories=sorted(main["pid"].unique())).codes.astype(int),
        "condition": main["condition"], "pair_id": main["pair_id"], "block": main["block"] - main["block"].min(),
        "same": same, "said_same": said, "correct": correct,
        "follows": (said == predicted).astype(float).where(known),
        "model_right": (predicted == same).astype(float).where(known),
        "confidence": main["confidence"], "rt_ms": main["rt_ms"], "occlusion": _occlusion(main),
        "switched": main["switched"], "first_same": _first(main),
    }).reset_index(drop=True)


def _first(main: pd.DataFrame) -> pd.Series:
    """1 where the answer before the explanation was "same", 0 where "diff", NaN where there was none."""
    given = main["first_answer"] if "first_answer" in main else pd.Series(None, index=main.index, dtype=object)
    return (given == "same").astype(float).where(given.isin(["same", "diff"]))


def _occlusion(main: pd.DataFrame) -> list[str]:
    """What covers the two faces, in one word per pair: "none", "mask", "glasses", "glasses + mask"."""
    sides = [main[name].fillna("none") if name in main else pd.Series("none", index=main.index)
             for name in ("occl1", "occl2")]
    return [" + ".join(sorted({str(side) for side in pair} - {"none", ""})) or "none"
            for pair in zip(*sides, strict=True)]


def _in_order(found: Iterable[str]) -> tuple[str, ...]:
    """Conditions as tables and figures show them; those that this version does not know follow by name."""
    known = [name for name in conditions() if name in set(found)]
    return (*known, *sorted(set(found) - set(known)))


def _count(reasons) -> dict[str, int]:
    counts: dict[str, int] = {}
    for reason in reasons:
        counts[reason] = counts.get(reason, 0) + 1
    return dict(sorted(counts.items()))
