"""What covers a face: learned from what is drawn, checked against what is drawn, and told of real photos."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import BUNDLED, real_photos
from safetensors.torch import save_file

from demo.backbones import Features
from demo.cli import main
from demo.errors import BadGallery, BadSetting, BadWeights, WeightsMissing
from demo.faces import align, alter, detect_faces, load_photo
from demo.places import ASSETS
from demo.query import Preparation, prepare_query
from demo.visibility import KINDS, Cover, learn_visibility, read_visibility, save_visibility, shipped_visibility
from demo.visibility.estimate import WORN
from demo.visibility.learn import _regression, cover_views, mask_effect
from demo.weights import sha256

#: Nobody of them was learned from (train-visibility ... --hold-out person-070).
HELD_OUT = sorted(BUNDLED.glob("person-0[789]*/02.jpg"))[::3]

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def learned(mobile):
    return read_visibility(shipped_visibility("mobilefacenet"), mobile)


@pytest.fixture(scope="module")
def drawn(mobile):
    """kind → (features, covers (N, h, w)) of people who were not learned from."""
    found = {}
    for kind in ("bare", "mask", "sunglasses"):
        crops, covers = [], []
        for number, file in enumerate(HELD_OUT):
            photo = load_photo(file)
            face = detect_faces(photo, "centerface")[0]
            crop, cover = ((align(photo, face, mobile), np.zeros((112, 112), np.float32)) if kind == "bare"
                           else alter(photo, face, kind, seed=number).aligned(mobile))
            crops.append(crop)
            covers.append(cover)
        found[kind] = mobile.extract(np.stack(crops)), np.stack(covers)
    return found


def test_drawn_covers_are_seen_where_they_were_drawn(learned, drawn):
    for kind, (features, covers) in drawn.items():
        cover = learned.of(features)
        truth = covers.reshape(-1, 7, 16, 7, 16).mean((2, 4)).reshape(len(covers), 49)  # mean of each patch's pixels
        assert np.abs(cover.area.numpy() - truth.mean(1)).max() < 0.08
        clear = np.abs(truth - 0.5) > 0.2
        agree = (cover.covered.numpy() > 0.5) == (truth > 0.5)
        assert agree[clear].mean() > 0.96
        told = [cover.summary(slot) for slot in range(len(features))]
        wanted = None if kind == "bare" else kind
        assert sum(worn == wanted for worn, _ in told) >= len(told) - (kind == "sunglasses")
        assert [area for _, area in told] == pytest.approx(cover.area.tolist())
        torch.testing.assert_close(cover.kinds.sum(2), torch.ones(len(features), 49))


def test_one_face_is_seen_as_among_many(learned, drawn):
    features, _ = drawn["mask"]
    torch.testing.assert_close(learned.of(features[3]).kinds, learned.of(features).kinds[3:4], atol=1e-5, rtol=0)
    half = replace(features, patches=features.patches.half())  # as a gallery stores them
    torch.testing.assert_close(learned.of(half).kinds, learned.of(features).kinds, atol=0.02, rtol=0)


def test_the_surer_of_two_covers_is_told():
    kinds = torch.zeros(1, 49, 4)
    kinds[..., 0] = 1
    kinds[0, :20] = torch.tensor([0.0, 0, 1, 0])
    kinds[0, 20:] = torch.tensor([0.6, 0.4, 0, 0])
    cover = Cover(kinds, (7, 7))
    assert cover.wears("mask").all() and cover.wears("sunglasses").all() and cover.summary()[0] == "sunglasses"
    assert float(cover.area[0]) == pytest.approx((20 + 29 * 0.4) / 49)
    assert Cover(kinds * 0 + torch.tensor([1.0, 0, 0, 0]), (7, 7)).summary() == (None, 0.0)
    with pytest.raises(BadSetting, match="'hat'"):
        cover.wears("hat")


def test_views_cover_what_they_say(mobile):
    photo = load_photo(HELD_OUT[0])
    face = detect_faces(photo, "centerface")[0]
    crops, covers = cover_views(photo, face, mobile, seed=3)
    assert len(crops) == len(covers) == len(KINDS) and not covers[0].any()
    for crop, cover in zip(crops[1:], covers[1:], strict=True):
        changed = np.abs(crop.astype(int) - crops[0]).sum(2) > 30
        assert 0.02 < cover.mean() < 0.7
        assert changed[cover > 0.9].mean() > 0.6 > 0.3 > changed[cover < 0.01].mean()
    again, _ = cover_views(photo, face, mobile, seed=3)
    other, _ = cover_views(photo, face, mobile, seed=4)
    assert all((one == two).all() for one, two in zip(crops, again, strict=True)) and (other[-1] != crops[-1]).any()


def test_regression_finds_planted_classes():
    torch.manual_seed(0)
    looked = torch.randn(400, 2, 3)
    truth = torch.tensor([[[2.0, -2, 0, 0], [0, 0, 2, -2], [0, 0, 0, 0]], [[0, 0, 2, -2], [2, -2, 0, 0], [0, 0, 0, 0]]])
    chosen = torch.einsum("npr,prk->npk", looked, 3 * truth).argmax(2)
    weight, bias = _regression(looked, torch.nn.functional.one_hot(chosen, 4).float(), torch.ones(400))
    said = (torch.einsum("npr,prk->npk", looked, weight) + bias).argmax(2)
    assert (said == chosen).float().mean() > 0.97


def test_what_a_mask_does_is_mean_and_covariance_of_the_change():
    rng = np.random.default_rng(0)
    bare, change = rng.normal(size=(500, 4)), rng.normal(size=(500, 4)) @ np.diag([1, 2, 3, 4]) + [1, 0, 0, -1]
    shift, scatter = mask_effect(torch.tensor(bare), torch.tensor(bare + change))
    np.testing.assert_allclose(shift, change.mean(0), atol=1e-12)
    np.testing.assert_allclose(scatter, np.cov(change.T), atol=1e-12)


def test_learning_is_repeatable_and_the_file_keeps_it(mobile, tmp_path, monkeypatch):
    files = sorted(BUNDLED.glob("person-00*/0[12].jpg"))
    monkeypatch.setattr("demo.visibility.learn.FEWEST", 6)
    seen = []
    first = learn_visibility(files[:6], mobile, detector="centerface", progress=lambda *done: seen.append(done))
    again = learn_visibility(files[:6], mobile, detector="centerface")
    torch.testing.assert_close(first.weight, again.weight)
    assert seen == [(done, 6) for done in range(1, 7)]
    path = tmp_path / "visibility-mobilefacenet.safetensors"
    save_visibility(path, first)
    kept = read_visibility(path, mobile)
    assert kept.grid == (7, 7) and kept.backbone == "mobilefacenet"
    for name in ("centre", "directions", "weight", "bias", "shift", "scatter"):
        torch.testing.assert_close(getattr(kept, name), getattr(first, name), atol=1e-2, rtol=2e-3)
    assert shipped_visibility("mobilefacenet", tmp_path) == path
    monkeypatch.setattr("demo.visibility.learn.FEWEST", 7)
    with pytest.raises(BadGallery, match="found in 6 photos"):
        learn_visibility(files[:6], mobile, detector="centerface")


def test_files_of_another_kind_are_refused(mobile, learned, tmp_path, backbone):
    path = tmp_path / "visibility-mobilefacenet.safetensors"
    with pytest.raises(BadWeights, match="cannot be read"):
        read_visibility(path, mobile)
    path.write_bytes(b"no tensors")
    with pytest.raises(BadWeights, match="cannot be read"):
        read_visibility(path, mobile)
    save_visibility(path, learned)
    with pytest.raises(BadWeights, match="not learned on the loaded dlib weights"):
        read_visibility(path, backbone)
    for broken in ({"bias": torch.zeros(49, 3)}, {"shift": torch.full((192,), torch.nan)}, {"grid": (14, 14)}):
        save_visibility(path, replace(learned, **broken))
        with pytest.raises(BadWeights, match="does not fit"):
            read_visibility(path, mobile)
    save_file({"weight": torch.zeros(1)}, path, metadata={"backbone_sha256": mobile.weights_sha256, "grid": "ten"})
    with pytest.raises(BadWeights, match="does not fit"):
        read_visibility(path, mobile)
    with pytest.raises(WeightsMissing, match="train-visibility"):
        shipped_visibility("dlib")


def test_the_shipped_file_is_the_one_of_its_card():
    card = (ASSETS / "visibility-mobilefacenet.md").read_text(encoding="utf-8")
    path = ASSETS / "visibility-mobilefacenet.safetensors"
    assert path.stat().st_size <= 200_000
    assert re.findall(r"\b[0-9a-f]{64}\b", card) == [sha256(path)]
    assert all(f"{least:g}" in card for least in WORN.values())


def test_the_command_learns_from_some_of_every_folder(tmp_path, monkeypatch, capsys):
    asked = []

    def learn(files, backbone, **options):
        asked.append((files, options))
        return read_visibility(ASSETS / "visibility-mobilefacenet.safetensors", backbone)

    monkeypatch.setattr("demo.cli.visibility.learn_visibility", learn)
    out = tmp_path / "new" / "v.safetensors"
    assert main(["train-visibility", "--people", str(BUNDLED), "--hold-out", "person-050", "--most", "10", "--backbone",
                 "mobilefacenet", "--detector", "centerface", "--out", str(out)]) == 0
    (files, options), = asked
    assert 5 <= len(files) <= 10 and len({file.parent for file in files}) == len(files)
    assert max(file.parent.name for file in files) < "person-050" and options["detector"] == "centerface"
    assert out.is_file() and "learned from" in capsys.readouterr().out
    assert main(["train-visibility", "--people", str(tmp_path / "none")]) == 2


def test_real_masks_are_seen_and_bare_faces_are_bare(mobile, learned):
    """A sample of real photos; docs/evaluation.md has all of them."""
    folder = real_photos("real-masks")
    asked = Preparation(detector="centerface")
    for kind, worn in (("masked", "mask"), ("plain", None)):
        files = sorted((folder / kind).glob("*/*.jpg"))[10:150:14]
        told = [learned.of(prepare_query(file, mobile, asked).features).summary()[0] for file in files]
        assert told.count(worn) >= len(told) - 1


def test_grids_without_patches_are_refused(learned):
    with pytest.raises(BadSetting, match="cannot be made"):
        learned.of(Features(torch.zeros(1, 192), torch.zeros(1, 64, 512), (8, 8)))
