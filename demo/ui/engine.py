"""What all visitors share: loaded backbones and opened galleries. Each is loaded once, on first use."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch

from demo.backbones import Backbone, BackboneInfo, available, load_backbone
from demo.calibration import calibrate
from demo.errors import BadGallery, DemoError
from demo.faces import PhotoAt
from demo.gallery import (
    Failure,
    Gallery,
    add_photos,
    delete_gallery,
    delete_photos,
    find_index,
    has_photos,
    list_photos,
    open_or_build,
    rename,
    take_in,
)
from demo.gallery.compute import Progress
from demo.gallery.manifest import MANIFEST, Manifest
from demo.gallery.opened import Opened
from demo.gallery.own import erase
from demo.identify import Identifier
from demo.matching import warm_up
from demo.settings import Settings
from demo.ui import zero

log = logging.getLogger("demo")

#: Seconds that one step of long work waits for answers at most.
PATIENCE = 10


@dataclass(frozen=True)
class GalleryState:
    """A gallery folder as the page lists it. indexed: backbone → photos indexed for it."""

    name: str
    people: int
    photos: int
    indexed: dict[str, int]


class Engine:
    """Thread-safe: a lock per thing that is being loaded, so that one slow build does not hold up the others."""

    def __init__(self, settings: Settings):
        self.settings = settings
        if settings.threads:
            torch.set_num_threads(settings.threads)
        self._guard = threading.Lock()
        self._locks: dict[tuple, threading.Lock] = {}
        self._backbones: dict[str, Backbone] = {}
        self._identifiers: dict[tuple[str, str], Identifier] = {}
        self._answering = 0
        self.answered = 0  # so many answers were computed
        self._idle = threading.Condition()
        self.ready = False  # whether the first visitor would be answered at once

    @contextmanager
    def answering(self) -> Iterator[None]:
        """While somebody waits for an answer: long work in other threads makes way (see ``give_way``)."""
        with self._idle:
            self._answering += 1
        try:
            yield
        finally:
            with self._idle:
                self._answering -= 1
                self.answered += 1
                self._idle.notify_all()

    def give_way(self) -> None:
        """Called between two steps of long work: waits while answers are computed, but not for ever."""
        with self._idle:
            self._idle.wait_for(lambda: not self._answering, timeout=PATIENCE)

    def allowed(self, photo):
        """A photo as it was sent; one that is an address, with the hosts that it may be fetched from."""
        return replace(photo, hosts=self.settings.photo_hosts) if isinstance(photo, PhotoAt) else photo

    def _lock(self, *key) -> threading.Lock:
        with self._guard:
            return self._locks.setdefault(key, threading.Lock())

    def backbones(self) -> list[BackboneInfo]:
        """Every backbone and whether it is ready."""
        return available(self.settings.weights)

    def info(self, name: str) -> BackboneInfo:
        """What is known of one backbone."""
        return next(info for info in self.backbones() if info.name == name)

    def backbone(self, name: str) -> Backbone:
        """The loaded backbone; WeightsMissing where it is not ready."""
        with self._lock("backbone", name):
            if name not in self._backbones:
                self._backbones[name] = zero.lend(load_backbone(name, device=zero.device(self.settings.device),
                                                                folder=self.settings.weights))
            return self._backbones[name]

    def gallery_names(self) -> list[str]:
        """Every gallery that holds photos of people, the default first."""
        return list(self.folders())

    def folders(self) -> dict[str, Path]:
        """Name → folder, of every gallery, the default first. One that was added does not hide one of the host's of the
        same name."""
        found: dict[str, Path] = {}
        for root in dict.fromkeys((self.settings.galleries, self.settings.added)):
            for folder in sorted(root.iterdir()) if root.is_dir() else ():
                if not folder.name.startswith(".") and has_photos(folder):
                    found.setdefault(folder.name, folder)
        return {name: found[name] for name in sorted(found, key=lambda name: name != self.settings.gallery)}

    def folder(self, gallery: str) -> Path:
        """The photo folder of a gallery; BadGallery for a name that is not listed."""
        folder = self.folders().get(gallery)
        if folder is None:
            raise BadGallery(f"There is no gallery {gallery!r}.")
        return folder

    def counts(self) -> dict[str, tuple[int, int]]:
        """Photos and people of every gallery, the default first: of its index, counted once for each state of it, or of
        the folder where it has none yet."""
        return {name: _counts(folder) for name, folder in self.folders().items()}

    def opens(self, gallery: str, backbone: str) -> bool:
        """Whether a gallery can be used with a backbone at once: it is open, or its folder holds an index for it."""
        if (gallery, backbone) in self._identifiers:
            return True
        try:
            Gallery.open(self.folder(gallery), self.backbone(backbone), limits=self.settings.limits)
        except BadGallery:
            return False
        return True

    def identifier(self, gallery: str, backbone: str, progress: Progress | None = None) -> Identifier:
        """The identifier of a gallery and a backbone; the gallery is indexed for it first if it is not yet."""
        folder = self.folder(gallery)
        network = self.backbone(backbone)
        with self._lock("identifier", gallery, backbone):
            if (gallery, backbone) not in self._identifiers:
                opened = open_or_build(folder, network, self.settings.cache, limits=self.settings.limits,
                                       progress=progress)
                self._identifiers[gallery, backbone] = Identifier(network, opened)
            return self._identifiers[gallery, backbone]

    def opened(self, gallery: str) -> Gallery:
        """A gallery as it is indexed, for the usual backbone where it is for that. BadGallery where for none."""
        usual = self.settings.backbone
        if (gallery, usual) in self._identifiers:
            return self._identifiers[gallery, usual].gallery
        return Gallery.open(self.folder(gallery), usual if usual in self.state(gallery).indexed else None)

    def state(self, gallery: str) -> GalleryState:
        """People and photos of a gallery, and how many photos are indexed for each backbone."""
        photos = list_photos(self.folder(gallery))
        indexed = {}
        for info in self.backbones():
            try:
                indexed[info.name] = len(Manifest.read(find_index(self.folder(gallery), info.name)))
            except BadGallery:
                if (gallery, info.name) in self._identifiers:
                    indexed[info.name] = len(self._identifiers[gallery, info.name].gallery)
        return GalleryState(gallery, len({photo.identity for photo in photos}), len(photos), indexed)

    def build(self, gallery: str, backbone: str, progress: Progress | None = None, measure=iter) -> Gallery:
        """Index a gallery again (only new and changed photos are computed) and calibrate it."""
        network = self.backbone(backbone)
        with self._lock("identifier", gallery, backbone):
            built = Gallery.build(self.folder(gallery), network, limits=self.settings.limits, progress=progress)
            calibrate(built, network, progress=measure)
            self._identifiers[gallery, backbone] = Identifier(network, built)
        return built

    def add(self, gallery: str, photos: Sequence[tuple[str | Path, str]],
            progress: Progress | None = None) -> tuple[Failure, ...]:
        """Take photos, (file, person) each, into a gallery for every backbone that it is indexed for; returns those
        that cannot be used, which are not kept."""
        with self._changing(gallery) as opened:
            kept = take_in(photos, self.folder(gallery))
            failures: dict[str, Failure] = {}
            for one in opened:
                told = add_photos(one.gallery.home, one.backbone, kept, limits=self.settings.limits, progress=progress)
                failures |= {failure.path: failure for failure in told}
            erase(self.folder(gallery), [photo for photo in kept if photo.path in failures])
        return tuple(failures.values())

    def rename(self, gallery: str, what: str, person: str) -> int:
        """Call a person otherwise, or give a photo to another one; returns how many photos that are."""
        with self._changing(gallery) as opened:
            return rename(self.folder(gallery), what, person, [one.gallery.home for one in opened])

    def erase(self, gallery: str, what: str) -> int:
        """Delete the photos of a person, or a single one; returns how many."""
        with self._changing(gallery) as opened:
            return delete_photos(self.folder(gallery), what, [one.gallery.home for one in opened])

    @contextmanager
    def _changing(self, gallery: str) -> Iterator[list[Identifier]]:
        """A gallery for every backbone that it is indexed for, of which nobody opens one meanwhile; afterwards who asks
        gets it as it is then. BadGallery for the one that the app opens first: its examples are about its people."""
        if gallery == self.settings.gallery:
            raise BadGallery("The gallery that the app opens first is not changed here.")
        indexed = sorted(self.state(gallery).indexed)
        opened = [self.identifier(gallery, backbone) for backbone in indexed]
        with ExitStack() as held:
            for backbone in indexed:
                held.enter_context(self._lock("identifier", gallery, backbone))
            try:
                yield opened
            finally:
                self._close(gallery)

    def forget(self, gallery: str) -> None:
        """Delete a gallery folder with its photos and indexes; BadGallery while one of them is built."""
        delete_gallery(self.folder(gallery))
        self._close(gallery)

    def _close(self, gallery: str) -> None:
        with self._guard:
            self._identifiers = {key: value for key, value in self._identifiers.items() if key[0] != gallery}

    def warm_up(self) -> None:
        """Load the default backbone and gallery and run once, so that no visitor waits for it, what that needs of the
        solver compiled; then compile the rest of it, which takes long where it was never compiled before."""
        identifier = self.identifier(self.settings.gallery, self.settings.backbone)
        identifier.identify(identifier.gallery.photo_file(0))
        identifier.prepare_all()
        self.ready = True
        warm_up()

    def warm_up_in_background(self) -> None:
        """``warm_up`` in a thread, so that the page is served meanwhile; a problem is logged, not fatal."""

        def work() -> None:
            try:
                self.warm_up()
                log.info("ready: gallery %s, backbone %s", self.settings.gallery, self.settings.backbone)
            except DemoError as error:
                log.warning("not ready: %s", error)

        threading.Thread(target=work, name="warm-up", daemon=True).start()


def _counts(folder: Path) -> tuple[int, int]:
    try:
        index = find_index(folder)
        state = (index / MANIFEST).stat()
        return _indexed(index, state.st_mtime_ns, state.st_size)
    except (BadGallery, OSError):
        photos = list_photos(folder)
        return len(photos), len({one.identity for one in photos})


@lru_cache(256)
def _indexed(index: Path, *_: int) -> tuple[int, int]:
    """Photos and people of an index in some state of its manifest."""
    opened = Opened(index)
    return len(opened), len(opened.people)
