"""dlib's face ResNet-29 as a PyTorch module, read straight from dlib's ``.dat`` file.

The weights come with a package on the index, so this backbone is ready wherever the app is installed.
It agrees with ``dlib.face_recognition_model_v1.compute_face_descriptor`` to about 3e-7.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from demo.backbones.base import Backbone, BackboneInfo
from demo.errors import BadWeights
from demo.faces import TEMPLATES
from demo.places import ASSETS
from demo.weights import sha256, weights_file

FILE = weights_file("dlib")
#: dlib's own file format is no checkpoint that could be matched with a network tensor by tensor.
NETWORK = None
TEMPLATE = TEMPLATES["dlib"]
INFO = BackboneInfo(
    name="dlib",
    title="dlib ResNet-29",
    licence="CC0 1.0 (public domain)",
    grids=((8, 8), (4, 4)),
    dim=128,
    channels=(128, 256),
    input_size=(150, 150),
)

#: (input channels, output channels, stride) of the 14 residual blocks.
BLOCKS = ((32, 32, 1),) * 3 + ((32, 64, 2),) + ((64, 64, 1),) * 3 + ((64, 128, 2),) + ((128, 128, 1),) * 2 + (
    (128, 256, 2),) + ((256, 256, 1),) * 2 + ((256, 256, 2),)
#: Blocks (from 0) whose outputs are the patch grids: 8x8x128 and 4x4x256.
TAPS = {9: (8, 8), 12: (4, 4)}
PIXEL_MEAN = (122.782, 117.001, 104.298)


def centre() -> np.ndarray:
    """(128,) mean descriptor, subtracted before cosine: the descriptor is trained for Euclidean distance
    and has a large common component that would otherwise hide the differences between people."""
    return np.load(ASSETS / "dlib-centre.npy")


class Affine(nn.Module):
    """Per-channel scale and shift: what is left of a trained batch normalisation."""

    def __init__(self, channels: int):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels, 1, 1))
        self.beta = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.beta, x, self.gamma)


def _zero_pad(x: Tensor, channels: int, height: int, width: int) -> Tensor:
    return F.pad(x, (0, width - x.shape[3], 0, height - x.shape[2], 0, channels - x.shape[1]))


class Block(nn.Module):
    """Two 3x3 convolutions and a skip; where the shapes differ both sides are zero-padded to the larger."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.stride = stride
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1 if stride == 1 else 0)
        self.affine1 = Affine(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, padding=1)
        self.affine2 = Affine(outputs)

    def forward(self, x: Tensor) -> Tensor:
        branch = self.affine2(self.conv2(F.relu(self.affine1(self.conv1(x)))))
        skip = x if self.stride == 1 else F.avg_pool2d(x, 2, 2)
        shape = [max(a, b) for a, b in zip(skip.shape[1:], branch.shape[1:], strict=True)]
        return F.relu(_zero_pad(skip, *shape) + _zero_pad(branch, *shape))


class DlibResNet(nn.Module):
    """(B, 3, 150, 150) prepared crops → (descriptor minus its mean (B, 128), {grid: feature map})."""

    centre: Tensor

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 32, 7, 2)
        self.affine = Affine(32)
        self.blocks = nn.ModuleList(Block(*spec) for spec in BLOCKS)
        self.fc = nn.Linear(256, 128, bias=False)
        self.register_buffer("centre", torch.zeros(128))

    def forward(self, x: Tensor) -> tuple[Tensor, dict[tuple[int, int], Tensor]]:
        descriptor, maps = self.describe(x)
        return descriptor - self.centre, maps

    def describe(self, x: Tensor) -> tuple[Tensor, dict[tuple[int, int], Tensor]]:
        """dlib's own 128-d descriptor, not centred, and the feature maps."""
        x = F.max_pool2d(F.relu(self.affine(self.conv(x))), 3, 2)
        maps = {}
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in TAPS:
                maps[TAPS[index]] = x
        return self.fc(x.mean((2, 3))), maps


class DlibBackbone(Backbone):
    """dlib's network on a device."""

    network: DlibResNet

    def prepare(self, crops: Tensor) -> Tensor:
        mean = torch.tensor(PIXEL_MEAN, device=crops.device)
        return ((crops.float() - mean) / 256).permute(0, 3, 1, 2).contiguous()

    @torch.inference_mode()
    def descriptor(self, crops: np.ndarray) -> Tensor:
        """(B, 128) dlib descriptors, not centred, of uint8 (B, 150, 150, 3) RGB crops."""
        return self.network.describe(self.prepare(torch.from_numpy(crops).to(self.device)))[0]


def load(weights: Path, device: str | torch.device = "cpu", *, info: BackboneInfo = INFO) -> DlibBackbone:
    """The backbone with the weights of the ``.dat`` file."""
    network = DlibResNet()
    _read_into(network, Path(weights))
    network.centre.copy_(torch.from_numpy(centre()))
    return DlibBackbone(info, TEMPLATE, network, sha256(weights), device)


# --- dlib's serialisation -------------------------------------------------------------------------------


def _integer(data: bytes, at: int) -> tuple[int, int]:
    """dlib's packed integer: one byte (low nibble: byte count, 0x80: negative), then little-endian bytes."""
    head = data[at]
    end = at + 1 + (head & 0x0F)
    value = int.from_bytes(data[at + 1:end], "little")
    return (-value if head & 0x80 else value), end


def _tensor(data: bytes, at: int) -> tuple[np.ndarray, int]:
    version, at = _integer(data, at)
    if version != 2:
        raise ValueError("not a tensor")
    count = 1
    for _ in range(4):
        size, at = _integer(data, at)
        count *= size
    values = np.frombuffer(data, "<f4", count, at)
    return values.copy(), at + 4 * count


def _layers(data: bytes) -> Iterator[tuple[str, np.ndarray]]:
    """(tag, numbers) of each layer with weights, from input to output."""
    for match in re.finditer(rb"con_4|affine_|fc_2", data):
        at = match.end()
        if match.group() == b"fc_2":
            for _ in range(2):
                _, at = _integer(data, at)
        try:
            values, _ = _tensor(data, at)
        except (ValueError, IndexError):
            continue  # the tag's bytes also occur by chance inside other layers' names
        yield match.group().decode(), values


def _read_into(network: DlibResNet, path: Path) -> None:
    wrong = BadWeights(f"{path.name} is not dlib's face recognition ResNet ({FILE.filename}), or it is damaged.")
    try:
        layers = list(_layers(path.read_bytes()))
    except OSError as error:
        raise BadWeights(f"{path.name} cannot be read: {error.strerror}.") from None

    targets: list[tuple[str, nn.Module]] = [("con_4", network.conv), ("affine_", network.affine)]
    for block in network.blocks:
        assert isinstance(block, Block)
        targets += [("con_4", block.conv1), ("affine_", block.affine1),
                    ("con_4", block.conv2), ("affine_", block.affine2)]
    targets.append(("fc_2", network.fc))
    if [tag for tag, _ in layers] != [tag for tag, _ in targets]:
        raise wrong
    with torch.no_grad():
        for (tag, values), (_, module) in zip(layers, targets, strict=True):
            if values.size != sum(p.numel() for p in module.parameters()):
                raise wrong
            numbers = torch.from_numpy(values)
            if tag == "fc_2":  # stored (inputs, outputs)
                network.fc.weight.copy_(numbers.view(256, 128).T)
                continue
            first, second = module.parameters()  # filters then biases; gammas then betas
            first.copy_(numbers[:first.numel()].view_as(first))
            second.copy_(numbers[first.numel():].view_as(second))
