"""Whose photo each row of an index is: an SQLite table per part, of which only what is asked for is read."""

from __future__ import annotations

import sqlite3
import threading
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import overload

from demo.errors import BadGallery
from demo.gallery.arrays import AGAIN, size_of

_TABLES = (
    "CREATE TABLE entries (row INTEGER PRIMARY KEY, path TEXT NOT NULL, identity TEXT NOT NULL, "
    "sha256 BLOB NOT NULL)",
    "CREATE INDEX entries_identity ON entries (identity)",
)
#: Rows that are read together; SQLite takes no more than 999 values at a time everywhere.
_TOGETHER = 500


@dataclass(frozen=True)
class Entry:
    """One row of a gallery; ``path`` is relative to the photo folder, with forward slashes."""

    path: str
    identity: str
    sha256: str


class Entries(Sequence[Entry]):
    """The entry of every row of a gallery; a row costs the same in any gallery."""

    @abstractmethod
    def take(self, rows: Sequence[int]) -> list[Entry]:
        """Entries of some rows, in that order."""

    @abstractmethod
    def __iter__(self) -> Iterator[Entry]: ...

    @overload
    def __getitem__(self, index: int) -> Entry: ...

    @overload
    def __getitem__(self, index: slice) -> list[Entry]: ...

    def __getitem__(self, index: int | slice) -> Entry | list[Entry]:
        places = range(len(self))[index]
        return self.take([places])[0] if isinstance(places, int) else self.take(places)


class EntryTable:
    """The entries of one part, rows 0 to count - 1. Threads may share it. BadGallery, in one sentence, for a file that
    is something else, wherever that comes to light."""

    def __init__(self, base: sqlite3.Connection, name: str, count: int):
        self._base, self._name, self._count = base, name, count
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: Path, count: int) -> EntryTable:
        size_of(path)
        try:
            base = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)
        except sqlite3.Error:
            raise BadGallery(f"The gallery file {path.name} cannot be read: {AGAIN}") from None
        found = cls(base, path.name, count)
        with found._reading():
            base.execute("PRAGMA trusted_schema = OFF")
            base.execute("PRAGMA cell_size_check = ON")
            tables = {sql for (sql,) in base.execute("SELECT sql FROM sqlite_master LIMIT 10")}
            if tables != set(_TABLES):
                raise found._damaged()
            if base.execute("SELECT count(*), min(row), max(row) FROM entries").fetchone() != (count, 0, count - 1):
                raise found._damaged()
        return found

    @classmethod
    def of(cls, entries: Sequence[Entry], name: str) -> EntryTable:
        """In memory, of entries that are kept elsewhere."""
        base = sqlite3.connect(":memory:", check_same_thread=False)
        _fill(base, entries)
        return cls(base, name, len(entries))

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._base
            except (sqlite3.Error, UnicodeError, OverflowError) as error:
                raise self._damaged() from error

    def _damaged(self) -> BadGallery:
        return BadGallery(f"The gallery file {self._name} is damaged: {AGAIN}")

    def _asked(self, query: str, values: Sequence = ()) -> list[tuple]:
        with self._reading() as base:
            return base.execute(query, values).fetchall()

    def _entry(self, path: object, identity: object, digest: object) -> Entry:
        if not (isinstance(path, str) and isinstance(identity, str) and isinstance(digest, bytes)
                and path and identity and len(digest) == 32):
            raise self._damaged()
        return Entry(path, identity, digest.hex())

    def take(self, rows: Sequence[int]) -> list[Entry]:
        """Entries of some rows, in that order."""
        found: dict[int, Entry] = {}
        for at in range(0, len(rows), _TOGETHER):
            some = list(rows[at:at + _TOGETHER])
            marks = ",".join("?" * len(some))
            for row, *entry in self._asked(
                    f"SELECT row, path, identity, sha256 FROM entries WHERE row IN ({marks})", some):
                found[row] = self._entry(*entry)
        return [found[row] for row in rows]

    def __iter__(self) -> Iterator[Entry]:
        for at in range(0, self._count, _TOGETHER):
            for entry in self._asked("SELECT path, identity, sha256 FROM entries WHERE row >= ? AND row < ? "
                                     "ORDER BY row", (at, at + _TOGETHER)):
                yield self._entry(*entry)

    def people(self) -> Counter[str]:
        """Photos of each person."""
        found = Counter()
        for identity, photos in self._asked(
                "SELECT identity, count(*) FROM entries GROUP BY identity ORDER BY min(row)"):
            if not isinstance(identity, str) or not identity:
                raise self._damaged()
            found[identity] = photos
        return found

    def rows_of(self, identity: str) -> list[int]:
        """Rows of one person."""
        return [row for (row,) in self._asked("SELECT row FROM entries WHERE identity = ? ORDER BY row", (identity,))]

    def rows_at(self, paths: Sequence[str]) -> dict[str, int]:
        """Path → row, of those that are there."""
        return self._rows_by("path", paths)

    def rows_with(self, digests: Sequence[str]) -> dict[str, int]:
        """SHA-256 of a photo → a row that has it."""
        found = self._rows_by("sha256", [bytes.fromhex(one) for one in digests])
        return {digest.hex(): row for digest, row in found.items()}

    def _rows_by(self, column: str, values: Sequence) -> dict:
        found = {}
        for at in range(0, len(values), _TOGETHER):
            some = values[at:at + _TOGETHER]
            found |= dict(self._asked(f"SELECT {column}, row FROM entries WHERE {column} IN "
                                      f"({','.join('?' * len(some))}) ORDER BY row DESC", some))
        return found


def write_entries(path: Path, entries: Iterable[Entry]) -> None:
    """Write a new table of entries; the same ones give the same bytes (of one version of SQLite)."""
    with closing(sqlite3.connect(path)) as base:
        base.execute("PRAGMA page_size = 4096")
        base.execute("PRAGMA journal_mode = OFF")  # nobody knows of the file before it is whole
        _fill(base, entries)


def _fill(base: sqlite3.Connection, entries: Iterable[Entry]) -> None:
    with base:
        base.execute(_TABLES[0])
        base.executemany("INSERT INTO entries VALUES (?, ?, ?, ?)",
                         ((row, entry.path, entry.identity, bytes.fromhex(entry.sha256))
                          for row, entry in enumerate(entries)))
        for further in _TABLES[1:]:
            base.execute(further)
