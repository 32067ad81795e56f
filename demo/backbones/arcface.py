"""ArcFace: the ResNet-18 variant of DeepFace-EMD and of Face-ViT's face CNN (gray 128x128 → 512 and 8x8x512).

Loads the published ``resnet18_110.pth`` key for key (docs/method.md, Networks).
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from demo.backbones.base import BackboneInfo, Grid
from demo.backbones.published import PublishedBackbone, signed
from demo.faces import TEMPLATES
from demo.weights import weights_file

FILE = weights_file("arcface")
TEMPLATE = TEMPLATES["arcface"]
INFO = BackboneInfo(
    name="arcface",
    title=FILE.title,
    licence=FILE.licence,
    grids=((8, 8), (4, 4)),
    dim=512,
    channels=(512, 512),
    input_size=(128, 128),
)

#: OpenCV's gray of 8-bit RGB: fixed-point weights with 15 fractional bits, rounded. The published network was
#: trained and used on photos that OpenCV made gray.
GRAY_WEIGHTS, GRAY_BITS = (9798, 19235, 3735), 15


def to_gray(crops: Tensor) -> Tensor:
    """uint8 RGB (B, h, w, 3) → (B, 1, h, w) float32 with the whole values 0..255 that OpenCV computes.

    Of a float tensor the same sum without rounding, so that gradients pass.
    """
    if crops.is_floating_point():
        return (crops @ crops.new_tensor(GRAY_WEIGHTS) / (1 << GRAY_BITS))[:, None]
    weights = torch.tensor(GRAY_WEIGHTS, dtype=torch.int32, device=crops.device)
    total = (crops.int() * weights).sum(-1, dtype=torch.int32)
    return ((total + (1 << (GRAY_BITS - 1))) >> GRAY_BITS)[:, None].float()


def conv3x3(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    """3x3 convolution that keeps the size (at stride 1), without bias."""
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)


class IRBlock(nn.Module):
    """BN, conv, BN, PReLU, conv, BN plus skip, then the same PReLU (one slope for both uses)."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.bn0 = nn.BatchNorm2d(inputs)
        self.conv1 = conv3x3(inputs, inputs)
        self.bn1 = nn.BatchNorm2d(inputs)
        self.prelu = nn.PReLU()
        self.conv2 = conv3x3(inputs, outputs, stride)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = nn.Identity() if stride == 1 else nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        branch = self.prelu(self.bn1(self.conv1(self.bn0(x))))
        return self.prelu(self.bn2(self.conv2(branch)) + self.downsample(x))


class ResNetFace18(nn.Module):
    """(B, 1, 128, 128) → (embedding (B, 512), {(8, 8): map (B, 512, 8, 8)}).

    The map is layer 4 after its last batch normalisation; the embedding flattens it channel-major.
    """

    def __init__(self):
        super().__init__()
        self.conv1 = conv3x3(1, 64)
        self.bn1 = nn.BatchNorm2d(64)
        self.prelu = nn.PReLU()
        self.maxpool = nn.MaxPool2d(2)
        self.layer1 = nn.Sequential(IRBlock(64, 64, 1), IRBlock(64, 64, 1))
        self.layer2 = nn.Sequential(IRBlock(64, 128, 2), IRBlock(128, 128, 1))
        self.layer3 = nn.Sequential(IRBlock(128, 256, 2), IRBlock(256, 256, 1))
        self.layer4 = nn.Sequential(IRBlock(256, 512, 2), IRBlock(512, 512, 1))
        self.bn4 = nn.BatchNorm2d(512)
        self.fc5 = nn.Linear(512 * 8 * 8, 512)
        self.bn5 = nn.BatchNorm1d(512)

    def forward(self, x: Tensor) -> tuple[Tensor, dict[Grid, Tensor]]:
        x = self.maxpool(self.prelu(self.bn1(self.conv1(x))))
        feature_map = self.bn4(self.layer4(self.layer3(self.layer2(self.layer1(x)))))
        return self.bn5(self.fc5(feature_map.flatten(1))), {(8, 8): feature_map}


class ArcFaceBackbone(PublishedBackbone):
    """ArcFace behind the common interface."""

    grey = True

    def prepare(self, crops: Tensor) -> Tensor:
        return signed(to_gray(crops))


NETWORK = ResNetFace18


def load(weights: Path, device: str | torch.device = "cpu", *, info: BackboneInfo = INFO,
         flip: bool = False) -> ArcFaceBackbone:
    """ArcFace with the weights of ``resnet18_110.pth``; flip averages the embedding with the mirror image's."""
    return ArcFaceBackbone(info, TEMPLATE, NETWORK, weights, device, flip=flip)
