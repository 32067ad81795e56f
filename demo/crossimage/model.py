"""A cross-image model in use: crops or features of two faces in, what the network makes of the pair out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from demo.backbones import Backbone, Features, Grid
from demo.crossimage.networks import H2, H2L, TwoImages
from demo.errors import BadSetting


@dataclass(frozen=True)
class PairOutput:
    """What a model makes of B pairs of faces. T = 2 + 2P tokens, [CLS, P patches, SEP, P patches].

    similarity: (B,), larger for the same person: cosine of f1 and f2, or H2's probability of "same".
    attention: of each layer (B, heads, T, T), rows summing to 1; empty for a model that sees one face at a time.
    f1, f2: (B, O) outputs of the first and of the second face, None for H2, which has none.
    z1, z2: (B, P, dim) patches of both faces after the transformer. grid: of the P patches, (rows, cols).
    """

    similarity: Tensor
    attention: list[Tensor]
    f1: Tensor | None
    f2: Tensor | None
    z1: Tensor
    z2: Tensor
    grid: Grid


class CrossImageModel:
    """V, H1, H2 or H2L with the backbone that its patches come from.

    kind: "V", "H1", "H2" or "H2L". alpha: share of the model's distance in Eq. 5.1 that was chosen for these
    weights (the papers' 0.7 for published ones). sha256: of the weights file. grid: of the backbone's patches that it
    takes, default the backbone's first. both_orders: whether its distance is the mean over both orders of the faces;
    else that with the query, or the first of a pair, first. It makes no difference to V and H1.
    """

    def __init__(self, kind: str, network, backbone: Backbone, *, alpha: float, sha256: str, grid: Grid | None = None,
                 both_orders: bool = True):
        self.kind = kind
        self.network = network.eval().requires_grad_(False).to(backbone.device)
        self.backbone = backbone
        self.alpha = alpha
        self.sha256 = sha256
        self.grid = grid or backbone.info.grids[0]
        self.both_orders = both_orders

    @property
    def sees_pairs(self) -> bool:
        """Whether the two faces meet inside the network; V and H1 encode each face alone."""
        return isinstance(self.network, TwoImages)

    @torch.inference_mode()
    def compare(self, crops_a: np.ndarray | Sequence[np.ndarray],
                crops_b: np.ndarray | Sequence[np.ndarray]) -> PairOutput:
        """Compare aligned crops pair by pair: uint8 (B, h, w, 3) RGB each, at the backbone's ``input_size``.

        Not symmetric: the first face stands first in the sequence. Raises BadPhoto for other crops, BadSetting
        where there are not as many of both.
        """
        return self.compare_features(self.backbone.extract(crops_a), self.backbone.extract(crops_b))

    @torch.inference_mode()
    def compare_features(self, first: Features, second: Features) -> PairOutput:
        """``compare`` for faces whose features are there already."""
        if len(first) != len(second):
            raise BadSetting(f"Faces are compared in pairs; got {len(first)} and {len(second)}.")
        a, b = self.patches(first), self.patches(second)
        network, grid = self.network, self.grid
        if not self.sees_pairs:
            (f1, z1, _), (f2, z2, _) = network.encode(a), network.encode(b)
            return PairOutput(F.cosine_similarity(f1, f2), [], f1, f2, z1, z2, grid)
        x, attention = network.attend(network.place(network.tokens(a), False),
                                      network.place(network.tokens(b), True), keep=True)
        similarity, f1, f2 = pair_outputs(network, x)
        z1, z2 = network.split(x)
        return PairOutput(similarity, attention, f1, f2, z1, z2, grid)

    def patches(self, features: Features) -> Tensor:
        """(B, P, C) patches of the features at the grid the network takes, float32 on its device.

        Raises BadSetting for features of another backbone.
        """
        patches = features.at(self.grid).patches
        sizes = self.network.sizes
        if patches.shape[1:] != (sizes.patches, sizes.channels):
            raise BadSetting(f"This {self.kind} works on the {self.backbone.name} backbone's patches "
                             f"({sizes.patches} of {sizes.channels} numbers), not on {tuple(patches.shape[1:])}.")
        return patches.to(self.backbone.device).float()


def pair_outputs(network: H2 | H2L, x: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Transformer output (B, T, dim) of pairs → similarity (B,) and f1, f2 (B, O) where there are any."""
    if isinstance(network, H2L):
        f1, f2 = network.outputs(x)
        return F.cosine_similarity(f1, f2), f1, f2
    return network.logits(x).softmax(1)[:, 1], None, None
