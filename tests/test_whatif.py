"""What if: against linear programming, against the whole pipeline on changed crops, and in the limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import QUERIES
from scipy.optimize import linprog

from demo.benchmarks.whatif import QUESTIONS, run
from demo.errors import BadSetting
from demo.figures import crops_of
from demo.matching import forced_transport, transport
from demo.methods import DEFAULT, NONE, PUBLISHED
from demo.query import asked
from demo.ui.views.board import Result
from demo.ui.views.whatif import edit_of, outcome_value, played_value
from demo.whatif import Edit, Hidden, WhatIf, hidden

PHOTO = QUERIES / "person-083" / "05.jpg"


def answered(identifier, method: str, **settings) -> WhatIf:
    found = identifier.identify(PHOTO, occlusion="mask", style="surgical-blue", stage2=method, **settings)
    return WhatIf(found, identifier, crops_of(identifier))


@pytest.fixture(scope="module", params=[DEFAULT.word, PUBLISHED.word, NONE])
def what_if(request, shown):
    return answered(shown, request.param)


@pytest.fixture(scope="module")
def moved(shown):
    return answered(shown, PUBLISHED.word)


def least_with_forced(cost, u, v, partners):
    """Two linear programs: the most mass that fits on the arcs, then the least cost of a plan that sends so much."""
    rows, columns = cost.shape
    sums = np.zeros((rows + columns, rows * columns))
    for row in range(rows):
        sums[row, row * columns:(row + 1) * columns] = 1
    for column in range(columns):
        sums[rows + column, column::columns] = 1
    on = np.zeros(rows * columns)
    on[[row * columns + column for row, column in partners]] = 1
    most = -linprog(-on, A_eq=sums, b_eq=np.r_[u, v]).fun
    return most, linprog(cost.ravel(), A_eq=sums, b_eq=np.r_[u, v], A_ub=-on[None], b_ub=[1e-12 - most]).fun


@pytest.mark.parametrize("seed", range(8))
def test_forced_transport_is_the_cheapest_plan_that_forces(seed):
    rng = np.random.default_rng(seed)
    cost, u, v = rng.random((6, 7)), rng.random(6), rng.random(7)
    u, v = u / u.sum(), v / v.sum()
    partners = [(int(rng.integers(6)), int(rng.integers(7))) for _ in range(1 + seed % 3)]
    plan = forced_transport(*(torch.tensor(one)[None] for one in (cost, u, v)), partners)
    most, least = least_with_forced(cost, u, v, partners)
    sent = sum(float(plan.flow[0, row, column]) for row, column in set(partners))
    assert sent == pytest.approx(most, abs=1e-6) and float(plan.cost[0]) == pytest.approx(least, abs=1e-6)
    free = transport(*(torch.tensor(one)[None] for one in (cost, u, v)))
    assert float(plan.cost[0]) >= float(free.cost[0]) - 1e-7


def test_what_may_go_where_it_goes_anyhow_costs_nothing_more(moved):
    row, evidence = moved.found.ranking[0].row, moved.ask(moved.found.ranking[0].row, Edit()).evidence
    arc = divmod(int(evidence.flow[0].argmax()), evidence.flow.shape[2])
    kept = moved.ask(row, Edit(forced=(arc,)))
    assert kept.patch >= moved.ask(row, Edit()).patch - 1e-6 and not kept.unforced
    apart = moved.ask(row, Edit(forced=((0, 48), (8, 40), (24, 0))))
    assert apart.patch > moved.ask(row, Edit()).patch and apart.rank >= kept.rank


def test_nothing_changed_is_the_answer_itself(what_if):
    match = what_if.found.ranking[2]
    same = what_if.ask(match.row, Edit())
    assert same.rank == match.rank and same.cosine == pytest.approx(match.cosine, abs=1e-6)
    assert (same.combined if same.combined is not None else same.cosine) == pytest.approx(match.distance, abs=1e-6)


def test_a_changed_query_is_ranked_as_if_it_had_come_so(what_if, shown):
    """Independent of the shortcut: the changed crop through the whole pipeline, the gallery searched anew."""
    edit = Edit(query=Hidden(covered=(8, 9, 10), blurred=(16,)))
    query = what_if.found.query
    crop = hidden(query.crop, edit.query, what_if.grid)
    features = replace(shown.backbone.extract(crop), landmarks=query.features.landmarks)
    again = shown.rank(replace(query, crop=crop, features=features), what_if.found.matching)
    row = what_if.found.ranking[0].row
    outcome, match = what_if.ask(row, edit), next(one for one in again.ranking if one.row == row)
    assert outcome.cosine == pytest.approx(match.cosine, abs=1e-5)
    if match.patch is not None:
        assert outcome.patch == pytest.approx(match.patch, abs=1e-5)
    first = [one.row for one in again.ranking[:20] if one.row in what_if.rows]
    alpha = what_if.found.matching.alpha if what_if.found.matching.reranks else 0
    mixed = {one: alpha * outcome.patches.get(one, 0) + (1 - alpha) * outcome.cosines[one] for one in what_if.rows}
    ours = sorted(mixed, key=mixed.__getitem__)
    assert ours[:3] == first[:3]


def test_a_changed_candidate_moves_itself_alone(what_if):
    first, other = (match.row for match in what_if.found.ranking[:2])
    before, after = what_if.ask(first, Edit()), what_if.ask(first, Edit(candidate=Hidden(covered=tuple(range(28)))))
    assert after.cosine > before.cosine and after.rank >= before.rank
    assert after.cosines[other] == pytest.approx(before.cosines[other], abs=1e-6)


def test_hidden_patches_and_no_others_change():
    crop = np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8)
    changed = hidden(crop, Hidden(covered=(0,), blurred=(48,)), (7, 7))
    assert np.ptp(changed[:16, :16].reshape(-1, 3), 0).max() == 0 and (changed[:16, 16:] == crop[:16, 16:]).all()
    assert (changed[96:, 96:] != crop[96:, 96:]).any() and hidden(crop, Hidden(), (7, 7)) is crop


def test_a_mask_is_moved_off_the_face(what_if):
    mask, row = what_if.mask, next(one.row for one in what_if.found.ranking if one.identity == PHOTO.parent.name)
    assert mask.at(0, 0).shape == mask.bare.shape and (mask.at(0, 1) == mask.bare).all()
    worn, off = what_if.ask(row, Edit(mask=(0, 0))), what_if.ask(row, Edit(mask=(0, 1)))
    assert off.cosine < worn.cosine - 0.1


def test_deletion_ends_where_every_order_ends(what_if):
    row = what_if.found.ranking[0].row
    played = what_if.play(row, range(49), steps=5, random_orders=2)
    assert played.shares.tolist()[0] == 0 and played.shares[-1] == 1 and len(played.crops) == len(played.shares) == 6
    assert played.named[0] == pytest.approx(what_if.found.ranking[0].distance, abs=1e-5)
    assert np.allclose(played.random[:, [0, -1]], played.named[[0, -1]], atol=1e-5)
    with pytest.raises(BadSetting, match="every one of the 49"):
        what_if.play(row, [0, 1])


@pytest.mark.parametrize("edit", [Edit(query=Hidden(covered=(49,))), Edit(candidate=Hidden(blurred=(-1,))),
                                  Edit(mask=(0, 2)), Edit(forced=((0, 99),))])
def test_what_is_not_there_is_refused(moved, edit):
    with pytest.raises(BadSetting):
        moved.ask(moved.found.ranking[0].row, edit)


def test_only_ranked_candidates_are_asked_about(moved):
    with pytest.raises(BadSetting, match="not among them"):
        moved.ask(moved.found.stage1[-1].row, Edit())


@pytest.mark.parametrize("sent", [None, [], {"query": {"covered": "all"}}, {"query": {"covered": [True]}},
                                  {"mask": [0]}, {"mask": [0, "down"]}, {"forced": [[1]]}, {"forced": 3},
                                  {"candidate": {"blurred": [0] * 5000}}])
def test_a_page_can_send_nothing_else(sent):
    with pytest.raises(BadSetting):
        edit_of(sent)


def test_what_the_page_gets(moved, shown):
    result = Result(moved.found, shown)
    row = moved.found.ranking[0].row
    sent = {"query": {"covered": [9], "blurred": []}, "candidate": {"covered": [], "blurred": [3]}, "mask": [0, 0.1],
            "forced": [[1, 2]]}
    value = outcome_value(result, row, edit_of(sent), "weights", 7)
    assert value["number"] == 7 and len(value["first"]) == value["of"] == 100 and value["mask"]["cloth"].startswith(
        "data:image/png")
    assert value["reason"].startswith("data:image/") and len(value["crops"]) == 2
    assert outcome_value(result, row, Edit(), "nothing", 1)["reason"] is None
    played = played_value(result, row, "weights")
    assert sorted(played["order"]) == list(range(49)) and len(played["named"]) == len(played["crops"])
    with pytest.raises(BadSetting, match="Unknown explanation"):
        played_value(result, row, "nothing")


def test_every_setting_is_kept(shown):
    """Asked under the settings of the answer, not the defaults."""
    _, matching = asked(stage2=PUBLISHED.word, weighting="sc", k=7, alpha=0.4)
    what_if = answered(shown, PUBLISHED.word, weighting="sc", k=7, alpha=0.4)
    best = what_if.found.ranking[0]
    same = what_if.ask(best.row, Edit())
    assert len(same.cosines) == matching.k and same.combined == pytest.approx(best.combined, abs=1e-6)


@pytest.mark.slow
def test_the_benchmark_tells_how_long_a_question_takes():
    found = run(1)
    assert found["questions"] == QUESTIONS and {row["candidates"] for row in found["rows"]} == {"100"}
    assert all(float(row["median ms"]) <= float(row["p95 ms"]) for row in found["rows"])
