"""Simulated participants: through the real session and store, and as tables; and the power that follows from them."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit
from statsmodels.stats.multitest import multipletests
from studies import SMALL, small_store
from study_tables import simulate_rows

from demo.errors import BadStudy
from demo.study import StudyConfig
from demo.study.analysis.report import power_text
from demo.study.analysis.summary import summarise
from demo.study.design.cells import cells
from demo.study.design.population import PAPER_CORRECT, Person, Population, skill_for
from demo.study.design.power import friedman_p, holm_rejects, power_table, simulate_scores
from demo.study.records.export import long_rows
from demo.study.session.simulate import simulate


@pytest.fixture
def run(tmp_path):
    """Simulates a study in a folder of its own and gives the result and its long table."""
    def simulated(name, people, population=None, config=SMALL, **options):
        store = small_store(tmp_path / name, config)
        try:
            return simulate(store, people, population, **options), list(long_rows(store))
        finally:
            store.close()
    return simulated


def test_participants_walk_through_the_real_study(run):
    config = replace(SMALL, attention_per_block=1)
    result, rows = run("one", 16, config=config, seed=3, threads=8)
    assert (result.started, result.completed, result.answers) == (16, 16, 16 * 24) == (16, 16, len(rows))
    assert len(result.waits_ms) == result.answers and "16 of 16" in str(result)
    assert all(row["status"] == "completed" and row["rt_ms"] > 0 and row["confidence"] in (1, 2, 3, 4) for row in rows)
    assert all(row["correct"] for row in rows if row["phase"] == "attn")
    summary = summarise(rows, planned_n=32, peek=True)
    assert summary["participants"]["analysed"] == 16 and summary["answers"]["analysed"] == 16 * 16
    shown = Counter((row["pair_id"], row["condition"]) for row in rows if row["phase"] == "main")
    assert set(shown.values()) == {4} and len(shown) == 16 * 4, "balanced cells show each pair in each condition"


def test_the_same_seed_gives_the_same_answers_whatever_the_threads_do(run):
    def answers(rows):
        return Counter((row["pair_id"], row["condition"], row["block"], row["answer"], row["rt_ms"], row["confidence"])
                       for row in rows if row["phase"] == "main")

    short = replace(SMALL, pairs_per_set=2, training_pairs=0)
    first, again, other = (answers(run(f"{threads}-{seed}", 16, config=short, seed=seed, threads=threads)[1])
                           for seed, threads in ((7, 1), (7, 6), (8, 6)))
    assert first == again != other


def test_some_leave_before_the_end(run):
    result, rows = run("some", 12, seed=2, dropout=0.5)
    assert 0 < result.completed < 12
    assert summarise(rows, planned_n=99, peek=True)["participants"]["left_out"] == {"incomplete": 12 - result.completed}


def test_two_steps_are_answered_without_and_then_with_the_explanation(run):
    _, rows = run("two", 8, Population(skill=dict.fromkeys(PAPER_CORRECT, 0.0) | {"emd_flow": 6.0}),
                  replace(SMALL, two_step=True), seed=1)
    flow = summarise(rows, planned_n=99, peek=True)["conditions"][3]
    assert flow["condition"] == "emd_flow" and flow["accuracy"]["value"] > 95
    assert flow["switched"]["n"] == 32 and flow["switched"]["became_right"] == flow["switched"]["k"] > 5


def test_numbers_out_of_range(run):
    for options in ({"people": 0}, {"people": 1, "threads": 0}, {"people": 1, "dropout": 2}):
        with pytest.raises(BadStudy, match="at least one participant"):
            run(str(options), **options)


def test_a_table_follows_the_design():
    rows = [row for row in simulate_rows(16) if row["phase"] == "main"]
    shown = Counter((row["pair_id"], row["condition"]) for row in rows)
    assert len(shown) == 60 * 4 and set(shown.values()) == {4}
    assert Counter(row["pid"] for row in rows if row["same"]) == dict.fromkeys({row["pid"] for row in rows}, 30)
    wrong = [row for row in rows if row["model_pred"] is not None and row["model_pred"] != row["same"]]
    assert len(wrong) / len([row for row in rows if row["model_pred"] is not None]) == pytest.approx(4 / 15)
    assert all((row["model_pred"] is None) == (row["condition"] == "none") for row in rows)


def test_skills_give_the_accuracies_they_were_made_for():
    draw = np.random.default_rng(0).normal(0, 0.695, 400_000)
    assert expit(skill_for(0.73, 0.695) + draw).mean() == pytest.approx(0.73, abs=0.002)
    skill = {name: skill_for(count / 315, 0.35) for name, count in PAPER_CORRECT.items()}
    rows = [row for row in simulate_rows(96, Population(item_sd=0.0, skill=skill), seed=4) if row["phase"] == "main"]
    for name, count in PAPER_CORRECT.items():
        own = [row["correct"] for row in rows if row["condition"] == name]
        assert np.mean(own) == pytest.approx(count / 315, abs=0.04)


def test_a_lapse_is_an_answer_at_random():
    person = Person(Population(lapse=1.0), 0, 0)
    replies = [person.reply(f"A{at}", "none", same=True, block=0, model_right=None, attention=True)
               for at in range(400)]
    assert 0.4 < np.mean([reply.answer == "same" for reply in replies]) < 0.6


def test_power_uses_the_tests_of_the_analysis():
    generator = np.random.default_rng(1)
    scores = simulate_scores(Population(), StudyConfig(), 16, 20, generator)
    assert scores.shape == (20, 16, 4)
    assert friedman_p(scores) == pytest.approx([stats.friedmanchisquare(*study.T).pvalue for study in scores])
    p = generator.random((8, 6)) ** 4
    expected = [multipletests(row, 0.05, "holm")[0] for row in p]
    assert np.array_equal(holm_rejects(p, 0.05), expected) and np.any(expected)
    means = simulate_scores(Population(), StudyConfig(), 32, 200, generator).mean(axis=(0, 1)) / 15
    assert means == pytest.approx([count / 315 for count in PAPER_CORRECT.values()], abs=0.015)


def test_power_of_the_papers_effects():
    """What docs/study.md says: 32 people tell none from the CNN, 12 do not, and nobody tells H2L from EMD."""
    few, recommended = power_table(sizes=(12, 32), repetitions=150, seed=3)
    power = {(pair["a"], pair["b"]): pair["power"] for pair in recommended["pairs"]}
    assert recommended["n"] % len(cells(StudyConfig())) == 0 and recommended["friedman"] > 0.98
    assert power["none", "cnn_cc"] > 0.85 and power["h2l_cc", "emd_flow"] < 0.2
    assert few["pairs"][0]["power"] < 0.7
    assert "| 32 |" in power_text([few, recommended])


def test_without_an_effect_power_is_the_rate_of_false_alarms():
    flat = Population(skill=dict.fromkeys(PAPER_CORRECT, 0.7))
    (row,) = power_table(flat, sizes=(16,), repetitions=300, seed=1)
    assert row["friedman"] < 0.1 and all(pair["power"] < 0.04 for pair in row["pairs"])
