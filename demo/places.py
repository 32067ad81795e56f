"""Where files lie: those that come with the demo, and the folders on this machine for what it fetches and makes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import platformdirs

#: Folder names on the user's machine.
APP = "explainable-face-identification"
_PACKAGE = Path(__file__).resolve().parent


def bundled(name: str) -> Path:
    """A folder that comes with the demo ("assets", "galleries"): within the installed package, else beside it."""
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


#: Pictures, texts, small weights and the example study that come with the demo.
ASSETS = bundled("assets")
#: The galleries that come with the demo.
GALLERIES = bundled("galleries")


def user_data() -> Path:
    """The user's folder for what must last: downloaded weights, answers of studies."""
    return _own(platformdirs.user_data_path, "data")


def user_cache() -> Path:
    """The user's folder for what can be made again: indexes, features, views, checkpoints of training."""
    return _own(platformdirs.user_cache_path, "cache")


def private_cache(name: str) -> Path | None:
    """A folder in the user's cache for what is run when it is read; None where others could write into it, or none can
    be made."""
    folder = user_cache() / name
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = (folder, folder.parent, folder.parent.parent)
        if hasattr(os, "getuid") and any(place.stat().st_uid != os.getuid() or place.stat().st_mode & 0o022
                                         for place in made):
            return None
    except OSError:
        return None
    return folder


def user_weights() -> Path:
    """The folder for weights where no other is named."""
    return user_data() / "weights"


def _own(usual: Callable[..., Path], kind: str) -> Path:
    """The usual folder, or for a user whose home is unknown, as in some containers, a temporary one."""
    with suppress(RuntimeError):  # older releases of platformdirs leave the tilde instead
        path = usual(APP, appauthor=False)
        if path.is_absolute():
            return path
    return Path(tempfile.gettempdir()) / f"{APP}-{getattr(os, 'getuid', int)()}" / kind
