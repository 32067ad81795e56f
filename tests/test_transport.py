"""Transport solvers against POT, and the constraints that every plan must meet."""

import threading
from dataclasses import replace
from functools import partial

import numpy as np
import ot
import pytest
import torch
from conftest import QUERIES

from demo.errors import BadSetting
from demo.matching import SOLVERS, exact, sinkhorn, transport, warm_up


@pytest.fixture(scope="module", autouse=True)
def compiled_kernel():
    warm_up()


def masses(rng, *shape, zeros=0.0):
    weights = rng.random(shape) * (rng.random(shape) >= zeros)
    weights[..., 0] += 1e-3
    return weights / weights.sum(-1, keepdims=True)


def problems():
    """name → (cost (B, P, Q), u, v)"""
    rng = np.random.default_rng(0)
    place = np.stack(np.meshgrid(np.arange(6), np.arange(6)), -1).reshape(-1, 2)
    chessboard = np.abs(place[:, None] - place[None]).max(-1).astype(float)
    smooth = rng.random((3, 20, 1)) + rng.random((3, 1, 20)) + 0.01 * rng.random((3, 20, 20))
    even = np.full((3, 64), 1 / 64)
    return {
        "random": (rng.random((4, 30, 30)), masses(rng, 4, 30), masses(rng, 4, 30)),
        "uniform": (rng.random((3, 64, 64)), even, even),
        "structured": (np.repeat(chessboard[None], 3, 0), masses(rng, 3, 36), masses(rng, 3, 36)),
        "nearly separable": (smooth, masses(rng, 3, 20), masses(rng, 3, 20)),
        "zero masses": (rng.random((4, 25, 25)), masses(rng, 4, 25, zeros=0.6), masses(rng, 4, 25, zeros=0.6)),
        "wide": (rng.random((3, 4, 50)), masses(rng, 3, 4), masses(rng, 3, 50)),
        "tall": (rng.random((3, 49, 9)), np.full((3, 49), 1 / 49), np.full((3, 9), 1 / 9)),
        "integer ties": (rng.integers(0, 3, (4, 24, 24)).astype(float), masses(rng, 4, 24),
                         rng.integers(1, 4, (4, 24)).astype(float)),
        "all costs equal": (np.full((1, 16, 16), 0.7), masses(rng, 1, 16), masses(rng, 1, 16)),
        "duplicates": (np.repeat(np.repeat(rng.random((2, 5, 5)), 6, 1), 6, 2), masses(rng, 2, 30), masses(rng, 2, 30)),
        "large": (rng.random((2, 20, 20)) * 1e9, masses(rng, 2, 20), masses(rng, 2, 20)),
        "small and shifted": (3 + rng.random((2, 20, 20)) * 1e-6, masses(rng, 2, 20), masses(rng, 2, 20)),
        "negative": (rng.normal(size=(2, 20, 20)), masses(rng, 2, 20), masses(rng, 2, 20)),
        "one supply": (rng.random((2, 1, 9)), np.ones((2, 1)), masses(rng, 2, 9)),
        "one by one": (rng.random((2, 1, 1)), np.ones((2, 1)), np.ones((2, 1))),
        "one mass each": (rng.random((1, 8, 8)), np.eye(8)[[3]], np.eye(8)[[6]]),
        "steep masses": (rng.random((3, 30, 30)), masses(rng, 3, 30) ** 20, masses(rng, 3, 30) ** 20),
        "growing costs": (2.0 ** (np.arange(24)[:, None] - np.arange(24)[None])[None], masses(rng, 1, 24),
                          masses(rng, 1, 24)),
    }  # fmt: skip


PROBLEMS = problems()


def normalised(weights):
    return weights / weights.sum(-1, keepdims=True)


@pytest.mark.parametrize("name", PROBLEMS)
def test_exact_agrees_with_pot(name):
    cost, u, v = PROBLEMS[name]
    plan = transport(cost, u, v, "exact")
    u, v = normalised(u), normalised(v)
    expected = [ot.emd2(*problem, numItermax=10**6) for problem in zip(u, v, cost, strict=True)]
    spread = np.ptp(cost, (1, 2)).max()
    np.testing.assert_allclose(plan.cost.numpy(), expected, rtol=1e-12, atol=1e-9 * spread)

    flow = plan.flow.numpy()
    assert plan.solver == "exact" and flow.shape == cost.shape and flow.min() >= 0
    np.testing.assert_allclose(flow.sum(2), u, atol=1e-12)
    np.testing.assert_allclose(flow.sum(1), v, atol=1e-12)
    assert not flow[u == 0].any() and not flow.transpose(0, 2, 1)[v == 0].any()
    np.testing.assert_allclose((flow * cost).sum((1, 2)), plan.cost.numpy(), rtol=1e-12)
    assert plan.residual.max() < 1e-12
    assert plan.iterations.max() <= 10 * (cost.shape[1] + cost.shape[2])


