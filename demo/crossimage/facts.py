"""What a file of a cross-image model says of itself: its size, its network, and how its distance is used."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from demo.backbones import Backbone, BackboneInfo, Grid, available, grid_name, load_backbone
from demo.crossimage.checkpoint import description, load_h2l, own_network, own_use
from demo.crossimage.networks import NETWORKS, Network, Sizes, TwoImages
from demo.errors import BadWeights, WeightsMissing
from demo.weights import read_state, read_stored, sha256
from demo.weights.checkpoint import parameters

_PRECISIONS = {torch.float16: "half", torch.bfloat16: "bfloat16", torch.float32: "single", torch.float64: "double"}
#: Kind → the sizes that its network has; those of our mode have some more.
_SIZES = dict.fromkeys(NETWORKS, ("depth", "heads", "dim_head", "dim", "hidden")) | {"L": ("rows", "dim")}
_OUTPUT, _SQUEEZE = ("H2L", "L"), "H2L"


@dataclass(frozen=True)
class Facts:
    """What a file of a cross-image model holds.

    file: its name. size: in bytes. kind: "H2L", "H1", ... published: a checkpoint in the format of Face-ViT's authors,
    with the network that its patches come from; else a file that was trained here. parameters: learned numbers;
    numbers: all that are stored, with means that were measured. precision: words such as "half". backbone,
    backbone_title: what gives the patches. backbone_sha256: of the weights that it was trained on; backbone_fits:
    whether they are those that are used here, None where there are none here. grid: of the patches. sees_pairs: whether
    both faces meet in it. alpha, both_orders: see ``CrossImageModel``.
    """

    file: str
    size: int
    sha256: str
    kind: str
    published: bool
    parameters: int
    numbers: int
    precision: tuple[str, ...]
    backbone: str
    backbone_title: str
    backbone_sha256: str
    backbone_fits: bool | None
    grid: Grid
    sees_pairs: bool
    alpha: float
    both_orders: bool
    sizes: Sizes

    def as_json(self) -> dict:
        """As plain data; of the sizes those that this kind of network has."""
        return {**asdict(self), "precision": list(self.precision), "grid": grid_name(self.grid),
                "sizes": self.own_sizes}

    @property
    def own_sizes(self) -> dict[str, int | bool]:
        """The sizes that this kind of network has, by their names in ``Sizes``."""
        names = [*_SIZES[self.kind], "patches", "channels"]
        names += ["output"] * (self.kind in _OUTPUT)
        names += ["squeeze"] * (self.kind == _SQUEEZE and not self.sizes.faithful)
        return {name: getattr(self.sizes, name) for name in (*names, "placed", "faithful")}


def facts_of(path: str | Path, folder: Path | None = None) -> Facts:
    """The facts of a file that ``save_model`` wrote or of a published checkpoint, with every tensor checked. folder:
    where weights of backbones are looked for first. Raises WeightsMissing where there is no file, and BadWeights where
    it is no such model, is damaged, or is of a backbone that is not known here."""
    path = Path(path)
    stored = [value for value in read_stored(path).values() if value.is_floating_point()]
    about = {"file": path.name, "size": path.stat().st_size, "sha256": sha256(path),
             "numbers": sum(value.numel() for value in stored),
             "precision": tuple(sorted({_PRECISIONS.get(value.dtype, str(value.dtype)) for value in stored}))}
    described = description(path)
    if described is None:
        model = load_h2l(path, device="cpu")
        every = nn.ModuleList([model.network, model.backbone.network])
        return Facts(**about, published=True, parameters=parameters(every),
                     **_of_backbone(model.backbone.info, model.backbone.weights_sha256, True),
                     **_of_network(model.kind, model.network), grid=model.grid, alpha=model.alpha,
                     both_orders=model.both_orders)
    network, use = own_network(read_state(path), described, path.name), own_use(described, path.name)
    info = next((one for one in available(folder) if one.name == described["backbone"]), None)
    if info is None:
        raise BadWeights(f"{path.name} works on a backbone that is not known here, {described['backbone']!r}: its "
                         "distance cannot be used.")
    here = _loaded(info.name, folder)
    fits = None if here is None else here.weights_sha256 == described["backbone_sha256"]
    return Facts(**about, published=False, parameters=parameters(network),
                 **_of_backbone(info, described["backbone_sha256"], fits), **_of_network(described["kind"], network),
                 grid=use.grid or info.grids[0], alpha=use.alpha, both_orders=use.both_orders)


def _loaded(name: str, folder: Path | None) -> Backbone | None:
    """The backbone, whose hash tells options as well as weights; None where its weights are not here."""
    try:
        return load_backbone(name, device="cpu", folder=folder)
    except WeightsMissing:
        return None


def _of_backbone(info: BackboneInfo, digest: str, fits: bool | None) -> dict:
    return {"backbone": info.name, "backbone_title": info.title, "backbone_sha256": digest, "backbone_fits": fits}


def _of_network(kind: str, network: Network) -> dict:
    return {"kind": kind, "sizes": network.sizes, "sees_pairs": isinstance(network, TwoImages)}
