"""Training: views are seeded, batches are right, a small run learns, resumes exactly, and its file loads again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import ROOT
from safetensors.torch import save_file

from demo.backbones import load_backbone
from demo.crossimage import load_h2l, save_model
from demo.crossimage.crops import DRAWN, CropSet, face_crops
from demo.crossimage.distil import Distilling, distil
from demo.crossimage.jitter import CROP_SIDE, ERASED, erase, jitter, windows
from demo.crossimage.networks import Sizes, pixel_patches
from demo.crossimage.recipe import alpha_scores, cached_crops, train_model
from demo.crossimage.start import initialise
from demo.crossimage.train import NETWORKS, Batches, Training, _loss, train
from demo.crossimage.views import ViewSet, make_views
from demo.errors import BadSetting, BadWeights
from demo.faces import find_face, load_photo
from demo.faces.labelled import LabelledPhoto, split_people

pytestmark = pytest.mark.slow

SIZES = Sizes(heads=2, dim=16, dim_head=8, hidden=24, output=12, patches=9, channels=16, faithful=False, squeeze=6)
SMALL = Training(steps=60, queries=8, hard=2, random=1, pool=8, save_every=20)
PEOPLE = ROOT / "galleries" / "synthetic-people"


@pytest.fixture(scope="module")
def views() -> ViewSet:
    """24 people, two photos of six views each: a pattern per person, other patches overwritten in every view."""
    generator = torch.Generator().manual_seed(3)
    person = torch.arange(24).repeat_interleave(12) * 2
    patches = torch.randn(24, 9, 16, generator=generator)[person // 2]
    hidden = torch.rand(len(person), 9, generator=generator) < 0.5
    patches = torch.where(hidden[..., None], 3 * torch.randn(patches.shape, generator=generator), patches)
    patches = patches + 0.7 * torch.randn(patches.shape, generator=generator)
    return ViewSet(patches.mean(1), patches.half(), person, torch.arange(48).repeat_interleave(6),
                   torch.tensor([0, 0, 1, 1, 2, 2] * 48))


def test_crops_are_seeded_and_differ(backbone):
    photo = load_photo(PEOPLE / "person-001" / "01.jpg")
    face = find_face(photo)
    one, same, other = (face_crops(photo, face, backbone, seed=seed) for seed in (4, 4, 5))
    assert one.shape == (len(DRAWN), 150, 150, 3) and one.dtype == np.uint8
    assert np.array_equal(one, same) and np.array_equal(one[0], other[0])
    assert not any(np.array_equal(a, b) for a, b in zip(one[1:], other[1:], strict=True))
    assert not any(np.array_equal(one[a], one[b]) for a in range(len(one)) for b in range(a))


def test_jitter_is_seeded_keeps_the_face_in_place_and_differs_from_crop_to_crop():
    y, x = torch.meshgrid(torch.arange(112), torch.arange(112), indexing="ij")
    spot = 40 + 180 * torch.exp(-((x - 60) ** 2 + (y - 40) ** 2) / 60)
    pictures = spot.byte()[None, :, :, None].expand(40, -1, -1, 3)
    one, same, other = (jitter(pictures, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert one.shape == pictures.shape and one.dtype == torch.uint8
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert len({picture.numpy().tobytes() for picture in one}) == 40
    place = one.float().mean(3).flatten(1).argmax(1)
    away = torch.hypot((place % 112 - 60).float(), (place // 112 - 40).float())
    assert away.median() < 8 and (away > 0.5).any()


def test_a_window_is_enlarged():
    x = torch.linspace(0, 255, 100).byte().expand(100, 100)[None, :, :, None].expand(64, -1, -1, 3)
    window = torch.tensor([[0.5, 0.2, 0.5]]).expand(64, 3)
    shown = jitter(x, torch.Generator().manual_seed(0), window=window).float().mean((1, 2, 3))
    whole = jitter(x, torch.Generator().manual_seed(0)).float().mean((1, 2, 3))
    assert (shown > whole).float().mean() > 0.95  # the right half is the bright one
    chosen = windows(200, torch.Generator().manual_seed(0))
    assert (chosen[:, 2] >= CROP_SIDE[0]).all() and (chosen[:, :2] + chosen[:, 2:] <= 1 + 1e-6).all()


def test_an_erased_rectangle_has_one_colour_and_its_size():
    pictures = torch.randint(256, (30, 100, 80, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    gone = (erase(pictures, torch.Generator().manual_seed(1)) != pictures).any(3)
    for mask, erased in zip(gone, erase(pictures, torch.Generator().manual_seed(1)), strict=True):
        rows, cols = mask.any(1).sum() / 100, mask.any(0).sum() / 80
        assert all(ERASED[0] - 0.03 <= float(side) <= ERASED[1] + 0.03 for side in (rows, cols))
        assert len(erased[mask].unique(dim=0)) == 1


def test_batches_hold_one_of_the_same_person_and_never_a_mirror_image(views):
    mirrored = ViewSet(*(torch.cat([value, value]) for value in vars(views).values()))
    mirrored.person[len(views):] += 1
    batches = Batches(mirrored, SMALL)
    for step in range(20):
        queries, candidates = batches.at(step)
        assert candidates.shape == (8, 4)
        assert (mirrored.person[candidates[:, 0]] == mirrored.person[queries]).all()
        assert (mirrored.photo[candidates[:, 0]] != mirrored.photo[queries]).all()  # everybody has two photos
        assert (mirrored.person[candidates[:, 1:]] // 2 != mirrored.person[queries, None] // 2).all()
        assert mirrored.plain[candidates].all() and (candidates[:, 0] != queries).all()
    assert all(torch.equal(a, b) for a, b in zip(batches.at(3), Batches(mirrored, SMALL).at(3), strict=True))


def test_who_has_one_photo_is_asked_less_often_and_never_against_the_same_view(views):
    """Of the people, half get a person's number for each photo."""
    alone = views.photo % 48 >= 24
    split = replace(views, person=torch.where(alone, 100 + 2 * views.photo, views.person))
    batches = Batches(split, replace(SMALL, queries=400, alone=0.25))
    queries, candidates = batches.at(0)
    assert 0.1 < alone[queries].float().mean() < 0.3  # 0.25 / 1.25
    single = alone[queries]
    assert (split.photo[candidates[:, 0]] == split.photo[queries])[single].all()
    assert (candidates[:, 0] != queries).all()
    none = Batches(split, replace(SMALL, queries=400, alone=0.0)).at(0)[0]
    assert not alone[none].any()


