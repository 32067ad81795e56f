"""Arguments that several commands share, and what they stand for."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from demo.backbones import Backbone, load_backbone, parse_grid
from demo.crossimage import CrossImageModel, load_h2l
from demo.errors import BadSetting
from demo.faces import DETECTORS
from demo.gallery import Photo, open_or_build
from demo.identify import Identifier
from demo.matching import SOLVERS, WEIGHTINGS
from demo.query import ALTERATIONS, STAGE2, Options
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
    parser.add_argument("--occlude", choices=ALTERATIONS, help="alter the (first) photo before anything else; "
                        "dodge and impersonate are white-box PGD on the backbone, not TALFW")
    parser.add_argument("--style", help="style of the alteration (default: drawn by seed)")
    add_photo(parser, several)


def add_photo(parser: argparse.ArgumentParser, several: bool = False) -> None:
    parser.add_argument("--seed", type=int, default=Options().seed)
    parser.add_argument("--aligned", action="store_true", help="photos are aligned crops: look for no face")
    if not several:
        parser.add_argument("--face", type=positive, default=1, help="which face of the photo, 1 = the largest")


def add_method(parser: argparse.ArgumentParser, several: bool = False) -> None:
    plain = Options()
    add_query(parser, several)
    parser.add_argument("--stage2", choices=STAGE2, default=plain.stage2)
    parser.add_argument("--stage2-weights", type=Path, metavar="FILE",
                        help="checkpoint of a cross-image model, trained here or published; it chooses the backbone "
                             "(a published one brings its own face CNN), so --backbone is left out")
    parser.set_defaults(backbone=None)  # so that one that is asked for can be told from the default
    parser.add_argument("--k", type=positive, default=plain.k, help="candidates to re-rank (default 100)")
    parser.add_argument("--share", type=float, default=plain.share,
                        help="of the patches' mass that transport must move; 0.7 lets the 30 %% that match worst, "
                             "such as occluded ones, stay out (default 1, the papers' EMD)")
    parser.add_argument("--adaptive", action="store_true",
                        help="raise alpha up to 0.9 for a query whose patches are out of place, as a crop's are")
    add_distance(parser, several)


def add_distance(parser: argparse.ArgumentParser, several: bool = False) -> None:
    plain = Options()
    parser.add_argument("--weighting", default=plain.weighting, choices=[*WEIGHTINGS, "all"] if several else WEIGHTINGS,
                        help=f"patch weighting (default {plain.weighting})")
    parser.add_argument("--alpha", type=float, default=plain.alpha,
                        help="share of the Stage 2 distance (default: 0.7 for emd, the model's own for others)")
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
    return load_backbone(parsed.backbone or settings().backbone, weights=parsed.weights, device=parsed.device,
                         **dict(parsed.backbone_option))


def model_of(parsed, stage2_weights: Path | None, kind: str) -> tuple[Backbone, CrossImageModel | None]:
    """The backbone asked for and no model; with ``stage2_weights`` the model of that file, on its backbone."""
    if not stage2_weights:
        return backbone_of(parsed), None
    asked = parsed.backbone or parsed.weights or parsed.backbone_option
    model = load_h2l(stage2_weights, device=parsed.device, backbone=backbone_of(parsed) if asked else None)
    if model.kind.lower() != kind:
        raise BadSetting(f"{stage2_weights.name} holds Model {model.kind}: use it with --stage2 {model.kind.lower()}.")
    return model.backbone, model


def identifier_of(parsed, stage2_weights: Path | None = None, photos: Sequence[Photo] | None = None) -> Identifier:
    """The backbone and gallery asked for; with ``stage2_weights`` the model of that file, on its backbone. photos:
    those of --gallery, where they do not lie in one folder per person."""
    backbone, model = model_of(parsed, stage2_weights, getattr(parsed, "stage2", ""))
    gallery = open_or_build(parsed.gallery, backbone, settings().cache, detector=parsed.detector,
                            progress=photo_progress("Indexing"), photos=photos)
    return Identifier(backbone, gallery, model)


def options_of(parsed) -> Options:
    return Options(
        stage2=parsed.stage2, weighting=parsed.weighting, alpha=parsed.alpha, k=parsed.k,
        grid=parse_grid(parsed.grid) if parsed.grid else None, solver=parsed.solver, occlusion=parsed.occlude,
        style=parsed.style, seed=parsed.seed, detector=parsed.detector, face=parsed.face - 1,
        aligned=parsed.aligned, share=parsed.share, adaptive=parsed.adaptive,
    )
