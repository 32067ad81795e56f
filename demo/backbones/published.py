"""What the three published backbones share: flip-averaged embeddings, and a name for the options in use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from demo.backbones.base import Backbone, BackboneInfo, Grid
from demo.faces import Template
from demo.weights import WeightsFile, load_network, sha256, weights_file


class FlipAveraged(nn.Module):
    """A network whose embedding is the mean over the crop and its mirror image; patches are those of the crop.

    The upstream authors concatenate the two embeddings; the mean keeps D, so that a gallery, CC weighting and
    everything downstream stay as they are. unit: give the mean length 1 again, as the network's own output has.
    """

    def __init__(self, network: nn.Module, unit: bool):
        super().__init__()
        self.network = network
        self.unit = unit

    def forward(self, x: Tensor) -> tuple[Tensor, dict[Grid, Tensor]]:
        embedding, maps = self.network(x)
        mirrored, _ = self.network(x.flip(-1))
        mean = (embedding + mirrored) / 2
        return (F.normalize(mean, dim=1) if self.unit else mean), maps


class PublishedBackbone(Backbone):
    """A backbone whose weights are a published checkpoint.

    ``weights_sha256`` is the file's hash followed by the options that change the features, so that a gallery
    built with other options is told apart from one that fits. file: its entry in the weights registry (default: the
    one of the backbone's name).
    """

    def __init__(self, info: BackboneInfo, template: Template, build: Callable[[], nn.Module], weights: Path,
                 device: str | torch.device, *, flip: bool = False, unit: bool = False,
                 options: Mapping[str, str] | None = None, file: WeightsFile | None = None):
        # Channels last: 5 to 25 % faster on a CPU, and the patches come out patch-major as they are stored.
        entry = file or weights_file(info.name)
        network = load_network(entry.name, build, weights)
        network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  (torch's overloads lack it)
        changes = [f"{key}={value}" for key, value in (options or {}).items()] + ["flip"] * flip
        super().__init__(info, template, FlipAveraged(network, unit) if flip else network,
                         " ".join([sha256(weights), *changes]), device)


def signed(pixels: Tensor, scale: float = 127.5) -> Tensor:
    """0..255 → (x - 127.5) / scale, float32."""
    return (pixels.float() - 127.5) / scale
