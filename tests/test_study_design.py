"""The study's configuration and design: balance, order, determinism, and mistakes named."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest
from studies import SECRET, fake_stimuli

from demo.errors import BadStudy
from demo.study import Cell, StudyConfig, cells, participant_plan
from demo.study.design.cells import blocks, longest_run, participant_seed, same_counts, williams_rows


@pytest.fixture(scope="module")
def stimuli(tmp_path_factory):
    return fake_stimuli(tmp_path_factory.mktemp("stimuli"), StudyConfig())


def plan_of(stimuli, cell, pid, config=StudyConfig()):  # noqa: B008
    return participant_plan(config, cell, participant_seed(SECRET, pid), stimuli.sets, stimuli.same)


def test_four_conditions_give_the_square_of_the_study():
    assert ["".join(map(str, row)) for row in williams_rows(4)] == ["0132", "1203", "2310", "3021"]


@pytest.mark.parametrize("n", range(2, 9))
def test_williams_rows_balance_positions_and_followers(n):
    rows = williams_rows(n)
    assert {Counter(column)[value] for column in zip(*rows, strict=True) for value in range(n)} == {len(rows) // n}
    followers = Counter(pair for row in rows for pair in zip(row, row[1:], strict=False))
    assert set(followers.values()) == {len(rows) // n} and len(followers) == n * (n - 1)


def test_over_the_cells_every_set_meets_every_condition_at_every_position_once():
    config = StudyConfig()
    met = Counter((place, condition, name) for cell in cells(config)
                  for place, (condition, name) in enumerate(blocks(config, cell)))
    assert len(cells(config)) == 16 and len(met) == 64 and set(met.values()) == {1}


def test_every_pair_is_judged_in_every_condition_equally_often(stimuli):
    judged = Counter((row.pair_id, row.condition) for number, cell in enumerate(cells(StudyConfig()))
                     for row in plan_of(stimuli, cell, str(number)) if row.phase == "main")
    assert len(judged) == 60 * 4 and set(judged.values()) == {4}


def test_a_plan_has_the_promised_blocks_runs_and_checks(stimuli):
    for number in range(48):
        plan = plan_of(stimuli, cells(StudyConfig())[number % 16], f"p{number}")
        assert [row.idx for row in plan] == list(range(4 * (5 + 17)))
        checks = [row.pair_id for row in plan if row.phase == "attn"]
        assert len(set(checks)) == 8
        for block in range(4):
            own = [row for row in plan if row.block == block]
            train, test = own[:5], own[5:]
            assert {row.phase for row in train} == {"train"} and [row.pos for row in test] == list(range(17))
            assert len({row.condition for row in own}) == 1
            assert longest_run([stimuli.same[row.pair_id] for row in test]) <= 3
            assert test[0].phase == test[-1].phase == "main"
        assert len({row.pair_id for row in plan if row.phase == "main"}) == 60
        assert len({row.pair_id for row in plan if row.phase == "train"}) == 20, "other practice in every round"


def test_left_and_right_and_orders_differ_between_people_and_not_between_runs(stimuli):
    one, again, other = (plan_of(stimuli, Cell(0, 0), pid) for pid in ("a", "a", "b"))
    assert one == again != other
    flips = [row.flip for number in range(40) for row in plan_of(stimuli, Cell(0, 0), str(number))]
    assert 0.45 < sum(flips) / len(flips) < 0.55


def test_sets_alternate_between_eight_and_seven_of_one_person():
    assert same_counts(StudyConfig()) == [8, 7, 8, 7] and same_counts(StudyConfig(), 1) == [7, 8, 7, 8]
    assert sum(same_counts(StudyConfig())) == 30


def test_the_papers_design_is_a_configuration(stimuli):
    paper = StudyConfig.preset("paper")
    plan = plan_of(stimuli, *cells(paper), "p", paper)
    assert cells(paper) == [Cell(0, 0)] and not paper.confidence
    assert list(dict.fromkeys(row.condition for row in plan)) == ["none", "cnn_cc", "h2l_cc", "emd_flow"]
    assert Counter(row.phase for row in plan) == {"train": 20, "main": 60}
    repeated = replace(paper, counterbalancing="repeated")
    assert len({row.pair_id for row in plan_of(stimuli, Cell(0, 0), "p", repeated) if row.phase == "main"}) == 15


def test_a_configuration_survives_json_and_names_its_hash():
    config = replace(StudyConfig.preset("paper"), title="Größe", planned_n=48)
    again = StudyConfig.from_json(config.to_json())
    assert again == config and again.sha256 == config.sha256 != StudyConfig().sha256
    assert json.loads(config.to_json())["exclusion"]["fast_ms"] == 200


@pytest.mark.parametrize(("text", "word"), [
    ("{", "JSON"), ("[]", "object"), ('{"pairs": 3}', "'pairs'"), ('{"planned_n": "many"}', "planned_n"),
    ('{"confidence": 1}', "true or false"), ('{"pairs_per_set": 1}', "pairs_per_set"),
    ('{"conditions": ["none", "none"]}', "different"), ('{"conditions": "none"}', "list"),
    ('{"counterbalancing": "latin"}', "rotated"), ('{"study_id": "../x"}', "study_id"),
    ('{"exclusion": {"fast_ms": -1}}', "fast_ms"), ('{"texts": {"consent": " "}}', "consent"),
    ('{"texts": {"consnt": "x"}}', "consnt"), ('{"texts": {"score": "{points}"}}', "points"), ('{"texts": 3}', "texts"),
    ('{"language": "xx"}', "xx"), ('{"texts": {"dir": "up"}}', "dir"), ('{"completion_url": "javascript:x"}', "https"),
    ('{"questionnaires": ["mood"]}', "mood"), ('{"questionnaires": [{"id": "x"}]}', "when"),
    ('{"questionnaires": [{"id": "x", "when": "end", "title": "x", "items": []}]}', "items"),
    ('{"exclusion": {"fast_ms": 9000, "slow_ms": 100}}', "smaller"),
])
def test_a_mistake_in_the_configuration_is_named_in_one_sentence(text, word):
    with pytest.raises(BadStudy) as caught:
        StudyConfig.from_json(text)
    assert word in str(caught.value) and "\n" not in str(caught.value)


def test_stimuli_that_do_not_fit_are_refused(stimuli):
    with pytest.raises(BadStudy, match="16 pairs in set A"):
        stimuli.check(replace(StudyConfig(), pairs_per_set=16))
    with pytest.raises(BadStudy, match="h2l_attn"):
        stimuli.check(replace(StudyConfig(), conditions=("none", "cnn_cc", "h2l_cc", "h2l_attn")))
    for name in ("../study.json", "0" * 24 + ".webp", "study.json"):
        with pytest.raises(BadStudy, match="no such picture"):
            stimuli.picture(name)
