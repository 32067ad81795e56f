"""The adversarial photo: within its bounds after saving, the cosine goes where it should, and the report adds up."""

from __future__ import annotations

import json
import math
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from demo import cli
from demo.attack import ATTACKS, PGD, adversarial, nearest_stranger, perturb
from demo.attack.warp import warp
from demo.backbones import load_backbone
from demo.backbones.arcface import ResNetFace18, to_gray
from demo.errors import BadSetting
from demo.faces import align, align_points, crop_matrix, find_face, footprint, geometry, load_photo
from demo.faces import warp as opencv_warp
from demo.query import Preparation, prepare_query
from demo.robustness import LIMITS, attack_photo

ROOT = Path(__file__).resolve().parents[1]
PHOTO = ROOT / "assets" / "queries" / "person-013" / "04.jpg"
FEW = PGD(steps=3)
pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]


@pytest.fixture(scope="module")
def photo():
    return load_photo(PHOTO)


@pytest.fixture(scope="module")
def face(photo):
    return find_face(photo)


@pytest.fixture(scope="module")
def arcface(tmp_path_factory):
    """ArcFace with random weights."""
    torch.manual_seed(3)
    file = tmp_path_factory.mktemp("arcface") / "resnet18_110.pth"
    torch.save({"module." + key: value for key, value in ResNetFace18().state_dict().items()}, file)
    return load_backbone("arcface", weights=file, device="cpu")


def embedding(photo, face, backbone):
    return backbone.extract(align(photo, face, backbone)).embedding


def saved_and_read(photo):
    file = BytesIO()
    Image.fromarray(photo).save(file, "PNG")
    return load_photo(file.getvalue())


def cosine(one, other) -> float:
    return float(F.cosine_similarity(one.reshape(1, -1), other.reshape(1, -1)))


# --- the differentiable alignment -----------------------------------------------------------------------


