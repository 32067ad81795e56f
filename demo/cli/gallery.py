"""``gallery``: build, describe and check galleries."""

from __future__ import annotations

import sys
from pathlib import Path

from tqdm import tqdm

from demo.backbones import Backbone, parse_grid
from demo.calibration import calibrate
from demo.cli.arguments import add_backbone, backbone_of, photo_progress
from demo.gallery import Freshness, Gallery, passed_over, people_left_out
from demo.identify import json_text
from demo.settings import settings


def add(commands) -> None:
    gallery = commands.add_parser("gallery", help="build, describe or check a gallery")
    actions = gallery.add_subparsers(dest="action", required=True, metavar="ACTION")
    build = actions.add_parser("build", help="index a folder that has one sub-folder per person")
    build.add_argument("folder", type=Path, metavar="FOLDER")
    build.add_argument("--out", type=Path, metavar="DIR", help="where to write (default: FOLDER/.index)")
    build.add_argument("--name", help="what the gallery is called (default: the folder's name)")
    build.add_argument("--grid", nargs="*", metavar="GRID",
                       help="grids of the backbone whose patches are kept, none if none is named; others are computed "
                            "when they are asked for (default: all)")
    add_backbone(build)
    build.set_defaults(run=_gallery_build)
    again = actions.add_parser("calibrate", help="measure again what a distance means, on an index that is there")
    again.add_argument("folder", type=Path, metavar="DIR")
    add_backbone(again)
    again.set_defaults(run=_gallery_calibrate)
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
    gallery = Gallery.build(parsed.folder, backbone, parsed.out, name=parsed.name, detector=parsed.detector,
                            limits=settings().limits, progress=photo_progress("Indexing"), grids=grids)
    _calibrated(gallery, backbone)
    print(f"{gallery.name}: {len(gallery)} photos of {len(gallery.people)} people, in {gallery.folder}.")
    _tell_what_is_left_out(gallery, parsed.folder)


def _tell_what_is_left_out(gallery: Gallery, folder: Path) -> None:
    for left in (*gallery.manifest.failures, *passed_over(folder)):
        print(f"left out {left.path}: {left.reason}")
    for person in people_left_out(gallery):
        print(f"{person} is not in the gallery: none of the photos can be used.")


def _gallery_calibrate(parsed) -> None:
    backbone = backbone_of(parsed)
    gallery = Gallery.open(parsed.folder, backbone, limits=settings().limits)
    _calibrated(gallery, backbone)
    print(f"{gallery.name} is calibrated, in {gallery.folder}.")


def _calibrated(gallery: Gallery, backbone: Backbone) -> None:
    calibrate(gallery, backbone, lambda jobs: tqdm(jobs, desc="Calibrating", file=sys.stderr))


def _gallery_info(parsed) -> None:
    gallery = Gallery.open(parsed.folder, parsed.backbone)
    if parsed.json:
        print(json_text(gallery.info()))
        return
    for key, value in gallery.info().items():
        print(f"{key:>15}: {', '.join(value) if isinstance(value, list) else value}")
    for failure in gallery.manifest.failures:
        print(f"       left out: {failure.path}: {failure.reason}")
    for person in people_left_out(gallery):
        print(f"   not in there: {person}, of whom no photo can be used")
    if told := Freshness(gallery).told():
        print(told)


def _gallery_verify(parsed) -> int:
    gallery = Gallery.open(parsed.folder, parsed.backbone)
    problems = gallery.verify()
    if parsed.json:
        print(json_text({"problems": problems}))
    else:
        print("\n".join(problems) or f"{gallery.name} is sound: {len(gallery)} photos, every hash as built.")
    return 1 if problems else 0
