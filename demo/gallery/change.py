"""A living gallery: single photos and people that come, go, or are called otherwise, in time proportional to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from demo.backbones import Backbone
from demo.errors import BadGallery
from demo.faces import Limits
from demo.gallery.build import UNREADABLE, crowded_of, made_by, schema_of
from demo.gallery.compute import Progress, compute
from demo.gallery.draft import Draft
from demo.gallery.entries import Entry
from demo.gallery.folder import Photo, list_photos
from demo.gallery.home import Folder, Home, Store, home_of
from demo.gallery.manifest import INDEX_FOLDER, MANIFEST, Failure
from demo.gallery.names import person_named
from demo.gallery.own import called, erase, move, told_of
from demo.gallery.revise import DRAFT, SEEN, Place
from demo.gallery.seen import Seen


def add_photos(index: Path | Home, backbone: Backbone, photos: Sequence[Photo], *, limits: Limits = Limits(),
               progress: Progress | None = None) -> tuple[Failure, ...]:
    """Add photos, with paths relative to its photo folder, to an index, or what changed in those that are there, in
    time proportional to them; returns those that cannot be used. limits: of the photos. BadGallery where the index was
    made with other weights."""
    home = home_of(index)
    made = home.manifest()
    if made.weights_sha256 != backbone.weights_sha256:
        raise BadGallery(f"The gallery {made.name} was built with other {made.backbone} weights: build it again.")
    with Draft(home.workspace / DRAFT, made_by(backbone, made.detector, limits, made.grids),
               schema_of(backbone, made.grids)) as draft:
        old = home.open()
        pairs = list(zip(photos, Seen(home.workspace / SEEN).digests(photos), strict=True))
        there = _rows_at(old, [photo.path for photo in photos])
        before = dict(zip(there, old.entries.take(list(there.values())), strict=True))
        pairs = [(photo, digest) for photo, digest in pairs
                 if before.get(photo.path) != Entry(photo.path, photo.identity, digest)]
        compute({digest: photo for photo, digest in pairs if digest and digest not in draft.rows}, draft, backbone,
                made.detector, limits, made.grids, progress)
        fresh, failed = draft.source(), {"": UNREADABLE, **draft.failures}
        failures = tuple(Failure(photo.path, digest, failed[digest]) for photo, digest in pairs if digest in failed)
        added = [Place(Entry(photo.path, photo.identity, digest), fresh, draft.rows[digest])
                 for photo, digest in pairs if digest in draft.rows]
        touched = {photo.path for photo, _ in pairs}
        kept = tuple(failure for failure in old.manifest.failures if failure.path not in touched)
        gone = [row for path, row in there.items() if path in touched]
        crowded = (*(one for one in old.manifest.crowded if one.path not in touched),
                   *crowded_of(added, draft.crowded))
        if added or len(gone) < len(old):
            home.revise(old, replace(old.manifest, parts=(), failures=kept + failures, crowded=crowded), gone, added)
        draft.done = True
    return failures


def remove_photos(index: Path | Home, paths: Sequence[str] = (), people: Sequence[str] = ()) -> int:
    """Take photos, by their paths, and all of some people out of an index; returns how many. The photos themselves stay
    where they are. BadGallery for what is not in it, where nothing would be left, and while the index is built."""
    home = home_of(index)
    with Draft(home.workspace / DRAFT, None):
        old = home.open()
        there = _rows_at(old, paths)
        if missing := next((path for path in paths if path not in there), None):
            raise BadGallery(f"The gallery {old.manifest.name} has no photo {missing}.")
        rows = set(there.values())
        for person in people:
            own = [row for name in old.people if person_named(name) == person_named(person)
                   for row in old.rows_of(name)]
            if not own:
                raise BadGallery(f"The gallery {old.manifest.name} has no person {person}.")
            rows.update(own)
        _follow(home, old, {entry.path: None for entry in old.entries.take(sorted(rows))})
    return len(rows)


def delete_photos(folder: Path, what: str, indexes: Sequence[Path | Home] = ()) -> int:
    """Erase a person's photos, or a single one (``ann/01.jpg``), from a gallery's folder, from every index that lies in
    it, and from others; returns how many. BadGallery where there are none, where nobody would be left, and while an
    index is built, where all stays as it was."""
    with _held(folder, indexes) as (folder, indexed):
        photos = called(folder, what)
        gone = dict.fromkeys(photo.path for photo in photos)
        if not indexed and len(photos) == len(list_photos(folder)):
            raise BadGallery("Nobody would be left: delete the gallery instead.")
        for home, store in indexed:
            _somebody_stays(home, store, len(_rows_at(store, list(gone))))
        for home, store in indexed:
            _follow(home, store, gone)
        erase(folder, photos)
    return len(photos)


def rename(folder: Path, old: str, new: str, indexes: Sequence[Path | Home] = ()) -> int:
    """Call a person otherwise, or give a single photo (``ann/01.jpg``) to another one, in a gallery's folder, in every
    index that lies in it, and in others; nothing is computed. Returns how many photos that are.

    new: a person, who may be there already: the photos join the others, under names that are free. BadGallery where
    there is no such photo or person, and while an index is built, where all stays as it was.
    """
    with _held(folder, indexes) as (folder, indexed):
        moved = move(folder, called(folder, old), new)
        for home, store in indexed:
            _follow(home, store, moved)
    return len(moved)


@contextmanager
def _held(folder: Path, indexes: Sequence[Path | Home]) -> Iterator[tuple[Path, list[tuple[Home, Store]]]]:
    """A gallery's folder, and every index of it, which nobody else changes meanwhile."""
    folder = folder.resolve()
    own = [Folder(found.parent) for found in sorted((folder / INDEX_FOLDER).glob(f"*/{MANIFEST}"))]
    others = (Folder(one.workspace.resolve()) if isinstance(one, Folder) else one for one in map(home_of, indexes))
    homes: list[Home] = [*own, *(one for one in others if one not in own)]
    with ExitStack() as held, told_of(folder):
        for home in homes:
            held.enter_context(Draft(home.workspace / DRAFT, None))
        yield folder, [(home, home.open()) for home in homes]


