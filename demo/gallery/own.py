"""A handful of photos → a folder of identities: whose they are is said, or their file names tell."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain, count
from pathlib import Path

from demo.errors import BadGallery
from demo.gallery.folder import Photo, photos_below, spelled_as_there
from demo.gallery.names import PHOTO_SUFFIXES, is_picture, person_named
from demo.weights import sha256

#: What cameras, phones and programs call photos: such names say nothing about who is in them.
_CAMERA = re.compile(r"(img|dsc[nf]?|pxl|p|photo|image|picture|webcam|whatsapp image|screenshot|scan)?", re.I)
#: What counts photos at the end of a name: "anna 2", "anna-02", "anna (3)".
_NUMBER = re.compile(r"[\s._()-]*\d*[\s._()-]*$")
#: Letters of a person's name, and bytes: what no file system refuses.
_LONGEST, _BYTES = 64, 200


def person_of(file: str | Path) -> str:
    """Who is in a photo by its file name: what stands before the number ("anna-02.jpg", "Ben (3).png"); the whole name
    where a camera gave it."""
    stem = Path(file).stem
    name = _NUMBER.sub("", stem)
    return checked_person(stem if _CAMERA.fullmatch(name) or name[:1].isdigit() else name)


def checked_person(name: str) -> str:
    """A person's name that is safe as a folder name, the same in every spelling of its accents; BadGallery where
    nothing is left of it. Names that are too long end in a mark of the whole name, so that no two become one."""
    whole = re.sub(r'[\x00-\x1f\x7f\\/:*?"<>|]', " ", person_named(name)).strip(" .")
    if not whole:
        raise BadGallery("A person's name has at least one letter or digit.")
    if len(whole) <= _LONGEST and len(whole.encode()) <= _BYTES:
        return whole
    mark = f" {hashlib.sha256(whole.encode()).hexdigest()[:8]}"  # of two long names, each stays another
    return whole[:_LONGEST - len(mark)].encode()[:_BYTES - len(mark)].decode(errors="ignore").strip(" .") + mark


def keep_photos(photos: Sequence[tuple[str | Path, str]], target: Path, *, max_mb: float) -> None:
    """Copy (file, person) into ``target``, one folder per person, in their order, whole or not at all.

    BadGallery where there is such a folder already, where there is no photo, for a file that is none by its ending, and
    where they weigh more than max_mb together.
    """
    if target.exists():
        raise BadGallery(f"There is a gallery {target.name!r} already: choose another name.")
    if not photos:
        raise BadGallery("Add photos first.")
    files = [Path(file) for file, _ in photos]
    if wrong := next((file for file in files if not is_picture(file)), None):
        raise BadGallery(f"{wrong.name} is not a photo by its name: photos end in {', '.join(sorted(PHOTO_SUFFIXES))}.")
    try:
        weight = sum(file.stat().st_size for file in files)
    except OSError:
        raise BadGallery("A photo was erased meanwhile: add the photos again.") from None
    if weight > max_mb * 1e6:
        raise BadGallery(f"The photos weigh more than {max_mb:.0f} MB together, the limit.")
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=".own-", dir=target.parent))
    try:
        for number, (file, (_, person)) in enumerate(zip(files, photos, strict=True), start=1):
            folder = fresh / checked_person(person)
            folder.mkdir(exist_ok=True)
            shutil.copyfile(file, folder / f"{number:02d}{file.suffix.lower()}")
        fresh.chmod(0o755)
        fresh.rename(target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def take_in(photos: Sequence[tuple[str | Path, str]], folder: Path) -> list[Photo]:
    """(file, person) as photos of a gallery's folder: one that lies elsewhere is copied there, beside the person's
    others, under a name that is free. BadGallery for a file that cannot be read or is no photo by its ending."""
    found = []
    for file, person in ((Path(file), checked_person(person)) for file, person in photos):
        if not file.is_file() or not is_picture(file):
            raise BadGallery(f"{file} is no photo that can be read: photos end in {', '.join(sorted(PHOTO_SUFFIXES))}.")
        place = spelled_as_there(folder / person, folder)
        own, inside = place.resolve(), file.resolve()
        if own not in inside.parents:
            inside = next(_names(own / file.name, sha256(file)))
            inside.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, inside)
        found.append(Photo(f"{place.name}/{inside.relative_to(own).as_posix()}", person, inside))
    return found


@contextmanager
def told_of(folder: Path) -> Iterator[None]:
    """What the system refuses in a gallery's folder, in a sentence: BadGallery."""
    try:
        yield
    except OSError as error:
        raise BadGallery(f"The photos of {folder.name} cannot be changed: {error.strerror}.") from None


def called(folder: Path, what: str) -> list[Photo]:
    """The photos of a person, by name, or the one at a path (``ann/01.jpg``). BadGallery where there is none."""
    first, inside, _ = what.partition("/")
    wanted = person_named(first)
    people = sorted(folder.iterdir()) if folder.is_dir() else []
    found = [photo for person in people if person_named(person.name) == wanted
             for photo in photos_below(person) if not inside or person_named(photo.path) == person_named(what)]
    if not found:
        raise BadGallery(f"The gallery has no {'photo' if inside else 'person'} {what}.")
    return found


def move(folder: Path, photos: Sequence[Photo], person: str) -> dict[str, Photo]:
    """Photos of a gallery's folder become another person's: path before → photo now. A name that is taken gets a
    number; folders that are empty then go."""
    person, moved = checked_person(person), {}
    if all(photo.identity == person for photo in photos):
        raise BadGallery(f"That is {person} already.")
    place = spelled_as_there(folder / person, folder)
    for photo in photos:
        target = next(_names(place / photo.path.partition("/")[2]))
        target.parent.mkdir(parents=True, exist_ok=True)
        photo.file.rename(target)
        moved[photo.path] = Photo(f"{place.name}/{target.relative_to(place).as_posix()}", person, target)
    _tidy(folder, photos)
    return moved


def erase(folder: Path, photos: Sequence[Photo]) -> None:
    """Delete photos of a gallery's folder, and the folders that are empty then."""
    for photo in photos:
        photo.file.unlink(missing_ok=True)
    _tidy(folder, photos)


def _tidy(folder: Path, photos: Sequence[Photo]) -> None:
    for place in sorted({up for photo in photos for up in photo.file.parents if folder in up.parents}, reverse=True):
        with suppress(OSError):  # something else lies there
            place.rmdir()


def _names(file: Path, same: str = "") -> Iterator[Path]:
    """The name, and with numbers after it, of those that nothing has yet, or but a photo of this SHA-256."""
    names = chain([file], (file.with_name(f"{file.stem}-{number}{file.suffix}") for number in count(2)))
    return (name for name in names if not name.exists() or same and name.is_file() and sha256(name) == same)
