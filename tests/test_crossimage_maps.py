"""Attention and correlation maps lie on the right face, pinned by planted correspondences."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch

from demo.backbones import Features
from demo.crossimage.maps import _passed, cross_attention, cross_correlation, pair_maps, received, relevance, rollout
from demo.crossimage.model import CrossImageModel, PairOutput
from demo.crossimage.networks import H2L, OneImage, Sizes
from demo.errors import BadSetting

P = 64
SIZES = Sizes(heads=2, dim=64, dim_head=32, hidden=8, output=6, channels=64, faithful=True)


class Stand:
    """As much of a backbone as a model needs that is given features."""

    device = torch.device("cpu")
    name = "planted"

    class info:
        grids = ((8, 8),)


def features(patches: torch.Tensor) -> Features:
    return Features(torch.zeros(len(patches), 4), patches, (8, 8))


@pytest.fixture(scope="module")
def planted() -> CrossImageModel:
    """Attends by content alone: a token looks at tokens with the same content."""
    torch.manual_seed(0)
    network = H2L(SIZES)
    with torch.no_grad():
        for parameter in (network.pos_embedding, network.cls_token, network.sep):
            parameter.zero_()
        layer = network.transformer.layers[0][0].fn.fn
        eye = torch.eye(64)
        layer.to_qkv.weight.copy_(torch.cat([20 * eye, 20 * eye, eye]))  # head h compares numbers 32h to 32h + 31
    return CrossImageModel("H2L", network, Stand(), alpha=1.0, sha256="")


def unlike(count: int, seed: int) -> torch.Tensor:
    """(count, P, 64) faces whose patches look at nothing in particular."""
    return 0.1 * torch.randn(count, P, 64, generator=torch.Generator().manual_seed(seed))


def planted_pair(first_patch: int, second_patch: int, number: int | list[int] = 3) -> tuple[Features, Features]:
    a, b = unlike(1, 1), unlike(1, 2)
    a[0, first_patch, number] = b[0, second_patch, number] = 3.0
    return features(a), features(b)


def test_attention_goes_from_the_row_to_the_column_on_the_other_face(planted):
    first, second = planted_pair(10, 53)
    maps = cross_attention(planted.compare_features(first, second))
    forward, backward = maps.choose(head=0)
    assert forward.shape == backward.shape == (P, P)
    assert forward[10].argmax() == 53 and forward[10, 53] > 0.9 and forward[53, 10] < 0.5
    assert backward[53].argmax() == 10 and backward[53, 10] > 0.9 and backward[10, 53] < 0.5
    assert received(forward).argmax() == 53 and received(backward).argmax() == 10


def test_rows_sum_to_one_over_the_other_face(planted):
    maps = cross_attention(planted.compare_features(*planted_pair(1, 2)))
    for part in (maps.forward, maps.backward, *maps.choose()):
        np.testing.assert_allclose(part.sum(-1), 1, atol=1e-9)
    np.testing.assert_allclose(received(maps.choose()[0]).sum(), 1, atol=1e-9)


def test_heads_and_layers_can_be_chosen(planted):
    maps = cross_attention(planted.compare_features(*planted_pair(7, 40, number=35)))  # only head 1 sees number 35
    assert maps.choose(0, 1)[0][7, 40] > 0.9 > 0.1 > maps.choose(0, 0)[0][7, 40]
    np.testing.assert_allclose(maps.choose()[0], (maps.choose(0, 0)[0] + maps.choose(0, 1)[0]) / 2)
    for wrong in ({"layer": 1}, {"head": 2}, {"head": -1}):
        with pytest.raises(BadSetting):
            maps.choose(**wrong)


def test_both_orders_agree_on_which_face_is_which(planted):
    first, second = planted_pair(10, 53)
    output, reverse = planted.compare_features(first, second), planted.compare_features(second, first)
    forward, backward = cross_attention(output, reverse=reverse).choose(head=0)
    assert forward[10].argmax() == 53 and backward[53].argmax() == 10
    swapped = cross_attention(reverse).choose(head=0)
    np.testing.assert_allclose(forward, (cross_attention(output).choose(head=0)[0] + swapped[1]) / 2)


def test_the_wanted_pair_of_a_batch_is_taken(planted):
    one, other = planted_pair(10, 53), planted_pair(20, 5)
    batch = [features(torch.cat([a.patches, b.patches])) for a, b in zip(one, other, strict=True)]
    output = planted.compare_features(*batch)
    assert cross_attention(output, pair=1).choose(head=0)[0][20].argmax() == 5


def test_rollout_follows_the_planted_correspondence_too(planted):
    forward, backward = rollout(planted.compare_features(*planted_pair(10, 53, number=[3, 35])))  # in both heads
    assert forward[10].argmax() == 53 and backward[53].argmax() == 10
    np.testing.assert_allclose(forward.sum(1), 1)


def test_relevance_is_on_the_patch_that_makes_the_similarity(planted):
    first, second = planted_pair(10, 53)
    a, b = relevance(planted, first, second)
    assert a.shape == b.shape == (P,)
    np.testing.assert_allclose([a.sum(), b.sum()], 1)
    assert a.argmax() == 10 and b.argmax() == 53


def test_all_maps_of_a_pair_are_the_means_over_both_orders(planted):
    """One pass of both orders gives what each map gives alone, whichever face stands first."""
    first, second = planted_pair(10, 53, number=[3, 35])  # in both heads
    found, swapped = pair_maps(planted, first, second), pair_maps(planted, second, first)
    output, reverse = planted.compare_features(first, second), planted.compare_features(second, first)
    np.testing.assert_allclose(found.attention.forward, cross_attention(output, reverse=reverse).forward, atol=1e-6)
    one_way = {
        "rolled": (rollout(output), rollout(reverse)),
        "relevance": (relevance(planted, first, second), relevance(planted, second, first)),
        "correlation": [[on[0] for on in cross_correlation(o.z1, o.z2)] for o in (output, reverse)],
    }
    for name, (there, back) in one_way.items():
        for face in (0, 1):
            np.testing.assert_allclose(getattr(found, name)[face], (there[face] + back[1 - face]) / 2, atol=1e-6)
            np.testing.assert_allclose(getattr(found, name)[face], getattr(swapped, name)[1 - face], atol=1e-6)
    assert found.grid == (8, 8) and found.rolled[0][10].argmax() == 53


def test_relevance_is_the_gradient_of_the_similarity(planted):
    """Against finite differences: attention is nudged through the network's own layers, one entry at a time."""
    first, second = planted_pair(10, 53)
    network = deepcopy(planted.network).double()
    layer = network.transformer.layers[0]
    start = torch.cat([network.place(face.patches.double(), slot).x for slot, face in enumerate((first, second))], 1)
    projected = network.transformer.project(start).chunk(3, dim=2)
    q, k, v = (part.unflatten(2, (2, -1)).transpose(1, 2) for part in projected)
    looks = (q @ k.transpose(2, 3) * network.transformer.scale).softmax(3)

    @torch.no_grad()
    def similarity(attention: torch.Tensor) -> float:
        x = start + layer[0].fn.fn.to_out((attention @ v).transpose(1, 2).flatten(2))
        x = x + layer[1].fn.fn.net(layer[1].fn.norm(x))
        return float(torch.nn.functional.cosine_similarity(*network.outputs(x)))

    row, column, step = 1 + 10, 2 + P + 53, 1e-6  # patch 10 of the first face looks at patch 53 of the second
    wanted = 0.0
    for head in range(2):
        nudged = looks.clone()
        nudged[0, head, row, column] += step
        slope = (similarity(nudged) - similarity(looks)) / step
        wanted += max(0.0, slope * float(looks[0, head, row, column])) / 2
    _, gradients = _passed(planted, planted.patches(first), planted.patches(second))
    found = (looks * gradients[0])[0, :, row, column].clamp(min=0).mean()
    assert wanted > 0 and float(found) == pytest.approx(wanted, rel=1e-2)