def _rows_at(store: Store, paths: Sequence[str]) -> dict[str, int]:
    """Path → row, of those that are there, in whatever spelling of their accents."""
    there = store.rows_at(paths)
    if others := {person_named(path): path for path in paths if path not in there and not path.isascii()}:
        there |= {others[spelled]: row for row, entry in enumerate(store.entries)
                  if (spelled := person_named(entry.path)) in others}
    return there


def _somebody_stays(home: Home, store: Store, gone: int) -> None:
    if gone == len(store):
        raise BadGallery(f"Nobody would be left in the gallery {store.manifest.name}: delete {home} instead.")


def _follow(home: Home, old: Store, changed: Mapping[str, Photo | None]) -> None:
    """Bring an index to what became of photos (path before → photo now, None where it is gone)."""
    there = _rows_at(old, list(changed))
    places = old.sources() if any(changed.values()) else {}
    added = [Place(Entry(photo.path, photo.identity, entry.sha256), *places[entry.sha256])
             for path, entry in zip(there, old.entries.take(list(there.values())), strict=True)
             if (photo := changed[path]) is not None]
    spelled = {person_named(path): photo for path, photo in changed.items()}
    _somebody_stays(home, old, len(there) - len(added))

    def told(of: Sequence) -> tuple:
        now = ((one, spelled.get(person_named(one.path), one)) for one in of)
        return tuple(replace(one, path=photo.path) for one, photo in now if photo is not None)

    manifest = replace(old.manifest, parts=(), failures=told(old.manifest.failures), crowded=told(old.manifest.crowded))
    home.revise(old, manifest, list(there.values()), added)
