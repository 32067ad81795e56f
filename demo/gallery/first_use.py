"""A gallery by its folder: opened where it is indexed, indexed where it is not."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha1
from pathlib import Path

from demo.backbones import Backbone
from demo.errors import BadGallery
from demo.faces import DEFAULT_DETECTOR, Limits
from demo.gallery.address import Address
from demo.gallery.compute import Progress
from demo.gallery.folder import Photo, list_photos, passed_over
from demo.gallery.index import Gallery
from demo.gallery.left_out import left_out
from demo.gallery.manifest import find_index
from demo.places import user_cache


def open_or_build(folder: str | Path, backbone: Backbone, cache: str | Path | None = None, *,
                  detector: str = DEFAULT_DETECTOR, limits: Limits = Limits(), progress: Progress | None = None,
                  photos: Sequence[Photo] | None = None, known: Path | None = None) -> Gallery:
    """The gallery of a folder, made if need be. limits, photos: as for ``demo.gallery.build.build_index``. known: an
    index, or a folder that has one, of which photos that are in it too are taken; it is opened itself where it is just
    of these photos.

    An index that is there for this backbone and its weights is opened as it is. Otherwise the folder's photos
    are indexed under ``cache`` (default: the user's cache folder), never inside the folder, and an index already
    there is brought up to date; ``left_out`` of the gallery tells what is not in it then. A gallery in a store is
    opened as it is.
    """
    if Address.of(folder) is not None:
        return Gallery.open(folder, backbone, limits=limits)
    place = str(Path(folder).resolve())
    if photos is None:
        try:
            return Gallery.open(folder, backbone, limits=limits)
        except BadGallery:
            list_photos(folder)  # says what is wrong with the folder, if anything is
    else:
        place = "\n".join([place, *(f"{photo.path},{photo.identity}" for photo in photos)])
    out = Path(cache or user_cache()) / sha1(place.encode()).hexdigest()[:16]
    grids = None
    if known is not None:
        known = find_index(known, backbone.name)
        there = Gallery.open(known, backbone, limits=limits)
        made = there.manifest
        wanted = list_photos(folder) if photos is None else photos
        if made.photos == Path(folder).resolve() and made.detector == detector and there.holds(wanted):
            return there
        grids = made.grids
    built = Gallery.build(folder, backbone, out, detector=detector, limits=limits, progress=progress, photos=photos,
                          known=known, grids=grids)
    built.left_out = left_out(built, passed_over(folder) if photos is None else ())
    return built
