"""Rows on their way into an index: on the disk as they are computed, so that a build that is killed loses none."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from demo.errors import BadGallery
from demo.gallery.part import Source

#: File and array of a row's values.
Key = tuple[str, str]
Row = Mapping[Key, np.ndarray]
_ROWS, _BASE = "rows.bin", "draft.sqlite"


class Draft:
    """Rows by the content of their photos, photos that cannot be used, and those with several faces. made_by: all that
    rows depend on; a draft that is there for the same is gone on with, any other is thrown away. None, for who only
    wants the index for itself: what is there stays.

    One at a time has it, of all processes: BadGallery for a second one. A row is written to the disk before the table
    says that it is there.
    """

    def __init__(self, folder: Path, made_by: Mapping[str, object] | None):
        self.folder, self.done = folder, False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(folder / _BASE, timeout=0.2, check_same_thread=False)
            self._open(None if made_by is None else json.dumps(made_by, sort_keys=True))
        except (OSError, sqlite3.Error) as error:
            if "locked" in str(error):
                raise BadGallery(f"The gallery index {folder.parent.name} is being built by another process: wait for "
                                 "it.") from None
            raise BadGallery(f"Nothing can be written to {folder.parent} ({error}): choose another folder for the "
                             "index.") from None
        self.failures = dict(self._base.execute("SELECT sha256, reason FROM failures"))
        self.rows = {sha256: row for row, sha256 in self._base.execute("SELECT row, sha256 FROM rows ORDER BY row")}
        self.crowded = {sha256: (faces, taken) for sha256, faces, taken in self._base.execute("SELECT * FROM crowded")}
        self._file = open(folder / _ROWS, "ab")  # noqa: SIM115 (closed with the draft)
        self._file.truncate(len(self.rows) * self._dtype.itemsize if self._dtype else 0)

    def _open(self, made_by: str | None) -> None:
        base = self._base
        base.execute("PRAGMA locking_mode = EXCLUSIVE")  # goes with the process, however that ends
        base.execute("BEGIN EXCLUSIVE")
        for table in ("made (by TEXT, arrays TEXT)", "rows (row INTEGER PRIMARY KEY, sha256 TEXT)",
                      "failures (sha256 TEXT, reason TEXT)", "crowded (sha256 TEXT, faces INTEGER, taken INTEGER)"):
            base.execute(f"CREATE TABLE IF NOT EXISTS {table}")
        known = base.execute("SELECT by, arrays FROM made").fetchone()
        self._dtype = None
        if known is not None and made_by in (None, known[0]):
            self._dtype = known[1] and np.dtype([(name, dtype, tuple(shape))
                                                 for name, dtype, shape in json.loads(known[1])])
        elif made_by is not None:
            for table in ("made", "rows", "failures", "crowded"):
                base.execute(f"DELETE FROM {table}")
            base.execute("INSERT INTO made VALUES (?, NULL)", (made_by,))
        base.commit()

    def add(self, rows: Sequence[tuple[str, Row]], failures: Sequence[tuple[str, str]] = (),
            crowded: Sequence[tuple[str, int, int]] = ()) -> None:
        """Keep rows, (SHA-256 of the photo, arrays) each, failures, (SHA-256, reason) each, and of rows whose photo
        shows several faces (SHA-256, how many, which one)."""
        if rows and self._dtype is None:
            arrays = [("/".join(key), value.dtype.str, value.shape) for key, value in rows[0][1].items()]
            self._dtype = np.dtype(arrays)
            self._base.execute("UPDATE made SET arrays = ?", (json.dumps(arrays),))
        if rows:
            records = np.zeros(len(rows), self._dtype)
            for record, (_, values) in zip(records, rows, strict=True):
                for key, value in values.items():
                    record["/".join(key)] = value
            self._file.write(records.tobytes())
            self._file.flush()
            os.fsync(self._file.fileno())
        start = len(self.rows)
        with self._base:
            self._base.executemany("INSERT INTO rows VALUES (?, ?)",
                                   [(start + at, sha256) for at, (sha256, _) in enumerate(rows)])
            self._base.executemany("INSERT INTO failures VALUES (?, ?)", failures)
            self._base.executemany("INSERT INTO crowded VALUES (?, ?, ?)", crowded)
        self.rows |= {sha256: start + at for at, (sha256, _) in enumerate(rows)}
        self.failures |= dict(failures)
        self.crowded |= {sha256: (faces, taken) for sha256, faces, taken in crowded}

    def source(self) -> Source:
        """The rows, as a part can be made of them."""
        if self._dtype is None or not self.rows:
            return Source({})
        records = np.memmap(self.folder / _ROWS, self._dtype, "r", shape=(len(self.rows),))
        names = self._dtype.names or ()
        return Source({(file, name): records[f"{file}/{name}"] for file, name in (one.split("/") for one in names)})

    def __enter__(self) -> Draft:
        return self

    def __exit__(self, *_) -> None:
        """Let others have it. Where ``done`` was set, what is in it is in the index now, and it goes; so it does where
        there is nothing in it."""
        self._file.close()
        self._base.close()
        if self.done or not self.rows:
            shutil.rmtree(self.folder, ignore_errors=True)
            with suppress(OSError):
                self.folder.parent.rmdir()  # of an index that came to nothing
