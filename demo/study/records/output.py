"""Files that a study's commands write: beside the place first, and never over data."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from demo.errors import BadStudy
from demo.files import replacing

#: What SQLite keeps beside a database that is open, or was not closed.
BESIDE = ("-wal", "-shm", "-journal")


@contextmanager
def new_file(out: Path, database: Path, *, force: bool = False) -> Iterator[Path]:
    """A name beside ``out`` to write to; at the end of the block it takes the place of ``out``, whole or not at all.

    database: the study's, which is never written over, by whatever name it is called. force: replace a file that is
    there. BadStudy where ``out`` is the database, another database in use, a folder, or, without ``force``, a file
    already: asked before the block, and once more after it, since writing takes a while.
    """
    check_output(out, database, force=force)
    with replacing(out) as partial:
        yield partial
        check_output(out, database, force=force)


def check_output(out: Path, database: Path, *, force: bool = False) -> None:
    """Raise BadStudy where ``out`` must not be written to (see ``new_file``)."""
    if any(_same(out, place) for place in (database, *beside(database))):
        raise BadStudy(f"{out} is the study's own database, which holds the answers: choose another file.")
    if out.is_dir():
        raise BadStudy(f"{out} is a folder: name a file in it.")
    if any(place.exists() for place in beside(out)):
        raise BadStudy(f"{out} is a database that is in use, or was not closed: choose another file.")
    if os.path.lexists(out) and not force:
        raise BadStudy(f"{out} is there already: choose another file, or replace it with --force.")


def beside(database: Path) -> list[Path]:
    """Files that belong to an open database."""
    return [database.with_name(database.name + ending) for ending in BESIDE]


def _same(one: Path, other: Path) -> bool:
    """Whether two names are one file, through links too, or would be one."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)
