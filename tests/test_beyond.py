"""The options beyond the papers: partial transport against POT and a linear programme, the adaptive alpha."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import ot
import pytest
import torch
from conftest import QUERIES
from scipy.optimize import linprog

from demo.backbones import Features
from demo.errors import BadSetting
from demo.evaluation import evaluate, query_set
from demo.evaluation.beyond import beyond
from demo.evaluation.variants import VARIANTS, Bench, Case, papers
from demo.explain import flow_picture
from demo.gallery import list_photos
from demo.identify import Identifier
from demo.matching import PatchStatistics, adapted_alpha, emd, transport
from demo.matching.adapt import FEWEST, RAISED_ALPHA, RISE
from demo.methods import Matching
from demo.query import Preparation, prepare_query


def problem(seed: int, batch: int = 3, rows: int = 9, columns: int = 7):
    rng = np.random.default_rng(seed)
    cost = rng.random((batch, rows, columns))
    u, v = (rng.random((batch, n)) ** 3 for n in (rows, columns))
    return cost, u / u.sum(1, keepdims=True), v / v.sum(1, keepdims=True)


@pytest.mark.parametrize("share", [0.2, 0.7, 0.95])
def test_partial_transport_agrees_with_pot(share):
    cost, u, v = problem(1)
    plan = transport(cost, u, v, share=share)
    for b in range(len(cost)):
        theirs = ot.partial.partial_wasserstein2(u[b], v[b], cost[b], m=share)
        assert plan.cost[b] == pytest.approx(theirs, abs=1e-6)
    assert plan.flow.sum((1, 2)).numpy() == pytest.approx(share, abs=1e-8)
    assert (plan.flow.sum(2).numpy() <= u + 1e-9).all() and (plan.flow.sum(1).numpy() <= v + 1e-9).all()
    assert (plan.flow >= 0).all() and plan.residual.max() < 1e-8 and plan.solver == "exact"


@pytest.mark.parametrize("shift", [0.0, -0.6])
def test_partial_transport_agrees_with_a_linear_programme_even_for_negative_costs(shift):
    cost, u, v = problem(2, batch=1)
    cost = cost + shift
    rows, columns = cost.shape[1:]
    limits = np.concatenate([np.kron(np.eye(rows), np.ones(columns)), np.kron(np.ones(rows), np.eye(columns))])
    best = linprog(cost.ravel(), A_ub=limits, b_ub=np.concatenate([u[0], v[0]]), A_eq=np.ones((1, rows * columns)),
                   b_eq=[0.6])
    assert transport(cost, u, v, share=0.6).cost[0] == pytest.approx(best.fun, abs=1e-7)


def test_partial_transport_of_equal_patches_moves_just_the_share():
    plan = transport(np.zeros((1, 4, 4)), np.ones((1, 4)), np.ones((1, 4)), share=0.5)
    assert plan.flow.sum() == pytest.approx(0.5) and plan.cost[0] == 0


def test_partial_transport_leaves_the_patch_that_matches_nothing():
    """Four patches find themselves again; the query's fifth is occluded."""
    eye = torch.eye(6)
    query = Features(torch.ones(1, 6), eye[[0, 1, 2, 3, 5]][None], (1, 5))
    candidate = Features(torch.ones(1, 6), eye[[0, 1, 2, 3, 4]][None], (1, 5))
    whole = emd(query, candidate, "uniform")
    part = emd(query, candidate, "uniform", share=0.8)
    assert whole.distance[0] == pytest.approx(0.2) and part.distance[0] == pytest.approx(0, abs=1e-6)
    assert part.flow[0, 4].sum() == 0 and part.flow[0, :4].sum() == pytest.approx(0.8)
    crop = np.full((50, 250, 3), 200, np.uint8)
    picture = flow_picture(crop, part.flow[0].numpy(), (1, 5), dim=False)
    assert (picture[:, :200] == 200).all() and (picture[:, 200:] == 0).all(), "an unmatched patch shows no patch"


def test_the_distance_of_a_part_is_per_mass_and_no_greater_than_of_the_whole():
    torch.manual_seed(0)
    one, other = (Features(torch.rand(4, 8), torch.rand(4, 16, 8), (4, 4)) for _ in range(2))
    distances = [emd(one, other, "apc", share=share).distance for share in (0.3, 0.6, 0.9, 1.0)]
    assert all((low <= high + 1e-6).all() for low, high in zip(distances, distances[1:], strict=False))
    assert emd(one, other, share=0.6).distance[0] == pytest.approx(
        float((emd(one, other, share=0.6).flow * emd(one, other).ground)[0].sum() / 0.6), abs=1e-6)


@pytest.mark.parametrize("wrong", [{"share": 0}, {"share": 1.2}, {"share": float("nan")},
                                   {"share": 0.5, "solver": "sinkhorn"}])
def test_a_share_that_cannot_be_moved_is_refused(wrong):
    with pytest.raises(BadSetting):
        transport(*problem(3), **wrong)
    with pytest.raises(BadSetting):
        Matching().having(**wrong).check()


def test_statistics_of_a_gallery_by_hand():
    """Patches turn away from their place by known angles; the mean of pairs turned both ways is the place itself."""
    angles = torch.linspace(0.01, 1.0, 50).repeat_interleave(2) * torch.tensor([1.0, -1.0]).repeat(50)
    patches = torch.stack([angles.cos(), angles.sin()], 1)[:, None].expand(-1, 3, 2)
    statistics = PatchStatistics.of(patches)
    expected = 1 - angles.cos()
    usual, high = np.quantile(expected, [0.5, 0.9])
    assert statistics.usual == pytest.approx(usual, abs=1e-5)
    assert statistics.spread == pytest.approx(high - usual, abs=1e-5)
    turned = torch.tensor([[0.0, 1.0]]).expand(3, 2)[None]
    assert statistics.displacement(turned) == pytest.approx((1 - usual) / (high - usual), abs=1e-3)
    with pytest.raises(BadSetting, match=str(FEWEST)):
        PatchStatistics.of(patches[:FEWEST - 1])


