"""Arguments that several commands share, and what they stand for."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from demo.backbones import Backbone, load_backbone
from demo.cli.options import add_fields, given
from demo.crossimage import CrossImageModel, load_h2l
from demo.errors import BadSetting
from demo.faces import PhotoAt, is_address
from demo.fields import LARGEST, changed, fields_of
from demo.gallery import Gallery, Photo, open_or_build
from demo.identify import Identifier
from demo.methods import METHODS, NONE, Matching, method_with, usual
from demo.presets import PRESETS, PUBLISHED, RECOMMENDED, preset
from demo.query import Preparation
from demo.settings import settings

#: Of the flags that are about the second of two photos.
SECOND = "-second"


def positive(text: str) -> int:
    return int(_within(int(text), 1, LARGEST))


def seed(text: str) -> int:
    return int(_within(int(text), 0, LARGEST))


def share(text: str) -> float:
    return _within(float(text), 0, 1)


def _within(value: float, low: float, high: float) -> float:
    if not low <= value <= high:  # as of what is no number
        raise argparse.ArgumentTypeError(f"must lie between {low} and {high}")
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
    add_fields(parser, [one for one in fields_of(Preparation) if one.name == "detector"])


def add_source(parser: argparse.ArgumentParser) -> None:
    chosen = settings()
    parser.add_argument("--gallery", type=Path, default=chosen.galleries / chosen.gallery, metavar="G",
                        help="gallery index, folder of photos, or gallery in a store: FILE.db#NAME, "
                             "milvus+http://HOST:PORT#NAME (default: the bundled synthetic people)")
    add_backbone(parser)


def add_preparation(parser: argparse.ArgumentParser, several: bool = False, *, alter: bool = True) -> None:
    """What happens to a photo. several: of many photos, of which the most prominent face is taken. alter: whether it
    may be altered. The detector goes with the backbone, since a gallery is built with it too."""
    out = {"detector"} | ({"face"} if several else set()) | (set() if alter else {"alteration", "style", "framing"})
    for one in fields_of(Preparation):
        if one.name not in out:
            add_fields(parser, [one], explicit=one.name == "framing")  # else a preset has its own


def add_second(parser: argparse.ArgumentParser) -> None:
    """What happens to the second of two photos, where it can differ from the first."""
    add_fields(parser, [one for one in fields_of(Preparation) if one.each], suffix=SECOND)


def add_method(parser: argparse.ArgumentParser, several: bool = False) -> None:
    """What happens to a photo, and how it is matched."""
    add_preparation(parser, several)
    parser.add_argument("--preset", choices=list(PRESETS), default=RECOMMENDED,
                        help="settings of the ranking that are not given: recommended (the defaults below), or "
                             f"published, as in the papers (default {RECOMMENDED})")
    add_matching(parser, several, explicit=True)
    parser.add_argument("--stage2-weights", type=Path, metavar="FILE",
                        help="checkpoint of a cross-image model, trained here or published; it chooses the backbone "
                             "(a published one brings its own face CNN), so --backbone is left out")
    parser.set_defaults(backbone=None)  # so that one that is asked for can be told from the default


def add_matching(parser: argparse.ArgumentParser, several: bool = False, leave_out: Collection[str] = (), *,
                 explicit: bool = False) -> None:
    """How faces are matched: the method, and the options of every method. leave_out: names of options. explicit: as of
    ``add_fields``."""
    for options in (Matching, *(method.Options for method in METHODS.values())):
        add_fields(parser, [one for one in fields_of(options) if one.name not in leave_out], several=several,
                   explicit=explicit)


def preparation_of(parsed: argparse.Namespace, suffix: str = "") -> Preparation:
    """What is asked of a photo. suffix: of the flags that are about another photo, where they differ."""
    values = given(parsed, Preparation) | (given(parsed, Preparation, suffix=suffix) if suffix else {})
    if suffix:  # what is not shared and not given is the default
        values |= {one.name: one.default for one in fields_of(Preparation)
                   if one.each and one.name not in given(parsed, Preparation, suffix=suffix)}
    published = getattr(parsed, "preset", RECOMMENDED) == PUBLISHED or getattr(parsed, "metrics", None) == "paper"
    preparation = changed(PRESETS[PUBLISHED if published else RECOMMENDED].prepared(Preparation()), values)
    preparation.check()
    return preparation


def matching_of(parsed: argparse.Namespace, asked: Collection[str] = ()) -> Matching:
    """How faces are matched: what is given, the rest as in the preset; by the method that takes it, unless one is
    named. asked: names of further options that are set. BadSetting where a flag that may be varied has several
    values."""
    values: dict[str, Any] = {}
    for options in (Matching, *(method.Options for method in METHODS.values())):
        values |= given(parsed, options)
    wanted = getattr(parsed, "preset", RECOMMENDED)
    if wanted == RECOMMENDED and hasattr(parsed, "backbone"):
        method = usual(parsed.backbone or settings().backbone, asked={*values, *asked})
        values = {"method": method.word} | values
    matching = preset(wanted).matching.having(**values)
    matching.check()
    return matching


def photo_progress(text: str):
    bars = []

    def update(done: int, total: int, path: str) -> None:
        if not bars:
            bars.append(tqdm(desc=text, unit="photo", total=total, initial=done - 1, file=sys.stderr))
        bars[0].update()
        if done == total:
            bars[0].close()

    return update


def photo_of(text: str) -> str | PhotoAt:
    """A photo as it is named: a path, or an address on a host that photos may come from."""
    return PhotoAt(text, settings().photo_hosts) if is_address(text) else text


def backbone_of(parsed) -> Backbone:
    return load_backbone(parsed.backbone or settings().backbone, weights=parsed.weights, device=parsed.device,
                         folder=settings().weights, **dict(parsed.backbone_option))


def model_of(parsed, stage2_weights: Path | None, kind: str) -> tuple[Backbone, CrossImageModel | None]:
    """The backbone asked for and no model; with ``stage2_weights`` the model of that file, on its backbone."""
    if not stage2_weights:
        return backbone_of(parsed), None
    asked = parsed.backbone or parsed.weights or parsed.backbone_option
    model = load_h2l(stage2_weights, device=parsed.device, backbone=backbone_of(parsed) if asked else None,
                     folder=settings().weights)
    if (word := method_with(model.kind).word) != kind:
        raise BadSetting(f"{stage2_weights.name} holds Model {model.kind}: use it with --stage2 {word}.")
    return model.backbone, model


def identifier_of(parsed, stage2_weights: Path | None = None, photos: Sequence[Photo] | None = None,
                  known: Path | None = None) -> Identifier:
    """The backbone and gallery asked for; with ``stage2_weights`` the model of that file, on its backbone. photos:
    those of --gallery, where they do not lie in one folder per person. known: an index with some of them."""
    backbone, model = model_of(parsed, stage2_weights, getattr(parsed, "stage2", NONE))
    gallery = open_or_build(parsed.gallery, backbone, settings().cache, detector=parsed.detector,
                            limits=settings().limits, progress=photo_progress("Indexing"), photos=photos, known=known)
    tell_left_out(gallery)
    identifier = Identifier(backbone, gallery, model)
    if photos is None and (told := identifier.freshness.told()):  # a list of some photos is indexed anew each time
        print(told, file=sys.stderr)
    return identifier


def tell_left_out(gallery: Gallery) -> None:
    """Say on standard error what is not in a gallery that was indexed on the way."""
    for sentence in gallery.left_out:
        print(sentence, file=sys.stderr)
