"""Deletion and insertion curves on planted models whose answers are known, and the mass on an occluder by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from conftest import QUERIES

from demo.drawing.erase import erased
from demo.errors import BadSetting
from demo.evaluation import query_set
from demo.evaluation.deletion import area, curves, leave_one_out_drops, order_of, patch_cover, shares
from demo.evaluation.faithfulness import BEST, CENTRE, RANDOM, faithfulness
from demo.evaluation.interval import interval
from demo.gallery import list_photos
from demo.query import Preparation

PATCHES = 12
WORTH = np.random.default_rng(0).permutation(PATCHES) + 1.0  # each patch adds its own known amount


def additive(kept: np.ndarray) -> dict[str, np.ndarray]:
    return {"S": kept @ WORTH}


def test_the_planted_order_gives_the_areas_that_can_be_computed_by_hand():
    order = order_of(WORTH, np.random.default_rng(1))
    assert (WORTH[order] == np.arange(PATCHES, 0, -1)).all()
    traced = curves([order], additive, PATCHES)["S"]
    # With worths 12, 11, ..., 1 the first m patches are worth m (25 - m) / 2.
    m = np.arange(PATCHES + 1)
    inserted = m * (2 * PATCHES + 1 - m) / 2
    assert traced[0, 1] == pytest.approx(inserted) and traced[0, 0] == pytest.approx(inserted[-1] - inserted)
    by_hand = sum((inserted[i] + inserted[i + 1]) / 2 for i in range(PATCHES)) / PATCHES
    assert area(traced, shares(PATCHES, PATCHES))[0] == pytest.approx([inserted[-1] - by_hand, by_hand])


def test_the_reverse_order_has_both_areas_swapped_and_no_order_beats_the_planted_one():
    rng = np.random.default_rng(2)
    best = order_of(WORTH, rng)
    orders = [best, best[::-1], *(rng.permutation(PATCHES) for _ in range(200))]
    areas = area(curves(orders, additive, 4)["S"], shares(PATCHES, 4))
    assert areas[1] == pytest.approx(areas[0][::-1])
    gains = areas[:, 1] - areas[:, 0]
    assert gains[0] == gains.max() and gains[1] == gains.min()
    assert interval(gains[2:]).low < 0 < interval(gains[2:]).high, "random orders say nothing"


def test_taking_one_patch_away_finds_an_additive_model_and_every_version_is_asked_once():
    asked = []

    def ask(kept):
        asked.append(kept)
        return additive(kept)

    assert leave_one_out_drops(PATCHES, ask)["S"] == pytest.approx(WORTH)
    curves([np.arange(PATCHES), np.arange(PATCHES)[::-1]], ask, 3)
    assert len(np.unique(asked[-1], axis=0)) == len(asked[-1])


def test_steps_of_a_curve():
    assert shares(64, 16) == pytest.approx(np.arange(17) / 16)
    assert shares(9, 16) == pytest.approx(np.arange(10) / 9)
    assert np.diff(shares(10, 4)).max() <= 0.3 + 1e-9
    with pytest.raises(BadSetting):
        shares(64, 0)


def test_equal_patches_come_in_random_order():
    orders = {tuple(order_of(np.array([1.0, 1, 1, 5]), np.random.default_rng(seed))) for seed in range(30)}
    assert len(orders) == 6 and {order[0] for order in orders} == {3}


def test_erasing_changes_the_named_patches_alone():
    crop = np.random.default_rng(3).integers(0, 256, (50, 30, 3), dtype=np.uint8)
    kept = np.ones((2, 6), bool)
    kept[1, 3] = False  # second row, second column of 3 x 2
    for removal in ("blur", "mean"):
        versions = erased(crop, kept, (3, 2), removal)
        assert (versions[0] == crop).all()
        changed = (versions[1] != crop).any(-1)
        assert changed[17:33, 15:].mean() > 0.9 and not changed[:17].any() and not changed[:, :15].any()
    assert versions[1][20, 20] == pytest.approx(crop.mean((0, 1)), abs=0.51)
    with pytest.raises(BadSetting):
        erased(crop, kept, (3, 2), "pink")


def test_cover_of_the_patches_by_hand():
    cover = np.zeros((40, 40), np.float32)
    cover[20:, 10:] = 1  # the lower half but for its left quarter
    assert patch_cover(cover, (2, 2)) == pytest.approx([0, 0, 0.5, 1])


def test_the_interval_holds_the_mean_and_narrows():
    values = np.random.default_rng(4).normal(3, 1, 400)
    few, many = interval(values[:25]), interval(values)
    for found, n in ((few, 25), (many, 400)):
        assert found.low < found.mean < found.high
        assert found.high - found.low == pytest.approx(2 * 1.96 / np.sqrt(n), rel=0.35)
    assert interval(values) == many and interval([2.0]).low == 2.0


def test_faithfulness_of_the_default_backbone(identifier):
    queries = query_set(list_photos(QUERIES), identifier.gallery)[:1]
    result = faithfulness(identifier, queries, Preparation(alteration="mask"), steps=2, random_orders=1)
    names = {judged.explanation for judged in result.own}
    assert {"weights: apc", "weights: lmk", "flow: uniform", RANDOM, CENTRE, BEST} <= names
    assert "weights: uniform" not in names
    for judged in result.own:
        assert judged.deletion[0] == pytest.approx(judged.insertion[-1]), "all patches are there"
        assert judged.deletion[-1] == pytest.approx(judged.insertion[0]), "none is"
    best, random = ({judged.score: judged.gain.mean for judged in result.own if judged.explanation == name}
                    for name in (BEST, RANDOM))
    assert all(best[score] > random[score] for score in ("C", "D apc", "H2L"))
    assert 0.1 < result.area.mean < 0.5 and set(result.mass) > set(result.crossed) - {RANDOM, CENTRE}
    assert result.mass["unmatched: uniform, share 0.7"].mean > 1.3 * result.area.mean, "the mask matches nothing"
    assert json.loads(json.dumps(result.as_json()))["queries"] == 1
    assert "| weights: apc | D apc |" in result.as_table()
    with pytest.raises(BadSetting, match="true, top"):
        faithfulness(identifier, queries, against="all")
    stranger = [replace(queries[0], identity="nobody")]
    with pytest.raises(BadSetting, match="nobody"):
        faithfulness(identifier, stranger)
