"""The estimate: a linear model over a patch's leading directions, at every place of the grid, and its summary."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from demo.backbones import Features, Grid
from demo.errors import BadSetting

#: What a patch can be covered by, in the order of the model's outputs; "other" is anything else before the face.
NOTHING = "nothing"
KINDS = (NOTHING, "mask", "sunglasses", "other")
#: Those that a face as a whole is said to wear, and the mean probability over all patches from which on it is: in the
#: middle between bare and covered faces of people held out (the model card has both).
WORN = {"mask": 0.1, "sunglasses": 0.06}
#: A patch counts as covered where that is likelier than not.
COVERED = 0.5


@dataclass(frozen=True)
class Cover:
    """What covers B faces. kinds: (B, P, 4) probabilities of KINDS, row-major over grid == (rows, cols)."""

    kinds: Tensor
    grid: Grid

    def __len__(self) -> int:
        return len(self.kinds)

    def __getitem__(self, index) -> Cover:
        return Cover(self.kinds[index], self.grid)

    @property
    def covered(self) -> Tensor:
        """(B, P) how much of each patch is covered, by whatever: 0 to 1."""
        return 1 - self.kinds[..., 0]

    @property
    def visible(self) -> Tensor:
        """(B, P) bool: the patches that count as visible."""
        return self.covered < COVERED

    @property
    def area(self) -> Tensor:
        """(B,) share of the aligned face that is covered, 0 to 1."""
        return self.covered.mean(1)

    def wears(self, kind: str) -> Tensor:
        """(B,) bool: whether the face as a whole wears a word of WORN."""
        if kind not in WORN:
            raise BadSetting(f"Nobody is said to wear {kind!r}: choose from {', '.join(WORN)}.")
        return self.kinds[..., KINDS.index(kind)].mean(1) >= WORN[kind]

    def summary(self, slot: int = 0) -> tuple[str | None, float]:
        """Of one face: what it wears, the surer of several, or None; and ``area``."""
        means = self.kinds[slot].mean(0)
        worn = [kind for kind in WORN if bool(self.wears(kind)[slot])]
        return max(worn, key=lambda kind: float(means[KINDS.index(kind)] / WORN[kind]), default=None), \
            float(self.area[slot])


@dataclass(frozen=True)
class Visibility:
    """What was learned for one backbone on one of its grids.

    centre: (P, C), the mean patch of bare faces at each place. directions: (C, R) that patches are looked at in.
    weight: (P, R, 4), bias: (P, 4), of the estimate. shift: (D,), what a mask does to the embedding on average.
    scatter: (D, D), covariance of what it does. backbone, backbone_sha256: whose features these are.
    """

    centre: Tensor
    directions: Tensor
    weight: Tensor
    bias: Tensor
    shift: Tensor
    scatter: Tensor
    grid: Grid
    backbone: str
    backbone_sha256: str

    def placed(self, features: Features) -> Tensor:
        """(B, P, C) patches without what is common to their place, of unit length."""
        patches = features.at(self.grid).patches.float()
        return F.normalize(patches - self.centre.to(patches.device), dim=2)

    @torch.no_grad()
    def of(self, features: Features) -> Cover:
        """What covers each of B faces: softmax of weight_p · (unit patch in the leading directions) + bias_p."""
        device = features.patches.device
        looked = self.placed(features) @ self.directions.to(device)
        scores = torch.einsum("bpr,prk->bpk", looked, self.weight.to(device)) + self.bias.to(device)
        return Cover(scores.softmax(2), self.grid)
