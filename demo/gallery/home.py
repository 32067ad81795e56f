"""Where a gallery is kept: what ``Gallery`` asks of it, wherever that is, and the usual place, a folder of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from demo.backbones import Grid
from demo.gallery.entries import Entries
from demo.gallery.manifest import Manifest
from demo.gallery.opened import Opened
from demo.gallery.part import Source
from demo.gallery.revise import Place, revise
from demo.gallery.store import Rows


class Store(Protocol):
    """A gallery as it was when it was opened. Row r of everything is ``entries[r]``.

    folder: on this machine, for what is measured on the gallery. index: the name of an approximate index that Stage 1
    searches by; None where it is exact. row_bytes: of the arrays of a row. Files and arrays are those of
    ``demo.gallery.part``.
    """

    folder: Path
    manifest: Manifest
    entries: Entries
    index: str | None
    row_bytes: int

    def __len__(self) -> int: ...

    @property
    def bytes(self) -> int:
        """What it takes where it is kept."""
        ...

    @property
    def sha256(self) -> str:
        """Hash of all that is in it."""
        ...

    @property
    def written(self) -> float:
        """When it was changed last, in seconds since the epoch."""
        ...

    @property
    def counts(self) -> tuple[int, int]:
        """People, and those of them with two photos or more."""
        ...

    @property
    def people(self) -> Counter[str]:
        """Photos of each person, in the order of their first rows."""
        ...

    def taken_out(self) -> set[str]:
        """Paths of photos that were taken out, where that is known still."""
        ...

    def rows_of(self, person: str) -> list[int]:
        """Rows of one person, ascending."""
        ...

    def rows_at(self, paths: Sequence[str]) -> dict[str, int]:
        """Path → row, of those that are there."""
        ...

    def array(self, file: str, name: str, rows: Sequence[int]) -> np.ndarray:
        """(len(rows), ...) of an array."""
        ...

    def row(self, file: str, number: int) -> dict[str, np.ndarray]:
        """Every array of a file at one row."""
        ...

    def blocks(self, size: int) -> Iterator[np.ndarray]:
        """All embeddings in the order of the rows, up to (size, D) at a time."""
        ...

    def nearest(self, query: Tensor, k: int) -> tuple[Tensor, Tensor] | None:
        """Cosine distances (k,) and rows (k,) of the nearest to a vector (D,) of unit length, as ``Gallery.search``
        gives them; None where the store does not search, or not for so many."""
        ...

    def patches(self, grid: Grid, device: torch.device) -> Rows:
        """The patches of a grid of the manifest."""
        ...

    def sources(self) -> dict[str, tuple[Source, int]]:
        """SHA-256 of a photo → where its row is."""
        ...

    def keep(self, name: str) -> None:
        """Keep a file of ``folder`` with the gallery until its rows change."""
        ...

    def damaged(self) -> list[str]:
        """What is not as it was written, by name."""
        ...


class Home(Protocol):
    """Where a gallery is kept or will be. workspace: a folder on this machine for rows on their way."""

    @property
    def workspace(self) -> Path: ...

    def manifest(self) -> Manifest:
        """Of what is there, which is not opened for it. BadGallery as ``open``."""
        ...

    def open(self) -> Store:
        """BadGallery where there is none, or where it cannot be used."""
        ...

    def revise(self, old: Store | None, manifest: Manifest, gone: Collection[int], added: Sequence[Place],
               order: Mapping[str, int] | None = None) -> None:
        """Take rows (gone) out and others (added) in, in one step for whoever opens it. old: what ``open`` gave; None
        for a new gallery, which takes the place of any that is there. manifest: of the new state, its parts aside.
        order: path → place, for rows that are written in a new order."""
        ...


@dataclass(frozen=True)
class Folder:
    """A folder of its own on this machine."""

    workspace: Path

    def __str__(self) -> str:
        return str(self.workspace)

    def manifest(self) -> Manifest:
        return Manifest.read(self.workspace)

    def open(self) -> Opened:
        return Opened(self.workspace)

    def revise(self, old: Store | None, manifest: Manifest, gone: Collection[int], added: Sequence[Place],
               order: Mapping[str, int] | None = None) -> None:
        assert old is None or isinstance(old, Opened)
        revise(self.workspace, old, manifest, gone, added, order)


def home_of(index: Path | Home) -> Home:
    """A folder as a home; any other home as it is."""
    return Folder(index) if isinstance(index, Path) else index
