"""Hashes of photos that did not change since they were hashed, so that a large folder is not read again to find out."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from os import stat_result
from pathlib import Path

from demo.files import is_regular, replacing
from demo.gallery.folder import Photo

#: Fewer photos are hashed in no time, and their indexes keep no list.
FEWEST = 1000
_TABLE = "CREATE TABLE seen (path TEXT PRIMARY KEY, stamp TEXT, sha256 TEXT)"
#: A photo that was written so many nanoseconds before it was hashed may have been written once more since, unnoticed.
_FRESH = 2_000_000_000


class Seen:
    """A list beside an index. It may be deleted at any time; where it cannot be read or written, everything is hashed.

    file: the list. What tells a changed photo: its size, its times of writing and of any change, and its number on the
    disk, as Git has it.
    """

    def __init__(self, file: Path):
        self.file = file

    def digests(self, photos: Sequence[Photo]) -> list[str]:
        """SHA-256 of every photo; "" for one that is no regular file or cannot be read."""
        known = self._read() if len(photos) >= FEWEST else {}
        found, stamps = [], {}
        for photo in photos:
            try:
                state = photo.file.stat()
                stamp = _stamp(state)
                if (kept := known.get(photo.path)) and kept[0] == stamp:
                    digest = kept[1]
                else:
                    digest = photo.sha256 if is_regular(state) else ""
                if max(state.st_mtime_ns, state.st_ctime_ns) < time.time_ns() - _FRESH:
                    stamps[photo.path] = stamp, digest
            except (OSError, ValueError):
                digest = ""
            found.append(digest)
        if len(photos) >= FEWEST and stamps != known:
            self._write(stamps)
        return found

    def _read(self) -> dict[str, tuple[str, str]]:
        """Path → stamp and digest; nothing of a list that is damaged, or that might never end."""
        with suppress(OSError, ValueError, sqlite3.Error):
            if is_regular(self.file.stat()):
                with closing(sqlite3.connect(f"{self.file.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as base:
                    base.execute("PRAGMA trusted_schema = OFF")
                    tables = base.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL LIMIT 2").fetchall()
                    found = base.execute("SELECT * FROM seen").fetchall() if tables == [(_TABLE,)] else []
                if all(isinstance(path, str) and isinstance(stamp, str) and _is_digest(digest)
                       for path, stamp, digest in found):
                    return {path: (stamp, digest) for path, stamp, digest in found}
        return {}

    def _write(self, stamps: dict[str, tuple[str, str]]) -> None:
        with suppress(OSError, sqlite3.Error):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self.file) as partial, closing(sqlite3.connect(partial)) as base, base:
                base.execute("PRAGMA journal_mode = OFF")  # nobody knows of the file before it is whole
                base.execute(_TABLE)
                base.executemany("INSERT INTO seen VALUES (?, ?, ?)",
                                 ((path, *values) for path, values in stamps.items()))


def _is_digest(text: object) -> bool:
    return isinstance(text, str) and (not text or re.fullmatch("[0-9a-f]{64}", text) is not None)


def _stamp(state: stat_result) -> str:
    return f"{state.st_size} {state.st_mtime_ns} {state.st_ctime_ns} {state.st_ino}"
