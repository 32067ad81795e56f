"""A handful of photos → a folder of identities: whose they are is said, or their file names tell."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from demo.errors import BadGallery
from demo.gallery.folder import PHOTO_SUFFIXES

#: What cameras, phones and programs call photos: such names say nothing about who is in them.
_CAMERA = re.compile(r"(img|dsc[nf]?|pxl|p|photo|image|picture|webcam|whatsapp image|screenshot|scan)?", re.I)
#: What counts photos at the end of a name: "anna 2", "anna-02", "anna (3)".
_NUMBER = re.compile(r"[\s._()-]*\d*[\s._()-]*$")
_LONGEST = 64


def person_of(file: str | Path) -> str:
    """Who is in a photo by its file name: what stands before the number ("anna-02.jpg", "Ben (3).png"); the whole name
    where a camera gave it."""
    stem = Path(file).stem
    name = _NUMBER.sub("", stem)
    return checked_person(stem if _CAMERA.fullmatch(name) or name[:1].isdigit() else name)


def checked_person(name: str) -> str:
    """A person's name that is safe as a folder name; BadGallery where nothing is left of it."""
    kept = re.sub(r'[\x00-\x1f\x7f\\/:*?"<>|]', " ", name).strip(" .")[:_LONGEST].strip(" .")
    if not kept:
        raise BadGallery("A person's name has at least one letter or digit.")
    return kept


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
    if wrong := next((file for file in files if file.suffix.lower() not in PHOTO_SUFFIXES), None):
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
