"""Arrays in safetensors files, mapped and not loaded: checked against the file's length first, written a piece at a
time."""

from __future__ import annotations

import json
import math
import os
import struct
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from demo.errors import BadGallery
from demo.files import is_regular

_DTYPES = {"F16": np.dtype("<f2"), "F32": np.dtype("<f4")}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
#: A header of an index takes less than a kilobyte.
_LONGEST_HEADER = 1 << 16
AGAIN = "build the gallery again."


@dataclass(frozen=True)
class Array:
    """Where an array lies in a file: dtype, shape, bytes from the start."""

    dtype: np.dtype
    shape: tuple[int, ...]
    start: int

    @property
    def row_bytes(self) -> int:
        return math.prod(self.shape[1:]) * self.dtype.itemsize


def size_of(path: Path) -> int:
    """Bytes of a regular file; BadGallery for anything else, which might never end."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        raise BadGallery(f"The gallery file {path.name} is missing: {AGAIN}") from None
    if not is_regular(found):
        raise BadGallery(f"The gallery file {path.name} is no regular file: {AGAIN}")
    return found.st_size


def layout(path: Path, schema: Mapping[str, Sequence[int | None]], rows: int) -> dict[str, Array]:
    """The arrays of a file, which are those of ``schema`` (name → shape of a row, None = any) with so many rows each,
    and lie within it. BadGallery for any other file; no more than its header is read."""
    size, damaged = size_of(path), BadGallery(f"The gallery file {path.name} is damaged: {AGAIN}")
    try:
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > min(_LONGEST_HEADER, size - 8):
                raise damaged
            header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        found = {}
        for name, one in header.items():
            dtype, shape, (begin, end) = _DTYPES[one["dtype"]], tuple(one["shape"]), one["data_offsets"]
            if not all(type(number) is int and number >= 0 for number in (*shape, begin, end)):
                raise damaged
            if math.prod(shape) * dtype.itemsize != end - begin:
                raise damaged
            if 8 + length + end > size:
                raise BadGallery(f"The gallery file {path.name} is cut short: {AGAIN}")
            found[name] = Array(dtype, shape, 8 + length + begin)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, struct.error) as error:
        raise error if isinstance(error, BadGallery) else damaged from None
    if found.keys() != schema.keys() or any(
            len(one.shape) != 1 + len(schema[name]) or one.shape[0] != rows or 0 in one.shape
            or any(wanted not in (None, given) for wanted, given in zip(schema[name], one.shape[1:], strict=True))
            for name, one in found.items()):
        raise damaged
    return found


def mapped(path: Path, array: Array) -> np.ndarray:
    """An array (N, ...) of a file, of which only what is used is read; what is written to it stays in memory."""
    return np.memmap(path, array.dtype, "c", array.start, array.shape)


class RowReader:
    """Rows of arrays in a file that is held open, so that a newer index may take its place. Threads may share one.

    The wanted rows are announced to the kernel together and then read one by one: for a scattered hundred this is many
    times faster than a memory map, whose pages would also count as memory in use.
    """

    def __init__(self, path: Path):
        self.path = path
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 (held)
        self._lock = threading.Lock()

    def take(self, array: Array, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """(len(rows), ...); BadGallery where the file has become shorter."""
        out = np.empty((len(rows), *array.shape[1:]), array.dtype)
        starts = [array.start + int(row) * array.row_bytes for row in rows]
        with self._lock:
            if hasattr(os, "posix_fadvise"):
                for start in starts:
                    os.posix_fadvise(self._file.fileno(), start, array.row_bytes, os.POSIX_FADV_WILLNEED)
            for slot, start in zip(out.reshape(len(rows), math.prod(out.shape[1:])), starts, strict=True):
                self._file.seek(start)
                if self._file.readinto(slot.data.cast("B")) != array.row_bytes:
                    raise BadGallery(f"The gallery file {self.path.name} is cut short: {AGAIN}")
        return out


def write_arrays(path: Path, arrays: Mapping[str, tuple[np.dtype, tuple[int, ...], Iterable[np.ndarray]]]) -> None:
    """Write a safetensors file, byte for byte as the library does. arrays: name → dtype, shape, and the rows in pieces,
    which are asked for one after the other."""
    header, end = {}, 0
    ordered = sorted(arrays.items(), key=lambda one: (-one[1][0].itemsize, one[0]))
    for name, (dtype, shape, _) in ordered:
        begin, end = end, end + math.prod(shape) * dtype.itemsize
        header[name] = {"dtype": _NAMES[dtype], "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, (dtype, _, pieces) in ordered:
            for piece in pieces:
                file.write(np.ascontiguousarray(piece, dtype).tobytes())
        file.flush()
        os.fsync(file.fileno())
    if path.stat().st_size != 8 + len(text) + end:
        raise ValueError(f"The pieces for {path.name} do not fill it.")
