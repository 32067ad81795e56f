"""Writing files whole or not at all: beside the place first, then in place of what was there."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A new name in the folder of ``path``: what the block writes there takes the place of ``path`` at its end.

    It is on the disk by then, so that after a loss of power either the old or the new file is there, whole. Where the
    block raises, ``path`` stays as it was and what was written is deleted. Several threads and processes may do this
    with one path; the last one wins. Raises OSError where the folder cannot be written to.
    """
    path = Path(path)
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


def _keep_name(folder: Path) -> None:
    """Wait until the disk has the new name too, where the system lets a folder be opened."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