def test_one_image_models_have_no_cross_attention():
    model = CrossImageModel("H1", OneImage(SIZES), Stand(), alpha=1.0, sha256="")
    output = model.compare_features(*planted_pair(1, 2))
    for call in (lambda: cross_attention(output), lambda: rollout(output),
                 lambda: relevance(model, *planted_pair(1, 2))):
        with pytest.raises(BadSetting, match="alone"):
            call()


def test_correlation_maps_lie_on_their_own_face():
    first, second = -torch.ones(1, P, 8), torch.ones(1, P, 8)
    first[0, 12] = 1.0  # the only patch of the first face that is like the second face
    on_first, on_second = cross_correlation(first, second)
    assert on_first.shape == (1, P) and on_first[0].argmax() == 12 and on_first[0, 12] == 1
    np.testing.assert_allclose(on_second[0], 1 / P)  # nothing of the second is like the first's mean
    swapped = cross_correlation(first, second, authors_drawing=True)
    np.testing.assert_array_equal(swapped[1], on_first)


def test_correlation_maps_are_cosines_with_the_other_mean():
    generator = torch.Generator().manual_seed(4)
    a, b = torch.rand(2, 3, P, 5, generator=generator).numpy()
    on_first, on_second = cross_correlation(torch.from_numpy(a), torch.from_numpy(b))
    for n in range(3):
        for own, other, found in ((a[n], b[n], on_first[n]), (b[n], a[n], on_second[n])):
            mean = other.mean(0)
            cosine = own @ mean / np.linalg.norm(own, axis=1) / np.linalg.norm(mean)
            np.testing.assert_allclose(found, cosine / cosine.sum(), rtol=1e-5)


def test_a_pair_output_without_contact_is_not_touched():
    zeros = torch.zeros(1, 2, 130, 130)
    zeros[0, :, :, 0] = 1  # all look at CLS
    z = torch.zeros(1, P, 4)
    maps = cross_attention(PairOutput(torch.zeros(1), [zeros], z, z, z, z, (8, 8)))
    np.testing.assert_allclose(maps.forward, 1 / P)
