"""Which network a checkpoint file holds: every network that loads published tensors key for key, in one table, and
the files that were trained here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import nn

from demo.backbones import load_backbone, networks
from demo.backbones.tuned import tuned_from
from demo.crossimage.checkpoint import description, own_network, published_network
from demo.errors import WeightsMissing
from demo.faces.centerface import CenterFace
from demo.faces.marks import Marks
from demo.faces.mtcnn import Cascade
from demo.weights import Checked, WeightsFile, check, read_state, sha256
from demo.weights.checkpoint import State, parameters

#: Name in the weights registry → network with the published key names.
NETWORKS = {**networks(), "mtcnn": Cascade, "centerface": CenterFace, "centerface-points": Marks}
#: Those whose depth, heads and output size are read off the tensors: Face-ViT's.
SIZED: dict[str, Callable[[State, str], nn.Module]] = dict.fromkeys(
    ("h2l", "h2", "h1", "v"), lambda state, filename: published_network(state, filename)[1])


def check_file(path: str | Path, folder: Path | None = None) -> Checked:
    """Verify a weights file tensor by tensor, published or trained here; BadWeights or WeightsMissing says in one
    sentence what is wrong. folder: where the weights that a fine-tuned backbone began with are looked for first."""
    path = Path(path)
    if not path.is_file():
        raise WeightsMissing(f"There is no weights file {path}.")
    if described := description(path):
        kind, backbone = described["kind"], described["backbone"]
        network = own_network(read_state(path), described, path.name)
        return _own(path, f"{kind.lower()}-{backbone}", f"Model {kind} for the {backbone} backbone", network)
    if began := tuned_from(path):
        network = load_backbone(began, weights=path, device="cpu", folder=folder).network
        return _own(path, f"{began}-finetuned", f"fine-tuned {began} backbone", network)
    return check(path, NETWORKS, SIZED)


def _own(path: Path, name: str, title: str, network) -> Checked:
    size = path.stat().st_size
    file = WeightsFile(name, path.name, f"{title}, trained with this project", "that of the photos it learned from",
                       page="", megabytes=size / 1e6)
    return Checked(path, file, sha256(path), size, parameters(network), None)
