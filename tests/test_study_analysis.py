"""The study's statistics against scipy, statsmodels and arithmetic done again here, on the same long table."""

import json
import warnings
from itertools import product

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from matplotlib.figure import Figure
from scipy import stats
from statsmodels.genmod.bayes_mixed_glm import BinomialBayesMixedGLM
from statsmodels.regression.mixed_linear_model import MixedLM, VCSpec
from study_tables import paper_rows, simulate_rows

from demo.drawing.output import to_png
from demo.errors import BadStudy
from demo.study.analysis.exclusions import exclusion_candidates
from demo.study.analysis.inference import rank_biserial, run_tests, same_pairs_throughout, sign_flip
from demo.study.analysis.measures import Resamples, describe_condition
from demo.study.analysis.models import gee, logistic_mixed
from demo.study.analysis.plots import FIGURES, drawable
from demo.study.analysis.reml import fit_crossed
from demo.study.analysis.report import text_summary
from demo.study.analysis.summary import summarise
from demo.study.analysis.table import select_answers
from demo.study.design.conditions import conditions
from demo.study.design.config import Exclusion, StudyConfig
from demo.study.design.population import Population

pytestmark = pytest.mark.slow

CONDITIONS = ["none", "cnn_cc", "h2l_cc", "emd_flow"]
PLANTED = Population(skill={"none": 0.2, "cnn_cc": 0.8, "h2l_cc": 1.1, "emd_flow": 1.4}, pull=0.5, lean=0.35,
                     rt_ms={"none": 2000.0, "cnn_cc": 2400.0, "h2l_cc": 3000.0, "emd_flow": 3200.0})


@pytest.fixture(scope="module")
def rows():
    return simulate_rows(32, PLANTED, seed=5)


@pytest.fixture(scope="module")
def few():
    """Eight people, for what hangs on the table and not on their number."""
    return simulate_rows(8, PLANTED, seed=5)


@pytest.fixture(scope="module")
def summary(rows):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return summarise(rows, planned_n=32, seed=1)


@pytest.fixture(scope="module")
def main(rows):
    frame = pd.DataFrame(rows)
    return frame[frame["phase"] == "main"].assign(right=lambda main: (main["answer"] == "same") == (main["same"] == 1))


@pytest.fixture(scope="module")
def accuracies(main):
    return 100 * main.pivot_table(index="pid", columns="condition", values="right", aggfunc="mean")[CONDITIONS]


def test_accuracy_and_its_intervals(summary, main, accuracies):
    generator = np.random.default_rng(99)
    for one in summary["conditions"]:
        own, found = accuracies[one["condition"]], one["accuracy"]
        assert (found["k"], found["n"]) == (main.loc[main["condition"] == one["condition"], "right"].sum(), 480)
        assert (found["mean"], found["sd"]) == (pytest.approx(own.mean()), pytest.approx(own.std()))
        assert found["t_ci"] == pytest.approx(stats.t.interval(0.95, 31, own.mean(), stats.sem(own)))
        again = [generator.choice(own, len(own)).mean() for _ in range(3000)]
        assert found["ci"] == pytest.approx(np.percentile(again, [2.5, 97.5]), abs=1.0)


def test_sensitivity_by_hand(summary, main):
    for one in summary["conditions"]:
        d_primes, criteria = [], []
        for _, own in main[main["condition"] == one["condition"]].groupby("pid"):
            same, different = own[own["same"] == 1], own[own["same"] == 0]
            hit = ((same["answer"] == "same").sum() + 0.5) / (len(same) + 1)
            alarm = ((different["answer"] == "same").sum() + 0.5) / (len(different) + 1)
            d_primes.append(stats.norm.ppf(hit) - stats.norm.ppf(alarm))
            criteria.append(-0.5 * (stats.norm.ppf(hit) + stats.norm.ppf(alarm)))
        assert one["d_prime"]["value"] == pytest.approx(np.mean(d_primes))
        assert one["d_prime"]["ci"] == pytest.approx(stats.t.interval(0.95, 31, np.mean(d_primes), stats.sem(d_primes)))
        assert one["criterion"]["value"] == pytest.approx(np.mean(criteria))


