"""A folder of identities: one sub-folder per person, photos inside."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from demo.errors import BadGallery
from demo.weights import sha256

PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"})


@dataclass(frozen=True)
class Photo:
    """A photo of an identity: ``path`` is relative to the folder, with forward slashes."""

    path: str
    identity: str
    file: Path

    @property
    def sha256(self) -> str:
        return sha256(self.file)


def has_photos(folder: Path) -> bool:
    """Whether ``list_photos`` finds any: the first one suffices, however many there are."""
    return folder.is_dir() and any(
        is_photo(file) for person in folder.iterdir() if person.is_dir() and not person.name.startswith(".")
        for file in person.rglob("*"))


def is_photo(file: Path) -> bool:
    """Whether a file is a photo by its name."""
    return file.suffix.lower() in PHOTO_SUFFIXES and not file.name.startswith(".")


def list_photos(folder: str | Path) -> list[Photo]:
    """The photos of a folder that has one sub-folder per identity, sorted by path.

    Hidden folders and files of other kinds are passed over. BadGallery where there is nothing to list.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise BadGallery(f"{folder} is not a folder.")
    photos = [
        Photo(f"{person.name}/{file.relative_to(person).as_posix()}", person.name, file)
        for person in sorted(folder.iterdir())
        if person.is_dir() and not person.name.startswith(".")
        for file in sorted(person.rglob("*"))
        if is_photo(file)
    ]
    if not photos:
        raise BadGallery(f"{folder} holds no photos: it needs one sub-folder per person with photos inside.")
    return photos
