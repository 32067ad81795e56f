"""From photos to a weights file: views, training, and the choice of alpha on people held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import torch
from torch.nn import functional as F

from demo.backbones import Backbone, Features
from demo.crossimage.checkpoint import load_h2l, save_model
from demo.crossimage.model import CrossImageModel
from demo.crossimage.networks import Sizes
from demo.crossimage.rerank import CrossReranker
from demo.crossimage.train import RECIPES, SIZES, Progress, Training, train
from demo.crossimage.views import VIEWS, ViewSet, make_views
from demo.crossimage.views import Progress as ViewsProgress
from demo.faces import Limits
from demo.faces.labelled import LabelledPhoto

#: Values of alpha that are tried.
ALPHAS = tuple(step / 10 for step in range(11))


def cached_views(photos: Sequence[LabelledPhoto], backbone: Backbone, folder: Path, *, seed: int = 0,
                 limits: Limits = Limits(), progress: ViewsProgress | None = None) -> ViewSet:
    """``make_views``, kept in ``folder`` under a name that tells photos, backbone and seed."""
    told = repr([(photo.identity, photo.file.name, photo.file.stat().st_size) for photo in photos])
    digest = sha256(f"{told} {backbone.weights_sha256} {seed} {VIEWS}".encode()).hexdigest()[:16]
    path = folder / f"views-{digest}.safetensors"
    if path.is_file():
        return ViewSet.load(path)
    views = make_views(photos, backbone, seed=seed, limits=limits, progress=progress)
    folder.mkdir(parents=True, exist_ok=True)
    views.save(path)
    return views


def train_model(photos: Sequence[LabelledPhoto], out: Path, *, backbone: Backbone, work: Path, kind: str = "H2L",
                alpha: float = 0.5, sizes: Sizes | None = None, training: Training | None = None,
                limits: Limits = Limits(), views_progress: ViewsProgress | None = None,
                progress: Progress | None = None) -> list[float]:
    """Train a model on photos and write ``out`` (safetensors, see ``save_model``); returns the loss of every step.

    work: folder for views and the checkpoint; after an interruption the same call goes on from what is there.
    alpha: written into the file as the share to use in Eq. 5.1 (see ``alpha_scores``). sizes: default SIZES, with
    the backbone's number of channels and patches. limits: of the photos. Raises BadGallery where no photo shows a face
    and BadSetting where there are too few people, or the checkpoint is of a training with other settings.
    """
    rows, cols = backbone.info.grids[0]
    sizes = replace(sizes or SIZES, patches=rows * cols, channels=backbone.info.channels[0])
    views = cached_views(photos, backbone, work, seed=(training or RECIPES[kind]).seed, limits=limits,
                         progress=views_progress)
    network, losses = train(kind, views, work / f"{kind.lower()}-{out.stem}.checkpoint", sizes=sizes,
                            training=training, device=backbone.device, progress=progress)
    out.parent.mkdir(parents=True, exist_ok=True)
    save_model(out, kind, network, backbone, alpha=alpha)
    load_h2l(out, backbone=backbone)
    return losses


def alpha_scores(model: CrossImageModel, views: ViewSet, *, k: int = 100, grid=None) -> dict[float, float]:
    """alpha → P@1 in percent on views of people held out: each altered view against the plain views of all other
    photos, re-ranked among Stage 1's first k. Mirrored views and people with one photo are left out as queries."""
    grid = grid or model.backbone.info.grids[0]
    features = Features(views.embedding, views.patches.float(), grid)
    upright = views.person % 2 == 0
    first = torch.ones(len(views), dtype=torch.bool)
    first[1:] = views.photo[1:] != views.photo[:-1]
    gallery = (first & upright).nonzero()[:, 0]
    reranker = CrossReranker(model)
    prepared = reranker.prepare(features[gallery])
    unit = F.normalize(views.embedding, dim=1)
    hits = dict.fromkeys(ALPHAS, 0)
    asked = 0
    for query in (upright & ~views.plain).nonzero()[:, 0].tolist():
        others = views.photo[gallery] != views.photo[query]
        if not (others & (views.person[gallery] == views.person[query])).any():
            continue
        cosine = torch.where(others, 1 - unit[gallery] @ unit[query], torch.inf)
        near = cosine.argsort()[:min(k, int(others.sum()))]
        distance = reranker.distances(features[query], prepared[near]).cpu()
        asked += 1
        for alpha in ALPHAS:
            best = near[(alpha * distance + (1 - alpha) * cosine[near]).argmin()]
            hits[alpha] += int(views.person[gallery[best]] == views.person[query])
    return {alpha: 100 * hit / max(asked, 1) for alpha, hit in hits.items()}