def test_time_confidence_and_reliance(summary, main):
    for one in summary["conditions"]:
        own = main[main["condition"] == one["condition"]]
        right = own[own["right"]]
        assert one["rt_ms"]["value"] == pytest.approx(right["rt_ms"].median())
        assert one["rt_ms"]["iqr"] == pytest.approx(list(right["rt_ms"].quantile([0.25, 0.75])))
        assert one["confidence"]["value"] == pytest.approx(own.groupby("pid")["confidence"].mean().mean())
        assert [step["n"] for step in one["confidence"]["calibration"]] == list(
            own["confidence"].value_counts().sort_index())
        model = own[own["model_pred"].notna()]
        if one["condition"] == "none":
            assert len(model) == 0 and one["agreement_when_wrong"]["value"] is None
            assert "model" in one["agreement"]["reason"]
            continue
        follows = (model["answer"] == "same") == (model["model_pred"] == 1)
        model_right = model["model_pred"] == model["same"]
        assert one["agreement"]["value"] == pytest.approx(100 * follows.mean())
        assert one["agreement_when_wrong"]["value"] == pytest.approx(100 * follows[~model_right].mean())
        assert one["disagreement_when_right"]["value"] == pytest.approx(100 * (~follows[model_right]).mean())
        masked = own[(own["occl1"] == "mask") | (own["occl2"] == "mask")]
        assert one["by_occlusion"]["mask"]["accuracy"]["value"] == pytest.approx(100 * masked["right"].mean())
        assert one["by_truth"]["same"]["accuracy"]["value"] == pytest.approx(one["hit_rate"]["value"])


def test_brier_needs_a_scale_to_100(few, summary):
    frame = pd.DataFrame(few).assign(confidence=lambda table: 20.0 * table["confidence"])
    one = summarise(frame, planned_n=99, peek=True)["conditions"][0]["confidence"]
    own = frame[(frame["phase"] == "main") & (frame["condition"] == "none")]
    assert one["brier"]["value"] == pytest.approx(np.mean((own["confidence"] / 100 - own["correct"]) ** 2))
    assert sum(step["n"] for step in one["calibration"]) == len(own)
    assert summary["conditions"][0]["confidence"]["brier"]["value"] is None


def test_friedman_is_scipys(summary, accuracies):
    expected = stats.friedmanchisquare(*(accuracies[name].round(9) for name in CONDITIONS))
    omnibus = summary["tests"]["omnibus"]
    assert (omnibus["statistic"], omnibus["p"]) == pytest.approx((expected.statistic, expected.pvalue))
    assert omnibus["kendall_w"] == pytest.approx(expected.statistic / (32 * 3))


