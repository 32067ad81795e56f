"""CosFace: SphereFace-20 trained with the large-margin cosine loss (RGB 112 high, 96 wide → 512 and 7x6x512).

Loads the published ``ACC99.28.pth`` key for key (docs/method.md, Networks).
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from demo.backbones.base import BackboneInfo, Grid
from demo.backbones.published import PublishedBackbone, signed
from demo.faces import TEMPLATES
from demo.weights import weights_file

FILE = weights_file("cosface")
TEMPLATE = TEMPLATES["cosface"]
INFO = BackboneInfo(
    name="cosface",
    title=FILE.title,
    licence=FILE.licence,
    grids=((7, 6),),
    dim=512,
    channels=(512,),
    input_size=(96, 112),
)


class SphereBlock(nn.Module):
    """x plus two 3x3 convolutions without bias, each followed by a PReLU with one slope per channel."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.prelu1 = nn.PReLU(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.prelu2 = nn.PReLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.prelu2(self.conv2(self.prelu1(self.conv1(x))))


def stage(inputs: int, outputs: int, blocks: int) -> nn.Sequential:
    """A 3x3 convolution that halves the size, a PReLU, and residual blocks."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 2, padding=1), nn.PReLU(outputs),
                         *(SphereBlock(outputs) for _ in range(blocks)))


class SphereFace20(nn.Module):
    """(B, 3, 112, 96) → (embedding (B, 512), {(7, 6): map (B, 512, 7, 6)}); no batch normalisation anywhere."""

    def __init__(self):
        super().__init__()
        self.layer1 = stage(3, 64, 1)
        self.layer2 = stage(64, 128, 2)
        self.layer3 = stage(128, 256, 4)
        self.layer4 = stage(256, 512, 1)
        self.fc = nn.Linear(512 * 7 * 6, 512)

    def forward(self, x: Tensor) -> tuple[Tensor, dict[Grid, Tensor]]:
        feature_map = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(feature_map.flatten(1)), {(7, 6): feature_map}


class CosFaceBackbone(PublishedBackbone):
    """CosFace behind the common interface."""

    def prepare(self, crops: Tensor) -> Tensor:
        return signed(crops).permute(0, 3, 1, 2)


NETWORK = SphereFace20


def load(weights: Path, device: str | torch.device = "cpu", *, info: BackboneInfo = INFO,
         flip: bool = False) -> CosFaceBackbone:
    """CosFace with the weights of ``ACC99.28.pth``; flip averages the embedding with the mirror image's."""
    return CosFaceBackbone(info, TEMPLATE, NETWORK, weights, device, flip=flip)
