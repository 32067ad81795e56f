"""A zip of photos → a folder of identities, checked and bounded."""

from __future__ import annotations

import re
import shutil
import stat
import tempfile
import zipfile
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from demo.errors import BadGallery, DemoError
from demo.faces.kinds import HEAD, kind_of
from demo.gallery.folder import BESIDE, MACHINES, VIDEO
from demo.gallery.names import is_hidden, is_machines, is_photo, is_video, person_named, says_nothing
from demo.gallery.own import checked_person
from demo.gallery.zip_names import read_names
from demo.gallery.zip_tree import folders_around

MAX_FILES = 20_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}")
#: Bytes of a file's name, and folders between a person's and a photo, that are kept.
_LONGEST, _DEEPEST = 100, 4
#: What Windows keeps for devices.
_DEVICES = re.compile(r"(con|prn|aux|nul|(com|lpt)\d)", re.I)


@dataclass(frozen=True)
class Unpacked:
    """What came out of an archive. skipped: (name in the archive, reason). notes: what had to be guessed, and what is
    called otherwise now, a sentence each."""

    photos: int
    people: int
    skipped: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()


def check_name(name: str) -> str:
    """A gallery name that is safe as a folder name; BadGallery otherwise."""
    name = (name or "").strip()
    if not _NAME.fullmatch(name) or name.endswith("."):
        raise BadGallery("A gallery name starts with a letter or digit and has up to 64 letters, digits, spaces, "
                         "dots, dashes and underscores.")
    return name


def unpack_archive(archive: str | Path, target: Path, *, max_mb: float, max_photo_mb: float) -> Unpacked:
    """Unpack the photos of a zip into ``target``, one folder per person.

    The zip is read as a folder is: its folders are the people, whatever folders there are below. Folders round all of
    them, and those that part a data set ("train", "test"), are left away (``folders_around``). Anything that is not
    a photo in such a folder is skipped with a reason; nothing is written outside ``target``. BadGallery for a file that
    is no zip, unpacks to more than ``max_mb``, or holds no photo; nothing is left behind then.
    """
    if target.exists():
        raise BadGallery(f"There is a gallery {target.name!r} already: choose another name.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=".upload-", dir=target.parent))
    except OSError as error:
        raise BadGallery(f"The galleries' folder cannot be written to: {error.strerror}.") from None
    try:
        with zipfile.ZipFile(archive) as opened:
            done = _unpack(opened, fresh, max_mb * 1e6, max_photo_mb * 1e6)
        if not done.photos:
            raise BadGallery("The zip holds no photos in folders: it needs one folder per person with photos inside.")
        fresh.chmod(0o755)
        fresh.rename(target)
        return done
    except DemoError:
        raise
    except Exception:  # a damaged zip makes zipfile and its decoders raise nearly any type
        raise BadGallery("The file is not a zip that can be read: it may be damaged or encrypted.") from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _unpack(opened: zipfile.ZipFile, fresh: Path, max_bytes: float, max_photo_bytes: float) -> Unpacked:
    members = [member for member in opened.infolist() if not member.is_dir()]
    if len(members) > MAX_FILES:
        raise BadGallery(f"The zip holds {len(members)} files; the limit is {MAX_FILES}.")
    if sum(member.file_size for member in members) > max_bytes:
        raise BadGallery(f"The zip unpacks to more than {max_bytes / 1e6:.0f} MB, the limit.")
    names, guessed = read_names(members)
    skipped: dict[str, str] = {}  # a folder of a machine is told once
    twice: list[tuple[str, str]] = []
    wanted = []
    for member, name in zip(members, names, strict=True):
        parts = tuple(name.replace("\\", "/").split("/"))
        left = _left_out(opened, member, parts, max_photo_bytes)
        if left:
            skipped.setdefault(left[0], left[1])
        else:
            wanted.append((member, name, parts))
    around, doubt = folders_around(parts[:-1] for _, _, parts in wanted)
    people, taken, written = _People(), set(), 0
    for member, name, parts in wanted:
        if len(parts) < around + 2:
            skipped[name] = BESIDE
            continue
        if parts in taken:
            twice.append((name, "another photo of that person has this name already"))
            continue
        taken.add(parts)
        below = [_short(part).strip(" .") or "_" for part in parts[around + 1:-1]]
        with opened.open(member) as source:  # the sizes in the directory may lie, so the bytes are counted
            data = source.read(int(max_photo_bytes) + 1)
        written += len(data)
        if len(data) > max_photo_bytes or written > max_bytes:
            raise BadGallery("The zip holds more than its directory says.")
        _write(fresh.joinpath(people.folder(parts[around]), *below[-_DEEPEST:], _short(parts[-1])), data)
    notes = [note for note in (guessed, doubt, *people.notes()) if note]
    return Unpacked(len(taken), len(people), (*skipped.items(), *twice), tuple(notes))


class _People:
    """Whose folder is called how: no two people become one, whatever their names lose."""

    def __init__(self):
        self._folders: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._folders)

    def folder(self, name: str) -> str:
        """Of the person of this name in the zip."""
        name = person_named(name)
        if name not in self._folders:
            safe = checked_person(name.encode("utf-8", "replace").decode())
            safe += "_" * bool(_DEVICES.fullmatch(safe))
            free = (f"{safe} {number}" for number in count(2))
            self._folders[name] = safe if safe not in self._folders.values() else next(
                one for one in free if one not in self._folders.values())
        return self._folders[name]

    def notes(self) -> list[str]:
        return [f"{name} is called {folder} here." for name, folder in self._folders.items() if name != folder]


