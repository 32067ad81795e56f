"""Do the conditions differ? Tests on participants' accuracies that assume no distribution (docs/method.md)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.contingency_tables import cochrans_q, mcnemar
from statsmodels.stats.multitest import multipletests

from demo.study.analysis.measures import best_constant, per_person, t_interval
from demo.study.analysis.table import Answers

FLIPS = 10_000
#: With five participants no two-sided sign-flip test can reach .05 (2 of 32 flips are at least as extreme).
FEWEST = 6
#: Differences of shares closer than this are ties (rounding of sums of fifteenths).
_TIE = 1e-9


def accuracy_matrix(answers: Answers) -> np.ndarray:
    """Participants' accuracies in percent, (participants, conditions)."""
    return _matrix(answers, lambda rows, people: per_person(rows, rows["correct"], people))


def _matrix(answers: Answers, measure: Callable[[pd.DataFrame, int], np.ndarray]) -> np.ndarray:
    """A measure of each participant in each condition, (participants, conditions)."""
    by_condition = dict(tuple(answers.frame.groupby("condition")))
    return np.stack([measure(by_condition[name], len(answers.people)) for name in answers.conditions], axis=1)


def sign_flip(differences: np.ndarray, generator: np.random.Generator, flips: int = FLIPS) -> dict:
    """Two-sided sign-flip permutation test that paired differences (n,) are symmetric about 0; statistic |mean|.

    All 2^n sign patterns where these are no more than ``flips`` ("exact"), else that many random ones with
    p = (1 + as extreme) / (1 + flips) (Phipson & Smyth 2010).
    """
    n = len(differences)
    exact = 2**n <= flips
    if exact:
        signs = 1.0 - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
    else:
        signs = generator.integers(0, 2, (flips, n)) * 2.0 - 1
    extreme = int((np.abs(signs @ differences) >= abs(differences.sum()) - _TIE).sum())
    return {"p": extreme / 2**n if exact else (1 + extreme) / (1 + flips), "exact": exact, "flips": len(signs)}


def rank_biserial(differences: np.ndarray) -> float | None:
    """Matched-pairs rank-biserial correlation (Kerby 2014): (favourable - unfavourable ranks) / all ranks of the
    differences other than 0, from -1 to 1; None where there is none."""
    changed = differences[np.abs(differences) > _TIE]
    if not len(changed):
        return None
    ranks = stats.rankdata(np.round(np.abs(changed), 9))
    return float((ranks * np.sign(changed)).sum() / ranks.sum())


def run_tests(answers: Answers, seed: int) -> dict:
    """The omnibus test, all pairs of conditions and every condition against chance; where the same pairs were judged
    in every condition (the paper's own design), Cochran's Q and McNemar's tests besides."""
    accuracies = accuracy_matrix(answers)
    generator = np.random.default_rng(seed)
    tests = {"omnibus": friedman(accuracies), "pairs": _pairs(answers, accuracies, generator),
             "chance": _against_chance(answers, accuracies, generator)}
    if same_pairs_throughout(answers):
        tests["same_pairs"] = _same_pairs(answers)
    return tests


def friedman(accuracies: np.ndarray) -> dict:
    """Friedman's test and Kendall's W = chi2 / (n (k - 1)) on (participants, conditions)."""
    n, count = accuracies.shape
    if n < FEWEST:
        return _untested(n, f"Friedman's test needs {FEWEST} participants")
    if count < 3:
        return _untested(n, "Friedman's test needs three conditions")
    ranked = np.round(accuracies, 9)
    if (ranked == ranked[:, :1]).all():
        return _untested(n, "every participant scored the same in all conditions")
    chi2, p = stats.friedmanchisquare(*ranked.T)
    return {"statistic": float(chi2), "df": count - 1, "p": float(p), "kendall_w": float(chi2 / (n * (count - 1))),
            "n": n}


def same_pairs_throughout(answers: Answers) -> bool:
    """Whether every participant judged one and the same set of pairs in each of several conditions, once each."""
    frame = answers.frame
    if len(answers.conditions) < 2:
        return False
    seen = frame.groupby(["person", "pair_id"])["condition"].agg(["nunique", "size"])
    return bool((seen == len(answers.conditions)).all(axis=None))


def _pairs(answers: Answers, accuracies: np.ndarray, generator: np.random.Generator) -> list[dict]:
    found = []
    for a, b in combinations(range(len(answers.conditions)), 2):
        result = _one_sample(accuracies[:, b] - accuracies[:, a], generator)
        found.append({"a": answers.conditions[a], "b": answers.conditions[b], **result,
                      "rank_biserial": rank_biserial(accuracies[:, b] - accuracies[:, a])})
    return _with_holm(found)


def _against_chance(answers: Answers, accuracies: np.ndarray, generator: np.random.Generator) -> list[dict]:
    chance = _matrix(answers, best_constant)
    found = []
    for at, condition in enumerate(answers.conditions):
        found.append({"condition": condition, "chance": float(chance[:, at].mean()),
                      **_one_sample(accuracies[:, at] - chance[:, at], generator)})
    return _with_holm(found)


def _one_sample(differences: np.ndarray, generator: np.random.Generator) -> dict:
    """Mean difference in points with its t interval, and the sign-flip test of it."""
    n = len(differences)
    result = {"difference": float(differences.mean()), "ci": t_interval(differences) if n > 1 else None, "n": n}
    if n < FEWEST:
        return result | _untested(n, f"a sign-flip test needs {FEWEST} participants")
    return result | sign_flip(differences, generator)


def _with_holm(tests: list[dict]) -> list[dict]:
    """Holm's step-down correction over the tests that were made."""
    made = [test for test in tests if test["p"] is not None]
    if made:
        corrected = np.asarray(multipletests([test["p"] for test in made], method="holm")[1])
        for test, p in zip(made, corrected, strict=True):
            test["p_holm"] = float(p)
    return tests


def _untested(n: int, reason: str) -> dict:
    return {"p": None, "n": n, "reason": reason}


def _same_pairs(answers: Answers) -> dict:
    """Cochran's Q over conditions and McNemar's exact test for each two, on (participant, pair) rows."""
    table = answers.frame.pivot(index=["person", "pair_id"], columns="condition", values="correct")
    table = table[list(answers.conditions)].to_numpy(int)
    if (table == table[:, :1]).all():
        return {"cochran_q": _untested(len(table), "no answer changed between conditions"), "mcnemar": []}
    q: Any = cochrans_q(table)
    mcnemars = []
    for a, b in combinations(range(table.shape[1]), 2):
        gained = int(((table[:, a] == 0) & (table[:, b] == 1)).sum())
        lost = int(((table[:, a] == 1) & (table[:, b] == 0)).sum())
        test: Any = mcnemar([[0, gained], [lost, 0]], exact=True) if gained + lost else None
        mcnemars.append({"a": answers.conditions[a], "b": answers.conditions[b], "gained": gained, "lost": lost,
                         "n": len(table), "p": 1.0 if test is None else float(test.pvalue)})
    return {"cochran_q": {"statistic": float(q.statistic), "df": int(q.df), "p": float(q.pvalue), "n": len(table)},
            "mcnemar": _with_holm(mcnemars)}
