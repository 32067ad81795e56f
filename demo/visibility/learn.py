"""Learning it: photos of bare faces, things drawn over them, and where those lie. No labels of people are used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from demo.backbones import Backbone, Grid
from demo.errors import BadGallery, DemoError
from demo.faces import DEFAULT_DETECTOR, Face, Limits, align, alter, find_face, load_photo
from demo.visibility.estimate import KINDS, NOTHING, Visibility

#: Called with (photos done, photos in all).
Progress = Callable[[int, int], None]
#: Leading directions of the patches that are looked at, weight of the squared parameters in the loss, steps of L-BFGS.
DIRECTIONS, DECAY, STEPS = 32, 2e-5, 80
#: How much a face with something else before it counts beside the others: drawn just anywhere, it may look like a mask.
OTHER = 0.25
#: Half axes of what else is drawn, over the side of the crop.
_SIZE = (0.12, 0.38)
#: Fewer photos tell nothing about a scatter.
FEWEST = 20


@dataclass(frozen=True)
class _Views:
    """Of N photos in V = 4 views, one for each of KINDS: patches (N, V, P, C) half, embedding (N, V, D), cover (N, V,
    P)."""

    patches: Tensor
    embedding: Tensor
    cover: Tensor


def learn_visibility(files: Sequence[Path], backbone: Backbone, *, grid: Grid | None = None,
                     detector: str = DEFAULT_DETECTOR, seed: int = 0, limits: Limits = Limits(),
                     progress: Progress | None = None) -> Visibility:
    """Learn from photos of bare faces, the most prominent of each: same photos and seed, same result.

    grid: of the patches, default the backbone's first. detector: looks for the faces. limits: of the photos. Photos
    without a usable face are left out; BadGallery where fewer than FEWEST are left.
    """
    grid = grid or backbone.info.grids[0]
    parts = []
    for number, file in enumerate(files):
        try:
            photo = load_photo(file, limits)
            face = find_face(photo, detector=detector, folder=backbone.info.folder)
            crops, covers = cover_views(photo, face, backbone, seed=seed * 1_000_003 + number)
        except DemoError:
            continue
        finally:
            if progress:
                progress(number + 1, len(files))
        features = backbone.extract(np.stack(crops)).at(grid)
        cover = np.stack([cv2.resize(one, grid[::-1], interpolation=cv2.INTER_AREA).ravel() for one in covers])
        parts.append((features.patches.cpu().half(), features.embedding.cpu(), torch.from_numpy(cover)))
    if len(parts) < FEWEST:
        raise BadGallery(f"A face was found in {len(parts)} photos, and at least {FEWEST} are needed: name more.")
    return _fitted(_Views(*map(torch.stack, zip(*parts, strict=True))), backbone, grid)


def cover_views(photo: np.ndarray, face: Face, template, *, seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Aligned crops of a bare face, uint8 (h, w, 3), one for each of KINDS: as it is, with a mask, with sunglasses,
    with something else before it; and the share of each pixel that is covered, float32 (h, w) each."""
    rng = np.random.default_rng(seed)
    bare = align(photo, face, template)
    views = [(bare, np.zeros(bare.shape[:2], np.float32))]
    views += [alter(photo, face, kind, seed=int(rng.integers(1 << 31))).aligned(template) for kind in KINDS[1:-1]]
    views.append(_something(bare, rng))
    crops, covers = map(list, zip(*views, strict=True))
    return crops, covers


def _something(crop: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """An ellipse or a box of one colour, more or less mottled, anywhere before the face; and its cover."""
    height, width = crop.shape[:2]
    cover = np.zeros((height, width), np.float32)
    middle, half = rng.uniform(0.1, 0.9, 2) * (width, height), rng.uniform(*_SIZE, 2) * width
    turn = float(rng.uniform(0, 180))
    box = cv2.boxPoints((tuple(middle.tolist()), tuple((2 * half).tolist()), turn))
    if rng.random() < 0.5:
        cv2.ellipse(cover, (tuple(middle.tolist()), tuple((2 * half).tolist()), turn), 1.0, -1)
    else:
        cv2.fillConvexPoly(cover, box.astype(np.int32), 1.0)
    cover = cv2.GaussianBlur(cover, (0, 0), 1)
    colour = (rng.integers(0, 256, 3) if rng.random() < 0.6
              else crop.reshape(-1, 3)[rng.integers(height * width)]).astype(np.float32)
    coarse = int(rng.integers(4, 40))
    mottle = cv2.resize(rng.normal(0, rng.uniform(3, 30), (coarse, coarse, 3)).astype(np.float32), (width, height))
    mixed = crop * (1 - cover[..., None]) + (colour + mottle) * cover[..., None]
    return np.clip(mixed, 0, 255).astype(np.uint8), cover


def _fitted(views: _Views, backbone: Backbone, grid: Grid) -> Visibility:
    bare, mask = KINDS.index(NOTHING), KINDS.index("mask")
    centre = views.patches[:, bare].float().mean(0)
    placed = F.normalize(views.patches.float() - centre, dim=3).flatten(0, 1)
    flat = placed.flatten(0, 1)
    directions = torch.linalg.eigh(flat.T @ flat)[1].flip(1)[:, :DIRECTIONS].contiguous()
    counts = torch.ones(views.cover.shape[:2])
    counts[:, -1] = OTHER
    counts = counts.flatten()
    weight, bias = _regression(placed @ directions, _targets(views.cover), counts)
    shift, scatter = mask_effect(views.embedding[:, bare], views.embedding[:, mask])
    return Visibility(centre, directions, weight, bias, shift, scatter, grid, backbone.name, backbone.weights_sha256)


def mask_effect(bare: Tensor, masked: Tensor) -> tuple[Tensor, Tensor]:
    """What a mask does to embeddings: mean (D,) and covariance (D, D) of masked - bare, the same N photos (N, D)."""
    change = masked - bare
    return change.mean(0), torch.cov(change.T)


def _targets(cover: Tensor) -> Tensor:
    """(N, V, P) covers → (N V, P, 4): what a patch is covered by, in shares that sum to 1."""
    count, views, places = cover.shape
    shares = torch.zeros(count, views, places, views)
    shares[..., 0] = 1 - cover
    for kind in range(1, views):
        shares[:, kind, :, kind] = cover[:, kind]
    return shares.flatten(0, 1)


def _regression(looked: Tensor, shares: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Multinomial logistic regression at each place: looked (N, P, R), shares (N, P, 4), counts (N,) how much each face
    counts → weight (P, R, 4), bias (P, 4), by L-BFGS on the mean cross-entropy with weight decay."""
    places, kinds = shares.shape[1:]
    weight = torch.zeros(places, looked.shape[2], kinds, requires_grad=True)
    bias = torch.zeros(places, kinds, requires_grad=True)
    solver = torch.optim.LBFGS([weight, bias], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        solver.zero_grad()
        found = (torch.einsum("npr,prk->npk", looked, weight) + bias).log_softmax(2)
        value = -((shares * found).sum(2) * counts[:, None]).mean() + DECAY * weight.square().sum() / places
        value.backward()
        return value

    solver.step(loss)
    return weight.detach(), bias.detach()
