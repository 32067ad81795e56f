"""A folder of identities: one sub-folder per person, photos inside."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from demo.errors import BadGallery
from demo.weights import sha256

#: Endings of photos. Some of these kinds may not be readable here: such a photo is listed, and told when it is read.
PHOTO_SUFFIXES = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif", ".heic", ".heif",
    ".jxl", ".jp2", ".dng", ".cr2", ".cr3", ".nef", ".arw"})
#: Folders that machines make among photos: thumbnails and waste bins. What lies in them is nobody's photo.
_MACHINES = frozenset({"@eadir", "#recycle", "#snapshot", "$recycle.bin", "__macosx", "lost+found", "thumbnails",
                       "system volume information"})


@dataclass(frozen=True)
class Photo:
    """A photo of an identity: ``path`` is relative to the folder, with forward slashes."""

    path: str
    identity: str
    file: Path

    @property
    def sha256(self) -> str:
        """Of its content; of its path where it cannot be read."""
        try:
            return sha256(self.file)
        except OSError:
            return hashlib.sha256(f"unreadable: {self.path}".encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True)
class PassedOver:
    """Something in a folder that is named like a photo and is none, and why. path: as of ``Photo``."""

    path: str
    reason: str


def has_photos(folder: Path) -> bool:
    """Whether ``list_photos`` finds any: the first one suffices, however many there are."""
    if not folder.is_dir():
        return False
    try:
        with os.scandir(folder) as people:  # as they lie there: a folder of a million people is not sorted for this
            return any(isinstance(found, Photo) for person in people for found in _of(Path(person.path)))
    except OSError as error:
        raise _unreadable(folder, error) from None


def is_photo(file: str | Path) -> bool:
    """Whether a file is a photo by its name."""
    name = os.path.basename(file)
    return os.path.splitext(name)[1].lower() in PHOTO_SUFFIXES and not name.startswith(".")


def list_photos(folder: str | Path) -> list[Photo]:
    """The photos of a folder that has one sub-folder per identity, sorted by path.

    Hidden folders, those that machines make, and files of other kinds are passed over. A name that is composed of
    letters and accents is the same in every spelling (NFC). BadGallery where there is nothing to list.
    """
    photos = [found for found in _look_through(folder) if isinstance(found, Photo)]
    if not photos:
        raise BadGallery(f"{folder} holds no photos: it needs one sub-folder per person with photos inside.")
    return photos


def passed_over(folder: str | Path) -> list[PassedOver]:
    """What ``list_photos`` leaves out although it is named like a photo, in the same order."""
    return [found for found in _look_through(folder) if isinstance(found, PassedOver)]


def photos_below(person: Path) -> list[Photo]:
    """Those of ``list_photos`` that lie in one person's folder."""
    return [found for found in _of(person) if isinstance(found, Photo)]


def not_a_persons(name: str) -> bool:
    """Whether a folder of this name is hidden or made by a machine."""
    return name.startswith(".") or name.lower() in _MACHINES


def person_named(folder: str) -> str:
    """The identity that a folder of this name stands for."""
    return unicodedata.normalize("NFC", folder)


def _look_through(folder: str | Path) -> Iterator[Photo | PassedOver]:
    folder = Path(folder)
    try:
        if not folder.is_dir():
            raise BadGallery(f"{folder} is not a folder.")
        people = sorted(folder.iterdir())
    except OSError as error:
        raise _unreadable(folder, error) from None
    for person in people:
        yield from _of(person)


def _of(person: Path) -> Iterator[Photo | PassedOver]:
    """What is named like a photo in what lies in the folder of a gallery: a person's folder, as a rule."""
    if not_a_persons(person.name):
        return
    if not person.is_dir():
        if is_photo(person.name):
            yield PassedOver(person.name, "it lies beside the folders of the people, not in one")
        return
    for file in _files_below(person):
        path = f"{person.name}/{file.relative_to(person).as_posix()}"
        reason = _unfit(file, path)
        yield PassedOver(path, reason) if reason else Photo(path, person_named(person.name), file)


def _unreadable(folder: Path, error: OSError) -> BadGallery:
    return BadGallery(f"{folder} cannot be read: {error.strerror}.")


def _files_below(person: Path) -> list[Path]:
    """What is named like a photo, in a person's folder and below; links to folders are not followed."""
    found = []
    for place, folders, files in os.walk(person):
        folders[:] = [name for name in folders if not not_a_persons(name)]
        found += [Path(place, name) for name in files if is_photo(name)]
    return sorted(found)


def _unfit(file: Path, path: str) -> str | None:
    """Why something that is named like a photo is not listed."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return "its name, or that of its folder, is not text in UTF-8"
    if file.is_file():
        return None
    return "it is a link to a file that is not there" if file.is_symlink() else "it is no file"
