"""What an index on disk says of itself, and where indexes lie."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from demo.backbones import Grid, grid_name, parse_grid
from demo.errors import BadGallery
from demo.files import write_whole
from demo.gallery.folder import Photo
from demo.weights import sha256

FORMAT = 1
MANIFEST = "manifest.json"
INDEX_FOLDER = ".index"
EMBEDDINGS, FACES = "embeddings.safetensors", "faces.safetensors"


def patches_file(grid: Grid) -> str:
    """File name of the patches at a grid."""
    return f"patches-{grid_name(grid)}.safetensors"


@dataclass(frozen=True)
class Entry:
    """One row of a gallery; ``path`` is relative to the photo folder, with forward slashes."""

    path: str
    identity: str
    sha256: str


@dataclass(frozen=True)
class Failure:
    """A photo of the folder that is not in the gallery, and why."""

    path: str
    sha256: str
    reason: str


@dataclass(frozen=True)
class Manifest:
    """What an index says of itself.

    arrays: file name → SHA-256. backbone, weights_sha256, detector: what made it. photos: the photo folder.
    """

    name: str
    photos: Path
    backbone: str
    weights_sha256: str
    detector: str
    grids: tuple[Grid, ...]
    entries: tuple[Entry, ...]
    failures: tuple[Failure, ...]
    arrays: dict[str, str]

    def write(self, folder: Path) -> None:
        """Write manifest.json. The photo folder is written relative to the index where both move together."""
        try:
            photos = Path(*[".."] * len(folder.resolve().relative_to(self.photos.resolve()).parts)).as_posix()
        except ValueError:
            photos = str(self.photos.resolve())
        data = {
            "format": FORMAT, "name": self.name, "photos": photos, "backbone": self.backbone,
            "weights_sha256": self.weights_sha256, "detector": self.detector,
            "grids": [grid_name(grid) for grid in self.grids],
            "entries": [vars(entry) for entry in self.entries],
            "failures": [vars(failure) for failure in self.failures],
            "arrays": self.arrays,
        }
        write_whole(folder / MANIFEST, json.dumps(data, indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read manifest.json; BadGallery where it is missing, unreadable or of another format."""
        try:
            data = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            if data["format"] != FORMAT:
                raise BadGallery(f"The gallery index {folder.name} has another format: build the gallery again.")
            return cls(
                data["name"], (folder / data["photos"]).resolve(), data["backbone"], data["weights_sha256"],
                data["detector"], tuple(parse_grid(grid) for grid in data["grids"]),
                tuple(Entry(**entry) for entry in data["entries"]),
                tuple(Failure(**failure) for failure in data["failures"]), data["arrays"],
            )
        except FileNotFoundError:
            raise BadGallery(f"{folder} holds no gallery index: build one with 'gallery build'.") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            if isinstance(error, BadGallery):
                raise
            raise BadGallery(f"The gallery index {folder} is damaged: build the gallery again.") from None

    def holds(self, photos: Sequence[Photo]) -> bool:
        """Whether the index is of just these photos, as they are now."""
        kept = {entry.path: (entry.sha256, entry.identity) for entry in self.entries}
        kept |= {failure.path: (failure.sha256, None) for failure in self.failures}
        return len(kept) == len(photos) and all(
            kept.get(photo.path) in ((photo.sha256, photo.identity), (photo.sha256, None)) for photo in photos)

    def damaged(self, folder: Path) -> list[str]:
        """Names of arrays that are missing from ``folder`` or differ from what was built."""
        return [name for name, digest in self.arrays.items()
                if not (folder / name).is_file() or sha256(folder / name) != digest]


def find_index(path: str | Path, backbone: str | None = None) -> Path:
    """The index folder meant by ``path``: an index, a folder of indexes (one per backbone), or a photo folder
    that keeps its indexes beside the photos. BadGallery where there is none."""
    path = Path(path)
    if not path.is_dir():
        raise BadGallery(f"{path} is not a folder.")
    places = [path] if (path / MANIFEST).is_file() else [
        found.parent for base in (path, path / INDEX_FOLDER) for found in sorted(base.glob(f"*/{MANIFEST}"))]
    if backbone is not None:
        places = [place for place in places if Manifest.read(place).backbone == backbone]
    if not places:
        wanted = f" for the {backbone} backbone" if backbone else ""
        raise BadGallery(f"{path} has no gallery index{wanted}: build one with 'gallery build {path}'.")
    return places[0]
