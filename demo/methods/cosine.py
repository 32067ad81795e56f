"""Stage 1: the cosine distance of two embeddings. Model C of Face-ViT, the CNN alone."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from demo.backbones import Features, Grid
from demo.methods.base import Measured, Method


class Cosine(Method):
    """1 - cosine similarity of the embeddings."""

    word = "cosine"
    title = "Cosine distance"
    short = "Cosine"
    name = "C"
    explanation = "How far apart the two faces' embeddings point."
    kind = "CNN alone (cosine)"
    measure = "1 − cosine similarity of the two embeddings"
    reranks = False
    verifies = True

    def prepare(self, features: Features) -> Tensor:
        return F.normalize(features.embedding, dim=1)

    def distances(self, query: Features, prepared: Tensor, options=None, grid: Grid | None = None) -> Measured:
        return Measured(1 - prepared @ F.normalize(query.embedding[0], dim=0))

    def between(self, queries: Features, prepared: Tensor, options=None, grid: Grid | None = None) -> Tensor:
        return 1 - F.normalize(queries.embedding, dim=1) @ prepared.T

    def pairs(self, first: Features, second: Features, options=None, grid: Grid | None = None) -> Tensor:
        return 1 - F.cosine_similarity(first.embedding, second.embedding)
