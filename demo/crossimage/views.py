"""Training views: crops jittered over and over in seeded rounds, and their backbone features.

Crops are turned into features before training, which then only touches the cross-image network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from demo.backbones import Backbone, Features, Grid
from demo.crossimage.crops import CROP, ERASE, KINDS, PLAIN, CropSet
from demo.crossimage.jitter import erase, jitter, windows
from demo.errors import BadSetting, BadWeights
from demo.files import replacing

#: Called with (crops done, crops in all).
Progress = Callable[[int, int], None]
#: Rounds by default: the crops as they are, jittered, and jittered and mirrored.
ROUNDS = 3
#: Crops that go through the backbone together.
_BATCH = 256


@dataclass(frozen=True)
class ViewSet:
    """Backbone features of N views. embedding: (N, D). patches: (N, P, C) float16. person: (N,), even for a person
    and the next odd number for the mirror image, which is trained as somebody else but never held against its
    original. photo: (N,) number of the photo. kind: (N,) index into KINDS; plain views may stand in a gallery."""

    embedding: Tensor
    patches: Tensor
    person: Tensor
    photo: Tensor
    kind: Tensor

    def __len__(self) -> int:
        return len(self.person)

    def __getitem__(self, rows) -> ViewSet:
        """The views at ``rows`` (a slice, or a tensor of rows or of bool)."""
        return ViewSet(*(value[rows] for value in vars(self).values()))

    @property
    def plain(self) -> Tensor:
        """(N,) bool, whether a view may stand in a gallery."""
        return self.kind == KINDS.index(PLAIN)

    def features(self, grid: Grid) -> Features:
        """As what the backbone gave; grid: of the patches."""
        return Features(self.embedding, self.patches.float(), grid)

    def save(self, path: Path) -> None:
        """Write as safetensors, whole or not at all."""
        with replacing(path) as partial:
            save_file({key: value.contiguous() for key, value in vars(self).items()}, partial)

    @classmethod
    def load(cls, path: Path, device: torch.device | str = "cpu") -> ViewSet:
        """Read what ``save`` wrote; BadWeights where the file is something else."""
        try:
            return cls(**load_file(path, device=str(device)))
        except Exception:  # safetensors raises several kinds
            raise BadWeights(f"{path.name} holds no training views: delete it, so that they are made again.") from None


def make_views(crops: CropSet, backbone: Backbone, *, grid: Grid | None = None, rounds: int = ROUNDS, seed: int = 0,
               progress: Progress | None = None) -> ViewSet:
    """Features of the crops on the backbone's device, round after round. Same seed and device, same views.

    The first round takes the crops as they are. In every further one they are jittered, and plain ones also enlarged
    in part and partly erased; in every other round everything is mirrored. grid: of the patches, default the
    backbone's first. BadSetting for less than one round.
    """
    if rounds < 1:
        raise BadSetting(f"Views are made in 1 round or more, not in {rounds}.")
    grid = grid or backbone.info.grids[0]
    plain = (crops.kind == KINDS.index(PLAIN)).nonzero()[:, 0]
    every = torch.arange(len(crops))
    parts, done, total = [], 0, len(crops) + (rounds - 1) * (len(crops) + 2 * len(plain))
    for number in range(rounds):
        generator = torch.Generator(backbone.device).manual_seed(seed * 1_000_003 + number)
        jobs = [(every, None)] if number == 0 else [(every, None), (plain, CROP), (plain, ERASE)]
        for rows, made in jobs:
            for some in rows.split(_BATCH):
                crop = crops[some]
                kind = crop.kind if made is None else torch.full_like(crop.kind, KINDS.index(made))
                mirrored = number > 0 and number % 2 == 0
                pictures = crop.pictures.to(backbone.device)
                if number:
                    pictures = _view(pictures, made, generator)
                found = backbone.extract((pictures.flip(2) if mirrored else pictures).cpu().numpy(),
                                         batch=_BATCH).at(grid)
                parts.append(ViewSet(found.embedding, found.patches.half(), 2 * crop.person + mirrored, crop.photo,
                                     kind))
                done += len(some)
                if progress:
                    progress(done, total)
    return ViewSet(*(torch.cat([getattr(part, key).to(backbone.device) for part in parts])
                     for key in vars(parts[0])))


def _view(pictures: Tensor, made: str | None, generator: torch.Generator) -> Tensor:
    """Jittered uint8 crops; ``made`` is what else happens to them."""
    if made == ERASE:
        pictures = erase(pictures, generator)
    window = windows(len(pictures), generator) if made == CROP else None
    return jitter(pictures, generator, window=window)