@pytest.mark.parametrize("name", ["random", "uniform", "zero masses", "wide", "tall"])
def test_exact_flow_is_sparse(name):
    cost, u, v = PROBLEMS[name]
    used = (transport(cost, u, v, "exact").flow > 0).sum((1, 2))
    assert used.max() <= cost.shape[1] + cost.shape[2] - 1


def test_uniform_masses_give_an_assignment():
    cost, u, v = PROBLEMS["uniform"]
    flow = transport(cost, u, v, "exact").flow
    assert torch.equal((flow > 0).sum(2), torch.ones(3, 64, dtype=torch.int64))
    assert torch.equal(flow[flow > 0], torch.full((3 * 64,), 1 / 64, dtype=torch.float64))


def test_flow_goes_from_query_rows_to_candidate_columns():
    plan = transport(np.array([[[0.0, 9.0, 1.0], [9.0, 0.0, 9.0]]]), [[3, 1]], [[2, 1, 1]], "exact")
    np.testing.assert_allclose(plan.flow[0], [[0.5, 0, 0.25], [0, 0.25, 0]], atol=1e-15)
    assert plan.cost.item() == pytest.approx(0.25)


@pytest.mark.parametrize("solver", SOLVERS)
def test_types_and_layouts(solver):
    cost, u, v = (torch.from_numpy(a) for a in PROBLEMS["random"])
    reference = transport(cost, u, v, solver)
    assert reference.flow.dtype == reference.cost.dtype == reference.residual.dtype == torch.float64
    single = cost.float()
    strided = single.transpose(1, 2).contiguous().transpose(1, 2)
    for given in (single, strided, single.clone().requires_grad_()):
        plan = transport(given, u.float(), v.float(), solver)
        assert plan.flow.dtype == plan.cost.dtype == plan.residual.dtype == torch.float32
        assert plan.cost.shape == plan.iterations.shape == plan.residual.shape == (4,)
        torch.testing.assert_close(plan.cost, reference.cost.float(), rtol=1e-5, atol=1e-6)
    assert transport(cost.half(), u, v, solver).flow.dtype == torch.float32
    readonly = cost.numpy().copy()
    readonly.flags.writeable = False
    assert torch.equal(transport(readonly, u.numpy(), v.numpy(), solver).flow, reference.flow)
    assert transport(cost[:0], u[:0], v[:0], solver).flow.shape == (0, 30, 30)


@pytest.mark.parametrize(("solver", "options", "tolerance"), [("exact", {}, 0), ("sinkhorn", {"max_iter": 150}, 1e-9)])
def test_a_pair_does_not_depend_on_its_batch(solver, options, tolerance):
    """Easy and hard pairs together, enough of them to be spread over threads."""
    rng = np.random.default_rng(1)
    cost = rng.random((40, 48, 48)) * np.where(np.arange(40) % 2, 1.0, 0.2)[:, None, None]
    cost[7] *= 100
    u, v = masses(rng, 40, 48), masses(rng, 40, 48, zeros=0.3)
    together = transport(cost, u, v, solver, **options)
    assert len(together.iterations.unique()) > 1
    for b in range(0, 40, 7):
        alone = transport(cost[b:b + 1], u[b:b + 1], v[b:b + 1], solver, **options)
        assert (alone.flow[0] - together.flow[b]).abs().max() <= tolerance
        assert (alone.cost[0] - together.cost[b]).abs() <= tolerance
        assert alone.iterations[0] == together.iterations[b]


