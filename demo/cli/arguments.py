"""Arguments that several commands share, and what they stand for."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from demo.backbones import Backbone, load_backbone, parse_grid
from demo.faces import DETECTORS, OCCLUSIONS
from demo.gallery import open_or_build
from demo.identify import Identifier
from demo.matching import SOLVERS, WEIGHTINGS
from demo.query import STAGE2, Options
from demo.settings import settings


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def backbone_option(text: str) -> tuple[str, str | bool]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError("is written NAME=VALUE")
    return name, {"true": True, "false": False}.get(value, value)


def add_backbone(parser: argparse.ArgumentParser) -> None:
    chosen = settings()
    parser.add_argument("--backbone", default=chosen.backbone, help=f"default {chosen.backbone}")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="weights file of the backbone")
    parser.add_argument("--backbone-option", action="append", default=[], type=backbone_option, metavar="NAME=VALUE",
                        help="further choice of the backbone, such as alignment=five-point, flip=true, compat=authors")
    parser.add_argument("--device", default=chosen.device, help="auto, cpu or cuda (default auto)")
    parser.add_argument("--detector", default="hog", choices=DETECTORS, help="face detector (default hog)")


def add_source(parser: argparse.ArgumentParser) -> None:
    chosen = settings()
    parser.add_argument("--gallery", type=Path, default=chosen.galleries / chosen.gallery, metavar="G",
                        help="gallery index or folder of photos (default: the bundled synthetic people)")
    add_backbone(parser)


def add_query(parser: argparse.ArgumentParser, several: bool = False) -> None:
    parser.add_argument("--occlude", choices=OCCLUSIONS, help="alter the (first) photo before anything else")
    parser.add_argument("--style", help="style of the occlusion (default: drawn by seed)")
    parser.add_argument("--seed", type=int, default=Options().seed)
    parser.add_argument("--aligned", action="store_true", help="photos are aligned crops: look for no face")
    if not several:
        parser.add_argument("--face", type=positive, default=1, help="which face of the photo, 1 = the largest")


def add_method(parser: argparse.ArgumentParser, several: bool = False) -> None:
    plain = Options()
    add_query(parser, several)
    parser.add_argument("--stage2", choices=STAGE2, default=plain.stage2)
    parser.add_argument("--weighting", default=plain.weighting, choices=[*WEIGHTINGS, "all"] if several else WEIGHTINGS,
                        help=f"patch weighting (default {plain.weighting})")
    parser.add_argument("--alpha", type=float, default=plain.alpha,
                        help="share of the Stage 2 distance (default: 0.7 for emd, the model's own for others)")
    parser.add_argument("--k", type=positive, default=plain.k, help="candidates to re-rank (default 100)")
    parser.add_argument("--grid", default=None, help="patches, ROWSxCOLS (default: the backbone's finest)"
                        + (", or all" if several else ""))
    parser.add_argument("--solver", default=plain.solver, choices=["auto", *SOLVERS])


def photo_progress(text: str):
    bars = []

    def update(done: int, total: int, path: str) -> None:
        if not bars:
            bars.append(tqdm(desc=text, unit="photo", total=total, initial=done - 1, file=sys.stderr))
        bars[0].update()
        if done == total:
            bars[0].close()

    return update


def backbone_of(parsed) -> Backbone:
    return load_backbone(parsed.backbone, weights=parsed.weights, device=parsed.device,
                         **dict(parsed.backbone_option))


def identifier_of(parsed) -> Identifier:
    backbone = backbone_of(parsed)
    gallery = open_or_build(parsed.gallery, backbone, settings().cache, detector=parsed.detector,
                            progress=photo_progress("Indexing"))
    return Identifier(backbone, gallery)


def options_of(parsed) -> Options:
    return Options(
        stage2=parsed.stage2, weighting=parsed.weighting, alpha=parsed.alpha, k=parsed.k,
        grid=parse_grid(parsed.grid) if parsed.grid else None, solver=parsed.solver, occlusion=parsed.occlude,
        style=parsed.style, seed=parsed.seed, detector=parsed.detector, face=parsed.face - 1,
        aligned=parsed.aligned,
    )
