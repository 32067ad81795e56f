"""What of a folder is not in its gallery, or not as somebody may think, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from demo.gallery.folder import PassedOver
from demo.gallery.index import Gallery
from demo.gallery.names import person_named

_SHOWN = 3


def left_out(gallery: Gallery, passed: Sequence[PassedOver] = ()) -> tuple[str, ...]:
    """A sentence each: people and photos that are left out, and photos that show several faces. passed: what was passed
    over in its folder."""
    people = [f"{person} is not in the gallery: none of the photos can be used."
              for person in people_left_out(gallery, passed)]
    photos = [f"left out {left.path}: {left.reason.rstrip('.')}." for left in (*gallery.manifest.failures, *passed)]
    return (*people, *photos, *(f"{one.path} {one.told}" for one in gallery.manifest.crowded))


def people_left_out(gallery: Gallery, passed: Sequence[PassedOver] = ()) -> list[str]:
    """People of the folder of whom no photo is in the gallery, since none can be used. passed: as of ``left_out``."""
    known = set(gallery.people)
    paths = [left.path for left in (*gallery.manifest.failures, *passed)]
    return sorted({person_named(path.split("/")[0]) for path in paths if "/" in path} - known)


def in_short(sentences: Sequence[str]) -> str:
    """The first few of ``left_out``, and how many more there are; "" for none."""
    if not sentences:
        return ""
    more = len(sentences) - _SHOWN
    return "Of the gallery's folder: " + " ".join(sentences[:_SHOWN]) + (
        f" And {more} more, which 'gallery build FOLDER' tells." if more > 0 else "")
