"""CenterFace (Xu et al., 2019): boxes and five points from one network, read off as the peaks of a heat map.

A MobileNetV2 whose maps at strides 32, 16, 8 and 4 are added up; for every 4 x 4 pixels it gives the probability
that a face has its middle there, the face's size, and its five points. It finds masked, small and turned faces.
Weights: those of the authors' ``centerface.onnx``, converted by ``demo.convert``; they come with this repository.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from demo.faces.mtcnn import suppress
from demo.weights import find, load_network

#: One cell of the heat map is so many pixels wide; the sides of the picture must be multiples of the coarsest stride.
CELL, STRIDE = 4, 32
#: Least probability of a face, of one in a picture that has no surer one, and of one that fills the picture.
SURE, THRESHOLD, FILLING = 0.4, 0.3, 0.2
#: A face fills the picture where its box is so much of the shorter side.
FILLED = 0.4
#: Share of their union that the boxes of two faces may have in common.
OVERLAP = 0.3
#: Width of the maps that are added up.
WIDTH = 24
#: Stages of the MobileNetV2: (widening of its blocks, channels, blocks, stride of the first).
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
#: Stages (from 0) whose maps are added to the coarser ones, and their channels.
LATERAL = {4: 96, 2: 32, 1: 24}


def convolution(inputs: int, outputs: int, side: int = 1, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """A convolution that keeps the size (at stride 1) and a ReLU; batch normalisation is folded into its weights."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, side, stride, side // 2, groups=groups), nn.ReLU(inplace=True))


class Bottleneck(nn.Module):
    """Widen, convolve each channel, narrow without ReLU; added to its input where the shapes agree."""

    def __init__(self, inputs: int, outputs: int, widening: int, stride: int):
        super().__init__()
        hidden = inputs * widening
        self.residual = stride == 1 and inputs == outputs
        self.expand = convolution(inputs, hidden) if widening > 1 else nn.Identity()
        self.depthwise = convolution(hidden, hidden, 3, stride, hidden)
        self.project = nn.Conv2d(hidden, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class CenterFace(nn.Module):
    """(B, 3, h, w) RGB 0..255, sides multiples of 32 → for each of (h / 4, w / 4) cells: probability that it is the
    middle of a face (B, 1, ..), log of height and width in cells (B, 2, ..), offset y, x of the middle in cells
    (B, 2, ..), and five points y, x in units of the box from its corner (B, 10, ..)."""

    def __init__(self):
        super().__init__()
        self.stem = convolution(3, 32, 3, 2)
        self.stages = nn.ModuleList()
        inputs = 32
        for widening, outputs, blocks, stride in STAGES:
            self.stages.append(nn.Sequential(*(
                Bottleneck(inputs if block == 0 else outputs, outputs, widening, stride if block == 0 else 1)
                for block in range(blocks))))
            inputs = outputs
        self.top = convolution(inputs, WIDTH)
        self.up = nn.ModuleList(nn.ConvTranspose2d(WIDTH, WIDTH, 2, 2) for _ in LATERAL)
        self.lateral = nn.ModuleList(convolution(channels, WIDTH) for channels in LATERAL.values())
        self.head = convolution(WIDTH, WIDTH, 3)
        self.heat, self.size = nn.Conv2d(WIDTH, 1, 1), nn.Conv2d(WIDTH, 2, 1)
        self.offset, self.points = nn.Conv2d(WIDTH, 2, 1), nn.Conv2d(WIDTH, 10, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.read(self.shared(x))

    def read(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The four outputs from the shared map."""
        return self.heat(x).sigmoid(), self.size(x), self.offset(x), self.points(x)

    def shared(self, x: Tensor) -> Tensor:
        """(B, WIDTH, h / 4, w / 4): the map that all outputs are read from."""
        x = self.stem(x)
        maps = {}
        for index, stage in enumerate(self.stages):
            x = stage(x)
            maps[index] = x
        x = self.top(x)
        for up, lateral, stage in zip(self.up, self.lateral, LATERAL, strict=True):
            x = F.relu(up(x)) + lateral(maps[stage])
        return self.head(x)


@cache
def _load(path: Path) -> CenterFace:
    network = load_network("centerface", CenterFace, path).eval().requires_grad_(False)
    # Channels last is three times as fast on a CPU.
    return network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  torch's stub lacks it


def network(folder: Path | None = None) -> CenterFace:
    """The trained network, loaded once; WeightsMissing without its file. folder: where it is looked for first."""
    return _load(find("centerface", folder))


def tensor(pictures: np.ndarray) -> Tensor:
    """uint8 (B, h, w, 3) RGB → the network's input."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float()


@torch.inference_mode()
def detect(photo: np.ndarray, folder: Path | None = None, least: float = THRESHOLD
           ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Faces of a uint8 (H, W, 3) RGB photo: boxes (N, 4), probabilities (N,), points (N, 5, 2), best first.

    Boxes are left, top, right, bottom; points are the eyes (the picture's left one first), nose tip and mouth
    corners; pixel centres are whole numbers from 0. least: probability of a face where there is no surer one. Raises
    WeightsMissing without the weights file.
    """
    height, width = photo.shape[:2]
    picture = cv2.copyMakeBorder(photo, 0, -height % STRIDE, 0, -width % STRIDE, cv2.BORDER_CONSTANT)
    return faces_of(*(one[0].numpy() for one in network(folder)(tensor(picture[None]))), least=least)


def filling(photo: np.ndarray, folder: Path | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``detect`` for a photo in which nothing was found: a less probable face counts as well if it fills the photo, as
    in a tight crop, in which there is little else for the network to go by."""
    boxes, scores, points = detect(photo, folder, FILLING)
    large = (boxes[:, 2:] - boxes[:, :2]).min(1) >= FILLED * min(photo.shape[:2])
    return boxes[large], scores[large], points[large]


def faces_of(heat: np.ndarray, *maps: np.ndarray, least: float = THRESHOLD
             ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes, probabilities and points (see ``detect``) from the network's four maps of one picture.

    Of boxes that share more than OVERLAP of their union the most probable is kept.
    """
    rows, cols = np.nonzero(heat[0] > (SURE if heat.max() > SURE else least))
    scores = heat[0, rows, cols]
    boxes, points = at_cells(rows, cols, *maps)
    keep = suppress(boxes, scores, OVERLAP)
    return boxes[keep], scores[keep], points[keep]


def at_cells(rows: np.ndarray, cols: np.ndarray, size: np.ndarray, offset: np.ndarray,
             points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (N, 4) and points (N, 5, 2) in pixels of the faces whose middles are in N cells of one picture."""
    high, wide = np.exp(size[:, rows, cols]) * CELL
    middle = np.stack([cols + offset[1, rows, cols] + 0.5, rows + offset[0, rows, cols] + 0.5], 1) * CELL
    extent = np.stack([wide, high], 1)
    low = middle - extent / 2
    marks = points[:, rows, cols].T.reshape(-1, 5, 2)[..., ::-1] * extent[:, None] + low[:, None]
    return np.hstack([low, low + extent]) - 0.5, marks - 0.5
