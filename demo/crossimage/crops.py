"""Training crops: every photo's face cut out once as it is and with several things drawn over it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from demo.errors import BadGallery, BadWeights, DemoError
from demo.faces import Face, Limits, align, alter, find_face, load_photo
from demo.faces.labelled import LabelledPhoto
from demo.files import replacing

#: Called with (photos done, photos in all).
Progress = Callable[[int, int], None]
#: Kinds of views of a face. The first is the face as it is; "crop" and "erase" are made of it later (``jitter``).
KINDS = PLAIN, MASK, SUNGLASSES, CROP, ERASE = "plain", "mask", "sunglasses", "crop", "erase"
#: What is cut of every photo; masks differ in style, fit and light.
DRAWN = (PLAIN, MASK, MASK, SUNGLASSES)


@dataclass(frozen=True)
class CropSet:
    """N aligned crops. pictures: uint8 (N, h, w, 3) RGB. person, photo: (N,) numbers of the person and of the photo.
    kind: (N,) index into KINDS."""

    pictures: Tensor
    person: Tensor
    photo: Tensor
    kind: Tensor

    def __len__(self) -> int:
        return len(self.person)

    def __getitem__(self, rows) -> CropSet:
        """The crops at ``rows`` (a slice, or a tensor of rows or of bool)."""
        return CropSet(*(value[rows] for value in vars(self).values()))

    def save(self, path: Path) -> None:
        """Write as safetensors, whole or not at all."""
        with replacing(path) as partial:
            save_file({key: value.contiguous() for key, value in vars(self).items()}, partial)

    @classmethod
    def load(cls, path: Path) -> CropSet:
        """Read what ``save`` wrote; BadWeights where the file is something else."""
        try:
            return cls(**load_file(path))
        except Exception:  # safetensors raises several kinds
            raise BadWeights(f"{path.name} holds no training crops: delete it, so that they are made again.") from None


def make_crops(photos: Sequence[LabelledPhoto], template, *, detector: str = "hog", drawn: Sequence[str] = DRAWN,
               seed: int = 0, limits: Limits = Limits(), folder: Path | None = None,
               progress: Progress | None = None) -> CropSet:
    """Crops of every photo in which a face is found, the largest of each, one per word of ``drawn``. Same seed, same
    crops.

    template: see ``align``. detector: looks for the faces. limits: of the photos. folder: where weights are looked for
    first. Photos without a usable face are left out; BadGallery where none is left.
    """
    people = {identity: number for number, identity in enumerate(sorted({photo.identity for photo in photos}))}
    pictures, rows = [], []
    for number, photo in enumerate(photos):
        try:
            picture = load_photo(photo.file, limits)
            face = find_face(picture, detector=detector, folder=folder)
            pictures.append(face_crops(picture, face, template, drawn=drawn, seed=seed * 1_000_003 + number))
            rows.append((people[photo.identity], number))
        except DemoError:
            continue
        finally:
            if progress:
                progress(number + 1, len(photos))
    if not pictures:
        raise BadGallery("No face was found in any of the training photos: give other photos.")
    person, shown = torch.tensor(rows).repeat_interleave(len(drawn), 0).T
    kinds = torch.tensor([KINDS.index(word) for word in drawn])
    return CropSet(torch.from_numpy(np.concatenate(pictures)), person, shown, kinds.repeat(len(pictures)))


def face_crops(photo: np.ndarray, face: Face, template, *, drawn: Sequence[str] = DRAWN, seed: int) -> np.ndarray:
    """uint8 (len(drawn), h, w, 3): one face aligned, as it is and altered."""
    rng = np.random.default_rng(seed)
    return np.stack([align(photo, face, template) if word == PLAIN
                     else alter(photo, face, word, seed=int(rng.integers(1 << 31))).aligned(template)[0]
                     for word in drawn])
