"""``calibrate``: measure what distances mean on folders of people, for galleries that cannot tell by themselves."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from demo.calibration import Source, choose_photos, held_out, measure_reference, reference_file
from demo.calibration.people import OTHERS, PEOPLE, judging
from demo.cli.arguments import add_backbone, backbone_of, photo_progress, positive, tell_left_out
from demo.gallery import open_or_build
from demo.methods import METHODS
from demo.settings import settings


def named_folder(text: str) -> tuple[str, Path]:
    name, equals, folder = text.partition("=")
    if not (name.strip() and equals and folder) or "/" in name:
        raise argparse.ArgumentTypeError("is written NAME=FOLDER, the name without a slash")
    return name.strip(), Path(folder)


def add(commands) -> None:
    parser = commands.add_parser("calibrate", help="measure what distances mean on folders of people")
    parser.add_argument("--from", dest="sharp", action="append", default=[], type=named_folder, metavar="NAME=FOLDER",
                        help="photos as they are, of one kind, told by this name: one sub-folder per person, or photos "
                             "of different people (may be given again)")
    parser.add_argument("--soft", action="append", default=[], type=named_folder, metavar="NAME=FOLDER",
                        help="the same, made soft first, as small and compressed photos are (may be given again)")
    parser.add_argument("--most", type=positive, default=PEOPLE, metavar="N",
                        help=f"people with two photos to measure, of each folder (default {PEOPLE})")
    parser.add_argument("--others", type=positive, default=OTHERS, metavar="N",
                        help=f"further people, one photo each (default {OTHERS})")
    parser.add_argument("--out", type=Path, metavar="FILE",
                        help="kept here after every folder, and what is there for the same photos is not measured "
                             "again (default: calibration-BACKBONE.safetensors in the weights folder)")
    add_backbone(parser)
    parser.set_defaults(run=_calibrate)


def _calibrate(parsed) -> None:
    backbone = backbone_of(parsed)
    out = parsed.out or settings().weights / reference_file(backbone)
    sources = []
    for soft, folders in ((False, parsed.sharp), (True, parsed.soft)):
        for name, folder in folders:
            photos = choose_photos(folder, parsed.most, parsed.others)
            gallery = open_or_build(folder, backbone, settings().cache, detector=parsed.detector,
                                    limits=settings().limits, progress=photo_progress(f"Indexing {name}"),
                                    photos=photos)
            tell_left_out(gallery)
            sources.append(Source(name, gallery, soft))
    known = measure_reference(sources, backbone, out, lambda steps: tqdm(steps, desc="Calibrating", file=sys.stderr))
    for one in known.sources.values():
        print(f"{one.name}: {one.photos} photos of {one.people} people{', made soft' if one.soft else ''}; a hundredth "
              f"is softer than {one.sharpness['plain']:.3f}.")
    print("\nHeld out: each of them judged by the others, percent\n\n| photos | altered | method | one person called "
          "different | strangers called same |\n|---|---|---|---|---|")
    for one in held_out(known, judging(backbone)):
        different = "" if one.different is None else f"{100 * one.different:.1f}"
        print(f"| {one.source} | {one.kind} | {METHODS[one.method].short} | {different} | {100 * one.same:.1f} |")
    print(f"\n{out}: {out.stat().st_size / 1e3:.0f} kB.")
