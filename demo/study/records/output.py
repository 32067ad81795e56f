"""Files that a study's commands write: beside the place first, and never over data."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from demo.errors import BadStudy
from demo.files import replacing

#: What SQLite keeps beside a database that is open, or was not closed.
BESIDE = ("-wal", "-shm", "-journal")
#: What we keep beside it: the key of its chain, and copies before an update, with the version behind this.
KEY, OLDER = ".key", ".version"


@contextmanager
def new_file(out: Path, database: Path, *, force: bool = False) -> Iterator[Path]:
    """A name beside ``out`` to write to; at the end of the block it takes the place of ``out``, whole or not at all.

    database: the study's, which is never written over, by whatever name it is called. force: replace a file that is
    there. BadStudy where ``out`` is the database or what lies beside it, another database in use or its key, a folder,
    a device, or, without ``force``, a file already: asked before the block, and once more after it, since writing takes
    a while.
    """
    check_output(out, database, force=force)
    with replacing(out) as partial:
        yield partial
        check_output(out, database, force=force)


def check_output(out: Path, database: Path, *, force: bool = False) -> None:
    """Raise BadStudy where ``out`` must not be written to (see ``new_file``)."""
    if any(_same(out, place) for place in (database, *beside(database))):
        raise BadStudy(f"{out} is the study's own database, which holds the answers: choose another file.")
    if any(_same(out, place) for place in companions(database)):
        raise BadStudy(f"{out} belongs to the study's database (its key, or a copy of an older version): choose "
                       "another file.")
    if out.is_dir():
        raise BadStudy(f"{out} is a folder: name a file in it.")
    if out.exists() and not out.is_file():
        raise BadStudy(f"{out} is no regular file (a device, perhaps): name a file.")
    if any(place.exists() for place in beside(out)):
        raise BadStudy(f"{out} is a database that is in use, or was not closed: choose another file.")
    real = Path(os.path.realpath(out))
    if real.exists() and real.name.endswith(KEY) and real.with_name(real.name.removesuffix(KEY)).exists():
        raise BadStudy(f"{out} is the key of the database beside it: choose another file.")
    if os.path.lexists(out) and not force:
        raise BadStudy(f"{out} is there already: choose another file, or replace it with --force.")


def beside(database: Path) -> list[Path]:
    """Files that belong to an open database."""
    return [database.with_name(database.name + ending) for ending in BESIDE]


def companions(database: Path) -> list[Path]:
    """Files of ours beside a database: its key, and copies of it as older versions of this program left it."""
    copies = sorted(database.parent.glob(f"{glob.escape(database.name)}{OLDER}*"))
    return [database.with_name(database.name + KEY), *copies]


def _same(one: Path, other: Path) -> bool:
    """Whether two names are one file, through links too, or would be one."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)
