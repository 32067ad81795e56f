"""Backbones: aligned face → (embedding, patch grid). One file per network, one line per network here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from demo.backbones import arcface, cosface, dlib_resnet, facenet, mobilefacenet
from demo.backbones.base import Backbone, BackboneInfo, Features, Grid, LayerGrid, grid_name, parse_grid
from demo.backbones.tuned import read_tuned, tuned_from
from demo.errors import BadSetting, BadWeights, DemoError
from demo.weights import find, register

__all__ = ["DEFAULT_BACKBONE", "Backbone", "BackboneInfo", "Features", "Grid", "LayerGrid", "available", "grid_name",
           "load_backbone", "networks", "parse_grid", "pick_device"]


#: What caches hold was made by this version. Raise it when the same aligned face gives other features.
VERSION = 1

@dataclass(frozen=True)
class _Choice:
    """A network, or a variant of it under a name of its own.

    module: has INFO; FILE, the WeightsFile of its weights; NETWORK, the class that takes their tensors key for key
    (None for a file of another kind); and load(weights, device, info=INFO, **options). options: those of a variant;
    title: of a variant.
    """

    module: ModuleType
    options: Mapping[str, str] = field(default_factory=dict)
    title: str = ""

    def info(self, name: str, folder: Path | None) -> BackboneInfo:
        told = {"name": name, "title": self.title} if self.options else {}
        return replace(self.module.INFO, folder=folder, **told)

    def locate(self, folder: Path | None) -> Path:
        return find(self.module.FILE.name, folder)


#: The backbone that is used unless another is asked for.
DEFAULT_BACKBONE = "mobilefacenet"
_BACKBONES = {
    "mobilefacenet": _Choice(mobilefacenet),
    "dlib": _Choice(dlib_resnet),
    "arcface": _Choice(arcface),
    "cosface": _Choice(cosface),
    "facenet": _Choice(facenet),
    "facenet-5pt": _Choice(facenet, {"alignment": "five-point"}, "FaceNet, five-point alignment"),
}
#: Their names.
BACKBONES = tuple(_BACKBONES)
for _choice in _BACKBONES.values():
    register(_choice.module.FILE)


def available(folder: Path | None = None) -> list[BackboneInfo]:
    """Every backbone, those whose weights are missing with ``ready=False`` and the reason. folder: where weights are
    looked for first (see ``demo.weights.find``)."""
    infos = []
    for name, choice in _BACKBONES.items():
        info = choice.info(name, folder)
        try:
            choice.locate(folder)
            infos.append(info)
        except DemoError as error:
            infos.append(replace(info, ready=False, why_not=str(error)))
    return infos


def networks() -> dict[str, type[nn.Module]]:
    """Name in the weights registry → network that takes the tensors of that file key for key."""
    return {choice.module.FILE.name: choice.module.NETWORK for choice in _BACKBONES.values() if choice.module.NETWORK}


if hasattr(os, "register_at_fork"):
    # The threads of the parent are not there in a forked child, which would wait for them for ever.
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


def pick_device(device: str = "auto") -> torch.device:
    """"auto" → CUDA where there is one, else the CPU. BadSetting for an unknown or absent device."""
    # Convolutions with all bits of their factors, as on a processor: else embeddings differ in the fourth digit.
    torch.backends.cudnn.allow_tf32 = False
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise BadSetting(f"Unknown device {device!r}: use auto, cpu, cuda or cuda:N.") from None
    if chosen.type not in ("cpu", "cuda"):
        raise BadSetting(f"Unknown device {device!r}: use auto, cpu, cuda or cuda:N.")
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise BadSetting("This machine has no CUDA device: use --device cpu.")
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise BadSetting(f"This machine has {torch.cuda.device_count()} CUDA device(s), so there is no {device}.")
    return chosen


def load_backbone(name: str = DEFAULT_BACKBONE, *, weights: str | Path | None = None, device: str = "auto",
                  folder: Path | None = None, **options) -> Backbone:
    """Load a backbone by name, ready to ``extract`` on a device.

    weights: path of a weights file, or of what ``finetune`` made of that backbone; by default it is looked for where
    ``demo.weights.find`` says, in ``folder`` first.
    options: further choices of that backbone. Raises BadSetting for an unknown name or option, WeightsMissing
    where no file is found, and BadWeights where the file is not that network's.
    """
    if name not in _BACKBONES:
        raise BadSetting(f"Unknown backbone {name!r}: choose from {', '.join(_BACKBONES)}.")
    choice = _BACKBONES[name]
    tuned = Path(weights) if weights and (began := tuned_from(Path(weights))) else None
    if tuned and began != name:
        raise BadWeights(f"{tuned.name} is a fine-tuned {began} backbone, not {name}: choose backbone {began}.")
    path = choice.locate(folder) if tuned or not weights else Path(weights)
    try:
        backbone = choice.module.load(path, pick_device(device), info=choice.info(name, folder),
                                      **{**choice.options, **options})
    except TypeError as error:
        if options and "keyword" in str(error):
            raise BadSetting(f"The {name} backbone has no option {', '.join(map(repr, options))}.") from None
        raise
    if tuned:
        read_tuned(tuned, backbone)
    return backbone
