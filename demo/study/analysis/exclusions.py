"""Who might have to be excluded, by the rule declared in the configuration before the study opened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd
from scipy.stats import binom

from demo.study.analysis.table import read_table
from demo.study.design.cells import longest_run
from demo.study.design.config import CLOCK_TOLERANCE_MS, Exclusion

#: Of fewer practice pairs and checks, guessing cannot be told from bad luck.
FEWEST_CLEAR = 8


def exclusion_candidates(rows: pd.DataFrame | Iterable[Mapping], rule: Exclusion | None = None) -> list[dict]:
    """Participants who break ``rule`` (None = its defaults), in the order of their pids: {"pid", "excluded" (already so
    by the operator), "reasons": sentences with the count and the limit}. Preview participants are no candidates.

    Speed is judged on test pairs, by what the server saw where a page's time is longer than is possible; runs of one
    answer on test pairs and attention checks in the order answered, guessing on practice pairs and checks.
    """
    rule = rule or Exclusion()
    table = read_table(rows)
    table = table[table["answer"].isin(["same", "diff"]) & (table["is_preview"] != 1)]
    found = []
    for pid, own in table.groupby("pid", sort=True):
        reasons = _reasons(own.sort_values(["block", "pos"], kind="stable"), rule)
        if reasons:
            found.append({"pid": pid, "excluded": bool((own["excluded"] == 1).any()), "reasons": reasons})
    return found


def _reasons(own: pd.DataFrame, rule: Exclusion) -> list[str]:
    main, checks = own[own["phase"] == "main"], own[own["phase"] == "attn"]
    took = main["rt_ms"].mask(main["rt_ms"] > main["rt_server_ms"] + CLOCK_TOLERANCE_MS, main["rt_server_ms"])
    fast, slow = int((took < rule.fast_ms).sum()), int((took > rule.slow_ms).sum())
    run = longest_run(own.loc[own["phase"] != "train", "answer"].tolist())
    failed = int(((checks["answer"] == "same") != (checks["same"] == 1)).sum())
    clear = own[own["phase"] != "main"]
    right = int(((clear["answer"] == "same") == (clear["same"] == 1)).sum())
    guessed = int(binom.ppf(rule.guessing_percent / 100, len(clear), 0.5)) if rule.guessing_percent else -1
    reasons = []
    if fast >= rule.fast_trials:
        reasons.append(f"{fast} answers faster than {rule.fast_ms} ms (limit {rule.fast_trials})")
    if slow >= rule.slow_trials:
        reasons.append(f"{slow} answers slower than {rule.slow_ms / 1000:g} s (limit {rule.slow_trials})")
    if run > rule.same_answer_run:
        reasons.append(f"{run} equal answers in a row (limit {rule.same_answer_run})")
    if failed >= rule.attention_failed:
        reasons.append(f"{failed} of {len(checks)} attention checks failed (limit {rule.attention_failed})")
    if len(clear) >= FEWEST_CLEAR and right <= guessed:
        reasons.append(f"{right} of {len(clear)} clear cases (practice and checks) right, as by tossing a coin "
                       f"(limit {guessed})")
    return reasons


def told(rule: Exclusion) -> list[str]:
    """The rule in words, a line for each of its reasons."""
    lines = [f"{rule.fast_trials} or more test answers under {rule.fast_ms} ms (as the server saw it, where the "
             "page's time is longer than is possible)",
             f"{rule.slow_trials} or more over {rule.slow_ms / 1000:g} s",
             f"more than {rule.same_answer_run} equal answers in a row",
             f"{rule.attention_failed} or more failed attention checks"]
    if rule.guessing_percent:
        lines.append("no more right among practice pairs and checks, which are clear cases, than a coin reaches in "
                     f"{rule.guessing_percent} of 100 tries")
    return lines
