"""A new state of an index in place of the old one: rows that are taken out, rows that are added."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from demo.errors import BadGallery
from demo.gallery.entries import Entry
from demo.gallery.manifest import MANIFEST, Manifest, PartInfo
from demo.gallery.opened import Opened
from demo.gallery.part import Source, write_part

#: An index up to so many bytes is always one part in the order of its photos, the same however it came about; so is a
#: larger one of so many parts, or of which this share no longer counts.
SMALL, MOST_PARTS, GONE = 64 << 20, 8, 0.25
#: Beside the parts: rows that are being computed, and hashes of photos.
DRAFT, SEEN = ".draft", "seen.sqlite"


@dataclass(frozen=True)
class Place:
    """An entry, and where its row is: in which arrays, and which one."""

    entry: Entry
    source: Source
    row: int


def revise(folder: Path, old: Opened | None, manifest: Manifest, gone: Collection[int], added: Sequence[Place],
           order: Mapping[str, int] | None = None) -> None:
    """Write the index that ``old`` becomes without some of its rows (gone) and with others (added).

    manifest: of the new one, its parts aside. order: path → place, for where it is written anew as one part; by path
    where there is none. What was there stays whole until the manifest takes its place, in one step.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts = None if old is None else _revised(old, manifest, gone, added)
    if parts is None:
        live = [] if old is None else _live(old, set(gone))
        wanted = sorted([*live, *added], key=lambda place: (
            order[place.entry.path] if order else place.entry.path.split("/")))
        parts = write_part(folder, [one.entry for one in wanted], [(one.source, one.row) for one in wanted],
                           manifest.grids),
    elif added:
        parts += write_part(folder, [one.entry for one in added], [(one.source, one.row) for one in added],
                            manifest.grids),
    new = replace(manifest, parts=parts)
    if old is None or new != old.manifest:
        new.write(folder)
    _clean(folder, new, everything=old is None or new.parts != old.manifest.parts)


def _revised(old: Opened, manifest: Manifest, gone: Collection[int],
             added: Sequence[Place]) -> tuple[PartInfo, ...] | None:
    """The old parts without what is gone; None where everything had better be written anew."""
    parts, count = old.manifest.parts, len(old) - len(gone) + len(added)
    if old.manifest.grids != manifest.grids or any(part.entries is not None for part in parts):
        return None
    if not gone and not added:
        return parts
    if count * old.row_bytes <= SMALL:
        return None
    if (sum(part.count for part in parts) - len(old) + len(gone) > GONE * count
            or len(parts) + bool(added) > MOST_PARTS):
        if damaged := old.damaged():
            raise BadGallery(f"{damaged[0]} of the index {old.folder} is not as it was built: delete the index, and "
                             "build the gallery again.")
        return None
    removed = [set(part.removed) for part in parts]
    for number, _, rows in old.places.split(sorted(gone)):
        removed[number].update(rows)
    return tuple(replace(part, removed=tuple(sorted(rows))) for part, rows in zip(parts, removed, strict=True)
                 if len(rows) < part.count)


def _live(old: Opened, gone: set[int]) -> list[Place]:
    found, number = [], 0
    for part in old.parts:
        source, out = Source(part.maps), set(part.info.removed)
        for row, entry in enumerate(part.entries):
            if row not in out:
                if number not in gone:
                    found.append(Place(entry, source, row))
                number += 1
    return found


def _clean(folder: Path, manifest: Manifest, *, everything: bool) -> None:
    """Delete what belongs to no part; everything: also what was measured on other rows than these."""
    kept = {MANIFEST, DRAFT, SEEN, *(part.folder for part in manifest.parts)}
    for one in folder.iterdir():
        if one.name in kept or not (everything or one.name.startswith(("part-", ".part-"))):
            continue
        if one.is_dir() and not one.is_symlink():
            shutil.rmtree(one, ignore_errors=True)
        else:
            one.unlink(missing_ok=True)