def test_requests_side_by_side():
    rng = np.random.default_rng(2)
    inputs = [(rng.random((40, 48, 48)), masses(rng, 40, 48), masses(rng, 40, 48)) for _ in range(4)]
    expected = [transport(*arrays, "exact").flow for arrays in inputs]
    answers = [None] * 4

    def request(index):
        answers[index] = transport(*inputs[index], "exact").flow

    threads = [threading.Thread(target=request, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(a, b) for a, b in zip(answers, expected, strict=True))


def test_kernel_works_without_a_folder_for_its_cache():
    """A function without a source file is what numba cannot cache anywhere."""
    namespace = {}
    exec("def double(x):\n    return 2 * x", namespace)
    assert exact.compiled(namespace["double"])(21) == 42


def test_auto_is_exact_on_the_processor():
    assert transport(*PROBLEMS["one by one"]).solver == "exact"


# --- Sinkhorn ---


@pytest.mark.parametrize("epsilon", [0.5, 0.05])
@pytest.mark.parametrize("name", ["random", "zero masses", "wide", "negative", "one by one", "one mass each"])
def test_sinkhorn_agrees_with_pot(name, epsilon):
    cost, u, v = PROBLEMS[name]
    plan = transport(cost, u, v, "sinkhorn", epsilon=epsilon, tolerance=1e-10, max_iter=20000)
    assert plan.residual.max() < 1e-9
    for b in range(len(cost)):
        rows, columns = u[b] > 0, v[b] > 0
        expected = np.zeros(cost[b].shape)
        expected[np.ix_(rows, columns)] = ot.sinkhorn(
            u[b][rows], v[b][columns], cost[b][np.ix_(rows, columns)], epsilon, method="sinkhorn_log",
            numItermax=50000, stopThr=1e-12)
        np.testing.assert_allclose(plan.flow[b].numpy(), expected, atol=1e-8)


def test_sinkhorn_approaches_exact_as_epsilon_falls():
    cost, u, v = PROBLEMS["random"]
    truth = transport(cost, u, v, "exact").cost
    gaps = [
        (transport(cost, u, v, "sinkhorn", epsilon=epsilon, max_iter=1500).cost - truth).max()
        for epsilon in (0.1, 0.03, 0.01, 0.005)
    ]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[0] > 0.01 and 0 < gaps[-1] < 1e-3


def test_sinkhorn_stops_each_pair_at_its_tolerance():
    cost, u, v = PROBLEMS["random"]
    loose, tight = (transport(cost, u, v, "sinkhorn", tolerance=t) for t in (1e-3, 1e-8))
    assert loose.residual.max() <= 1e-3 and tight.residual.max() <= 2e-8
    assert (loose.iterations < tight.iterations).all()
    assert (transport(cost, u, v, "sinkhorn", tolerance=1e-12, max_iter=25).iterations == 25).all()


def test_both_forms_of_sinkhorn_iterate_alike(monkeypatch):
    cost, u, v = PROBLEMS["zero masses"]
    fast = transport(cost, u, v, "sinkhorn", max_iter=37)
    monkeypatch.setattr(sinkhorn, "_SAFE_RANGE", -1.0)
    wide = transport(cost, u, v, "sinkhorn", max_iter=37)
    torch.testing.assert_close(fast.flow, wide.flow, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("epsilon", [1e-9, 1e-3, 10.0])
@pytest.mark.parametrize("name", PROBLEMS)
def test_sinkhorn_is_always_finite(name, epsilon):
    cost, u, v = PROBLEMS[name]
    plan = transport(cost, u, v, "sinkhorn", epsilon=epsilon, max_iter=20)
    assert torch.isfinite(plan.flow).all() and plan.flow.min() >= 0
    assert torch.isfinite(plan.cost).all() and torch.isfinite(plan.residual).all()
    np.testing.assert_allclose(plan.flow.sum(1), normalised(v), atol=1e-12)


def test_solvers_survive_the_largest_costs():
    cost, u, v = PROBLEMS["random"]
    assert torch.isfinite(transport(cost * 1e99, u, v, "sinkhorn", max_iter=50).cost).all()
    for solver in ("exact", "authors"):
        assert torch.isfinite(transport(cost * 1e99, u, v, solver).cost).all()


# --- the published code ---


def published(similarity, u, v):
    """utils/emd.py: rows are the gallery's patches, columns the query's."""
    kernel = np.exp(-(1 - similarity) / 0.05)
    r = np.ones_like(u)
    for count in range(1, 101):
        before = r
        if count == 1:
            c = np.ones_like(v)
        r = u / np.einsum("bij,bj->bi", kernel, c)
        c = v / np.einsum("bij,bi->bj", kernel, r)
        if np.abs(r - before).mean() < 0.1:
            break
    return r[:, :, None] * kernel * c[:, None], count


@pytest.mark.parametrize("name", ["random", "wide"])
def test_published_rule(name):
    cost, u, v = PROBLEMS[name]
    plan = transport(cost, u, v, "authors")
    flow, count = published((1 - cost).transpose(0, 2, 1), v, u)
    np.testing.assert_allclose(plan.flow.numpy(), flow.transpose(0, 2, 1), rtol=1e-9)
    assert plan.iterations.tolist() == [count] * len(cost)
    assert plan.residual.max() > 1e-4


def test_published_rule_depends_on_the_batch():
    cost, u, v = PROBLEMS["random"]
    cost = np.concatenate([cost[:1], cost[1:] * 3])
    together, alone = transport(cost, u, v, "authors"), transport(cost[:1], u[:1], v[:1], "authors")
    assert (together.cost[0] - alone.cost[0]).abs() > 1e-5


# --- input ---


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cost": np.full((1, 2, 2), np.nan)}, "cost between patches must be finite"),
        ({"cost": np.full((1, 2, 2), np.inf)}, "cost between patches must be finite"),
        ({"cost": np.ones((2, 2))}, "shape"),
        ({"cost": np.ones((1, 0, 2))}, "shape"),
        ({"u": np.array([[-1.0, 2.0]])}, "query weights must be finite"),
        ({"v": np.array([[np.nan, 2.0]])}, "candidate weights must be finite"),
        ({"v": np.array([[np.inf, 2.0]])}, "candidate weights must be finite"),
        ({"u": np.zeros((1, 2))}, "query weights must be finite"),
        ({"u": np.ones((1, 3))}, "query weights must have the shape"),
        ({"v": np.ones((2, 2))}, "candidate weights must have the shape"),
    ],
)
def test_bad_numbers_are_explained(solver, change, message):
    given = {"cost": np.ones((1, 2, 2)), "u": np.ones((1, 2)), "v": np.ones((1, 2))} | change
    with pytest.raises(BadSetting, match=message):
        transport(**given, solver=solver)


