"""Files that end, and nothing else: written whole or not at all, beside the place first, and read without waiting."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A new name in the folder of ``path``: what the block writes there takes the place of ``path`` at its end.

    It is on the disk by then, so that after a loss of power either the old or the new file is there, whole. Where the
    block raises, ``path`` stays as it was and what was written is deleted. Several threads and processes may do this
    with one path; the last one wins. Raises OSError where the folder cannot be written to, or a device, pipe or socket
    stands there, which a file would replace.
    """
    path = Path(path)
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise _strange(path)
    partial = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        yield partial
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
        _keep_name(path.parent)
    finally:
        with suppress(OSError):
            partial.unlink()


def write_whole(path: str | Path, content: bytes | str) -> None:
    """Write bytes, or text as UTF-8 with plain line ends, whole or not at all (see ``replacing``)."""
    with replacing(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


def is_regular(found: os.stat_result) -> bool:
    """Whether it is a file that ends: no folder, pipe or device."""
    return stat.S_ISREG(found.st_mode)


def read_regular(path: str | Path, most: int) -> bytes:
    """The content of a regular file of at most so many bytes. OSError for any other, and for what might never end (a
    pipe, a device), without waiting for it."""
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0))) as file:
        found = os.fstat(file.fileno())
        if not is_regular(found):
            raise _strange(path)
        if found.st_size > most:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
        return file.read(most)


def _strange(path: str | Path) -> OSError:
    return OSError(errno.EINVAL, "it is no regular file", str(path))


def _keep_name(folder: Path) -> None:
    """Wait until the disk has the new name too, where the system lets a folder be opened."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
