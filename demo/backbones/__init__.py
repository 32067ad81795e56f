"""Backbones: aligned face → (embedding, patch grid). One file per network, one line per network here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from demo.backbones import arcface, cosface, dlib_resnet, facenet
from demo.backbones.base import Backbone, BackboneInfo, Features, Grid, grid_name, parse_grid
from demo.errors import BadSetting, DemoError
from demo.weights import dlib_model, find

__all__ = ["Backbone", "BackboneInfo", "Features", "Grid", "available", "grid_name", "load_backbone",
           "parse_grid", "pick_device"]

#: name → (module with INFO and load(weights, device, **options), function that locates its weights file).
_BACKBONES = {
    "dlib": (dlib_resnet, lambda: dlib_model(dlib_resnet.WEIGHTS)),
    "arcface": (arcface, lambda: find("arcface")),
    "cosface": (cosface, lambda: find("cosface")),
    "facenet": (facenet, lambda: find("facenet")),
}


def available() -> list[BackboneInfo]:
    """Every backbone, those whose weights are missing with ``ready=False`` and the reason."""
    infos = []
    for module, locate in _BACKBONES.values():
        try:
            locate()
            infos.append(module.INFO)
        except DemoError as error:
            infos.append(replace(module.INFO, ready=False, why_not=str(error)))
    return infos


def pick_device(device: str = "auto") -> torch.device:
    """"auto" → CUDA where there is one, else the CPU. BadSetting for an unknown or absent device."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise BadSetting(f"Unknown device {device!r}: use auto, cpu, cuda or cuda:N.") from None
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise BadSetting("This machine has no CUDA device: use --device cpu.")
    return chosen


def load_backbone(name: str = "dlib", *, weights: str | Path | None = None, device: str = "auto",
                  **options) -> Backbone:
    """Load a backbone by name, ready to ``extract`` on a device.

    weights: path of a weights file; by default it is looked for where ``demo.weights`` says.
    options: further choices of that backbone. Raises BadSetting for an unknown name or option, WeightsMissing
    where no file is found, and BadWeights where the file is not that network's.
    """
    if name not in _BACKBONES:
        raise BadSetting(f"Unknown backbone {name!r}: choose from {', '.join(_BACKBONES)}.")
    module, locate = _BACKBONES[name]
    path = Path(weights) if weights else locate()
    try:
        return module.load(path, pick_device(device), **options)
    except TypeError as error:
        if options and "keyword" in str(error):
            raise BadSetting(f"The {name} backbone has no option {', '.join(map(repr, options))}.") from None
        raise
