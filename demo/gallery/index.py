"""A gallery opened for search: embeddings on the device, patches at hand, every row traceable to its photo."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha1
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file
from torch import Tensor

from demo.backbones import Backbone, Features, Grid, grid_name
from demo.errors import BadGallery
from demo.faces import DEFAULT_DETECTOR, Face, Limits, align, load_photo
from demo.gallery.build import Progress, build_index
from demo.gallery.folder import Photo, list_photos
from demo.gallery.manifest import EMBEDDINGS, FACES, MANIFEST, Manifest, find_index, patches_file
from demo.gallery.store import ComputedRows, RowFile, Rows
from demo.places import user_cache
from demo.weights import sha256


class Gallery:
    """Faces of known identities, indexed for one backbone.

    Row r of every array is ``entries[r]``. ``embeddings`` (N, D) are L2-normalised, float32, on the device. limits: of
    the photos, where they are read again. backbone: makes the patches of grids that the index does not hold, when they
    are asked for.
    """

    def __init__(self, folder: Path, device: torch.device | str = "cpu", limits: Limits = Limits(),
                 backbone: Backbone | None = None):
        self.folder = Path(folder)
        self.limits = limits
        self._backbone = backbone
        self._lock = threading.Lock()
        self.device = torch.device(device)
        self.manifest = Manifest.read(self.folder)
        self.entries = self.manifest.entries
        try:
            embeddings = load_file(self.folder / EMBEDDINGS)["embeddings"]
            self._faces = load_file(self.folder / FACES)
        except (OSError, KeyError, ValueError) as error:
            raise BadGallery(f"The gallery index {self.folder} is damaged: build the gallery again.") from error
        self.raw_embeddings = torch.from_numpy(embeddings).to(self.device)
        self.embeddings = torch.nn.functional.normalize(self.raw_embeddings, dim=1)
        self._patches: dict[Grid, Rows] = {grid: RowFile(self.folder / patches_file(grid), self.device)
                                           for grid in self.manifest.grids}
        counts = {len(self.embeddings), len(self.entries), *(len(rows) for rows in self._patches.values())}
        if len(counts) != 1:
            raise BadGallery(f"The gallery index {self.folder} is damaged: build the gallery again.")
        self.people = Counter(entry.identity for entry in self.entries)

    def __reduce__(self):
        """Pickled as where it lies: it is opened again."""
        return type(self), (self.folder, self.device, self.limits, self._backbone)

    @classmethod
    def build(cls, folder: str | Path, backbone: Backbone, out: str | Path | None = None, *,
              name: str | None = None, detector: str = DEFAULT_DETECTOR, limits: Limits = Limits(),
              progress: Progress | None = None, photos: Sequence[Photo] | None = None,
              grids: Sequence[Grid] | None = None, known: Path | None = None) -> Gallery:
        """Index a folder of identities and open the result; see ``demo.gallery.build.build_index``."""
        return cls(build_index(folder, backbone, out, name=name, detector=detector, limits=limits, progress=progress,
                               photos=photos, grids=grids, known=known), backbone.device, limits, backbone)

    @classmethod
    def open(cls, path: str | Path, backbone: Backbone | str | None = None,
             device: torch.device | str | None = None, limits: Limits = Limits()) -> Gallery:
        """Open the index at ``path`` (see ``find_index``). With a loaded backbone, BadGallery where the index
        was made with other weights. device: None = the loaded backbone's, else the CPU."""
        name = backbone.name if isinstance(backbone, Backbone) else backbone
        if device is None:
            device = backbone.device if isinstance(backbone, Backbone) else "cpu"
        gallery = cls(find_index(path, name), device, limits, backbone if isinstance(backbone, Backbone) else None)
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

    def search(self, embedding: Tensor, k: int | None = None) -> tuple[Tensor, Tensor]:
        """Exact cosine search: embedding (D,) → (distances (k,), rows (k,)), nearest first; distance is
        1 - cosine similarity. Equal distances keep the order of the rows. k=None ranks all N."""
        query = torch.nn.functional.normalize(embedding.reshape(-1).to(self.device), dim=0)
        distances = 1 - self.embeddings @ query
        ordered, rows = torch.sort(distances, stable=True)
        return ordered[:k], rows[:k]

    def features(self, rows: Sequence[int], grid: Grid | None = None) -> Features:
        """Features of some rows on one grid (default: the backbone's first). BadGallery where its patches cannot be
        had."""
        native = next((one for one in (grid, *self.grids) if one in self.grids), None)
        if native is None:
            raise BadGallery(f"The index {self.folder} holds no patches: open it with its backbone, which computes "
                             "them.")
        index = torch.as_tensor(rows, dtype=torch.long, device=self.device)
        landmarks = torch.from_numpy(self._faces["crop_landmarks"]).to(self.device)[index]
        features = Features(self.raw_embeddings[index], self._rows(native).take(rows), native,
                            landmarks=landmarks)
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
        """Where the photo of a row lies."""
        return self.manifest.photos / self.entries[row].path

    def photo(self, row: int) -> np.ndarray:
        """The photo of a row, uint8 (H, W, 3) RGB; BadPhoto where it can no longer be read."""
        return load_photo(self.photo_file(row), self.limits)

    def face(self, row: int) -> Face:
        """The face of a row as it was found when the gallery was built, in pixels of its photo."""
        at = {key: values[row] for key, values in self._faces.items()}
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
            "name": self.name, "photos": len(self), "people": len(self.people), "failures": len(manifest.failures),
            "backbone": manifest.backbone, "weights_sha256": manifest.weights_sha256,
            "detector": manifest.detector, "grids": [grid_name(grid) for grid in manifest.grids],
            "sha256": self.sha256, "bytes": sum((self.folder / name).stat().st_size for name in manifest.arrays),
        }

    @property
    def sha256(self) -> str:
        """Hash of the manifest, which holds the hashes of all photos and arrays."""
        return sha256(self.folder / MANIFEST)

    def verify(self) -> list[str]:
        """Problems, one sentence each: photos changed, gone or new since the build; arrays damaged. Empty if sound."""
        problems = [f"{name} is not as it was built." for name in self.manifest.damaged(self.folder)]
        if not torch.isfinite(self.raw_embeddings).all():
            problems.append("Some embeddings are not finite numbers.")
        known = {entry.path: entry.sha256 for entry in (*self.entries, *self.manifest.failures)}
        try:
            present = {photo.path: photo for photo in list_photos(self.manifest.photos)}
        except BadGallery as error:
            return [*problems, str(error)]
        problems += [f"{path} is gone." for path in known if path not in present]
        problems += [f"{path} is new and not indexed." for path in present if path not in known]
        problems += [f"{path} has changed since the build." for path, photo in present.items()
                     if path in known and photo.sha256 != known[path]]
        return problems