def test_bad_choices_are_explained():
    problem = PROBLEMS["one by one"]
    with pytest.raises(BadSetting, match="choose from auto, exact"):
        transport(*problem, "nonsense")
    with pytest.raises(BadSetting, match="no option 'epsilon'"):
        transport(*problem, "exact", epsilon=0.1)
    for option in ({"epsilon": 0}, {"epsilon": float("nan")}, {"tolerance": 0}, {"max_iter": 0}):
        with pytest.raises(BadSetting, match="Sinkhorn needs"):
            transport(*problem, "sinkhorn", **option)
    with pytest.raises(BadSetting, match="coarser grid"):
        transport(np.zeros((1, 4097, 1)), np.ones((1, 4097)), np.ones((1, 1)), "exact")


def test_sinkhorn_that_has_not_converged_says_so(recwarn):
    """At a small epsilon it stops before the masses are met, and below the true distance."""
    cost, u, v = PROBLEMS["random"]
    truth = transport(cost, u, v, "exact").cost
    found = transport(cost, u, v, "sinkhorn", epsilon=1e-4, max_iter=20).cost
    assert (found < truth - 1e-6).any()
    assert len(recwarn) == 1 and "not converged" in str(recwarn[0].message)
    recwarn.clear()
    transport(cost, u, v, "sinkhorn")
    assert not recwarn


def test_an_answer_says_that_sinkhorn_has_not_converged(identifier, monkeypatch, recwarn):
    photo, asked = QUERIES / "person-001" / "04.jpg", {"stage2": "emd", "k": 5, "solver": "sinkhorn"}
    assert "Sinkhorn" not in identifier.identify(photo, **asked).told
    hasty = replace(SOLVERS["sinkhorn"], solve=partial(SOLVERS["sinkhorn"].solve, epsilon=1e-4, max_iter=20))
    monkeypatch.setitem(SOLVERS, "sinkhorn", hasty)
    notes = identifier.identify(photo, **asked).as_json()["notes"]
    assert "Sinkhorn has not converged for" in notes and "of 5 pairs" in notes and "the exact solver" in notes
