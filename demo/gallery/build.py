"""Photos of a folder → an index on disk. Only new and changed photos are computed, and only they are written where the
index is large."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from demo.backbones import Backbone, Grid, grid_name
from demo.errors import BadGallery, BadSetting
from demo.faces import DEFAULT_DETECTOR, Limits
from demo.gallery.compute import Progress, compute
from demo.gallery.draft import Draft, Schema
from demo.gallery.entries import Entry
from demo.gallery.folder import Photo, list_photos
from demo.gallery.home import Folder, Home, Store
from demo.gallery.manifest import EMBEDDINGS, INDEX_FOLDER, Crowded, Failure, Manifest, patches_file
from demo.gallery.part import files_of
from demo.gallery.revise import DRAFT, SEEN, SMALL, Place
from demo.gallery.seen import Seen

UNREADABLE = "The photo cannot be read."


def build_index(folder: str | Path, backbone: Backbone, out: str | Path | None = None, *,
                name: str | None = None, detector: str = DEFAULT_DETECTOR, limits: Limits = Limits(),
                progress: Progress | None = None, photos: Sequence[Photo] | None = None,
                grids: Sequence[Grid] | None = None, known: Path | None = None, home: Home | None = None) -> Home:
    """Index the photos of ``folder`` (one sub-folder per identity) for ``backbone``; returns where the index is.

    out: folder of indexes; this backbone's goes to ``out/<backbone>`` (default: ``folder/.index``). home: where it is
    kept instead.
    limits: of the photos. photos: those to index, with paths relative to the folder, where it has another layout.
    grids: of the backbone, whose patches are kept (default: all; there may be none); others are computed when they
    are asked for.
    A photo whose content is already in an index made with the same weights and detector is not computed again; known
    may be the folder of another index that is looked into, too. Photos that cannot be used are listed with reasons;
    BadGallery if none can. What is computed is on the disk at once: a build that is stopped or killed is gone on with
    by the next one. An index that was there before stays whole until the new one takes its place.
    """
    folder = Path(folder)
    photos = list_photos(folder) if photos is None else photos
    kept = _kept(backbone, grids)
    home = home or Folder(Path(out if out is not None else folder / INDEX_FOLDER) / backbone.name)
    target = home.workspace
    places, failed, crowded = {}, {"": UNREADABLE}, {}
    wanted: list[Place] = []
    digests = Seen(target / SEEN).digests(photos)
    old = _usable(home, backbone, detector, kept)
    if old is not None and _is_of(old, name or folder.resolve().name, folder, limits, kept, photos, digests):
        return home  # without a draft, so that readers of one folder neither wait for nor stop each other
    with Draft(target / DRAFT, made_by(backbone, detector, limits, kept), schema_of(backbone, kept)) as draft:
        old = _usable(home, backbone, detector, kept)
        other = None if known is None else _usable(Folder(known), backbone, detector, kept)
        for index in (other, old):
            if index is not None:
                places |= index.sources()
                failed |= {one.sha256: one.reason for one in index.manifest.failures if index.manifest.limits == limits}
                crowded |= {one.sha256: (one.faces, one.taken) for one in index.manifest.crowded}
        pairs = list(zip(photos, digests, strict=True))
        done = {*places, *failed, *draft.rows, *draft.failures}
        try:
            compute({digest: photo for photo, digest in pairs if digest not in done}, draft, backbone, detector, limits,
                    kept, progress, len(photos))
        finally:  # stopped or broken off: what is computed is kept, and the next build goes on from there
            fresh = draft.source()
            places |= {digest: (fresh, row) for digest, row in draft.rows.items()}
            failed |= draft.failures
            crowded |= draft.crowded
            wanted = [Place(Entry(photo.path, photo.identity, digest), *places[digest])
                      for photo, digest in pairs if digest in places]
            if wanted:
                manifest = Manifest(
                    name or folder.resolve().name, folder.resolve(), backbone.name, backbone.weights_sha256, detector,
                    kept, (), tuple(Failure(photo.path, digest, failed[digest])
                                    for photo, digest in pairs if digest in failed and digest not in places), limits,
                    crowded_of(wanted, crowded))
                gone, added = _difference(old, wanted)
                home.revise(old, manifest, gone, added, {photo.path: at for at, photo in enumerate(photos)})
            draft.done = True
    if not wanted:
        raise BadGallery(f"No photo of {folder} can be used: {failed[digests[0]]}")
    return home


def delete_gallery(folder: Path) -> None:
    """Delete a photo folder and the indexes in it. BadGallery while one of them is built."""
    indexes = folder / INDEX_FOLDER
    with ExitStack() as held:
        for index in sorted(indexes.iterdir()) if indexes.is_dir() else ():
            if index.is_dir():
                held.enter_context(Draft(index / DRAFT, None))
        for one in folder.iterdir():  # the photos first: who would build an index now finds none
            if one.is_dir() and not one.is_symlink():
                if one != indexes:
                    shutil.rmtree(one)
            else:
                one.unlink()
    shutil.rmtree(folder)


def crowded_of(places: Sequence[Place], known: Mapping[str, tuple[int, int]]) -> tuple[Crowded, ...]:
    """Those of some photos that show several faces. known: SHA-256 → how many, and which one is taken."""
    return tuple(Crowded(place.entry.path, place.entry.sha256, *known[place.entry.sha256]) for place in places
                 if place.entry.sha256 in known)


def _is_of(old: Store, name: str, folder: Path, limits: Limits, grids: Sequence[Grid], photos: Sequence[Photo],
           digests: Sequence[str]) -> bool:
    """Whether an index is just of these photos, as they are, under this name and these limits."""
    made = old.manifest
    asked = name, folder.resolve(), limits, tuple(grids)
    return (made.name, made.photos, made.limits, tuple(made.grids)) == asked and holds_just(
        old.entries, made.failures, photos, digests)


def holds_just(entries: Sequence[Entry], failures: Sequence[Failure], photos: Sequence[Photo],
               digests: Iterable[str]) -> bool:
    """Whether an index is of just these photos, as they are now. digests: SHA-256 of each."""
    there = {entry.path: (entry.identity, entry.sha256) for entry in entries}
    failed = {failure.path: failure.sha256 for failure in failures}
    return len(there) + len(failed) == len(photos) and all(
        there.get(photo.path) == (photo.identity, digest) or failed.get(photo.path) == digest
        for photo, digest in zip(photos, digests, strict=True))


def _difference(old: Store | None, wanted: Sequence[Place]) -> tuple[list[int], list[Place]]:
    """Rows of an index that are not wanted as they are, and what is wanted and not there."""
    if old is None:
        return [], list(wanted)
    missing, gone = {place.entry.path: place for place in wanted}, []
    for row, entry in enumerate(old.entries):
        if entry.path in missing and missing[entry.path].entry == entry:
            del missing[entry.path]
        else:
            gone.append(row)
    return gone, list(missing.values())


def _kept(backbone: Backbone, grids: Sequence[Grid] | None) -> tuple[Grid, ...]:
    """Those of a backbone's grids that are asked for, in its order."""
    offered = backbone.info.grids
    if unknown := [grid_name(grid) for grid in grids or () if grid not in offered]:
        raise BadSetting(f"{backbone.name} has no grid {', '.join(unknown)}: choose from "
                         f"{', '.join(map(grid_name, offered))}.")
    return offered if grids is None else tuple(grid for grid in offered if grid in grids)


