"""The cross-image models that come with the app: files, cards, recipes, and what they do on their backbone."""

import pytest
import torch
from conftest import QUERIES, ROOT
from safetensors import safe_open

from demo.crossimage import CrossReranker, cross_attention, cross_correlation, load_h2l, pair_maps, save_model, shipped
from demo.crossimage.maps import received
from demo.crossimage.train import TRAINED, recipe
from demo.gallery import Gallery
from demo.identify import Identifier
from demo.methods import METHODS, load_method, ready
from demo.weights import sha256

FILES = {(kind, backbone): shipped(kind, backbone) for backbone in ("dlib", "mobilefacenet") for kind in TRAINED}
CARDS = {"H2L": "h2l", "H1": "h1-h2", "H2": "h1-h2"}


@pytest.fixture(scope="module")
def identifier(mobile):
    return Identifier(mobile, Gallery.open(ROOT / "galleries" / "synthetic-people", mobile))


@pytest.mark.parametrize(("kind", "backbone"), FILES)
def test_a_file_is_small_and_of_the_sizes_of_its_recipe(kind, backbone):
    path = FILES[kind, backbone]
    assert path.stat().st_size < 5e6
    with safe_open(path, "pt") as file:
        assert {file.get_slice(key).get_dtype() for key in file.keys()} == {"F16"}  # noqa: SIM118 (no mapping)
    model = load_h2l(path, device="cpu")
    assert (model.kind, model.backbone.name, model.grid) == (kind, backbone, model.backbone.info.grids[0])
    wanted, found = vars(recipe(kind, backbone).sizes), vars(model.network.sizes)
    assert {key: found[key] for key in wanted if key not in ("patches", "channels")} == {
        key: wanted[key] for key in wanted if key not in ("patches", "channels")}
    assert model.both_orders == (backbone == "dlib")


@pytest.mark.parametrize("kind", TRAINED)
def test_its_card_knows_the_file_by_its_hash_and_its_alpha(kind):
    path = FILES[kind, "mobilefacenet"]
    card = (ROOT / "assets" / f"{CARDS[kind]}-mobilefacenet.md").read_text(encoding="utf-8")
    assert sha256(path) in card and path.name in card
    alpha = load_h2l(path, device="cpu").alpha
    assert f"{kind}, α = {alpha:g}" in card


def test_they_are_ready_on_the_default_backbone(mobile):
    assert {"h2l", "h2", "h1"} <= set(ready("mobilefacenet")) and "v" not in ready("mobilefacenet")
    assert METHODS["h2l"].unavailable("arcface")


@pytest.mark.parametrize("word", ["h2l", "h2", "h1"])
def test_with_the_query_first_pairs_and_candidates_give_the_same_distances(word, identifier):
    method = identifier.method(word)
    faces = identifier.gallery.features([0, 5, 17, 200])
    query = identifier.gallery.features([3])
    found = method.distances(query, method.prepare(faces)).distances
    torch.testing.assert_close(method.pairs(query[[0] * 4], faces), found, atol=1e-5, rtol=0)
    there = 1 - method.model.compare_features(query[[0] * 4], faces).similarity
    torch.testing.assert_close(found, there, atol=1e-5, rtol=0)
    back = method.pairs(faces, query[[0] * 4])
    assert method.model.sees_pairs == (not torch.allclose(found, back, atol=1e-4))
    assert ("as the first face" in method.describe()) == method.model.sees_pairs


def test_the_order_stands_in_the_file(identifier, mobile, tmp_path):
    model = identifier.method("h2l").model
    save_model(tmp_path / "h2l.safetensors", "H2L", model.network, mobile, alpha=0.25, grid=model.grid)
    again = load_h2l(tmp_path / "h2l.safetensors", backbone=mobile)
    assert again.both_orders and not model.both_orders and again.alpha == 0.25
    query, faces = identifier.gallery.features([3]), identifier.gallery.features([0, 5, 17])
    one, both, other = (CrossReranker(m, both_orders=o) for m, o in ((model, None), (again, None), (again, False)))
    torch.testing.assert_close(one.distances(query, one.prepare(faces)), other.distances(query, other.prepare(faces)))
    method = load_method("h2l", mobile, model=again)
    torch.testing.assert_close(both.distances(query, both.prepare(faces)), method.pairs(query[[0] * 3], faces),
                               atol=1e-5, rtol=0)
    assert "both orders" in method.describe()


def test_maps_are_of_the_order_that_the_distance_takes(identifier):
    model = identifier.method("h2l").model
    first, second = identifier.gallery.features([3]), identifier.gallery.features([5])
    found, output = pair_maps(model, first, second), model.compare_features(first, second)
    torch.testing.assert_close(torch.from_numpy(found.attention.forward),
                               torch.from_numpy(cross_attention(output).forward), atol=1e-6, rtol=0)
    correlation = cross_correlation(output.z1, output.z2)
    for face in (0, 1):
        torch.testing.assert_close(torch.from_numpy(found.correlation[face]),
                                   torch.from_numpy(correlation[face][0]), atol=1e-6, rtol=0)
    assert found.grid == (7, 7) and received(found.attention.choose()[0]).shape == (49,)


@pytest.mark.slow
def test_h2l_finds_masked_people_and_keeps_the_bare_ones(identifier):
    """Bundled query photos, masked and not: more right than by the cosine alone, and as many where nothing is drawn."""
    photos = sorted(QUERIES.glob("person-*/*.jpg"))[::11][:8]
    right = dict.fromkeys([(word, alteration) for word in ("none", "h2l") for alteration in (None, "mask")], 0)
    for photo in photos:
        for word, alteration in right:
            found = identifier.identify(photo, occlusion=alteration, stage2=word, detector="centerface")
            right[word, alteration] += found.ranking[0].identity == photo.parent.name
    assert right["h2l", None] >= right["none", None] >= 7
    assert right["h2l", "mask"] >= right["none", "mask"] and right["h2l", "mask"] >= 5
