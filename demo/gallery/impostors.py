"""How near do strangers come? The gallery's own yardstick for a distance.

A distance alone says little: a mask makes everybody look more alike. So photos of the gallery are altered as a
query would be and compared with everybody else; the nearest of those strangers is what a person who is not in
the gallery would get as a first match.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from demo.backbones import Backbone, Grid, grid_name
from demo.errors import DemoError
from demo.faces import OCCLUSIONS, alter, load_photo
from demo.gallery.index import Gallery
from demo.matching import emd

FILE = "impostors.safetensors"
#: Photos that play the query, and nearest strangers (by cosine) that each is re-ranked against.
SAMPLE, STRANGERS = 100, 100
WEIGHTING = "apc"


@dataclass(frozen=True)
class Impostors:
    """Distances of the nearest stranger, one per sampled photo, sorted: (n,). source: how they were measured."""

    distances: np.ndarray
    source: str

    @property
    def range(self) -> tuple[float, float]:
        """The middle nine tenths."""
        low, high = np.percentile(self.distances, [5, 95])
        return float(low), float(high)

    def share_below(self, distance: float) -> float:
        """Share of the nearest strangers that are nearer than ``distance``, 0 to 1."""
        return float(np.searchsorted(self.distances, distance) / len(self.distances))


def measure_impostors(gallery: Gallery, backbone: Backbone, progress=iter) -> None:
    """Measure on a sample of the gallery, unaltered and for each occlusion, and keep the result with its index.

    Cosine and EMD (APC weights, the backbone's finest grid) of each sampled photo to its nearest strangers.
    A gallery of one person has no strangers: nothing is written then.
    """
    if len(gallery.people) < 2:
        return
    rows = np.random.default_rng(0).permutation(len(gallery))[:SAMPLE]
    jobs = [(occlusion, int(row)) for occlusion in (None, *OCCLUSIONS) for row in rows]
    found: dict[str, list[np.ndarray]] = {}
    fewest = STRANGERS
    for occlusion, row in progress(jobs):
        identity = gallery.entries[row].identity
        try:
            query = backbone.extract(_crop(gallery, backbone, row, occlusion))
        except DemoError:
            continue
        distances, ranked = gallery.search(query.embedding)
        strangers = [slot for slot, other in enumerate(ranked.tolist())
                     if gallery.entries[other].identity != identity][:STRANGERS]
        patch = emd(query, gallery.features(ranked[strangers].tolist()), WEIGHTING).distance
        pair = torch.stack([distances[strangers], patch.to(distances)]).cpu().numpy().astype(np.float32)
        found.setdefault(_key(occlusion, backbone.info.grids[0]), []).append(pair)
        fewest = min(fewest, len(strangers))
    arrays = {key: np.stack([pair[:, :fewest] for pair in pairs]) for key, pairs in found.items()}
    partial = gallery.folder / (FILE + ".part")
    save_file(arrays, partial)
    partial.replace(gallery.folder / FILE)


def load_impostors(gallery: Gallery, *, occlusion: str | None, stage2: str, weighting: str, grid: Grid | None,
                   alpha: float | None, share: float = 1.0) -> Impostors | None:
    """The yardstick for these settings, or None where it was not measured for them."""
    file = Path(gallery.folder) / FILE
    measured = stage2 == "none" or (stage2 == "emd" and weighting == WEIGHTING and share == 1)
    if not file.is_file() or not measured:
        return None
    pairs = load_file(file).get(_key(occlusion, grid if stage2 == "emd" and grid else gallery.manifest.grids[0]))
    if pairs is None:
        return None
    of_patches = alpha if stage2 == "emd" else 0.0
    nearest = np.sort((of_patches * pairs[:, 1] + (1 - of_patches) * pairs[:, 0]).min(axis=1))
    altered = f", altered in the same way ({OCCLUSIONS[occlusion].title.lower()})" if occlusion else ""
    return Impostors(nearest, f"Measured on {len(nearest)} photos of this gallery{altered}, each compared with "
                              "everybody but its own person.")


def _key(occlusion: str | None, grid: Grid) -> str:
    return f"{occlusion or 'plain'}/{WEIGHTING}/{grid_name(grid)}"


def _crop(gallery: Gallery, backbone: Backbone, row: int, occlusion: str | None) -> np.ndarray:
    if occlusion is None:
        return gallery.crop(row, backbone)
    altered = alter(load_photo(gallery.photo_file(row)), gallery.face(row), occlusion, seed=row)
    return altered.aligned(backbone)[0]
