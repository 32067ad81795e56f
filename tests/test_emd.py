"""The patch-wise Earth Mover's Distance, from features to flow."""

import numpy as np
import ot
import pytest
import torch

from demo.backbones.base import Features
from demo.errors import BadSetting
from demo.matching import SOLVERS, WEIGHTINGS, emd, ground_distance, patch_weights

GRID = (8, 8)


def faces(count, seed, grid=GRID, channels=32, **changes):
    generator = torch.Generator().manual_seed(seed)
    patches = torch.randn(count, grid[0] * grid[1], channels, generator=generator).relu() + 0.05
    features = {
        "embedding": torch.randn(count, channels, generator=generator),
        "patches": patches,
        "grid": grid,
        "landmarks": torch.rand(count, 68, 2, generator=generator),
    }
    return Features(**(features | changes))


def shifted(face, rows, cols):
    """The same face, its patches moved down and right (wrapping round); and where each patch went."""
    order = torch.arange(64).view(GRID)
    patches = face.patches.view(1, *GRID, -1).roll((rows, cols), (1, 2)).flatten(1, 2)
    went = (order.div(8, rounding_mode="floor") + rows) % 8 * 8 + (order % 8 + cols) % 8
    return Features(face.embedding, patches, GRID), went.flatten()


def test_ground_distance_against_a_loop():
    query, candidates = faces(1, 0, (2, 3), 4).patches, faces(3, 1, (2, 3), 4).patches - 0.5
    candidates[1, 2] = 0
    ground = ground_distance(query, candidates)
    assert ground.shape == (3, 6, 6)
    for b, i, j in np.ndindex(3, 6, 6):
        q, g = query[0, i].double(), candidates[b, j].double()
        expected = 1 - float(q @ g / (q.norm() * g.norm())) if g.any() else 1.0
        assert float(ground[b, i, j]) == pytest.approx(expected, abs=1e-6)
    torch.testing.assert_close(ground_distance(query.expand(3, -1, -1), candidates), ground)


@pytest.mark.parametrize("method", ["uniform", "apc"])
def test_distance_agrees_with_pot(method):
    query, candidates = faces(1, 2), faces(5, 3)
    result = emd(query, candidates, method, "exact")
    u, v = patch_weights(query, candidates, method)
    torch.testing.assert_close(result.query_weights, u)
    torch.testing.assert_close(result.candidate_weights, v)
    for b in range(5):
        a, c = (w[b].double().numpy() for w in (u, v))
        q, g = query.patches[0].double().numpy(), candidates.patches[b].double().numpy()
        cosine = q @ g.T / np.linalg.norm(q, axis=1)[:, None] / np.linalg.norm(g, axis=1)
        expected = ot.emd2(a / a.sum(), c / c.sum(), 1 - cosine)
        assert float(result.distance[b]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("solver", ["exact", "sinkhorn"])
@pytest.mark.parametrize("method", ["uniform", "apc"])
@pytest.mark.parametrize("shift", [(0, 1), (1, 0), (2, 3)])
def test_flow_finds_a_shifted_face_again(shift, method, solver):
    """Every one of the 64 query patches is matched with the place it moved to."""
    face = faces(1, 4)
    moved, went = shifted(face, *shift)
    result = emd(face, moved, method, solver)
    assert torch.equal(result.flow[0].argmax(1), went)
    if solver == "exact":
        assert result.distance.item() == pytest.approx(0, abs=1e-6)


def test_direction_of_flow():
    """Exchanging query and candidate transposes the flow and keeps the distance."""
    one, two = faces(1, 5), faces(1, 6)
    there, back = emd(one, two), emd(two, one)
    torch.testing.assert_close(there.flow[0].T, back.flow[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(there.distance, back.distance)
    assert not torch.allclose(there.flow, back.flow, atol=1e-3)


def test_one_query_or_pair_by_pair():
    query, candidates = faces(1, 7), faces(4, 8)
    once = emd(query, candidates)
    pairs = emd(query[[0, 0, 0, 0]], candidates)
    torch.testing.assert_close(once.distance, pairs.distance, atol=1e-6, rtol=0)
    alone = emd(query, candidates[2])
    torch.testing.assert_close(once.distance[2:3], alone.distance, atol=1e-6, rtol=0)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("method", WEIGHTINGS)
def test_every_combination(method, solver):
    result = emd(faces(1, 9), faces(3, 10), method, solver)
    assert result.flow.shape == result.ground.shape == (3, 64, 64)
    assert result.query_weights.shape == result.candidate_weights.shape == (3, 64)
    assert result.grid == GRID and result.solver == solver
    assert result.distance.shape == result.iterations.shape == result.residual.shape == (3,)
    torch.testing.assert_close(result.flow.sum((1, 2)), torch.ones(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(result.distance, (result.flow * result.ground).sum((1, 2)), atol=1e-6, rtol=0)


def test_coarser_grid():
    query, candidates = faces(1, 11), faces(3, 12)
    result = emd(query, candidates, grid=(4, 2))
    assert result.grid == (4, 2) and result.flow.shape == (3, 8, 8)
    torch.testing.assert_close(result.distance, emd(query.at((4, 2)), candidates.at((4, 2))).distance)
    with pytest.raises(BadSetting, match="3x3"):
        emd(query, candidates, grid=(3, 3))


def test_empty_patches_do_not_spread_nan():
    query, candidates = faces(1, 13), faces(2, 14)
    query.patches[0, :10] = 0
    candidates.patches[1] = 0
    for method in WEIGHTINGS:
        result = emd(query, candidates, method)
        assert torch.isfinite(result.distance).all()
        assert result.distance[1].item() == pytest.approx(1, abs=1e-6)


def test_bad_input_is_explained():
    with pytest.raises(BadSetting, match="one backbone and grid"):
        emd(faces(1, 15), faces(2, 16, channels=16))
    with pytest.raises(BadSetting, match="one backbone and grid"):
        emd(faces(1, 15), faces(2, 16, grid=(4, 4)))
    damaged = faces(2, 16)
    damaged.patches[0, 0, 0] = float("nan")
    with pytest.raises(BadSetting, match="finite"):
        emd(faces(1, 15), damaged)
