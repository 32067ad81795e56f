"""What was measured of queries, on disk: a run that is stopped at any moment goes on where it was, and other values of
alpha and k, or another count of the right photos, need nothing to be measured again."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from demo.evaluation.cache import open_cache, reading
from demo.evaluation.ranking import SEARCH, Head, Measured

FILE = "scores.sqlite"
#: Kinds of lines: the head of Stage 1, the distances of a part, an alpha.
_HEAD, _PART, _ALPHA = "head", "part", "alpha"


class Journal:
    """One line per query and part, by a key of everything else that they depend on. Threads and processes may share the
    file; what is written is written whole."""

    def __init__(self, folder: str | Path):
        self._path = Path(folder) / FILE
        self._lock = threading.Lock()
        self._base = open_cache(self._path, "measured",
                                ("query TEXT", "kind TEXT", "part TEXT", "ms REAL", "data BLOB"),
                                ", PRIMARY KEY (query, kind, part)) WITHOUT ROWID")

    def read(self, query: str) -> Measured | None:
        """What is known of a query; None where that is nothing. BadSetting where it is damaged."""
        with reading(self._path):
            return self._read(query)

    def _read(self, query: str) -> Measured | None:
        with self._lock:
            lines = self._base.execute("SELECT kind, part, ms, data FROM measured WHERE query = ?", (query,)).fetchall()
        heads = [(_head(data), ms) for kind, _, ms, data in lines if kind == _HEAD]
        if not heads:
            return None
        found = Measured(heads[0][0], ms={SEARCH: heads[0][1]})
        for kind, part, ms, data in lines:
            if kind == _ALPHA:
                found.alphas[part] = float(np.frombuffer(data, np.float64)[0])
            elif kind == _PART:
                found.distances[part] = np.frombuffer(data[1:], data[:1].decode())
                found.ms[part] = ms
        return found

    def write(self, measured: Mapping[str, Measured]) -> None:
        """Keep what is known of some queries, all of it or nothing."""
        lines = []
        for query, found in measured.items():
            lines.append((query, _HEAD, "", found.ms.get(SEARCH, 0.0), _bytes(found.head)))
            lines += [(query, _ALPHA, part, 0.0, np.float64(alpha).tobytes()) for part, alpha in found.alphas.items()]
            lines += [(query, _PART, part, found.ms.get(part, 0.0), distances.dtype.char.encode() + distances.tobytes())
                      for part, distances in found.distances.items()]
        with reading(self._path), self._lock, self._base:
            self._base.executemany("INSERT OR REPLACE INTO measured VALUES (?, ?, ?, ?, ?)", lines)


def _bytes(head: Head) -> bytes:
    return b"".join([np.array([len(head.rows), len(head.known)], np.int32).tobytes(), head.rows.tobytes(),
                     head.cosine.tobytes(), head.known.tobytes(), head.ranks.tobytes()])


def _head(data: bytes) -> Head:
    first, known = np.frombuffer(data, np.int32, 2).tolist()
    words = np.frombuffer(data, np.int32, offset=8)
    if min(first, known) < 0 or len(words) != 2 * (first + known):
        raise ValueError("This is no head.")
    rows, cosine, own, ranks = np.split(words, np.cumsum([first, first, known]))
    return Head(rows, cosine.view(np.float32), own, ranks)
