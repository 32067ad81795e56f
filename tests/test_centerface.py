"""CenterFace: its network against OpenCV's on a file written here, peaks by hand, and faces of every kind found."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import torch
from conftest import BUNDLED

from demo.convert import SOURCES
from demo.convert import centerface as converted
from demo.errors import BadWeights
from demo.faces import alter, centerface, detect_faces, geometry, load_photo
from demo.faces.centerface import CenterFace, faces_of
from demo.places import ASSETS
from demo.weights import FILES, find, sha256
from demo.weights.onnx import Node, read_onnx

pytestmark = pytest.mark.usefixtures("one_thread")

# --- an ONNX file of the published graph with random weights ------------------------------------------------


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def field(number: int, value) -> bytes:
    """A field of a protocol buffer message: a whole number, a text or a message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def attribute(name: str, value) -> bytes:
    if isinstance(value, float):
        body = field(1, name) + varint(2 << 3 | 5) + np.float32(value).tobytes() + field(20, 1)
    elif isinstance(value, int):
        body = field(1, name) + field(3, value) + field(20, 2)
    else:
        body = field(1, name) + b"".join(field(8, one) for one in value) + field(20, 7)
    return field(5, body)


class Onnx:
    """CenterFace as its authors exported it: batch normalisation folded into all but the transposed convolutions."""

    def __init__(self, seed: int):
        self.random, self.nodes, self.weights, self.count = np.random.default_rng(seed), [], [], 0
        x = self.relu(self.conv("picture", 3, 32, 3, 2))
        maps = {}
        channels = 32
        for widening, out, blocks, stride in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2),
                                              (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)):
            for block in range(blocks):
                inside = channels * widening
                y = x if widening == 1 else self.relu(self.conv(x, channels, inside, 1, 1))
                y = self.relu(self.conv(y, inside, inside, 3, stride if block == 0 else 1, inside))
                y = self.conv(y, inside, out, 1, 1)
                x, channels = self.node("Add", [x, y]) if block else y, out
            maps[out] = x
        x = self.relu(self.conv(x, 320, 24, 1, 1))
        for lateral in (96, 32, 24):
            up = self.relu(self.norm(self.node("ConvTranspose", [x, self.tensor((24, 24, 2, 2), 24)],
                                               kernel_shape=[2, 2], strides=[2, 2])))
            x = self.node("Add", [up, self.relu(self.conv(maps[lateral], lateral, 24, 1, 1))])
        x = self.relu(self.conv(x, 24, 24, 3, 1))
        self.outputs = [self.node("Sigmoid", [self.conv(x, 24, 1, 1, 1)]),
                        *(self.conv(x, 24, out, 1, 1) for out in (2, 2, 10))]

    def name(self) -> str:
        self.count += 1
        return f"t{self.count}"

    def tensor(self, shape, fan_in=None, low=None) -> str:
        values = (self.random.standard_normal(shape) * (1.7 / fan_in) ** 0.5 if fan_in
                  else self.random.uniform(low, low + 0.5, shape)).astype("<f4")
        name = self.name()
        self.weights.append(field(5, b"".join(field(1, side) for side in shape) + field(2, 1) + field(8, name)
                                  + field(9, values.tobytes())))
        return name

    def node(self, operator, inputs, **attributes) -> str:
        out = self.name()
        self.nodes.append(field(1, b"".join(field(1, one) for one in inputs) + field(2, out) + field(4, operator)
                                + b"".join(attribute(key, value) for key, value in attributes.items())))
        return out

    def conv(self, x, inputs, outputs, side, stride, groups=1) -> str:
        kernel = self.tensor((outputs, inputs // groups, side, side), side * side * inputs // groups)
        return self.node("Conv", [x, kernel, self.tensor((outputs,), low=-0.2)], kernel_shape=[side, side],
                         strides=[stride, stride], pads=[side // 2] * 4, group=groups)

    def relu(self, x) -> str:
        return self.node("Relu", [x])

    def norm(self, x) -> str:
        parts = [self.tensor((24,), low=low) for low in (0.8, -0.2, -0.2, 0.7)]
        return self.node("BatchNormalization", [x, *parts], epsilon=0.001)

    def save(self, path):
        def value(name, *shape):
            dims = b"".join(field(1, field(1, side)) for side in shape)
            return field(1, name) + field(2, field(1, field(1, 1) + field(2, dims)))

        counter = field(5, field(2, 7) + field(8, "num_batches_tracked") + field(9, b"\0" * 8))
        graph = (b"".join(self.nodes) + field(2, "g") + b"".join(self.weights) + counter
                 + field(11, value("picture", 1, 3, 64, 96))
                 + b"".join(field(12, value(name, 1, 1, 1, 1)) for name in self.outputs))
        path.write_bytes(field(1, 8) + field(2, "test") + field(7, graph) + field(8, field(1, "") + field(2, 11)))
        return path


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    graph = Onnx(4)
    return graph, graph.save(tmp_path_factory.mktemp("onnx") / "centerface.onnx")


@torch.inference_mode()
def test_the_converted_network_equals_opencvs(published):
    graph, path = published
    network = CenterFace().eval()
    network.load_state_dict(converted(*read_onnx(path)))
    picture = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    theirs = cv2.dnn.readNetFromONNX(str(path))
    theirs.setInput(cv2.dnn.blobFromImage(picture, 1 / 255))
    ours = network(torch.from_numpy(picture).permute(2, 0, 1)[None] / 255)
    for one, other in zip(ours, theirs.forward(graph.outputs), strict=True):
        assert one.shape == other.shape == (1, one.shape[1], 16, 24) and other.std() > 0.01
        assert np.abs(one.numpy() - other).max() <= 1e-4 * np.abs(other).max()


def test_files_that_are_no_onnx_or_another_network(published, tmp_path):
    _, path = published
    nodes, weights = read_onnx(path)
    assert nodes[0].operator == "Conv" and weights[nodes[0].inputs[1]].shape == (32, 3, 3, 3)
    assert "num_batches_tracked" not in weights
    broken = tmp_path / "broken.onnx"
    for data in (b"", b"<html>", path.read_bytes()[:-2000], b"\xff" * 40):
        broken.write_bytes(data)
        with pytest.raises(BadWeights, match="broken.onnx is no ONNX file"):
            read_onnx(broken)
    with pytest.raises(BadWeights, match="cannot be read"):
        read_onnx(tmp_path / "missing.onnx")
    with pytest.raises(BadWeights, match="not as many convolutions"):
        converted(nodes[:-1], weights)
    with pytest.raises(BadWeights, match="no weights called"):
        converted(nodes, {})
    assert Node("Relu", ("t3",), ("t4",)) in nodes


# --- peaks ---------------------------------------------------------------------------------------------------


def maps(shape=(8, 10)):
    """heat (1, h, w), size (2, ..), offset (2, ..) and points (10, ..) of a picture without faces."""
    return [np.zeros((channels, *shape), np.float32) for channels in (1, 2, 2, 10)]


def put(found, row, col, score, high=4.0, wide=3.0, offset=(0.25, -0.25)):
    heat, size, off, points = found
    heat[0, row, col] = score
    size[:, row, col] = np.log([high, wide])
    off[:, row, col] = offset
    points[:, row, col] = [0.4, 0.3, 0.4, 0.7, 0.6, 0.5, 0.8, 0.35, 0.8, 0.65]  # y, x in units of the box


def test_peaks_by_hand():
    found = maps()
    put(found, 3, 5, 0.9)
    boxes, scores, points = faces_of(*found)
    # middle (5 - 0.25 + 0.5, 3 + 0.25 + 0.5) cells of 4 pixels = (21, 15); 12 wide, 16 high; less half a pixel
    assert boxes == pytest.approx(np.array([[14.5, 6.5, 26.5, 22.5]])) and scores == pytest.approx([0.9])
    assert points[0] == pytest.approx(np.array([[18.1, 12.9], [22.9, 12.9], [20.5, 16.1], [18.7, 19.3], [22.3, 19.3]]))
    put(found, 3, 6, 0.95)  # the same face again, surer
    put(found, 6, 1, 0.5)
    boxes, scores, points = faces_of(*found)
    assert scores == pytest.approx([0.95, 0.5]) and boxes.shape == (2, 4) and points.shape == (2, 5, 2)


def test_an_unsure_face_counts_where_there_is_no_surer_one():
    found = maps()
    assert [len(part) for part in faces_of(*found)] == [0, 0, 0]
    put(found, 2, 2, 0.29)
    assert len(faces_of(*found)[0]) == 0
    put(found, 2, 2, 0.35)
    assert faces_of(*found)[1] == pytest.approx([0.35])
    put(found, 6, 8, 0.45)
    assert faces_of(*found)[1] == pytest.approx([0.45])


# --- the shipped weights -------------------------------------------------------------------------------------


def test_hashes_are_recorded_where_they_are_read():
    digest = sha256(ASSETS / "centerface.safetensors")
    assert FILES["centerface"].sha256 == digest and find("centerface") == ASSETS / "centerface.safetensors"
    card = (ASSETS / "centerface.md").read_text()
    assert {digest, *SOURCES["centerface"].values()} <= set(re.findall(r"\b[0-9a-f]{64}\b", card))


@pytest.fixture(scope="module")
def photo():
    return load_photo(BUNDLED / "person-001" / "01.jpg")


@pytest.fixture(scope="module")
def face(photo):
    (found,) = detect_faces(photo, "centerface")
    return found


def eye_distance(face):
    return np.linalg.norm(face.five[1] - face.five[0])


def test_it_agrees_with_another_detector(photo, face):
    """HOG and dlib's landmarks, which share nothing with it."""
    other = detect_faces(photo, "hog")[0]
    marks = other.five.copy()
    marks[3:] = other.landmarks[[48, 54]]  # it marks the outer corners of the mouth
    assert face.five_points is not None and np.abs(face.five - marks).max() < 0.15 * eye_distance(other)
    left, top, right, bottom = face.box
    assert (face.five > (left, top)).all() and (face.five < (right, bottom)).all() and face.score > 0.5
    assert np.linalg.norm(face.landmarks - other.landmarks, axis=1).mean() < 0.06 * eye_distance(other)


@pytest.mark.parametrize("kind, style", [("mask", "surgical-blue"), ("mask", "ffp2"), ("sunglasses", None),
                                         ("rotate", "strong"), ("blur", "defocus-medium"), ("dark", "medium")])
def test_altered_faces_are_found(photo, face, kind, style):
    altered = alter(photo, face, kind, style=style, seed=1)
    found = detect_faces(altered.photo, "centerface")
    assert len(found) == 1
    assert np.linalg.norm(found[0].five - altered.face.five, axis=1).mean() < 0.2 * eye_distance(face)


def test_small_faces_in_large_photos_and_tight_crops(photo, face):
    canvas = np.full((1500, 2000, 3), 128, np.uint8)
    canvas[1000:1080, 1500:1580] = cv2.resize(photo, (80, 80), interpolation=cv2.INTER_AREA)
    (small,) = detect_faces(canvas, "centerface")
    expected = geometry.apply(geometry.rescale(80 / 256), face.five) + (1500, 1000)
    assert np.linalg.norm(small.five - expected, axis=1).mean() < 0.12 * eye_distance(small)
    left, top, right, bottom = (round(side) for side in face.box)
    (tight,) = detect_faces(np.ascontiguousarray(photo[top + 8:bottom - 8, left + 8:right - 8]), "centerface")
    assert np.linalg.norm(tight.five + (left + 8, top + 8) - face.five, axis=1).mean() < 0.12 * eye_distance(face)


def test_an_unsure_face_counts_only_where_it_fills_the_photo(photo, monkeypatch):
    """The network's own maps made fainter: nothing passes the usual bar, and then size decides."""
    best = centerface.detect(photo)[1][0]
    by = float(np.log(best / (1 - best)) - np.log(0.25 / 0.75))  # so that the surest cell has a probability of 0.25
    monkeypatch.setattr(CenterFace, "read", lambda network, x: (
        (network.heat(x) - by).sigmoid(), network.size(x), network.offset(x), network.points(x)))
    assert len(centerface.detect(photo)[0]) == 0
    boxes, scores, _ = centerface.filling(photo)
    assert len(boxes) == 1 and scores[0] == pytest.approx(0.25, abs=0.01)
    small = cv2.copyMakeBorder(photo, 200, 200, 200, 200, cv2.BORDER_REPLICATE)
    assert len(centerface.filling(small)[0]) == 0


def test_threads_do_not_disturb_each_other(photo, face):
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda one: detect_faces(one, "centerface")[0], [photo] * 4):
            assert np.array_equal(found.landmarks, face.landmarks) and np.array_equal(found.five, face.five)


@pytest.mark.parametrize("shape", [(16, 16, 3), (16, 3000, 3), (300, 200, 3)])
def test_no_face_no_guess(shape):
    assert detect_faces(np.full(shape, 90, np.uint8), "centerface") == []