def open_or_build(folder: str | Path, backbone: Backbone, cache: str | Path | None = None, *,
                  detector: str = DEFAULT_DETECTOR, limits: Limits = Limits(), progress: Progress | None = None,
                  photos: Sequence[Photo] | None = None, known: Path | None = None) -> Gallery:
    """The gallery of a folder, made if need be. limits, photos: as for ``demo.gallery.build.build_index``. known: an
    index, or a folder that has one, of which photos that are in it too are taken; it is opened itself where it is just
    of these photos.

    An index that is there for this backbone and its weights is opened as it is. Otherwise the folder's photos
    are indexed under ``cache`` (default: the user's cache folder), never inside the folder, and an index already
    there is brought up to date.
    """
    place = str(Path(folder).resolve())
    if photos is None:
        try:
            return Gallery.open(folder, backbone, limits=limits)
        except BadGallery:
            list_photos(folder)  # says what is wrong with the folder, if anything is
    else:
        place = "\n".join([place, *(f"{photo.path},{photo.identity}" for photo in photos)])
    out = Path(cache or user_cache()) / sha1(place.encode()).hexdigest()[:16]
    if known is None:
        return Gallery.build(folder, backbone, out, detector=detector, limits=limits, progress=progress, photos=photos)
    known = find_index(known, backbone.name)
    made = Manifest.read(known)
    wanted = list_photos(folder) if photos is None else photos
    if made.photos == Path(folder).resolve() and made.detector == detector and made.holds(wanted):
        return Gallery.open(known, backbone, limits=limits)
    return Gallery.build(folder, backbone, out, detector=detector, limits=limits, progress=progress, photos=photos,
                         known=known, grids=made.grids)
