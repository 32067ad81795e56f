"""Rows on their way into an index: on the disk as they are computed, so that a build that is killed loses none."""

from __future__ import annotations

import json
import logging
import math
import os
import re
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np

from demo.errors import BadGallery
from demo.files import is_regular
from demo.gallery.part import NUMBERS, Source

log = logging.getLogger("demo")

#: File and array of a row's values.
Key = tuple[str, str]
Row = Mapping[Key, np.ndarray]
#: File → array → shape of a row (None = any length).
Schema = Mapping[str, Mapping[str, Sequence[int | None]]]
_ROWS, _BASE = "rows.bin", "draft.sqlite"
_TABLES = {"made": "(by TEXT, arrays TEXT)", "rows": "(row INTEGER PRIMARY KEY, sha256 TEXT)",
           "failures": "(sha256 TEXT, reason TEXT)", "crowded": "(sha256 TEXT, faces INTEGER, taken INTEGER)"}
#: Table → what holds of each of its lines.
_LINES = {
    "made": "typeof(by) = 'text' AND (arrays IS NULL OR typeof(arrays) = 'text' AND length(arrays) < 100000)",
    "rows": "typeof(sha256) = 'text' AND length(sha256) = 64",
    "failures": "typeof(sha256) = 'text' AND length(sha256) = 64 AND typeof(reason) = 'text' AND "
                "length(reason) < 10000",
    "crowded": "typeof(sha256) = 'text' AND length(sha256) = 64 AND typeof(faces) = 'integer' AND "
               "typeof(taken) = 'integer' AND taken BETWEEN 1 AND faces",
}
#: What SQLite says where the disk or somebody else is in the way, and the file may be sound.
_IN_THE_WAY = re.compile("locked|unable to open|readonly|disk")
_DTYPE = re.compile("<[fi][248]")
#: Bytes of a row; those of all grids take some hundred thousand.
_LONGEST_ROW = 1 << 26
#: Rows that are looked at together.
_TOGETHER = 4096


class _Unusable(Exception):
    """What is there was not written by a build of this release."""


