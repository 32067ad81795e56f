"""MobileFaceNet (Chen et al., 2018; RGB 112x112 → 192 numbers of unit length, three patch grids).

Trained weights come with this repository, converted by ``demo.convert`` from a TensorFlow.js graph; its convolutions
have their batch normalisation folded in. assets/mobilefacenet.md says where they are from.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from demo.backbones.base import BackboneInfo, Features, Grid, LayerGrid
from demo.backbones.published import FlipAveraged, PublishedBackbone, signed
from demo.faces import TEMPLATES
from demo.weights import weights_file

FILE = weights_file("mobilefacenet")
TEMPLATE = TEMPLATES["five-112"]
#: Patches before the global depthwise convolution, two blocks earlier, and at twice the resolution.
LAST, EARLY, FINE = (7, 7), LayerGrid(7, 7, "early"), (14, 14)
INFO = BackboneInfo(
    name="mobilefacenet",
    title=FILE.title,
    licence=FILE.licence,
    grids=(LAST, EARLY, FINE),
    dim=192,
    channels=(512, 128, 128),
    input_size=(112, 112),
)
#: Pixels are scaled to (x - 127.5) / SCALE.
SCALE = 128
#: Stages of bottlenecks: (channels inside, channels out, blocks, stride of the first).
STAGES = ((128, 64, 5, 2), (256, 128, 1, 2), (256, 128, 6, 1), (512, 128, 1, 2), (256, 128, 2, 1))
#: Side of what the first bottleneck gives. There row y sees the rows of pixels from _STEP * y + _SEES[0] to
#: _STEP * y + _SEES[1], and columns alike.
_SIDE, _STEP, _SEES = 28, 4, (-2, 8)
#: Stage whose output is the fine grid.
_FINE_STAGE = 2


class Convolution(nn.Module):
    """A convolution padded as TensorFlow's SAME does (an odd pixel goes right and below), and a PReLU."""

    def __init__(self, inputs: int, outputs: int, side: int = 1, stride: int = 1, groups: int = 1):
        super().__init__()
        total = side - stride  # of pictures whose size is a multiple of the stride
        self.padding = (0, total % 2) * 2  # beyond what is the same on both sides
        self.conv = nn.Conv2d(inputs, outputs, side, stride, total // 2, groups=groups)
        self.prelu = nn.PReLU(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.prelu(self.conv(F.pad(x, self.padding) if any(self.padding) else x))


class Bottleneck(nn.Module):
    """Widen, convolve each channel, narrow without an activation; added to its input where the shapes agree."""

    def __init__(self, inputs: int, hidden: int, outputs: int, stride: int):
        super().__init__()
        self.skip = stride == 1 and inputs == outputs
        self.expand = Convolution(inputs, hidden)
        self.depthwise = Convolution(hidden, hidden, 3, stride, hidden)
        self.project = nn.Conv2d(hidden, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.skip else y


class MobileFaceNet(nn.Module):
    """(B, 3, 112, 112) → (embedding (B, 192) of unit length, {grid: map})."""

    def __init__(self):
        super().__init__()
        self.stem = Convolution(3, 64, 3, 2)
        self.stem_depthwise = Convolution(64, 64, 3, 1, 64)
        self.stem_project = nn.Conv2d(64, 64, 1)
        self.stages = nn.ModuleList()
        inputs = 64
        for hidden, outputs, blocks, stride in STAGES:
            self.stages.append(nn.Sequential(*(
                Bottleneck(inputs if block == 0 else outputs, hidden, outputs, stride if block == 0 else 1)
                for block in range(blocks))))
            inputs = outputs
        self.last = Convolution(inputs, 512)
        self.pool = nn.Conv2d(512, 512, 7, groups=512)
        self.mix = nn.Conv2d(512, 512, 1)
        self.embed = nn.Conv2d(512, 192, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, dict[Grid, Tensor]]:
        return self.late(self.early(x))

    def early(self, x: Tensor) -> Tensor:
        """(B, 3, 112, 112) → (B, 64, _SIDE, _SIDE): up to the first bottleneck, where every place sees little."""
        first = next(self.stages[0].children())
        return first(self.stem_project(self.stem_depthwise(self.stem(x))))

    def late(self, x: Tensor) -> tuple[Tensor, dict[Grid, Tensor]]:
        """What ``forward`` gives, from what ``early`` does."""
        for index, stage in enumerate(self.stages):
            for block in list(stage.children())[index == 0:]:
                x = block(x)
            if index == _FINE_STAGE:
                fine = x
        last = self.last(x)
        embedding = self.embed(self.mix(self.pool(last))).flatten(1)
        return F.normalize(embedding, dim=1), {LAST: last, EARLY: x, FINE: fine}


class MobileFaceNetBackbone(PublishedBackbone):
    """MobileFaceNet behind the common interface."""

    def prepare(self, crops: Tensor) -> Tensor:
        return signed(crops, SCALE).permute(0, 3, 1, 2)

    @torch.inference_mode()
    def blends(self, first: np.ndarray, second: np.ndarray, kept: np.ndarray, grid: Grid, *,
               batch: int = 32) -> Features | None:
        """Up to the first bottleneck a place sees two rows and two columns of patches at most, one even and one odd of
        each. So 16 pictures, in which patches are kept by the parity of their row and column, show it whatever it may
        see of any blend."""
        side, network = self.input_size[0], self.network
        patch = side // grid[0]
        if not isinstance(network, NETWORK) or (patch * grid[0], patch * grid[1]) != (side, side) \
                or patch < _SEES[1] - _SEES[0]:
            return None
        parity = np.arange(side) // patch % 2
        shown = np.arange(16)[:, None, None] >> (2 * parity[:, None] + parity) & 1
        pictures = torch.from_numpy(np.where(shown[..., None], first, second)).to(self.device)
        table = network.early(self.prepare(pictures)).permute(0, 2, 3, 1)
        places = np.arange(_SIDE)
        low, high = (((places * _STEP + sees).clip(0, side - 1)) // patch for sees in _SEES)
        near = [np.where(low % 2 == even, low, high) for even in (0, 1)]  # of two: the even, the odd one
        states = kept.reshape(-1, *grid).astype(np.int64)
        picture = sum(states[:, near[row][:, None], near[column]] << (2 * row + column)
                      for row in (0, 1) for column in (0, 1))
        at, y, x = (torch.from_numpy(one).to(self.device) for one in (picture, places[:, None], places))
        return self._joined(network.late(table[part, y, x].permute(0, 3, 1, 2)) for part in at.split(batch))

    def head(self) -> tuple[Tensor, Tensor]:
        network = self.network.network if isinstance(self.network, FlipAveraged) else self.network
        assert isinstance(network, MobileFaceNet)
        weight = network.embed.weight[:, :, 0, 0] @ network.mix.weight[:, :, 0, 0]
        return network.pool.weight[:, 0].flatten(1).T, weight


NETWORK = MobileFaceNet


def load(weights: Path, device: str | torch.device = "cpu", *, info: BackboneInfo = INFO,
         flip: bool = False) -> MobileFaceNetBackbone:
    """MobileFaceNet with converted weights; flip averages the embedding with the mirror image's."""
    return MobileFaceNetBackbone(info, TEMPLATE, NETWORK, weights, device, flip=flip, unit=True)
