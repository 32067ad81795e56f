"""What an index on disk says of itself, and where indexes lie."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from demo.backbones import Grid, grid_name, parse_grid
from demo.errors import BadGallery
from demo.faces import Limits
from demo.files import write_whole
from demo.gallery.arrays import AGAIN, size_of
from demo.gallery.entries import Entry
from demo.words import ordinal

FORMAT = 2
MANIFEST = "manifest.json"
INDEX_FOLDER = ".index"
EMBEDDINGS, FACES, ENTRIES = "embeddings.safetensors", "faces.safetensors", "entries.sqlite"
#: Bytes of a manifest: one of the first format holds every photo.
_MOST = 1 << 28
#: Folders of parts within an index.
_PART = re.compile(r"part-[0-9a-f]{12}")


def patches_file(grid: Grid) -> str:
    """File name of the patches at a grid."""
    return f"patches-{grid_name(grid)}.safetensors"


@dataclass(frozen=True)
class Failure:
    """A photo of the folder that is not in the gallery, and why."""

    path: str
    sha256: str
    reason: str


@dataclass(frozen=True)
class Crowded:
    """A photo of the gallery that shows several faces. taken: which of them is in the gallery, from 1 at the left."""

    path: str
    sha256: str
    faces: int
    taken: int

    @property
    def told(self) -> str:
        """What to say after its name."""
        return f"shows {self.faces} faces: the most prominent, {ordinal(self.taken)} from the left, is in the gallery."


@dataclass(frozen=True)
class PartInfo:
    """Rows that were written together and are never written again. folder: within the index; "" is the index itself.
    count: how many. files: name → SHA-256. removed: rows that no longer count, ascending. entries: those of an index of
    the first format, which stand in its manifest."""

    folder: str
    count: int
    files: dict[str, str]
    removed: tuple[int, ...] = ()
    entries: tuple[Entry, ...] | None = None


@dataclass(frozen=True)
class Manifest:
    """What an index says of itself.

    backbone, weights_sha256, detector: what made it. photos: the photo folder. limits: of the photos, under which those
    of ``failures`` failed; None where that is not known. crowded: as far as it is known.
    """

    name: str
    photos: Path
    backbone: str
    weights_sha256: str
    detector: str
    grids: tuple[Grid, ...]
    parts: tuple[PartInfo, ...]
    failures: tuple[Failure, ...]
    limits: Limits | None = None
    crowded: tuple[Crowded, ...] = ()

    def __len__(self) -> int:
        return sum(part.count - len(part.removed) for part in self.parts)

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
            "parts": [{"folder": part.folder, "count": part.count, "removed": list(part.removed), "files": part.files}
                      for part in self.parts],
            "limits": self.limits and asdict(self.limits),
            "failures": [vars(failure) for failure in self.failures],
            "crowded": [vars(one) for one in self.crowded],
        }
        write_whole(folder / MANIFEST, json.dumps(data, indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read manifest.json; BadGallery where it is missing, unreadable or of another format."""
        if not (folder / MANIFEST).exists():
            raise BadGallery(f"{folder} holds no gallery index: build one with 'gallery build'.")
        try:
            if size_of(folder / MANIFEST) > _MOST:
                raise ValueError("No manifest is as long as this.")
            data = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            if _whole(data["format"]) not in _PARTS:
                raise BadGallery(f"The gallery index {folder.name} has another format: {AGAIN}")
            texts = {name: _text(data[name]) for name in ("name", "backbone", "weights_sha256", "detector")}
            grids = tuple(parse_grid(_text(grid)) for grid in _list(data["grids"]))
            limits = None if data.get("limits") is None else Limits(**{
                name: float(value) for name, value in data["limits"].items()})
            return cls(**texts, photos=(folder / _text(data["photos"])).resolve(), grids=grids,
                       parts=_PARTS[data["format"]](data, grids), limits=limits,
                       failures=tuple(Failure(**_texts(one)) for one in _list(data["failures"])),
                       crowded=tuple(Crowded(_text(one["path"]), _text(one["sha256"]), _whole(one["faces"]),
                                             _whole(one["taken"])) for one in _list(data.get("crowded", []))))
        except BadGallery:
            raise
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RuntimeError, MemoryError):
            raise BadGallery(f"The gallery index {folder} is damaged: {AGAIN}") from None


def _first_format(data: dict, grids: Sequence[Grid]) -> tuple[PartInfo, ...]:
    """The one part of an index that keeps its entries in the manifest, and its arrays beside it."""
    entries = tuple(Entry(**_texts(one)) for one in _list(data["entries"]))
    if not all(len(bytes.fromhex(entry.sha256)) == 32 and entry.path and entry.identity for entry in entries):
        raise ValueError("These are no entries.")
    return _checked(PartInfo("", len(entries), _texts(data["arrays"]), (), entries), _files(grids)),


def _parts(data: dict, grids: Sequence[Grid]) -> tuple[PartInfo, ...]:
    found = tuple(_checked(PartInfo(_text(one["folder"]), _whole(one["count"]), _texts(one["files"]),
                                    tuple(map(_whole, _list(one["removed"])))), {*_files(grids), ENTRIES})
                  for one in _list(data["parts"]))
    if not found or len({one.folder for one in found}) < len(found) or not all(
            _PART.fullmatch(one.folder) for one in found):
        raise ValueError("These are no parts.")
    return found


#: Format → what reads its parts.
_PARTS: dict[int, Callable[[dict, Sequence[Grid]], tuple[PartInfo, ...]]] = {1: _first_format, FORMAT: _parts}


def _files(grids: Sequence[Grid]) -> set[str]:
    return {EMBEDDINGS, FACES, *map(patches_file, grids)}


def _checked(part: PartInfo, files: set[str]) -> PartInfo:
    places = np.array(part.removed, np.int64)
    if part.files.keys() != files or len(places) >= part.count or (len(places) and (
            places[0] < 0 or places[-1] >= part.count or (np.diff(places) < 1).any())):
        raise ValueError("This is no part.")
    return part


def _list(value: Any) -> list:
    if not isinstance(value, list):
        raise ValueError("This is no list.")
    return value


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise ValueError("This is no whole number.")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("This is no text.")
    value.encode()  # UnicodeError for half a character
    return value


def _texts(value: Any) -> dict[str, str]:
    return {name: _text(one) for name, one in value.items()}


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
