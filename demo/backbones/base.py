"""What every backbone offers: an aligned face in, one embedding and a grid of patches out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from demo.errors import BadPhoto, BadSetting
from demo.faces import Template

Grid = tuple[int, int]


class LayerGrid(tuple):
    """(rows, cols) of a layer that has as many rows and columns as a network's main one, and a name beside it.

    Wherever a grid is only a shape it is one like any other; as a key it equals itself alone.
    """

    layer: str

    def __new__(cls, rows: int, cols: int, layer: str):
        grid = super().__new__(cls, (rows, cols))
        grid.layer = layer
        return grid

    def __getnewargs__(self):
        return (*self, self.layer)

    def __eq__(self, other) -> bool:
        return isinstance(other, LayerGrid) and self.layer == other.layer and tuple.__eq__(self, other)

    def __ne__(self, other) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((*self, self.layer))


def grid_name(grid: Grid) -> str:
    """(8, 8) → "8x8"; of a layer with a name "7x7-early"."""
    layer = f"-{grid.layer}" if isinstance(grid, LayerGrid) else ""
    return f"{grid[0]}x{grid[1]}{layer}"


def parse_grid(text: str) -> Grid:
    """"8x8" → (8, 8), "7x7-early" → LayerGrid(7, 7, "early"). BadSetting for anything else."""
    shape, dash, layer = text.lower().partition("-")
    rows, _, cols = shape.partition("x")
    if not (rows.isdecimal() and cols.isdecimal() and int(rows) and int(cols)) or (dash and not layer.isalnum()):
        raise BadSetting(f"A grid is written ROWSxCOLS, for example 8x8; got {text!r}.")
    return LayerGrid(int(rows), int(cols), layer) if dash else (int(rows), int(cols))


@dataclass(frozen=True)
class BackboneInfo:
    """What a visitor should know before choosing a backbone.

    name: the word used everywhere. title: for people. licence: of the trained weights.
    grids: (rows, cols) offered, the default first. dim: length D of the embedding.
    channels: length C of a patch at each grid. input_size: (width, height) of the aligned crop.
    ready: its weights are on this machine; why_not: else one sentence that says how to get them.
    folder: where its weights, and further ones to use with it, are looked for first (None: the user's data folder).
    """

    name: str
    title: str
    licence: str
    grids: tuple[Grid, ...]
    dim: int
    channels: tuple[int, ...]
    input_size: tuple[int, int]
    ready: bool = True
    why_not: str = ""
    folder: Path | None = None


@dataclass(frozen=True)
class Features:
    """Features of B aligned faces.

    embedding: (B, D). patches: (B, P, C), row-major over grid == (rows, cols), P = rows * cols.
    maps: further native grids of the same faces, grid → (B, P', C').
    landmarks: (B, 68, 2) x, y in 0..1 of the crop, or None where no landmarks are known.
    """

    embedding: Tensor
    patches: Tensor
    grid: Grid
    maps: Mapping[Grid, Tensor] = field(default_factory=dict)
    landmarks: Tensor | None = None

    def __len__(self) -> int:
        return len(self.embedding)

    def __getitem__(self, index) -> Features:
        """The faces at ``index`` (slice, list or tensor of rows)."""
        if isinstance(index, int):
            index = slice(index, index + 1)
        return replace(
            self,
            embedding=self.embedding[index],
            patches=self.patches[index],
            maps={grid: patches[index] for grid, patches in self.maps.items()},
            landmarks=None if self.landmarks is None else self.landmarks[index],
        )

    def at(self, grid: Grid | None) -> Features:
        """The same faces on another grid: a native map where there is one, else average pooling.

        Raises BadSetting where the grid is neither native nor a whole-number pooling of the finest map.
        """
        if grid is None or grid == self.grid:
            return self
        if not isinstance(grid, LayerGrid):
            grid = (int(grid[0]), int(grid[1]))
            if grid == self.grid:
                return self
        if grid in self.maps:
            maps = {self.grid: self.patches, **{g: p for g, p in self.maps.items() if g != grid}}
            return replace(self, patches=self.maps[grid], grid=grid, maps=maps)
        rows, cols = self.grid
        if isinstance(grid, LayerGrid) or min(grid) < 1 or rows % grid[0] or cols % grid[1]:
            offered = ", ".join(map(grid_name, (self.grid, *self.maps)))
            raise BadSetting(f"A {grid_name(grid)} grid cannot be made from the backbone's grids ({offered}).")
        batch, _, channels = self.patches.shape
        image = self.patches.transpose(1, 2).reshape(batch, channels, rows, cols)
        pooled = F.adaptive_avg_pool2d(image, grid).flatten(2).transpose(1, 2)
        return replace(self, patches=pooled, grid=grid, maps={self.grid: self.patches, **self.maps})

    def to(self, device: torch.device | str) -> Features:
        """The same features on another device."""
        return replace(
            self,
            embedding=self.embedding.to(device),
            patches=self.patches.to(device),
            maps={grid: patches.to(device) for grid, patches in self.maps.items()},
            landmarks=None if self.landmarks is None else self.landmarks.to(device),
        )


def flatten_map(feature_map: Tensor) -> Tensor:
    """(B, C, rows, cols) feature map → (B, rows * cols, C) patches, row-major."""
    return feature_map.flatten(2).transpose(1, 2)


class Backbone(ABC):
    """A trained network behind the common interface.

    A subclass module gives its BackboneInfo, its alignment Template, and a network whose ``forward``
    takes prepared crops and returns (embedding (B, D), {grid: feature map (B, C, rows, cols)}).
    ``prepare`` turns uint8 RGB (B, h, w, 3) into the network's input. ``grey``: the network sees no colour.
    """

    grey = False

    def __init__(self, info: BackboneInfo, template: Template, network: nn.Module, weights_sha256: str,
                 device: str | torch.device = "cpu"):
        self.info = info
        self.template = template
        self.weights_sha256 = weights_sha256
        self.device = torch.device(device)
        self.network = network.eval().requires_grad_(False).to(self.device)

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def input_size(self) -> tuple[int, int]:
        """(width, height) of the crops that ``extract`` takes."""
        return self.info.input_size

    @abstractmethod
    def prepare(self, crops: Tensor) -> Tensor:
        """(B, h, w, 3) RGB 0..255 on the device → float input of the network; of a float tensor differentiable."""

    def head(self) -> tuple[Tensor, Tensor] | None:
        """(P, C) and (D, C), where the embedding before it is scaled to length 1 is, up to a constant, the sum over the
        first grid's patches of weight @ (place_p * patch_p); None where the last layers are not linear in them."""
        return None

    def embed(self, crops: Tensor) -> Tensor:
        """(B, h, w, 3) RGB 0..255 on the device → embeddings (B, D), with gradients back to crops and weights."""
        return self.network(self.prepare(crops))[0]

    @torch.inference_mode()
    def extract(self, crops: np.ndarray | Sequence[np.ndarray], *, batch: int = 32) -> Features:
        """Features of aligned crops, uint8 (B, h, w, 3) RGB at ``input_size``; one crop (h, w, 3) is a batch of one.

        Raises BadPhoto where shape or type differ.
        """
        crops = np.asarray(crops)
        if crops.ndim == 3:
            crops = crops[None]
        width, height = self.input_size
        if crops.dtype != np.uint8 or crops.ndim != 4 or crops.shape[1:] != (height, width, 3):
            raise BadPhoto(
                f"{self.name} takes aligned uint8 RGB crops of shape (B, {height}, {width}, 3); "
                f"got {crops.dtype} {crops.shape}."
            )
        parts = (torch.from_numpy(np.ascontiguousarray(crops[start:start + batch])).to(self.device)
                 for start in range(0, len(crops), batch))
        return self._joined(self.network(self.prepare(part)) for part in parts)

    def blends(self, first: np.ndarray, second: np.ndarray, kept: np.ndarray, grid: Grid, *,
               batch: int = 32) -> Features | None:
        """``extract`` of M pictures that show some patches of one aligned crop and another's elsewhere, where that is
        cheaper than making them; here None. first, second: uint8 (h, w, 3). kept: bool (M, P), row-major over grid:
        the patches of the first."""
        return None

    def _joined(self, parts: Iterable[tuple[Tensor, Mapping[Grid, Tensor]]]) -> Features:
        """What the network gives of faces, part by part."""
        embeddings, maps = [], {}
        for embedding, part_maps in parts:
            embeddings.append(embedding)
            for grid, feature_map in part_maps.items():
                maps.setdefault(grid, []).append(flatten_map(feature_map))
        maps = {grid: torch.cat(parts) for grid, parts in maps.items()}
        default = self.info.grids[0]
        return Features(torch.cat(embeddings), maps.pop(default), default, maps)
