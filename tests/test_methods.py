"""The registry of methods: every one keeps the contract, and one function re-orders."""

import numpy as np
import pytest
import torch
from conftest import QUERIES

from demo.errors import BadSetting, BadWeights, WeightsMissing
from demo.explain.covers import covered
from demo.fields import fields_of
from demo.methods import METHODS, RERANKING, STAGE1, Matching, load_method, ready, rerank, usual
from demo.methods.emd import EmdOptions
from demo.query import Preparation, prepare_query


@pytest.fixture(scope="module")
def query(backbone):
    return prepare_query(QUERIES / "person-002" / "04.jpg", backbone, Preparation(alteration="mask")).features


def test_combined_distance():
    cosine, patch = torch.tensor([0.2, 0.8]), torch.tensor([0.6, 0.1])
    torch.testing.assert_close(rerank(cosine, patch, 0.7).distances, torch.tensor([0.48, 0.31]))
    torch.testing.assert_close(rerank(cosine, patch, 0).distances, cosine)
    torch.testing.assert_close(rerank(cosine, patch, 1).distances, patch)
    for alpha in (-0.1, 1.1, float("nan")):
        with pytest.raises(BadSetting, match="between 0 and 1"):
            rerank(cosine, patch, alpha)


@pytest.mark.parametrize("seed", range(10))
def test_the_order_is_that_of_sorted_with_ties_as_they_came(seed):
    rng = np.random.default_rng(seed)
    cosine, patch = (torch.from_numpy(rng.integers(0, 4, 30) / 4) for _ in range(2))
    alpha = float(rng.choice([0, 0.25, 0.5, 1]))
    found = rerank(cosine, patch, alpha)
    mixed = [alpha * p + (1 - alpha) * c for p, c in zip(patch.tolist(), cosine.tolist(), strict=True)]
    assert found.order.tolist() == sorted(range(30), key=mixed.__getitem__)
    np.testing.assert_array_equal(found.distances.numpy(), mixed)


def test_every_method_says_what_it_is():
    names = [method.name for method in METHODS.values()]
    assert len(set(names)) == len(names) and list(METHODS)[0] == STAGE1.word and STAGE1.word not in RERANKING
    for word, method in METHODS.items():
        assert method.word == word and method.title and method.short and method.measure
        assert method.explanation.endswith(".") and method.explanation[0].isupper()
        assert all(one.help for one in fields_of(method.Options))


@pytest.mark.parametrize("word", METHODS)
def test_pairs_and_candidates_give_the_same_distances(word, identifier, query):
    """What ranks and what verifies is one distance: smaller for the same face, of any number of faces at once."""
    if METHODS[word].unavailable("dlib"):
        pytest.skip(METHODS[word].unavailable("dlib"))
    method = identifier.method(word)
    faces = identifier.gallery.features([0, 5, 17, 200])
    found = method.distances(query, method.prepare(faces))
    measured = found.distances
    assert measured.shape == (4,) and (found.evidence is not None) == method.has_evidence
    torch.testing.assert_close(method.pairs(query[[0] * 4], faces).double(), measured.double(), atol=2e-4, rtol=0)
    some = method.prepare(faces)[torch.tensor([2, 0])]
    torch.testing.assert_close(method.distances(query, some).distances, measured[[2, 0]], atol=1e-5, rtol=0)
    own = method.distances(faces[1], method.prepare(faces)).distances
    assert own.argmin() == 1


def one_by_one(method, queries, prepared, options=None, grid=None):
    return torch.stack([method.distances(queries[at], prepared, options, grid).distances
                        for at in range(len(queries))])


@pytest.fixture(scope="module")
def versions(shown):
    """Seven versions of a masked face, some of which still count as masked, without recomputing all 129."""
    asked = prepare_query(QUERIES / "person-002" / "04.jpg", shown.backbone, Preparation(alteration="mask"))
    return covered(asked.crop, asked.features, shown.backbone).versions[::20]


@pytest.mark.parametrize("word", METHODS)
def test_many_faces_are_measured_as_one_by_one(word, identifier, shown, versions):
    """On whichever of the two backbones the method has weights for."""
    home = next((one for one in (shown, identifier) if METHODS[word].unavailable(one.backbone) is None), None)
    if home is None:
        pytest.skip(METHODS[word].unavailable("dlib"))
    queries = versions if home is shown else identifier.gallery.features([3, 100, 250])
    method = home.method(word)
    prepared = method.prepare(home.gallery.features([0, 5, 17, 200, 280]))
    found = method.between(queries, prepared)
    assert found.shape == (len(queries), 5)
    torch.testing.assert_close(found, one_by_one(method, queries, prepared), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("options", "grid"), [
    (EmdOptions("uniform", share=0.7), None), (EmdOptions("sc"), (14, 14)), (EmdOptions(solver="authors"), None)])
def test_many_faces_are_measured_under_the_options_that_one_is(shown, versions, options, grid):
    """Those of the published solver depend on who is measured together: the candidates of one face, as ever."""
    emd, faces = shown.method("emd"), shown.gallery.features([0, 200, 280], grid)
    torch.testing.assert_close(emd.between(versions[:3], faces, options, grid),
                               one_by_one(emd, versions[:3], faces, options, grid), atol=1e-6, rtol=0)


def test_a_method_says_what_it_lacks(backbone):
    assert "V" not in ready("dlib") and "v" not in ready(backbone)
    assert "Model V" in METHODS["v"].unavailable("dlib") and METHODS["h2l"].unavailable("dlib") is None
    assert set(ready("arcface")) == {"cosine", "emd"}
    with pytest.raises(WeightsMissing, match="Model V"):
        load_method("v", backbone)
    with pytest.raises(BadSetting, match="Unknown method 'h3l'"):
        load_method("h3l", backbone)


def test_a_file_of_another_model_is_refused(backbone):
    from demo.crossimage import shipped  # noqa: PLC0415

    with pytest.raises(BadWeights, match="holds Model H1, not H2L"):
        load_method("h2l", backbone, weights=shipped("H1", "dlib"))


def test_the_setting_that_a_calibration_belongs_to(identifier):
    emd = identifier.method("emd")
    assert emd.setting() == "apc 8x8 exact"
    asked = Matching(method="emd").having(weighting="sc", share=0.7, grid=(4, 4))
    assert emd.setting(asked.of("emd"), asked.grid) == "sc 4x4 exact share 0.7"
    assert identifier.method("h2l").setting() == ""


def test_what_is_usual_takes_what_is_asked_for():
    """The default where it can be used, unless an option is set that it would pass over."""
    assert usual("mobilefacenet") is METHODS["alike"] and usual("mobilefacenet", asked=["alpha", "k"]).word == "alike"
    for option in ("weighting", "grid", "solver", "share", "adaptive"):
        assert usual("mobilefacenet", asked=[option, "k"]).word == "emd"
    assert usual("dlib").word == usual("arcface").word == "emd"
