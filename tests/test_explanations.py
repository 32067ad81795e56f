"""The registry of explanations: every one keeps the contract, on real faces, against what the models themselves say."""

import numpy as np
import pytest
from conftest import QUERIES

from demo.crossimage import cross_correlation, pair_maps, received
from demo.errors import BadSetting, WeightsMissing
from demo.explain import (
    EXPLANATIONS,
    VIEWS,
    Curves,
    Flows,
    Maps,
    Matrices,
    Numbers,
    Pair,
    Signed,
    available,
    explain,
    explains,
    face_maps,
)
from demo.explain.base import PATTERN
from demo.figures import crops_of, match_figure, pair_of, pictured_by
from demo.matching import emd
from demo.methods import METHODS, STAGE1, Matching, ready

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found(identifier):
    return identifier.identify(QUERIES / "person-032" / "04.jpg", occlusion="mask", style="surgical-blue")


@pytest.fixture(scope="module")
def pair(found, identifier):
    return pair_of(found, identifier, found.ranking[0], crops_of(identifier))


def test_the_pair_is_the_nearest_match_unless_another_is_named(found, identifier, pair):
    plain, second = pair_of(found, identifier), pair_of(found, identifier, found.ranking[1])
    assert plain.titles == pair.titles and plain.terms == pair.terms
    np.testing.assert_array_equal(plain.crops[1], pair.crops[1])
    assert second.titles == ("Query", found.ranking[1].identity) and second.terms != pair.terms


def test_every_explanation_says_what_it_is():
    for word, one in EXPLANATIONS.items():
        assert one.word == word and one.title and one.note.endswith(".") and one.method in METHODS and one.view in VIEWS
        assert not one.hint or one.hint.endswith(".")
    codes = [one.condition.code for one in EXPLANATIONS.values() if one.condition]
    assert len(set(codes)) == len(codes)
    assert {one.view for one in EXPLANATIONS.values()} == set(VIEWS)
    assert all(explains(word) for word in ("cosine", "emd", "h2l"))


def test_each_is_of_its_kind_and_fits_its_grid(pair):
    results = explain(pair)
    here = ready(pair.method(STAGE1.word).backbone)
    shown = {word for word, method in METHODS.items()
             if (method.verifies and not method.trained) or word == pair.matching.method}
    assert list(results) == [word for word, one in EXPLANATIONS.items() if one.method in here
                             and (one.view != "agreement" or one.method in shown)] != []
    for result in results.values():
        if isinstance(result, Flows):
            np.testing.assert_allclose(result.flow.sum(1), result.first, atol=1e-6)
            np.testing.assert_allclose(result.flow.sum(0), result.second, atol=1e-6)
        elif isinstance(result, Curves):
            assert len(result.strongest) == result.count
        elif isinstance(result, Matrices):
            np.testing.assert_allclose(result.forward.sum(-1), 1, atol=1e-9)
        maps = face_maps(result)
        if maps is not None:
            whole = result.baseline - result.distance if isinstance(result, Signed) else 1
            assert len(maps.query) == maps.grid[0] * maps.grid[1] and abs(maps.query.sum() - whole) < 1e-5
    assert {result.kind for result in results.values()} == {"signed", "flow", "lines", "maps", "matrix", "numbers"}


def test_transport_is_that_of_the_ranking(found, identifier, pair):
    flows = explain(pair, "flow")["flow"]
    slot = found.ranking[0].stage1_rank - 1
    np.testing.assert_array_equal(flows.flow, found.emd.flow[slot].numpy())
    alone = emd(found.query.features, identifier.gallery.features([found.ranking[0].row]))
    np.testing.assert_allclose(flows.flow, alone.flow[0].numpy(), atol=1e-6)


@pytest.mark.parametrize("side", [7, 8])
def test_a_coarser_flow_is_the_same_mass_on_larger_patches(side):
    """Every patch cut into 4 x 4 alike, and those of each quarter of a side added up; costs nothing more or less."""
    rng = np.random.default_rng(side)
    count = side ** 2
    flow, ground = rng.random((count, count)), rng.random((count, count))
    flow /= flow.sum()
    coarse = Flows(flow, flow.sum(1), flow.sum(0), ground, (side, side)).coarser((4, 4))

    def added(shares: np.ndarray) -> np.ndarray:
        cut = np.kron(shares.reshape(side, side, -1), np.ones((4, 4, 1)) / 16)
        return cut.reshape(4, side, 4, side, -1).sum((1, 3)).reshape(16, -1)

    np.testing.assert_allclose(coarse.flow, added(added(flow).T).T, atol=1e-12)
    np.testing.assert_allclose(coarse.first, added(flow.sum(1))[:, 0], atol=1e-12)
    np.testing.assert_allclose(coarse.second, coarse.flow.sum(0), atol=1e-12)
    assert (coarse.flow * coarse.ground).sum() == pytest.approx((flow * ground).sum())