def _write(file: Path, data: bytes) -> None:
    """Under another name where names that were cut have become the same."""
    number, place = 1, file
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        while place.exists():
            number += 1
            place = file.with_stem(f"{file.stem}-{number}")
        place.write_bytes(data)
    except OSError as error:
        raise BadGallery(f"The photos cannot be written: {error.strerror}.") from None


def _short(name: str) -> str:
    """A file's or folder's name in at most _LONGEST bytes, its ending kept, without what no system takes."""
    name = re.sub(r'[\x00-\x1f\x7f:*?"<>|]', "_", name.encode("utf-8", "replace").decode())
    stem, dot, ending = name.rpartition(".") if is_photo(name) else (name, "", "")
    room = _LONGEST - len((dot + ending).encode())
    return stem.encode()[:room].decode(errors="ignore") + dot + ending


def _left_out(opened: zipfile.ZipFile, member: zipfile.ZipInfo, parts: tuple[str, ...],
              max_photo_bytes: float) -> tuple[str, str] | None:
    """What is not taken, which is a folder of a machine or a file, and why: as of a folder, where that tells it."""
    *folders, file = parts
    name = "/".join(parts)
    if any(folder in ("", ".", "..") or folder.endswith(":") for folder in folders):
        return name, "its path leads out of the zip"
    machines = next((at for at, folder in enumerate(folders) if is_machines(folder)), None)
    if machines is not None:
        return "/".join(folders[:machines + 1]), MACHINES
    if is_video(file):
        return name, VIDEO
    if not is_photo(file) and not (says_nothing(file) and _shows(opened, member)):
        return name, "not a photo"
    if stat.S_ISLNK(member.external_attr >> 16):
        return name, "it is a link"
    if any(map(is_hidden, folders)) or not all(folder.strip(" .") for folder in folders[-1:]):
        return name, "not in a folder of a person"
    if member.file_size > max_photo_bytes:
        return name, f"larger than {max_photo_bytes / 1e6:.0f} MB"
    return None


def _shows(opened: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    """Whether the content is that of a picture."""
    with opened.open(member) as source:
        return kind_of(source.read(HEAD)) is not None
