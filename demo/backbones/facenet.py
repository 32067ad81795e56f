"""FaceNet: Inception-ResNet-v1 trained on VGGFace2 (RGB 160x160 → 512 and 3x3x1792).

Loads the published ``20180402-114759-vggface2.pt`` key for key (docs/method.md, Networks).
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from demo.backbones.base import BackboneInfo, Grid
from demo.backbones.published import PublishedBackbone, signed
from demo.errors import BadSetting
from demo.faces import TEMPLATES
from demo.weights import weights_file

FILE = weights_file("facenet")
TEMPLATE = TEMPLATES["facenet"]
#: How the face is cut out: the detector's box with a margin (as trained), or the paper's five-point template.
ALIGNMENTS = {"box": TEMPLATE, "five-point": TEMPLATES["facenet-5pt"]}
INFO = BackboneInfo(
    name="facenet",
    title=FILE.title,
    licence=FILE.licence,
    grids=((3, 3),),
    dim=512,
    channels=(1792,),
    input_size=(160, 160),
)
BN_EPS = 1e-3  # of the TensorFlow original


class ConvUnit(nn.Module):
    """Convolution without bias, batch normalisation, ReLU. An odd kernel (height, width) with padding 'same'
    keeps the size."""

    def __init__(self, inputs: int, outputs: int, kernel: int | tuple[int, int], stride: int = 1,
                 padding: int | str = 0):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=BN_EPS)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


def chain(inputs: int, *units: tuple) -> nn.Module:
    """ConvUnits one after the other, each given as (outputs, kernel[, stride[, padding]])."""
    modules = []
    for outputs, *rest in units:
        modules.append(ConvUnit(inputs, outputs, *rest))
        inputs = outputs
    return modules[0] if len(modules) == 1 else nn.Sequential(*modules)


class Branches(nn.Module):
    """Parallel branches ``branch0``, ``branch1``, … whose outputs are joined along the channels."""

    def __init__(self, *branches: nn.Module):
        super().__init__()
        for index, branch in enumerate(branches):
            self.add_module(f"branch{index}", branch)
        self.count = len(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([getattr(self, f"branch{index}")(x) for index in range(self.count)], dim=1)


class Residual(Branches):
    """x + scale * (1x1 convolution of the joined branches), then ReLU unless ``last``."""

    def __init__(self, channels: int, mixed: int, scale: float, *branches: nn.Module, last: bool = False):
        super().__init__(*branches)
        self.conv2d = nn.Conv2d(mixed, channels, 1)
        self.scale = scale
        self.last = last

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.scale * self.conv2d(super().forward(x))
        return x if self.last else F.relu(x)


def block35() -> Residual:
    """Residual block of the 17x17x256 stage."""
    return Residual(256, 96, 0.17, chain(256, (32, 1)), chain(256, (32, 1), (32, 3, 1, 1)),
                    chain(256, (32, 1), (32, 3, 1, 1), (32, 3, 1, 1)))


def block17() -> Residual:
    """Residual block of the 8x8x896 stage."""
    return Residual(896, 256, 0.10, chain(896, (128, 1)),
                    chain(896, (128, 1), (128, (1, 7), 1, "same"), (128, (7, 1), 1, "same")))


def block8(scale: float = 0.20, last: bool = False) -> Residual:
    """Residual block of the 3x3x1792 stage."""
    return Residual(1792, 384, scale, chain(1792, (192, 1)),
                    chain(1792, (192, 1), (192, (1, 3), 1, "same"), (192, (3, 1), 1, "same")), last=last)


class InceptionResnetV1(nn.Module):
    """(B, 3, 160, 160) → (embedding of length 1 (B, 512), {(3, 3): map (B, 1792, 3, 3)})."""

    def __init__(self):
        super().__init__()
        self.conv2d_1a = ConvUnit(3, 32, 3, 2)
        self.conv2d_2a = ConvUnit(32, 32, 3)
        self.conv2d_2b = ConvUnit(32, 64, 3, 1, 1)
        self.maxpool_3a = nn.MaxPool2d(3, 2)
        self.conv2d_3b = ConvUnit(64, 80, 1)
        self.conv2d_4a = ConvUnit(80, 192, 3)
        self.conv2d_4b = ConvUnit(192, 256, 3, 2)
        self.repeat_1 = nn.Sequential(*(block35() for _ in range(5)))
        self.mixed_6a = Branches(chain(256, (384, 3, 2)), chain(256, (192, 1), (192, 3, 1, 1), (256, 3, 2)),
                                 nn.MaxPool2d(3, 2))
        self.repeat_2 = nn.Sequential(*(block17() for _ in range(10)))
        self.mixed_7a = Branches(chain(896, (256, 1), (384, 3, 2)), chain(896, (256, 1), (256, 3, 2)),
                                 chain(896, (256, 1), (256, 3, 1, 1), (256, 3, 2)), nn.MaxPool2d(3, 2))
        self.repeat_3 = nn.Sequential(*(block8() for _ in range(5)))
        self.block8 = block8(scale=1.0, last=True)
        self.last_linear = nn.Linear(1792, 512, bias=False)
        self.last_bn = nn.BatchNorm1d(512, eps=BN_EPS)

    def forward(self, x: Tensor) -> tuple[Tensor, dict[Grid, Tensor]]:
        x = self.conv2d_2b(self.conv2d_2a(self.conv2d_1a(x)))
        x = self.conv2d_4b(self.conv2d_4a(self.conv2d_3b(self.maxpool_3a(x))))
        x = self.mixed_6a(self.repeat_1(x))
        x = self.mixed_7a(self.repeat_2(x))
        x = self.block8(self.repeat_3(x))
        embedding = self.last_bn(self.last_linear(x.mean((2, 3))))
        return F.normalize(embedding, dim=1), {(3, 3): x}


class FaceNetBackbone(PublishedBackbone):
    """FaceNet behind the common interface."""

    def prepare(self, crops: Tensor) -> Tensor:
        return signed(crops, 128).permute(0, 3, 1, 2)


class AuthorsFaceNetBackbone(FaceNetBackbone):
    """FaceNet fed as in the code of DeepFace-EMD: pixels in 0..1, which is not what it was trained on."""

    def prepare(self, crops: Tensor) -> Tensor:
        return (crops.float() / 255).permute(0, 3, 1, 2)


#: compat → how crops are prepared.
COMPAT = {None: FaceNetBackbone, "authors": AuthorsFaceNetBackbone}


NETWORK = InceptionResnetV1


def load(weights: Path, device: str | torch.device = "cpu", *, info: BackboneInfo = INFO, flip: bool = False,
         compat: str | None = None, alignment: str = "box") -> FaceNetBackbone:
    """FaceNet with the weights of ``20180402-114759-vggface2.pt``.

    flip averages the embedding with the mirror image's. compat="authors" feeds x / 255 as the code of
    DeepFace-EMD did, not the (x - 127.5) / 128 that the network was trained on. alignment: "box" or
    "five-point". BadSetting for any other value.
    """
    if compat not in COMPAT:
        raise BadSetting(f"Unknown compat {compat!r}: leave it out, or use 'authors'.")
    if alignment not in ALIGNMENTS:
        raise BadSetting(f"Unknown FaceNet alignment {alignment!r}: choose from {', '.join(ALIGNMENTS)}.")
    options = {"compat": compat} if compat else {}
    if alignment != "box":
        options["alignment"] = alignment
    return COMPAT[compat](info, ALIGNMENTS[alignment], NETWORK, weights, device, flip=flip, unit=True, options=options,
                          file=FILE)
