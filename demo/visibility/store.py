"""The file of what was learned: safetensors in half precision, one per backbone."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from demo.backbones import Backbone, Grid, grid_name, parse_grid
from demo.errors import BadSetting, BadWeights, WeightsMissing
from demo.files import write_whole
from demo.places import ASSETS, user_weights
from demo.visibility.estimate import KINDS, Visibility

_AGAIN = "learn it again with 'python -m demo train-visibility'."
_TENSORS = tuple(one.name for one in fields(Visibility) if one.name not in ("grid", "backbone", "backbone_sha256"))


def shipped_visibility(backbone: str, folder: Path | None = None) -> Path:
    """The file for a backbone: one learned here (in ``folder``, default the user's), else the one that comes with the
    app. WeightsMissing where there is none."""
    name = f"visibility-{backbone}.safetensors"
    for place in (folder or user_weights(), ASSETS):
        if (place / name).is_file():
            return place / name
    raise WeightsMissing(f"What covers a face was not learned for the {backbone} backbone: learn it with "
                         "'python -m demo train-visibility', or choose the backbone mobilefacenet.")


def save_visibility(path: Path, learned: Visibility) -> None:
    """Write what was learned, whole or not at all."""
    tensors = {name: getattr(learned, name).half().cpu().contiguous() for name in _TENSORS}
    write_whole(path, save(tensors, metadata={
        "grid": grid_name(learned.grid), "backbone": learned.backbone, "backbone_sha256": learned.backbone_sha256}))


def read_visibility(path: Path, backbone: Backbone) -> Visibility:
    """What ``save_visibility`` wrote, on the backbone's device. BadWeights where the file is something else or belongs
    to other weights of a backbone."""
    try:
        with safe_open(path, "pt") as file:
            told = file.metadata() or {}
            names = list(file.keys())
            tensors = {name: file.get_tensor(name).float().to(backbone.device) for name in names}
    except (OSError, SafetensorError):
        raise BadWeights(f"{path.name} cannot be read: {_AGAIN}") from None
    if told.get("backbone_sha256") != backbone.weights_sha256:
        raise BadWeights(f"{path.name} was not learned on the loaded {backbone.name} weights: {_AGAIN}")
    try:
        grid = parse_grid(told.get("grid", ""))
    except BadSetting:
        grid = None
    shapes = grid and _shapes(backbone, grid, tensors)
    if not grid or not shapes or {name: tuple(one.shape) for name, one in tensors.items()} != shapes or not all(
            bool(torch.isfinite(one).all()) for one in tensors.values()):
        raise BadWeights(f"{path.name} does not fit the {backbone.name} backbone: {_AGAIN}")
    return Visibility(**tensors, grid=grid, backbone=backbone.name, backbone_sha256=backbone.weights_sha256)


def _shapes(backbone: Backbone, grid: Grid, tensors: dict[str, torch.Tensor]) -> dict[str, tuple[int, ...]] | None:
    """What the file has to hold; None for a grid that the backbone has not. How many directions stands in the file."""
    info = backbone.info
    if grid not in info.grids or "directions" not in tensors:
        return None
    places, channels, width = grid[0] * grid[1], info.channels[info.grids.index(grid)], tensors["directions"].shape[-1]
    return {"centre": (places, channels), "directions": (channels, width), "weight": (places, width, len(KINDS)),
            "bias": (places, len(KINDS)), "shift": (info.dim,), "scatter": (info.dim, info.dim)}
