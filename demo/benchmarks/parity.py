"""Every part that touches a device, on the processor and on another device, and how far apart they are."""

from __future__ import annotations

import tempfile
import traceback
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from demo.backbones import Backbone, BackboneInfo, Features, Grid, load_backbone
from demo.benchmarks.crowd import GALLERY, bundled
from demo.checkpoints import NETWORKS
from demo.crossimage import CrossImageModel, CrossReranker, load_h2l, shipped
from demo.crossimage.checkpoint import description
from demo.crossimage.networks import NETWORKS as CROSS
from demo.crossimage.networks import Sizes
from demo.errors import BadSetting, WeightsMissing
from demo.faces.templates import TEMPLATES
from demo.gallery import Gallery
from demo.matching import WEIGHTINGS, emd, emd_many, exact_cuda, ground_distance, transport
from demo.methods.alike import Alike
from demo.settings import settings

#: Most that a number may differ between devices.
PARITY = 1e-4
#: Distances closer than this may change places: rounding of single precision.
TIED = 1e-6
#: Patches a side of the largest problems that the CUDA kernel must take.
LARGEST = 100
BACKBONES = ("dlib", "mobilefacenet", "arcface", "cosface", "facenet")
#: What a part found, in words, and whether it is good.
Outcome = tuple[str, bool]


class Bench:
    """Rows of the report, and how each part ends."""

    def __init__(self, device: torch.device):
        self.device = device
        self.rows: list[dict[str, str]] = []
        self.failed: list[str] = []
        self.numbers: dict[str, object] = {}

    def part(self, name: str, measure: Callable[[], Outcome]) -> None:
        """Run one part; an error in it is printed and counted, and the next goes on."""
        start = perf_counter()
        try:
            result, good = measure()
        except Exception as error:  # whatever it is, the other parts are measured
            traceback.print_exc()
            result, good = f"{type(error).__name__}: {error}".splitlines()[0][:200], False
        synchronise(self.device)
        ended, took = "ok" if good else "FAILED", f"{perf_counter() - start:.1f}"
        self.rows.append({"part": name, "result": result, "": ended, "took s": took})
        print(f"{ended:7} {name}: {result} ({took} s)", flush=True)
        if not good:
            self.failed.append(name)

    def note(self, name: str, value: object) -> None:
        self.numbers[name] = value


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def apart(first: Tensor, second: Tensor) -> float:
    return float((first.double().cpu() - second.double().cpu()).abs().max())


def same_order(first: Tensor, second: Tensor) -> bool:
    """Whether two lists of distances (..., k) rank alike, but for neighbours within TIED."""
    first, second = first.double().cpu(), second.double().cpu()
    ours, theirs = (torch.sort(one, dim=-1, stable=True).indices for one in (first, second))
    return bool(((first.gather(-1, ours) - first.gather(-1, theirs)).abs() <= TIED).all())


def agreement(first: Tensor, second: Tensor, ranked: bool = True) -> Outcome:
    """(what differs, whether that may be) of the processor's and the device's numbers."""
    off = apart(first, second)
    ordered = same_order(first, second) if ranked else True
    order = "" if not ranked else ", equal rankings" if ordered else ", RANKINGS DIFFER"
    return f"apart by {off:.1e}{order}", off <= PARITY and ordered


class Stored(Backbone):
    """Stands in for the dlib backbone where only stored features are used, so that its weights need not be here."""

    def prepare(self, crops: Tensor) -> Tensor:
        raise BadSetting("This backbone stands for stored features: it makes none.")


def stored_backbone(device: torch.device, sha256: str, name: str = "dlib", channels: int = 128,
                    grid: Grid = (8, 8)) -> Backbone:
    info = BackboneInfo(name=name, title=name, licence="", grids=(grid,), dim=128, channels=(channels,),
                        input_size=(150, 150))
    return Stored(info, TEMPLATES["dlib"], torch.nn.Identity(), sha256, device)


