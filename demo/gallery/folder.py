"""A folder of identities: one sub-folder per person, photos inside."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from demo.errors import BadGallery
from demo.gallery.names import is_hidden, is_machines, is_photo, is_picture, is_video, not_a_persons, person_named
from demo.weights import sha256

#: Why something is left out, here and in a zip.
BESIDE = "it lies beside the folders of the people, not in one"
MACHINES = "a folder that machines keep, for waste or thumbnails"
VIDEO = "it is a video"


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
    """Something in a folder that may be looked for among the photos and is none of them, and why. path: as of
    ``Photo``."""

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


def list_photos(folder: str | Path) -> list[Photo]:
    """The photos of a folder that has one sub-folder per identity, sorted by path.

    A file without an ending is a photo where its content is one. Hidden folders, those that machines make, and files
    of other kinds are passed over. A name that is composed of letters and accents is the same in every spelling (NFC).
    BadGallery where there is nothing to list.
    """
    photos = [found for found in look_through(folder) if isinstance(found, Photo)]
    if not photos:
        raise BadGallery(f"{folder} holds no photos: it needs one sub-folder per person with photos inside.")
    return photos


def passed_over(folder: str | Path) -> list[PassedOver]:
    """What ``list_photos`` leaves out although somebody may look for it, in the same order: what is named like a photo
    and cannot be one, videos, folders that machines make, folders that cannot be read."""
    return [found for found in look_through(folder) if isinstance(found, PassedOver)]


def photos_below(person: Path) -> list[Photo]:
    """Those of ``list_photos`` that lie in one person's folder."""
    return [found for found in _sorted(_of(person)) if isinstance(found, Photo)]


def spelled_as_there(file: Path, folder: Path) -> Path:
    """A file or folder below a folder, by the name that it has on the disk where that is another spelling of its
    accents; as it is where there is none."""
    try:
        if file.as_posix().isascii() or file.exists():
            return file
    except OSError:  # a name that no system takes
        return file
    there = folder
    for part in file.relative_to(folder).parts:
        try:
            names = os.listdir(there)
        except OSError:
            return file
        same = (name for name in names if person_named(name) == person_named(part))
        found = part if part in names else next(same, "")
        if not found:
            return file
        there /= found
    return there


def look_through(folder: str | Path) -> Iterator[Photo | PassedOver]:
    """What ``list_photos`` and ``passed_over`` tell apart. BadGallery for a folder that is none or cannot be read."""
    folder = Path(folder)
    try:
        if not folder.is_dir():
            raise BadGallery(f"{folder} is not a folder.")
        people = sorted(folder.iterdir())
    except OSError as error:
        raise _unreadable(folder, error) from None
    for person in people:
        yield from _sorted(_of(person))


def _sorted(found: Iterator[Photo | PassedOver]) -> list[Photo | PassedOver]:
    return sorted(found, key=lambda one: one.path.split("/"))


def _of(person: Path) -> Iterator[Photo | PassedOver]:
    """What counts in what lies in the folder of a gallery: a person's folder, as a rule."""
    if person.is_dir():
        yield from _below(person, person.name, person_named(person.name))
    elif is_picture(person):
        yield PassedOver(person.name, BESIDE)
    elif is_video(person):
        yield PassedOver(person.name, VIDEO)


def _unreadable(folder: Path, error: OSError) -> BadGallery:
    return BadGallery(f"{folder} cannot be read: {error.strerror}.")


def _below(folder: Path, path: str, identity: str) -> Iterator[Photo | PassedOver]:
    """What counts in a person's folder and below, as it lies there; links to folders are not followed. Files that are
    regular by what the folder says are not looked at one by one: it may hold a million."""
    if not_a_persons(folder.name):
        if is_machines(folder.name):
            yield PassedOver(path, MACHINES)
        return
    try:
        with os.scandir(folder) as opened:
            found = list(opened)
    except OSError as error:
        yield PassedOver(path, f"the folder cannot be read: {error.strerror}")
        return
    for one in found:
        below = f"{path}/{one.name}"
        if one.is_dir(follow_symlinks=False):
            yield from _below(Path(one.path), below, identity)
        elif _is_file(one):
            yield from _file(one, below, identity)
        elif is_photo(one.name) and not _is_folder(one):
            missing = "it is a link to a file that is not there" if one.is_symlink() else "it is no file"
            yield PassedOver(below, _unlistable(below) or missing)


def _file(one: os.DirEntry, path: str, identity: str) -> Iterator[Photo | PassedOver]:
    if is_hidden(one.name):
        return
    if is_photo(one.name) or is_picture(Path(one.path)):
        reason = _unlistable(path)
        yield PassedOver(path, reason) if reason else Photo(path, identity, Path(one.path))
    elif is_video(one.name):
        yield PassedOver(path, VIDEO)


def _is_file(one: os.DirEntry) -> bool:
    try:
        return one.is_file()
    except OSError:  # a link that leads round in a circle
        return False


def _is_folder(one: os.DirEntry) -> bool:
    try:
        return one.is_dir()
    except OSError:
        return False


def _unlistable(path: str) -> str:
    """Why something of this name cannot be listed; "" where it can."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return "its name, or that of its folder, is not text in UTF-8"
    return ""
