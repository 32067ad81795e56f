"""Measures of verification against hand-worked cases and against definitions written out."""

import numpy as np
import pytest

from demo.evaluation.rates import best_threshold, fold_accuracies, roc


def distances(seed: int, ties: bool) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    same = generator.random(300) < 0.4
    values = np.where(same, generator.normal(0.4, 0.2, 300), generator.normal(0.8, 0.2, 300))
    return (np.round(values, 1) if ties else values), same


def test_hand_worked_roc():
    curve = roc([0.1, 0.2, 0.3, 0.4], [True, False, True, False])
    assert curve.far.tolist() == [0, 0, 0.5, 0.5, 1] and curve.tar.tolist() == [0, 0.5, 0.5, 1, 1]
    assert curve.auc == pytest.approx(0.75) and curve.eer == pytest.approx(0.5)
    apart = roc([0.1, 0.2, 0.8, 0.9], [True, True, False, False])
    assert (apart.auc, apart.eer) == (1, 0)
    assert roc([1, 1, 1, 1], [True, False, True, False]).auc == pytest.approx(0.5)
    assert roc([1, 1, 1, 1], [True, False, True, False]).eer == pytest.approx(0.5)


@pytest.mark.parametrize("ties", [False, True])
def test_against_definitions(ties):
    for seed in range(5):
        values, same = distances(seed, ties)
        curve = roc(values, same)
        own, other = values[same], values[~same]
        wins = (own[:, None] < other).mean() + (own[:, None] == other).mean() / 2  # Mann-Whitney
        assert curve.auc == pytest.approx(wins)
        for limit in (0.1, 0.01):
            tars = [np.mean(own <= t) for t in [-9, *values] if np.mean(other <= t) <= limit]
            assert curve.tar_at(limit) == pytest.approx(max(tars))
        # The EER lies between the error rates of the two thresholds about the crossing.
        errors = np.array([(np.mean(other <= t), np.mean(own > t)) for t in np.unique(values)])
        crossing = int(np.argmax(errors[:, 0] >= errors[:, 1]))
        low, high = errors[crossing - 1], errors[crossing]
        assert low[0] - 1e-12 <= curve.eer <= high[0] + 1e-12 and high[1] - 1e-12 <= curve.eer <= low[1] + 1e-12


def test_tar_needs_enough_strangers():
    values, same = distances(0, False)
    curve = roc(values, same)
    assert curve.tar_at(1e-2) is not None and curve.tar_at(1e-3) is None


def test_roc_needs_both_kinds():
    with pytest.raises(ValueError, match="pairs of two"):
        roc([0.1, 0.2], [True, True])


@pytest.mark.parametrize("ties", [False, True])
def test_best_threshold_is_the_best(ties):
    for seed in range(5):
        values, same = distances(seed, ties)
        chosen = best_threshold(values, same)
        tried = [np.mean((values <= t) == same) for t in [-9, *values, 9]]
        assert np.mean((values <= chosen) == same) == max(tried)
    assert best_threshold(np.array([0.2, 0.1]), np.array([False, True])) == pytest.approx(0.15)
    assert best_threshold(np.array([0.5]), np.array([False])) < 0.5


def test_folds_are_judged_by_the_others():
    """The same in plain loops; and a fold with turned labels scores low, as its threshold comes from the others."""
    values, same = distances(3, False)
    folds = np.arange(300) % 10
    accuracies, thresholds = fold_accuracies(values, same, folds)
    for fold in range(10):
        rest = [(v, s) for v, s, f in zip(values, same, folds, strict=True) if f != fold]
        best = max(sum((v <= t) == s for v, s in rest) for t, _ in rest)
        assert sum((v <= thresholds[fold]) == s for v, s in rest) == best
        held = [(v <= thresholds[fold]) == s for v, s, f in zip(values, same, folds, strict=True) if f == fold]
        assert accuracies[fold] == pytest.approx(np.mean(held))
    same[folds == 4] = ~same[folds == 4]
    turned, _ = fold_accuracies(values, same, folds)
    assert turned[4] < 0.4 < turned.max()