def made_by(backbone: Backbone, detector: str, limits: Limits, grids: Sequence[Grid]) -> dict[str, object]:
    """Everything that a row of an index depends on beside the photo, as plain data."""
    return {"backbone": backbone.name, "weights": backbone.weights_sha256, "detector": detector,
            "limits": vars(limits), "grids": list(map(grid_name, grids))}


def schema_of(backbone: Backbone, grids: Sequence[Grid]) -> Schema:
    """The arrays of a row, with patches on these of the backbone's grids."""
    info = backbone.info
    channels = dict(zip(info.grids, info.channels, strict=True))
    return {**files_of(()), EMBEDDINGS: {"embeddings": (info.dim,)},
            **{patches_file(grid): {"patches": (grid[0] * grid[1], channels[grid])} for grid in grids}}


def _usable(home: Home, backbone: Backbone, detector: str, grids: Sequence[Grid]) -> Store | None:
    """The index that is already there, if it still speaks for this build. A small one is read whole, to see that it is
    as it was built."""
    try:
        old = home.open()
    except BadGallery:
        return None
    made = old.manifest
    if (made.weights_sha256, made.detector) != (backbone.weights_sha256, detector) or not set(grids) <= set(made.grids):
        return None
    return None if len(old) * old.row_bytes <= SMALL and old.damaged() else old
