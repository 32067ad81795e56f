"""Fine-tuning a backbone on masked faces (DeepFace-EMD S2, thesis 5.8): ArcFace loss, occluded copies added.

The result is a weights file of its own: features, and so galleries, made with it do not mix with the original's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import copy, deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from demo.backbones.base import Backbone
from demo.backbones.tuned import write_tuned
from demo.errors import BadGallery, BadSetting, DemoError
from demo.faces import Limits, align, alter, find_face, load_photo
from demo.faces.labelled import LabelledPhoto
from demo.files import replacing

#: Called after each batch with (batches done, batches in all, loss).
Progress = Callable[[int, int, float], None]


@dataclass(frozen=True)
class FineTuning:
    """The paper's settings. rate, momentum, decay: of SGD. margin, scale: of ArcFace. batch: crops per step.
    clip: longest gradient; dlib's network has no batch normalisation left that would tame it."""

    epochs: int = 12
    rate: float = 1e-3
    momentum: float = 0.9
    decay: float = 5e-4
    margin: float = 0.5
    scale: float = 30.0
    batch: int = 32
    clip: float = 1.0
    seed: int = 0


def occluded_copies(photos: Sequence[LabelledPhoto], backbone: Backbone, occlusions: Sequence[str] = ("mask",), *,
                    seed: int = 0, limits: Limits = Limits(),
                    progress: Callable[[int, int], None] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(crops, label) to fine-tune on: each photo aligned as it is, and once more under every occlusion.

    crops: uint8 (N, h, w, 3). label: (N,) whole numbers from 0, in the order of the names. Photos in which no face is
    found are left out; BadGallery where none is left. limits: of the photos. progress: called with (photos done,
    photos in all).
    """
    crops, names = [], []
    for number, photo in enumerate(photos):
        try:
            picture = load_photo(photo.file, limits)
            face = find_face(picture, folder=backbone.info.folder)
            copies = [align(picture, face, backbone)]
            copies += [alter(picture, face, kind, seed=seed * 1_000_003 + number).aligned(backbone)[0]
                       for kind in occlusions]
        except DemoError:
            copies = []
        crops += copies
        names += [photo.identity] * len(copies)
        if progress:
            progress(number + 1, len(photos))
    if not crops:
        raise BadGallery("No face was found in any of the training photos: give other photos.")
    return np.stack(crops), np.unique(names, return_inverse=True)[1]


def arcface_loss(embedding: Tensor, people: Tensor, label: Tensor, *, margin: float, scale: float) -> Tensor:
    """ArcFace (Deng et al. 2019): cross-entropy with cos(angle + margin) for the right person.

    embedding: (B, D). people: (N, D), one direction per person. label: (B,). Where angle + margin exceeds pi, the
    cosine is lowered by margin * sin(margin) instead, as in the published code, so that the loss keeps falling.
    """
    cosine = F.normalize(embedding, dim=1) @ F.normalize(people, dim=1).T
    sine = (1 - cosine.square()).clamp(min=1e-9).sqrt()
    moved = cosine * math.cos(margin) - sine * math.sin(margin)
    moved = torch.where(cosine > -math.cos(margin), moved, cosine - margin * math.sin(margin))
    right = F.one_hot(label, len(people)).bool()
    return F.cross_entropy(scale * torch.where(right, moved, cosine), label)


def finetune(backbone: Backbone, crops: np.ndarray, label: np.ndarray, out: Path, *, checkpoint: Path,
             tuning: FineTuning | None = None, progress: Progress | None = None) -> list[float]:
    """Fine-tune a copy of ``backbone`` and write ``out`` (safetensors, for ``load_backbone(name, weights=out)``).

    crops: uint8 (N, h, w, 3) at the backbone's input size, plain and occluded. label: (N,) whole numbers from 0, the
    people. checkpoint: written after every epoch; where it is there already and was made with the same settings,
    training goes on from it. Batch-norm statistics stay as they are. Returns the mean loss of every epoch.
    The people's directions start as the means of their embeddings.
    """
    tuning = tuning or FineTuning()
    target = torch.as_tensor(label, dtype=torch.long, device=backbone.device)
    if len(crops) != len(target) or len(target.unique()) < 2:
        raise BadSetting("Fine-tuning needs labelled crops of at least two people.")
    torch.manual_seed(tuning.seed)
    pupil = copy(backbone)
    pupil.network = network = deepcopy(backbone.network).requires_grad_(True)
    embedding = F.normalize(backbone.extract(crops).embedding.clone(), dim=1)
    people = nn.Parameter(torch.zeros(int(target.max()) + 1, embedding.shape[1], device=backbone.device)
                          .index_add_(0, target, embedding) + 1e-6)
    settings = {**asdict(tuning), "backbone": backbone.weights_sha256, "crops": len(crops)}
    losses: list[float] = []
    optimiser = torch.optim.SGD([*network.parameters(), people], lr=tuning.rate, momentum=tuning.momentum,
                                weight_decay=tuning.decay)
    if checkpoint.is_file():
        saved = torch.load(checkpoint, map_location=backbone.device, weights_only=True)
        if saved["settings"] != settings:
            raise BadSetting(f"{checkpoint.name} was written by a fine-tuning with other settings: delete it, or use "
                             "those.")
        network.load_state_dict(saved["network"])
        people.data.copy_(saved["people"])
        optimiser.load_state_dict(saved["optimiser"])
        losses = saved["losses"]
    for epoch in range(len(losses), tuning.epochs):
        losses.append(_epoch(pupil, crops, target, people, optimiser, epoch, tuning, progress))
        with replacing(checkpoint) as partial:
            torch.save({"settings": settings, "network": network.state_dict(), "people": people.detach(),
                        "optimiser": optimiser.state_dict(), "losses": losses}, partial)
    write_tuned(out, backbone.name, network)
    return losses


def _epoch(backbone: Backbone, crops, target: Tensor, people: Tensor, optimiser, epoch: int, tuning: FineTuning,
           progress: Progress | None) -> float:
    """One pass over all crops in a seeded order; the mean loss."""
    generator = torch.Generator().manual_seed(tuning.seed * 1_000_003 + epoch)
    batches = torch.randperm(len(crops), generator=generator).split(tuning.batch)
    total = 0.0
    for number, rows in enumerate(batches, start=1):
        part = torch.from_numpy(np.ascontiguousarray(crops[rows.numpy()])).to(backbone.device)
        embedding = backbone.embed(part)
        loss = arcface_loss(embedding, people, target[rows.to(target.device)], margin=tuning.margin,
                            scale=tuning.scale)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_([*backbone.network.parameters(), people], tuning.clip)
        optimiser.step()
        total += float(loss.detach()) * len(rows)
        if progress:
            progress(epoch * len(batches) + number, tuning.epochs * len(batches), float(loss.detach()))
    return total / len(crops)

