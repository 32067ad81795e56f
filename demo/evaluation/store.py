"""Features of altered photos on disk, so that a stopped evaluation goes on where it was and the next reuses them."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import load, save

from demo.attack import ATTACKS
from demo.backbones import Backbone, Features, grid_name, parse_grid
from demo.errors import BadSetting, DemoError
from demo.evaluation.cache import open_cache, reading
from demo.evaluation.journal import Journal
from demo.evaluation.versions import features_versions
from demo.faces import Limits
from demo.gallery import Gallery
from demo.query import CROP, KEPT, Clock, Preparation, prepare_query
from demo.weights import sha256

FILE = "features.sqlite"


class FeatureStore:
    """Features by everything that they depend on; safe to stop at any moment, shared between threads and processes.

    folder: where ``features.sqlite`` and the journal of what was measured lie; both may be deleted at any time. None
    keeps nothing. A photo whose face was not found is kept too, with the reason. Patches are kept, and given back the
    first time as well, in half precision, as an index has them: about 25 KB a face for dlib.
    limits: of the photos (default: as ``demo.query.prepare_query`` has it).
    """

    def __init__(self, folder: str | Path | None, backbone: Backbone, limits: Limits | None = None):
        self.backbone = backbone
        self.limits = limits
        self.hits = 0
        self.journal: Journal | None = None
        self._base = None
        self._lock = threading.Lock()
        if folder is None:
            return
        self._path = Path(folder) / FILE
        self._base = open_cache(self._path, "features", ("key TEXT PRIMARY KEY", "data BLOB", "reason TEXT"), ")")
        self.journal = Journal(folder)

    def features(self, file: str | Path, preparation: Preparation, clock: Clock | None = None,
                 gallery: Gallery | None = None) -> Features:
        """Features (batch of one) of a photo, prepared as ``demo.query.prepare_query`` does with these arguments.

        Raises BadPhoto, NoFace or BadSetting as it does; the two first are remembered.
        """
        clock = clock or Clock(self.backbone.device)
        if self._base is None:
            return self._prepared(file, preparation, clock, gallery)
        try:
            key = self.key(Path(file), preparation, gallery)
        except OSError:  # says what is wrong with the file
            return self._prepared(file, preparation, clock, gallery)
        with clock.step("cache"):
            with reading(self._path), self._lock:
                row = self._base.execute("SELECT data, reason FROM features WHERE key = ?", (key,)).fetchone()
                self.hits += row is not None
            if row is not None:
                if row[1] is not None:
                    raise DemoError(row[1])
                with reading(self._path):
                    return self._fitting(_unpack(row[0])).to(self.backbone.device)
        try:
            features = self._prepared(file, preparation, clock, gallery)
        except BadSetting:
            raise
        except DemoError as error:
            self._keep(key, None, str(error))
            raise
        with clock.step("cache"):
            data = _pack(features)
            self._keep(key, data, None)
        return _unpack(data).to(self.backbone.device)

    def _fitting(self, features: Features) -> Features:
        """Features as the backbone gives them; ValueError for any other."""
        info = self.backbone.info
        fit = {grid: (1, grid[0] * grid[1], channels) for grid, channels in zip(info.grids, info.channels, strict=True)}
        maps = {features.grid: features.patches, **features.maps}
        if features.embedding.shape != (1, info.dim) or not features.embedding.isfinite().all() or any(
                patches.shape != fit.get(grid) for grid, patches in maps.items()):
            raise ValueError("These are no features.")
        return features

    def _prepared(self, file: str | Path, preparation: Preparation, clock: Clock, gallery: Gallery | None) -> Features:
        return prepare_query(file, self.backbone, preparation, clock, gallery, self.limits).features

    def _keep(self, key: str, data: bytes | None, reason: str | None) -> None:
        assert self._base is not None
        with reading(self._path), self._lock, self._base:
            self._base.execute("INSERT OR REPLACE INTO features VALUES (?, ?, ?)", (key, data, reason))

    def key(self, file: Path, preparation: Preparation, gallery: Gallery | None = None) -> str:
        """Hash of everything that the features of a photo depend on."""
        asked = asdict(preparation)
        if preparation.alteration is None:
            del asked["seed"], asked["style"]  # nothing is drawn
        if preparation.alteration != CROP or preparation.framing == KEPT:
            del asked["framing"]  # it plays no part, or the window is taken as it is
        attacked = preparation.alteration in ATTACKS
        parts = [sha256(file), self.backbone.name, self.backbone.weights_sha256, self.backbone.device.type, asked,
                 self.limits and asdict(self.limits), features_versions(attacked=attacked)]
        if attacked and gallery is not None:
            parts.append(gallery.sha256)  # whom to impersonate
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def as_indexed(asked: Preparation, gallery: Gallery) -> bool:
    """Whether a photo of an index would be prepared as it was for the index, so that its features are there."""
    return asked == Preparation(detector=gallery.manifest.detector, seed=asked.seed, framing=asked.framing)


def _pack(features: Features) -> bytes:
    tensors: Mapping[str, torch.Tensor] = {
        "embedding": features.embedding, f"grid {grid_name(features.grid)}": features.patches.half(),
        **{f"map {grid_name(grid)}": patches.half() for grid, patches in features.maps.items()},
        **({} if features.landmarks is None else {"landmarks": features.landmarks}),
    }
    return save({name: tensor.contiguous().cpu() for name, tensor in tensors.items()})


def _unpack(data: bytes) -> Features:
    tensors = load(data)
    (finest,) = (name for name in tensors if name.startswith("grid "))
    return Features(
        tensors["embedding"], tensors[finest].float(), parse_grid(finest.removeprefix("grid ")),
        {parse_grid(name.removeprefix("map ")): patches.float() for name, patches in tensors.items()
         if name.startswith("map ")}, tensors.get("landmarks"))
