"""From photos to a weights file: crops, views, training, and the choice of alpha on people held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from demo.backbones import Backbone, Grid, grid_name
from demo.crossimage.checkpoint import load_h2l, save_model
from demo.crossimage.crops import DRAWN, CropSet, make_crops
from demo.crossimage.crops import Progress as CropsProgress
from demo.crossimage.discriminant import NAME as LINEAR
from demo.crossimage.discriminant import checked_head, fit_linear
from demo.crossimage.model import CrossImageModel
from demo.crossimage.networks import Sizes
from demo.crossimage.rerank import CrossReranker
from demo.crossimage.train import Progress, Training, recipe, train
from demo.crossimage.views import ROUNDS, ViewSet, make_views
from demo.crossimage.views import Progress as ViewsProgress
from demo.errors import BadSetting
from demo.faces import VERSION, Limits
from demo.faces.labelled import LabelledPhoto

#: Values of alpha that are tried.
ALPHAS = tuple(step / 10 for step in range(11))


def cached_crops(photos: Sequence[LabelledPhoto], backbone: Backbone, folder: Path, *, detector: str = "hog",
                 seed: int = 0, limits: Limits = Limits(), progress: CropsProgress | None = None) -> CropSet:
    """``make_crops`` for a backbone, kept in ``folder`` under a name that tells photos, alignment and seed."""
    told = repr([(photo.identity, photo.file.name, photo.file.stat().st_size) for photo in photos])
    made = f"{told} {backbone.template.name} {detector} {seed} {DRAWN} {VERSION}"
    path = folder / f"crops-{sha256(made.encode()).hexdigest()[:16]}.safetensors"
    if path.is_file():
        return CropSet.load(path)
    crops = make_crops(photos, backbone, detector=detector, seed=seed, limits=limits, folder=backbone.info.folder,
                       progress=progress)
    folder.mkdir(parents=True, exist_ok=True)
    crops.save(path)
    return crops


def train_model(photos: Sequence[LabelledPhoto], out: Path, *, backbone: Backbone, work: Path, kind: str = "H2L",
                alpha: float = 0.5, sizes: Sizes | None = None, training: Training | None = None,
                grid: Grid | None = None, rounds: int = ROUNDS, detector: str = "hog", limits: Limits = Limits(),
                both_orders: bool = True, crops_progress: CropsProgress | None = None,
                views_progress: ViewsProgress | None = None, progress: Progress | None = None) -> list[float]:
    """Train a model on photos and write ``out`` (safetensors, see ``save_model``); returns the loss of every step, none
    for Model L, which is fitted in closed form on the backbone's first grid.

    work: folder for crops and the checkpoint; after an interruption the same call goes on from what is there.
    alpha: written into the file as the share to use in Eq. 5.1 (see ``alpha_scores``), as is ``both_orders``, see
    ``CrossImageModel``. sizes, training: default ``recipe``'s; the number of channels and patches is that of the
    ``grid`` (default: the backbone's first). rounds: see ``make_views``.
    detector: finds the faces. limits: of the photos. Raises BadGallery where no photo shows a face and BadSetting where
    there are too few people, or the checkpoint is of a training with other settings.
    """
    usual = recipe(kind, backbone.name)
    training = training or usual.training
    grid = grid or backbone.info.grids[0]
    if grid not in backbone.info.grids:
        raise BadSetting(f"{grid_name(grid)} is no grid of the {backbone.name} backbone; choose "
                         f"{', '.join(map(grid_name, backbone.info.grids))}.")
    if kind == LINEAR:
        checked_head(backbone, grid)
    channels = backbone.info.channels[backbone.info.grids.index(grid)]
    sizes = replace(sizes or usual.sizes, patches=grid[0] * grid[1], channels=channels)
    crops = cached_crops(photos, backbone, work, detector=detector, seed=training.seed, limits=limits,
                         progress=crops_progress)
    views = make_views(crops, backbone, grid=grid, rounds=rounds, seed=training.seed, progress=views_progress)
    if kind == LINEAR:
        network, losses = fit_linear(views, backbone, output=sizes.output), []
    else:
        network, losses = train(kind, views, work / f"{kind.lower()}-{out.stem}.checkpoint", sizes=sizes,
                                training=training, progress=progress)
    out.parent.mkdir(parents=True, exist_ok=True)
    save_model(out, kind, network, backbone, alpha=alpha, grid=grid, both_orders=both_orders)
    load_h2l(out, backbone=backbone)
    return losses


def alpha_scores(model: CrossImageModel, views: ViewSet, gallery: Tensor, queries: Tensor, *, k: int = 100,
                 both_orders: bool | None = None) -> dict[float, float]:
    """alpha → P@1 in percent: views at the rows ``queries`` against those at the rows ``gallery``, of all photos but
    the query's own, re-ranked among Stage 1's first k. Every query is to have a photo of its person there. both_orders:
    as of ``CrossReranker``."""
    reranker = CrossReranker(model, both_orders=both_orders)
    features = views.features(model.grid)
    prepared = reranker.prepare(features[gallery])
    unit = F.normalize(views.embedding.float(), dim=1)
    hits = dict.fromkeys(ALPHAS, 0)
    for query in queries.tolist():
        others = views.photo[gallery] != views.photo[query]
        cosine = torch.where(others, 1 - unit[gallery] @ unit[query], torch.inf)
        near = cosine.argsort()[:min(k, int(others.sum()))]
        distance = reranker.distances(features[query], prepared[near])
        for alpha in ALPHAS:
            best = near[(alpha * distance + (1 - alpha) * cosine[near]).argmin()]
            hits[alpha] += int(views.person[gallery[best]] == views.person[query])
    return {alpha: 100 * hit / max(len(queries), 1) for alpha, hit in hits.items()}
