"""A part of an index: rows of every array and their entries, checked when they are opened, never changed."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from demo.backbones import Grid
from demo.gallery.arrays import Array, RowReader, layout, mapped, write_arrays
from demo.gallery.entries import Entry, EntryTable, write_entries
from demo.gallery.manifest import EMBEDDINGS, ENTRIES, FACES, PartInfo, patches_file
from demo.weights import sha256

#: What is kept of a face, float32: shape of a row of each array.
FACE_ARRAYS = {"box": (4,), "score": (), "landmarks": (68, 2), "chip_points": (5, 2), "five_points": (5, 2),
               "crop_landmarks": (68, 2)}
#: Arrays that are always numbers; others are none where the detector does not tell them.
NUMBERS = ("embeddings", "box", "score", "landmarks")
#: Rows that are copied together.
_TOGETHER = 4096


def files_of(grids: Sequence[Grid]) -> dict[str, dict[str, tuple[int | None, ...]]]:
    """File → array → shape of a row (None = any) of a part with patches on these grids."""
    return {EMBEDDINGS: {"embeddings": (None,)}, FACES: dict(FACE_ARRAYS),
            **{patches_file(grid): {"patches": (grid[0] * grid[1], None)} for grid in grids}}


class Part:
    """A part that is there. arrays: (file, name) → where it lies; maps: (file, name) → (count, ...), of which nothing
    is read yet. BadGallery unless everything fits together. A newer index may delete its files without harm."""

    def __init__(self, index: Path, info: PartInfo, grids: Sequence[Grid]):
        self.info, self.folder = info, index / info.folder
        self.arrays: dict[tuple[str, str], Array] = {
            (file, name): array for file, schema in files_of(grids).items()
            for name, array in layout(self.folder / file, schema, info.count).items()}
        self.maps = {(file, name): mapped(self.folder / file, array) for (file, name), array in self.arrays.items()}
        self._files = {file: RowReader(self.folder / file) for file in files_of(grids)}
        self.entries = (EntryTable.of(info.entries, self.folder.name) if info.entries is not None
                        else EntryTable.open(self.folder / ENTRIES, info.count))

    def take(self, file: str, name: str, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Some rows of an array, read one by one."""
        return self._files[file].take(self.arrays[file, name], rows)

    def read(self, file: str, name: str, rows: slice | np.ndarray) -> np.ndarray:
        """Some rows of an array, ascending, read all at once and not mapped: pages of a map count as memory in use."""
        array = self.arrays[file, name]
        first, last = (rows.start, rows.stop) if isinstance(rows, slice) else (int(rows[0]), int(rows[-1]) + 1)
        with open(self.folder / file, "rb") as opened:
            opened.seek(array.start + first * array.row_bytes)
            values = np.fromfile(opened, array.dtype, (last - first) * (array.row_bytes // array.dtype.itemsize))
        values = values.reshape(-1, *array.shape[1:])
        return values if isinstance(rows, slice) else values[rows - first]


class Column(Protocol):
    """An array (N, ...) of which rows are had by their numbers."""

    @property
    def dtype(self) -> np.dtype: ...

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, rows: np.ndarray, /) -> np.ndarray: ...


class Source:
    """Rows that a part can be made of. arrays: (file, name) → (n, ...)."""

    def __init__(self, arrays: Mapping[tuple[str, str], Column]):
        self.arrays = arrays


def write_part(index: Path, entries: Sequence[Entry], places: Sequence[tuple[Source, int]],
               grids: Sequence[Grid]) -> PartInfo:
    """Write rows that are had from (source, row) as a new part of the index, whole or not at all.

    Its folder is named by what is in it: the same rows give the same one.
    """
    fresh = Path(tempfile.mkdtemp(prefix=".part-", dir=index))
    try:
        for file, schema in files_of(grids).items():
            arrays = {}
            for name in schema:
                first = places[0][0].arrays[file, name]
                arrays[name] = first.dtype, (len(entries), *first.shape[1:]), gathered(places, (file, name))
            write_arrays(fresh / file, arrays)
        write_entries(fresh / ENTRIES, entries)
        files = {name: sha256(fresh / name) for name in (*files_of(grids), ENTRIES)}
        info = PartInfo(f"part-{hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()[:12]}",
                        len(entries), files)
        fresh.chmod(0o755)
        if is_whole(index, info):
            return info
        shutil.rmtree(index / info.folder, ignore_errors=True)
        os.replace(fresh, index / info.folder)
        return info
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def is_whole(index: Path, info: PartInfo, files: Mapping[str, str] | None = None) -> bool:
    """Whether every file of a part, or some of them (name → SHA-256), is there as it was written."""
    return all((index / info.folder / name).is_file() and sha256(index / info.folder / name) == digest
               for name, digest in (files or info.files).items())


def gathered(places: Sequence[tuple[Source, int]], key: tuple[str, str]) -> Iterator[np.ndarray]:
    """An array's rows that are had from (source, row), some thousand at a time."""
    sources = list(dict.fromkeys(source for source, _ in places))
    arrays = [source.arrays[key] for source in sources]
    numbers = {id(source): number for number, source in enumerate(sources)}
    owners = np.array([numbers[id(source)] for source, _ in places])
    rows = np.array([row for _, row in places])
    for at in range(0, len(rows), _TOGETHER):
        some, own = owners[at:at + _TOGETHER], rows[at:at + _TOGETHER]
        out = np.empty((len(own), *arrays[0].shape[1:]), arrays[0].dtype)
        for number in np.unique(some).tolist():
            out[some == number] = arrays[number][own[some == number]]
        yield out
