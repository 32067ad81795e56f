"""A zip of photos → a folder of identities, checked and bounded."""

from __future__ import annotations

import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from demo.errors import BadGallery, DemoError
from demo.gallery.names import is_photo, not_a_persons
from demo.gallery.own import checked_person

MAX_FILES = 20_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}")
#: Bytes of a file's name, and folders between a person's and a photo, that are kept.
_LONGEST, _DEEPEST = 100, 4
#: Folders that hold people, not photos of one: the parts of a data set.
_PARTS = frozenset({"train", "training", "test", "testing", "val", "valid", "validation", "dev", "probe", "query",
                    "gallery"})
#: Folders below a person's that no person is called by.
_DATE = re.compile(r"(19|20)\d\d([-_. ]?\d\d){0,2}")
#: What Windows keeps for devices.
_DEVICES = re.compile(r"(con|prn|aux|nul|(com|lpt)\d)", re.I)
#: Letters of Chinese, Japanese and Korean names: kana, ideographs, Hangul.
_EAST_ASIAN = re.compile(r"[\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]")


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

    The zip is read as a folder is: its folders are the people, whatever folders there are below. Folders round all of
    them, and those that part a data set ("train", "test"), are left away. Anything that is not a photo in such
    a folder is skipped with a reason; nothing is written outside ``target``. BadGallery for a file that is no zip,
    unpacks to more than ``max_mb``, or holds no photo; nothing is left behind then.
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
    skipped, wanted = [], []
    for member in members:
        name = _name(member)
        parts = tuple(name.replace("\\", "/").split("/"))
        reason = _refusal(parts, member.file_size, max_photo_bytes)
        if reason:
            skipped.append((name, reason))
        else:
            wanted.append((member, name, parts))
    around = _around([parts[:-1] for _, _, parts in wanted])
    people, taken, written = set(), set(), 0
    for member, name, parts in wanted:
        person, *below = [checked_person(_short(part)) for part in parts[around:-1]]
        person += "_" * bool(_DEVICES.fullmatch(person))
        place = (person, *below[-_DEEPEST:], _short(parts[-1]))
        if parts in taken:
            skipped.append((name, "another photo of that person has this name already"))
            continue
        taken.add(parts)
        with opened.open(member) as source:  # the sizes in the directory may lie, so the bytes are counted
            data = source.read(int(max_photo_bytes) + 1)
        written += len(data)
        if len(data) > max_photo_bytes or written > max_bytes:
            raise BadGallery("The zip holds more than its directory says.")
        _write(fresh.joinpath(*place), data)
        people.add(person)
    return Unpacked(len(taken), len(people), tuple(skipped))


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


def _name(member: zipfile.ZipInfo) -> str:
    """The name of a file in a zip. Where the zip does not say that it is UTF-8, Python reads the code page of the first
    PCs; programs write that of the user's country."""
    if member.flag_bits & 0x800 or member.filename.isascii():
        return member.filename
    try:
        data = member.filename.encode("cp437")
    except UnicodeEncodeError:  # named by an extra field of the zip
        return member.filename
    for code, plausible in (("utf-8", lambda _: True), ("cp932", _east_asian), ("gb18030", _east_asian)):
        try:
            read = data.decode(code)
        except UnicodeDecodeError:
            continue
        if plausible(read):
            return read
    return member.filename


def _east_asian(name: str) -> bool:
    """Whether nothing but East Asian letters stands beside ASCII, and in no word beside letters of ASCII: as European
    names would, of which each accented letter becomes an ideograph together with the letter behind it."""
    for part in re.split(r"[/\\]", name):
        word = part.rpartition(".")[0] if is_photo(part) else part
        other = [letter for letter in word if not letter.isascii()]
        if other and (not all(_EAST_ASIAN.match(letter) for letter in other) or re.search("[A-Za-z]", word)):
            return False
    return True


def _around(folders: Iterable[tuple[str, ...]]) -> int:
    """How many folders stand round those of the people."""
    left, count = list(folders), 0
    while left and all(len(parts) > 1 for parts in left):
        outer, inner = ({parts[at].lower() for parts in left} for at in (0, 1))
        person = all(_DATE.fullmatch(name) for name in inner)
        if not (len(outer) == 1 and not person or outer <= _PARTS):
            break
        left, count = [parts[1:] for parts in left], count + 1
    return count


def _short(name: str) -> str:
    """A file's or folder's name in at most _LONGEST bytes, its ending kept, without what no system takes."""
    name = re.sub(r'[\x00-\x1f\x7f:*?"<>|]', "_", name.encode("utf-8", "replace").decode())
    stem, dot, ending = name.rpartition(".") if is_photo(name) else (name, "", "")
    room = _LONGEST - len((dot + ending).encode())
    return stem.encode()[:room].decode(errors="ignore") + dot + ending


def _refusal(parts: tuple[str, ...], size: int, max_photo_bytes: float) -> str | None:
    *folders, file = parts
    if not is_photo(file):
        return "not a photo"
    if any(folder in ("", ".", "..") or folder.endswith(":") for folder in folders):
        return "its path leads out of the zip"
    if not folders or any(map(not_a_persons, folders)) or not folders[-1].strip(" ."):
        return "not in a folder of a person"
    if size > max_photo_bytes:
        return f"larger than {max_photo_bytes / 1e6:.0f} MB"
    return None