def test_sign_flip_is_exact_for_few_and_right_for_many():
    generator = np.random.default_rng(3)
    few = generator.integers(-3, 5, 8) / 15
    flips = [abs(np.dot(signs, few)) >= abs(few.sum()) - 1e-12 for signs in product((-1, 1), repeat=8)]
    assert sign_flip(few, generator) == {"p": np.mean(flips), "exact": True, "flips": 256}
    exact = stats.permutation_test((few,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip(few, generator)["p"] == pytest.approx(exact.pvalue)
    many = generator.normal(0.3, 1, 40)
    found = sign_flip(many, generator)
    assert not found["exact"] and found["p"] == pytest.approx(stats.ttest_1samp(many, 0).pvalue, abs=0.02)


def test_rank_biserial_follows_from_wilcoxon():
    differences = np.random.default_rng(4).integers(-3, 6, 30) / 15
    changed = np.count_nonzero(differences)
    smaller = stats.wilcoxon(differences, zero_method="wilcox", method="approx").statistic
    assert rank_biserial(differences) == pytest.approx(1 - 2 * smaller / (changed * (changed + 1) / 2))
    assert rank_biserial(np.zeros(5)) is None


def test_pairs_of_conditions_and_holm(summary, accuracies):
    pairs = summary["tests"]["pairs"]
    assert [(one["a"], one["b"]) for one in pairs] == [
        (a, b) for at, a in enumerate(CONDITIONS) for b in CONDITIONS[at + 1:]]
    for one in pairs:
        differences = accuracies[one["b"]] - accuracies[one["a"]]
        assert one["difference"] == pytest.approx(differences.mean())
        assert one["ci"] == pytest.approx(stats.t.interval(0.95, 31, differences.mean(), stats.sem(differences)))
        assert one["p"] == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, abs=0.02)
    at_least = 0.0
    for rank, one in enumerate(sorted(pairs, key=lambda one: one["p"])):
        at_least = max(at_least, min(1.0, one["p"] * (6 - rank)))
        assert one["p_holm"] == pytest.approx(at_least)


def test_chance_is_the_best_constant_answer(summary, accuracies):
    for one in summary["tests"]["chance"]:
        assert one["chance"] == pytest.approx(100 * 8 / 15)
        assert one["difference"] == pytest.approx(accuracies[one["condition"]].mean() - 100 * 8 / 15)


def test_models_are_those_of_statsmodels(summary, main):
    data = main.assign(right=main["right"].astype(int), place=main["block"] - 1.5)
    formula = "C(condition, Treatment('none'), levels=['none', 'cnn_cc', 'h2l_cc', 'emd_flow']) + place"
    expected = smf.gee(f"right ~ {formula}", "pid", data, cov_struct=sm.cov_struct.Exchangeable(),
                       family=sm.families.Binomial()).fit(cov_type="bias_reduced")
    terms = summary["models"]["gee"]["terms"]
    assert [term["coefficient"] for term in terms] == pytest.approx(list(expected.params), abs=1e-6)
    assert [term["se"] for term in terms] == pytest.approx(list(expected.bse), rel=1e-5)
    assert [term["p"] for term in terms] == pytest.approx(list(expected.pvalues), abs=1e-6)

    mixed = BinomialBayesMixedGLM.from_formula(
        f"right ~ {formula}", {"person": "0 + C(pid)", "pair": "0 + C(pair_id)"}, data)
    np.random.seed(0)
    expected = mixed.fit_vb(fit_method="L-BFGS-B")
    found = summary["models"]["logistic_mixed"]
    # Another approximation of the same model; test_study_models holds ours against quadrature.
    assert [term["coefficient"] for term in found["terms"]] == pytest.approx(list(expected.fe_mean), abs=0.03)
    assert (found["participant_sd"], found["pair_sd"]) == pytest.approx(tuple(np.exp(expected.vcp_mean)), abs=0.05)


def test_crossed_intercepts_are_those_of_statsmodels():
    """Small data, for statsmodels needs a minute for a whole study."""
    draw = np.random.default_rng(6)
    person, pair = np.repeat(np.arange(9), 12), np.tile(np.arange(12), 9)
    fixed = np.stack([np.ones(108), draw.integers(0, 2, 108)], axis=1)
    y = fixed @ [7.5, 0.3] + draw.normal(0, 0.5, 9)[person] + draw.normal(0, 0.3, 12)[pair] + draw.normal(0, 0.4, 108)
    spec = VCSpec(["person", "pair"], [[list(map(str, range(9)))], [list(map(str, range(12)))]],
                  [[np.eye(9)[person]], [np.eye(12)[pair]]])
    expected = MixedLM(y, fixed, groups=np.zeros(108), exog_vc=spec).fit(reml=True)
    found = fit_crossed(y, fixed, [person, pair])
    assert found.converged
    assert found.coefficients == pytest.approx(expected.fe_params, abs=1e-4)
    assert found.errors[1] == pytest.approx(expected.bse_fe[1], rel=0.01)
    assert found.sds == pytest.approx(np.sqrt(expected.vcomp), rel=2e-3)
    assert found.residual_sd == pytest.approx(np.sqrt(expected.scale), rel=2e-3)


def test_planted_effects_are_found(summary):
    """Within three standard errors of what was planted."""
    none = PLANTED.skill["none"]
    found = {term["term"]: term for term in summary["models"]["log_rt"]["terms"]}
    for name in CONDITIONS[1:]:
        planted = np.log(PLANTED.rt_ms[name] / PLANTED.rt_ms["none"])
        assert abs(found[name]["coefficient"] - planted) < 3 * found[name]["se"]
    assert summary["models"]["log_rt"]["participant_sd"] == pytest.approx(PLANTED.rt_participant_sd, abs=0.1)
    unpulled = select_answers(simulate_rows(48, Population(skill=PLANTED.skill), seed=8))
    mixed = logistic_mixed(unpulled)
    shrunk = 1 / np.sqrt(1 + 0.346 * (0.35**2 + 0.6**2))  # Zeger et al. 1988: averaged over people and pairs
    for model, shrink in ((mixed, 1.0), (gee(unpulled), shrunk)):
        terms = {term["term"]: term for term in model["terms"]}
        for name in CONDITIONS[1:]:
            planted = shrink * (PLANTED.skill[name] - none)
            assert abs(terms[name]["coefficient"] - planted) < 3 * terms[name]["se"], name
        assert abs(terms["block"]["coefficient"]) < 3 * terms["block"]["se"]
    assert mixed["pair_sd"] == pytest.approx(0.6, abs=0.2)


def test_planted_reliance_and_leaning_are_found(summary):
    z = np.random.default_rng(0).normal(0, np.hypot(PLANTED.participant_sd, PLANTED.item_sd), 40_000)
    lean = np.tile([PLANTED.lean, -PLANTED.lean], 20_000)
    for one in summary["conditions"][1:]:
        skill = PLANTED.skill[one["condition"]]
        wrong = 100 * np.mean(1 / (1 + np.exp(skill - PLANTED.pull + lean + z)))
        right = 100 * np.mean(1 / (1 + np.exp(skill + PLANTED.pull + lean + z)))
        assert one["agreement_when_wrong"]["value"] == pytest.approx(wrong, abs=14)
        assert one["disagreement_when_right"]["value"] == pytest.approx(right, abs=8)
        assert one["agreement_when_wrong"]["value"] > one["disagreement_when_right"]["value"] + 8
        assert one["criterion"]["ci"][1] < 0, "planted leaning towards 'same' must show in the criterion"
    assert summary["conditions"][0]["accuracy"]["t_ci"][1] < summary["conditions"][3]["accuracy"]["t_ci"][0]


def test_no_effect_gives_no_small_p():
    flat = Population(skill=dict.fromkeys(CONDITIONS, 0.8), item_sd=0.0)
    generator = np.random.default_rng(0)
    p = [sign_flip(generator.binomial(15, 0.7, 24) - generator.binomial(15, 0.7, 24), generator, 2000)["p"]
         for _ in range(200)]
    assert 0.42 < np.mean(p) < 0.58 and np.mean(np.array(p) < 0.05) < 0.1
    tests = run_tests(select_answers(simulate_rows(16, flat, seed=2)), 0)
    assert tests["omnibus"]["p"] > 0.01 and min(one["p_holm"] for one in tests["pairs"]) > 0.01


def test_the_papers_numbers():
    rows = paper_rows()
    assert len(rows) == 21 * 20 * 4
    summary = summarise(rows, planned_n=21)
    assert [f"{one['accuracy']['value']:.2f}" for one in summary["conditions"]] == ["54.60", "69.84", "73.97", "75.24"]
    assert [(one["accuracy"]["k"], one["accuracy"]["n"]) for one in summary["conditions"]] == [
        (172, 315), (220, 315), (233, 315), (237, 315)]
    text = text_summary(summary)
    assert all(number in text for number in ("54.60", "69.84", "73.97", "75.24", "172 of 315"))
    assert len(summary["notes"]) == 2 and all(note in text for note in summary["notes"])
    assert not same_pairs_throughout(select_answers(rows)), "other pairs in every condition: no McNemar"


def test_the_same_pairs_in_every_condition():
    rows = simulate_rows(12, config=StudyConfig(counterbalancing="repeated"), seed=1)
    summary = summarise(rows)
    tests = summary["tests"]["same_pairs"]
    frame = pd.DataFrame(rows).query("phase == 'main'")
    table = frame.pivot(index=["pid", "pair_id"], columns="condition", values="correct")[CONDITIONS]
    columns, lines = table.sum(), table.sum(axis=1)
    q = 3 * (4 * (columns**2).sum() - columns.sum() ** 2) / (4 * lines.sum() - (lines**2).sum())
    assert (tests["cochran_q"]["statistic"], tests["cochran_q"]["n"]) == (pytest.approx(q), 180)
    for one in tests["mcnemar"]:
        gained = int(((table[one["a"]] == 0) & (table[one["b"]] == 1)).sum())
        lost = int(((table[one["a"]] == 1) & (table[one["b"]] == 0)).sum())
        assert (one["gained"], one["lost"]) == (gained, lost)
        assert one["p"] == pytest.approx(stats.binomtest(gained, gained + lost).pvalue)
    assert "McNemar" in text_summary(summary)


def test_tests_wait_for_the_planned_number(rows):
    summary = summarise(rows, planned_n=33)
    assert "tests" not in summary and "models" not in summary and not summary["preliminary"]
    assert summary["conditions"] == summary["blocks"] == [] and drawable(summary) == []
    assert "33" in summary["hidden"] and '"p"' not in json.dumps(summary)
    text = text_summary(summary)
    assert "hidden until" in text and "Accuracy" not in text and "Friedman" not in text
    eight = [row for row in rows if int(row["pid"], 16) < 8]
    peeked = summarise(eight, planned_n=33, peek=True)
    assert peeked["preliminary"] and peeked["tests"]["pairs"][0]["p"] is not None
    assert "**Preliminary**" in text_summary(peeked)


def test_people_of_the_preview_never_count_towards_the_planned_number(few):
    frame = pd.DataFrame(few)
    people = sorted(frame["pid"].unique())
    frame["is_preview"] = frame["pid"].isin(people[:5]).astype(float)
    live = len(people) - 5
    early = summarise(frame, planned_n=live + 1, include_preview=True)
    assert early["conditions"] == early["blocks"] == [] and "tests" not in early and "models" not in early
    assert f"{live} are so far" in early["hidden"] and early["participants"]["analysed"] == len(people)
    assert summarise(frame, planned_n=live, include_preview=True)["conditions"]
    assert summarise(frame, planned_n=live + 1, include_preview=True, peek=True)["preliminary"]


def test_two_answers_to_a_pair_are_compared(few, summary):
    """In a two-step study the long table says whether the second answer differs."""
    frame = pd.DataFrame(few).assign(switched=lambda table: (table.index % 5 == 0).astype(float))
    frame.loc[frame["condition"] == "none", "switched"] = np.nan
    found = summarise(frame, planned_n=99, peek=True)
    own = frame[(frame["phase"] == "main") & (frame["condition"] == "emd_flow")]
    switched = found["conditions"][3]["switched"]
    assert (switched["k"], switched["n"]) == (own["switched"].sum(), 120)
    assert switched["became_right"] == own.loc[own["switched"] == 1, "correct"].sum()
    assert found["conditions"][0]["switched"]["value"] is None and "Answers changed" in text_summary(found)
    assert "Answers changed" not in text_summary(summary)


def test_who_is_left_out_and_why(few):
    frame = pd.DataFrame(few)
    people = sorted(frame["pid"].unique())
    frame.loc[frame["pid"] == people[0], "is_preview"] = 1
    frame.loc[frame["pid"] == people[1], "excluded"] = 1
    last = frame[(frame["pid"] == people[2]) & (frame["phase"] == "main")].index[-1]
    frame = frame.drop(last)
    found = summarise(frame, planned_n=99, peek=True)
    assert found["participants"] == {"analysed": 5, "planned": 99, "left_out": {
        "excluded by the operator": 1, "incomplete": 1, "preview or pilot": 1}}
    assert found["answers"] == {"analysed": 5 * 60, "left_out": {
        "attention checks": 5 * 8, "of participants left out": 3 * 88 - 1, "training pairs": 5 * 20}}
    assert summarise(frame, planned_n=99, include_preview=True)["participants"]["analysed"] == 6
    status = frame.assign(status=np.where(frame["pid"] == people[2], "dropped", "completed"))
    assert summarise(status, planned_n=99, peek=True)["participants"] == found["participants"]


def test_an_answer_that_ran_out_of_time_is_counted_as_left_out(few):
    frame = pd.DataFrame(few)
    late = frame.index[frame["phase"] == "main"][:3]
    frame[["answer", "correct"]] = frame[["answer", "correct"]].astype(object)
    frame.loc[late, ["answer", "correct"]] = None
    found = summarise(frame, planned_n=99, peek=True)
    assert found["answers"]["left_out"]["time ran out"] == 3 and found["answers"]["analysed"] == 8 * 60 - 3


def test_a_csv_file_gives_the_same_answer(few, tmp_path):
    file = tmp_path / "responses_long.csv"
    pd.DataFrame(few).to_csv(file, index=False)
    expected = select_answers(few)
    for table in (pd.read_csv(file, dtype={"pid": str}), pd.read_csv(file, dtype=str, keep_default_na=False)):
        found = select_answers(table)
        pd.testing.assert_frame_equal(found.frame, expected.frame, check_dtype=False)
        assert (found.people, found.conditions, found.left_out) == (
            expected.people, expected.conditions, expected.left_out)


def test_the_seed_draws_the_bootstrap(few):
    answers = select_answers(few)
    one, again, other = (describe_condition(answers, "none", Resamples(8, seed)) for seed in (1, 1, 7))
    assert one == again and one["accuracy"]["ci"] != other["accuracy"]["ci"]


@pytest.mark.parametrize("people", [0, 1, 2, 5, 6])
def test_few_participants_give_reasons_instead_of_numbers(people):
    rows = simulate_rows(people, seed=people) if people else []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        summary = summarise(rows)
        text = text_summary(summary)
    json.dumps(summary, allow_nan=False)
    assert summary["participants"]["analysed"] == people and "nan" not in text.lower()
    if people == 0:
        assert "nothing to test" in summary["hidden"] and drawable(summary) == []
    else:
        tests = [summary["tests"]["omnibus"], *summary["tests"]["pairs"], *summary["tests"]["chance"]]
        assert all((test["p"] is None) == (people < 6) and ("reason" in test) == (people < 6) for test in tests)
        assert (summary["models"]["gee"]["terms"] is None) == (people < 6)


def test_answers_without_any_error_are_no_division_by_zero():
    rows = [row | {"answer": "same" if row["same"] else "diff", "correct": 1, "rt_ms": None}
            for row in simulate_rows(8)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        summary = summarise(rows)
    json.dumps(summary, allow_nan=False)
    assert "same in all conditions" in summary["tests"]["omnibus"]["reason"]
    assert all(model["terms"] is None and model["reason"] for model in summary["models"].values())
    assert all(one["rt_ms"]["value"] is None for one in summary["conditions"]) and text_summary(summary)
    assert all(len(to_png(FIGURES[name](summary))) > 5000 for name in drawable(summary))


def test_tables_that_cannot_be_read(rows):
    frame = pd.DataFrame(rows)
    for broken, words in ((frame.drop(columns="answer"), "no column 'answer'"),
                          (frame.assign(rt_ms="quick"), "'rt_ms'"),
                          (frame.assign(answer="maybe"), "'maybe'"),
                          (frame.assign(correct=1 - frame["correct"]), "contradicts"),
                          (frame.assign(study_id=[str(at % 2) for at in range(len(frame))]), "more than one study")):
        with pytest.raises(BadStudy, match=words):
            summarise(broken)


def test_candidates_for_exclusion():
    rows = simulate_rows(5, seed=3)
    people = sorted({row["pid"] for row in rows})

    def change(pid, phase, count, **values):
        for row in [row for row in rows if row["pid"] == pid and row["phase"] == phase][:count]:
            row.update(values or {"answer": "diff" if row["same"] else "same"})
    change(people[0], "main", 3, rt_ms=150)
    change(people[1], "main", 6, rt_ms=61_000)
    change(people[2], "main", 60, answer="same")
    change(people[3], "attn", 2)
    found = {one["pid"]: " ".join(one["reasons"]) for one in exclusion_candidates(rows)}
    assert list(found) == people[:4]
    expected = ("3 answers faster than 200 ms", "6 answers slower than 60 s", "equal answers in a row",
                "2 of 8 attention checks")
    assert all(words in found[pid] for pid, words in zip(people[:4], expected, strict=True))
    strict = Exclusion(fast_trials=4, slow_trials=7, same_answer_run=100, attention_failed=5, guessing_percent=0)
    assert exclusion_candidates(rows, strict) == [] and exclusion_candidates([]) == []


def test_figures_keep_their_words_inside(summary):
    assert drawable(summary) == ["accuracy", "sensitivity", "time", "agreement"]
    for draw in FIGURES.values():
        figure = draw(summary | {"preliminary": True})
        assert isinstance(figure, Figure)
        figure.canvas.draw()
        renderer = figure.canvas.get_renderer()
        texts = [text for axes in figure.axes for text in (*axes.texts, axes.xaxis.label)] + figure.texts
        for text in texts:
            box = text.get_window_extent(renderer)
            inside = box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y0 >= 0 and box.y1 <= figure.bbox.y1
            assert inside, text.get_text()


def test_conditions_stand_in_the_papers_order_and_unknown_ones_follow_by_name(few):
    known = list(conditions())
    plain = [code for code in known if "decision" not in code]
    assert plain[:4] == ["none", "cnn_cc", "h2l_cc", "emd_flow"] and {"h2l_attn", "d_weights"} < set(plain)
    told = {"none": "zz", "cnn_cc": "d_weights", "h2l_cc": "aa", "emd_flow": "h2l_attn"}
    frame = pd.DataFrame(few)
    found = summarise(frame.assign(condition=frame["condition"].map(told)))["conditions"]
    assert [(one["condition"], one["label"]) for one in found] == [
        ("h2l_attn", "H2L attention"), ("d_weights", "EMD weights"), ("aa", "aa"), ("zz", "zz")]
