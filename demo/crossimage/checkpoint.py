"""Weights files → models: the published Face-ViT checkpoints, recognised by their tensors, and our own files."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from demo.backbones import (
    DEFAULT_BACKBONE,
    Backbone,
    BackboneInfo,
    Grid,
    grid_name,
    load_backbone,
    parse_grid,
    pick_device,
)
from demo.backbones.arcface import INFO as FACE_CNN
from demo.backbones.arcface import TEMPLATE as FACE_TEMPLATE
from demo.backbones.arcface import ResNetFace18, to_gray
from demo.backbones.published import signed
from demo.crossimage.model import CrossImageModel
from demo.crossimage.networks import NETWORKS, PATCH, Network, OneImage, Sizes, TwoImages, V, pixel_patches
from demo.errors import BadWeights, WeightsMissing
from demo.faces import Template
from demo.faces.templates import COSFACE_POINTS, five_point
from demo.files import write_whole
from demo.places import ASSETS, user_weights
from demo.weights import read_state, recognise, sha256, weights_file
from demo.weights.checkpoint import State, fit, misfits

#: Share of the model's distance in Eq. 5.1 with published weights.
PAPER_ALPHA = 0.7
#: In the description of a file: in which orders its faces are compared.
_ORDERS, _BOTH = "orders", "both"
_DIM_HEAD = 64
_V_SIDE = 112
_LAYER = "transformer.layers."


def load_h2l(weights: str | Path | None = None, *, device: str = "auto",
             backbone: Backbone | None = None, folder: Path | None = None) -> CrossImageModel:
    """A cross-image model ready to compare, on a device.

    weights: None = H2L's that come for the backbone; else a published Face-ViT checkpoint (H2L, H2, H1 or V;
    depth, heads and output size are read off its tensors, and its own ``face_model`` is the face CNN), or a file
    that ``save_model`` wrote. backbone: use this one instead of loading it again; it must be the one that the weights
    work on (for a published file: its own ``face_model``). folder: where shipped weights and those of the backbone are
    looked for first (default: the user's data folder). Raises WeightsMissing where there is no file and
    BadWeights where it is no such model.
    """
    path = Path(weights) if weights else shipped("H2L", backbone.name if backbone else DEFAULT_BACKBONE, folder)
    state = read_state(path)
    described = description(path)
    if described:
        return _load_own(path, state, described, device, backbone, folder)
    return _load_published(path, state, pick_device(device), backbone)


def shipped(kind: str, backbone: str, folder: Path | None = None) -> Path:
    """Weights of a model for a backbone: those trained here (in ``folder``, see ``load_h2l``), else those that come
    with the app. WeightsMissing where there are none.
    """
    name = f"{kind.lower()}-{backbone}.safetensors"
    for place in (folder or user_weights(), ASSETS):
        if (place / name).is_file():
            return place / name
    raise WeightsMissing(f"No weights of Model {kind} come with the app for the {backbone} backbone: train some "
                         "with 'python -m demo train-h2l', or give a published checkpoint.")


def save_model(path: Path, kind: str, network: Network, backbone: Backbone, *, alpha: float,
               grid: Grid | None = None, both_orders: bool = True) -> None:
    """Write a network of our mode as safetensors, half precision, with all that ``load_h2l`` needs to know. grid: of
    the backbone's patches that it takes, default the backbone's first. both_orders: see ``CrossImageModel``."""
    tensors = {key: value.half().cpu().contiguous() for key, value in network.state_dict().items()}
    described = {"kind": kind, "sizes": json.dumps(asdict(network.sizes)), "backbone": backbone.name,
                 "backbone_sha256": backbone.weights_sha256, "alpha": str(alpha),
                 "grid": grid_name(grid or backbone.info.grids[0]), _ORDERS: _BOTH if both_orders else "query first"}
    write_whole(path, save(tensors, metadata=described))


def description(path: Path) -> dict[str, str] | None:
    """What ``save_model`` wrote beside the tensors, or None for a file of another origin."""
    try:
        with safe_open(path, "pt") as file:
            described = file.metadata() or {}
    except SafetensorError:
        return None
    return described if {"kind", "sizes", "backbone", "backbone_sha256", "alpha"} <= described.keys() else None


def _load_own(path: Path, state: State, described: dict[str, str], device: str,
              backbone: Backbone | None, folder: Path | None) -> CrossImageModel:
    if backbone is None:
        backbone = load_backbone(described["backbone"], device=device, folder=folder)
    if backbone.name != described["backbone"]:
        raise BadWeights(f"{path.name} works on the {described['backbone']} backbone, not on {backbone.name}: let the "
                         "file choose the backbone.")
    if backbone.weights_sha256 != described["backbone_sha256"]:
        raise BadWeights(f"{path.name} was trained on other weights of the {described['backbone']} backbone: use "
                         f"those, or train it again.")
    network, use = own_network(state, described, path.name), own_use(described, path.name)
    return CrossImageModel(described["kind"], network, backbone, alpha=use.alpha, sha256=sha256(path), grid=use.grid,
                           both_orders=use.both_orders)


@dataclass(frozen=True)
class Use:
    """How the distance of a file's network is used. alpha: its share in Eq. 5.1. grid: of the backbone's patches that
    it takes, None for the backbone's first. both_orders: see ``CrossImageModel``."""

    alpha: float
    grid: Grid | None
    both_orders: bool


def own_use(described: dict[str, str], filename: str) -> Use:
    """What a file that ``save_model`` wrote says of its use (see ``description``); BadWeights where it says nothing."""
    try:
        grid = parse_grid(described["grid"]) if "grid" in described else None  # files of before have the first
        alpha = float(described["alpha"])
    except ValueError:
        raise BadWeights(f"{filename} does not say how its distance is used: get it or train it again.") from None
    return Use(alpha, grid, described.get(_ORDERS, _BOTH) == _BOTH)


def own_network(state: State, described: dict[str, str], filename: str) -> Network:
    """The network of a file that ``save_model`` wrote (see ``description``); BadWeights says what does not fit."""
    try:
        with torch.device("meta"):
            network = NETWORKS[described["kind"]](Sizes(**json.loads(described["sizes"])))
    except (KeyError, TypeError, ValueError):
        clauses = ["its description cannot be read"]
    else:
        clauses = misfits(state, network.state_dict())
    if clauses:
        raise BadWeights(f"{filename} does not hold the network it says it holds ({'; '.join(clauses)}): get it or "
                         "train it again.")
    network.load_state_dict(state, assign=True)
    return network


def _load_published(path: Path, state: State, device: torch.device, backbone: Backbone | None) -> CrossImageModel:
    kind, network = published_network(state, path.name)
    digest = sha256(path)
    if backbone is not None and backbone.weights_sha256 != digest:
        raise BadWeights(f"{path.name} works on its own face CNN alone, not on this {backbone.name} backbone: let the "
                         "file choose the backbone.")
    if isinstance(network, V):
        info = replace(_V_INFO, dim=network.sizes.dim)
        backbone = _PixelBackbone(info, _V_TEMPLATE, _PixelPatches(network), digest, device)
    else:
        info = replace(FACE_CNN, name=f"{kind.lower()}-cnn", title=f"Face CNN of Model {kind}")
        backbone = backbone or _FaceCnn(info, FACE_TEMPLATE, network.face_model, digest, device)
        del network.face_model
    return CrossImageModel(kind, network, backbone, alpha=PAPER_ALPHA, sha256=digest)


def published_network(state: State, filename: str) -> tuple[str, OneImage | TwoImages]:
    """A published model with its face CNN from its tensors: ("V", "H1", "H2" or "H2L", network). BadWeights for
    tensors of any other network, and for those that do not fit."""
    kind = published_kind(state, filename)
    network = build_published(kind, state)
    fit(network, _with_positions(kind, state), weights_file(kind.lower()), filename)
    return kind, network


def published_kind(state: State, filename: str) -> str:
    """Which of the published models these tensors are: "V", "H1", "H2" or "H2L"; BadWeights for any other."""
    def shape(key: str) -> tuple[int, ...]:
        return tuple(state[key].shape) if key in state else ()

    if not any(key.startswith(_LAYER) for key in state) or len(shape("cls_token")) != 3:
        known = recognise(state)
        what = f"it holds the weights of {weights_file(known).title}" if known else "it has no transformer"
        raise BadWeights(f"{filename} is no Face-ViT checkpoint (V, H1, H2 or H2L): {what}.")
    if "patch_to_embedding.weight" in state:
        return "V"
    if "sep" not in state and shape("pos_embedding")[1:2] == (129,) and not state.keys() & {"fc.weight", "fc1.weight"}:
        return "H1"
    if "sep" not in state:
        raise BadWeights(f"{filename} has no SEP token: that variant of the published code never ran; choose a "
                         "checkpoint of H2L.")
    return "H2" if shape("fc.weight")[:1] == (2,) else "H2L"


def build_published(kind: str, state: State) -> OneImage | TwoImages:
    """The network with its face CNN, without weights (on the meta device), in the sizes that the tensors show."""
    try:
        depth = 1 + max(int(key.split(".")[2]) for key in state if key.startswith(_LAYER))
        attention = state[f"{_LAYER}0.0.fn.fn.to_qkv.weight"]
        hidden = len(state[f"{_LAYER}0.1.fn.fn.net.0.weight"])
        sizes = Sizes(depth=depth, heads=max(1, len(attention) // (3 * _DIM_HEAD)), dim=attention.shape[1],
                      hidden=hidden, channels=attention.shape[1])
        if kind == "H2L":
            sizes = replace(sizes, output=len(state.get("fc1.weight", state.get("fc.weight", torch.empty(512, 0)))))
    except (KeyError, ValueError, IndexError, TypeError):
        sizes = Sizes()  # what is missing or impossible is named when the tensors are fitted
    if kind == "V":
        count = (_V_SIDE // PATCH) ** 2
        sizes = replace(sizes, patches=count, channels=3 * PATCH**2)
    with torch.device("meta"):
        network = NETWORKS[kind](sizes)
        if kind != "V":
            network.face_model = ResNetFace18()
    return network


def _with_positions(kind: str, state: State) -> State:
    """The state with what two variants of the published training leave out: positions that were switched off are
    zeros, and the one linear layer of "single MLP" serves both faces."""
    state = dict(state)
    dim = state["cls_token"].shape[2]
    if kind in ("H2", "H2L"):
        state.setdefault("pos_embedding", torch.zeros(1, 130, dim))
    if kind == "H2L":
        for name in [key for key in state if key.startswith(("fc.", "bn."))]:
            layer, _, rest = name.partition(".")
            value = state.pop(name)
            state |= {f"{layer}1.{rest}": value, f"{layer}2.{rest}": value.clone()}
    return state


class _FaceCnn(Backbone):
    """The face CNN that came with a transformer: gray, -1 to 1, as published."""

    def prepare(self, crops: Tensor) -> Tensor:
        return signed(to_gray(crops))


class _PixelPatches(nn.Module):
    """(B, 3, 112, 112) pixels → (V's embedding (B, dim), {(14, 14): pixels of each patch (B, 192, 14, 14)})."""

    def __init__(self, network: V):
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, dict[tuple[int, int], Tensor]]:
        side = x.shape[2] // PATCH
        patches = pixel_patches(x.permute(0, 2, 3, 1))
        return self.network.encode(patches)[0], {(side, side): patches.transpose(1, 2).unflatten(2, (side, side))}


class _PixelBackbone(Backbone):
    """Pixels in patches, for V, which has no CNN: RGB as it is, 0 to 255."""

    def prepare(self, crops: Tensor) -> Tensor:
        return crops.permute(0, 3, 1, 2).float()


_V_TEMPLATE = Template("vit", (_V_SIDE, _V_SIDE), "Five points, 112 x 112", five_point(COSFACE_POINTS + [8, 0]))
_V_INFO = BackboneInfo(
    name="v-pixels", title="ViT on pixels", licence="No licence stated by its authors",
    grids=((_V_SIDE // PATCH, _V_SIDE // PATCH),), dim=512, channels=(3 * PATCH**2,),
    input_size=(_V_SIDE, _V_SIDE),
)
