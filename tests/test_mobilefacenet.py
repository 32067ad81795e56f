"""MobileFaceNet against its TensorFlow.js graph, run here literally, and what it makes of the bundled people."""

from __future__ import annotations

import json
import pickle
import re

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from demo.backbones import Features, LayerGrid, available, grid_name, load_backbone, parse_grid
from demo.backbones.mobilefacenet import EARLY, FINE, LAST, MobileFaceNet
from demo.convert import SOURCES, main, mobilefacenet
from demo.errors import BadSetting, BadWeights
from demo.faces import TEMPLATES, align, detect_faces, load_photo
from demo.gallery import Gallery
from demo.places import ASSETS
from demo.weights import FILES, find, sha256
from demo.weights.tfjs import read_tfjs
from tests.conftest import BUNDLED

pytestmark = pytest.mark.usefixtures("one_thread")

# --- the published graph: its nodes, with random weights ---------------------------------------------------

ROOT, LOGITS = "MobileFaceNet/MobileFaceNet/", "MobileFaceNet/Logits/"
#: (block, channels inside, channels out, stride, whether its input is added), in order.
BLOCKS = [("Conv2d_2_InvResBlock_0", 128, 64, 2, False),
          *((f"Conv2d_2_InvResBlock_{n}", 128, 64, 1, True) for n in (1, 2, 3, 4)),
          ("Conv2d_3_InvResBlock_0", 256, 128, 2, False),
          *((f"Conv2d_4_InvResBlock_{n}", 256, 128, 1, True) for n in range(6)),
          ("Conv2d_5_InvResBlock_0", 512, 128, 2, False),
          *((f"Conv2d_6_InvResBlock_{n}", 256, 128, 1, True) for n in (0, 1))]


