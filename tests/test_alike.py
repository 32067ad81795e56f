"""Covered alike: its parts against independent computations, and its promise that bare faces lose nothing."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import ot
import pytest
import torch
from conftest import BUNDLED
from safetensors.torch import load_file

from demo.backbones import Features, load_backbone
from demo.backbones.mobilefacenet import LAST
from demo.crossimage import shipped
from demo.errors import BadWeights, WeightsMissing
from demo.explain import EXPLANATIONS, available, explain, face_maps
from demo.figures import caption, crops_of, match_figure, pair_of
from demo.gallery import Gallery
from demo.identify import Identifier
from demo.methods import METHODS, load_method, ready
from demo.methods.alike import GLASSES_SHARE, JOINED, MASK_SHARE, SCALE, TRANSPORT, Alike
from demo.ui.pages.downloads import _evidence
from demo.verify import verify
from demo.visibility import Visibility
from demo.weights import sha256

pytestmark = pytest.mark.usefixtures("one_thread")
WORD = "visible-patches"


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Identifier:
    """Twelve people who nothing was learned from, one photo each, on the backbone that the method works on."""
    folder = tmp_path_factory.mktemp("people")
    for number in range(70, 82):
        (folder / f"person-{number:03d}").symlink_to(BUNDLED / f"person-{number:03d}")
    mobile = load_backbone("mobilefacenet", device="cpu")
    return Identifier(mobile, Gallery.build(folder, mobile, tmp_path_factory.mktemp("index"), detector="centerface"))


@pytest.fixture(scope="module")
def masked(home):
    return home.identify(BUNDLED / "person-076" / "02.jpg", occlusion="mask", detector="centerface", stage2="alike")


@pytest.fixture(scope="module")
def bare(home):
    return home.identify(BUNDLED / "person-076" / "02.jpg", detector="centerface", stage2="alike")


def planted(covered: list[int], *, seed: int = 0) -> tuple[Alike, Features]:
    """A method that knows planted numbers: 2 x 2 patches of 3 channels, embeddings of 4; patch 0's first channel says
    whether the face wears a mask over the patches ``covered``. And three faces: masked, bare, bare."""
    rng = np.random.default_rng(seed)
    mobile = load_backbone("mobilefacenet", device="cpu")
    weight, bias = torch.zeros(4, 3, 4), torch.zeros(4, 4)
    bias[:, 0] = 20
    directions = torch.eye(3)
    for place in covered:
        weight[place, 0, 1] = 60.0
    root = rng.normal(size=(4, 4))
    learned = Visibility(torch.zeros(4, 3), directions, weight, bias, torch.tensor(rng.normal(size=4) / 9).float(),
                         torch.tensor(root @ root.T).float(), (2, 2), "mobilefacenet", mobile.weights_sha256)
    patches = torch.tensor(rng.normal(size=(3, 4, 3))).float()
    patches[1:, :, 0] = -patches[1:, :, 0].abs()  # bare
    patches[0, :, 0] = 3.0
    embedding = torch.nn.functional.normalize(torch.tensor(rng.normal(size=(3, 4))).float(), dim=1)
    return Alike(mobile, learned=learned), Features(embedding, patches, (2, 2))


@pytest.mark.parametrize("seed", range(4))
def test_the_distance_is_that_of_the_formula(seed):
    """Whitening from the textbook's square root, transport from POT, on planted numbers."""
    method, faces = planted([2, 3], seed=seed)
    found = method.distances(faces[0], method.prepare(faces[1:])).evidence
    assert found.applied.all() and found.compared.tolist() == [[True, True, False, False]] * 2
    scatter = method.learned.scatter.double().numpy()
    values, axes = np.linalg.eigh(scatter)
    whitening = axes @ np.diag(1 / np.sqrt(values + values.mean())) @ axes.T
    np.testing.assert_allclose(whitening @ whitening @ (scatter + values.mean() * np.eye(4)), np.eye(4), atol=1e-5)
    unmasked = (faces.embedding[0] - method.learned.shift).double().numpy() @ whitening
    for slot, other in enumerate(faces.embedding[1:].double().numpy()):
        other = other @ whitening
        cosine = unmasked @ other / np.linalg.norm(unmasked) / np.linalg.norm(other)
        first, second = (torch.nn.functional.normalize(faces.patches[row, :2], dim=1).double().numpy()
                         for row in (0, slot + 1))
        moved = ot.emd2(np.full(2, 0.5), np.full(2, 0.5), 1 - first @ second.T)
        expected = SCALE * ((1 - TRANSPORT) * (1 - cosine) + TRANSPORT * moved)
        assert float(found.distance[slot]) == pytest.approx(expected, abs=1e-5)