@pytest.mark.parametrize("factor", [0.5, 1, 1.8, 4.3])
def test_the_warp_is_the_one_of_the_alignment(photo, face, backbone, factor):
    picture = cv2.resize(photo, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    turned = geometry.compose(geometry.rescale(factor), cv2.getRotationMatrix2D((128, 128), 17, 1))
    matrix = crop_matrix(face.moved(geometry.rescale(factor)), backbone)
    for chosen in (matrix, geometry.compose(crop_matrix(face, backbone), geometry.invert(turned))):
        ours = warp(torch.from_numpy(picture).permute(2, 0, 1).float(), chosen, (150, 150)).permute(1, 2, 0).numpy()
        gap = np.abs(ours - opencv_warp(picture, chosen, (150, 150)))
        assert gap.max() < 2.5 and gap.mean() < 0.5  # whole values in between


def test_the_gradient_reaches_every_pixel_that_counts(photo, face, backbone):
    size, matrix = backbone.input_size, crop_matrix(face, backbone)
    blank = torch.zeros(3, *photo.shape[:2], requires_grad=True)
    (slope,) = torch.autograd.grad(warp(blank, matrix, size).sum(), blank)
    pixels = np.stack(np.meshgrid(*map(np.arange, photo.shape[1::-1])), axis=-1)
    inside = align_points(pixels.reshape(-1, 2), matrix).reshape(pixels.shape)
    inside = ((inside > 0) & (inside < np.array(size) - 1)).all(-1)
    assert (slope[0].numpy()[inside] > 0).all()
    outside = np.ones(inside.shape, bool)
    outside[footprint(matrix, size, photo.shape[:2])] = False
    assert not slope[0].numpy()[outside].any()


def test_the_differentiable_embedding_is_the_extracted_one(photo, face, backbone, arcface):
    for network in (backbone, arcface):
        crop = torch.from_numpy(align(photo, face, network))[None]
        extracted = network.extract(crop.numpy()).embedding
        assert cosine(network.embed(crop), extracted) > 1 - 1e-6
        assert cosine(network.embed(crop.float()), extracted) > 1 - 1e-3  # grey is not rounded then
    grey = to_gray(torch.rand(1, 4, 4, 3, requires_grad=True) * 255)
    assert grey.requires_grad and grey.shape == (1, 1, 4, 4)


# --- the attack -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("eps", [0, 3, 16])
def test_the_png_stays_within_eps(photo, face, backbone, eps):
    before = photo.copy()
    altered = perturb(photo, face, backbone, embedding(photo, face, backbone), towards=False, pgd=PGD(eps, steps=2))
    assert np.array_equal(photo, before)
    read = saved_and_read(altered)
    assert np.array_equal(read, altered)
    change = np.abs(read.astype(int) - photo)
    assert change.max() == eps
    outside = np.ones(photo.shape[:2], bool)
    outside[footprint(crop_matrix(face, backbone), backbone.input_size, photo.shape[:2])] = False
    assert not change[outside].any()


def test_values_stay_values(photo, face, backbone):
    """No wrapping round at black and white."""
    harsh = np.where(photo > 110, 255, 0).astype(np.uint8)
    altered = perturb(harsh, face, backbone, embedding(harsh, face, backbone), towards=False, pgd=FEW)
    assert np.abs(altered.astype(int) - harsh).max() <= 8


def test_dodging_lowers_and_impersonation_raises_the_cosine(photo, face, backbone, bundled):
    clean = embedding(photo, face, backbone)
    stranger = nearest_stranger(clean, bundled)
    seen = {}
    for kind in ATTACKS:
        made = adversarial(photo, face, kind, backbone, bundled, seed=1, pgd=PGD(steps=6))
        found = made.relocated()  # detection and alignment again
        seen[kind] = embedding(saved_and_read(found.photo), found.face, backbone)
        assert made.note == "white-box PGD on dlib; not TALFW" and not made.alpha.any()
    assert cosine(seen["dodge"], clean) < 0.5
    assert cosine(seen["impersonate"], stranger) > cosine(clean, stranger) + 0.1
    noise = np.random.default_rng(0).choice([-8, 8], photo.shape)  # as large, but not aimed
    noisy = np.clip(photo.astype(int) + noise, 0, 255).astype(np.uint8)
    assert cosine(embedding(noisy, face, backbone), clean) > 0.8


def test_same_seed_same_bytes(photo, face, backbone):
    one, again, other = (adversarial(photo, face, "dodge", backbone, seed=seed, pgd=FEW).photo for seed in (5, 5, 6))
    assert one.tobytes() == again.tobytes() != other.tobytes()


def test_a_grey_backbone_gets_one_change_for_all_channels(photo, face, arcface):
    bright = np.clip(photo.astype(int) + 120, 0, 255).astype(np.uint8)  # some values are at the limit
    altered = perturb(bright, face, arcface, embedding(bright, face, arcface), towards=False, pgd=FEW)
    change = saved_and_read(altered).astype(int) - bright
    assert np.ptp(change, axis=2).max() == 0 and 0 < np.abs(change).max() <= 8
    assert cosine(embedding(altered, face, arcface), embedding(bright, face, arcface)) < 0.999


def test_the_nearest_stranger_is_the_first_other_person(photo, face, backbone, bundled):
    clean = embedding(photo, face, backbone)
    rows = bundled.search(clean)[1].tolist()
    names = [bundled.entries[row].identity for row in rows]
    first = next(slot for slot, name in enumerate(names) if name != names[0])
    assert torch.equal(nearest_stranger(clean, bundled), bundled.embeddings[rows[first]])
    with pytest.raises(BadSetting, match="gallery"):
        nearest_stranger(clean, None)


def test_bad_settings(photo, face, backbone):
    for values in ((17,), (-1,), (2.5,), (8, 2.0, 0), (8, 0.0, 3)):
        with pytest.raises(BadSetting):
            PGD(*values)
    with pytest.raises(BadSetting, match="0 or more"):
        adversarial(photo, face, "dodge", backbone, seed=-1)
    with pytest.raises(BadSetting, match="no styles"):
        prepare_query(PHOTO, backbone, Preparation(alteration="dodge", style="light"))


# --- as a query, and as a report ------------------------------------------------------------------------


def test_a_query_can_be_attacked(identifier, backbone, photo, face):
    found = identifier.identify(PHOTO, occlusion="dodge", seed=2)
    made = adversarial(photo, face, "dodge", backbone, identifier.gallery, seed=2)
    assert np.array_equal(found.query.altered, made.photo)
    assert found.as_json()["query"]["note"] == "white-box PGD on dlib; not TALFW"
    assert found.stage1[0].identity != "person-013"


def test_the_report_adds_up(identifier, arcface, tmp_path):
    file = tmp_path / "attacked.png"
    report = attack_photo(PHOTO, identifier, target="person-020", truth="person-013", pgd=FEW, out=file,
                          others=[arcface])
    assert not (tmp_path / "attacked.png.part").exists()
    read = load_photo(file)
    clean = load_photo(PHOTO)
    gap = read.astype(float) - clean
    assert np.array_equal(report.attacked, read) and report.largest == np.abs(gap).max() <= 8
    assert report.psnr == pytest.approx(10 * math.log10(255**2 / np.square(gap).mean()))
    truth, target = report.references
    assert (truth.name, target.name, report.goal) == ("person-013", "person-020", "impersonate")
    before, after = (identifier.identify(source, stage2="none") for source in (PHOTO, file))
    for one in (truth, target):
        for found, when in ((before, "before"), (after, "after")):
            rank = next(match.rank for match in found.stage1 if match.identity == one.name)
            assert getattr(one.ranks["stage1"], when) == rank
    first = next(match for match in before.stage1 if match.identity == "person-020")
    assert target.distances["cosine"].before == pytest.approx(first.cosine, abs=1e-5)
    assert target.distances["cosine"].after == pytest.approx(
        next(match.cosine for match in after.stage1 if match.path == first.path), abs=1e-5)
    assert target.distances["cosine"].after < target.distances["cosine"].before
    assert set(target.distances) == {"cosine", "emd", "h2l"} and set(target.ranks) == {"stage1", "emd", "h2l"}
    (other,) = report.transfer
    both = [prepare_query(source, arcface, Preparation()).features.embedding for source in (PHOTO, file)]
    assert other.backbone == "arcface" and other.itself == pytest.approx(1 - cosine(*both), abs=1e-5)
    assert set(other.references) == {"truth", "target"}
    data = json.loads(json.dumps(report.as_json()))
    assert data["label"] == "white-box PGD on dlib; not TALFW" and data["limits"] == LIMITS and data["linf"] <= 8


def test_the_command_line(capsys, tmp_path):
    stranger = ROOT / "assets" / "strangers" / "person-100" / "03.jpg"
    file = tmp_path / "out.png"
    common = ["attack", str(PHOTO), "--device", "cpu", "--steps", "2"]
    assert cli.main([*common, "--target", str(stranger), "--out", str(file), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["goal"] == "impersonate" and data["references"][1]["name"] == "03.jpg" and file.is_file()
    assert data["truth_assumed"] and data["references"][1]["ranks"] == {}
    assert cli.main([*common, "--eps", "0"]) == 0
    told = capsys.readouterr().out
    assert "not TALFW" in told and LIMITS in told and "nothing changed" in told
    assert "Stage 1 person-013 → person-013" in told
    for wrong, said in ((["--target", "nobody"], "nobody"), (["--eps", "40"], "0 to 16"), (["--out", "x.jpg"], ".png"),
                        (["--identity", "nobody"], "nobody")):
        assert cli.main([*common, *wrong]) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert lines[-1].startswith("attack: ") and said in lines[-1]
