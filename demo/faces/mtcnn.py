"""MTCNN (Zhang et al., 2016): boxes and five points from three small networks, each checking the one before.

P-Net scans a pyramid of the photo, R-Net refines the boxes it proposes, O-Net decides and marks five points.
Weights: the three networks of ``facenet-pytorch``, key for key, as ``python -m demo weights get mtcnn`` stores
them. This is the detector behind the papers' "MTCNN" alignment.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from demo.weights import find, load_network

#: Smallest face in pixels, and the step between the sizes of the pyramid.
MIN_FACE, STEP = 20, 0.709
#: Least probability of a face in P-, R- and O-Net.
THRESHOLDS = (0.6, 0.7, 0.7)
#: P-Net sees windows of 12 pixels, 2 apart.
CELL, STRIDE = 12, 2
#: Crops go through R- and O-Net this many at a time.
BATCH = 256


class PNet(nn.Module):
    """(B, 3, h, w) → probability of a face (B, h', w') and box corrections (B, 4, h', w') for each window."""

    def __init__(self):
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 10, 3), nn.PReLU(10)
        self.pool1 = nn.MaxPool2d(2, 2, ceil_mode=True)
        self.conv2, self.prelu2 = nn.Conv2d(10, 16, 3), nn.PReLU(16)
        self.conv3, self.prelu3 = nn.Conv2d(16, 32, 3), nn.PReLU(32)
        self.conv4_1 = nn.Conv2d(32, 2, 1)
        self.conv4_2 = nn.Conv2d(32, 4, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.pool1(self.prelu1(self.conv1(x)))
        x = self.prelu3(self.conv3(self.prelu2(self.conv2(x))))
        return self.conv4_1(x).softmax(1)[:, 1], self.conv4_2(x)


def _flat(x: Tensor) -> Tensor:
    """Flatten column by column, channels last: the order of the networks' MATLAB original."""
    return x.permute(0, 3, 2, 1).flatten(1)


class RNet(nn.Module):
    """(B, 3, 24, 24) → probability of a face (B,) and box corrections (B, 4)."""

    side = 24

    def __init__(self):
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 28, 3), nn.PReLU(28)
        self.pool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv2, self.prelu2 = nn.Conv2d(28, 48, 3), nn.PReLU(48)
        self.pool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv3, self.prelu3 = nn.Conv2d(48, 64, 2), nn.PReLU(64)
        self.dense4, self.prelu4 = nn.Linear(576, 128), nn.PReLU(128)
        self.dense5_1 = nn.Linear(128, 2)
        self.dense5_2 = nn.Linear(128, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.pool1(self.prelu1(self.conv1(x)))
        x = self.pool2(self.prelu2(self.conv2(x)))
        x = self.prelu4(self.dense4(_flat(self.prelu3(self.conv3(x)))))
        return self.dense5_1(x).softmax(1)[:, 1], self.dense5_2(x)


class ONet(nn.Module):
    """(B, 3, 48, 48) → probability of a face (B,), box corrections (B, 4) and points (B, 10): five x, then five y."""

    side = 48

    def __init__(self):
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 32, 3), nn.PReLU(32)
        self.pool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv2, self.prelu2 = nn.Conv2d(32, 64, 3), nn.PReLU(64)
        self.pool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv3, self.prelu3 = nn.Conv2d(64, 64, 3), nn.PReLU(64)
        self.pool3 = nn.MaxPool2d(2, 2, ceil_mode=True)
        self.conv4, self.prelu4 = nn.Conv2d(64, 128, 2), nn.PReLU(128)
        self.dense5, self.prelu5 = nn.Linear(1152, 256), nn.PReLU(256)
        self.dense6_1 = nn.Linear(256, 2)
        self.dense6_2 = nn.Linear(256, 4)
        self.dense6_3 = nn.Linear(256, 10)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.pool1(self.prelu1(self.conv1(x)))
        x = self.pool2(self.prelu2(self.conv2(x)))
        x = self.pool3(self.prelu3(self.conv3(x)))
        x = self.prelu5(self.dense5(_flat(self.prelu4(self.conv4(x)))))
        return self.dense6_1(x).softmax(1)[:, 1], self.dense6_2(x), self.dense6_3(x)


class Cascade(nn.Module):
    """The three networks."""

    def __init__(self):
        super().__init__()
        self.pnet, self.rnet, self.onet = PNet(), RNet(), ONet()


@cache
def _cascade(path: Path) -> Cascade:
    return load_network("mtcnn", Cascade, path).eval().requires_grad_(False)


# --- boxes: (N, 4) float left, top, right, bottom; pixels are numbered from 1, as in the original --------


def suppress(boxes: np.ndarray, scores: np.ndarray, limit: float, *, of_smaller: bool = False) -> np.ndarray:
    """Rows to keep, best score first: a box goes where it shares more than ``limit`` with a better one.

    The share is that of the union of the two boxes, or of the smaller one.
    """
    width, height = (boxes[:, 2] - boxes[:, 0]).clip(0), (boxes[:, 3] - boxes[:, 1]).clip(0)
    area = width * height
    order = np.argsort(-scores, kind="stable")
    kept = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        low, high = np.maximum(boxes[best, :2], boxes[order, :2]), np.minimum(boxes[best, 2:], boxes[order, 2:])
        common = (high - low).clip(0).prod(1)
        whole = np.minimum(area[best], area[order]) if of_smaller else area[best] + area[order] - common
        order = order[common <= limit * whole]
    return np.array(kept, int)