def test_a_planted_change_is_taken_back():
    """A masked face is its bare one plus the mean change: without the change nothing is between them."""
    method, faces = planted([3])
    worn = faces.embedding[1] * 3 + method.learned.shift * 3
    same = replace(faces[:2], embedding=torch.stack([worn / 3, faces.embedding[1]]))
    same = replace(same, embedding=torch.stack([same.embedding[0] / same.embedding[0].norm(), same.embedding[1]]))
    method.learned = replace(method.learned, shift=same.embedding[0] - same.embedding[1])
    assert float(method.distances(same[0], method.prepare(same[1])).evidence.embedding[0]) == pytest.approx(0, abs=1e-5)


def test_where_nothing_is_visible_on_both_all_is_compared():
    method, faces = planted([0, 1, 2, 3])
    found = method.distances(faces[0], method.prepare(faces[1:])).evidence
    assert found.compared.all() and torch.isfinite(found.distance).all()


def by_the_file(features: Features) -> np.ndarray:
    """(N, 192) unit: Model L by NumPy, from the tensors of the file and the patches alone."""
    held = {name: tensor.double().numpy() for name, tensor in load_file(shipped("L", "mobilefacenet")).items()}
    patches = features.patches.double().numpy()
    added = (held["place"] * (patches - held["patch_mean"])) @ held["project.weight"].T
    rows = added.reshape(len(patches), 7, 7, -1).sum(2)
    rows /= np.linalg.norm(rows.sum(1), axis=1)[:, None, None]
    made = rows.reshape(len(patches), -1) @ held["fc.weight"].T + held["fc.bias"]
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def test_the_discriminant_is_taken_in_under_a_mask(masked, home):
    """Half of the distance, beside what is measured without it, for which a method with passed-in numbers stands."""
    method, faces = home.method("alike"), home.gallery.features(range(len(home.gallery)), LAST)
    alone = Alike(home.backbone, learned=method.learned)
    query = masked.query.features
    found = method.distances(query, method.prepare(faces)).evidence
    without = alone.distances(query, alone.prepare(faces)).evidence
    assert found.applied.all() and not found.shaded.any() and not without.discriminant.any()
    ours = 1 - by_the_file(faces) @ by_the_file(query)[0]
    np.testing.assert_allclose(found.discriminant, ours, atol=1e-3)
    expected = JOINED * ((1 - MASK_SHARE) * without.distance.numpy() + MASK_SHARE * ours)
    np.testing.assert_allclose(found.distance, expected, atol=1e-3)
    torch.testing.assert_close(found.addends.sum(1), found.distance)
    assert not found.addends[:, 0].any() and not torch.allclose(found.distance, without.distance, atol=0.01)


def test_the_discriminant_is_mixed_with_the_cosine_under_sunglasses(home):
    glasses = home.identify(BUNDLED / "person-076" / "02.jpg", occlusion="sunglasses", detector="centerface",
                            stage2="alike")
    found, method = glasses.evidence, home.method("alike")
    assert found.shaded.all() and not found.applied.any() and "sunglasses are seen" in caption(glasses)
    assert glasses.stage2[0].identity == "person-076"
    query, rows = glasses.query.features, [match.row for match in glasses.stage1]
    faces = home.gallery.features(rows, LAST)
    cosine = 1 - faces.embedding.double().numpy() @ query.embedding[0].double().numpy()
    ours = 1 - by_the_file(faces) @ by_the_file(query)[0]
    expected = JOINED * (GLASSES_SHARE * ours + (1 - GLASSES_SHARE) * cosine)
    np.testing.assert_allclose(found.distance, expected, atol=1e-3)
    both = method.pairs(faces, query[[0] * len(rows)])  # either may wear them
    torch.testing.assert_close(both, found.distance, atol=1e-5, rtol=0)
    alone = Alike(home.backbone, learned=method.learned)
    np.testing.assert_allclose(alone.distances(query, alone.prepare(faces)).distances, cosine, atol=1e-5)
    pair = pair_of(glasses, home, glasses.ranking[0], crops_of(home))
    assert "linear discriminant's" in EXPLANATIONS[WORD].unavailable(pair)


def test_the_key_depends_on_both_files(home):
    method = home.method("alike")
    used = method.provenance()
    assert used["discriminant_sha256"] == sha256(shipped("L", "mobilefacenet"))
    assert len({*used.values(), method.key}) == 3
    lone = Alike(home.backbone)
    lone.discriminant = None
    assert lone.key == used["visibility_sha256"] and lone.provenance() == {"visibility_sha256": lone.key}


def test_a_discriminant_of_other_weights_is_left_out(home, monkeypatch):
    """A backbone that was trained further keeps what was learned of covers for it, without the shipped map."""
    def other(*_, **__):
        raise BadWeights("Another backbone's.")

    monkeypatch.setattr("demo.methods.cross.load_h2l", other)
    assert Alike(home.backbone).discriminant is None


def test_without_a_cover_it_is_the_cosine(bare, home):
    assert [match.row for match in bare.stage2] == [match.row for match in bare.stage1]
    for match in bare.stage2:
        assert match.patch == pytest.approx(match.cosine, abs=1e-5)
    assert "no mask is seen" in caption(bare)
    assert not bare.evidence.applied.any() and not bare.evidence.shaded.any()