def test_hard_negatives_are_the_nearest_strangers(views):
    batches = Batches(views, SMALL)
    unit = torch.nn.functional.normalize(views.embedding, dim=1)
    stranger = views.plain & (views.person != views.person[7])
    stranger[1::2] = False  # of each photo the first plain view
    nearest = (unit @ unit[7]).masked_fill(~stranger, -2).argsort(descending=True)[:8]
    assert set(batches.hard[7].tolist()) == set(views.photo[nearest].tolist())


@pytest.mark.parametrize("kind", ["H1", "H2", "H2L"])
def test_training_lowers_the_loss(kind, views, tmp_path):
    """On batches that it was not trained on, of the same people."""
    options = replace(SMALL, rate=5e-3, slow=0.5)
    trained, losses = train(kind, views, tmp_path / "c", sizes=SIZES, training=options)
    torch.manual_seed(options.seed)
    start = NETWORKS[kind](SIZES)
    initialise(start, views)
    batches = Batches(views, options)
    with torch.no_grad():
        before, after = (np.mean([float(_loss(network, views, batches.at(step), step, options))
                                  for step in range(500, 560)]) for network in (start, trained))
    assert len(losses) == 60 and after < before


def test_a_resumed_training_ends_where_an_unbroken_one_does(views, tmp_path):
    whole, losses = train("H2L", views, tmp_path / "whole", sizes=SIZES, training=SMALL)

    class StopError(Exception):
        pass

    def stop(step, steps, loss):
        if step == 45:
            raise StopError

    with pytest.raises(StopError):
        train("H2L", views, tmp_path / "broken", sizes=SIZES, training=SMALL, progress=stop)
    seen = []
    resumed, again = train("H2L", views, tmp_path / "broken", sizes=SIZES, training=SMALL,
                           progress=lambda step, steps, loss: seen.append(step))
    assert seen[0] == 41
    np.testing.assert_allclose(again, losses, rtol=1e-5)
    for key, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[key], value, rtol=1e-4, atol=1e-6)
    with pytest.raises(BadSetting, match="other settings"):
        train("H2L", views, tmp_path / "broken", sizes=SIZES, training=replace(SMALL, seed=1))


