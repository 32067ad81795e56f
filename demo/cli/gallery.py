"""``gallery``: build, change, describe and check galleries."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from demo.backbones import Backbone, parse_grid
from demo.calibration import Calibration, calibrate
from demo.cli.arguments import add_backbone, backbone_of, photo_progress
from demo.errors import BadGallery, BadSetting
from demo.gallery import (
    INDEXES,
    Address,
    Freshness,
    Gallery,
    MilvusHome,
    add_photos,
    checked_person,
    left_out,
    measure_recall,
    passed_over,
    people_left_out,
    remove_photos,
    rename,
    take_in,
    what_is_missed,
)
from demo.identify import json_text
from demo.settings import settings
from demo.words import photos_are

_UNMEASURED = (" What distances mean in it is taken from other people until it is measured again: "
               "'gallery calibrate'.")


def add(commands) -> None:
    gallery = commands.add_parser("gallery", help="build, change, describe or check a gallery")
    actions = gallery.add_subparsers(dest="action", required=True, metavar="ACTION")
    build = actions.add_parser("build", help="index a folder that has one sub-folder per person")
    build.add_argument("folder", type=Path, metavar="FOLDER")
    build.add_argument("--out", type=Path, metavar="DIR", help="where to write (default: FOLDER/.index)")
    build.add_argument("--name", help="what the gallery is called (default: the folder's name)")
    build.add_argument("--grid", nargs="*", metavar="GRID",
                       help="grids of the backbone whose patches are kept, none if none is named; others are computed "
                            "when they are asked for (default: all)")
    build.add_argument("--store", metavar="STORE",
                       help="keep it in Milvus instead: FILE.db, milvus (a file beside the photos), or "
                            "milvus+http://HOST:PORT, a server; a gallery there is named FILE.db#NAME or "
                            "milvus+http://HOST:PORT#NAME wherever DIR or G stands")
    build.add_argument("--store-index", choices=INDEXES, help="by which the store searches: FLAT is exact (default: "
                       "that of the gallery that is there, else FLAT)")
    add_backbone(build)
    build.set_defaults(run=_gallery_build)
    again = actions.add_parser("calibrate", help="measure again what a distance means, on an index that is there")
    again.add_argument("folder", type=Path, metavar="DIR")
    add_backbone(again)
    again.set_defaults(run=_gallery_calibrate)
    more = actions.add_parser("add", help="take single photos of a person into an index that is there")
    more.add_argument("folder", type=Path, metavar="DIR")
    more.add_argument("photos", nargs="+", type=Path, metavar="PHOTO",
                      help="files; those that lie elsewhere are copied into the person's folder in the gallery")
    more.add_argument("--person", metavar="NAME", help="whose they are (default: the folder that they lie in)")
    add_backbone(more)
    more.set_defaults(run=_gallery_add)
    less = actions.add_parser("remove", help="take single photos or people out of an index; the files stay")
    less.add_argument("folder", type=Path, metavar="DIR")
    less.add_argument("--photo", action="append", default=[], metavar="PATH",
                      help="path within the gallery, such as ann/01.jpg; may be given several times")
    less.add_argument("--person", action="append", default=[], metavar="NAME",
                      help="everything of this person; may be given several times")
    less.add_argument("--backbone", default=settings().backbone)
    less.set_defaults(run=_gallery_remove)
    other = actions.add_parser("rename", help="call a person otherwise, or give single photos to another person: files "
                               "are moved, nothing is computed")
    other.add_argument("folder", type=Path, metavar="DIR")
    which = other.add_mutually_exclusive_group(required=True)
    which.add_argument("--person", metavar="NAME", help="everything of this person")
    which.add_argument("--photo", metavar="PATH", help="path within the gallery, such as ann/01.jpg")
    other.add_argument("--to", required=True, metavar="NAME", help="who it is; a person who is there already gets more "
                       "photos")
    other.add_argument("--backbone", default=settings().backbone)
    other.set_defaults(run=_gallery_rename)
    for word, run, text in (("info", _gallery_info, "what a gallery holds and what made it"),
                            ("verify", _gallery_verify, "whether photos and index still belong together")):
        action = actions.add_parser(word, help=text)
        action.add_argument("folder", type=Path, metavar="DIR")
        action.add_argument("--backbone", default=None)
        action.add_argument("--json", action="store_true")
        action.set_defaults(run=run)


def _gallery_build(parsed) -> None:
    backbone = backbone_of(parsed)
    grids = None if parsed.grid is None else [parse_grid(text) for text in parsed.grid]
    home = _home(parsed, backbone)
    gallery = Gallery.build(parsed.folder, backbone, parsed.out, name=home.address.name if home else parsed.name,
                            detector=parsed.detector, limits=settings().limits, progress=photo_progress("Indexing"),
                            grids=grids, home=home)
    _calibrated(gallery, backbone)
    print(f"{gallery.name}: {len(gallery)} photos of {gallery.persons} people, in {gallery.home}.")
    for sentence in left_out(gallery, passed_over(parsed.folder)):
        print(sentence)


def _home(parsed, backbone: Backbone) -> MilvusHome | None:
    """Where --store says that the gallery is kept; None where it does not."""
    if not parsed.store:
        if parsed.store_index:
            raise BadSetting("--store-index is about a store: name it with --store.")
        return None
    if parsed.out:
        raise BadSetting("A gallery is kept in one place: --out or --store.")
    address = Address.to_build(parsed.store, parsed.folder)
    named = parsed.name or address.name or parsed.folder.resolve().name
    return MilvusHome(replace(address, name=named), backbone.name, parsed.store_index)


def _gallery_add(parsed) -> None:
    backbone = backbone_of(parsed)
    gallery = Gallery.open(parsed.folder, backbone)
    photos = take_in([(file, parsed.person or file.resolve().parent.name) for file in parsed.photos],
                     gallery.manifest.photos)
    failures = add_photos(gallery.home, backbone, photos, limits=settings().limits,
                          progress=photo_progress("Indexing"))
    print(f"{gallery.name}: {photos_are(len(photos) - len(failures))} taken in.{_UNMEASURED}")
    for failure in failures:
        print(f"left out {failure.path}: {failure.reason}")
    taken = {photo.path for photo in photos}
    for one in gallery.home.manifest().crowded:
        if one.path in taken:
            print(f"{one.path} {one.told}")


def _gallery_remove(parsed) -> None:
    gallery = Gallery.open(parsed.folder, parsed.backbone)
    count = remove_photos(gallery.home, parsed.photo, parsed.person)
    print(f"{gallery.name}: {photos_are(count)} taken out. The files stay where they are, and a build takes them in "
          f"again.{_UNMEASURED}")


def _gallery_rename(parsed) -> None:
    gallery = Gallery.open(parsed.folder, parsed.backbone)
    count = rename(gallery.manifest.photos, parsed.person or parsed.photo, parsed.to, [gallery.home])
    print(f"{gallery.name}: {photos_are(count)} {checked_person(parsed.to)}'s now.{_UNMEASURED}")


def _gallery_calibrate(parsed) -> None:
    backbone = backbone_of(parsed)
    gallery = Gallery.open(parsed.folder, backbone, limits=settings().limits)
    _calibrated(gallery, backbone)
    print(f"{gallery.name} is calibrated, in {gallery.home}.")


def _calibrated(gallery: Gallery, backbone: Backbone) -> None:
    calibrate(gallery, backbone, lambda jobs: tqdm(jobs, desc="Calibrating", file=sys.stderr))
    if gallery.index:
        measure_recall(gallery)


def _gallery_info(parsed) -> None:
    gallery = Gallery.open(parsed.folder, parsed.backbone)
    if parsed.json:
        missed = what_is_missed(gallery)
        print(json_text({**gallery.info(), **({"missed": missed} if missed else {})}))
        return
    for key, value in gallery.info().items():
        print(f"{key:>15}: {', '.join(value) if isinstance(value, list) else value}")
    try:
        passed = passed_over(gallery.manifest.photos)
    except BadGallery:  # the photos are elsewhere
        passed = []
    for left in (*gallery.manifest.failures, *passed):
        print(f"       left out: {left.path}: {left.reason}")
    for one in gallery.manifest.crowded:
        print(f"  several faces: {one.path} {one.told}")
    for person in people_left_out(gallery, passed):
        print(f"   not in there: {person}, of whom no photo can be used")
    for told in (what_is_missed(gallery), Freshness(gallery).told(), Calibration(gallery).damage):
        if told:
            print(told)


def _gallery_verify(parsed) -> int:
    gallery = Gallery.open(parsed.folder, parsed.backbone)
    problems = [*gallery.verify(), *filter(None, [Calibration(gallery).damage])]
    if parsed.json:
        print(json_text({"problems": problems}))
    else:
        print("\n".join(problems) or f"{gallery.name} is sound: {len(gallery)} photos, every hash as built.")
    return 1 if problems else 0