def corrected(boxes: np.ndarray, offsets: np.ndarray, extra: int = 1) -> np.ndarray:
    """Boxes whose sides are moved by ``offsets`` (N, 4), in units of the box's width and height plus ``extra``."""
    sizes = boxes[:, 2:] - boxes[:, :2] + extra
    return boxes + offsets * np.tile(sizes, 2)


def squared(boxes: np.ndarray) -> np.ndarray:
    """Boxes with the shorter side grown to the longer one about the same centre."""
    sizes = boxes[:, 2:] - boxes[:, :2]
    side = sizes.max(1, keepdims=True)
    low = boxes[:, :2] + (sizes - side) / 2
    return np.hstack([low, low + side])


def _resized(picture: Tensor, height: int, width: int) -> Tensor:
    """(1, 3, h, w) pixels → area-averaged to a size and scaled to about -1..1."""
    return (F.interpolate(picture, (height, width), mode="area") - 127.5) / 128


def _crops(picture: Tensor, boxes: np.ndarray, side: int) -> tuple[Tensor, np.ndarray]:
    """The parts of the photo in the boxes, (N, 3, side, side), and a mask of the boxes that lie on the photo."""
    height, width = picture.shape[2:]
    whole = np.trunc(boxes).astype(int)
    low, high = np.maximum(whole[:, :2], 1) - 1, np.minimum(whole[:, 2:], (width, height))
    inside = np.all(high > low, axis=1)
    parts = [_resized(picture[:, :, y0:y1, x0:x1], side, side)
             for (x0, y0), (x1, y1) in zip(low[inside], high[inside], strict=True)]
    return torch.cat(parts) if parts else picture.new_zeros(0, 3, side, side), inside


def _run(net: RNet | ONet, picture: Tensor, boxes: np.ndarray, threshold: float) -> tuple[np.ndarray, ...]:
    """(boxes, scores, further outputs of ``net``) of the boxes that the network takes for faces."""
    crops, inside = _crops(picture, boxes, net.side)
    outputs = [torch.cat(parts).numpy() for parts in zip(*(net(part) for part in crops.split(BATCH)), strict=True)]
    faces = outputs[0] > threshold
    return boxes[inside][faces], *(output[faces] for output in outputs)


def _proposals(pnet: PNet, picture: Tensor) -> np.ndarray:
    """Boxes that P-Net proposes over the whole pyramid, squared."""
    height, width = picture.shape[2:]
    found = []
    scale = CELL / MIN_FACE
    while min(height, width) * scale >= CELL:
        score, offsets = pnet(_resized(picture, int(height * scale + 1), int(width * scale + 1)))
        score, offsets = score[0].numpy(), offsets[0].numpy()
        rows, cols = np.nonzero(score >= THRESHOLDS[0])
        corner = np.stack([cols, rows], 1) * STRIDE
        boxes = np.floor(np.hstack([corner + 1, corner + CELL]) / scale)
        keep = suppress(boxes, score[rows, cols], 0.5)
        found.append(np.hstack([boxes, offsets[:, rows, cols].T, score[rows, cols, None]])[keep])
        scale *= STEP
    if not found:
        return np.zeros((0, 4))
    found = np.concatenate(found)
    found = found[suppress(found[:, :4], found[:, 8], 0.7)]
    return squared(corrected(found[:, :4], found[:, 4:8], extra=0))


@torch.inference_mode()
def detect(photo: np.ndarray, folder: Path | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Faces of a uint8 (H, W, 3) RGB photo: boxes (N, 4), probabilities (N,), points (N, 5, 2), best first.

    Boxes are left, top, right, bottom; points are the eyes (the picture's left one first), nose tip and mouth
    corners; pixel centres are whole numbers from 0. folder: where weights are looked for first (see
    ``demo.weights.find``). Raises WeightsMissing without the weights file.
    """
    nets = _cascade(find("mtcnn", folder))
    picture = torch.from_numpy(np.ascontiguousarray(photo)).permute(2, 0, 1)[None].float()
    boxes = _proposals(nets.pnet, picture)
    if len(boxes):
        boxes, scores, offsets = _run(nets.rnet, picture, boxes, THRESHOLDS[1])
        keep = suppress(boxes, scores, 0.7)
        boxes = squared(corrected(boxes[keep], offsets[keep]))
    if not len(boxes):
        return np.zeros((0, 4)), np.zeros(0), np.zeros((0, 5, 2))
    boxes, scores, offsets, marks = _run(nets.onet, picture, boxes, THRESHOLDS[2])
    sizes = boxes[:, 2:] - boxes[:, :2] + 1
    points = boxes[:, None, :2] - 1 + marks.reshape(-1, 2, 5).transpose(0, 2, 1) * sizes[:, None]
    boxes = corrected(boxes, offsets)
    keep = suppress(boxes, scores, 0.7, of_smaller=True)
    return boxes[keep] - 1, scores[keep], points[keep]
