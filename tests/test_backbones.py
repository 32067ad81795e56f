"""The published backbones against oracles that share no code with them.

Checkpoint files are built here under the published key names and shapes, written out as tables below, and the
expected features are computed with torch.nn.functional straight from those tensors. Small layers are also
computed by hand.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from demo import backbones
from demo.backbones import BackboneInfo, available, facenet, load_backbone
from demo.backbones.arcface import IRBlock, to_gray
from demo.backbones.cosface import SphereBlock
from demo.backbones.facenet import Residual
from demo.backbones.published import PublishedBackbone
from demo.checkpoints import check_file
from demo.errors import BadSetting, BadWeights, WeightsMissing
from demo.faces import TEMPLATES
from demo.weights import FILES, WeightsFile, check, register, weights_file

pytestmark = pytest.mark.usefixtures("one_thread")

# --- the published layer tables: key → shape ------------------------------------------------------------


def bn(name, channels):
    return {f"{name}.{part}": (channels,) for part in ("weight", "bias", "running_mean", "running_var")}


def arcface_shapes():
    shapes = {"conv1.weight": (64, 1, 3, 3), **bn("bn1", 64), "prelu.weight": (1,)}
    for layer, (inputs, outputs) in enumerate([(64, 64), (64, 128), (128, 256), (256, 512)], start=1):
        for block in (0, 1):
            at, first = f"layer{layer}.{block}", inputs if block == 0 else outputs
            shapes |= {**bn(f"{at}.bn0", first), f"{at}.conv1.weight": (first, first, 3, 3), **bn(f"{at}.bn1", first),
                       f"{at}.prelu.weight": (1,), f"{at}.conv2.weight": (outputs, first, 3, 3),
                       **bn(f"{at}.bn2", outputs)}
            if block == 0 and layer > 1:
                shapes |= {f"{at}.downsample.0.weight": (outputs, first, 1, 1), **bn(f"{at}.downsample.1", outputs)}
    return {**shapes, **bn("bn4", 512), "fc5.weight": (512, 32768), "fc5.bias": (512,), **bn("bn5", 512)}


def cosface_shapes():
    shapes = {}
    channels = 3
    for layer, (outputs, blocks) in enumerate([(64, 1), (128, 2), (256, 4), (512, 1)], start=1):
        shapes |= {f"layer{layer}.0.weight": (outputs, channels, 3, 3), f"layer{layer}.0.bias": (outputs,),
                   f"layer{layer}.1.weight": (outputs,)}
        for block in range(2, 2 + blocks):
            for part in (1, 2):
                shapes |= {f"layer{layer}.{block}.conv{part}.weight": (outputs, outputs, 3, 3),
                           f"layer{layer}.{block}.prelu{part}.weight": (outputs,)}
        channels = outputs
    return {**shapes, "fc.weight": (512, 21504), "fc.bias": (512,)}


#: FaceNet's convolutions: key → (in, out, kernel height, kernel width).
STEM = {"conv2d_1a": (3, 32, 3, 3), "conv2d_2a": (32, 32, 3, 3), "conv2d_2b": (32, 64, 3, 3),
        "conv2d_3b": (64, 80, 1, 1), "conv2d_4a": (80, 192, 3, 3), "conv2d_4b": (192, 256, 3, 3)}
BLOCK35 = {"branch0": (256, 32, 1, 1), "branch1.0": (256, 32, 1, 1), "branch1.1": (32, 32, 3, 3),
           "branch2.0": (256, 32, 1, 1), "branch2.1": (32, 32, 3, 3), "branch2.2": (32, 32, 3, 3)}
BLOCK17 = {"branch0": (896, 128, 1, 1), "branch1.0": (896, 128, 1, 1), "branch1.1": (128, 128, 1, 7),
           "branch1.2": (128, 128, 7, 1)}
BLOCK8 = {"branch0": (1792, 192, 1, 1), "branch1.0": (1792, 192, 1, 1), "branch1.1": (192, 192, 1, 3),
          "branch1.2": (192, 192, 3, 1)}
MIXED_6A = {"branch0": (256, 384, 3, 3), "branch1.0": (256, 192, 1, 1), "branch1.1": (192, 192, 3, 3),
            "branch1.2": (192, 256, 3, 3)}
MIXED_7A = {"branch0.0": (896, 256, 1, 1), "branch0.1": (256, 384, 3, 3), "branch1.0": (896, 256, 1, 1),
            "branch1.1": (256, 256, 3, 3), "branch2.0": (896, 256, 1, 1), "branch2.1": (256, 256, 3, 3),
            "branch2.2": (256, 256, 3, 3)}
REPEATS = {"repeat_1": (BLOCK35, 5, 96, 256), "repeat_2": (BLOCK17, 10, 256, 896), "repeat_3": (BLOCK8, 5, 384, 1792)}


def facenet_shapes():
    units = dict(STEM)
    shapes = {}
    for name, table in (("mixed_6a", MIXED_6A), ("mixed_7a", MIXED_7A), ("block8", BLOCK8)):
        units |= {f"{name}.{key}": unit for key, unit in table.items()}
    for name, (table, count, mixed, channels) in REPEATS.items():
        for index in range(count):
            units |= {f"{name}.{index}.{key}": unit for key, unit in table.items()}
            shapes |= {f"{name}.{index}.conv2d.weight": (channels, mixed, 1, 1),
                       f"{name}.{index}.conv2d.bias": (channels,)}
    shapes |= {"block8.conv2d.weight": (1792, 384, 1, 1), "block8.conv2d.bias": (1792,)}
    for key, (inputs, outputs, height, width) in units.items():
        shapes |= {f"{key}.conv.weight": (outputs, inputs, height, width), **bn(f"{key}.bn", outputs)}
    return {**shapes, "last_linear.weight": (512, 1792), **bn("last_bn", 512)}


def filled(shapes, seed):
    """Deterministic tensors of a size that keeps the activations near 1, as trained ones do."""
    random = np.random.default_rng(seed)
    state = {}
    for key, shape in shapes.items():
        noise = random.standard_normal(shape, dtype=np.float32)
        if key.endswith("running_var"):
            noise = 1 + 0.2 * np.abs(noise)
        elif len(shape) > 1:
            noise *= (2 / np.prod(shape[1:])) ** 0.5
        elif "prelu" in key or key.split(".")[-2] == "1" and "downsample" not in key:
            noise = 0.25 + 0.05 * noise
        elif key.endswith("weight"):
            noise = 1 + 0.1 * noise
        else:
            noise *= 0.1
        state[key] = torch.from_numpy(np.ascontiguousarray(noise))
    return state


# --- the networks again, as functions of the state dict -------------------------------------------------


def norm(state, name, x, eps=1e-5):
    mean, var, weight, bias = (state[f"{name}.{part}"].view(1, -1, *[1] * (x.ndim - 2))
                               for part in ("running_mean", "running_var", "weight", "bias"))
    return (x - mean) / torch.sqrt(var + eps) * weight + bias


def project(weight, feature_map):
    """A linear layer whose columns are (channel, row, column) of the map."""
    return torch.einsum("ocyx,bcyx->bo", weight.view(-1, *feature_map.shape[1:]), feature_map)


def arcface_oracle(state, crops):
    gray = np.stack([cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) for crop in crops])
    x = torch.from_numpy((gray[:, None].astype(np.float32) - 127.5) / 127.5)
    x = F.prelu(norm(state, "bn1", F.conv2d(x, state["conv1.weight"], padding=1)), state["prelu.weight"])
    x = F.max_pool2d(x, 2)
    for layer in range(1, 5):
        for block in (0, 1):
            at, slope = f"layer{layer}.{block}", state[f"layer{layer}.{block}.prelu.weight"]
            stride = 2 if block == 0 and layer > 1 else 1
            y = F.conv2d(norm(state, f"{at}.bn0", x), state[f"{at}.conv1.weight"], padding=1)
            y = F.prelu(norm(state, f"{at}.bn1", y), slope)
            y = norm(state, f"{at}.bn2", F.conv2d(y, state[f"{at}.conv2.weight"], stride=stride, padding=1))
            if stride == 2:
                x = norm(state, f"{at}.downsample.1", F.conv2d(x, state[f"{at}.downsample.0.weight"], stride=2))
            x = F.prelu(x + y, slope)
    x = norm(state, "bn4", x)
    return norm(state, "bn5", project(state["fc5.weight"], x) + state["fc5.bias"]), x


def cosface_oracle(state, crops):
    x = torch.from_numpy((crops.transpose(0, 3, 1, 2).astype(np.float32) / 255 - 0.5) / 0.5)
    for layer, blocks in enumerate([1, 2, 4, 1], start=1):
        x = F.conv2d(x, state[f"layer{layer}.0.weight"], state[f"layer{layer}.0.bias"], stride=2, padding=1)
        x = F.prelu(x, state[f"layer{layer}.1.weight"])
        for block in range(2, 2 + blocks):
            y = x
            for part in (1, 2):
                at = f"layer{layer}.{block}"
                y = F.prelu(F.conv2d(y, state[f"{at}.conv{part}.weight"], padding=1),
                            state[f"{at}.prelu{part}.weight"])
            x = x + y
    return project(state["fc.weight"], x) + state["fc.bias"], x


def facenet_oracle(state, crops, unit_range=False):
    def unit(name, x, stride=1, padding=(0, 0)):
        y = F.conv2d(x, state[f"{name}.conv.weight"], stride=stride, padding=padding)
        return norm(state, f"{name}.bn", y, eps=1e-3).clamp(min=0)

    def same(name, x):
        height, width = state[f"{name}.conv.weight"].shape[2:]
        return unit(name, x, padding=(height // 2, width // 2))

    def residual(name, x, table, scale):
        outputs = []
        for branch in sorted({key.split(".")[0] for key in table}):
            y = x
            for key in (key for key in table if key.split(".")[0] == branch):
                y = same(f"{name}.{key}", y)
            outputs.append(y)
        mixed = F.conv2d(torch.cat(outputs, 1), state[f"{name}.conv2d.weight"], state[f"{name}.conv2d.bias"])
        return x + scale * mixed

    pixels = torch.from_numpy(crops.transpose(0, 3, 1, 2).astype(np.float32))
    x = pixels / 255 if unit_range else (pixels - 127.5) / 128
    x = same("conv2d_2b", unit("conv2d_2a", unit("conv2d_1a", x, 2)))
    x = unit("conv2d_4b", unit("conv2d_4a", unit("conv2d_3b", F.max_pool2d(x, 3, 2))), 2)
    for index in range(5):
        x = residual(f"repeat_1.{index}", x, BLOCK35, 0.17).clamp(min=0)
    x = torch.cat([unit("mixed_6a.branch0", x, 2),
                   unit("mixed_6a.branch1.2", same("mixed_6a.branch1.1", unit("mixed_6a.branch1.0", x)), 2),
                   F.max_pool2d(x, 3, 2)], 1)
    for index in range(10):
        x = residual(f"repeat_2.{index}", x, BLOCK17, 0.10).clamp(min=0)
    x = torch.cat([unit("mixed_7a.branch0.1", unit("mixed_7a.branch0.0", x), 2),
                   unit("mixed_7a.branch1.1", unit("mixed_7a.branch1.0", x), 2),
                   unit("mixed_7a.branch2.2", same("mixed_7a.branch2.1", unit("mixed_7a.branch2.0", x)), 2),
                   F.max_pool2d(x, 3, 2)], 1)
    for index in range(5):
        x = residual(f"repeat_3.{index}", x, BLOCK8, 0.20).clamp(min=0)
    x = residual("block8", x, BLOCK8, 1.0)  # the last block: scale 1, no ReLU
    y = norm(state, "last_bn", F.avg_pool2d(x, 3).flatten(1) @ state["last_linear.weight"].T, eps=1e-3)
    return y / y.norm(dim=1, keepdim=True), x


# --- fixtures -------------------------------------------------------------------------------------------

CASES = {
    "arcface": (arcface_shapes, arcface_oracle, "resnet18_110.pth", (8, 8, 512)),
    "cosface": (cosface_shapes, cosface_oracle, "ACC99.28.pth", (7, 6, 512)),
    "facenet": (facenet_shapes, facenet_oracle, "20180402-114759-vggface2.pt", (3, 3, 1792)),
}
SIZES = {"arcface": (128, 128), "cosface": (96, 112), "facenet": (160, 160)}


class Case:
    """A checkpoint file of one network, the tensors in it, and two crops."""

    def __init__(self, name, folder):
        shapes, self.oracle, filename, self.map_shape = CASES[name]
        self.name = name
        self.state = filled(shapes(), seed=7)
        self.path = folder / filename
        width, height = SIZES[name]
        blobs = np.random.default_rng(3).integers(0, 256, (2, 9, 7, 3), dtype=np.uint8)
        self.crops = np.stack([cv2.resize(blob, (width, height), interpolation=cv2.INTER_CUBIC) for blob in blobs])

    def save(self):
        """Write the file as published: ArcFace with DataParallel's prefix, FaceNet with its classifier."""
        extra = {}
        if self.name == "arcface":
            extra = {"bn1.num_batches_tracked": torch.tensor(5)}
        if self.name == "facenet":
            extra = {"logits.weight": torch.zeros(8631, 512), "logits.bias": torch.zeros(8631)}
        prefix = "module." if self.name == "arcface" else ""
        torch.save({prefix + key: value for key, value in {**self.state, **extra}.items()}, self.path)


