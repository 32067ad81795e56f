"""A zip of photos → a folder of identities, checked and bounded."""

from __future__ import annotations

import re
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from demo.errors import BadGallery
from demo.gallery.folder import PHOTO_SUFFIXES

MAX_FILES = 20_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}")


@dataclass(frozen=True)
class Unpacked:
    """What came out of an archive. skipped: (name in the archive, reason)."""

    photos: int
    people: int
    skipped: tuple[tuple[str, str], ...]


def check_name(name: str) -> str:
    """A gallery name that is safe as a folder name; BadGallery otherwise."""
    name = (name or "").strip()
    if not _NAME.fullmatch(name) or name.endswith("."):
        raise BadGallery("A gallery name starts with a letter or digit and has up to 64 letters, digits, spaces, "
                         "dots, dashes and underscores.")
    return name


def unpack_archive(archive: str | Path, target: Path, *, max_mb: float, max_photo_mb: float) -> Unpacked:
    """Unpack the photos of a zip into ``target``, one folder per person.

    The last folder of each photo's path in the zip is taken as the person. Anything that is not a photo in such
    a folder is skipped with a reason; nothing is written outside ``target``. BadGallery for a file that is no zip,
    unpacks to more than ``max_mb``, or holds no photo; nothing is left behind then.
    """
    if target.exists():
        raise BadGallery(f"There is a gallery {target.name!r} already: choose another name.")
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=".upload-", dir=target.parent))
    try:
        with zipfile.ZipFile(archive) as opened:
            done = _unpack(opened, fresh, max_mb * 1e6, max_photo_mb * 1e6)
        if not done.photos:
            raise BadGallery("The zip holds no photos in folders: it needs one folder per person with photos inside.")
        fresh.chmod(0o755)
        fresh.rename(target)
        return done
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError):
        raise BadGallery("The file is not a zip that can be read: it may be damaged or encrypted.") from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _unpack(opened: zipfile.ZipFile, fresh: Path, max_bytes: float, max_photo_bytes: float) -> Unpacked:
    members = [member for member in opened.infolist() if not member.is_dir()]
    if len(members) > MAX_FILES:
        raise BadGallery(f"The zip holds {len(members)} files; the limit is {MAX_FILES}.")
    if sum(member.file_size for member in members) > max_bytes:
        raise BadGallery(f"The zip unpacks to more than {max_bytes / 1e6:.0f} MB, the limit.")
    people, skipped, photos, written = set(), [], 0, 0
    for member in members:
        path = PurePosixPath(member.filename.replace("\\", "/"))
        reason = _refusal(path, member.file_size, max_photo_bytes)
        if reason:
            skipped.append((member.filename, reason))
            continue
        person = fresh / path.parent.name
        file = person / path.name
        if file.exists():
            skipped.append((member.filename, "another photo of that person has this name already"))
            continue
        person.mkdir(exist_ok=True)
        with opened.open(member) as source:  # the sizes in the directory may lie, so the bytes are counted
            data = source.read(int(max_photo_bytes) + 1)
        written += len(data)
        if len(data) > max_photo_bytes or written > max_bytes:
            raise BadGallery("The zip holds more than its directory says.")
        file.write_bytes(data)
        people.add(path.parent.name)
        photos += 1
    return Unpacked(photos, len(people), tuple(skipped))


def _refusal(path: PurePosixPath, size: int, max_photo_bytes: float) -> str | None:
    person = path.parent.name
    if path.suffix.lower() not in PHOTO_SUFFIXES or path.name.startswith("."):
        return "not a photo"
    if not person or person.startswith(".") or person == "__MACOSX" or "__MACOSX" in path.parts:
        return "not in a folder of a person"
    if size > max_photo_bytes:
        return f"larger than {max_photo_bytes / 1e6:.0f} MB"
    return None
