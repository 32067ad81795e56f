"""A gallery opened for search: embeddings on the device, patches at hand, every row traceable to its photo."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from demo.backbones import Backbone, Features, Grid, grid_name
from demo.errors import BadGallery
from demo.faces import DEFAULT_DETECTOR, Face, Limits, align, load_photo
from demo.gallery.address import Address
from demo.gallery.arrays import AGAIN
from demo.gallery.build import build_index, holds_just
from demo.gallery.compute import Progress
from demo.gallery.entries import Entry
from demo.gallery.folder import Photo, list_photos, spelled_as_there
from demo.gallery.home import Folder, Home, Store, home_of
from demo.gallery.manifest import EMBEDDINGS, FACES, find_index
from demo.gallery.milvus import find_home
from demo.gallery.names import person_named
from demo.gallery.store import ComputedRows, Rows

#: Rows that are read together.
BLOCK = 1 << 16


class Gallery:
    """Faces of known identities, indexed for one backbone.

    Row r of every array is ``entries[r]``. home: where it is kept; a path is that of the index folder. limits: of the
    photos, where they are read again. backbone: makes the patches of grids that the index does not hold, when they are
    asked for. folder: on this machine, for what is measured on the gallery. left_out: what is not in it of its folder,
    a sentence each, where ``open_or_build`` has just indexed it; nothing otherwise.
    """

    left_out: tuple[str, ...] = ()

    def __init__(self, home: Path | Home, device: torch.device | str = "cpu", limits: Limits = Limits(),
                 backbone: Backbone | None = None):
        self.home = home_of(home)
        self.limits = limits
        self._backbone = backbone
        self._lock = threading.Lock()
        self.device = torch.device(device)
        self._store: Store = self.home.open()
        self.folder = self._store.folder
        self.manifest = self._store.manifest
        self.entries = self._store.entries
        self._patches: dict[Grid, Rows] = {grid: self._store.patches(grid, self.device)
                                           for grid in self.manifest.grids}
        if isinstance(self.home, Folder):  # searched by these: a damaged index is told at once
            assert len(self.embeddings) == len(self)

    @cached_property
    def embeddings(self) -> Tensor:
        """(N, D) L2-normalised, float32, on the device; read and normalised a block at a time. A store that searches
        is not asked for them unless the whole gallery is ranked."""
        out, at = torch.empty(0), 0
        for values in self._store.blocks(BLOCK):
            unit = torch.nn.functional.normalize(torch.from_numpy(values.astype(np.float32, copy=False)), dim=1)
            if not torch.isfinite(unit.sum()):  # one that is no number, or endless, makes its row none
                raise BadGallery(f"The gallery index {self.home} is damaged: {AGAIN}")
            if not at:
                out = torch.empty((len(self), unit.shape[1]), device=self.device)
            out[at:at + len(unit)] = unit
            at += len(unit)
        return out

    def __reduce__(self):
        """Pickled as where it is kept: it is opened again."""
        return type(self), (self.home, self.device, self.limits, self._backbone)

    @classmethod
    def build(cls, folder: str | Path, backbone: Backbone, out: str | Path | None = None, *,
              name: str | None = None, detector: str = DEFAULT_DETECTOR, limits: Limits = Limits(),
              progress: Progress | None = None, photos: Sequence[Photo] | None = None,
              grids: Sequence[Grid] | None = None, known: Path | None = None, home: Home | None = None) -> Gallery:
        """Index a folder of identities and open the result; see ``demo.gallery.build.build_index``."""
        return cls(build_index(folder, backbone, out, name=name, detector=detector, limits=limits, progress=progress,
                               photos=photos, grids=grids, known=known, home=home), backbone.device, limits, backbone)

    @classmethod
    def open(cls, path: str | Path, backbone: Backbone | str | None = None,
             device: torch.device | str | None = None, limits: Limits = Limits()) -> Gallery:
        """Open the index at ``path``: a folder (see ``find_index``), or the address of a store
        (``demo.gallery.address``). With a loaded backbone, BadGallery where the index was made with other weights.
        device: None = the loaded backbone's, else the CPU."""
        name = backbone.name if isinstance(backbone, Backbone) else backbone
        if device is None:
            device = backbone.device if isinstance(backbone, Backbone) else "cpu"
        address = Address.of(path)
        home = find_index(path, name) if address is None else find_home(address, name)
        gallery = cls(home, device, limits, backbone if isinstance(backbone, Backbone) else None)
        if isinstance(backbone, Backbone) and backbone.weights_sha256 != gallery.manifest.weights_sha256:
            raise BadGallery(f"The gallery {gallery.name} was built with other {name} weights: build it again.")
        return gallery

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def grids(self) -> tuple[Grid, ...]:
        """(rows, cols) of the patches that can be had, the backbone's default first: with the backbone all of its, else
        those that are stored."""
        return self.manifest.grids if self._backbone is None else self._backbone.info.grids

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def people(self) -> Counter[str]:
        """Photos of each person."""
        return self._store.people

    @cached_property
    def persons(self) -> int:
        """How many people there are."""
        return self._store.counts[0]

    @cached_property
    def several(self) -> int:
        """People with two photos or more."""
        return self._store.counts[1]

    @property
    def written(self) -> float:
        """When it was changed last, in seconds since the epoch."""
        return self._store.written

    @property
    def index(self) -> str | None:
        """Name of the approximate index that Stage 1 searches by; None where it is exact."""
        return self._store.index

    def blocks(self, size: int = BLOCK) -> Iterator[np.ndarray]:
        """All embeddings as the backbone gave them, in the order of the rows, up to (size, D) at a time."""
        return self._store.blocks(size)

    def keep(self, name: str) -> None:
        """Keep a file of ``folder`` with the gallery, wherever that is, until its rows change."""
        self._store.keep(name)

    def taken_out(self) -> set[str]:
        """Paths of photos that were taken out of the index, and lie in the folder still."""
        return self._store.taken_out()

    def entries_of(self, rows: Sequence[int]) -> list[Entry]:
        """Entries of some rows, in that order."""
        return self.entries.take(rows)

    def rows_of(self, person: str) -> list[int]:
        """Rows of one person, ascending."""
        return self._store.rows_of(person)

    def search(self, embedding: Tensor, k: int | None = None) -> tuple[Tensor, Tensor]:
        """Cosine search: embedding (D,) → (distances (k,), rows (k,)), nearest first; distance is
        1 - cosine similarity. Equal distances keep the order of the rows. k=None ranks all N. It is exact where
        ``index`` is None; with an approximate one some of the nearest may be missing, and distances are exact."""
        query = torch.nn.functional.normalize(embedding.reshape(-1).to(self.device), dim=0)
        found = None if k is None else self._store.nearest(query, k)
        return nearest(1 - self.embeddings @ query, k) if found is None else found

    def nearest_other(self, embedding: Tensor) -> int | None:
        """The row of the nearest photo of another person than the best match's; None in a gallery of one person."""
        best, count = None, 100
        while True:
            rows = self.search(embedding, count)[1].tolist()
            for row, entry in zip(rows, self.entries_of(rows), strict=True):
                best = best or entry.identity
                if entry.identity != best:
                    return row
            if count >= len(self):
                return None
            count = len(self)

    def unit(self, rows: Sequence[int]) -> Tensor:
        """(len(rows), D) embeddings of unit length."""
        return torch.nn.functional.normalize(self._array(EMBEDDINGS, "embeddings", rows), dim=1)

    @property
    def raw_embeddings(self) -> Tensor:
        """(N, D) as the backbone gave them, read anew from the index."""
        return self._array(EMBEDDINGS, "embeddings", range(len(self)))

    def _array(self, file: str, name: str, rows: Sequence[int]) -> Tensor:
        return torch.from_numpy(self._store.array(file, name, rows)).to(self.device)

    def features(self, rows: Sequence[int], grid: Grid | None = None) -> Features:
        """Features of some rows on one grid (default: the backbone's first). BadGallery where its patches cannot be
        had."""
        native = next((one for one in (grid, *self.grids) if one in self.grids), None)
        if native is None:
            raise BadGallery(f"The index {self.home} holds no patches: open it with its backbone, which computes "
                             "them.")
        features = Features(self._array(EMBEDDINGS, "embeddings", rows), self._rows(native).take(rows), native,
                            landmarks=self._array(FACES, "crop_landmarks", rows))
        return features.at(grid)

    def _rows(self, grid: Grid) -> Rows:
        """The patches of one of ``grids``: as stored, else computed from the photos when they are taken."""
        backbone = self._backbone
        with self._lock:
            if grid not in self._patches and backbone is not None:
                self._patches[grid] = ComputedRows(len(self), lambda rows: backbone.extract(
                    np.stack([self.crop(row, backbone) for row in rows])).at(grid).patches)
            return self._patches[grid]

    def whole(self, rows: Sequence[int]) -> Features:
        """Features of some rows on every grid of the backbone: what ``features`` gives, the further grids as maps."""
        return replace(self.features(rows), maps={grid: self._rows(grid).take(rows) for grid in self.grids[1:]})

    def photo_file(self, row: int) -> Path:
        """Where the photo of a row lies; BadGallery for a path that leaves the photo folder."""
        path = self.entries[row].path
        if not is_within(path):
            raise BadGallery(f"The gallery index {self.home} names a photo outside its folder: {AGAIN}")
        return spelled_as_there(self.manifest.photos / path, self.manifest.photos)

    def photo(self, row: int) -> np.ndarray:
        """The photo of a row, uint8 (H, W, 3) RGB; BadPhoto where it can no longer be read."""
        return load_photo(self.photo_file(row), self.limits)

    def face(self, row: int) -> Face:
        """The face of a row as it was found when the gallery was built, in pixels of its photo."""
        at = self._store.row(FACES, row)
        if not all(np.isfinite(at[name]).all() for name in ("box", "score", "landmarks")):
            raise BadGallery(f"The gallery index {self.home} is damaged: {AGAIN}")
        chip, five = (None if np.isnan(at[key]).any() else at[key] for key in ("chip_points", "five_points"))
        left, top, right, bottom = map(float, at["box"])
        return Face(box=(left, top, right, bottom), landmarks=at["landmarks"], score=float(at["score"]),
                    chip_points=chip, five_points=five)

    def crop(self, row: int, backbone: Backbone) -> np.ndarray:
        """The aligned crop of a row, cut from its photo again: uint8 (h, w, 3)."""
        try:
            return align(self.photo(row), self.face(row), backbone)
        except ValueError as error:
            raise BadGallery(f"The gallery photo {self.entries[row].path} can no longer be read: {error}") from None

    def info(self) -> dict:
        """Counts and provenance, ready for JSON."""
        manifest = self.manifest
        return {
            "name": self.name, "photos": len(self), "people": self.persons, "failures": len(manifest.failures),
            "crowded": len(manifest.crowded),
            "backbone": manifest.backbone, "weights_sha256": manifest.weights_sha256,
            "detector": manifest.detector, "grids": [grid_name(grid) for grid in manifest.grids],
            "sha256": self.sha256, "bytes": self._store.bytes,
        }

    @cached_property
    def sha256(self) -> str:
        """Hash of all that is in it."""
        return self._store.sha256

    def verify(self) -> list[str]:
        """Problems, one sentence each: photos changed, gone or new since the build; arrays damaged. Empty if sound."""
        problems = [f"{name} is not as it was built." for name in self._store.damaged()]
        known = {person_named(entry.path): entry.sha256 for entry in (*self.entries, *self.manifest.failures)}
        try:
            present = {person_named(photo.path): photo for photo in list_photos(self.manifest.photos)}
        except BadGallery as error:
            return [*problems, str(error)]
        problems += [f"{path} is gone." for path in known if path not in present]
        problems += [f"{path} is new and not indexed." for path in present if path not in known]
        problems += [f"{path} has changed since the build." for path, photo in present.items()
                     if path in known and photo.sha256 != known[path]]
        return problems


    def holds(self, photos: Sequence[Photo]) -> bool:
        """Whether the index is of just these photos, as they are now."""
        return holds_just(self.entries, self.manifest.failures, photos, (photo.sha256 for photo in photos))


def nearest(distances: Tensor, k: int | None = None) -> tuple[Tensor, Tensor]:
    """The k smallest of distances (N,) and their places, ascending, equal ones in order of their places: what a stable
    sort of all begins with (k=None: all of it)."""
    if k is None or k >= len(distances):
        return torch.sort(distances, stable=True)
    near, places = torch.topk(distances, k + 1, largest=False)  # sorted
    if near[k - 1] < near[k] or k < 1:
        places = places[:k].sort().values
    else:  # several are as near as the last one: all of them are looked at
        places = torch.nonzero(distances <= near[k]).reshape(-1)
    ordered, slots = torch.sort(distances[places], stable=True)
    return ordered[:k], places[slots[:k]]


def is_within(path: str) -> bool:
    """Whether a relative path, with forward slashes, stays below where it starts, on every system."""
    parts = path.split("/")
    return not any(part in ("", ".", "..") for part in parts) and "\\" not in path and ":" not in parts[0]