class Draft:
    """Rows by the content of their photos, photos that cannot be used, and those with several faces. made_by: all that
    rows depend on; a draft that is there for the same is gone on with, any other is thrown away. None, for who only
    wants the index for itself: what is there stays. schema: of the rows.

    One at a time has it, of all processes: BadGallery for a second one. A row is written to the disk before the table
    says that it is there. What is there and damaged is thrown away, which is told in the log.
    """

    def __init__(self, folder: Path, made_by: Mapping[str, object] | None, schema: Schema | None = None):
        self.folder, self.done = folder, False
        self._base: sqlite3.Connection | None = None
        by = None if made_by is None else json.dumps(made_by, sort_keys=True)
        try:
            try:
                self._begin(by, schema)
            except (_Unusable, sqlite3.Error) as error:
                if isinstance(error, sqlite3.OperationalError) and _IN_THE_WAY.search(str(error)):
                    raise
                log.warning("What a build that was stopped left in %s is damaged, and thrown away.", folder)
                self._close()
                _erase(folder)
                self._begin(by, schema)
        except (OSError, sqlite3.Error, _Unusable) as error:
            self._close()
            if "locked" in str(error):
                raise BadGallery(f"The gallery index {folder.parent.name} is being built by another process: wait for "
                                 "it.") from None
            raise BadGallery(f"Nothing can be written to {folder.parent} ({error}): choose another folder for the "
                             "index.") from None

    def _begin(self, made_by: str | None, schema: Schema | None) -> None:
        """Take the draft that is there, or make one. _Unusable or sqlite3.Error where it is damaged."""
        if self.folder.is_symlink() or self.folder.exists() and not self.folder.is_dir():
            raise _Unusable("This is no folder.")
        self.folder.mkdir(parents=True, exist_ok=True)
        if not all(is_regular(file.lstat()) for file in self.folder.iterdir()):  # a pipe would be waited for
            raise _Unusable("These are no files.")
        self._base = base = sqlite3.connect(self.folder / _BASE, timeout=0.2, check_same_thread=False)
        base.execute("PRAGMA trusted_schema = OFF")
        base.execute("PRAGMA locking_mode = EXCLUSIVE")  # goes with the process, however that ends
        base.execute("BEGIN EXCLUSIVE")
        if not base.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            for name, columns in _TABLES.items():
                base.execute(f"CREATE TABLE {name} {columns}")
        if {sql for (sql,) in base.execute("SELECT sql FROM sqlite_master LIMIT 10")} != {
                f"CREATE TABLE {name} {columns}" for name, columns in _TABLES.items()}:
            raise _Unusable("These are other tables.")
        for name, holds in _LINES.items():
            if base.execute(f"SELECT 1 FROM {name} WHERE NOT ({holds}) LIMIT 1").fetchone():
                raise _Unusable("These are other lines.")
        known = base.execute("SELECT by, arrays FROM made").fetchone()
        self._dtype: np.dtype | None = None
        if known is not None and made_by in (None, known[0]):
            self._dtype = None if known[1] is None else _dtype(known[1])
        elif made_by is not None:
            for name in _TABLES:
                base.execute(f"DELETE FROM {name}")
            base.execute("INSERT INTO made VALUES (?, NULL)", (made_by,))
        count, first, last = base.execute("SELECT count(*), min(row), max(row) FROM rows").fetchone()
        file = self.folder / _ROWS
        there = file.stat().st_size if file.exists() else 0
        if count and (self._dtype is None or (first, last) != (0, count - 1) or count * self._dtype.itemsize > there):
            raise _Unusable("Rows are missing.")
        if made_by is not None and schema is not None and self._dtype is not None:
            _check(self._dtype, schema)
            _check_rows(self._records(count))
        base.commit()
        self.failures = dict(base.execute("SELECT sha256, reason FROM failures"))
        self.rows = {sha256: row for row, sha256 in base.execute("SELECT row, sha256 FROM rows ORDER BY row")}
        if len(self.rows) != count:
            raise _Unusable("A photo is there twice.")
        self.crowded = {sha256: (faces, taken) for sha256, faces, taken in base.execute("SELECT * FROM crowded")}
        self._file: BinaryIO = open(file, "ab")  # noqa: SIM115 (closed with the draft)
        self._file.truncate(count * self._dtype.itemsize if self._dtype else 0)

    def _close(self) -> None:
        if self._base is not None:
            self._base.close()

    def _records(self, count: int) -> np.ndarray:
        assert self._dtype is not None
        return np.memmap(self.folder / _ROWS, self._dtype, "r", shape=(count,)) if count else np.empty(0, self._dtype)

    def add(self, rows: Sequence[tuple[str, Row]], failures: Sequence[tuple[str, str]] = (),
            crowded: Sequence[tuple[str, int, int]] = ()) -> None:
        """Keep rows, (SHA-256 of the photo, arrays) each, failures, (SHA-256, reason) each, and of rows whose photo
        shows several faces (SHA-256, how many, which one)."""
        base = self._base
        assert base is not None
        if rows and self._dtype is None:
            arrays = [("/".join(key), value.dtype.str, value.shape) for key, value in rows[0][1].items()]
            self._dtype = np.dtype(arrays)
            base.execute("UPDATE made SET arrays = ?", (json.dumps(arrays),))
        if rows:
            records = np.zeros(len(rows), self._dtype)
            for record, (_, values) in zip(records, rows, strict=True):
                for key, value in values.items():
                    record["/".join(key)] = value
            self._file.write(records.tobytes())
            self._file.flush()
            os.fsync(self._file.fileno())
        start = len(self.rows)
        with base:
            base.executemany("INSERT INTO rows VALUES (?, ?)",
                             [(start + at, sha256) for at, (sha256, _) in enumerate(rows)])
            base.executemany("INSERT INTO failures VALUES (?, ?)", failures)
            base.executemany("INSERT INTO crowded VALUES (?, ?, ?)", crowded)
        self.rows |= {sha256: start + at for at, (sha256, _) in enumerate(rows)}
        self.failures |= dict(failures)
        self.crowded |= {sha256: (faces, taken) for sha256, faces, taken in crowded}

    def source(self) -> Source:
        """The rows, as a part can be made of them."""
        if self._dtype is None or not self.rows:
            return Source({})
        records = self._records(len(self.rows))
        names = self._dtype.names or ()
        return Source({(file, name): records[f"{file}/{name}"] for file, name in (one.split("/") for one in names)})

    def __enter__(self) -> Draft:
        return self

    def __exit__(self, *_) -> None:
        """Let others have it. Where ``done`` was set, what is in it is in the index now, and it goes; so it does where
        there is nothing in it."""
        self._file.close()
        self._close()
        if self.done or not self.rows:
            shutil.rmtree(self.folder, ignore_errors=True)
            with suppress(OSError):
                self.folder.parent.rmdir()  # of an index that came to nothing


def _erase(folder: Path) -> None:
    if folder.is_symlink() or not folder.is_dir():
        folder.unlink()
    else:
        shutil.rmtree(folder)


def _dtype(text: str) -> np.dtype:
    """The type of a row, as ``Draft.add`` writes it."""
    try:
        found = [(str(name), str(dtype), tuple(shape)) for name, dtype, shape in json.loads(text)]
        if all(name.count("/") == 1 and _DTYPE.fullmatch(dtype) and all(type(length) is int and length > 0
                                                                        for length in shape)
               for name, dtype, shape in found) and 0 < sum(
                   int(dtype[2]) * math.prod(shape) for _, dtype, shape in found) <= _LONGEST_ROW:
            return np.dtype(found)
    except (ValueError, TypeError, RecursionError):
        pass
    raise _Unusable("This is no type.")


def _check(dtype: np.dtype, schema: Schema) -> None:
    """_Unusable for rows of another schema."""
    wanted = {f"{file}/{name}": shape for file, arrays in schema.items() for name, shape in arrays.items()}
    found = {name: dtype[name] for name in dtype.names or ()}
    if found.keys() != wanted.keys() or any(
            one.base.kind != "f" or len(one.shape) != len(wanted[name])
            or any(length not in (None, there) for length, there in zip(wanted[name], one.shape, strict=True))
            for name, one in found.items()):
        raise _Unusable("These are other arrays.")


def _check_rows(records: np.ndarray) -> None:
    """_Unusable where a row is no row of numbers. The patches, which are long, are not looked at, as in an index."""
    for name in records.dtype.names or ():
        if name.split("/")[1] in NUMBERS and not all(np.isfinite(records[name][at:at + _TOGETHER]).all()
                                                     for at in range(0, len(records), _TOGETHER)):
            raise _Unusable("These are no numbers.")
