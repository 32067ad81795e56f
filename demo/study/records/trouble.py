"""What SQLite says when it fails, as one sentence of ours: a full disk is no damaged database."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from demo.errors import BadStudy, DemoError, NotSaved

#: SQLite's whole message (it names no code before Python 3.11) → what it means and what to do.
_MEANS = {
    "database or disk is full": "the disk is full: free some space, then try again",
    "attempt to write a readonly database":
        "it may only be read here: make the file and its folder writable, or copy it to a folder that is",
    "unable to open database file": "it cannot be opened: see that its folder is there and may be written to",
    "disk i/o error": "the disk could not be read or written: see that it is there and not full",
    "database is locked": "another process has been writing to it for too long: try again",
}


def meaning(error: Exception) -> str | None:
    """What stands in the way of a sound database; None where the database itself is at fault."""
    return _MEANS.get(str(error).lower()) if isinstance(error, sqlite3.DatabaseError) else None


def explained(error: Exception, path: Path) -> DemoError:
    """The error to raise for one of ``soundness.DAMAGE``: NotSaved where the disk or another process is in the way,
    else BadStudy, for the file is damaged."""
    means = meaning(error)
    if means is not None:
        return NotSaved(f"The study database {path}: {means} ({error}).")
    return damaged(" ".join(str(error).split())[:120], path)


def damaged(what: str, path: Path) -> BadStudy:
    """That a database is not as it was written, and what to do."""
    return BadStudy(f"The study database {path} is damaged ({what}): restore a backup.")
