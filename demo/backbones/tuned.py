"""Weights files of backbones that were fine-tuned here: safetensors that name the backbone they began as."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from demo.backbones.base import Backbone
from demo.errors import BadWeights
from demo.files import write_whole
from demo.weights import read_state, sha256

_KEY = "finetuned"


def write_tuned(path: Path, name: str, network: nn.Module) -> None:
    """Write the network of a fine-tuned backbone, whole or not at all. name: of the backbone it began as."""
    tensors = {key: value.cpu().contiguous() for key, value in network.state_dict().items()}
    write_whole(path, save(tensors, metadata={_KEY: name}))


def tuned_from(path: Path) -> str | None:
    """The name of the backbone that the file's network began as; None for a file of any other kind."""
    try:
        with safe_open(path, "pt") as file:
            return (file.metadata() or {}).get(_KEY)
    except (SafetensorError, OSError):
        return None


def read_tuned(path: Path, backbone: Backbone) -> None:
    """Put the file's weights into the backbone it began as; ``weights_sha256`` becomes the file's, so that galleries
    made before and after are told apart. Raises BadWeights where the tensors are not that network's."""
    try:
        backbone.network.load_state_dict(read_state(path))
    except RuntimeError:
        raise BadWeights(f"{path.name} does not fit the {backbone.name} backbone: fine-tune it again with this "
                         "version and these options.") from None
    backbone.weights_sha256 = sha256(path)
