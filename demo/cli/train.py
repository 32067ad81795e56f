"""``train-h2l``: train the cross-image models."""

from __future__ import annotations

import sys
from pathlib import Path

from tqdm import tqdm

from demo.cli.arguments import add_backbone, backbone_of, positive
from demo.crossimage.recipe import split_people, train_model
from demo.crossimage.train import Training
from demo.crossimage.views import LabelledPhoto
from demo.gallery import PHOTO_SUFFIXES, list_photos
from demo.settings import settings


def add(commands) -> None:
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
    train.add_argument("--steps", type=positive, default=Training().steps)
    train.add_argument("--seed", type=int, default=Training().seed)
    train.add_argument("--alpha", type=float, default=0.4, help="share written into the file for Eq. 5.1 (default 0.4)")
    add_backbone(train)
    train.set_defaults(run=_train_h2l)


def _train_h2l(parsed) -> None:
    photos = [LabelledPhoto(f"{folder.name}-{file.stem}", file) for folder in parsed.singles
              for file in sorted(folder.iterdir()) if file.suffix.lower() in PHOTO_SUFFIXES]
    photos += [LabelledPhoto(photo.identity, photo.file) for folder in parsed.people for photo in list_photos(folder)]
    photos, held_out = split_people(photos, parsed.hold_out)
    backbone = backbone_of(parsed)
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
