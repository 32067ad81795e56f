"""Whether the photos of a gallery are still those that were indexed, and who of them is not in it: cheap enough to ask
with every answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from demo.errors import BadGallery
from demo.gallery.folder import Photo, list_photos, person_named
from demo.gallery.index import Gallery

#: Seconds for which one look at the folder counts.
_PATIENCE = 5.0
#: Galleries of more photos are not looked through beside an answer, and of fewer changed ones the content is read.
_MOST_PHOTOS, _MOST_READ = 5_000, 2_000
_SHOWN = 3


class Freshness:
    """Asks the folder of a gallery what has changed since it was indexed. Threads may share one."""

    def __init__(self, gallery: Gallery, clock: Callable[[], float] = time.monotonic):
        self._gallery, self._clock = gallery, clock
        self._lock = threading.Lock()
        self._asked, self._told = float("-inf"), ""

    def told(self) -> str:
        """What has changed, in a sentence or two; "" where nothing has, or where that cannot be known: the photos do
        not lie there, in a folder per person, or are too many."""
        with self._lock:
            if self._clock() - self._asked > _PATIENCE:
                self._told, self._asked = _sentence(self._gallery), self._clock()
            return self._told


def people_left_out(gallery: Gallery) -> list[str]:
    """People of the folder of whom no photo is in the gallery, since none can be used."""
    known = set(gallery.people)
    left = (person_named(failure.path.split("/")[0]) for failure in gallery.manifest.failures)
    return sorted({person for person in left if person not in known})


def _sentence(gallery: Gallery) -> str:
    if len(gallery) > _MOST_PHOTOS:
        return ""
    photos, entries = gallery.manifest.photos, list(gallery.entries)
    known = {entry.path: entry.sha256 for entry in (*entries, *gallery.manifest.failures)}
    owned = all(person_named(entry.path.split("/")[0]) == person_named(entry.identity) for entry in entries)
    if not owned:
        return ""
    try:
        present = {photo.path: photo for photo in list_photos(photos)}
    except BadGallery:  # it is not there, or of other people
        return ""
    if not known.keys() & present.keys():  # another folder, or an index that was moved
        return ""
    taken_out = gallery.taken_out()
    new = [path for path in present if path not in known and path not in taken_out]
    gone = [path for path in known if path not in present]
    changed = _changed([photo for path, photo in present.items() if path in known], known, gallery.written)
    parts = [_counted(paths, word) for paths, word in ((new, "new"), (gone, "gone"), (changed, "changed")) if paths]
    if not parts:
        return ""
    return (f"The photos of {gallery.name} are not those that were indexed: {'; '.join(parts)}. Names and photos shown "
            "may be old: index the gallery again.")


def _changed(photos: Sequence[Photo], known: dict[str, str], made: float) -> list[str]:
    """Those of other content, among the photos that were written after the index was (made: when, in seconds)."""
    later = [photo for photo in photos if _written(photo.file) > made][:_MOST_READ]
    return [photo.path for photo in later if photo.sha256 != known[photo.path]]


def _written(file: Path) -> float:
    try:
        stat = file.stat()
    except OSError:
        return float("inf")
    return max(stat.st_mtime, stat.st_ctime)


def _counted(paths: Sequence[str], word: str) -> str:
    shown = ", ".join(paths[:_SHOWN]) + (", …" if len(paths) > _SHOWN else "")
    return f"{len(paths)} {word} ({shown})"

