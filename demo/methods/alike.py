"""Covered alike: where a mask or sunglasses are seen on either face, both are compared by what the cover leaves."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from demo.backbones import Backbone, Features, Grid
from demo.errors import BadWeights, WeightsMissing
from demo.matching import forced_transport, ground_distance, transport, warm_up
from demo.methods.base import AnyBackbone, Faces, Measured, Method, Moved
from demo.methods.discriminant import Discriminant
from demo.visibility import KINDS, Cover, Visibility, read_visibility, shipped_visibility
from demo.weights import sha256
from demo.words import decimals

#: What it looks for, the first before the second; other covers leave the cosine as it is.
MASK, GLASSES = "mask", "sunglasses"
#: Share of the transport between the visible patches, beside the distance of the embeddings. Chosen on drawn masks of
#: people of the half of LFW that is for training; 0.2 to 0.4 rank alike.
TRANSPORT = 0.4
#: Brings strangers to the mean distance that they have by the cosine of bare faces, so that both fit into one ranking;
#: measured on the same half.
SCALE = 1.1
#: The linear discriminant's share under a mask, beside all else, and under sunglasses, beside the cosine.
MASK_SHARE, GLASSES_SHARE = 0.5, 0.7
#: Brings strangers to that mean distance wherever the discriminant is taken in; measured on people of the same half
#: that it was not fitted to, 0.993 under masks and 0.992 under sunglasses.
JOINED = 0.99
#: What the distance is a sum of.
PARTS = ("cosine", "whitened embeddings", "transport", "linear discriminant")
#: A row of patches of which a mask covers so much is left out as a whole with all below it: what a mask leaves there is
#: hair, neck and background, in patches that see the mask as well.
ROW = 0.15
#: Share of the mean variance that is added to every direction before whitening, as the sum of both is divided by.
RIDGE = 1.0


@dataclass(frozen=True)
class AlikeFaces:
    """N faces prepared. embedding: (N, D) unit length; whitened: (N, D) the same without what a mask does. placed:
    (N, P, C) unit patches without what is common to their place. told_apart: (N, O) unit length, by the linear
    discriminant; (N, 0) where there is none. cover: what covers them."""

    embedding: Tensor
    whitened: Tensor
    placed: Tensor
    told_apart: Tensor
    cover: Cover

    def __len__(self) -> int:
        return len(self.embedding)

    def __getitem__(self, index) -> AlikeFaces:
        if isinstance(index, int):
            index = slice(index, index + 1)
        return AlikeFaces(self.embedding[index], self.whitened[index], self.placed[index],
                          self.told_apart[index], self.cover[index])


@dataclass(frozen=True)
class AlikeEvidence:
    """One query against B faces, P patches each, row-major on grid.

    distance: (B,). applied: (B,) bool, whether a mask was seen on either face; shaded: (B,) bool, whether sunglasses
    were, and no mask, and there is a discriminant; else the distance is the cosine's. embedding, moved, discriminant:
    (B,) distances of the whitened embeddings, by transport (0 without a mask), and by the linear discriminant (0 where
    there is none). addends: (B, 4), what each of PARTS adds to the distance, which is their sum. compared: (B, P) bool,
    the patches that are visible on both faces. flow: (B, P, P), mass from patch to patch. ground: (B, P, P) distance
    between patches. area: share of the query that is covered.
    """

    distance: Tensor
    applied: Tensor
    shaded: Tensor
    embedding: Tensor
    moved: Tensor
    discriminant: Tensor
    addends: Tensor
    compared: Tensor
    flow: Tensor
    ground: Tensor
    area: float
    grid: Grid

    def pair(self, slot: int) -> AlikeEvidence:
        """The evidence of one face alone, as a batch of one."""
        one = slice(slot, slot + 1)
        names = ("distance", "applied", "shaded", "embedding", "moved", "discriminant", "addends", "compared", "flow",
                 "ground")
        return replace(self, **{name: getattr(self, name)[one] for name in names})

    def told(self) -> str:
        """What the distance is the sum of, in words; "" of several faces, and where it is the cosine's alone."""
        if len(self.distance) != 1 or not bool((self.applied | self.shaded)[0]):
            return ""
        parts = [f"{decimals(value, 4)} by {part}"
                 for part, value in zip(PARTS, self.addends[0].tolist(), strict=True) if value]
        return f"{decimals(float(self.distance[0]), 4)} = {' + '.join(parts)}"

    def contributions(self) -> tuple[Tensor, Tensor]:
        """(B, P) of either face: the share of the likeness, sum f (1 - d), that each patch has; 0 where it was left
        out. Patches that are less alike than strangers' (d above 1) add nothing."""
        alike = (self.flow * (1 - self.ground).clamp(min=0)).double()
        whole = alike.sum((1, 2)).clamp(min=1e-12)[:, None]
        return alike.sum(2) / whole, alike.sum(1) / whole


