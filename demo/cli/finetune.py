"""``finetune``: adapt a backbone to masked faces."""

from __future__ import annotations

import argparse
from pathlib import Path

from demo.backbones.finetune import FineTuning, finetune, occluded_copies
from demo.cli.arguments import add_backbone, backbone_of, positive, seed
from demo.cli.training import Bars, add_photos, photos_of
from demo.faces import OCCLUSIONS
from demo.settings import settings


def add(commands) -> None:
    paper = FineTuning()
    parser = commands.add_parser("finetune", help="fine-tune a backbone on faces with occluded copies added")
    add_photos(parser)
    parser.add_argument("--occlude", action="append", choices=OCCLUSIONS,
                        help="copy every photo with this drawn over it (default mask; may be given again)")
    parser.add_argument("--out", type=Path, metavar="FILE",
                        help="default: BACKBONE-finetuned.safetensors in the weights folder")
    parser.add_argument("--work", type=Path, default=settings().cache / "finetune", metavar="DIR",
                        help="checkpoints; a stopped run goes on from here")
    parser.add_argument("--epochs", type=positive, default=paper.epochs, help=f"default {paper.epochs}, as the paper")
    parser.add_argument("--rate", type=_rate, default=paper.rate, help=f"learning rate (default {paper.rate:g})")
    parser.add_argument("--batch", type=positive, default=paper.batch, help=f"crops per step (default {paper.batch})")
    parser.add_argument("--seed", type=seed, default=paper.seed)
    add_backbone(parser)
    parser.set_defaults(run=_finetune)


def _rate(text: str) -> float:
    value = float(text)
    if not 0 < value <= 10:
        raise argparse.ArgumentTypeError("must be above 0 and at most 10")
    return value


def _finetune(parsed) -> None:
    photos, held_out = photos_of(parsed)
    backbone = backbone_of(parsed)
    out = parsed.out or settings().weights / f"{backbone.name}-finetuned.safetensors"
    for folder in (out.parent, parsed.work):
        folder.mkdir(parents=True, exist_ok=True)
    bars = Bars()
    crops, label = occluded_copies(photos, backbone, parsed.occlude or ["mask"], seed=parsed.seed,
                                   limits=settings().limits, progress=bars.update("Crops"))
    tuning = FineTuning(epochs=parsed.epochs, rate=parsed.rate, batch=parsed.batch, seed=parsed.seed)
    losses = finetune(backbone, crops, label, out, checkpoint=parsed.work / f"{out.stem}.checkpoint", tuning=tuning,
                      progress=bars.update("Steps"))
    bars.close()
    print(f"{out}: {len(crops)} crops of {label.max() + 1} people, {len(held_out)} photos held out; mean loss "
          f"{losses[0]:.3f} in the first epoch, {losses[-1]:.3f} in the last.")
    print(f"Evaluate it with --backbone {backbone.name} --weights {out}.")