class Graph:
    """Nodes (operation, name, inputs, stride, padding) and the weights they name, as the converter wrote them."""

    def __init__(self, seed: int):
        self.random = np.random.default_rng(seed)
        self.nodes: list[tuple] = []
        self.weights: dict[str, np.ndarray] = {}
        x = self.prelu(self.convolve("image", ROOT + "Conv2d_0", 3, 3, 64, 2), ROOT + "Conv2d_0")
        x = self.prelu(self.convolve(x, ROOT + "SeparableConv2d", 3, 64, None, 1), ROOT + "SeparableConv2d")
        x = self.convolve(x, ROOT + "Conv", 1, 64, 64, 1)
        channels = 64
        for name, inside, out, stride, skip in BLOCKS:
            at = f"{ROOT}{name}/"
            y = self.prelu(self.convolve(x, at + "Conv", 1, channels, inside, 1), at + "Conv")
            y = self.prelu(self.convolve(y, at + "SeparableConv2d", 3, inside, None, stride), at + "SeparableConv2d")
            y = self.convolve(y, at + "Conv_1", 1, inside, out, 1)
            x, channels = self.node("Add", at + "Add", y, x) if skip else y, out
        x = self.prelu(self.convolve(x, ROOT + "Conv2d_7", 1, 128, 512, 1), ROOT + "Conv2d_7")
        x = self.convolve(x, LOGITS + "SeparableConv2d", 7, 512, None, 1, padding="VALID", relu=False)
        x = self.convolve(x, LOGITS + "Conv", 1, 512, 512, 1)
        self.node("Normalise", "embeddings", self.convolve(x, LOGITS + "LinearConv1x1", 1, 512, 192, 1))

    def node(self, operation, name, *inputs, stride=1, padding="SAME"):
        self.nodes.append((operation, name, inputs, stride, padding))
        return name

    def convolve(self, x, at, side, inputs, outputs, stride, padding="SAME", relu=True):
        """outputs None: depthwise, into which the converter also fused a ReLU that does not belong there."""
        depthwise = outputs is None
        kind, shape = ("depthwise", (side, side, inputs, 1)) if depthwise else ("Conv2D", (side, side, inputs, outputs))
        fan_in = side * side * (1 if depthwise else inputs)
        names = f"{at}/{kind}_weights", f"{at}/{kind}_bn_offset"
        self.weights[names[0]] = self.random.standard_normal(shape, np.float32) * np.float32(1.6 / fan_in) ** 0.5
        self.weights[names[1]] = 0.1 * self.random.standard_normal(outputs or inputs, np.float32)
        operation = "Depthwise" + "Relu" * relu if depthwise else "Convolve"
        return self.node(operation, f"{at}/convolved", x, *names, stride=stride, padding=padding)

    def prelu(self, x, at):
        """relu(x) + m (x - |x|) in single operations; m was stored with the other sign."""
        size = self.weights[f"{at}/{'depthwise' if 'Separable' in at else 'Conv2D'}_bn_offset"].shape
        self.weights[f"{at}/mul"] = -self.random.uniform(0.05, 0.2, size).astype(np.float32)
        rest = self.node("Multiply", f"{at}/mul_1", self.node(
            "Subtract", f"{at}/sub", x, self.node("Abs", f"{at}/Abs", x)), f"{at}/mul")
        positive = x if "Separable" in at else self.node("Relu", f"{at}/Relu", x)
        return self.node("Add", f"{at}/add", positive, rest)

    def save(self, folder):
        """As TensorFlow.js does: one .bin, and a .json that names what is in it. Returns the path of the .json."""
        entries = [{"name": name, "shape": list(value.shape), "dtype": "float32"}
                   for name, value in self.weights.items()]
        (folder / "net.bin").write_bytes(b"".join(value.tobytes() for value in self.weights.values()))
        (folder / "net.json").write_text(json.dumps({"weightsManifest": [{"paths": ["net.bin"], "weights": entries}]}))
        return folder / "net.json"

    def run(self, image):
        """{name: (B, C, h, w)}: every node as it is written, with the converter's two faults repaired."""
        values, before_relu = {"image": image}, {}
        for operation, name, inputs, stride, padding in self.nodes:
            x = values[inputs[0]]
            if operation in ("Convolve", "Depthwise", "DepthwiseRelu"):
                kernel, bias = (torch.from_numpy(self.weights[key]) for key in inputs[1:])
                y = convolve(x, kernel, stride, padding, operation != "Convolve") + bias[:, None, None]
                if operation == "DepthwiseRelu":
                    before_relu[name], y = y, y.clamp(min=0)
            elif operation == "Abs":
                y = before_relu.get(inputs[0], x).abs()
            elif operation == "Subtract":
                y = before_relu.get(inputs[0], x) - values[inputs[1]]
            elif operation == "Multiply":
                y = x * -torch.from_numpy(self.weights[inputs[1]])[:, None, None]
            elif operation == "Relu":
                y = x.clamp(min=0)
            elif operation == "Add":
                y = x + values[inputs[1]]
            else:
                y = x.flatten(1) / x.flatten(1).square().sum(1, keepdim=True).sqrt()
            values[name] = y
        return values


