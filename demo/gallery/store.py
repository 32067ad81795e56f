"""Rows of a large array, read from disk or computed as they are needed; on another device kept there where they fit."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from demo.gallery.arrays import Array, RowReader, mapped

#: Rows that are computed together.
AT_A_TIME = 16
#: Bytes that rows take at most where they are kept: of an array on another device, and of all that were computed.
ON_DEVICE, COMPUTED = 2 << 30, 1 << 29


class Rows(Protocol):
    """An array (N, ...) whose rows are had by number."""

    def __len__(self) -> int: ...

    def take(self, rows: Sequence[int]) -> Tensor:
        """(len(rows), ...) float32 on the device."""
        ...


class ComputedRows:
    """Rows of an array (N, ...) that are computed when they are first taken, and kept in half precision, as files keep
    them, up to ``most`` bytes: those that were not asked for longest are forgotten. compute: numbers of some rows →
    (len(rows), ...) on the device. Threads wait for one another."""

    def __init__(self, count: int, compute: Callable[[Sequence[int]], Tensor], most: int = COMPUTED):
        self._count, self._compute, self._most = count, compute, most
        self._known: OrderedDict[int, Tensor] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._count

    def take(self, rows: Sequence[int]) -> Tensor:
        """(len(rows), ...) float32 on the device."""
        with self._lock:
            wanted = dict.fromkeys(map(int, rows))
            found = {row: self._known[row] for row in wanted if row in self._known}
            missing = sorted(wanted.keys() - found.keys())
            for start in range(0, len(missing), AT_A_TIME):
                part = missing[start:start + AT_A_TIME]
                found.update(zip(part, self._compute(part).half(), strict=True))
            self._known.update(found)
            for row in found:
                self._known.move_to_end(row)
            size = max((one.nbytes for one in found.values()), default=1)
            while len(self._known) * size > self._most:
                self._known.popitem(last=False)
        if not found:
            raise IndexError("No row was asked for.")
        return torch.stack([found[int(row)] for row in rows]).float()


class RowFile:
    """Rows of an array (N, ...) in a file, as float32 on ``device``.

    For the processor they stay on disk and are read when they are wanted. For another device an array up to
    ``on_device`` bytes is copied there once.
    """

    def __init__(self, path: Path, array: Array, device: torch.device, *, on_device: int = ON_DEVICE):
        self.path, self.array, self.device = path, array, device
        self._file = RowReader(path)
        self._resident: Tensor | None = None
        if device.type != "cpu" and array.shape[0] * array.row_bytes <= on_device:
            self._resident = torch.from_numpy(mapped(path, array)).to(device)

    def __len__(self) -> int:
        return self.array.shape[0]

    def take(self, rows: Sequence[int]) -> Tensor:
        """(len(rows), ...) float32 on the device."""
        if self._resident is not None:
            index = torch.as_tensor(rows, dtype=torch.long, device=self.device)
            return self._resident.index_select(0, index).float()
        return torch.from_numpy(self._file.take(self.array, rows)).to(self.device).float()


class Places:
    """Rows of a gallery as rows of its parts. counts: rows of each part; removed: those of each that do not count,
    ascending. It takes as much memory as there are removed ones, however many rows count."""

    def __init__(self, counts: Sequence[int], removed: Sequence[Sequence[int]]):
        self._gone = [np.array(gone, np.int64) for gone in removed]
        # row r of those that count is moved by as many removed ones as have at most r that count before them
        self._before = [gone - np.arange(len(gone)) for gone in self._gone]
        self._sizes = [count - len(gone) for count, gone in zip(counts, self._gone, strict=True)]
        self._ends = np.cumsum(self._sizes)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def blocks(self, part: int, size: int) -> Iterator[slice | np.ndarray]:
        """The rows of a part that count, so many at a time."""
        count = self._sizes[part]
        for at in range(0, count, size):
            stop = min(at + size, count)
            yield self._own(part, np.arange(at, stop)) if len(self._gone[part]) else slice(at, stop)

    def _own(self, part: int, rows: np.ndarray) -> np.ndarray:
        return rows + np.searchsorted(self._before[part], rows, side="right")

    def split(self, rows: Sequence[int]) -> list[tuple[int, np.ndarray, list[int]]]:
        """Some rows → (part, which of them are there, rows of the part)."""
        wanted = np.asarray(rows, np.int64)
        if len(wanted) and not 0 <= wanted.min() <= wanted.max() < len(self):
            raise IndexError(f"Rows go from 0 to {len(self) - 1}.")
        if len(self._gone) == 1 and not len(self._gone[0]):
            return [(0, np.arange(len(wanted)), wanted.tolist())]
        owners, found = np.searchsorted(self._ends, wanted, side="right"), []
        for part in np.unique(owners).tolist():
            slots = np.flatnonzero(owners == part)
            own = wanted[slots] - (self._ends[part - 1] if part else 0)
            found.append((part, slots, self._own(part, own).tolist()))
        return found

    def joined(self, part: int, rows: Sequence[int]) -> list[int]:
        """Rows of a part → of the gallery, without those that do not count."""
        gone, start = self._gone[part], int(self._ends[part - 1]) if part else 0
        own = np.array(rows, np.int64)
        own = own[~np.isin(own, gone)]
        return (start + own - np.searchsorted(gone, own)).tolist()


class JoinedRows:
    """Rows of several parts as one array (N, ...)."""

    def __init__(self, parts: Sequence[Rows], places: Places):
        self._parts, self._places = parts, places

    def __len__(self) -> int:
        return len(self._places)

    def take(self, rows: Sequence[int]) -> Tensor:
        """(len(rows), ...) float32 on the device."""
        pieces = [(slots, self._parts[part].take(own)) for part, slots, own in self._places.split(rows)]
        if len(pieces) == 1:
            return pieces[0][1]
        out = torch.cat([piece for _, piece in pieces])
        order = np.empty(len(rows), np.int64)
        order[np.concatenate([slots for slots, _ in pieces])] = np.arange(len(rows))
        return out[torch.from_numpy(order).to(out.device)]
