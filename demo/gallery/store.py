"""Rows of a large array, kept in memory on a device or read from disk as they are needed."""

from __future__ import annotations

import json
import os
import struct
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from safetensors.numpy import load_file
from torch import Tensor

from demo.errors import BadGallery

#: Rows that are computed together.
AT_A_TIME = 16
_DTYPES = {"F16": np.float16, "F32": np.float32}


class Rows(Protocol):
    """An array (N, ...) whose rows are had by number."""

    def __len__(self) -> int: ...

    def take(self, rows: Sequence[int]) -> Tensor:
        """(len(rows), ...) float32 on the device."""
        ...


class ComputedRows:
    """Rows of an array (N, ...) that are computed when they are first taken, and kept in half precision, as files keep
    them. compute: numbers of some rows → (len(rows), ...) on the device. Threads wait for one another."""

    def __init__(self, count: int, compute: Callable[[Sequence[int]], Tensor]):
        self._compute = compute
        self._known = np.zeros(count, bool)
        self._values: Tensor | None = None
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._known)

    def take(self, rows: Sequence[int]) -> Tensor:
        """(len(rows), ...) float32 on the device."""
        index = torch.as_tensor(rows, dtype=torch.long)
        with self._lock:
            wanted = np.unique(index.cpu().numpy())
            missing = wanted[~self._known[wanted]].tolist()
            for start in range(0, len(missing), AT_A_TIME):
                part = missing[start:start + AT_A_TIME]
                found = self._compute(part).half()
                if self._values is None:
                    self._values = found.new_zeros(len(self), *found.shape[1:])
                self._values[torch.tensor(part, device=found.device)] = found
                self._known[part] = True
            if self._values is None:
                raise IndexError("No row was asked for.")
            return self._values[index.to(self._values.device)].float()


class RowFile:
    """Rows of the one tensor (N, ...) of a safetensors file.

    ``take`` gives rows as float32 on ``device``. Arrays up to ``in_memory`` bytes are loaded once; larger ones
    stay on disk, where the wanted rows are announced to the kernel together and then read one by one: for a
    scattered hundred rows this is many times faster than a memory map.
    """

    def __init__(self, path: Path, device: torch.device, *, in_memory: int = 2 << 30):
        self.path = path
        self.device = device
        try:
            with open(path, "rb") as file:
                (header_size,) = struct.unpack("<Q", file.read(8))
                header = json.loads(file.read(header_size))
        except (OSError, ValueError, struct.error):
            raise BadGallery(f"The gallery file {path.name} is missing or damaged: build the gallery again.") from None
        ((self.name, entry),) = ((key, value) for key, value in header.items() if key != "__metadata__")
        self.shape = tuple(entry["shape"])
        self._dtype = np.dtype(_DTYPES[entry["dtype"]])
        self._start = 8 + header_size + entry["data_offsets"][0]
        self._row_bytes = int(np.prod(self.shape[1:])) * self._dtype.itemsize
        if path.stat().st_size < self._start + self.shape[0] * self._row_bytes:
            raise BadGallery(f"The gallery file {path.name} is cut short: build the gallery again.")
        self._resident: Tensor | None = None
        if self.shape[0] * self._row_bytes <= in_memory:
            self._resident = torch.from_numpy(load_file(path)[self.name]).to(device)

    def __len__(self) -> int:
        return self.shape[0]

    def take(self, rows: Sequence[int]) -> Tensor:
        """(len(rows), ...) float32 on the device."""
        if self._resident is not None:
            index = torch.as_tensor(rows, dtype=torch.long, device=self.device)
            return self._resident.index_select(0, index).float()
        out = np.empty((len(rows), *self.shape[1:]), self._dtype)
        with open(self.path, "rb", buffering=0) as file:
            if hasattr(os, "posix_fadvise"):
                for row in rows:
                    os.posix_fadvise(file.fileno(), self._offset(row), self._row_bytes, os.POSIX_FADV_WILLNEED)
            for slot, row in zip(out, rows, strict=True):
                file.seek(self._offset(row))
                file.readinto(memoryview(slot).cast("B"))
        return torch.from_numpy(out).to(self.device).float()

    def _offset(self, row: int) -> int:
        return self._start + int(row) * self._row_bytes