def convolve(x, kernel, stride, padding, depthwise):
    """kernel (h, w, in, out or 1). Tap by tap over a padded copy; SAME puts an odd pixel right and below."""
    height, width = kernel.shape[:2]
    rows, cols = x.shape[2:]
    if padding == "SAME":
        out = -(-rows // stride), -(-cols // stride)
        need = [max((n - 1) * stride + k - size, 0)
                for n, k, size in zip(out, (height, width), (rows, cols), strict=True)]
        x = F.pad(x, (need[1] // 2, need[1] - need[1] // 2, need[0] // 2, need[0] - need[0] // 2))
    else:
        out = (rows - height) // stride + 1, (cols - width) // stride + 1
    total = 0
    for i in range(height):
        for j in range(width):
            part = x[:, :, i:i + (out[0] - 1) * stride + 1:stride, j:j + (out[1] - 1) * stride + 1:stride]
            tap = kernel[i, j]
            total = total + (part * tap[:, 0][:, None, None] if depthwise
                             else torch.einsum("bchw,co->bohw", part, tap))
    return total


@pytest.fixture(scope="module")
def graph():
    return Graph(3)


@torch.inference_mode()
def test_the_port_equals_the_graph(graph, tmp_path):
    network = MobileFaceNet().eval()
    network.load_state_dict(mobilefacenet(read_tfjs(graph.save(tmp_path))))
    image = torch.from_numpy(np.random.default_rng(1).uniform(-1, 1, (2, 3, 112, 112)).astype(np.float32))
    values = graph.run(image)
    embedding, maps = network(image)
    expected = {LAST: "Conv2d_7/add", EARLY: "Conv2d_6_InvResBlock_1/Add", FINE: "Conv2d_4_InvResBlock_5/Add"}
    assert list(maps) == list(expected) == [(7, 7), EARLY, (14, 14)]
    for grid, name in expected.items():
        wanted = values[ROOT + name]
        assert wanted.std() > 0.1 and maps[grid].shape == wanted.shape
        assert (maps[grid] - wanted).abs().max() <= 1e-5 * wanted.abs().max()
    assert (embedding - values["embeddings"]).abs().max() <= 1e-5
    assert torch.allclose(embedding.norm(dim=1), torch.ones(2), atol=1e-6)


def test_other_graphs_are_refused(graph, tmp_path):
    path = graph.save(tmp_path)
    weights = read_tfjs(path)
    with pytest.raises(BadWeights, match="no weights called .*Conv2d_7/Conv2D_weights"):
        mobilefacenet({name: value for name, value in weights.items() if "Conv2d_7/Conv2D_w" not in name})
    (tmp_path / "net.bin").write_bytes((tmp_path / "net.bin").read_bytes()[:-4])
    with pytest.raises(BadWeights, match="weights are damaged"):
        read_tfjs(path)
    manifest = json.loads(path.read_text())
    manifest["weightsManifest"][0]["weights"][0]["quantization"] = {"dtype": "uint8", "min": 0, "scale": 1}
    path.write_text(json.dumps(manifest))
    with pytest.raises(BadWeights, match="quantised"):
        read_tfjs(path)
    (tmp_path / "net.bin").unlink()
    with pytest.raises(BadWeights, match="net.bin cannot be read"):
        read_tfjs(path)


def test_the_converter_takes_the_published_file_only(graph, tmp_path, capsys):
    path = graph.save(tmp_path).rename(tmp_path / "mobilefacenet.json")
    target = tmp_path / "out.safetensors"
    assert main(["mobilefacenet", str(path), str(target)]) == 1
    assert "mobilefacenet.json is not the published file" in capsys.readouterr().err
    assert not target.exists()


# --- the shipped weights -------------------------------------------------------------------------------------


def test_hashes_are_recorded_where_they_are_read():
    card = (ASSETS / "mobilefacenet.md").read_text()
    digest = sha256(ASSETS / "mobilefacenet.safetensors")
    assert FILES["mobilefacenet"].sha256 == digest and find("mobilefacenet") == ASSETS / "mobilefacenet.safetensors"
    assert {digest, *SOURCES["mobilefacenet"].values()} <= set(re.findall(r"\b[0-9a-f]{64}\b", card))


@pytest.fixture(scope="module")
def net():
    return load_backbone("mobilefacenet", device="cpu")


def crops(people, number):
    """Aligned crops of photo ``number`` (from 0) of each folder."""
    photos = [load_photo(sorted(person.glob("*.jpg"))[number]) for person in people]
    return np.stack([align(photo, detect_faces(photo)[0], "five-112") for photo in photos])


def test_the_shipped_weights_tell_people_apart(net):
    """A lost sign, a wrong order of channels or a shifted padding ends far below this."""
    people = [folder for folder in sorted(BUNDLED.glob("person-*")) if len(list(folder.glob("*.jpg"))) > 1][:24]
    first, second = (net.extract(crops(people, number)) for number in (0, 1))
    assert first.embedding.shape == (24, 192) and first.patches.shape == (24, 49, 512)
    assert first.at(EARLY).patches.shape == (24, 49, 128) and first.at((14, 14)).patches.shape == (24, 196, 128)
    similarity = first.embedding @ second.embedding.T
    assert (similarity.argmax(1) == torch.arange(24)).float().mean() > 0.9
    strangers = similarity[~torch.eye(24, dtype=torch.bool)]
    assert similarity.diag().mean() - strangers.mean() > 0.3


@pytest.mark.parametrize("grid", [LAST, (4, 4), (2, 7)])
def test_blends_of_two_pictures_are_those_of_the_pictures_made(net, grid):
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 256, (2, 112, 112, 3), np.uint8)
    kept = np.concatenate([rng.random((5, grid[0] * grid[1])) < 0.5, np.ones((1, grid[0] * grid[1]), bool)])
    found, made = net.blends(first, second, kept, grid, batch=4), net.extract(erased_to(first, second, kept, grid))
    if grid[0] != grid[1]:
        assert found is None
        return
    torch.testing.assert_close(found.embedding, made.embedding, rtol=0, atol=1e-6)
    for level in net.info.grids:
        torch.testing.assert_close(found.at(level).patches, made.at(level).patches, rtol=0, atol=2e-4)


def erased_to(first, second, kept, grid):
    """(M, 112, 112, 3): the pictures, cell by cell."""
    pictures = np.repeat(second[None], len(kept), 0)
    tall, wide = 112 // grid[0], 112 // grid[1]
    for number, cells in enumerate(kept):
        for patch in np.flatnonzero(cells):
            row, column = divmod(patch, grid[1])
            cell = slice(row * tall, (row + 1) * tall), slice(column * wide, (column + 1) * wide)
            pictures[number][cell] = first[cell]
    return pictures


def test_patches_that_are_too_small_to_blend_are_left_to_extract(net):
    crop = np.zeros((112, 112, 3), np.uint8)
    assert net.blends(crop, crop, np.ones((1, 196), bool), FINE) is None
    assert load_backbone("dlib").blends(crop, crop, np.ones((1, 64), bool), (8, 8)) is None


def test_it_is_ready_and_described(net):
    info = next(info for info in available() if info.name == "mobilefacenet")
    assert info.ready and info.grids == (LAST, EARLY, FINE) and info.channels == (512, 128, 128)
    width, height = info.input_size
    assert TEMPLATES["five-112"].size == (width, height)
    points = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655],
                       [70.7299, 92.2041]])
    photo = load_photo(BUNDLED / "person-001" / "01.jpg")
    face = detect_faces(photo)[0]
    matrix = TEMPLATES["five-112"].matrix(face)
    assert np.abs(face.five @ matrix[:, :2].T + matrix[:, 2] - points).max() < 8


