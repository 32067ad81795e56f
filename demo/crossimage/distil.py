"""Training V, which sees pixels: it learns to say of a picture what a trained backbone says of the bare face in it.

A few thousand people are too few to learn from pixels what tells people apart, so a backbone that knows it is
imitated. What V sees is jittered and has masks and sunglasses drawn over it; what the backbone sees is not. Half of
the faces are blended with another one, which makes people whom nobody has seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from demo.backbones import Backbone
from demo.crossimage.crops import KINDS, PLAIN, CropSet
from demo.crossimage.jitter import erase, jitter
from demo.crossimage.networks import Sizes, V, pixel_patches
from demo.crossimage.train import Progress

#: V for a backbone of 192 numbers: its output is compared with the backbone's embedding, so it is as long.
SIZES = Sizes(depth=6, heads=3, dim=192, dim_head=64, hidden=384, patches=196, channels=192)
#: Pixels are brought near to [-2, 2] for training, and the first layer takes them as they are afterwards.
_MIDDLE, _SPREAD = 127.5, 64.0
#: Share of the second face in a blend, and of faces that are blended, erased in part and mirrored.
_BLEND, _BLENDED, _ERASED = (0.2, 0.5), 0.5, 0.15


@dataclass(frozen=True)
class Distilling:
    """How to train: batches of so many faces, steps in one cycle to ``rate``, weight decay."""

    seed: int = 0
    steps: int = 6000
    batch: int = 256
    rate: float = 1e-3
    decay: float = 0.05


def distil(crops: CropSet, backbone: Backbone, *, sizes: Sizes = SIZES, training: Distilling | None = None,
           progress: Progress | None = None) -> tuple[V, list[float]]:
    """A V trained on crops of 112 x 112 on the backbone's device, and the loss of every step: 1 - cosine between its
    embedding and the backbone's. Same seed and device, same result."""
    training = training or Distilling()
    device = backbone.device
    torch.manual_seed(training.seed)
    network = V(sizes).to(device).train()
    for name, parameter in network.named_parameters():
        if name in ("cls_token", "pos_embedding"):
            parameter.data.mul_(0.02)
    optimiser = torch.optim.AdamW(network.parameters(), lr=training.rate, weight_decay=training.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, training.rate, total_steps=training.steps)
    pictures = crops.pictures.to(device)
    bare = _bare_of(crops).to(device)
    losses = []
    for step in range(training.steps):
        generator = torch.Generator(device).manual_seed(training.seed * 1_000_003 + step)
        shown, bare_faces = _batch(pictures, bare, training.batch, generator)
        with torch.no_grad():
            target = backbone.network(backbone.prepare(bare_faces))[0]
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            found = network.encode((pixel_patches(shown) - _MIDDLE) / _SPREAD)[0]
        loss = (1 - F.cosine_similarity(found.float(), target)).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if progress:
            progress(step + 1, training.steps, losses[-1])
    with torch.no_grad():  # so that it takes pixels as they are, as the published V does
        layer = network.patch_to_embedding
        layer.weight.div_(_SPREAD)
        layer.bias.sub_(_MIDDLE * layer.weight.sum(1))
    return network.eval(), losses


def _bare_of(crops: CropSet) -> Tensor:
    """(N,) for each crop the row of the plain crop of the same photo."""
    plain = (crops.kind == KINDS.index(PLAIN)).nonzero()[:, 0]
    row = torch.full((int(crops.photo.max()) + 1,), -1)
    row[crops.photo[plain]] = plain
    return row[crops.photo]


def _batch(pictures: Tensor, bare: Tensor, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """What V sees and what the backbone sees, uint8 (count, h, w, 3) each."""
    device = pictures.device

    def happens(probability: float) -> Tensor:
        return (torch.rand(count, generator=generator, device=device) < probability)[:, None, None, None]

    def anyone() -> Tensor:
        return torch.randint(len(pictures), (count,), generator=generator, device=device)

    one, other = anyone(), anyone()
    share = _BLEND[0] + (_BLEND[1] - _BLEND[0]) * torch.rand(count, 1, 1, 1, generator=generator, device=device)
    share = share * happens(_BLENDED)

    def blended(a: Tensor, b: Tensor) -> Tensor:
        return (a + share * (b.float() - a.float())).round().byte()

    shown, plain = blended(pictures[one], pictures[bare[other]]), blended(pictures[bare[one]], pictures[bare[other]])
    mirrored = happens(0.5)
    shown, plain = (torch.where(mirrored, x.flip(2), x) for x in (shown, plain))
    shown = torch.where(happens(_ERASED), erase(shown, generator), shown)
    return jitter(shown, generator), plain
