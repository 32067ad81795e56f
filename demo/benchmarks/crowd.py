"""As many faces as the papers have, made from the bundled people."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from demo.backbones import Features
from demo.gallery import Gallery
from demo.places import GALLERIES

GALLERY = GALLERIES / "synthetic-people"
#: Bundled faces that a crowd is made from.
MODELS = 200


def bundled(count: int = MODELS) -> Features:
    """Stored features of the bundled people, by dlib."""
    return Gallery.open(GALLERY, "dlib").features(range(count))


def crowd(people: Features, count: int, seed: int = 0) -> Features:
    """``count`` faces: those of the bundled people over and over, each patch and embedding with a fifth of its length
    as noise, so that no two are alike."""
    rng = torch.Generator().manual_seed(seed)
    rows = torch.randint(len(people), (count,), generator=rng)

    def noisy(values: Tensor) -> Tensor:
        values = values[rows]
        lengths = values.norm(dim=-1, keepdim=True) / values.shape[-1] ** 0.5
        return values + 0.2 * lengths * torch.randn(values.shape, generator=rng)

    landmarks = None if people.landmarks is None else people.landmarks[rows]
    return Features(noisy(people.embedding), noisy(people.patches), people.grid, landmarks=landmarks)


def nearest(faces: Features, k: int, queries: int | None = None) -> Tensor:
    """(N, k) rows of the nearest others by cosine, nearest first, of the first ``queries`` faces (None = all)."""
    unit = F.normalize(faces.embedding, dim=1)
    count, found = len(unit) if queries is None else min(queries, len(unit)), []
    for start in range(0, count, 2048):
        likeness = unit[start:min(start + 2048, count)] @ unit.T
        likeness[torch.arange(len(likeness)), torch.arange(start, start + len(likeness))] = -2
        found.append(likeness.topk(min(k, len(unit) - 1), dim=1).indices)
    return torch.cat(found)
