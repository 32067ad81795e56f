"""Stage 2 by cross-image attention: one query against many candidates, of whom everything is prepared beforehand."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from demo.backbones import Features
from demo.crossimage.meeting import Alone, alone, applies_to, outputs
from demo.crossimage.model import CrossImageModel, pair_outputs
from demo.crossimage.networks import Half

#: Pairs that go through the network together, by the kind of device: what a processor's caches and what a graphics
#: card's units hold.
_BATCH = {"cpu": 64, "cuda": 4096}


@dataclass(frozen=True)
class Prepared:
    """What does not depend on the other face, of N faces.

    first, second: their tokens and first-layer queries, keys and values as either face of a pair, and in an H2L of one
    layer what they attend to alone; None for V and H1, where embedding (N, O) is all there is.
    """

    first: Half | Alone | None
    second: Half | Alone | None
    embedding: Tensor | None = None

    def __len__(self) -> int:
        held = self.first if self.embedding is None else self.embedding
        assert held is not None  # as the class says
        return len(held)

    def __getitem__(self, rows) -> Prepared:
        """The faces at ``rows`` (a slice, list or tensor of rows)."""
        return Prepared(None if self.first is None else self.first[rows],
                        None if self.second is None else self.second[rows],
                        None if self.embedding is None else self.embedding[rows])


class CrossReranker:
    """Distances of a cross-image model from one query to prepared candidates.

    both_orders: average over query first and candidate first (the network is not symmetric); False takes the
    query first, as the papers do, in half the time. Default: the model's own.
    """

    def __init__(self, model: CrossImageModel, *, both_orders: bool | None = None):
        self.model = model
        self.both_orders = model.both_orders if both_orders is None else both_orders

    @torch.inference_mode()
    def prepare(self, features: Features) -> Prepared:
        """Everything about these faces that no other face changes. Raises BadSetting for another backbone's."""
        network, patches = self.model.network, self.model.patches(features)
        if not self.model.sees_pairs:
            return Prepared(None, None, network.encode(patches)[0])
        tokens = network.tokens(patches)
        if applies_to(network):
            return Prepared(alone(network, tokens, False), alone(network, tokens, True))
        return Prepared(network.place(tokens, False), network.place(tokens, True))

    @torch.inference_mode()
    def distances(self, query: Features, candidates: Prepared) -> Tensor:
        """(k,) distances, 1 - similarity, of a query (features of one face) to k prepared candidates."""
        asked = self.prepare(query[:1])
        if asked.embedding is not None:
            assert candidates.embedding is not None  # one network prepared both
            return 1 - F.cosine_similarity(asked.embedding, candidates.embedding)
        parts = [self._similarity(asked, slice(1), candidates, slice(start, start + self._batch))
                 for start in range(0, len(candidates), self._batch)]
        return 1 - torch.cat(parts)

    @torch.inference_mode()
    def distances_many(self, queries: Prepared, faces: Prepared, rows: Tensor) -> Tensor:
        """(N, k) distances of N prepared queries to ``faces[rows[n]]``, those of ``distances``. rows: (N, k) integers.
        Pairs of several queries go through the network together."""
        if queries.embedding is not None:
            assert faces.embedding is not None
            return 1 - F.cosine_similarity(queries.embedding[:, None], faces.embedding[rows], dim=2)
        asked = torch.arange(len(rows), device=rows.device)[:, None].expand_as(rows).flatten()
        pairs = zip(asked.split(self._batch), rows.flatten().split(self._batch), strict=True)
        parts = [self._similarity(queries, ours, faces, theirs) for ours, theirs in pairs]
        return (1 - torch.cat(parts)).view(rows.shape)

    @property
    def _batch(self) -> int:
        return _BATCH.get(self.model.backbone.device.type, _BATCH["cpu"])

    def _similarity(self, queries: Prepared, ours: slice | Tensor, faces: Prepared, theirs: slice | Tensor) -> Tensor:
        """(B,) similarities of the queries at ``ours``, one or B, with the faces at ``theirs``."""
        def similarity(first: Half | Alone | None, one, second: Half | Alone | None, other) -> Tensor:
            assert first is not None and second is not None
            a, b, network = first[one], second[other], self.model.network
            if isinstance(a, Alone) and isinstance(b, Alone):
                return F.cosine_similarity(*outputs(network, a, b))
            assert isinstance(a, Half) and isinstance(b, Half)  # prepared alike
            return pair_outputs(network, network.attend(a, b)[0])[0]

        forward = similarity(queries.first, ours, faces.second, theirs)
        if not self.both_orders:
            return forward
        return (forward + similarity(faces.first, theirs, queries.second, ours)) / 2
