"""ZeroGPU, on which Hugging Face runs free Spaces: a graphics card that is lent for one call, in a forked process.

The app's own process has no card there, though PyTorch claims one, and a fork with a card of a visitor's quota takes
longer than an answer does on a processor. So answers are computed on the processor, and what is worth a card is given
to it: the features of many faces at once, when a gallery is indexed. Where the quota is spent the processor does that
too. Elsewhere nothing of this module takes effect, and the package ``spaces`` is not needed.
"""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Callable, Sequence
from importlib import import_module

import numpy as np
import torch

from demo.backbones import Backbone, Features

log = logging.getLogger("demo")

#: Crops for which asking for a card pays.
WORTH = 32
#: Seconds that a card is asked for: some thousand crops.
SECONDS = 30

_lent: dict[str, Backbone] = {}


def active() -> bool:
    """Whether this is a Space on ZeroGPU, by the variable that ``spaces`` reads."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def on_card(function: Callable) -> Callable:
    """``function`` run where it is lent a card; itself where this is no Space on ZeroGPU."""
    if not active():
        return function
    return import_module("spaces").GPU(duration=SECONDS)(function)  # comes with such a Space


def device(wanted: str) -> str:
    """The device of this process for the one in the settings: "auto" is the processor on ZeroGPU."""
    return "cpu" if active() and wanted == "auto" else wanted


def lend(backbone: Backbone) -> Backbone:
    """The backbone, whose features of ``WORTH`` crops and more are computed on a card on ZeroGPU; itself elsewhere."""
    if not active():
        return backbone
    _lent[backbone.name] = backbone  # a fork finds it here: only its name and the crops are sent
    lending = copy.copy(backbone)
    lending.__class__ = type(type(backbone).__name__, (_Lending, type(backbone)), {})
    return lending


def _extract(name: str, crops: np.ndarray, batch: int) -> Features:
    """In the fork: features on the card, brought back. The processor's threads did not come along."""
    torch.set_num_threads(1)
    backbone, card = copy.copy(_lent[name]), torch.device("cuda" if torch.cuda.is_available() else "cpu")
    backbone.network, backbone.device = copy.deepcopy(backbone.network).to(card), card
    return backbone.extract(crops, batch=batch).to("cpu")


extract = on_card(_extract)


class _Lending(Backbone):
    """Mixed into a backbone by ``lend``."""

    def extract(self, crops: np.ndarray | Sequence[np.ndarray], *, batch: int = 32) -> Features:
        crops = np.asarray(crops)
        if len(crops) >= WORTH and crops.ndim == 4:
            try:
                return extract(self.name, crops, batch)
            except Exception as error:  # quota spent, no card free, card lost: what spaces raises is Gradio's
                log.warning("no graphics card: %s", error)
        return super().extract(crops, batch=batch)
