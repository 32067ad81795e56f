"""What each condition's answers amount to: accuracy, sensitivity, time, confidence, agreement, reliance. No tests here.

Every measure is a dict with ``value`` and ``n``; where ``value`` (or its interval) is None, ``reason`` says why.
Rates are in percent, times in milliseconds.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from demo.study.analysis.table import Answers
from demo.study.design.conditions import UNEXPLAINED, label, shows_decision

RESAMPLES = 2000
#: Confidence ratings above this are read as a scale from 0 to 100.
_FEW_STEPS = 10
_NO_MODEL = "no decision of a model is known for these answers"


class Resamples:
    """Participants drawn with replacement, once for all measures: the cluster bootstrap, seeded."""

    def __init__(self, people: int, seed: int, count: int = RESAMPLES):
        self.people = people
        draw = np.random.default_rng(seed)
        self.times = draw.multinomial(people, np.full(people, 1 / people), size=count) if people else np.zeros((0, 0))

    def ratio_interval(self, hits: np.ndarray, trials: np.ndarray) -> list[float] | None:
        """95% percentile interval of sum(hits) / sum(trials) in percent; both (people,). None for fewer than two
        participants, or where more than one resample in twenty holds no trial at all."""
        if (trials > 0).sum() < 2:
            return None
        totals = self.times @ trials
        usable = totals > 0
        if usable.mean() < 0.95:
            return None
        shares = 100 * (self.times @ hits)[usable] / totals[usable]
        return [float(edge) for edge in np.percentile(shares, [2.5, 97.5])]


def missing(reason: str, n: int = 0) -> dict:
    """A measure that cannot be given, with the reason in words."""
    return {"value": None, "n": n, "reason": reason}


def mean_of_people(values: np.ndarray, reason: str = "there are no answers") -> dict:
    """Mean, SD and 95% t interval over participants; NaN entries are participants without the measure."""
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    n = len(values)
    if n == 0:
        return missing(reason)
    mean = float(values.mean())
    if n == 1:
        return {"value": mean, "sd": None, "ci": None, "n": 1, "reason": "an interval needs two participants"}
    return {"value": mean, "sd": float(values.std(ddof=1)), "ci": t_interval(values), "n": n}


def t_interval(values: np.ndarray) -> list[float]:
    """95% interval of the mean of at least two values by Student's t."""
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return [float(values.mean() - half), float(values.mean() + half)]


def describe_condition(answers: Answers, condition: str, resamples: Resamples) -> dict:
    """Everything docs/method.md lists for one condition, and the same split by truth and by occlusion."""
    rows = answers.frame[answers.frame["condition"] == condition]
    people = len(answers.people)
    accuracies = per_person(rows, rows["correct"], people)
    accuracy = _rate(rows, rows["correct"], people, resamples, "there are no answers")
    over_people = mean_of_people(accuracies)
    accuracy |= {"mean": over_people["value"], "sd": over_people.get("sd"), "t_ci": over_people.get("ci"),
                 "by_participant": [float(share) for share in accuracies if np.isfinite(share)],
                 "best_constant": float(np.nanmean(best_constant(rows, people)))}
    return {
        "condition": condition, "label": label(condition), "participants": people, "answers": len(rows),
        "pairs": int(rows["pair_id"].nunique()), "accuracy": accuracy, **_sensitivity(rows, people, resamples),
        "rt_ms": _response_time(rows, people), "confidence": _confidence(rows, people),
        **_agreement(rows, people, resamples), "over_baseline": over_baseline(answers, condition),
        **reliance(rows, condition, people, resamples), "switched": _switched(rows, people, resamples),
        "by_truth": {name: _brief(rows[rows["same"] == same], people, resamples)
                     for name, same in (("same", True), ("different", False))},
        "by_occlusion": {kind: _brief(rows[rows["occlusion"] == kind], people, resamples)
                         for kind in sorted(rows["occlusion"].unique())},
    }


def per_person(rows: pd.DataFrame, hits: pd.Series, people: int) -> np.ndarray:
    """Each participant's share of hits in percent, (people,); NaN for a participant without a row."""
    done, trials = _counts(rows, hits, people)
    return np.where(trials > 0, 100 * done / np.maximum(trials, 1), np.nan)


def best_constant(rows: pd.DataFrame, people: int) -> np.ndarray:
    """What the better of always "same" and always "different" would have scored in percent on each participant's own
    pairs (8/15 in a balanced block of 15), (people,)."""
    share = per_person(rows, rows["same"], people)
    return np.maximum(share, 100 - share)


