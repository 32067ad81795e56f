"""Faces of a gallery's photos as queries would be: unaltered, with something drawn over them, sharp or soft."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import torch

from demo.backbones import Backbone, Features
from demo.calibration.keys import KINDS, PLAIN
from demo.errors import DemoError
from demo.faces import Face, align, alter
from demo.gallery import Gallery
from demo.methods import Method

log = logging.getLogger("demo")

#: A soft photo: pixels between the eyes, and JPEG quality, at which it is kept before it is enlarged again.
SOFT_EYES, SOFT_QUALITY = 16, 50
_BATCH = 32


class AlteredFaces:
    """Features of single photos of a gallery by row and kind of alteration, each computed once.

    soft: the photos are softened after they are altered. Patches are kept in half precision, on the default grid.
    """

    def __init__(self, gallery: Gallery, backbone: Backbone, *, soft: bool = False):
        self.gallery, self.backbone, self.soft = gallery, backbone, soft
        self._faces: dict[tuple[int, str], Features | None] = {}

    def face(self, row: int, kind: str) -> Features | None:
        """Features (batch of one) of a photo altered in one way; None where that cannot be done."""
        if (row, kind) not in self._faces:
            try:
                self._keep(row, kind, self.backbone.extract(self.crop(row, kind)))
            except DemoError as error:
                log.info("calibration: left out %s: %s", self.gallery.entries[row].path, error)
                self._faces[row, kind] = None
        kept = self._faces[row, kind]
        return None if kept is None else replace(kept, patches=kept.patches.float())

    def usable(self, row: int) -> bool:
        """Whether a photo can be altered in every way."""
        kinds = KINDS if self.soft else KINDS[1:]
        missing = [kind for kind in kinds if (row, kind) not in self._faces]
        try:  # together, since networks are faster on several faces
            features = self.backbone.extract(np.stack([self.crop(row, kind) for kind in missing])) if missing else None
        except DemoError:
            return all(self.face(row, kind) is not None for kind in kinds)
        for slot, kind in enumerate(missing):
            assert features is not None
            self._keep(row, kind, features[slot])
        return all(self._faces[row, kind] is not None for kind in kinds)

    def stacked(self, rows: Sequence[int], kind: str) -> Features:
        """Features of several rows, all of which can be altered like this; of sharp unaltered photos those that the
        index holds, which a comparison with the gallery meets."""
        if kind == PLAIN and not self.soft:
            return self.gallery.features(rows)
        faces = [face for row in rows if (face := self.face(row, kind)) is not None]
        assert len(faces) == len(rows)
        return Features(torch.cat([face.embedding for face in faces]), torch.cat([face.patches for face in faces]),
                        faces[0].grid)

    def distances(self, method: Method, pairs: Sequence[tuple[int, int]], kinds: tuple[str, str]) -> np.ndarray:
        """float32 (n,) distances of pairs of rows, the photos altered in these two ways."""
        found = []
        for at in range(0, len(pairs), _BATCH):
            first, second = zip(*pairs[at:at + _BATCH], strict=True)
            found.append(method.pairs(self.stacked(first, kinds[0]), self.stacked(second, kinds[1])))
        return torch.cat(found).cpu().numpy().astype(np.float32) if found else np.empty(0, np.float32)

    def _keep(self, row: int, kind: str, features: Features) -> None:
        self._faces[row, kind] = Features(features.embedding, features.patches.half(), features.grid)

    def crop(self, row: int, kind: str) -> np.ndarray:
        """The aligned crop: uint8 (h, w, 3)."""
        if kind == PLAIN and not self.soft:
            return self.gallery.crop(row, self.backbone)
        photo, face = self.gallery.photo(row), self.gallery.face(row)
        if kind == PLAIN:
            return align(softened(photo, face), face, self.backbone)
        altered = alter(photo, face, kind, seed=row).relocated(self.gallery.manifest.detector)
        if self.soft:
            altered = replace(altered, whole=softened(altered.whole, altered.face))
        return altered.aligned(self.backbone)[0]


def softened(photo: np.ndarray, face: Face) -> np.ndarray:
    """A uint8 (H, W, 3) photo as from far away: reduced until SOFT_EYES pixels lie between the eyes, compressed by
    JPEG, and enlarged to its size again. One that is smaller already is only compressed."""
    scale = min(1.0, SOFT_EYES / max(float(np.linalg.norm(face.five[1] - face.five[0])), 1e-6))
    height, width = photo.shape[:2]
    small = cv2.resize(photo, (max(1, round(width * scale)), max(1, round(height * scale))),
                       interpolation=cv2.INTER_AREA)
    _, packed = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR),
                             [cv2.IMWRITE_JPEG_QUALITY, SOFT_QUALITY])
    small = cv2.imdecode(packed, cv2.IMREAD_COLOR)
    assert small is not None
    small = cv2.cvtColor(small, cv2.COLOR_BGR2RGB)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