@pytest.fixture(scope="module", params=list(CASES))
def case(request, tmp_path_factory):
    case = Case(request.param, tmp_path_factory.mktemp(request.param))
    case.save()
    case.backbone = load_backbone(case.name, weights=case.path, device="cpu")
    with torch.inference_mode():
        case.expected = case.oracle(case.state, case.crops)
    case.features = case.backbone.extract(case.crops)
    yield case
    case.path.unlink()


def close(actual, expected, tolerance=1e-4):
    return float((actual - expected).norm() / expected.norm()) < tolerance


# --- the published networks -----------------------------------------------------------------------------


def test_features_equal_the_oracle(case):
    features = case.features
    embedding, feature_map = case.expected
    rows, cols, channels = case.map_shape
    assert features.grid == (rows, cols)
    assert features.patches.shape == (2, rows * cols, channels)
    assert close(features.embedding, embedding)
    assert not close(features.embedding[:1], embedding[1:], 0.02)  # the two crops can be told apart
    for row in range(rows):
        for col in range(cols):  # row-major: patch row * cols + col looks at that place of the map
            assert close(features.patches[:, row * cols + col], feature_map[:, :, row, col])


def test_a_transposed_grid_would_be_noticed(case):
    _, feature_map = case.expected
    assert not close(case.features.patches, feature_map.transpose(2, 3).flatten(2).mT, 0.01)


