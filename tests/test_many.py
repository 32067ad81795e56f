"""Distances of many queries at once: the same as one by one, and what is refused."""

import pytest
import torch
from torch.nn import functional as F

from demo.backbones import Features
from demo.benchmarks.parity import stored_backbone
from demo.crossimage import CrossImageModel, CrossReranker, rerank
from demo.crossimage.networks import NETWORKS, Sizes
from demo.errors import BadSetting
from demo.matching import WEIGHTINGS, emd, emd_many, many


def faces(count: int, *, seed: int = 0, patches: int = 9, channels: int = 6) -> Features:
    rng = torch.Generator().manual_seed(seed)
    embedding, tiles = (torch.randn(count, *size, generator=rng) for size in ((channels,), (patches, channels)))
    return Features(embedding, tiles, (3, 3), landmarks=10 * torch.rand(count, 68, 2, generator=rng))


@pytest.fixture(params=[1 << 30, 1], ids=["all at once", "one by one"])
def gathered(request, monkeypatch):
    monkeypatch.setattr(many, "_GATHERED", {"cpu": request.param, "cuda": request.param})


@pytest.mark.parametrize("method", [name for name in WEIGHTINGS if name != "lmk"])
@pytest.mark.parametrize("count", [20, 60])  # fewer and more than candidates
def test_many_queries_get_what_each_gets_alone(gathered, method, count):
    queries, known = faces(4), faces(count, seed=1)
    rows = torch.randint(count, (4, 7), generator=torch.Generator().manual_seed(2))
    expected = torch.stack([emd(queries[n], known[rows[n]], method).distance for n in range(4)])
    torch.testing.assert_close(emd_many(queries, known, rows, method), expected, rtol=0, atol=1e-6)


def test_queries_without_candidates_and_none_at_all():
    assert emd_many(faces(3), faces(5), torch.zeros(3, 0, dtype=torch.long)).shape == (3, 0)
    assert emd_many(faces(3)[:0], faces(5), torch.zeros(0, 4, dtype=torch.long)).shape == (0, 4)


@pytest.mark.parametrize("rows", [torch.zeros(2, 4, dtype=torch.long), torch.zeros(3, dtype=torch.long)])
def test_a_table_of_another_size_is_refused(rows):
    with pytest.raises(BadSetting, match="a row for each of the 3 queries"):
        emd_many(faces(3), faces(5), rows)


@pytest.mark.parametrize("other", [{"patches": 4}, {"channels": 5}])
def test_other_patches_are_refused(other):
    with pytest.raises(BadSetting, match="one backbone and grid"):
        emd_many(faces(3), faces(5, **other), torch.zeros(3, 2, dtype=torch.long))


def test_unknown_choices_are_refused():
    rows = torch.zeros(3, 2, dtype=torch.long)
    with pytest.raises(BadSetting, match="solver"):
        emd_many(faces(3), faces(5), rows, solver="magic")
    with pytest.raises(BadSetting, match="weighting"):
        emd_many(faces(3), faces(5), rows, "magic")


@pytest.mark.parametrize("both_orders", [True, False])
@pytest.mark.parametrize("name", ["H1", "H2", "H2L"])
def test_networks_rank_many_queries_as_each_alone(name, both_orders, monkeypatch):
    monkeypatch.setattr(rerank, "_BATCH", {"cpu": 5})  # batches end in the midst of a query
    torch.manual_seed(0)
    for depth in (1, 2):
        sizes = Sizes(depth=depth, heads=2, dim=16, dim_head=8, hidden=32, output=8, channels=6, faithful=False)
        model = CrossImageModel(name, NETWORKS[name](sizes), stored_backbone(torch.device("cpu"), "", channels=6),
                                alpha=0.5, sha256="")
        known = Features(torch.randn(9, 5), torch.randn(9, 64, 6), (8, 8))
        ranker = CrossReranker(model, both_orders=both_orders)
        prepared = ranker.prepare(known)
        rows = torch.randint(9, (3, 4))
        found = ranker.distances_many(prepared[:3], prepared, rows)
        for n in range(3):
            torch.testing.assert_close(found[n], ranker.distances(known[n], prepared[rows[n]]), rtol=0, atol=1e-6)
        if name == "H1":  # independent of every batch: the cosine of two embeddings
            embeddings = model.network.encode(known.patches)[0]
            cosine = F.cosine_similarity(embeddings[:3, None], embeddings[rows], dim=2)
            torch.testing.assert_close(found, 1 - cosine, rtol=0, atol=1e-6)