class Alike(Method):
    """With a mask j · [(1 - m) · A + m · L], A = s · [(1 - t) · (1 - cosine of the whitened embeddings) + t · transport
    between the patches visible on both] and L the linear discriminant's distance, or A where none comes with the
    backbone; with sunglasses j · [g · L + (1 - g) · cosine distance].

    Whitened: minus the mean change that a drawn mask causes, where one is worn, divided by the square root of that
    change's covariance. Transport: equal masses on the patches that are visible on both faces and none on the others;
    each patch without the mean patch of its place. With neither on either face the plain cosine.
    """

    word = "alike"
    title = "Covered alike (masks)"
    short = "Alike"
    name = "A"
    explanation = ("Where a face mask is seen, both faces are compared where both can be seen, and by a linear map "
                   "that was fitted to masked faces.")
    kind = "Covered alike"
    measure = ("With a mask: whitened embeddings, transport between what is visible on both faces and, where there is "
               "one, the linear discriminant; with sunglasses: that and the cosine; else the cosine")
    verifies = True
    has_evidence = True

    def __init__(self, backbone: Backbone, gallery: Faces | None = None, *, weights=None,
                 learned: Visibility | None = None):
        """learned: what is known of covers on this backbone; default: what comes with the app, WeightsMissing where
        there is nothing. The linear discriminant is taken in with the default alone, where there is one for these
        weights of the backbone."""
        super().__init__(backbone, gallery)
        self._path: Path | None = None
        self.discriminant: Discriminant | None = None
        if learned is None:
            self._path = shipped_visibility(backbone.name, backbone.info.folder)
            learned = read_visibility(self._path, backbone)
            self.discriminant = _discriminant(backbone)
        self.learned = learned

    @classmethod
    def unavailable(cls, backbone: AnyBackbone, gallery: Faces | None = None) -> str | None:
        info = backbone.info if isinstance(backbone, Backbone) else backbone
        try:
            shipped_visibility(info) if isinstance(info, str) else shipped_visibility(info.name, info.folder)
        except WeightsMissing as error:
            return str(error)
        return None

    @property
    def alpha(self) -> float:
        """The cosine is in the distance already, or is all of it."""
        return 1.0

    @cached_property
    def key(self) -> str:
        files = self.provenance().values()
        if len(files) > 1:
            return hashlib.sha256("".join(files).encode()).hexdigest()
        return next(iter(files), self.backbone.weights_sha256)

    def provenance(self) -> dict[str, str]:
        used = {"visibility_sha256": sha256(self._path)} if self._path else {}
        return used | ({"discriminant_sha256": self.discriminant.key} if self.discriminant else {})

    @cached_property
    def whitening(self) -> Tensor:
        """(D, D) symmetric: V diag(1 / sqrt(λ + RIDGE · mean λ)) Vᵀ of the covariance of what a mask does."""
        values, axes = torch.linalg.eigh(self.learned.scatter.double())
        values = values.clamp(min=0)
        return ((axes / (values + RIDGE * values.mean()).sqrt()) @ axes.T).to(self.learned.scatter)

    def prepare(self, features: Features) -> AlikeFaces:
        unit = F.normalize(features.embedding.float(), dim=1)
        cover = self.learned.of(features)
        bare = unit - cover.wears(MASK)[:, None] * self.learned.shift
        apart = unit[:, :0] if self.discriminant is None else self.discriminant.embedding(features)
        return AlikeFaces(unit, F.normalize(bare @ self.whitening, dim=1), self.learned.placed(features), apart, cover)

    def warm_up(self) -> None:
        warm_up(self.backbone.device, math.prod(self.learned.grid))

    def distances(self, query: Features, prepared: AlikeFaces, options=None, grid: Grid | None = None) -> Measured:
        evidence = self._pairs(self.prepare(query), prepared)
        return Measured(evidence.distance, evidence)

    def between(self, queries: Features, prepared: AlikeFaces, options=None, grid: Grid | None = None) -> Tensor:
        asked, places = self.prepare(queries), prepared.placed.shape[1]
        count, k = len(asked), len(prepared)

        def ground(applied: Tensor) -> Tensor:
            products = asked.placed.flatten(0, 1) @ prepared.placed.flatten(0, 1).T  # of all with all, as one product
            table = (1 - products).clamp(min=0).view(count, places, k, places).transpose(1, 2)
            return table[applied.view(count, k)]

        ours, theirs = torch.cartesian_prod(*(torch.arange(n, device=prepared.embedding.device) for n in (count, k))).T
        light = [replace(one, placed=one.placed[:, :, :0]) for one in (asked, prepared)]  # the ground knows the rest
        return self._compared(light[0][ours], light[1][theirs], ground).distance.view(count, k)

    def forced(self, evidence: AlikeEvidence, partners: Sequence[tuple[int, int]]) -> Measured | None:
        if not bool(evidence.applied[0]):
            return None
        mass = evidence.compared.double()
        plan = forced_transport(evidence.ground, mass, mass, partners)
        addends = evidence.addends.clone()
        addends[:, PARTS.index("transport")] = plan.cost * self._shares(evidence.applied, evidence.shaded)[
            :, PARTS.index("transport")]
        distance = addends.sum(1)
        return Measured(distance, replace(evidence, distance=distance, moved=plan.cost.to(evidence.moved),
                                          flow=plan.flow.to(evidence.flow), addends=addends))

    def pairs(self, first: Features, second: Features, options=None, grid: Grid | None = None) -> Tensor:
        return self._pairs(self.prepare(first), self.prepare(second)).distance

    def _pairs(self, first: AlikeFaces, second: AlikeFaces) -> AlikeEvidence:
        """1 or B faces with B faces."""
        return self._compared(first, second, lambda applied: ground_distance(
            first.placed if len(first) == 1 else first.placed[applied], second.placed[applied]))

    def _compared(self, first: AlikeFaces, second: AlikeFaces, ground_of: Callable[[Tensor], Tensor]) -> AlikeEvidence:
        """1 or B faces with B faces. ground_of: (B,) bool → (n, P, P) distances between the patches of those pairs."""
        count, places = second.placed.shape[:2]
        cosine = 1 - (first.embedding * second.embedding).sum(1)
        applied = first.cover.wears(MASK) | second.cover.wears(MASK)
        compared = _above_mask(first.cover) & _above_mask(second.cover)
        compared = torch.where(compared.any(1, keepdim=True), compared, True)  # nothing visible on both: all of both
        embedding, moved = 1 - (first.whitened * second.whitened).sum(1), torch.zeros_like(cosine)
        flow = cosine.new_zeros(count, places, places)
        ground = flow.clone()
        if bool(applied.any()):
            ground[applied] = ground_of(applied)
            mass = compared[applied].double()
            plan = transport(ground[applied], mass, mass, "exact")
            flow[applied], moved[applied] = plan.flow, plan.cost
        if self.discriminant is None:
            discriminant, shaded = torch.zeros_like(cosine), torch.zeros_like(applied)
        else:
            discriminant = 1 - (first.told_apart * second.told_apart).sum(1)
            shaded = (first.cover.wears(GLASSES) | second.cover.wears(GLASSES)) & ~applied
        addends = self._shares(applied, shaded) * torch.stack((cosine, embedding, moved, discriminant), 1)
        return AlikeEvidence(addends.sum(1), applied, shaded, embedding, moved, discriminant, addends, compared, flow,
                             ground, float(first.cover.area[0]), self.learned.grid)

    def _shares(self, applied: Tensor, shaded: Tensor) -> Tensor:
        """(B, 4): what each of PARTS is multiplied with."""
        joined, share = (1.0, 0.0) if self.discriminant is None else (JOINED, MASK_SHARE)
        rest = joined * (1 - share) * SCALE
        masked = (0.0, rest * (1 - TRANSPORT), rest * TRANSPORT, joined * share)
        glasses = (JOINED * (1 - GLASSES_SHARE), 0.0, 0.0, JOINED * GLASSES_SHARE)
        table = torch.tensor(((1.0, 0.0, 0.0, 0.0), masked, glasses), device=applied.device)
        return table[applied.long() + 2 * shaded.long()]

    def describe(self, options=None, evidence: AlikeEvidence | None = None) -> str:
        if evidence is None:
            return self.measure
        return f"{self.measure}: {'; '.join(filter(None, (_seen(evidence), evidence.told())))}"

    @classmethod
    def settings_told(cls, options, evidence: AlikeEvidence) -> list[str]:
        return [f"{cls.short} re-ranking: {_seen(evidence)}"]

    @staticmethod
    def moved(evidence: AlikeEvidence) -> Moved | None:
        return Moved(evidence.flow[0], evidence.grid, evidence.compared[0]) if bool(evidence.applied[0]) else None

    @staticmethod
    def addends(evidence: AlikeEvidence) -> dict[str, float]:
        return dict(zip(PARTS, evidence.addends[0].tolist(), strict=True))

    @staticmethod
    def arrays(evidence: AlikeEvidence) -> dict[str, np.ndarray]:
        named = {"alike": evidence.distance, "alike_applied": evidence.applied, "alike_shaded": evidence.shaded,
                 "alike_embedding": evidence.embedding, "alike_moved": evidence.moved,
                 "alike_discriminant": evidence.discriminant, "alike_addends": evidence.addends,
                 "alike_compared": evidence.compared, "alike_flow": evidence.flow}
        return {name: one.cpu().numpy() for name, one in named.items()}


def _discriminant(backbone: Backbone) -> Discriminant | None:
    """The one for these weights of the backbone."""
    try:
        return Discriminant(backbone)
    except (WeightsMissing, BadWeights):
        return None


def _above_mask(cover: Cover) -> Tensor:
    """(B, P) bool: the patches that are visible and lie above the first row that a mask covers."""
    mask = cover.kinds[..., KINDS.index(MASK)].unflatten(1, cover.grid)
    reached = (mask.mean(2, keepdim=True) >= ROW).cummax(1).values
    return cover.visible & ~reached.expand_as(mask).flatten(1)


def _seen(evidence: AlikeEvidence) -> str:
    """What was seen, in a few words."""
    if bool(evidence.applied.any()):
        most, places = int(evidence.compared[evidence.applied].sum(1).max()), evidence.compared.shape[1]
        return f"a mask is seen, and {most} of {places} patches at most are compared"
    if bool(evidence.shaded.any()):
        return "sunglasses are seen, so the linear discriminant is mixed with the cosine"
    return "no mask is seen, so this is the cosine"
