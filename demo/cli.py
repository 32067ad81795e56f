"""``python -m demo``: every capability without a browser.

Answers go to standard output, progress and problems to standard error. Exit status 2 means that the input
cannot be used; the last line says why.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from tqdm import tqdm

import demo
from demo.backbones import Backbone, load_backbone, parse_grid
from demo.checkpoints import check_file
from demo.crossimage.recipe import split_people, train_model
from demo.crossimage.train import Training
from demo.crossimage.views import LabelledPhoto
from demo.errors import DemoError
from demo.evaluation import evaluate, leave_one_out, query_folder
from demo.explain import board_figure, moved, pair_figure, save_figure
from demo.faces import DETECTORS, OCCLUSIONS
from demo.figures import board, crops_of, verified_pair
from demo.gallery import PHOTO_SUFFIXES, Gallery, list_photos, measure_impostors, open_or_build
from demo.identify import STAGE2, Identifier, Options, json_text
from demo.matching import SOLVERS, WEIGHTINGS, weighting_problems
from demo.settings import settings
from demo.thresholds import measure_pairs
from demo.verify import WORDS, agreement, verify
from demo.weights import FILES, get, progress_bar, status

#: Modules of the benchmarks folder; imported when asked for, since no other command needs them.
BENCHMARKS = ("identify", "transport", "backbones")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parsed = _parser().parse_args(arguments)
    try:
        return parsed.run(parsed) or 0
    except DemoError as error:
        print(f"{parsed.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m demo", description=demo.__doc__)
    parser.add_argument("--version", action="version", version=demo.__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    identify = commands.add_parser("identify", help="who is this? two-stage identification of one photo")
    identify.add_argument("photo", metavar="PHOTO")
    _add_source(identify)
    _add_method(identify)
    identify.add_argument("--top", type=_positive, default=5, help="how many matches to show (default 5)")
    identify.add_argument("--identity", metavar="NAME", help="who it is, if known: marks right and wrong")
    identify.add_argument("--figure", type=Path, metavar="OUT.png", help="draw both rankings (.png or .pdf)")
    identify.add_argument("--json", action="store_true", help="print the whole answer as JSON")
    identify.set_defaults(run=_identify)

    compare = commands.add_parser("compare", help="are two photos of one person? every method's verdict")
    compare.add_argument("photo", metavar="PHOTO", help="the photo that --occlude, --style and --face are about")
    compare.add_argument("second", metavar="PHOTO", help="the other photo, of which the largest face is taken as it is")
    _add_source(compare)
    _add_query(compare)
    compare.add_argument("--figure", type=Path, metavar="OUT.png", help="draw the pair and its EMD (.png or .pdf)")
    compare.add_argument("--json", action="store_true", help="print the whole answer as JSON")
    compare.set_defaults(run=_compare)

    gallery = commands.add_parser("gallery", help="build, describe or check a gallery")
    actions = gallery.add_subparsers(dest="action", required=True, metavar="ACTION")
    build = actions.add_parser("build", help="index a folder that has one sub-folder per person")
    build.add_argument("folder", type=Path, metavar="FOLDER")
    build.add_argument("--out", type=Path, metavar="DIR", help="where to write (default: FOLDER/.index)")
    build.add_argument("--name", help="what the gallery is called (default: the folder's name)")
    _add_backbone(build)
    build.set_defaults(run=_gallery_build)
    for word, run, text in (("info", _gallery_info, "what a gallery holds and what made it"),
                            ("verify", _gallery_verify, "whether photos and index still belong together")):
        action = actions.add_parser(word, help=text)
        action.add_argument("folder", type=Path, metavar="DIR")
        action.add_argument("--backbone", default=None)
        action.add_argument("--json", action="store_true")
        action.set_defaults(run=run)

    evaluation = commands.add_parser("evaluate", help="P@1, RP and MAP@R of both stages")
    _add_source(evaluation)
    evaluation.add_argument("--queries", type=Path, metavar="FOLDER",
                            help="query photos, one sub-folder per person (default: leave one out)")
    _add_method(evaluation, several=True)
    evaluation.add_argument("--json", action="store_true")
    evaluation.set_defaults(run=_evaluate, face=1)

    weights = commands.add_parser("weights", help="which trained weights are here, and how to get the others")
    actions = weights.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="every weights file: where it is, or how to get it")
    listing.add_argument("--json", action="store_true")
    listing.set_defaults(run=_weights_list)
    fetch = actions.add_parser("get", help="download a file that has a public address")
    fetch.add_argument("name", choices=FILES, metavar="NAME", help=", ".join(FILES))
    fetch.set_defaults(run=_weights_get)
    check = actions.add_parser("check", help="which network a file holds, and whether it is whole")
    check.add_argument("file", type=Path, metavar="FILE")
    check.set_defaults(run=_weights_check)

    train = commands.add_parser("train-h2l", help="train the cross-image re-ranker on a frozen backbone")
    train.add_argument("--singles", type=Path, action="append", default=[], metavar="FOLDER",
                       help="photos of different people, one each (may be given again)")
    train.add_argument("--people", type=Path, action="append", default=[], metavar="FOLDER",
                       help="one sub-folder per person (may be given again)")
    train.add_argument("--hold-out", action="append", default=[], metavar="NAME",
                       help="leave out the people from this name on, of those whose names begin alike")
    train.add_argument("--out", type=Path, metavar="FILE",
                       help="default: h2l-BACKBONE.safetensors in the weights folder")
    train.add_argument("--work", type=Path, default=settings().cache / "train-h2l", metavar="DIR",
                       help="views and checkpoints; a stopped training goes on from here")
    train.add_argument("--steps", type=_positive, default=Training().steps)
    train.add_argument("--seed", type=int, default=Training().seed)
    train.add_argument("--alpha", type=float, default=0.4, help="share written into the file for Eq. 5.1 (default 0.4)")
    _add_backbone(train)
    train.set_defaults(run=_train_h2l)

    benchmark = commands.add_parser("benchmark", help="speed and memory on this machine")
    benchmark.add_argument("what", nargs="?", choices=BENCHMARKS, default="identify")
    benchmark.add_argument("--repeats", type=_positive, default=15, help="runs per measurement (default 15)")
    benchmark.add_argument("--json", action="store_true")
    benchmark.set_defaults(run=_benchmark)
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _option(text: str) -> tuple[str, str | bool]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError("is written NAME=VALUE")
    return name, {"true": True, "false": False}.get(value, value)


def _add_backbone(parser: argparse.ArgumentParser) -> None:
    chosen = settings()
    parser.add_argument("--backbone", default=chosen.backbone, help=f"default {chosen.backbone}")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="weights file of the backbone")
    parser.add_argument("--backbone-option", action="append", default=[], type=_option, metavar="NAME=VALUE",
                        help="further choice of the backbone, such as alignment=five-point, flip=true, compat=authors")
    parser.add_argument("--device", default=chosen.device, help="auto, cpu or cuda (default auto)")
    parser.add_argument("--detector", default="hog", choices=DETECTORS, help="face detector (default hog)")


def _add_source(parser: argparse.ArgumentParser) -> None:
    chosen = settings()
    parser.add_argument("--gallery", type=Path, default=chosen.galleries / chosen.gallery, metavar="G",
                        help="gallery index or folder of photos (default: the bundled synthetic people)")
    _add_backbone(parser)


def _add_query(parser: argparse.ArgumentParser, several: bool = False) -> None:
    parser.add_argument("--occlude", choices=OCCLUSIONS, help="alter the (first) photo before anything else")
    parser.add_argument("--style", help="style of the occlusion (default: drawn by seed)")
    parser.add_argument("--seed", type=int, default=Options().seed)
    parser.add_argument("--aligned", action="store_true", help="photos are aligned crops: look for no face")
    if not several:
        parser.add_argument("--face", type=_positive, default=1, help="which face of the photo, 1 = the largest")


def _add_method(parser: argparse.ArgumentParser, several: bool = False) -> None:
    plain = Options()
    _add_query(parser, several)
    parser.add_argument("--stage2", choices=STAGE2, default=plain.stage2)
    parser.add_argument("--weighting", default=plain.weighting, choices=[*WEIGHTINGS, "all"] if several else WEIGHTINGS,
                        help=f"patch weighting (default {plain.weighting})")
    parser.add_argument("--alpha", type=float, default=plain.alpha,
                        help="share of the Stage 2 distance (default: 0.7 for emd, the model's own for others)")
    parser.add_argument("--k", type=_positive, default=plain.k, help="candidates to re-rank (default 100)")
    parser.add_argument("--grid", default=None, help="patches, ROWSxCOLS (default: the backbone's finest)"
                        + (", or all" if several else ""))
    parser.add_argument("--solver", default=plain.solver, choices=["auto", *SOLVERS])


def _progress(text: str):
    bars = []

    def update(done: int, total: int, path: str) -> None:
        if not bars:
            bars.append(tqdm(desc=text, unit="photo", total=total, initial=done - 1, file=sys.stderr))
        bars[0].update()
        if done == total:
            bars[0].close()

    return update


def _backbone(parsed) -> Backbone:
    return load_backbone(parsed.backbone, weights=parsed.weights, device=parsed.device,
                         **dict(parsed.backbone_option))


def _identifier(parsed) -> Identifier:
    backbone = _backbone(parsed)
    gallery = open_or_build(parsed.gallery, backbone, settings().cache, detector=parsed.detector,
                            progress=_progress("Indexing"))
    return Identifier(backbone, gallery)


def _options(parsed) -> Options:
    return Options(
        stage2=parsed.stage2, weighting=parsed.weighting, alpha=parsed.alpha, k=parsed.k,
        grid=parse_grid(parsed.grid) if parsed.grid else None, solver=parsed.solver, occlusion=parsed.occlude,
        style=parsed.style, seed=parsed.seed, detector=parsed.detector, face=parsed.face - 1,
        aligned=parsed.aligned,
    )


def _identify(parsed) -> None:
    options = _options(parsed)
    identifier = _identifier(parsed)
    found = identifier.identify(parsed.photo, truth=parsed.identity, **vars(options))
    if parsed.figure:
        save_figure(board_figure(board(found, crops_of(identifier), parsed.top)), parsed.figure)
        print(f"Figure written to {parsed.figure}.", file=sys.stderr)
    if parsed.json:
        print(json_text(found.as_json(parsed.top)))
        return
    faces = len(found.query.faces)
    if faces > 1:
        print(f"The photo shows {faces} faces; this is number {options.face + 1}, counted from the largest.")
    print(f"{'Stage 1':<34}{'Stage 2' if found.stage2 else ''}")
    for slot in range(min(parsed.top, len(found.stage1))):
        first = found.stage1[slot]
        line = f"{first.rank:>2}. {first.identity:<20.20} {first.cosine:.3f}"
        if found.stage2:
            second = found.stage2[slot]
            line = (f"{line:<34}{second.rank:>2}. {second.identity:<20.20} {second.distance:.3f}  "
                    f"{moved(second.rank, second.stage1_rank)}")
        print(line)
    print("Distances: smaller is nearer. Timings: "
          + ", ".join(f"{step} {ms:.0f} ms" for step, ms in found.timings_ms.items()))


def _compare(parsed) -> None:
    first = Options(occlusion=parsed.occlude, style=parsed.style, seed=parsed.seed, detector=parsed.detector,
                    face=parsed.face - 1, aligned=parsed.aligned)
    second = Options(detector=parsed.detector, aligned=parsed.aligned)
    found = verify(parsed.photo, parsed.second, _identifier(parsed), first, second)
    if parsed.figure:
        save_figure(pair_figure(verified_pair(found)), parsed.figure)
        print(f"Figure written to {parsed.figure}.", file=sys.stderr)
    if parsed.json:
        print(json_text(found.as_json()))
        return
    print(agreement(found))
    for judged in found.judgements:
        line = judged.threshold
        said = ("no threshold was measured for such photos" if line is None else
                f"{WORDS[judged.verdict]:<16}  threshold {line.value:.3f}, uncertain from {line.lower:.3f} "
                f"to {line.upper:.3f}")
        print(f"{judged.title:<30} {judged.distance:.3f}  {said}")
    for source in dict.fromkeys(judged.threshold.source for judged in found.judgements if judged.threshold):
        print(source)
    print("Distances: smaller is nearer; a distance is no proof of identity.")


def _gallery_build(parsed) -> None:
    backbone = _backbone(parsed)
    gallery = Gallery.build(parsed.folder, backbone, parsed.out, name=parsed.name, detector=parsed.detector,
                            progress=_progress("Indexing"))
    measure_impostors(gallery, backbone, lambda jobs: tqdm(jobs, desc="Strangers", unit="photo", file=sys.stderr))
    measure_pairs(gallery, backbone, lambda jobs: tqdm(jobs, desc="Pairs", file=sys.stderr))
    print(f"{gallery.name}: {len(gallery)} photos of {len(gallery.people)} people, in {gallery.folder}.")
    for failure in gallery.manifest.failures:
        print(f"left out {failure.path}: {failure.reason}")


def _gallery_info(parsed) -> None:
    gallery = Gallery.open(parsed.folder, parsed.backbone)
    if parsed.json:
        print(json_text(gallery.info()))
        return
    for key, value in gallery.info().items():
        print(f"{key:>15}: {', '.join(value) if isinstance(value, list) else value}")
    for failure in gallery.manifest.failures:
        print(f"       left out: {failure.path}: {failure.reason}")


def _gallery_verify(parsed) -> int:
    gallery = Gallery.open(parsed.folder, parsed.backbone)
    problems = gallery.verify()
    if parsed.json:
        print(json_text({"problems": problems}))
    else:
        print("\n".join(problems) or f"{gallery.name} is sound: {len(gallery)} photos, every hash as built.")
    return 1 if problems else 0


def _evaluate(parsed) -> None:
    weightings = list(WEIGHTINGS) if parsed.weighting == "all" else [parsed.weighting]
    grids = None if parsed.grid == "all" else parsed.grid
    parsed.weighting, parsed.grid = weightings[0], grids
    base = _options(parsed)
    identifier = _identifier(parsed)
    every_grid = identifier.backbone.info.grids if grids is None else [base.grid]
    chosen = [replace(base, weighting=weighting, grid=grid) for grid in every_grid for weighting in weightings
              if len(weightings) == 1 or not weighting_problems(identifier.backbone.info, grid)[weighting]]
    queries = query_folder(parsed.queries) if parsed.queries else leave_one_out(identifier.gallery)
    result = evaluate(identifier, queries, chosen,
                      progress=lambda items: tqdm(items, desc="Queries", unit="query", file=sys.stderr))
    if parsed.json:
        print(json_text(result.as_json()))
    else:
        print(result.as_table())


def _weights_list(parsed) -> None:
    found = status()
    if parsed.json:
        print(json_text([{"name": state.file.name, "file": state.file.filename, "title": state.file.title,
                          "licence": state.file.licence, "ready": state.path is not None,
                          "path": str(state.path) if state.path else None, "how": state.how} for state in found]))
        return
    for state in found:
        print(f"{state.file.name:<18} {'ready' if state.path else 'missing':<8} {state.file.title}")
        print(f"{'':<18} {state.path or state.how}")
        print(f"{'':<18} licence: {state.file.licence}")


def _weights_get(parsed) -> None:
    with progress_bar(parsed.name) as progress:
        path = get(parsed.name, progress)
    print(f"{parsed.name} is ready: {path}")


def _weights_check(parsed) -> None:
    checked = check_file(parsed.file)
    published = {True: "it is the published file", False: "it is not the published file",
                 None: "the published file's hash is not known"}[checked.published]
    print(f"{checked.path.name}: {checked.file.title}, {checked.parameters:,} parameters, {checked.size:,} bytes")
    print(f"SHA-256 {checked.sha256}: {published}.")


def _train_h2l(parsed) -> None:
    photos = [LabelledPhoto(f"{folder.name}-{file.stem}", file) for folder in parsed.singles
              for file in sorted(folder.iterdir()) if file.suffix.lower() in PHOTO_SUFFIXES]
    photos += [LabelledPhoto(photo.identity, photo.file) for folder in parsed.people for photo in list_photos(folder)]
    photos, held_out = split_people(photos, parsed.hold_out)
    backbone = _backbone(parsed)
    out = parsed.out or settings().weights / f"h2l-{backbone.name}.safetensors"
    out.parent.mkdir(parents=True, exist_ok=True)
    bars = {name: tqdm(desc=name, file=sys.stderr) for name in ("Views", "Steps")}

    def show(name: str):
        def update(done: int, total: int, *rest) -> None:
            bars[name].total, bars[name].n = total, done
            bars[name].set_postfix_str(f"loss {rest[0]:.3f}" if rest and isinstance(rest[0], float) else "")

        return update

    losses = train_model(photos, out, backbone=backbone, work=parsed.work, alpha=parsed.alpha,
                         training=Training(seed=parsed.seed, steps=parsed.steps), views_progress=show("Views"),
                         progress=show("Steps"))
    for bar in bars.values():
        bar.close()
    tenth = max(1, len(losses) // 10)
    print(f"{out}: {len(photos)} photos, {len(held_out)} held out; mean loss {sum(losses[:tenth]) / tenth:.3f} in the "
          f"first tenth of the steps, {sum(losses[-tenth:]) / tenth:.3f} in the last.")


def _benchmark(parsed) -> None:
    benchmark = import_module(f"benchmarks.{parsed.what}")
    benchmark.main(["--repeats", str(parsed.repeats), *(["--json"] if parsed.json else [])])