# --- two grids of one shape ---------------------------------------------------------------------------------


def test_grids_of_layers_with_a_name():
    early = LayerGrid(7, 7, "early")
    rows, cols = early
    assert (rows, cols) == (early[0], early[1]) == (7, 7) and len(early) == 2
    plain = 7, 7
    assert early != plain and plain != early and early == LayerGrid(7, 7, "early") != LayerGrid(7, 7, "late")
    assert {(7, 7): 1, early: 2}[LayerGrid(7, 7, "early")] == 2
    assert grid_name(early) == "7x7-early" and parse_grid("7x7-Early") == early and parse_grid("7x7") == (7, 7)
    assert pickle.loads(pickle.dumps(early)) == early
    for wrong in ("7x7-", "7-early", "7x7-a b", "-early", "7x0-early"):
        with pytest.raises(BadSetting, match="ROWSxCOLS"):
            parse_grid(wrong)


def test_a_layer_is_never_pooled_from_another():
    random = torch.Generator().manual_seed(0)
    patches = {grid: torch.rand(2, grid[0] * grid[1], 4, generator=random) for grid in ((4, 4), EARLY)}
    features = Features(torch.zeros(2, 3), patches[4, 4], (4, 4), {EARLY: patches[EARLY]})
    early = features.at(EARLY)
    assert early.grid == EARLY and torch.equal(early.patches, patches[EARLY])
    assert torch.equal(early.at((4, 4)).patches, patches[4, 4]) and features.at([4, 4]) is features
    with pytest.raises(BadSetting, match=r"2x2-late .*\(4x4, 7x7-early\)"):
        features.at(LayerGrid(2, 2, "late"))


def test_a_gallery_keeps_every_grid(net, people):
    Gallery.build(people, net, detector="hog")
    gallery = Gallery.open(people, net)
    assert gallery.manifest.grids == (LAST, EARLY, FINE)
    (folder,) = {path.parent for path in people.rglob("patches-7x7-early.safetensors")}
    assert {path.name for path in folder.glob("patches-*")} == {
        "patches-7x7.safetensors", "patches-7x7-early.safetensors", "patches-14x14.safetensors"}
    assert gallery.features([0], EARLY).patches.shape == (1, 49, 128)
    assert gallery.features([0]).patches.shape == (1, 49, 512)