def test_patches_follow_the_picture(case):
    """What changes at the top right of the crop changes most at the top right of the grid."""
    rows, cols, _ = case.map_shape
    height, width = case.crops.shape[1:3]
    changed = case.crops[:1].copy()
    changed[:, : height // 6, -width // 6:] = 255 - changed[:, : height // 6, -width // 6:]
    moved = (case.backbone.extract(changed).patches[0] - case.features.patches[0]).norm(dim=1)
    row, col = divmod(int(moved.argmax()), cols)
    assert row < rows / 2 - 0.5 and col > cols / 2 - 0.5


def test_info_tells_the_truth(case):
    info, features = case.backbone.info, case.features[0]
    assert info.name == case.name
    assert info.input_size == SIZES[case.name] == TEMPLATES[case.name].size
    assert features.embedding.shape == (1, info.dim)
    for grid, channels in zip(info.grids, info.channels, strict=True):
        assert features.at(grid).patches.shape == (1, grid[0] * grid[1], channels)


def test_flip_averages_the_embedding_and_leaves_the_patches(case):
    plain = case.features
    mirrored = case.backbone.extract(case.crops[:, :, ::-1])
    flipped = load_backbone(case.name, weights=case.path, device="cpu", flip=True)
    features = flipped.extract(case.crops)
    mean = (plain.embedding + mirrored.embedding) / 2
    expected = mean / mean.norm(dim=1, keepdim=True) if case.name == "facenet" else mean
    assert close(features.embedding, expected)
    assert torch.equal(features.patches, plain.patches)
    assert flipped.weights_sha256 != case.backbone.weights_sha256  # a gallery must not mix the two


def test_safetensors_give_the_same(case, tmp_path):
    path = tmp_path / "renamed.safetensors"
    save_file(case.state, path)
    features = load_backbone(case.name, weights=path, device="cpu").extract(case.crops)
    path.unlink()
    assert torch.equal(features.embedding, case.features.embedding)


def test_a_file_of_another_network_is_named(case):
    other = "cosface" if case.name == "arcface" else "arcface"
    with pytest.raises(BadWeights) as error:
        load_backbone(other, weights=case.path, device="cpu")
    assert case.backbone.info.title in str(error.value)
    assert CASES[other][2] in str(error.value)


def test_check_names_the_network(case):
    checked = check_file(case.path)
    assert checked.file.name == case.name
    trained = sum(tensor.numel() for key, tensor in case.state.items() if "running_" not in key)
    assert checked.parameters == trained
    assert checked.published is (False if case.name == "facenet" else None)  # only FaceNet's hash is known


def test_a_truncated_file_is_told(case, tmp_path):
    path = tmp_path / case.path.name
    with open(case.path, "rb") as whole:
        path.write_bytes(whole.read(1 << 20))
    with pytest.raises(BadWeights, match="truncated"):
        load_backbone(case.name, weights=path, device="cpu")


def test_options_that_do_not_exist_are_refused(case, tmp_path):
    with pytest.raises(BadSetting, match="sharpen"):
        load_backbone(case.name, weights=case.path, device="cpu", sharpen=True)
    with pytest.raises(WeightsMissing, match=r"nowhere\.pth"):
        load_backbone(case.name, weights=tmp_path / "nowhere.pth", device="cpu")


def test_facenet_compat_and_alignment(tmp_path):
    case = Case("facenet", tmp_path)
    case.save()
    authors = load_backbone("facenet", weights=case.path, device="cpu", compat="authors", alignment="five-point")
    with torch.inference_mode():
        embedding, _ = facenet_oracle(case.state, case.crops, unit_range=True)
    assert close(authors.extract(case.crops).embedding, embedding)
    assert authors.template is TEMPLATES["facenet-5pt"]
    for wrong in ({"compat": "mine"}, {"alignment": "diagonal"}):
        with pytest.raises(BadSetting):
            load_backbone("facenet", weights=case.path, device="cpu", **wrong)
    case.path.unlink()


# --- small layers by hand -------------------------------------------------------------------------------


def test_gray_is_opencv_gray():
    crops = np.random.default_rng(0).integers(0, 256, (3, 128, 128, 3), dtype=np.uint8)
    crops[0, 0, :4] = [[255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 0, 255]]
    expected = np.stack([cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) for crop in crops])
    assert np.array_equal(to_gray(torch.from_numpy(crops))[:, 0].numpy(), expected)
    assert expected[0, 0, :4].tolist() == [255, 0, 76, 29]