def problems(patches: int, batch: int, weights: str, seed: int, dtype=torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    """Random problems on the processor: "uniform", "random" or "tied" masses, the last with few different costs."""
    rng = np.random.default_rng(seed)
    cost = rng.random((batch, patches, patches))
    u, v = rng.random((2, batch, patches)) ** 2 * (rng.random((2, batch, patches)) > 0.2) + 1e-9
    if weights == "uniform":
        u, v = np.ones((2, batch, patches))
    if weights == "tied":
        cost, u, v = np.round(4 * cost), np.ceil(3 * u), np.ceil(3 * v)
    return torch.tensor(cost, dtype=dtype), torch.tensor(u), torch.tensor(v)


def check_transport(bench: Bench) -> None:
    """The exact kernel and Sinkhorn against the processor, on problems of several sizes and kinds."""
    for weights in ("uniform", "random", "tied"):
        for patches in (16, 49, 64, 65, 100, 196):
            bench.part(f"exact transport {patches}x{patches}, {weights}",
                       partial(_exact_plans, bench.device, weights, patches))
    for share in (0.5, 1.0):
        bench.part(f"transport of a share of {share:g}", partial(_costs, bench.device, "random", share=share))
    for solver in ("sinkhorn", "authors"):
        bench.part(f"{solver} transport", partial(_costs, bench.device, "uniform", solver=solver))


def _exact_plans(device: torch.device, weights: str, patches: int) -> Outcome:
    cost, u, v = problems(patches, 200 if patches <= 65 else 20, weights, patches)
    here, there = transport(cost, u, v), transport(cost.to(device), u, v)
    why = exact_cuda.unavailable(device, patches, patches) if device.type == "cuda" else None
    result, good = agreement(here.cost, there.cost, ranked=False)
    alike = "the same plans to the last bit" if torch.equal(here.flow, there.flow.cpu()) else "other plans"
    off = float(there.residual.max())
    return (f"{result}, {alike}, marginals off by {off:.1e}" + (f"; on the processor: {why}" if why else ""),
            good and off < 1e-6 and there.solver == "exact" and (why is None or patches > LARGEST))


def _costs(device: torch.device, weights: str, **options) -> Outcome:
    cost, u, v = problems(64, 50, weights, 9)
    return agreement(transport(cost, u, v, **options).cost, transport(cost.to(device), u, v, **options).cost, False)


def check_matching(bench: Bench) -> None:
    """Weightings, ground distance and whole Stage 2 of one query."""
    faces = bundled()
    query, others = faces[0], faces[1:101]
    there = query.to(bench.device), others.to(bench.device)
    bench.part("ground distances", lambda: agreement(
        ground_distance(query.patches, others.patches), ground_distance(there[0].patches, there[1].patches), False))
    for weighting in WEIGHTINGS:
        bench.part(f"EMD, {weighting} weights", lambda weighting=weighting: agreement(
            emd(query, others, weighting).distance, emd(*there, weighting).distance))
    rows = torch.stack([torch.arange(1, 31), torch.arange(40, 70)])
    bench.part("EMD of many queries", lambda: agreement(
        torch.stack([emd(faces[n], faces[rows[n]]).distance for n in range(2)]),
        emd_many(faces[:2].to(bench.device), faces.to(bench.device), rows.to(bench.device))))


def check_gallery(bench: Bench) -> None:
    """Search and stored rows, on the bundled people."""
    here, there = (Gallery.open(GALLERY, "dlib", device) for device in ("cpu", bench.device))
    embedding = here.raw_embeddings[3] + 0.01

    def search() -> Outcome:
        ours, theirs = here.search(embedding), there.search(embedding.to(bench.device))
        result, good = agreement(ours[0], theirs[0], ranked=False)
        by_row = torch.empty(len(here)).scatter(0, theirs[1].cpu(), theirs[0].cpu())
        ordered = bool((by_row[ours[1]].diff() >= -TIED).all())
        return f"{result}, {'equal rankings' if ordered else 'RANKINGS DIFFER'}", good and ordered

    bench.part("search", search)
    bench.part("stored patches", lambda: agreement(here.features([1, 5, 7]).patches, there.features([1, 5, 7]).patches,
                                                   ranked=False))


def loaded(name: str, device: torch.device | str) -> Backbone:
    """A backbone with its trained weights where they are on this machine, else with the same random ones everywhere."""
    try:
        return load_backbone(name, device=str(device), folder=settings().weights)
    except WeightsMissing:
        if name not in NETWORKS:
            raise
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "untrained.safetensors"
        save_file(NETWORKS[name]().state_dict(), path)
        return load_backbone(name, weights=path, device=str(device))


def check_backbones(bench: Bench) -> None:
    for name in BACKBONES:
        def measure(name=name) -> Outcome:
            here, there = loaded(name, "cpu"), loaded(name, bench.device)
            width, height = here.input_size
            crops = np.random.default_rng(0).integers(0, 256, (4, height, width, 3), dtype=np.uint8)
            ours, theirs = here.extract(crops), there.extract(crops)
            scale = {"patches": float(ours.patches.abs().max()), "embedding": float(ours.embedding.abs().max())}
            off = {part: apart(getattr(ours, part), getattr(theirs, part)) / scale[part] for part in scale}
            return ", ".join(f"{part} apart by {value:.1e} of the largest" for part, value in off.items()), \
                max(off.values()) <= PARITY
        bench.part(f"backbone {name}", measure)


def check_alike(bench: Bench) -> None:
    """Visibility and the method that uses it, on crops through the bundled MobileFaceNet."""
    def measure() -> Outcome:
        methods = [Alike(load_backbone("mobilefacenet", device=str(device)))
                   for device in ("cpu", bench.device)]
        width, height = methods[0].backbone.input_size
        rng = np.random.default_rng(0)
        crops = rng.integers(0, 256, (12, height, width, 3), dtype=np.uint8)
        crops[:6, height // 2:] = 200  # a plain lower half, as a mask's
        found = []
        for method in methods:
            features = method.backbone.extract(crops)
            prepared = method.prepare(features)
            found.append((prepared.cover.kinds, method.distances(features[0], prepared[1:]).distances))
        result, good = agreement(found[0][1], found[1][1])
        off = apart(found[0][0], found[1][0])
        return f"{result}; visibility apart by {off:.1e}", good and off <= PARITY

    bench.part("visibility and alike", measure)


def h2l(device: torch.device) -> CrossImageModel:
    """The H2L that comes with the app."""
    path = shipped("H2L", "dlib")
    described = description(path) or {}
    return load_h2l(path, device=str(device), backbone=stored_backbone(device, described["backbone_sha256"]))


def check_h2l(bench: Bench) -> None:
    faces = bundled()

    def measure() -> Outcome:
        found = []
        for device in ("cpu", bench.device):
            ranker = CrossReranker(h2l(torch.device(device)))
            there = faces[:101].to(device)
            found.append(ranker.distances(there[0], ranker.prepare(there[1:])))
        return agreement(*found)

    bench.part("H2L", measure)

    def many() -> Outcome:
        ranker = CrossReranker(h2l(bench.device))
        there = faces[:60].to(bench.device)
        prepared = ranker.prepare(there)
        rows = torch.stack([torch.arange(10, 40), torch.arange(20, 50)]).to(bench.device)
        each = torch.stack([ranker.distances(there[n], prepared[rows[n]]) for n in range(2)])
        return agreement(each, ranker.distances_many(prepared[:2], prepared, rows))

    bench.part("H2L of many queries", many)
    for name in CROSS:
        if name != "H2L":
            bench.part(f"{name}, untrained", partial(_untrained, bench.device, name))


def _untrained(device: torch.device, name: str) -> Outcome:
    """A small network with random weights, V on random pixels, the others on stored patches."""
    torch.manual_seed(0)
    grid, channels = ((14, 14), 192) if name == "V" else ((8, 8), 128)
    network = CROSS[name](Sizes(depth=2, heads=2, dim=64, hidden=128, patches=grid[0] * grid[1], channels=channels,
                                faithful=False))
    faces = bundled(41)
    if name == "V":
        faces = Features(faces.embedding, 255 * torch.rand(len(faces), grid[0] * grid[1], channels), grid)
    found = []
    for where in (torch.device("cpu"), device):
        backbone = stored_backbone(where, "", channels=channels, grid=grid)
        ranker = CrossReranker(CrossImageModel(name, deepcopy(network), backbone, alpha=0.5, sha256=""))
        there = faces.to(where)
        prepared = ranker.prepare(there)
        rows = torch.stack([torch.arange(1, 21), torch.arange(21, 41)]).to(where)
        one = ranker.distances(there[0], prepared[1:])
        found.append(torch.cat([one, ranker.distances_many(prepared[:2], prepared, rows).flatten()]))
    return agreement(*found)


#: Every check, by what it is about.
CHECKS: dict[str, Callable[[Bench], None]] = {
    "transport": check_transport, "matching": check_matching, "gallery": check_gallery, "pairs of faces": check_h2l,
    "covers": check_alike, "backbones": check_backbones,
}
