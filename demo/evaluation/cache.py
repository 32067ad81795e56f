"""Caches of an evaluation: SQLite files of one table each, which may be deleted at any time; checked when opened."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from zipfile import BadZipFile

from safetensors import SafetensorError

from demo.errors import BadSetting
from demo.files import is_regular

#: What reading a line that was not written here may end in.
_BROKEN = (sqlite3.Error, SafetensorError, BadZipFile, zlib.error, EOFError, ValueError, TypeError, LookupError,
           OverflowError)


def open_cache(path: Path, table: str, columns: Sequence[str], rest: str = "") -> sqlite3.Connection:
    """The cache at a path, made where there is none. columns: names with types and keys; rest: of the statement.
    Processes may share it. BadSetting for a file that is something else, or that would be waited for."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for file in path.parent.glob(f"{path.name}*"):
            if not is_regular(file.stat()):
                raise OSError(f"{file.name} is no regular file")
        base = sqlite3.connect(path, timeout=60, check_same_thread=False)
        base.execute("PRAGMA trusted_schema = OFF")
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("PRAGMA synchronous = NORMAL")
        base.execute(f"CREATE TABLE IF NOT EXISTS {table} ({', '.join(columns)}{rest}")
        kinds = [kind for (kind,) in base.execute("SELECT type FROM sqlite_master WHERE sql IS NOT NULL")]
        names = [one.split()[0] for one in columns]
        if kinds != ["table"] or [name for _, name, *_ in base.execute(f"PRAGMA table_info({table})")] != names:
            raise OSError("it holds other tables")
        return base
    except (OSError, sqlite3.Error) as error:
        raise BadSetting(f"The cache {path} cannot be used ({error}): delete it.") from None


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Around what is made of the lines of a cache: BadSetting where they are damaged."""
    try:
        yield
    except BadSetting:
        raise
    except _BROKEN:
        raise BadSetting(f"The cache {path} is damaged: delete it.") from None
