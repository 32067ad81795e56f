"""Identification protocols: which photos are queries, and what each must not be compared with.

Leave-one-out, a query set against a gallery, profile against frontal views and one data set against another are all
lists of ``QueryPhoto``; see ``demo.evaluation.run`` for what is done with them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from demo.gallery import Gallery, Photo

Item = TypeVar("Item")


@dataclass(frozen=True)
class QueryPhoto:
    """A query file, its identity, and the gallery rows it must not be compared with.

    relevant: R, how many photos of the identity count; None where that is all that may be found. row: the gallery photo
    that it is, None where it is another. number: its place in the protocol, which what is drawn over it depends on;
    a part of the queries is altered as it is among all.
    """

    path: str
    file: Path
    identity: str
    exclude: tuple[int, ...] = ()
    relevant: int | None = None
    row: int | None = None
    number: int | None = None


def leave_one_out(gallery: Gallery, reading: str = "corrected") -> list[QueryPhoto]:
    """Each gallery photo as a query against all others (and against no copy of itself). Photos of identities with
    one photo only are no queries: they stay as distractors.

    reading: "paper" leaves out the photo alone, copies not, and keeps the query counted in R, as the published code
    does; RP and MAP@R can then not reach 100 (81.69 is the most on LFW).
    """
    same_content = defaultdict(list)
    for row, entry in enumerate(gallery.entries):
        same_content[entry.sha256].append(row)
    paper = reading == "paper"
    chosen = [(row, entry) for row, entry in enumerate(gallery.entries) if gallery.people[entry.identity] > 1]
    return [
        QueryPhoto(entry.path, gallery.photo_file(row), entry.identity,
                   (row,) if paper else tuple(same_content[entry.sha256]),
                   gallery.people[entry.identity] if paper else None, row, number)
        for number, (row, entry) in enumerate(chosen)
    ]


def query_set(photos: Sequence[Photo], gallery: Gallery, *, exclude_source: bool = True) -> list[QueryPhoto]:
    """Photos as queries against a gallery.

    exclude_source: leave the photo that a query was made from out of the gallery, since finding it again says
    nothing about the person. It is a gallery photo of the same content, or one of the same identity and the same
    name within the person: the path below the folder of that name (``profile/01``), else the file name, either
    without the suffix.
    """
    if not exclude_source:
        return [QueryPhoto(photo.path, photo.file, photo.identity, number=number)
                for number, photo in enumerate(photos)]
    contents, names = defaultdict(set), defaultdict(set)
    for row, entry in enumerate(gallery.entries):
        contents[entry.sha256].add(row)
        names[entry.identity, _own_name(entry.path, entry.identity)].add(row)
    return [
        QueryPhoto(photo.path, photo.file, photo.identity, tuple(sorted(
            names[photo.identity, _own_name(photo.path, photo.identity)]
            | (contents[photo.sha256] if photo.file.is_file() else set()))), number=number)
        for number, photo in enumerate(photos)
    ]


def spread(items: Sequence[Item], limit: int | None) -> list[Item]:
    """At most ``limit`` items (None = all), evenly spread."""
    if limit is None or len(items) <= limit:
        return list(items)
    return [items[place * len(items) // limit] for place in range(limit)]


def _own_name(path: str, identity: str) -> tuple[str, ...]:
    parts = PurePosixPath(path).with_suffix("").parts
    folders = parts[:-1]
    if identity in folders:
        return parts[len(folders) - folders[::-1].index(identity):]
    return parts[-1:]