def _counts(rows: pd.DataFrame, hits: pd.Series, people: int) -> tuple[np.ndarray, np.ndarray]:
    codes = rows["person"].to_numpy()
    return (np.bincount(codes, weights=hits.to_numpy(float), minlength=people)[:people],
            np.bincount(codes, minlength=people)[:people].astype(float))


def _rate(rows: pd.DataFrame, hits: pd.Series, people: int, resamples: Resamples, reason: str) -> dict:
    """k of n in percent, with the cluster bootstrap's interval over participants."""
    if rows.empty:
        return missing(reason) | {"k": 0}
    done, trials = _counts(rows, hits, people)
    rate = {"value": float(100 * done.sum() / trials.sum()), "k": int(done.sum()), "n": len(rows),
            "participants": int((trials > 0).sum()), "ci": resamples.ratio_interval(done, trials)}
    if rate["ci"] is None:
        rate["reason"] = "too few participants have such answers for an interval"
    return rate


def _sensitivity(rows: pd.DataFrame, people: int, resamples: Resamples) -> dict:
    """Hit and false-alarm rate ("same" is the signal), and d' and criterion c per participant with the log-linear
    correction (Hautus 1995): H = (hits + 0.5) / (same + 1), F alike. c below 0 leans towards "same"."""
    same, different = rows[rows["same"]], rows[~rows["same"]]
    hits, signals = _counts(same, same["said_same"], people)
    alarms, noises = _counts(different, different["said_same"], people)
    both = (signals > 0) & (noises > 0)
    z_hit = stats.norm.ppf((hits + 0.5) / (signals + 1))
    z_alarm = stats.norm.ppf((alarms + 0.5) / (noises + 1))
    reason = "it needs answers to pairs of both kinds"
    return {"hit_rate": _rate(same, same["said_same"], people, resamples, "there are no pairs of one person"),
            "false_alarm_rate": _rate(different, different["said_same"], people, resamples,
                                      "there are no pairs of two people"),
            "d_prime": _with_people((z_hit - z_alarm)[both], reason),
            "criterion": _with_people((-(z_hit + z_alarm) / 2)[both], reason)}


def _with_people(values: np.ndarray, reason: str) -> dict:
    return mean_of_people(values, reason) | {"by_participant": [float(value) for value in values]}


def _response_time(rows: pd.DataFrame, people: int) -> dict:
    """Median and quartiles over all correct answers, and each participant's own median."""
    right = rows[rows["correct"] & rows["rt_ms"].notna()]
    if right.empty:
        return missing("no correct answer has a response time") | {"by_participant": []}
    low, median, high = np.percentile(right["rt_ms"], [25, 50, 75])
    medians = right.groupby("person")["rt_ms"].median()
    return {"value": float(median), "iqr": [float(low), float(high)], "n": len(right),
            "by_participant": [float(value) for value in medians]}


