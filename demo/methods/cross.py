"""What the methods of Face-ViT share: a trained cross-image network on the backbone's patches."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from demo.backbones import Backbone, Features, Grid
from demo.crossimage import CrossImageModel, CrossReranker, Prepared, load_h2l, shipped
from demo.errors import BadSetting, BadWeights, WeightsMissing
from demo.methods.base import AnyBackbone, Faces, Measured, Method


class CrossMethod(Method):
    """1 - similarity by a cross-image model, in the model's order of the faces or averaged over both. name: the kind of
    model."""

    trained = True
    cached = True

    def __init__(self, backbone: Backbone, gallery: Faces | None = None, *, weights: Path | None = None,
                 model: CrossImageModel | None = None):
        """weights: a checkpoint; default: those shipped for the backbone. model: one that is loaded already. Raises
        WeightsMissing, and BadWeights for a file of another model."""
        super().__init__(backbone, gallery)
        if model is None:
            path = weights or shipped(self.name, backbone.name, backbone.info.folder)
            model = load_h2l(path, device=str(backbone.device), backbone=None if weights else backbone,
                             folder=backbone.info.folder)
            if model.kind != self.name:
                raise BadWeights(f"{Path(path).name} holds Model {model.kind}, not {self.name}: choose another file.")
        elif model.kind != self.name:
            raise BadSetting(f"This is Model {model.kind}, not {self.name}: choose the method "
                             f"{model.kind.lower()}.")
        self.model = model
        self._reranker = CrossReranker(model)

    @classmethod
    def unavailable(cls, backbone: AnyBackbone, gallery: Faces | None = None) -> str | None:
        info = backbone.info if isinstance(backbone, Backbone) else backbone
        name, folder = (info, None) if isinstance(info, str) else (info.name, info.folder)
        try:
            shipped(cls.name, name, folder)
        except WeightsMissing as error:
            return str(error)
        return None

    @property
    def alpha(self) -> float:
        """As chosen with the weights; the papers' for published ones."""
        return self.model.alpha

    @property
    def key(self) -> str:
        return self.model.sha256

    def provenance(self) -> dict[str, str]:
        return {"stage2_weights_sha256": self.model.sha256}

    def prepare(self, features: Features) -> Prepared:
        return self._reranker.prepare(features)

    def distances(self, query: Features, prepared: Prepared, options=None, grid: Grid | None = None) -> Measured:
        return Measured(self._reranker.distances(query, prepared))

    def between(self, queries: Features, prepared: Prepared, options=None, grid: Grid | None = None) -> Tensor:
        rows = torch.arange(len(prepared), device=self.backbone.device).expand(len(queries), -1)
        return self._reranker.distances_many(self._reranker.prepare(queries), prepared, rows)

    def pairs(self, first: Features, second: Features, options=None, grid: Grid | None = None) -> Tensor:
        there = self.model.compare_features(first, second).similarity
        if not (self.model.sees_pairs and self.model.both_orders):
            return 1 - there
        return 1 - (there + self.model.compare_features(second, first).similarity) / 2

    def describe(self, options=None, evidence=None) -> str:
        if not self.model.sees_pairs:
            return self.measure
        order = ("averaged over both orders of the faces" if self.model.both_orders
                 else "the query, or the first photo, as the first face")
        return f"{self.measure}, {order}"
