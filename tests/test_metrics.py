"""Metrics against hand-worked cases and a second implementation."""

import numpy as np
import pytest

from demo.evaluation import mean_scores, score_query
from demo.evaluation.interval import RESAMPLES, interval


@pytest.mark.parametrize(("correct", "relevant", "expected"), [
    ([1, 1, 0, 0], 2, (1, 1, 1)),
    ([0, 1, 1, 0], 2, (0, 1 / 2, 1 / 4)),              # rank 2 of R = 2: P@2 = 1/2, shared by 2
    ([1, 0, 1, 0, 1], 3, (1, 2 / 3, (1 + 2 / 3) / 3)),
    ([0, 0, 0, 1], 1, (0, 0, 0)),
    ([1, 0, 0], 5, (1, 1 / 5, 1 / 5)),                 # fewer ranks than relevant photos
])
def test_hand_worked_cases(correct, relevant, expected):
    assert score_query([bool(hit) for hit in correct], relevant) == pytest.approx(expected)


def test_against_an_independent_implementation():
    """MAP@R and RP written with cumulative sums over arrays, on random rankings."""
    generator = np.random.default_rng(0)
    for _ in range(200):
        correct = generator.random(30) < 0.3
        relevant = max(1, int(correct.sum()))
        head = correct[:relevant].astype(float)
        precision = np.cumsum(head) / np.arange(1, relevant + 1)
        expected = (float(correct[0]), head.mean(), (precision * head).sum() / relevant)
        assert score_query(correct.tolist(), relevant) == pytest.approx(expected)


def test_means_are_percent():
    scores = mean_scores([(1.0, 0.5, 0.25), (0.0, 0.5, 0.75)])
    assert scores.as_json() == {"P@1": 50.0, "RP": 50.0, "MAP@R": 50.0} and scores.queries == 2
    assert mean_scores([]).queries == 0


def test_a_query_without_relevant_photos_has_no_score():
    with pytest.raises(ValueError, match="no score"):
        score_query([False], 0)


def test_people_are_drawn_with_all_their_photos():
    """Against a loop that draws people one by one; queries of one person alike make the interval wider."""
    generator = np.random.default_rng(3)
    people = np.repeat(np.arange(12), generator.integers(1, 9, 12))
    values = (people % 3 == 0) + 0.1 * generator.random(len(people))
    found, means = interval(values, people.tolist()), []
    for _ in range(RESAMPLES):
        drawn = np.concatenate([values[people == one] for one in generator.integers(0, 12, 12)])
        means.append(drawn.mean())
    low, high = np.quantile(means, (0.025, 0.975))
    assert (found.mean, found.low, found.high) == pytest.approx((values.mean(), low, high), abs=0.03)
    alone = interval(values)
    assert found.high - found.low > 1.3 * (alone.high - alone.low)
    assert interval(values, people.tolist()) == found


def test_scores_have_intervals_and_what_is_gained():
    better, worse, people = [(1.0, 1.0, 1.0)] * 6, [(1.0, 0.5, 0.5)] * 3 + [(0.0, 0.5, 0.5)] * 3, list("aabbcc")
    scores = mean_scores(better, people, worse)
    assert scores.ends[0].low == scores.ends[0].high == 100 and scores.gains[0].mean == 50
    assert 0 <= scores.gains[0].low < 50 < scores.gains[0].high <= 100
    assert scores.gains[1].low == scores.gains[1].high == 50
    assert scores.intervals_json()["gains"]["RP"] == {"mean": 50, "low": 50, "high": 50}