def _confidence(rows: pd.DataFrame, people: int) -> dict:
    """Mean confidence over participants, how often an answer of each confidence is right, and, on a scale to 100,
    Brier's score of confidence / 100 as the probability of being right (0 is best)."""
    rated = rows[rows["confidence"].notna()]
    if rated.empty:
        return missing("confidence was not asked")
    confidence, right = rated["confidence"].to_numpy(), rated["correct"].to_numpy()
    result = mean_of_people(rated.groupby("person")["confidence"].mean().to_numpy())
    percent = confidence.max() > _FEW_STEPS
    step = np.minimum(confidence // 20, 4) if percent else confidence
    result["calibration"] = [
        {"confidence": f"{20 * int(at)}-{20 * int(at) + 20}" if percent else f"{at:g}",
         "n": int((step == at).sum()), "correct": int(right[step == at].sum()),
         "value": float(100 * right[step == at].mean())} for at in np.unique(step)]
    result["answers"] = len(rated)
    result["brier"] = ({"value": float(np.mean((confidence / 100 - right) ** 2)), "n": len(rated)} if percent
                       else missing("it needs confidence on a scale from 0 to 100", len(rated)))
    for name, chosen in (("when_right", right), ("when_wrong", ~right)):
        result[name] = ({"value": float(confidence[chosen].mean()), "n": int(chosen.sum())} if chosen.any()
                        else missing("there are no such answers"))
    return result


def _agreement(rows: pd.DataFrame, people: int, resamples: Resamples) -> dict:
    """How often the model is right, how often answers agree with it, in all and where it is wrong, and how often they
    do not where it is right. Whether anybody followed it is another matter (``reliance``)."""
    known = rows[rows["model_right"].notna()]
    wrong, right = known[known["model_right"] == 0], known[known["model_right"] == 1]
    never = _NO_MODEL if known.empty else None
    return {
        "model_accuracy": (missing(_NO_MODEL) if known.empty else
                           {"value": float(100 * known["model_right"].mean()), "k": len(right), "n": len(known)}),
        "agreement": _rate(known, known["follows"], people, resamples, _NO_MODEL),
        "agreement_when_wrong": _rate(wrong, wrong["follows"], people, resamples,
                                      never or "the model was never wrong here"),
        "disagreement_when_right": _rate(right, 1 - right["follows"], people, resamples,
                                         never or "the model was never right here"),
    }


def over_baseline(answers: Answers, condition: str) -> dict:
    """What is left of the agreement with the model after that of answers which saw nothing of it: the difference to
    the condition without an explanation, on the same pairs and by the same participants, in points with its t interval;
    in all, and where the model is wrong."""
    rows, base = (answers.frame[answers.frame["condition"] == one] for one in (condition, UNEXPLAINED.code))
    known = rows[rows["model_right"].notna()]
    said = (known["said_same"] == (known["follows"] == 1)).groupby(known["pair_id"]).first()
    base = base[base["pair_id"].isin(said.index)]
    if known.empty or base.empty or condition == UNEXPLAINED.code:
        nothing = missing(_NO_MODEL if known.empty else "no condition without an explanation shows the same pairs")
        return {"agreement": nothing, "agreement_when_wrong": nothing}
    model = base["pair_id"].map(said).astype(bool)
    base = base.assign(follows=(base["said_same"] == model).astype(float),
                       model_right=(model == base["same"]).astype(float))
    found = {}
    for name, both in (("agreement", (known, base)), ("agreement_when_wrong", (
            known[known["model_right"] == 0], base[base["model_right"] == 0]))):
        shares = [per_person(table, table["follows"], len(answers.people)) for table in both]
        found[name] = mean_of_people(shares[0] - shares[1], "nobody has such answers in both conditions")
    return found


def reliance(rows: pd.DataFrame, condition: str, people: int, resamples: Resamples) -> dict:
    """Over-reliance: share of right first answers that were given up for the model's wrong decision. Under-reliance:
    share of wrong first answers that were kept against its right one. They can be told only where the decision was
    shown after an unaided answer (Schemmer et al. 2023)."""
    twice = rows[rows["first_same"].notna() & rows["model_right"].notna()]
    if not shows_decision(condition) or twice.empty:
        nothing = missing("it needs the model's decision shown after an unaided first answer")
        return {"over_reliance": nothing, "under_reliance": nothing}
    first_right = (twice["first_same"] == 1) == twice["same"]
    led, helped = twice[first_right & (twice["model_right"] == 0)], twice[~first_right & (twice["model_right"] == 1)]
    return {"over_reliance": _rate(led, led["follows"], people, resamples, "there are no such answers"),
            "under_reliance": _rate(helped, 1 - helped["follows"], people, resamples, "there are no such answers")}


def _switched(rows: pd.DataFrame, people: int, resamples: Resamples) -> dict:
    """Two-step mode: share of answers changed once the explanation was shown, and how many of them became right."""
    twice = rows[rows["switched"].notna()]
    rate = _rate(twice, twice["switched"], people, resamples, "every pair was answered once")
    return rate | {"became_right": int((twice["correct"] & (twice["switched"] == 1)).sum())}


def _brief(rows: pd.DataFrame, people: int, resamples: Resamples) -> dict:
    """Accuracy, response time and agreement of a part of a condition's answers."""
    time = _response_time(rows, people)
    return {"accuracy": _rate(rows, rows["correct"], people, resamples, "there are no such pairs"),
            "rt_ms": {name: time[name] for name in time if name != "by_participant"},
            **_agreement(rows, people, resamples)}


def describe_blocks(answers: Answers, resamples: Resamples) -> list[dict]:
    """Accuracy by place in the order: 1 is the block that a participant saw first."""
    found = []
    for block in sorted(answers.frame["block"].dropna().unique()):
        rows = answers.frame[answers.frame["block"] == block]
        found.append({"block": int(block) + 1,
                      "accuracy": _rate(rows, rows["correct"], len(answers.people), resamples, "there are no answers")})
    return found
