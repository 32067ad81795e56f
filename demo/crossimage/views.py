"""Training views: each photo altered, cropped, re-lit and shifted in seeded ways, and their backbone features.

Photos are turned into features once; training then only touches the cross-image network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from demo.backbones import Backbone
from demo.errors import BadGallery, BadWeights, DemoError
from demo.faces import Face, Limits, Window, align, alter, find_face, load_photo
from demo.faces.labelled import LabelledPhoto
from demo.files import replacing

#: Called with (photos done, photos in all).
Progress = Callable[[int, int], None]
#: Views of one photo, each made once as it is and once mirrored. The first is the plain aligned crop; "plain"
#: ones are what a gallery holds, and all may play the query.
VIEWS = ("plain", "plain", "plain", "mask", "mask", "sunglasses", "crop", "erase")
#: Sides of a random crop over the side of the aligned square, and of an erased rectangle.
_CROP_SIDE, _ERASED = (0.55, 0.9), (0.25, 0.55)


@dataclass(frozen=True)
class ViewSet:
    """Backbone features of N views. embedding: (N, D). patches: (N, P, C) float16. person: (N,), even for a person
    and the next odd number for the mirror image, which is trained as somebody else but never held against its
    original. photo: (N,) index of the photo. plain: (N,) bool, whether it may stand in a gallery."""

    embedding: Tensor
    patches: Tensor
    person: Tensor
    photo: Tensor
    plain: Tensor

    def __len__(self) -> int:
        return len(self.person)

    def save(self, path: Path) -> None:
        """Write as safetensors, whole or not at all."""
        with replacing(path) as partial:
            save_file({key: value.contiguous() for key, value in vars(self).items()}, partial)

    @classmethod
    def load(cls, path: Path) -> ViewSet:
        """Read what ``save`` wrote; BadWeights where the file is something else."""
        try:
            return cls(**load_file(path))
        except Exception:  # safetensors raises several kinds
            raise BadWeights(f"{path.name} holds no training views: delete it, so that they are made again.") from None


def make_views(photos: Sequence[LabelledPhoto], backbone: Backbone, *, seed: int = 0,
               limits: Limits = Limits(), progress: Progress | None = None) -> ViewSet:
    """Views of every photo in which a face is found, through the backbone. Same seed, same views.

    limits: of the photos. Photos without a usable face are left out; BadGallery where none is left.
    """
    people = {identity: number for number, identity in enumerate(sorted({photo.identity for photo in photos}))}
    parts = []
    for index, photo in enumerate(photos):
        part = _views_of(photo, index, people[photo.identity], backbone, seed, limits)
        if part:
            parts.append(part)
        if progress:
            progress(index + 1, len(photos))
    if not parts:
        raise BadGallery("No face was found in any of the training photos: give other photos.")
    return _joined(parts)


def _joined(parts: Sequence[ViewSet]) -> ViewSet:
    return ViewSet(*(torch.cat([getattr(part, key) for part in parts]) for key in vars(parts[0])))


def _views_of(photo: LabelledPhoto, index: int, person: int, backbone: Backbone, seed: int,
              limits: Limits) -> ViewSet | None:
    """The views of photo number ``index``, or None where it has no usable face."""
    try:
        picture = load_photo(photo.file, limits)
        face = find_face(picture, folder=backbone.info.folder)
        crops = photo_views(picture, face, backbone, seed=seed * 1_000_003 + index)
    except DemoError:
        return None
    features = backbone.extract(np.stack([*crops, *(crop[:, ::-1] for crop in crops)]))
    people = torch.full((2 * len(VIEWS),), 2 * person)
    people[len(VIEWS):] += 1
    plain = torch.tensor([view == "plain" for view in VIEWS] * 2)
    return ViewSet(features.embedding.cpu(), features.patches.cpu().half(), people,
                   torch.full_like(people, index), plain)


def photo_views(photo: np.ndarray, face: Face, template, *, seed: int) -> list[np.ndarray]:
    """The VIEWS of one face as aligned uint8 crops; the first is not jittered."""
    rng = np.random.default_rng(seed)
    crops = []
    for number, view in enumerate(VIEWS):
        if view in ("mask", "sunglasses"):
            crop = alter(photo, face, view, seed=int(rng.integers(1 << 31))).aligned(template)[0]
        elif view == "crop":
            side = rng.uniform(*_CROP_SIDE)
            x, y = rng.uniform(0, 1 - side, 2)
            crop = align(photo, face, template, window=Window(float(x), float(y), float(side)))
        else:
            crop = align(photo, face, template)
        if view == "erase":
            crop = _erase(crop, rng)
        crops.append(jitter(crop, rng) if number else crop)
    return crops


def jitter(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A crop as another camera, light and alignment might have given it: uint8 (h, w, 3)."""
    height, width = crop.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), float(np.clip(rng.normal(0, 4), -10, 10)),
                                   float(np.exp(rng.normal(0, 0.05))))
    turn[:, 2] += rng.normal(0, 0.025, 2) * (width, height)
    picture = cv2.warpAffine(crop, turn, (width, height), borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
    if rng.random() < 0.35:  # light from one side
        angle, depth = rng.uniform(0, 2 * np.pi), rng.uniform(0.15, 0.5)
        y, x = np.mgrid[-1:1:height * 1j, -1:1:width * 1j]
        picture *= (1 + depth * (np.cos(angle) * x + np.sin(angle) * y)).astype(np.float32)[..., None]
    picture = 255 * (np.clip(picture, 0, 255) / 255) ** float(np.exp(rng.normal(0, 0.25)))
    picture = picture * np.exp(rng.normal(0, 0.15) + rng.normal(0, 0.05, 3)) + rng.uniform(-18, 18)
    if rng.random() < 0.15:
        picture[:] = picture.mean(2, keepdims=True)
    if rng.random() < 0.35:
        picture = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.5, 2.2)))
    if rng.random() < 0.25:
        picture += rng.normal(0, rng.uniform(2, 9), picture.shape)
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    if rng.random() < 0.25:
        quality = int(rng.integers(20, 70))
        data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        picture = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
    return picture


def _erase(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A rectangle of one random colour, as an object before the face would be."""
    height, width = crop.shape[:2]
    size = (rng.uniform(*_ERASED, 2) * (height, width)).astype(int)
    top, left = rng.integers(0, np.array([height, width]) - size + 1)
    erased = crop.copy()
    erased[top:top + size[0], left:left + size[1]] = rng.integers(0, 256, 3)
    return erased
