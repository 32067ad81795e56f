"""Regression models of single answers: who answered, which pair, which condition, and in which block."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from scipy.stats import norm
from statsmodels.genmod.cov_struct import Exchangeable
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_estimating_equations import GEE
from statsmodels.stats.multitest import multipletests

from demo.study.analysis.glmm import fit_logistic
from demo.study.analysis.inference import FEWEST
from demo.study.analysis.reml import fit_crossed
from demo.study.analysis.table import Answers

#: Response times outside are slips of the hand or of attention, ms.
RT_RANGE = (200.0, 60_000.0)
_BLOCK = "block"
#: Terms of the models that are no condition, for a table.
TERMS = {"intercept": "Intercept", _BLOCK: "Each later block"}


def run_models(answers: Answers) -> dict:
    """The primary model of being right, its frequentist check, and the model of response time."""
    return {"logistic_mixed": logistic_mixed(answers), "gee": gee(answers), "log_rt": log_rt(answers)}


def design_matrix(rows: pd.DataFrame, conditions: tuple[str, ...]) -> tuple[np.ndarray, list[str]]:
    """(n, p) fixed effects and their names: an intercept (the first condition, middle block), one column per other
    condition, and the block's place in the order (per block, centred) unless order and condition go together."""
    columns, names = [np.ones(len(rows))], ["intercept"]
    for condition in conditions[1:]:
        columns.append((rows["condition"] == condition).to_numpy(float))
        names.append(condition)
    block = rows["block"].to_numpy(float)
    if np.isfinite(block).all():
        with_block = np.stack([*columns, block - (block.max() + block.min()) / 2], axis=1)
        if np.linalg.matrix_rank(with_block) == with_block.shape[1]:
            return with_block, [*names, _BLOCK]
    return np.stack(columns, axis=1), names


def logistic_mixed(answers: Answers) -> dict:
    """Logistic regression of being right with crossed random intercepts of participant and pair, by maximum likelihood
    with Laplace's approximation (``glmm``). Odds ratios with 95% confidence intervals and two-sided p by Wald; how
    often such intervals hold the truth stands in docs/study.md."""
    rows, reason = answers.frame, _too_small(answers)
    if reason:
        return _no_model(answers, reason)
    fixed, names = design_matrix(rows, answers.conditions)
    fit = fit_logistic(rows["correct"].to_numpy(float), fixed,
                       [pd.factorize(rows[name], sort=True)[0] for name in ("person", "pair_id")])
    if not fit.converged:
        return _no_model(answers, "the mixed model did not converge on these answers")
    result = _result(answers, "odds_ratio", names, fit.coefficients, fit.errors)
    result["participant_sd"], result["pair_sd"] = fit.sds
    compared = [term for term in result["terms"] if term["term"] in answers.conditions]
    for term, p in zip(compared, np.asarray(multipletests([term["p"] for term in compared], method="holm")[1]),
                       strict=True):
        term["p_holm"] = float(p)
    return result


def gee(answers: Answers) -> dict:
    """Population-averaged logistic regression: GEE, exchangeable within a participant, with the small-sample covariance
    of Mancl and DeRouen ("bias_reduced"). Odds ratios with 95% confidence intervals and two-sided p."""
    rows, reason = answers.frame, _too_small(answers)
    shares = rows.groupby("condition")["correct"].mean()
    if not reason and shares.isin([0.0, 1.0]).any():
        reason = "in one condition every answer is right, or every one is wrong, so it has no odds ratio"
    if reason:
        return _no_model(answers, reason)
    fixed, names = design_matrix(rows, answers.conditions)
    model = GEE(rows["correct"].to_numpy(float), fixed, groups=rows["person"].to_numpy(), family=Binomial(),
                cov_struct=Exchangeable())
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        fit = model.fit(cov_type="bias_reduced")
    if fit is None or said or not np.isfinite(fit.bse).all():
        return _no_model(answers, "the estimating equations did not converge on these answers")
    return _result(answers, "odds_ratio", names, fit.params, fit.bse) | {
        "correlation": float(np.asarray(model.cov_struct.dep_params))}


def log_rt(answers: Answers) -> dict:
    """Linear mixed model of log response time on correct answers between 200 ms and 60 s, with crossed random
    intercepts of participant and pair (REML). exp(coefficient) is a ratio of times."""
    reason = _too_small(answers)
    rows = answers.frame
    rows = rows[rows["correct"] & rows["rt_ms"].between(*RT_RANGE)]
    if not reason and (rows["person"].nunique() < FEWEST or set(rows["condition"]) != set(answers.conditions)):
        reason = f"it needs correct answers between 200 ms and 60 s of {FEWEST} participants in every condition"
    if not reason and rows["rt_ms"].nunique() < 2:
        reason = "all response times are equal"
    if reason:
        return _no_model(answers, reason)
    fixed, names = design_matrix(rows, answers.conditions)
    fit = fit_crossed(np.log(rows["rt_ms"].to_numpy()), fixed,
                      [pd.factorize(rows[name], sort=True)[0] for name in ("person", "pair_id")])
    if not fit.converged:
        return _no_model(answers, "the model of response times did not converge on these answers")
    result = _result(answers, "time_ratio", names, fit.coefficients, fit.errors) | {"answers": len(rows)}
    result["participant_sd"], result["pair_sd"] = fit.sds
    return result | {"residual_sd": fit.residual_sd}


def _too_small(answers: Answers) -> str | None:
    if len(answers.people) < FEWEST:
        return f"the model needs {FEWEST} participants"
    if len(answers.conditions) < 2:
        return "the model needs two conditions"
    if answers.frame["correct"].nunique() < 2:
        return "all answers are right, or all are wrong"
    return None


def _no_model(answers: Answers, reason: str) -> dict:
    return {"terms": None, "participants": len(answers.people), "answers": len(answers.frame), "reason": reason}


def _result(answers: Answers, ratio: str, names: list[str], means, errors) -> dict:
    terms = []
    for name, mean, error in zip(names, np.asarray(means, float), np.asarray(errors, float), strict=True):
        term = {"term": name, "coefficient": float(mean), "se": float(error), ratio: float(np.exp(mean)),
                "ci": [float(np.exp(mean - 1.96 * error)), float(np.exp(mean + 1.96 * error))],
                "p": float(2 * norm.sf(abs(mean / error)))}
        terms.append(term)
    return {"terms": terms, "reference": answers.conditions[0], "participants": len(answers.people),
            "answers": len(answers.frame)}