def set_all(module, **values):
    """Fill named parameters; a 3x3 kernel gets the value in its middle only."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name in values:
                parameter.zero_()
                if parameter.ndim == 4:
                    parameter[..., parameter.shape[2] // 2, parameter.shape[3] // 2] = values[name]
                else:
                    parameter.fill_(values[name])
    return module.eval()


def test_ir_block_by_hand():
    """bn0 adds 1; conv1 doubles; PReLU slope 0.5; conv2 triples; skip; the same PReLU."""
    values = {"bn0.bias": 1, "conv1.weight": 2, "prelu.weight": 0.5, "conv2.weight": 3, "bn1.weight": 1,
              "bn0.weight": 1, "bn2.weight": 1}
    block = set_all(IRBlock(1, 1, 1), **values)
    for bn_name in ("bn0", "bn1", "bn2"):
        getattr(block, bn_name).eps = 0.0
    x = torch.tensor([[[[1.0, -3.0]]]])
    # 1 → 2 → 4 → 4 → 12, + 1 = 13.   -3 → -2 → -4 → -2 → -6, + -3 = -9 → -4.5
    assert block(x).flatten().tolist() == [13.0, -4.5]


def test_sphere_block_by_hand():
    """x + PReLU(3 · PReLU(2x)) with slopes 0.5 and 0.1."""
    block = set_all(SphereBlock(1), **{"conv1.weight": 2, "prelu1.weight": 0.5, "conv2.weight": 3,
                                       "prelu2.weight": 0.1})
    assert block(torch.tensor([[[[1.0, -1.0]]]])).flatten().tolist() == pytest.approx([7.0, -1.3])


@pytest.mark.parametrize(("last", "expected"), [(False, [3.0, 0.0]), (True, [3.0, -3.0])])
def test_inception_residual_by_hand(last, expected):
    """Two branches, x and x, mixed by a 1x1 convolution of twos: x + 0.5 · 2 · (x + x), then ReLU."""
    block = Residual(1, 2, 0.5, torch.nn.Identity(), torch.nn.Identity(), last=last)
    set_all(block, **{"conv2d.weight": 2, "conv2d.bias": 0})
    assert block(torch.tensor([[[[1.0, -1.0]]]])).flatten().tolist() == expected


def test_a_variant_is_a_backbone_of_its_own(tmp_path):
    path = tmp_path / "facenet.pt"
    torch.save(filled(facenet_shapes(), 3), path)
    plain, variant = (load_backbone(name, weights=path, device="cpu") for name in ("facenet", "facenet-5pt"))
    assert (plain.name, variant.name) == ("facenet", "facenet-5pt")
    assert plain.template is TEMPLATES["facenet"] and variant.template is TEMPLATES["facenet-5pt"]
    assert variant.weights_sha256 != plain.weights_sha256  # galleries of one are refused by the other
    assert {"facenet", "facenet-5pt"} <= {info.name for info in available()}


def test_weights_are_looked_for_in_the_folder_that_is_named(tmp_path):
    torch.save(filled(facenet_shapes(), 3), tmp_path / weights_file("facenet").filename)
    ready = {info.name: info.ready for info in available(tmp_path)}
    assert ready["facenet"] and ready["facenet-5pt"]
    loaded = load_backbone("facenet-5pt", device="cpu", folder=tmp_path)
    assert loaded.info == next(info for info in available(tmp_path) if info.name == "facenet-5pt")
    assert loaded.info.folder == tmp_path  # detectors and cross-image models are looked for there too
    assert facenet.INFO.name == "facenet" and facenet.INFO.folder is None


class Tiny(nn.Module):
    """(B, 3, 16, 16) → (embedding (B, 3), {(2, 2): map})."""

    def __init__(self):
        super().__init__()
        self.tiny_weight = nn.Parameter(torch.zeros(3))

    def forward(self, x):
        x = nn.functional.adaptive_avg_pool2d(x, 2) * self.tiny_weight[:, None, None]
        return x.mean((2, 3)), {(2, 2): x}


class TinyBackbone(PublishedBackbone):
    def prepare(self, crops):
        return crops.permute(0, 3, 1, 2).float()


def test_a_new_backbone_is_one_file_and_one_line(tmp_path, monkeypatch):
    """The file gives INFO, FILE, NETWORK and load; the line enters it. It is then offered, loaded and recognised."""
    file = WeightsFile("tiny", "tiny.pth", "Tiny", "none", "https://example.org", megabytes=1,
                       signature={"tiny_weight": (3,)})
    info = BackboneInfo("tiny", "Tiny", "none", grids=((2, 2),), dim=3, channels=(3,), input_size=(16, 16))
    template = replace(TEMPLATES["dlib"], name="tiny", size=(16, 16))
    module = SimpleNamespace(INFO=info, FILE=file, NETWORK=Tiny, load=lambda weights, device, info: TinyBackbone(
        info, template, Tiny, weights, device))
    monkeypatch.setitem(backbones._BACKBONES, "tiny", backbones._Choice(module))
    monkeypatch.setitem(FILES, "tiny", file)  # as register() does when the table is read
    assert not next(info for info in available(tmp_path) if info.name == "tiny").ready
    torch.save({"tiny_weight": torch.ones(3)}, tmp_path / "tiny.pth")
    assert next(info for info in available(tmp_path) if info.name == "tiny").ready
    features = load_backbone("tiny", device="cpu", folder=tmp_path).extract(np.full((16, 16, 3), 9, np.uint8))
    assert features.embedding.tolist() == [[9, 9, 9]] and features.grid == (2, 2)
    checked = check(tmp_path / "tiny.pth", backbones.networks())
    assert (checked.file.name, checked.parameters) == ("tiny", 3)


def test_a_registered_file_does_not_displace_another(monkeypatch):
    monkeypatch.setattr("demo.weights.registry.FILES", dict(FILES))
    register(replace(FILES["cosface"], title="an impostor"))
    assert weights_file("cosface").title == FILES["cosface"].title
    register(replace(FILES["cosface"], name="another"))
    assert weights_file("another").filename == FILES["cosface"].filename
