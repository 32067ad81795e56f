"""How photos lie on disk: one function per layout, each giving the photos of a folder with their identities.

Paths are relative to the folder that was given, with forward slashes, so that a gallery of them can find the photos.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from demo.errors import BadGallery
from demo.gallery import Photo, is_picture, list_photos

#: The person in ``Some_Name_0001.jpg``: everything before the first number. Four names of the CPLFW release are
#: misspelt (``Leni_Bjorklund-2.jpg``, ``Landon_Donovan_3jpg.jpg``, ``Mike_Montgomery_3.jip.jpg``), and MLFW adds a
#: second number for the mask (``Some_Name_0001_0000.jpg``).
_NAMED = re.compile(r"(.+?)[_-]\d")


def folder_per_person(root: Path, places: tuple[str, ...] = ()) -> list[Photo]:
    """``person/photo.jpg``; the people lie in the first of ``places`` that is there, else in ``root`` itself."""
    base = photo_folder(root, places)
    return [Photo(_relative(photo.file, root), photo.identity, photo.file) for photo in list_photos(base)]


def people_with_several(root: Path, places: tuple[str, ...] = ()) -> list[Photo]:
    """As ``folder_per_person``, without the people of whom there is one photo."""
    photos = folder_per_person(root, places)
    count = Counter(photo.identity for photo in photos)
    return _some([photo for photo in photos if count[photo.identity] > 1], root, "people with two photos or more")


def named_photos(root: Path, places: tuple[str, ...] = ()) -> list[Photo]:
    """``Some_Name_0001.jpg``, all in one folder or one folder per person."""
    base = photo_folder(root, places)
    found = []
    for file in _photos_below(base):
        match = _NAMED.match(file.name)
        if match:
            found.append(Photo(_relative(file, root), match[1], file))
    return _some(found, root, "photos named like Some_Name_0001.jpg")


def agedb_photos(root: Path, places: tuple[str, ...] = ()) -> list[Photo]:
    """AgeDB: ``number_Name_age_gender.jpg`` in one folder. The photos of the verification protocol
    (03_Protocol_Images) begin with the name instead."""
    found = []
    for file in _photos_below(photo_folder(root, places)):
        parts = file.stem.split("_")
        if len(parts) >= 4:
            found.append(Photo(_relative(file, root), parts[1] if parts[0].isdecimal() else parts[0], file))
    return _some(found, root, "photos named like 0_MariaCallas_35_f.jpg")


def cfp_photos(root: Path, view: str) -> list[Photo]:
    """CFP: ``Data/Images/001/frontal/01.jpg``. view: "frontal" or "profile"."""
    base = photo_folder(root, ("Data/Images", "Images"))
    found = [Photo(_relative(file, root), person.name, file)
             for person in sorted(base.iterdir()) if (person / view).is_dir()
             for file in _photos_below(person / view)]
    return _some(found, root, f"photos like Data/Images/001/{view}/01.jpg")


def listed_photos(file: Path, root: Path | None = None) -> list[Photo]:
    """The photos of a list file: ``relative/path.jpg,label`` a line, no header, as DeepFace-EMD's lists are.

    root: folder that the paths start from (default: the list's own). A photo that is named but not there stays in
    the list: indexing or evaluating reports it. BadGallery for a line of another form.
    """
    base = Path(root) if root else file.parent
    found = []
    for number, line in enumerate(_lines(file), start=1):
        path, comma, label = line.rpartition(",")
        if not (comma and path.strip() and label.strip()):
            raise BadGallery(f"Line {number} of {file.name} is not 'relative/path.jpg,label': {line[:60]!r}.")
        found.append(Photo(path.strip(), label.strip(), base / path.strip()))
    return _some(found, file, "a line 'relative/path.jpg,label'")


def photo_folder(root: Path, places: tuple[str, ...]) -> Path:
    """The first of ``places`` in ``root`` that is a folder, else ``root``; BadGallery where root is none."""
    if not root.is_dir():
        raise BadGallery(f"{root} is not a folder.")
    return next((root / place for place in places if (root / place).is_dir()), root)


def _photos_below(folder: Path) -> Iterator[Path]:
    return filter(is_picture, sorted(folder.rglob("*")))


def _relative(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix()


def _lines(file: Path) -> list[str]:
    try:
        return [line for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError):
        raise BadGallery(f"The list {file} cannot be read: it must be a text file.") from None


def _some(found: list[Photo], place: Path, wanted: str) -> list[Photo]:
    if not found:
        raise BadGallery(f"{place} holds no {wanted.removeprefix('a ')}.")
    return found
