"""Which file a request may name: what its own visitor sent, and the photos that the pages start from. Nothing else.

Everything that the app writes for visitors lies in one folder of this process. Files that visitors send lie in a part
of it where each has a folder with a name of its own that cannot be guessed; they are given back to their sender only.
"""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import stat
import tempfile
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

#: How the folders of processes are called, and the file in each that its process holds.
_PREFIX, _LOCK = "face-match-", ".held"


@dataclass
class _Sent:
    """A file that a visitor sent. owners: its keys. unclaimed: it came from a program that keeps no cookie."""

    owners: set[str]
    unclaimed: bool


class Uploads:
    """Thread-safe. key: what a visitor is known by. folder: must exist."""

    def __init__(self, folder: Path):
        self.folder = folder.resolve()
        self._sent: dict[Path, _Sent] = {}
        self._offered: set[Path] = set()
        self._guard = threading.Lock()

    def room(self) -> Path:
        """A new folder for what one request sends."""
        self._forget_erased()
        folder = self._inbox / secrets.token_urlsafe(16)
        folder.mkdir(parents=True)
        return folder

    def keep(self, files: Iterable[str | Path], key: str, *, unclaimed: bool = False) -> None:
        """Remember who sent files that lie in a ``room``. unclaimed: or else the first who ``claims`` them did."""
        with self._guard:
            for file in files:
                self._sent[Path(file).resolve()] = _Sent({key}, unclaimed)

    def offer(self, file: str | Path) -> None:
        """Let everybody use a photo that a page starts from. What a visitor sent stays the visitor's."""
        file = Path(file).resolve()
        if not file.is_relative_to(self._inbox):
            with self._guard:
                self._offered.add(file)

    def usable(self, path: object, key: str, *, claims: bool = False) -> str | None:
        """The real path of a file that this visitor may have worked on; None for any other."""
        file = self._real(path)
        if file is None:
            return None
        with self._guard:
            if file in self._offered:
                return str(file)
            sent = self._sent.get(file)
            if sent is None or key not in sent.owners and not (claims and sent.unclaimed):
                return None
            sent.owners.add(key)
            sent.unclaimed = False
            return str(file)

    def readable(self, path: object, key: str | None) -> bool:
        """Whether this visitor may fetch a file: what was made for the pages, and what the visitor sent."""
        file = self._real(path)
        if file is None:
            return False
        if not file.is_relative_to(self._inbox):
            return True
        with self._guard:
            return file in self._sent and key in self._sent[file].owners

    def known(self, path: object) -> str | None:
        """The real path of a file that some visitor may have worked on; None for any other."""
        file = self._real(path)
        with self._guard:
            return str(file) if file in self._offered or file in self._sent else None

    @property
    def _inbox(self) -> Path:
        return self.folder / "uploads"

    def _real(self, path: object) -> Path | None:
        """A regular file in the folder, every link on the way to it followed first."""
        if not isinstance(path, str | os.PathLike):
            return None
        with suppress(OSError, ValueError, RuntimeError):  # too long, a zero byte, a circle of links
            file = Path(path).resolve(strict=True)
            if file.is_relative_to(self.folder) and stat.S_ISREG(file.lstat().st_mode):
                return file
        return None

    def _forget_erased(self) -> None:
        with self._guard:
            for file in [file for file in self._sent if not file.exists()]:
                del self._sent[file]
                for folder in (file.parent, file.parent.parent):
                    with suppress(OSError):  # something else lies there still
                        folder.rmdir()


def _sweep(base: Path) -> None:
    """Erase what processes of this user left behind that were killed before they could: folders that nobody holds."""
    for folder in base.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            own = not hasattr(os, "getuid") or folder.lstat().st_uid == os.getuid()
            if own and not folder.is_symlink() and _left(folder / _LOCK):
                shutil.rmtree(folder, ignore_errors=True)


def _left(lock: Path) -> bool:
    """Whether the process that held a folder has ended, however it did. No number of a process says so: in a container
    every one is the first. OSError where there is no lock: it is no folder of ours."""
    if fcntl is None:
        lock.unlink()  # refused while it is open elsewhere
        return True
    handle = os.open(lock, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(handle)


def _hold(folder: Path) -> None:
    """Hold a new folder until this process ends; where the disk knows no locks, no sweep erases it."""
    with suppress(OSError):
        fresh = folder / (_LOCK if fcntl is None else f"{_LOCK}.new")
        handle = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)  # never closed
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fresh.rename(folder / _LOCK)  # which is locked as soon as it is there


@cache
def uploads() -> Uploads:
    """Those of this process. Gradio is told to write into their folder, so call it before a component is made."""
    base = os.environ.get("GRADIO_TEMP_DIR")
    if base:
        Path(base).mkdir(parents=True, exist_ok=True)
    _sweep(Path(base or tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base)).resolve()  # readable by this user only
    _hold(folder)
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Uploads(folder)
