"""Model L: the linear discriminant of what each row of patches adds to the embedding."""

import numpy as np
import pytest
import torch
from conftest import QUERIES, ROOT
from scipy.linalg import eigh
from torch.nn import functional as F

from demo.backbones import load_backbone
from demo.backbones.mobilefacenet import LAST
from demo.crossimage import load_h2l, shipped
from demo.crossimage.discriminant import RIDGE, checked_head, fit_linear
from demo.crossimage.networks import Linear, Sizes
from demo.crossimage.views import ViewSet
from demo.errors import BadSetting
from demo.explain import EXPLANATIONS, explain
from demo.explain.results import Maps
from demo.figures import crops_of, pair_of
from demo.gallery import Gallery
from demo.identify import Identifier
from demo.methods import METHODS, load_method


@pytest.fixture(scope="module")
def gallery(mobile):
    return Gallery.open(ROOT / "galleries" / "synthetic-people", mobile)


@pytest.fixture(scope="module")
def views(gallery):
    """The bundled people's photos as views, twelve people."""
    rows = [row for row, entry in enumerate(gallery.entries) if entry.identity <= "person-012"]
    people = sorted({gallery.entries[row].identity for row in rows})
    person = torch.tensor([2 * people.index(gallery.entries[row].identity) for row in rows])
    found = gallery.features(rows, LAST)
    return ViewSet(found.embedding, found.patches.half(), person, torch.arange(len(rows)), torch.zeros_like(person))


def test_the_head_makes_the_embedding_of_the_patches(mobile, views):
    place, weight = mobile.head()
    network = mobile.network
    with torch.no_grad():
        constant = network.embed(network.mix(network.pool.bias[None, :, None, None])).flatten(1)
        made = (place * views.patches.float()).sum(1) @ weight.T + constant
    np.testing.assert_allclose(F.normalize(made, dim=1), F.normalize(views.embedding.float(), dim=1), atol=2e-3)


def test_the_fit_is_the_generalised_eigenproblem(mobile, views):
    """Directions against SciPy's solution of B v = λ (W + ridge) v: the same subspace, unit variance within people."""
    network = fit_linear(views, mobile, output=6)
    with torch.no_grad():
        rows = network.rows(network.parts(views.patches.float())).double().numpy()
    people, member = np.unique(views.person.numpy(), return_inverse=True)
    means = np.stack([rows[member == number].mean(0) for number in range(len(people))])
    apart = rows - means[member]
    within = apart.T @ apart / len(rows)
    within += RIDGE * np.trace(within) / len(within) * np.eye(len(within))
    off = means - rows.mean(0)
    directions = eigh(off.T @ off, within)[1][:, ::-1][:, :6]
    weight = network.fc.weight.detach().double().numpy()
    np.testing.assert_allclose(weight @ within @ weight.T, np.eye(6), atol=1e-2)
    overlap = np.linalg.svd(directions.T @ within @ weight.T, compute_uv=False)
    assert overlap.min() > 0.98
    with torch.no_grad():
        np.testing.assert_allclose(network.encode(views.patches.float())[0].mean(0), np.zeros(6), atol=1e-2)


def test_contributions_sum_to_the_cosine():
    torch.manual_seed(0)
    network = Linear(Sizes(dim=5, output=4, patches=12, channels=7, rows=3))
    first, second = torch.randn(2, 6, 12, 7)
    with torch.no_grad():
        parts = network.contributions(first, second)
        f1, f2 = network.encode(first)[0], network.encode(second)[0]
    assert parts.shape == (6, 12)
    torch.testing.assert_close(parts.sum(1), F.cosine_similarity(f1, f2))
    without = network.parts(first)
    without[:, 5] = 0
    with torch.no_grad():
        change = ((f1 - network.fc(network.rows(without))) * f2).sum(1) / (f1.norm(dim=1) * f2.norm(dim=1))
    constant = (network.fc.bias / 12 * f2).sum(1) / (f1.norm(dim=1) * f2.norm(dim=1))
    torch.testing.assert_close(parts[:, 5], (change + constant).detach(), atol=1e-5, rtol=1e-4)


def test_a_backbone_without_a_linear_end_is_refused(backbone, views):
    with pytest.raises(BadSetting, match="dlib backbone does not end in layers that are linear"):
        fit_linear(views, backbone, output=8)
    with pytest.raises(BadSetting, match="four people"):
        fit_linear(views[:6], load_backbone("mobilefacenet", device="cpu"), output=8)
    with pytest.raises(BadSetting, match="leave the grid out"):
        checked_head(load_backbone("mobilefacenet", device="cpu"), (14, 14))
    assert "Model L" in str(METHODS["discriminant"].unavailable("dlib"))


@pytest.mark.slow
def test_it_finds_masked_people(mobile, gallery):
    """Masks drawn over bundled query photos: more right than by the cosine alone."""
    identifier = Identifier(mobile, gallery)
    photos = sorted(QUERIES.glob("person-*/*.jpg"))[::9][:6]
    right = {"none": 0, "discriminant": 0}
    for photo in photos:
        for word in right:
            found = identifier.identify(photo, occlusion="mask", stage2=word, detector="centerface")
            right[word] += found.ranking[0].identity == photo.parent.name
    assert right["discriminant"] >= right["none"]
    assert right["discriminant"] >= 3


def test_ranking_and_pairs_agree_and_the_explanation_is_exact(mobile, gallery):
    method = load_method("discriminant", mobile)
    faces = gallery.features([0, 5, 17, 200])
    query = gallery.features([3])
    found = method.distances(query, method.prepare(faces)).distances
    torch.testing.assert_close(method.pairs(query[[0] * 4], faces), found, atol=1e-5, rtol=0)
    assert method.alpha == pytest.approx(0.7)
    identifier = Identifier(mobile, gallery)
    photo = sorted(QUERIES.glob("person-*/*.jpg"))[0]
    answer = identifier.identify(photo, stage2="discriminant", k=5)
    pair = pair_of(answer, identifier, answer.ranking[0], crops_of(identifier))
    result = explain(pair, "discriminant-patches")["discriminant-patches"]
    assert isinstance(result, Maps)
    maps = result.maps
    distance = float(method.pairs(*pair.features))
    assert maps.query.sum() == pytest.approx(1 - distance, abs=1e-4)
    assert maps.candidate.sum() == pytest.approx(1 - distance, abs=1e-4)
    found = EXPLANATIONS["discriminant-patches"].importances(pair)[0].values  # what speaks against is negative
    assert found.sum() == pytest.approx(1 - distance, abs=1e-4)


def test_the_shipped_file_is_small():
    path = shipped("L", "mobilefacenet")
    assert path.stat().st_size < 3e6 and load_h2l(path).kind == "L"
