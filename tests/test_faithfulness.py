"""The faithfulness board on planted models whose answers are known, and once from photos to table."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
from conftest import QUERIES

from demo.errors import BadSetting
from demo.evaluation import query_set
from demo.evaluation.board import Record, board
from demo.evaluation.curve_store import CurveStore
from demo.evaluation.deletion import area, inner, order_of, outer, pixel_map, shares, versions
from demo.evaluation.faithfulness import Asked, faithfulness, threshold
from demo.evaluation.field import (
    BEST,
    CENTRE,
    CORRRISE,
    RANDOM,
    XSSAB,
    centre_map,
    corrrise_map,
    rise_masks,
    xssab_map,
)
from demo.evaluation.interval import interval
from demo.explain.badge import badge, keep
from demo.explain.covers import covered, erased, kept_patches, patch_cover, version_weights
from demo.gallery import list_photos
from demo.query import Preparation

PATCHES = 12
WORTH = np.random.default_rng(0).permutation(PATCHES) + 1.0  # each patch adds its own known amount


def traced(orders, steps: int) -> np.ndarray:
    """(orders, 2, T + 1) scores of the planted model, which adds up what is there."""
    return outer(inner([versions(order, steps) for order in orders]) @ WORTH, len(orders), steps)


def gain(curves: np.ndarray) -> np.ndarray:
    areas = area(curves)
    return areas[..., 1] - areas[..., 0]


def test_the_planted_order_gives_the_areas_that_can_be_computed_by_hand():
    order = order_of(WORTH, np.random.default_rng(1))
    assert (WORTH[order] == np.arange(PATCHES, 0, -1)).all()
    curves = traced([order], PATCHES)[0]
    # With worths 12, 11, ..., 1 the first m patches are worth m (25 - m) / 2.
    m = np.arange(PATCHES + 1)
    inserted = m * (2 * PATCHES + 1 - m) / 2
    assert curves[1] == pytest.approx(inserted) and curves[0] == pytest.approx(inserted[-1] - inserted)
    by_hand = sum((inserted[i] + inserted[i + 1]) / 2 for i in range(PATCHES)) / PATCHES
    assert area(curves) == pytest.approx([inserted[-1] - by_hand, by_hand])


def test_the_reverse_order_has_both_areas_swapped_and_no_order_beats_the_planted_one():
    rng = np.random.default_rng(2)
    best = order_of(WORTH, rng)
    curves = traced([best, best[::-1], *(rng.permutation(PATCHES) for _ in range(200))], 4)
    assert area(curves)[1] == pytest.approx(area(curves)[0][::-1])
    gains = gain(curves)
    assert gains[0] == gains.max() and gains[1] == gains.min()
    assert interval(gains[2:]).low < 0 < interval(gains[2:]).high, "random orders say nothing"


def test_steps_and_ties():
    assert shares(10) == pytest.approx(np.arange(11) / 10)
    with pytest.raises(BadSetting):
        shares(0)
    orders = {tuple(order_of(np.array([1.0, 1, 1, 5]), np.random.default_rng(seed))) for seed in range(30)}
    assert len(orders) == 6 and {order[0] for order in orders} == {3}


def test_erasing_changes_the_named_patches_alone():
    crop = np.random.default_rng(3).integers(0, 256, (50, 30, 3), dtype=np.uint8)
    kept = np.ones((2, 6), bool)
    kept[1, 3] = False  # second row, second column of 3 x 2
    for removal in ("blur", "mean", "black"):
        changed = erased(crop, kept, (3, 2), removal)
        assert (changed[0] == crop).all()
        other = (changed[1] != crop).any(-1)
        assert other[17:33, 15:].mean() > 0.9 and not other[:17].any() and not other[:, :15].any()
    pixels = np.zeros((1, 50, 30), bool)
    pixels[0, 7, 9] = True
    assert (erased(crop, pixels, (3, 2), "black")[0].any(-1)).sum() == 1
    with pytest.raises(BadSetting):
        erased(crop, kept, (3, 2), "pink")


def test_cover_of_the_patches_by_hand():
    cover = np.zeros((40, 40), np.float32)
    cover[20:, 10:] = 1  # the lower half but for its left quarter
    assert patch_cover(cover, (2, 2)) == pytest.approx([0, 0, 0.5, 1])


def test_versions_of_a_face_are_halves_and_every_patch_is_there_in_half_of_them():
    kept, halves = kept_patches((7, 7)), kept_patches((14, 14))
    half, alone = kept[:len(halves)], kept[len(halves):]
    assert (half.mean(0) == 0.5).all() and set(half.sum(1)) == {24, 25} and (half[::2] ^ half[1::2]).all()
    assert (alone == ~np.eye(49, dtype=bool)).all(), "and each is gone alone, where they are few"
    assert set(halves.sum(1)) == {98} and (halves.mean(0) == 0.5).all()
    assert version_weights(kept).tolist() == [1.0] * len(half) + [4.0] * 49
    assert (kept_patches((7, 7)) == kept).all()


def test_the_interval_holds_the_mean_and_narrows():
    values = np.random.default_rng(4).normal(3, 1, 400)
    few, many = interval(values[:25]), interval(values)
    for found, n in ((few, 25), (many, 400)):
        assert found.low < found.mean < found.high
        assert found.high - found.low == pytest.approx(2 * 1.96 / np.sqrt(n), rel=0.35)
    assert interval(values) == many and interval([2.0]).low == 2.0


def test_the_threshold_is_where_both_errors_meet():
    rng = np.random.default_rng(5)
    own, others = rng.normal(0.4, 0.1, 500), rng.normal(0.9, 0.1, 5000)
    found = threshold(own.tolist(), others)
    assert (own > found).mean() == pytest.approx((others <= found).mean(), abs=0.005)


def test_corrrise_finds_the_pixels_that_a_planted_score_looks_at():
    masks = rise_masks((56, 56), 300, np.random.default_rng(6))
    assert masks.min() >= 0 and masks.max() <= 1 and masks.mean() == pytest.approx(0.5, abs=0.03)
    seen = masks[:, 8:16, 40:48].mean((1, 2))
    found = corrrise_map(masks, seen)
    assert found[12, 44] == pytest.approx(found.max(), abs=0.02) and found.max() > 0.95
    by_hand = np.corrcoef(masks[:, 30, 10], seen)[0, 1]
    assert found[30, 10] == pytest.approx(by_hand, abs=1e-4)


def test_xssab_is_the_difference_of_two_gradients(shown):
    backbone = shown.backbone
    crop = shown.gallery.crop(0, backbone)
    own, other = shown.gallery.features([0, 5]).embedding
    against_itself, low, high = (xssab_map(backbone, crop, other, level) for level in (0.3, -100.0, 100.0))
    assert low.min() >= 0 >= high.max() and against_itself.shape == crop.shape[:2]
    np.testing.assert_allclose(low, -high, rtol=1e-4)  # all arguments on one side or on the other
    assert xssab_map(backbone, crop, own, 0.3).sum() > against_itself.sum()


def records(rng: np.random.Generator, count: int = 60) -> list[Record]:
    """Probes of a planted model with a true, a useless and a half true explanation."""
    made = []
    for number in range(count):
        orders = {BEST: order_of(WORTH, rng), "mine": order_of(WORTH + rng.normal(0, 1.5, PATCHES), rng),
                  RANDOM: rng.permutation(PATCHES), CENTRE: order_of(WORTH + rng.normal(0, 8, PATCHES), rng)}
        scores = traced(list(orders.values()), 6) / WORTH.sum()
        curves = {f"{name}|cosine": np.stack([1 - each, np.full_like(each, 0.7)], -1)
                  for name, each in zip(orders, scores, strict=True)}
        made.append(Record(f"person {number // 2}", curves | {"covered": np.array(False)}))
    return made


def test_the_board_ranks_planted_explanations_and_counts_by_hand():
    found = board(records(np.random.default_rng(7)), {"cosine": "C"}, {"cosine": 0.5}, "black", None)
    rows = {row.explanation: row for row in found.rows}
    assert rows[BEST].possible.mean == 1 and rows[RANDOM].possible.mean == 0
    assert 0.9 < rows["mine"].possible.mean < 1 and rows["mine"].passes and not rows[CENTRE].passes
    assert rows["mine"].possible.low < rows["mine"].possible.mean < rows["mine"].possible.high
    assert rows["mine"].centre == rows[CENTRE].possible.mean and rows[CENTRE].centre_p > 0.9
    curve = rows["mine"].curves[0]
    assert curve[0] == 1 and curve[-1] == 0
    by_hand = sum((a + b) / 2 for a, b in zip(curve[:-1], curve[1:], strict=True)) / 6 * 100
    assert rows["mine"].deletion.mean == pytest.approx(by_hand)
    assert rows["mine"].insertion.mean > 60 > 40 > rows["mine"].deletion.mean
    assert (found.probes, found.people, found.covered) == (60, 30, False)
    assert "| C | mine |" in found.as_table() and json.loads(json.dumps(found.as_json()))["rows"][0]


def test_a_badge_says_what_was_measured_and_nothing_else(tmp_path, monkeypatch):
    file = tmp_path / "faithfulness.json"
    measured = board(records(np.random.default_rng(8)), {"cosine": "C"}, {"cosine": 0.5}, "black", None).as_json()
    keep(file, "mobilefacenet", "planted", measured)
    keep(file, "mobilefacenet", "others", measured | {"covered": True})
    monkeypatch.setattr(import_module("demo.explain.badge"), "FILE", file)  # the package has a function of this name
    found = badge("mine", "cosine", "mobilefacenet")
    assert found.passes and f"{found.possible:.0%}".replace("%", " %") in found.text
    assert found.text.startswith("faithful to the cosine: ") and "unaltered faces" in found.text
    assert f"centre first {100 * found.centre:.0f}" in found.text
    assert "masked faces" in badge("mine", "cosine", "mobilefacenet", "mask").text
    for unknown in (badge("mine", "cosine", "dlib"), badge("yours", "cosine", "mobilefacenet"),
                    badge("mine", "cosine", "mobilefacenet", "sunglasses")):
        assert unknown.passes is None and unknown.text.startswith("not measured: how faithful it is to the cosine on ")
    assert "faces with sunglasses" in unknown.text and "faithful it is to H2L" in badge("mine", "h2l", "dlib").text
    file.write_text("{")
    with pytest.raises(BadSetting):
        keep(file, "mobilefacenet", "planted", measured)


def test_covered_versions_are_remembered(shown):
    found = shown.gallery.features([0])
    crop = shown.gallery.crop(0, shown.backbone)
    assert covered(crop, found, shown.backbone) is covered(crop.copy(), found, shown.backbone)


@pytest.mark.slow
def test_faithfulness_from_photos_to_table(shown, tmp_path):
    queries = query_set(list_photos(QUERIES), shown.gallery)[:2]
    asked = Asked(steps=2, masks=4, methods=("cosine", "alike"))
    store = CurveStore(tmp_path)
    result = faithfulness(shown, queries, Preparation(alteration="mask"), asked, store=store)
    names = {(row.explanation, row.method) for row in result.rows}
    assert {(name, "cosine") for name in ("agreement-cosine", "correlation", RANDOM, CENTRE, BEST, CORRRISE, XSSAB)
            } <= names
    assert ("agreement-alike", "alike") in names and ("flow", "emd") not in names
    assert 0.1 < result.area < 0.6 and result.covered
    assert all(0 <= row.deletion.mean <= 100 and 0 <= row.insertion.mean <= 100 for row in result.rows)
    again = faithfulness(shown, queries, Preparation(alteration="mask"), asked, store=store, kept=True)
    assert again.as_json() == result.as_json()
    one = faithfulness(shown, queries, Preparation(alteration="mask"), asked, store=store, kept=True,
                       progress=lambda numbers: numbers[:1])
    assert one.probes == 1 and one.limits == result.limits, "a part is judged by the threshold of all"
    with pytest.raises(BadSetting, match="Nothing was measured"):
        faithfulness(shown, queries, asked=asked, store=store, kept=True)
    with pytest.raises(BadSetting, match="pink"):
        faithfulness(shown, queries, asked=replace(asked, removal="pink"))
    stranger = [replace(queries[0], identity="nobody")]
    with pytest.raises(BadSetting, match="nobody"):
        faithfulness(shown, stranger, asked=asked)


def test_the_middle_of_the_crop_matters_most_where_nothing_is_known():
    found = centre_map((11, 11))
    assert np.unravel_index(found.argmax(), found.shape) == (5, 5) and found[0, 0] == pytest.approx(found.min())
    assert pixel_map(np.array([1.0, 0, 0, 0]), (2, 2), (8, 8))[1, 1] == 1
