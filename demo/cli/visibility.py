"""``train-visibility``: learn what covers a face, and what a mask does to a backbone's features."""

from __future__ import annotations

from pathlib import Path

from demo.cli.arguments import add_backbone, backbone_of, positive, seed
from demo.cli.training import Bars, add_photos, photos_of
from demo.settings import settings
from demo.visibility import learn_visibility, save_visibility

#: People of each folder to learn from, unless told otherwise.
PEOPLE = 500


def add(commands) -> None:
    parser = commands.add_parser("train-visibility",
                                 help="learn from drawn occlusions which patches of a face can be seen")
    add_photos(parser)
    parser.add_argument("--most", type=positive, default=PEOPLE, metavar="N",
                        help=f"people of each folder to learn from, evenly spread by name, one photo of each (default "
                             f"{PEOPLE})")
    parser.add_argument("--out", type=Path, metavar="FILE",
                        help="default: visibility-BACKBONE.safetensors in the weights folder")
    parser.add_argument("--seed", type=seed, default=0)
    add_backbone(parser)
    parser.set_defaults(run=_train_visibility)


def _train_visibility(parsed) -> None:
    photos, held_out = photos_of(parsed)
    backbone = backbone_of(parsed)
    out = parsed.out or settings().weights / f"visibility-{backbone.name}.safetensors"
    files = []
    for folder in (*parsed.singles, *parsed.people):
        first: dict[str, Path] = {}
        for photo in photos:
            if photo.file.is_relative_to(folder):
                first.setdefault(photo.identity, photo.file)
        files += list(first.values())[::max(1, -(-len(first) // parsed.most))]
    bars = Bars()
    learned = learn_visibility(files, backbone, detector=parsed.detector, seed=parsed.seed, limits=settings().limits,
                               progress=bars.update("Photos"))
    bars.close()
    out.parent.mkdir(parents=True, exist_ok=True)
    save_visibility(out, learned)
    print(f"{out}: learned from {len(files)} photos, one of each person; {len(held_out)} photos held out; "
          f"{out.stat().st_size / 1e3:.0f} kB.")
