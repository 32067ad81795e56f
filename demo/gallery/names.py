"""What the names of files and folders among people's photos say; of files whose names say nothing, their content."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

from demo.faces.kinds import HEAD, kind_of

#: Endings of photos. Some of these kinds may not be readable here: such a photo is listed, and told when it is read.
PHOTO_SUFFIXES = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".pjpeg", ".pjp", ".jif", ".jfi", ".mpo", ".png", ".apng", ".webp", ".bmp",
    ".dib", ".tif", ".tiff", ".gif", ".avif", ".avifs", ".heic", ".heif", ".heics", ".heifs", ".hif", ".jxl", ".jp2",
    ".j2k", ".jpf", ".jpx", ".tga", ".psd", ".ppm", ".pgm", ".pnm", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf",
    ".rw2", ".orf", ".pef", ".srw"})
#: Endings of videos; whether one can be read is up to OpenCV.
VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".3gp", ".wmv", ".mts",
                            ".m2ts"})
#: Folders that machines make among photos: waste bins, thumbnails, what a check of the disk found.
_MACHINES = re.compile(
    r"@(eadir|recycle|recently-snapshot|tmp|sharebin|sharesnap|appstore|syno.*)|\.@__thumb|\.@__qini|@__thumb"
    r"|#(recycle|snapshot)|\.?trash(es)?(-\d+)?|\.recycle|\$recycle\.bin|recycler|recycled|network trash folder"
    r"|\.?thumbnails|\.?thumbs|__macosx|\.appledouble|\.temporaryitems|temporary items|lost\+found|lost\.dir"
    r"|found\.\d{3}|system volume information", re.I)


def is_photo(file: str | Path) -> bool:
    """Whether a file is a photo by its name."""
    return _ending(file) in PHOTO_SUFFIXES and not is_hidden(os.path.basename(file))


def is_video(file: str | Path) -> bool:
    """Whether a file is a video by its name."""
    return _ending(file) in VIDEO_SUFFIXES and not is_hidden(os.path.basename(file))


def says_nothing(file: str | Path) -> bool:
    """Whether a file's name has no ending, so that its content has to tell what it is. What looks like one may be the
    end of a name: "Ann 1.2"."""
    name = os.path.basename(file)
    return not is_hidden(name) and (not _ending(name)[1:] or _ending(name)[1:].isdigit())


def is_picture(file: Path) -> bool:
    """Whether a file is a photo, by its name, or by its content where the name has no ending."""
    if is_photo(file):
        return True
    if not says_nothing(file):
        return False
    try:
        if not file.is_file():
            return False
        with open(file, "rb") as opened:
            return kind_of(opened.read(HEAD)) is not None
    except OSError:
        return False


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is hidden."""
    return name.startswith(".")


def is_machines(folder: str) -> bool:
    """Whether a folder of this name is one that machines make."""
    return _MACHINES.fullmatch(folder.strip()) is not None


def not_a_persons(folder: str) -> bool:
    """Whether a folder of this name is hidden or made by a machine."""
    return is_hidden(folder) or is_machines(folder)


def person_named(folder: str) -> str:
    """The identity that a folder of this name stands for: the same in every spelling of its accents (NFC)."""
    return unicodedata.normalize("NFC", folder)


def _ending(file: str | Path) -> str:
    return os.path.splitext(os.path.basename(file))[1].lower()
