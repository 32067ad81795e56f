"""Whether the photos of a gallery are still those that were indexed: cheap enough to ask with every answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from demo.errors import BadGallery
from demo.gallery.folder import Photo, list_photos
from demo.gallery.index import Gallery
from demo.gallery.manifest import INDEX_FOLDER
from demo.gallery.names import person_named

#: Seconds for which one look at the folder counts, and so many times as long as the look took: a gallery of a million
#: photos is not looked through all the time.
_PATIENCE, _SHARE = 5.0, 20
#: Of larger galleries the folder is looked through beside the answers, where nobody waits for it.
_AT_ONCE = 20_000
#: Photos whose content is read at one look, of those that were written after the index.
_MOST_READ = 2_000
_SHOWN = 3


class Freshness:
    """Asks the folder of a gallery what has changed since it was indexed. Threads may share one: while one looks, the
    others go by what the last look found."""

    def __init__(self, gallery: Gallery, clock: Callable[[], float] = time.monotonic):
        self._gallery, self._clock = gallery, clock
        self._lock = threading.Lock()
        self._next, self._told = float("-inf"), ""
        self._same: dict[str, float] = {}

    def told(self, wait: bool = True) -> str:
        """What has changed, in a sentence or two; "" where nothing has, or where that cannot be known: the photos are
        not there, do not lie in a folder per person, or the index was taken away from them. wait: also for a look at
        a large folder; else what the last look found is told, and the next one has begun."""
        if self._clock() > self._next:
            if wait or len(self._gallery.entries) <= _AT_ONCE:
                self._look(wait=self._next == float("-inf"))
            else:
                threading.Thread(target=self._look, args=(False,), daemon=True).start()
        return self._told

    def _look(self, wait: bool) -> None:
        if not self._lock.acquire(blocking=wait):
            return
        try:
            if self._clock() > self._next:
                start = time.perf_counter()
                self._told = self._sentence()
                self._next = self._clock() + max(_PATIENCE, _SHARE * (time.perf_counter() - start))
        finally:
            self._lock.release()

    def _sentence(self) -> str:
        gallery = self._gallery
        entries = list(gallery.entries)
        if not all(person_named(entry.path.split("/")[0]) == person_named(entry.identity) for entry in entries):
            return ""
        try:
            present = {person_named(photo.path): photo for photo in list_photos(gallery.manifest.photos)}
        except BadGallery:  # the photos are not there
            return ""
        known = {person_named(one.path): one.sha256 for one in (*entries, *gallery.manifest.failures)}
        if not known.keys() & present.keys() and _taken_away(gallery):
            return ""
        taken_out = set(map(person_named, gallery.taken_out()))
        new = [path for path in present if path not in known and path not in taken_out]
        gone = [path for path in known if path not in present]
        changed = self._changed({path: photo for path, photo in present.items() if path in known}, known)
        parts = [_counted(paths, word) for paths, word in ((new, "new"), (gone, "gone"), (changed, "changed")) if paths]
        if not parts:
            return ""
        return (f"The photos of {gallery.name} are not those that were indexed: {'; '.join(parts)}. Names and photos "
                "shown may be old: index the gallery again.")

    def _changed(self, photos: dict[str, Photo], known: dict[str, str]) -> list[str]:
        """Those of other content, among the photos that were written after the index was: read where that has not been
        done since they were written, the first few of them at this look."""
        made, read, changed = self._gallery.written, 0, []
        for path, photo in photos.items():
            written = _written(photo.file)
            if written <= made or self._same.get(path) == written:
                continue
            if read == _MOST_READ:
                break
            read += 1
            if photo.sha256 == known[path]:
                self._same[path] = written
            else:
                changed.append(path)
        return changed


def _taken_away(gallery: Gallery) -> bool:
    """Whether what an index takes for its photos may be other people's: it finds them by where it lies itself, and lies
    elsewhere than in the place that is made for it."""
    folder, photos = gallery.folder.resolve(), gallery.manifest.photos.resolve()
    return folder.is_relative_to(photos) and folder.relative_to(photos).parts[:1] != (INDEX_FOLDER,)


def _written(file: Path) -> float:
    try:
        stat = file.stat()
    except OSError:
        return float("inf")
    return max(stat.st_mtime, stat.st_ctime)


def _counted(paths: Sequence[str], word: str) -> str:
    shown = ", ".join(paths[:_SHOWN]) + (", …" if len(paths) > _SHOWN else "")
    return f"{len(paths)} {word} ({shown})"