@pytest.mark.parametrize("kind", ["H1", "H2", "H2L"])
def test_the_start_already_tells_people_apart(kind, views):
    """Of a pair of one person and a pair of two, the first scores higher far more often than by chance, where people
    differ in every patch (H1 and H2 start from the mean patch)."""
    torch.manual_seed(0)
    views = replace(views, patches=views.patches + torch.randn(24, 1, 16)[views.person // 2].half())
    network = NETWORKS[kind](SIZES).eval()
    with torch.no_grad():
        untrained = _separation(network, views)
        initialise(network, views)
        assert _separation(network, views) > max(0.8, untrained)


@pytest.mark.parametrize("kind", ["H1", "H2", "H2L"])
@pytest.mark.parametrize(("depth", "heads"), [(1, 1), (2, 2), (1, 6), (4, 4)])
def test_every_size_can_be_trained(kind, depth, heads, views, tmp_path):
    sizes = replace(SIZES, depth=depth, heads=heads)
    if kind == "H2" and heads == 1:
        with pytest.raises(BadSetting, match="even number"):
            train(kind, views, tmp_path / "c", sizes=sizes, training=replace(SMALL, steps=2))
        return
    _, losses = train(kind, views, tmp_path / "c", sizes=sizes, training=replace(SMALL, steps=2))
    assert np.isfinite(losses).all()


def test_h2_starts_with_even_classes(views):
    torch.manual_seed(0)
    views = replace(views, patches=views.patches + torch.randn(24, 1, 16)[views.person // 2].half())
    network = NETWORKS["H2"](SIZES).eval()
    initialise(network, views)
    first = torch.arange(0, len(views), 6)
    with torch.no_grad():
        same, other = (float(network.logit(views.patches[first].float(), views.patches[rows].float()).mean())
                       for rows in (first + 1, first.roll(len(first) // 2) + 1))
    assert same > 0.5 and other < -0.5 and abs(same + other) < 1.5


def _separation(network, views: ViewSet) -> float:
    """Share of (same person, two people) pairs of pairs in the right order: the area under the ROC."""
    first, mate = views.patches[::12].float(), views.patches[6::12].float()
    grid = torch.stack([network.logit(first[[row]].expand(len(mate), -1, -1), mate) for row in range(len(first))])
    same = grid.diagonal()
    strangers = grid[~torch.eye(len(grid), dtype=torch.bool)]
    return float((same[:, None] > strangers).float().mean())


def test_too_few_people_are_refused(views, tmp_path):
    few = ViewSet(*(value[:12] for value in vars(views).values()))
    with pytest.raises(BadSetting, match="people"):
        train("H2L", few, tmp_path / "c", sizes=SIZES, training=SMALL)


def test_people_are_split_by_name():
    names = ("person-001", "person-070", "person-099", "ffhq-0449", "ffhq-0450")
    photos = [LabelledPhoto(name, ROOT) for name in names]
    kept, held = split_people(photos, ["person-070", "ffhq-0450"])
    assert [photo.identity for photo in kept] == ["person-001", "ffhq-0449"]
    assert [photo.identity for photo in held] == ["person-070", "person-099", "ffhq-0450"]


def test_photos_become_a_file_that_load_h2l_takes(backbone, tmp_path):
    photos = [LabelledPhoto(name, PEOPLE / name / f"0{m}.jpg")
              for name in ("person-001", "person-002", "person-003", "person-004") for m in (1, 2)]
    small = Training(steps=2, queries=2, hard=1, random=1)
    sizes = Sizes(heads=2, dim=128, dim_head=16, hidden=32, output=8, faithful=False, squeeze=2)
    out = tmp_path / "h2l.safetensors"
    losses = train_model(photos, out, backbone=backbone, work=tmp_path / "work", alpha=0.25, sizes=sizes,
                         training=small)
    assert len(losses) == 2
    model = load_h2l(out, backbone=backbone)
    assert (model.kind, model.alpha, model.network.sizes.output) == ("H2L", 0.25, 8)
    made = []
    crops = cached_crops(photos, backbone, tmp_path / "work", progress=lambda *done: made.append(done))
    assert not made and len(crops) == len(DRAWN) * len(photos)  # read, not made again
    views = make_views(crops, backbone, rounds=1)
    assert len(views) == len(crops)
    scores = alpha_scores(model, views, views.plain.nonzero()[:, 0], (~views.plain).nonzero()[:, 0])
    assert len(scores) == 11 and all(0 <= score <= 100 for score in scores.values())


def test_a_file_for_other_backbone_weights_is_refused(backbone, tmp_path):
    network = NETWORKS["H2L"](replace(SIZES, channels=128, patches=64))
    save_model(tmp_path / "h2l.safetensors", "H2L", network, backbone, alpha=0.5)

    class Other:
        name, weights_sha256 = backbone.name, "0" * 64

    with pytest.raises(BadWeights, match="other weights"):
        load_h2l(tmp_path / "h2l.safetensors", backbone=Other())


def test_v_learns_what_the_backbone_says_and_its_file_loads_as_a_published_one(tmp_path):
    mobilefacenet = load_backbone("mobilefacenet", device="cpu")
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randint(256, (8, 7, 7, 3), generator=generator).repeat_interleave(16, 1).repeat_interleave(16, 2)
    pictures = coarse.byte().repeat_interleave(2, 0)
    pictures[1::2, 60:] = 90
    crops = CropSet(pictures, torch.arange(8).repeat_interleave(2), torch.arange(8).repeat_interleave(2),
                    torch.tensor([0, 1] * 8))
    sizes = Sizes(depth=1, heads=1, dim=192, dim_head=64, hidden=64, patches=196, channels=192)
    options = Distilling(steps=25, batch=16)
    network, losses = distil(crops, mobilefacenet, sizes=sizes, training=options)
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.02
    again, _ = distil(crops, mobilefacenet, sizes=sizes, training=options)
    assert all(torch.equal(a, b) for a, b in zip(network.state_dict().values(), again.state_dict().values(),
                                                 strict=True))
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, tmp_path / "v.safetensors")
    model = load_h2l(tmp_path / "v.safetensors", device="cpu")
    found = model.backbone.extract(pictures[:4].numpy())
    assert model.kind == "V" and found.embedding.shape == (4, 192)
    with torch.no_grad():
        torch.testing.assert_close(found.embedding, network.encode(pixel_patches(pictures[:4]))[0])
        row, column, x, y = 3, 5, 2, 6  # of a patch, row by row, colours last
        pixel = pixel_patches(pictures)[0, row * 14 + column].view(8, 8, 3)[y, x]
    assert torch.equal(pixel, pictures[0, row * 8 + y, column * 8 + x].float())
