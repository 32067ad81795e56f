"""Patch weightings against slow loops over patches, in both directions, on a grid that is not square."""

import pytest
import torch

from demo.backbones.base import Features
from demo.errors import BadSetting
from demo.matching import WEIGHTINGS, patch_weights

GRID = (3, 4)
PATCHES, CHANNELS, BATCH = 12, 5, 6


def faces(count, seed, **changes):
    """Random faces with signed patches of very different lengths."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    features = {
        "embedding": normal(count, CHANNELS),
        "patches": (normal(count, PATCHES, CHANNELS) + 0.5) * normal(count, PATCHES, 1).exp(),
        "grid": GRID,
        "landmarks": torch.rand(count, 68, 2, generator=generator) * 1.2 - 0.1,
    }
    return Features(**(features | changes))


def dot(a, b):
    return sum(float(x) * float(y) for x, y in zip(a, b, strict=True))


def cosine(a, b):
    return dot(a, b) / (dot(a, a) * dot(b, b)) ** 0.5


def loop_uniform(face, other):
    return [1.0] * PATCHES


def loop_apc(face, other):
    mean = [sum(float(p[c]) for p in other.patches[0]) / PATCHES for c in range(CHANNELS)]
    return [max(0.0, dot(patch, mean)) for patch in face.patches[0]]


def loop_cc(face, other):
    return [max(0.0, dot(patch, other.embedding[0])) for patch in face.patches[0]]


def loop_sc(face, other):
    return [max(0.0, sum(cosine(a, b) for b in other.patches[0])) for a in face.patches[0]]


def loop_sc_authors(face, other):
    return [sum(1 - cosine(a, b) for b in other.patches[0]) for a in face.patches[0]]


def loop_lmk(face, other):
    rows, cols = GRID
    return [
        sum(c / cols <= float(x) < (c + 1) / cols and r / rows <= float(y) < (r + 1) / rows
            for x, y in face.landmarks[0])
        for r in range(rows) for c in range(cols)
    ]


LOOPS = {"uniform": loop_uniform, "apc": loop_apc, "cc": loop_cc, "sc": loop_sc, "sc-authors": loop_sc_authors,
         "lmk": loop_lmk}


def share(raw):
    total = sum(raw)
    return torch.tensor([weight / total if total else 1 / len(raw) for weight in raw])


def test_every_weighting_has_an_oracle_and_words_for_people():
    assert LOOPS.keys() == WEIGHTINGS.keys()
    for weighting in WEIGHTINGS.values():
        assert weighting.title and weighting.explanation.endswith(".")


@pytest.mark.parametrize("method", LOOPS)
@pytest.mark.parametrize("queries", [1, BATCH])
def test_against_slow_loop(method, queries):
    query, candidates = faces(queries, 1), faces(BATCH, 2)
    u, v = patch_weights(query, candidates, method)
    assert u.shape == v.shape == (BATCH, PATCHES)
    for b in range(BATCH):
        face, other = query[b if queries > 1 else 0], candidates[b]
        torch.testing.assert_close(u[b], share(LOOPS[method](face, other)), rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(v[b], share(LOOPS[method](other, face)), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", WEIGHTINGS)
def test_one_candidate_and_none(method):
    for batch in (1, 0):
        u, v = patch_weights(faces(1, 3), faces(2, 4)[:batch], method)
        assert u.shape == v.shape == (batch, PATCHES)


@pytest.mark.parametrize("method", WEIGHTINGS)
def test_half_precision_storage(method):
    query, candidates = faces(1, 5), faces(BATCH, 6)
    half = Features(candidates.embedding.half(), candidates.patches.half(), GRID, landmarks=candidates.landmarks)
    for stored, exact in zip(patch_weights(query, half, method), patch_weights(query, candidates, method),
                             strict=True):
        assert stored.dtype == torch.float32
        torch.testing.assert_close(stored, exact, rtol=0.02, atol=1e-3)


@pytest.mark.parametrize("method", ["apc", "cc", "sc"])
def test_nothing_in_common_becomes_uniform(method):
    patches = torch.rand(1, PATCHES, CHANNELS) + 0.1
    query = faces(1, 7, patches=patches, embedding=patches[:, 0])
    opposite = faces(1, 7, patches=-patches, embedding=-patches[:, 0])
    for weights in patch_weights(query, opposite, method):
        torch.testing.assert_close(weights, torch.full((1, PATCHES), 1 / PATCHES))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_unusable_row_becomes_uniform_and_leaves_the_others(value):
    candidates = faces(3, 8)
    candidates.patches[1, 2, 3] = value
    u, v = patch_weights(faces(1, 9), candidates, "apc")
    torch.testing.assert_close(v[1], torch.full((PATCHES,), 1 / PATCHES))
    expected = patch_weights(faces(1, 9), faces(3, 8), "apc")[1]
    torch.testing.assert_close(v[[0, 2]], expected[[0, 2]])
    torch.testing.assert_close(u.sum(1), torch.ones(3))


def test_extreme_scales_keep_their_proportions():
    expected = patch_weights(faces(1, 10), faces(2, 11), "apc")[1]
    for scale in (1e-15, 1e15):
        candidates = faces(2, 11)
        scaled = faces(2, 11, patches=candidates.patches * scale)
        torch.testing.assert_close(patch_weights(faces(1, 10), scaled, "apc")[1], expected, rtol=1e-4, atol=1e-6)


def test_apc_uses_the_patches_as_they_are():
    """Eq. 3.7 has raw dot products: a patch twice as long weighs twice as much."""
    query = faces(1, 12, patches=torch.rand(1, PATCHES, CHANNELS))
    candidates = faces(1, 13, patches=torch.rand(1, PATCHES, CHANNELS))
    before = patch_weights(query, candidates, "apc")[0][0]
    query.patches[0, 4] *= 2
    after = patch_weights(query, candidates, "apc")[0][0]
    assert after[4] / after[0] == pytest.approx(2 * float(before[4] / before[0]), rel=1e-5)


def test_sc_and_its_published_reversal_on_a_half_occluded_query():
    """The paper remarks that SC weighs occluded regions more: true of the published code, not of Eq. 3.8."""
    generator = torch.Generator().manual_seed(14)
    face, noise = torch.randn(2, 1, CHANNELS * 8, generator=generator)
    noise = noise - face * (noise * face).sum() / (face * face).sum()
    candidate = face + 0.3 * torch.randn(1, PATCHES, CHANNELS * 8, generator=generator)
    query = candidate + 0.1 * torch.randn(1, PATCHES, CHANNELS * 8, generator=generator)
    occluded = torch.arange(PATCHES) >= PATCHES // 2
    query[:, occluded] = noise + 0.3 * torch.randn(1, PATCHES // 2, CHANNELS * 8, generator=generator)
    pair = Features(face, query, GRID), Features(face, candidate, GRID)

    def ratio(method):
        u = patch_weights(*pair, method)[0][0]
        return float(u[occluded].mean() / u[~occluded].mean())

    assert ratio("sc-authors") > 1.3
    assert ratio("sc") < 0.3


def test_landmarks_are_counted_in_the_patch_that_holds_them():
    points = torch.full((68, 2), 2.0)  # outside
    points[:7] = torch.tensor([
        [0.1, 0.1], [0.2, 0.2],  # first row, first column
        [0.9, 0.1],              # first row, last column
        [0.5, 0.9], [0.5, 1.0],  # last row, middle column; the edge belongs to it
        [-0.1, 0.5], [float("nan"), 0.5],
    ])
    face = Features(torch.zeros(1, 4), torch.zeros(1, 6, 4), (2, 3), landmarks=points[None])
    nowhere = Features(torch.zeros(1, 4), torch.zeros(1, 6, 4), (2, 3), landmarks=torch.full((1, 68, 2), -1.0))
    u, v = patch_weights(face, nowhere, "lmk")
    assert (u[0] * 5).tolist() == pytest.approx([2, 0, 1, 0, 2, 0])
    assert v[0].tolist() == pytest.approx([1 / 6] * 6)


def test_reasons_for_what_cannot_be_used():
    other_length = faces(1, 15, embedding=torch.randn(1, CHANNELS + 1))
    assert "embedding 6" in WEIGHTINGS["cc"].unavailable(other_length)
    assert WEIGHTINGS["cc"].unavailable(faces(1, 15)) is None
    unmarked = faces(1, 15, landmarks=None)
    assert "landmarks" in WEIGHTINGS["lmk"].unavailable(unmarked)
    with pytest.raises(BadSetting, match="3x4 grid"):
        patch_weights(other_length, faces(2, 16), "cc")
    for pair in ((unmarked, faces(2, 16)), (faces(1, 15), faces(2, 16, landmarks=None))):
        with pytest.raises(BadSetting, match="68 landmarks"):
            patch_weights(*pair, "lmk")
    with pytest.raises(BadSetting, match="choose from apc"):
        patch_weights(faces(1, 15), faces(2, 16), "nonsense")
    with pytest.raises(BadSetting, match="3 query images"):
        patch_weights(faces(3, 15), faces(2, 16), "apc")