def test_maps_are_those_of_the_models(pair, identifier):
    maps = pair_maps(identifier.method("h2l").model, *pair.features)
    results = explain(pair)
    assert isinstance(results["attention"], Matrices) and isinstance(results["correlation"], Maps)
    forward, backward = maps.attention.choose()
    np.testing.assert_allclose(face_maps(results["attention"]).query, received(backward), atol=1e-9)
    np.testing.assert_allclose(face_maps(results["attention"]).candidate, received(forward), atol=1e-9)
    np.testing.assert_allclose(face_maps(results["rollout"]).candidate, received(maps.rolled[0]), atol=1e-9)
    np.testing.assert_allclose(results["relevance"].maps.query, maps.relevance[0], atol=1e-9)
    np.testing.assert_allclose(results["h2l-correlation"].maps.candidate, maps.correlation[1], atol=1e-9)
    on_first, on_second = cross_correlation(*(face.patches for face in pair.features))
    np.testing.assert_array_equal(results["correlation"].maps.query, on_first[0])
    np.testing.assert_array_equal(results["correlation"].maps.candidate, on_second[0])


def test_the_numbers_are_those_of_the_ranking(found, pair):
    terms = explain(pair, "numbers")["numbers"]
    assert isinstance(terms, Numbers)
    match, values = found.ranking[0], {term.name: term.value for term in terms.terms}
    assert values["Cosine distance"] == f"{match.cosine:.4f}"
    assert values["Earth Mover's Distance (EMD)"] == f"{match.patch:.4f}"
    assert values["Combined with EMD"] == f"{match.combined:.4f}"
    assert values["Rank with EMD"] == f"{match.stage1_rank} → {match.rank}"


def test_another_grid_is_the_backbones_own(identifier):
    """On 4×4 the candidate's patches are the network's map of that size, not the finer one's means."""
    found = identifier.identify(QUERIES / "person-032" / "04.jpg", stage2="h2l", grid=(4, 4))
    match = found.ranking[0]
    flows = explain(pair_of(found, identifier, match, crops_of(identifier)), "flow")["flow"]
    expected = emd(found.query.features, identifier.gallery.features([match.row], (4, 4)), grid=(4, 4))
    assert flows.grid == (4, 4)
    np.testing.assert_allclose(flows.flow, expected.flow[0].numpy(), atol=1e-6)


def test_each_is_computed_once(pair):
    assert explain(pair, "attention")["attention"] is explain(pair)["attention"]


def test_what_cannot_be_shown_says_why(pair):
    def missing(word):
        if word == "h2l":
            raise WeightsMissing("No weights of Model H2L.")
        return pair.method(word)

    bare = type(pair)(pair.crops, pair.features, missing, pair.matching)
    assert set(available(bare)) == {"agreement-cosine", "agreement-emd", "flow", "lines", "weights", "correlation"}
    with pytest.raises(BadSetting, match="No weights of Model H2L"):
        explain(bare, "attention")
    with pytest.raises(BadSetting, match="No terms"):
        explain(bare, "numbers")
    with pytest.raises(BadSetting, match="Unknown explanation 'mood'"):
        explain(bare, "mood")


def test_importances_are_of_the_first_faces_patches(pair):
    every = [found for one in available(pair).values() for found in one.importances(pair)]
    names = [found.name for found in every]
    assert len(set(names)) == len(names)
    assert {"weights: apc", "flow: apc", "flow: uniform"} <= set(names) and "weights: uniform" not in names
    assert all(found.values.shape == (64,) for found in every)
    assert all(found.values.min() >= 0 or "agree" in found.name for found in every), "shares speak for alone"
    assert {found.score for found in every} == {
        "C", "D apc", "D cc", "D sc", "D sc-authors", "D lmk", "D uniform", "H2L"}


@pytest.mark.parametrize("stage2", ["emd", "h2l", "none"])
def test_a_match_is_a_figure_whatever_ranked_it(identifier, stage2):
    found = identifier.identify(QUERIES / "person-032" / "04.jpg", stage2=stage2, k=5)
    assert (pictured_by(found) is not None) == (stage2 == "emd")
    for match in (found.ranking[0], found.ranking[5]):  # re-ranked, and beyond the first k
        assert match_figure(found, identifier, match, crops_of(identifier)).get_size_inches()[0] > 4


def test_maps_that_are_much_the_same_for_any_two_faces_say_so(shown):
    """Over 24 people in pairs who have nothing in common: how alike the maps of a kind are."""
    gallery, people = shown.gallery, {}
    for row, entry in enumerate(shown.gallery.entries):
        people.setdefault(entry.identity, row)
    rows = list(people.values())[:48:2]
    pairs = [Pair((gallery.crop(one, shown.backbone), gallery.crop(other, shown.backbone)),
                  (gallery.features([one]), gallery.features([other])), shown.method, Matching(method="emd"))
             for one, other in zip(rows[::2], rows[1::2], strict=True)]
    for word in ("weights", "correlation", "attention", "h2l-correlation"):
        maps = np.corrcoef([EXPLANATIONS[word].importances(pair)[0].values for pair in pairs])
        alike = maps[np.triu_indices(len(maps), 1)].mean()
        assert (alike > 0.4) == (PATTERN in EXPLANATIONS[word].told(pairs[0])), (word, alike)
        assert alike > 0.4 or alike < 0.3
