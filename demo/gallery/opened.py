"""An index as it lies on disk: its parts as one list of rows, checked when it is opened, read as it is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from demo.backbones import Grid
from demo.errors import BadGallery
from demo.gallery.arrays import AGAIN
from demo.gallery.entries import Entries, Entry
from demo.gallery.manifest import EMBEDDINGS, MANIFEST, Manifest, patches_file
from demo.gallery.part import Part, Source, is_whole
from demo.gallery.store import JoinedRows, Places, RowFile, Rows
from demo.weights import sha256


class PartEntries(Entries):
    """The entries of an index of several parts."""

    def __init__(self, parts: Sequence[Part], places: Places):
        self._parts, self._places = parts, places

    def __len__(self) -> int:
        return len(self._places)

    def take(self, rows: Sequence[int]) -> list[Entry]:
        found: dict[int, Entry] = {}
        for part, slots, own in self._places.split(rows):
            found.update(zip(slots.tolist(), self._parts[part].entries.take(own), strict=True))
        return [found[slot] for slot in range(len(rows))]

    def __iter__(self) -> Iterator[Entry]:
        for part in self._parts:
            gone = set(part.info.removed)
            yield from (entry for row, entry in enumerate(part.entries) if row not in gone)


class Opened:
    """The local ``demo.gallery.home.Store``. folder: of the index. BadGallery unless its files fit together."""

    index: str | None = None

    def __init__(self, folder: Path):
        self.folder = folder
        self.manifest = Manifest.read(folder)
        self.parts = [Part(folder, info, self.manifest.grids) for info in self.manifest.parts]
        shapes = [{key: (array.dtype, array.shape[1:]) for key, array in part.arrays.items()} for part in self.parts]
        if not all(one == shapes[0] for one in shapes):
            raise BadGallery(f"The gallery index {folder} is damaged: {AGAIN}")
        self.row_bytes = sum(array.row_bytes for array in self.parts[0].arrays.values())
        self.places = Places([info.count for info in self.manifest.parts],
                             [info.removed for info in self.manifest.parts])
        self.entries: Entries = PartEntries(self.parts, self.places)

    def __len__(self) -> int:
        return len(self.places)

    @property
    def bytes(self) -> int:
        """What its parts take on the disk."""
        return sum((self.folder / info.folder / name).stat().st_size
                   for info in self.manifest.parts for name in info.files)

    @property
    def sha256(self) -> str:
        """Of the manifest, which holds the hashes of all files."""
        return sha256(self.folder / MANIFEST)

    @property
    def written(self) -> float:
        return (self.folder / MANIFEST).stat().st_mtime

    @property
    def counts(self) -> tuple[int, int]:
        return len(self.people), sum(photos > 1 for photos in self.people.values())

    @property
    def people(self) -> Counter[str]:
        """Photos of each person, in the order of their first rows."""
        return self._people

    @cached_property
    def _people(self) -> Counter[str]:
        found = Counter()
        for part in self.parts:
            found.update(part.entries.people())
            if gone := part.info.removed:
                found.subtract(Counter(entry.identity for entry in part.entries.take(gone)))
        return +found

    def taken_out(self) -> set[str]:
        """Paths of rows that were taken out."""
        return {entry.path for part in self.parts if part.info.removed
                for entry in part.entries.take(part.info.removed)}

    def rows_of(self, person: str) -> list[int]:
        """Rows of one person."""
        return [row for number, part in enumerate(self.parts)
                for row in self.places.joined(number, part.entries.rows_of(person))]

    def rows_at(self, paths: Sequence[str]) -> dict[str, int]:
        """Path → row, of those that are there."""
        found = {}
        for number, part in enumerate(self.parts):
            for path, own in part.entries.rows_at(paths).items():
                if rows := self.places.joined(number, [own]):
                    found[path] = rows[0]
        return found

    def array(self, file: str, name: str, rows: Sequence[int]) -> np.ndarray:
        """(len(rows), ...) of an array."""
        key = file, name
        first = self.parts[0].arrays[key]
        out = np.empty((len(rows), *first.shape[1:]), first.dtype)
        for part, slots, own in self.places.split(rows):
            out[slots] = self.parts[part].take(file, name, own)
        return out

    def row(self, file: str, number: int) -> dict[str, np.ndarray]:
        """Every array of a file at one row."""
        ((part, _, (own,)),) = self.places.split([number])
        found = self.parts[part]
        return {name: found.take(file, name, [own])[0] for place, name in found.arrays if place == file}

    def blocks(self, size: int) -> Iterator[np.ndarray]:
        for number, part in enumerate(self.parts):
            for rows in self.places.blocks(number, size):
                yield part.read(EMBEDDINGS, "embeddings", rows)

    def nearest(self, query: Tensor, k: int) -> None:
        """Nothing: all are compared with by who holds the embeddings, on any device."""

    def patches(self, grid: Grid, device: torch.device) -> Rows:
        file = patches_file(grid)
        return JoinedRows([RowFile(part.folder / file, part.arrays[file, "patches"], device) for part in self.parts],
                          self.places)

    def sources(self) -> dict[str, tuple[Source, int]]:
        found = {}
        for part in self.parts:
            source, gone = Source(part.maps), set(part.info.removed)
            found |= {entry.sha256: (source, row) for row, entry in enumerate(part.entries) if row not in gone}
        return found

    def keep(self, name: str) -> None:
        """Nothing: what lies in the folder is kept with it."""

    def damaged(self) -> list[str]:
        """Files that are not as they were written."""
        return [str(Path(info.folder) / name) for info in self.manifest.parts for name, digest in info.files.items()
                if not is_whole(self.folder, info, {name: digest})]