def test_a_mask_is_seen_and_left_out_on_both_faces(masked):
    found = masked.evidence
    assert found.applied.all() and masked.matching.alpha == 1 and 0.2 < found.area < 0.5
    assert masked.stage2[0].identity == "person-076" and "a mask is seen" in caption(masked)
    compared = found.compared[0].reshape(7, 7)
    assert compared[1:3].all() and not compared[5, 2:5].any()
    assert not found.flow[~found.compared].any()
    assert not found.flow.transpose(1, 2)[~found.compared].any()
    torch.testing.assert_close(found.flow.sum((1, 2)).double(), torch.ones(len(found.flow)).double())


def test_pairs_and_candidates_give_the_same_distances(masked, home):
    method, query = home.method("alike"), masked.query.features
    faces = home.gallery.features([0, 5, 17, 20])
    measured = method.distances(query, method.prepare(faces)).distances
    torch.testing.assert_close(method.pairs(query[[0] * 4], faces), measured, atol=1e-5, rtol=0)
    torch.testing.assert_close(method.pairs(faces, query[[0] * 4]), measured, atol=1e-5, rtol=0)  # either may wear it
    some = method.prepare(faces)[torch.tensor([2, 0])]
    torch.testing.assert_close(method.distances(query, some).distances, measured[[2, 0]], atol=1e-5, rtol=0)
    own = method.distances(query, method.prepare(query)).evidence
    assert float(own.distance[0]) == pytest.approx(0, abs=1e-4)
    one = method.distances(query, method.prepare(faces)).evidence.pair(1)
    assert len(one.distance) == len(one.flow) == 1 and float(one.distance[0]) == pytest.approx(float(measured[1]))


def test_faces_without_and_with_a_mask_fit_into_one_ranking(masked, home):
    """Strangers are about as far by either measure, so a masked gallery photo is neither drawn up nor pushed down."""
    method, faces = home.method("alike"), home.gallery.features(range(len(home.gallery)))
    other = torch.tensor([entry.identity != "person-076" for entry in home.gallery.entries])
    query = masked.query.features
    alike = method.distances(query, method.prepare(faces)).distances[other].mean()
    plain = 1 - (faces.embedding[other] @ faces.embedding[~other].T).mean()
    assert float(alike) == pytest.approx(float(plain), abs=0.2)


def test_the_explanation_shows_what_was_compared(masked, bare, home):
    pair = pair_of(masked, home, masked.ranking[0], crops_of(home))
    maps = face_maps(explain(pair, WORD)[WORD])
    left_out = ~masked.evidence.compared[masked.ranking[0].stage1_rank - 1].numpy()
    assert maps.grid == (7, 7)
    for values in (maps.query, maps.candidate):
        assert values.sum() == pytest.approx(1) and not values[left_out].any() and values.min() >= 0
    flow, ground = (one[0].double().numpy() for one in (pair.evidence("alike").flow, pair.evidence("alike").ground))
    share = np.array([sum(flow[i, j] * max(0, 1 - ground[i, j]) for j in range(49)) for i in range(49)])
    np.testing.assert_allclose(maps.query, share / share.sum(), atol=1e-6)
    (values,) = EXPLANATIONS[WORD].left_out(pair).values()
    np.testing.assert_array_equal(values > 0, left_out)
    terms = [float(number) for number in re.findall(r"([0-9.]+) by ", EXPLANATIONS[WORD].told(pair))]
    assert len(terms) == 3 and sum(terms) == pytest.approx(masked.ranking[0].patch, abs=3e-4)
    assert EXPLANATIONS[WORD].importances(pair)[0].values.shape == (49,)
    plain = pair_of(bare, home, bare.ranking[0], crops_of(home))
    assert WORD not in available(plain) and "No mask is seen" in EXPLANATIONS[WORD].unavailable(plain)


def test_it_is_drawn_stored_and_told(masked, home):
    assert match_figure(masked, home).get_size_inches()[0] > 3
    arrays = _evidence("alike", masked.evidence)
    assert arrays["alike_compared"].shape == (len(masked.stage2), 49)
    np.testing.assert_allclose(arrays["alike_addends"].sum(1), arrays["alike"], atol=1e-6)
    assert arrays["alike_discriminant"].shape == arrays["alike_shaded"].shape == (len(masked.stage2),)
    best = masked.as_json(1)
    assert "alike" in best["stage2"][0] and len(best["settings"]["visibility_sha256"]) == 64


def test_two_photos_are_compared_by_it(home):
    photo = BUNDLED / "person-076" / "02.jpg"
    judged = verify(photo, photo, home).judgement("alike")
    assert judged.distance < 1e-4


def test_other_backbones_say_what_is_missing(backbone):
    assert "alike" in ready("mobilefacenet") and "alike" not in ready("dlib")
    assert "train-visibility" in METHODS["alike"].unavailable("dlib")
    with pytest.raises(WeightsMissing, match="dlib"):
        load_method("alike", backbone)
