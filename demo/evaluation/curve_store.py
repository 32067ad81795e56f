"""Arrays that were measured of one photo, on disk by a key of all that they depend on: a run that is stopped at any
moment goes on where it was."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from demo.evaluation.cache import open_cache, reading

FILE = "curves.sqlite"


class CurveStore:
    """One line per photo; None for a folder keeps nothing."""

    def __init__(self, folder: str | Path | None):
        self._base = None
        if folder is not None:
            self._path = Path(folder) / FILE
            self._base = open_cache(self._path, "measured", ("key TEXT PRIMARY KEY", "data BLOB"), ") WITHOUT ROWID")

    def read(self, *parts: object) -> dict[str, np.ndarray] | None:
        """What is known under a key, None where that is nothing."""
        if self._base is None:
            return None
        with reading(self._path):
            line = self._base.execute("SELECT data FROM measured WHERE key = ?", (_key(parts),)).fetchone()
            if line is None:
                return None
            with np.load(BytesIO(line[0]), allow_pickle=False) as file:
                return dict(file)

    def write(self, arrays: Mapping[str, np.ndarray], *parts: object) -> None:
        """Keep arrays under a key."""
        if self._base is None:
            return
        file = BytesIO()
        held: dict[str, Any] = {name: np.asarray(array) for name, array in arrays.items()}
        np.savez_compressed(file, **held)
        with reading(self._path), self._base:
            self._base.execute("INSERT OR REPLACE INTO measured VALUES (?, ?)", (_key(parts), file.getvalue()))


def _key(parts: tuple[object, ...]) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()