def test_the_adapted_alpha_rises_from_the_given_one_and_never_falls():
    start, end = RISE
    assert adapted_alpha(0.7, start) == adapted_alpha(0.7, -5) == 0.7
    assert adapted_alpha(0.7, end) == adapted_alpha(0.7, 99) == RAISED_ALPHA
    assert adapted_alpha(0.7, (start + end) / 2) == pytest.approx((0.7 + RAISED_ALPHA) / 2)
    assert adapted_alpha(0.95, 99) == 0.95


def test_identification_adapts_to_crops_and_not_to_masks(identifier: Identifier):
    photo = identifier.gallery.photo_file(7)
    plain = identifier.identify(photo, occlusion="mask", adaptive=True)
    cropped = identifier.identify(photo, occlusion="crop", framing="kept", adaptive=True)
    assert plain.matching.alpha == 0.7 and cropped.matching.alpha > 0.8
    best = cropped.ranking[0]
    assert best.combined == pytest.approx(cropped.matching.alpha * best.patch
                                          + (1 - cropped.matching.alpha) * best.cosine)
    again = identifier.rank(cropped.query, cropped.matching.having(adaptive=False))
    assert [match.row for match in again.ranking] == [match.row for match in cropped.ranking]


def test_identification_with_a_share_of_the_mass(identifier: Identifier):
    photo = identifier.gallery.photo_file(7)
    found = identifier.identify(photo, occlusion="mask", share=0.7)
    assert found.emd.flow.sum((1, 2)).numpy() == pytest.approx(0.7, abs=1e-5)
    assert found.as_json(1)["settings"]["share"] == 0.7
    assert found.ranking[0].patch < identifier.identify(photo, occlusion="mask").ranking[0].patch


@pytest.fixture(scope="module")
def case(identifier: Identifier) -> Case:
    query = prepare_query(identifier.gallery.photo_file(7), identifier.backbone, Preparation())
    distances, rows = identifier.gallery.search(query.features.embedding, 12)
    return Case(Bench(identifier), query.features, rows.tolist(), distances.double())


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_finds_the_same_photo_again(case: Case, name: str):
    found = VARIANTS[name].rank(case)
    assert found.distances.shape == (12,) and found.distances.isfinite().all()
    assert case.rows[int(found.order[0])] == 7, "the photo itself"


def test_the_first_variant_is_the_pipeline_itself(case: Case, identifier: Identifier):
    query = prepare_query(identifier.gallery.photo_file(7), identifier.backbone, Preparation())
    found = {match.row: match.combined for match in identifier.rank(query, Matching(method="emd", k=12)).ranking[:12]}
    assert list(VARIANTS)[0].startswith("papers")
    assert dict(zip(case.rows, papers(case).distances.tolist(), strict=True)) == pytest.approx(found, abs=1e-6)


def test_a_price_for_unmatched_mass_is_partial_transport_at_that_price():
    """min over plans of any mass of cost + 0.3 * (1 - mass) equals transport with costs capped at 0.3."""
    cost, u, v = problem(5, batch=1)
    rows, columns = cost.shape[1:]
    limits = np.concatenate([np.kron(np.eye(rows), np.ones(columns)), np.kron(np.ones(rows), np.eye(columns))])
    best = linprog(cost.ravel() - 0.3, A_ub=limits, b_ub=np.concatenate([u[0], v[0]]))
    assert transport(cost.clip(max=0.3), u, v).cost[0] == pytest.approx(best.fun + 0.3, abs=1e-7)


def test_whitened_patches_of_the_gallery_are_uncorrelated(case: Case):
    mean, matrix = case.bench.whitening
    flat = (case.bench.patches.flatten(0, 1) - mean) @ matrix
    covariance, raw = (np.cov(x.numpy().T) for x in (flat, case.bench.patches.flatten(0, 1)))
    spread = [np.abs(c - np.diag(np.diag(c))).sum() / np.diag(c).sum() for c in (covariance, raw)]
    assert spread[0] < spread[1], "half shrunk, so that it is not the identity"


@pytest.mark.slow
def test_beyond_scores_queries_as_evaluate_does(identifier: Identifier):
    queries = query_set(list_photos(QUERIES), identifier.gallery)[:3]
    nobody = replace(queries[0], identity="nobody", path="nobody/1.jpg")
    result = beyond(identifier, [*queries, nobody], [None, "mask"], k=20)
    plain = Matching(method="emd", k=20)
    theirs = evaluate(identifier, queries, [plain, plain.having(share=0.7), plain.having(adaptive=True)],
                      Preparation(alteration="mask"))
    names = [name.strip("*") for name in result.variants]
    ours = [100 * result.scores["mask"][number].mean(0) for number in
            (0, names.index("share 0.7** (partial transport)"), names.index("adaptive α"))]
    for scores, expected in zip(ours, theirs.stage2.values(), strict=True):
        assert scores == pytest.approx([expected.p_at_1, expected.rp, expected.map_at_r])
    assert {path for path, _, _ in result.skipped} == {"nobody/1.jpg"}
    assert result.difference(0, "mask", 0).high == 0
    assert json.loads(json.dumps(result.as_json()))["queries"] == {"none": 3, "mask": 3}
    assert result.as_table().count("\n| ") >= 2 * len(VARIANTS)
