"""The study's primary model against quadrature, the coverage of its intervals, and what may be called reliance."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.special import expit, roots_hermitenorm
from study_tables import simulate_rows

from demo.study.analysis.coverage import coverage
from demo.study.analysis.exclusions import exclusion_candidates
from demo.study.analysis.glmm import fit_logistic
from demo.study.analysis.report import text_summary
from demo.study.analysis.summary import summarise
from demo.study.analysis.table import select_answers
from demo.study.design.config import StudyConfig
from demo.study.design.population import Population

pytestmark = pytest.mark.slow

#: Of the coverage test: studies, participants in each. By hand with more: docs/study.md.
STUDIES, PEOPLE = 80, 16


def quadrature(y, fixed, person, nodes=61):
    """Coefficients and sd by maximum likelihood with Gauss-Hermite quadrature, one random intercept."""
    at, weights = roots_hermitenorm(nodes)
    weights = weights / weights.sum()
    sign = 2 * y - 1

    def loss(parameters):
        eta = (fixed @ parameters[:-1])[:, None] + abs(parameters[-1]) * at
        log = np.log(expit(sign[:, None] * eta))
        sums = np.zeros((person.max() + 1, nodes))
        np.add.at(sums, person, log)
        top = sums.max(1)
        return -(top + np.log(np.exp(sums - top[:, None]) @ weights)).sum()

    found = minimize(loss, np.r_[np.zeros(fixed.shape[1]), 0.5], method="BFGS", options={"gtol": 1e-6})
    # By differences: what BFGS keeps of its steps is no inverse Hessian, and another in every version of SciPy.
    step, size = 1e-3 * np.eye(len(found.x)), range(len(found.x))
    hessian = np.array([[(loss(found.x + step[a] + step[b]) - loss(found.x + step[a] - step[b])
                          - loss(found.x - step[a] + step[b]) + loss(found.x - step[a] - step[b])) / 4e-6
                         for b in size] for a in size])
    return found.x[:-1], abs(found.x[-1]), np.sqrt(np.linalg.inv(hessian).diagonal()[:-1])


def test_the_mixed_model_is_that_of_quadrature():
    draw = np.random.default_rng(2)
    person = np.repeat(np.arange(40), 30)
    fixed = np.stack([np.ones(1200), np.tile([0, 1], 600)], 1)
    y = (draw.random(1200) < expit(fixed @ [0.2, 0.7] + draw.normal(0, 0.8, 40)[person])).astype(float)
    coefficients, sd, errors = quadrature(y, fixed, person)
    found = fit_logistic(y, fixed, [person])
    assert found.converged and found.coefficients == pytest.approx(coefficients, abs=0.01)
    assert found.sds == pytest.approx((sd,), abs=0.02) and found.errors[1] == pytest.approx(errors[1], rel=0.05)
    # The likelihood itself: at the maximum, no other coefficient does better.
    both = fit_logistic(y, fixed, [person, np.tile(np.arange(30), 40)])
    assert both.sds[1] < 0.2 and both.coefficients == pytest.approx(coefficients, abs=0.03)


def test_the_intervals_hold_the_truth_as_often_as_they_say():
    share, intervals = coverage(StudyConfig(), PEOPLE, studies=STUDIES)
    assert intervals == 3 * STUDIES and 0.92 <= share <= 0.985


def two_step(rows, condition, base):
    """The table with a first answer: the answer of somebody who never sees the model, drawn anew."""
    draw = np.random.default_rng(5)
    for row in rows:
        row["condition"] = condition if row["condition"] == base else row["condition"]
        if row["condition"] == condition:
            right = draw.random() < 0.6
            row["first_answer"] = "same" if right == bool(row["same"]) else "diff"
        else:
            row["first_answer"] = ""
    return rows


def test_without_decision_and_first_answer_nothing_is_called_reliance():
    summary = summarise(simulate_rows(16, seed=2))
    assert all(one["over_reliance"]["value"] is None and "unaided" in one["over_reliance"]["reason"]
               for one in summary["conditions"])
    text = text_summary(summary)
    assert "Agreement with the model" in text and "Reliance" not in text and "eliance" not in text


def test_reliance_counts_first_answers_given_up_and_kept():
    rows = two_step(simulate_rows(16, Population(pull=1.5), seed=3), "emd_flow+decision", "emd_flow")
    summary = summarise(rows)
    one = next(one for one in summary["conditions"] if one["condition"] == "emd_flow+decision")
    own = pd.DataFrame(rows).query("phase == 'main' and condition == 'emd_flow+decision'")
    model_right, first_right = own["model_pred"] == own["same"], (own["first_answer"] == "same") == (own["same"] == 1)
    follows = (own["answer"] == "same") == (own["model_pred"] == 1)
    led, helped = first_right & ~model_right, ~first_right & model_right
    assert (one["over_reliance"]["k"], one["over_reliance"]["n"]) == (follows[led].sum(), led.sum())
    assert (one["under_reliance"]["k"], one["under_reliance"]["n"]) == ((~follows[helped]).sum(), helped.sum())
    assert "## Reliance on the model" in text_summary(summary)


def test_agreement_is_measured_against_people_who_saw_nothing_of_the_model():
    """Who is pulled towards nothing agrees by being right alike: raw agreement is high, the difference near 0."""
    level = dict.fromkeys(StudyConfig().conditions, 1.0)
    rows, drawn = (simulate_rows(48, Population(skill=level, pull=pull), seed=4, model_accuracy=11 / 15)
                   for pull in (0.0, 1.2))
    flat, pulled = summarise(rows), summarise(drawn)
    for found, low, high in ((flat, -7, 7), (pulled, 5, 40)):
        for one in found["conditions"][1:]:
            beyond = one["over_baseline"]["agreement"]
            assert one["agreement"]["value"] > 55 and low < beyond["value"] < high and beyond["n"] == 48
    frame = select_answers(rows).frame
    model = {(row["pair_id"], row["condition"]): row["model_pred"] for row in rows if row["model_pred"] is not None}
    own = frame[frame["condition"] == "cnn_cc"].groupby("person")["follows"].mean()
    base = frame[frame["condition"] == "none"]
    agreed = [said == model[pair, "cnn_cc"] for pair, said in zip(base["pair_id"], base["said_same"], strict=True)]
    expected = 100 * (own - base.assign(agreed=agreed).groupby("person")["agreed"].mean())
    found = flat["conditions"][1]["over_baseline"]["agreement"]
    assert found["value"] == pytest.approx(expected.mean()) and found["sd"] == pytest.approx(expected.std())


@pytest.mark.parametrize("lapse,low,high", [(1.0, 0.9, 1.0), (0.0, 0.0, 0.05)])
def test_somebody_who_tosses_a_coin_is_a_candidate_and_an_honest_one_is_not(lapse, low, high):
    rows = simulate_rows(48, Population(lapse=lapse), seed=6)
    assert low <= len(exclusion_candidates(rows)) / 48 <= high


def test_who_always_answers_the_same_fails_the_checks():
    for answer in ("same", "diff"):
        rows = [row | {"answer": answer, "correct": int((answer == "same") == row["same"])} for row in simulate_rows(4)]
        found = exclusion_candidates(rows)
        assert len(found) == 4 and all("4 of 8 attention checks" in " ".join(one["reasons"]) for one in found)
