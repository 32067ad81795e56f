"""``train-h2l``: train the cross-image models on a frozen backbone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from demo.backbones import parse_grid
from demo.cli.arguments import add_backbone, backbone_of, positive, seed, share
from demo.cli.training import Bars, add_photos, photos_of
from demo.crossimage.discriminant import NAME as LINEAR
from demo.crossimage.recipe import train_model
from demo.crossimage.train import TRAINED, Training, recipe
from demo.crossimage.views import ROUNDS
from demo.methods.h2l import H2L
from demo.settings import settings


def add(commands) -> None:
    train = commands.add_parser("train-h2l", help="train a cross-image model (H2L, H2 or H1) on a frozen backbone, "
                                                     "or fit L, the linear discriminant")
    add_photos(train)
    train.add_argument("--model", choices=[kind.lower() for kind in (*TRAINED, LINEAR)], default=H2L.word)
    train.add_argument("--out", type=Path, metavar="FILE",
                       help="default: MODEL-BACKBONE.safetensors in the weights folder")
    train.add_argument("--work", type=Path, default=settings().cache / "train-h2l", metavar="DIR",
                       help="crops and checkpoints; a stopped training goes on from here")
    train.add_argument("--steps", type=positive, help="default: the model's own")
    train.add_argument("--rounds", type=positive, default=ROUNDS, metavar="N",
                       help=f"in how many ways each crop is lit, turned and blurred, all in memory (default {ROUNDS})")
    train.add_argument("--grid", metavar="ROWSxCOLS", help="patches to work on (default: the backbone's first)")
    train.add_argument("--seed", type=seed, default=Training().seed)
    train.add_argument("--depth", type=positive, help="blocks (default: those of the model that comes with the app)")
    train.add_argument("--heads", type=positive, help="of attention (default: likewise)")
    train.add_argument("--output", type=positive,
                       help="numbers of each of H2L's two outputs, or of L's (default: likewise)")
    train.add_argument("--alpha", type=share, default=0.4, help="share written into the file for Eq. 5.1 (default 0.4)")
    train.add_argument("--query-first", action="store_true",
                       help="the file ranks with the query as the first face alone, in half the time (default: the "
                            "mean of both orders)")
    add_backbone(train)
    train.set_defaults(run=_train_h2l)


def _train_h2l(parsed) -> None:
    photos, held_out = photos_of(parsed)
    backbone, kind = backbone_of(parsed), parsed.model.upper()
    out = parsed.out or settings().weights / f"{parsed.model}-{backbone.name}.safetensors"
    usual = recipe(kind, backbone.name)
    steps = {"steps": parsed.steps} if parsed.steps else {}
    training = replace(usual.training, seed=parsed.seed, **steps)
    asked = {name: value for name in ("depth", "heads", "output") if (value := getattr(parsed, name)) is not None}
    sizes = replace(usual.sizes, **asked)
    bars = Bars()
    losses = train_model(photos, out, backbone=backbone, work=parsed.work, kind=kind, alpha=parsed.alpha, sizes=sizes,
                         training=training, grid=parse_grid(parsed.grid) if parsed.grid else None,
                         rounds=parsed.rounds, detector=parsed.detector, limits=settings().limits,
                         both_orders=not parsed.query_first, crops_progress=bars.update("Photos"),
                         views_progress=bars.update("Views"), progress=bars.update("Steps"))
    bars.close()
    told = f"{out}: {len(photos)} photos, {len(held_out)} held out"
    if not losses:
        print(f"{told}; fitted in closed form.")
        return
    tenth = max(1, len(losses) // 10)
    print(f"{told}; mean loss {sum(losses[:tenth]) / tenth:.3f} in the "
          f"first tenth of the steps, {sum(losses[-tenth:]) / tenth:.3f} in the last.")
