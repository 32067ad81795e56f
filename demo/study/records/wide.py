"""One row per participant, one column per measure and condition: what JASP, SPSS and spreadsheets want to read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from statistics import NormalDist, fmean, median

#: Measure → what it is.
MEASURES = {
    "accuracy": "Right answers in percent.",
    "hits": "\"Same\" to pairs of one person, in percent.",
    "false_alarms": "\"Same\" to pairs of two people, in percent.",
    "dprime": "Sensitivity d' with the log-linear correction.",
    "criterion": "Criterion c with the log-linear correction; below 0 leans towards \"same\".",
    "rt_ms": "Median time of right answers in milliseconds.",
    "confidence": "Mean confidence, 1 to 4.",
    "agreement": "Answers that are the model's, in percent.",
    "block": "Place of the condition in the participant's order, from 0.",
}


#: Of these, what tells nothing of the results.
_DESIGN = ("block",)


def wide_names(rows: Iterable[Mapping], *, hidden: bool = False) -> list[str]:
    """The columns for rows of the long table. hidden: those alone that tell nothing of the results."""
    return ["pid", *(column(measure, name) for measure in (_DESIGN if hidden else MEASURES)
                     for name in _conditions(rows))]


def column(measure: str, condition: str) -> str:
    """A name that SPSS takes: letters, digits and underscores."""
    return re.sub("[^A-Za-z0-9_]", "_", f"{measure}_{condition}")


def wide(rows: Iterable[Mapping]) -> list[dict]:
    """A row for every complete participant of the live study who is not excluded, from rows of the long table."""
    rows = [row for row in rows if row["phase"] == "main" and row["answer"]]
    people: dict[str, list[Mapping]] = {}
    for row in rows:
        if row["status"] == "completed" and not row["excluded"] and not row["is_preview"]:
            people.setdefault(row["pid"], []).append(row)
    names = _conditions(rows)
    return [{"pid": pid, **{column(measure, name): value for name in names for measure, value in _measured(
        [row for row in own if row["condition"] == name]).items()}} for pid, own in people.items()]


def _conditions(rows: Iterable[Mapping]) -> list[str]:
    return sorted({row["condition"] for row in rows if row["phase"] == "main"})


def _measured(own: list[Mapping]) -> dict[str, float | None]:
    if not own:
        return dict.fromkeys(MEASURES)
    same, different = ([row for row in own if row["same"] == one] for one in (1, 0))
    hits, alarms = (sum(row["answer"] == "same" for row in part) for part in (same, different))
    z = NormalDist().inv_cdf
    high, low = (z((count + 0.5) / (len(part) + 1)) for count, part in ((hits, same), (alarms, different)))
    times = [row["rt_ms"] for row in own if row["correct"] and row["rt_ms"] is not None]
    sure = [row["confidence"] for row in own if row["confidence"] is not None]
    agreed = [row["agree"] for row in own if row["agree"] is not None]
    return {"accuracy": 100 * fmean(row["correct"] for row in own),
            "hits": 100 * hits / len(same) if same else None,
            "false_alarms": 100 * alarms / len(different) if different else None,
            "dprime": high - low, "criterion": -(high + low) / 2, "rt_ms": median(times) if times else None,
            "confidence": fmean(sure) if sure else None, "agreement": 100 * fmean(agreed) if agreed else None,
            "block": own[0]["block"]}
