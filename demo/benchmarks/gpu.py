"""One answer on every device, and the papers' two timings: ``python -m demo benchmark gpu [--faces 13233] [--out FILE]``.

Every part that touches a device is computed on the processor and on the CUDA device and compared: distances to 1e-4, the
order of what is ranked exactly, but for neighbours that are closer than the rounding. Then Stage 2 for 13,233 faces with
100 candidates each (DeepFace-EMD: 60.97 s by Sinkhorn) and H2L for 11,914 with 100 (Face-ViT: 24.33 s), on features of
the bundled people with noise. Without a CUDA device the processor takes its place, for as many faces as are asked for.
Ends with exit code 1 where a part fails.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from demo.backbones import Backbone, BackboneInfo, Features, load_backbone
from demo.benchmarks.timing import table
from demo.checkpoints import NETWORKS
from demo.crossimage import CrossImageModel, CrossReranker, load_h2l, shipped
from demo.crossimage.checkpoint import description
from demo.crossimage.networks import H2L, Sizes
from demo.faces.templates import TEMPLATES
from demo.gallery import Gallery
from demo.matching import WEIGHTINGS, emd, emd_many, exact, exact_cuda, ground_distance, patch_weights, transport
from demo.methods.registry import METHODS
from demo.places import ASSETS, GALLERIES

#: Most that a number may differ between devices.
PARITY = 1e-4
#: Distances closer than this may change places: rounding of single precision.
TIED = 1e-6
FACES, H2L_FACES, K = 13233, 11914, 100
PAPER = {"stage2": 60.97, "h2l": 24.33}
GALLERY = GALLERIES / "synthetic-people"
BACKBONES = ("mobilefacenet", "arcface", "cosface", "facenet")


class Bench:
    """Rows of the report, and how each part ends."""

    def __init__(self, device: torch.device):
        self.device = device
        self.rows: list[dict[str, str]] = []
        self.failed: list[str] = []
        self.numbers: dict[str, object] = {}

    def part(self, name: str, measure: Callable[[], tuple[str, bool]]) -> None:
        """Run one part; an error in it is printed and counted, and the next goes on."""
        start = perf_counter()
        try:
            result, good = measure()
        except Exception as error:  # whatever it is, the other parts are measured
            traceback.print_exc()
            result, good = f"{type(error).__name__}: {error}".splitlines()[0][:200], False
        synchronise(self.device)
        row = {"part": name, "result": result, "": "ok" if good else "FAILED", "took s": f"{perf_counter() - start:.1f}"}
        self.rows.append(row)
        print(f"{row['']:7} {name}: {result} ({row['took s']} s)", flush=True)
        if not good:
            self.failed.append(name)

    def note(self, name: str, value: object) -> None:
        self.numbers[name] = value


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(device: torch.device, call: Callable[[], object], repeats: int = 1) -> float:
    """Least seconds of ``repeats`` calls."""
    spent = []
    for _ in range(repeats):
        synchronise(device)
        start = perf_counter()
        call()
        synchronise(device)
        spent.append(perf_counter() - start)
    return min(spent)


def apart(first: Tensor, second: Tensor) -> float:
    return float((first.double().cpu() - second.double().cpu()).abs().max())


def same_order(first: Tensor, second: Tensor) -> bool:
    """Whether two lists of distances (..., k) rank alike, but for neighbours within TIED."""
    first, second = first.double().cpu(), second.double().cpu()
    ours, theirs = (torch.sort(one, dim=-1, stable=True).indices for one in (first, second))
    return bool(((first.gather(-1, ours) - first.gather(-1, theirs)).abs() <= TIED).all())


def agreement(first: Tensor, second: Tensor, ranked: bool = True) -> tuple[str, bool]:
    """(what differs, whether that may be) of the processor's and the device's numbers."""
    off = apart(first, second)
    ordered = same_order(first, second) if ranked else True
    order = "" if not ranked else ", equal rankings" if ordered else ", RANKINGS DIFFER"
    return f"apart by {off:.1e}{order}", off <= PARITY and ordered


def crowd(bundled: Features, count: int, seed: int = 0) -> Features:
    """``count`` faces: those of the bundled people over and over, each patch and embedding with a fifth of its length
    as noise, so that no two are alike."""
    rng = torch.Generator().manual_seed(seed)
    rows = torch.randint(len(bundled), (count,), generator=rng)

    def noisy(values: Tensor) -> Tensor:
        values = values[rows]
        lengths = values.norm(dim=-1, keepdim=True) / values.shape[-1] ** 0.5
        return values + 0.2 * lengths * torch.randn(values.shape, generator=rng)

    landmarks = None if bundled.landmarks is None else bundled.landmarks[rows]
    return Features(noisy(bundled.embedding), noisy(bundled.patches), bundled.grid, landmarks=landmarks)


def nearest(faces: Features, k: int) -> Tensor:
    """(N, k) rows of the nearest others by cosine, nearest first."""
    unit = torch.nn.functional.normalize(faces.embedding, dim=1)
    found = []
    for start in range(0, len(unit), 2048):
        likeness = unit[start:start + 2048] @ unit.T
        likeness[torch.arange(len(likeness)), torch.arange(start, start + len(likeness))] = -2
        found.append(likeness.topk(min(k, len(unit) - 1), dim=1).indices)
    return torch.cat(found)


class Stored(Backbone):
    """Stands in for the dlib backbone where only stored features are used, so that its weights need not be here."""

    def prepare(self, crops: Tensor) -> Tensor:
        raise NotImplementedError("Only stored features are used here.")


def stored_backbone(device: torch.device, sha256: str, name: str = "dlib", channels: int = 128) -> Backbone:
    info = BackboneInfo(name=name, title=name, licence="", grids=((8, 8),), dim=128, channels=(channels,),
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
            def measure(weights=weights, patches=patches) -> tuple[str, bool]:
                given = problems(patches, 200 if patches <= 65 else 20, weights, patches)
                here = transport(*given)
                there = transport(*(one.to(bench.device) for one in given))
                why = reason(bench.device, patches)
                same = bool(torch.equal(here.flow, there.flow.cpu()))
                result, good = agreement(here.cost, there.cost, ranked=False)
                alike = "the same plans to the last bit" if same else "OTHER PLANS"
                off = float(there.residual.max())
                return (f"{result}, {alike}, marginals off by {off:.1e}" + (f"; on the processor: {why}" if why else ""),
                        good and off < 1e-6 and there.solver == "exact")
            bench.part(f"exact transport {patches}x{patches}, {weights}", measure)
    for share in (0.5, 1.0):
        def measure(share=share) -> tuple[str, bool]:
            given = problems(64, 50, "random", 9)
            here = transport(*given, share=share)
            return agreement(here.cost, transport(*(one.to(bench.device) for one in given), share=share).cost, False)
        bench.part(f"transport of a share of {share:g}", measure)
    for solver in ("sinkhorn", "authors"):
        def measure(solver=solver) -> tuple[str, bool]:
            given = problems(64, 50, "uniform", 7)
            here, there = (transport(*(one.to(device) for one in given), solver) for device in ("cpu", bench.device))
            return agreement(here.cost, there.cost, ranked=False)
        bench.part(f"{solver} transport", measure)


def reason(device: torch.device, patches: int) -> str | None:
    """Why problems of a size go to the processor on this device."""
    return None if device.type != "cuda" else exact_cuda.unavailable(device, patches, patches)


def check_matching(bench: Bench, faces: Features) -> None:
    """Weightings, ground distance and whole Stage 2 of one query."""
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

    def search() -> tuple[str, bool]:
        ours, theirs = here.search(embedding), there.search(embedding.to(bench.device))
        result, good = agreement(ours[0], theirs[0], ranked=False)
        by_row = torch.empty(len(here)).scatter(0, theirs[1].cpu(), theirs[0].cpu())
        ordered = bool((by_row[ours[1]].diff() >= -TIED).all())
        return f"{result}, {'equal rankings' if ordered else 'RANKINGS DIFFER'}", good and ordered

    bench.part("search", search)
    bench.part("stored patches", lambda: agreement(here.features([1, 5, 7]).patches, there.features([1, 5, 7]).patches,
                                                   ranked=False))


def untrained(name: str, device: torch.device | str) -> Backbone:
    """A backbone with the weights that come with the app, or else untrained ones, the same on every device."""
    if name == "mobilefacenet":
        return load_backbone(name, device=str(device))
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "untrained.safetensors"
        save_file(NETWORKS[name]().state_dict(), path)
        return load_backbone(name, weights=path, device=str(device))


def check_backbones(bench: Bench) -> None:
    for name in BACKBONES:
        def measure(name=name) -> tuple[str, bool]:
            here, there = untrained(name, "cpu"), untrained(name, bench.device)
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
    def measure() -> tuple[str, bool]:
        methods = [METHODS["alike"](load_backbone("mobilefacenet", device=str(device)))
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


def check_h2l(bench: Bench, faces: Features) -> None:
    def measure() -> tuple[str, bool]:
        found = []
        for device in ("cpu", bench.device):
            ranker = CrossReranker(h2l(torch.device(device)))
            there = faces[:101].to(device)
            found.append(ranker.distances(there[0], ranker.prepare(there[1:])))
        return agreement(*found)

    bench.part("H2L", measure)

    def many() -> tuple[str, bool]:
        ranker = CrossReranker(h2l(bench.device))
        there = faces[:60].to(bench.device)
        prepared = ranker.prepare(there)
        rows = torch.stack([torch.arange(10, 40), torch.arange(20, 50)]).to(bench.device)
        each = torch.stack([ranker.distances(there[n], prepared[rows[n]]) for n in range(2)])
        return agreement(each, ranker.distances_many(prepared[:2], prepared, rows))

    bench.part("H2L of many queries", many)


def time_stage2(bench: Bench, faces: Features, rows: Tensor, repeats: int) -> None:
    """Stage 2 for every face with its k nearest, by part and as a whole; a sample of it against the processor."""
    device, pairs = bench.device, rows.numel()
    for weighting in ("uniform", "apc"):
        def measure(weighting=weighting) -> tuple[str, bool]:
            emd_many(faces[:64], faces, rows[:64], weighting)  # compiled, and the allocator warm
            distances: list[Tensor] = []
            seconds = timed(device, lambda: distances.append(emd_many(faces, faces, rows, weighting)), repeats)
            sample = range(0, len(faces), max(1, len(faces) // 20))
            few = faces.to("cpu") if device.type == "cpu" else None
            truth = []
            for n in sample:
                others = (few or faces)[rows[n]].to("cpu")
                truth.append(emd((few or faces)[n].to("cpu"), others, weighting).distance)
            result, good = agreement(torch.stack(truth), distances[-1][list(sample)])
            at = seconds / pairs * FACES * K
            bench.note(f"stage2 {weighting}", {"seconds": seconds, "pairs": pairs, "of 13,233 x 100": at})
            whole = "" if pairs == FACES * K else f", {at:.2f} s for {FACES} x {K}"
            return (f"{seconds:.3f} s for {len(faces)} x {rows.shape[1]}{whole} (paper, by Sinkhorn: "
                    f"{PAPER['stage2']} s); {len(sample)} queries {result}", good)
        bench.part(f"Stage 2, {weighting}", measure)

        def parts(weighting=weighting) -> tuple[str, bool]:
            some = rows[:min(len(rows), 100)]
            query, others = faces[0], faces[rows[0]]
            n = len(some)
            candidates = faces[some.flatten()]
            left = candidates.patches.unflatten(0, (n, -1)).flatten(1, 2)
            right = faces[:n].patches.mT
            each = {"gather": timed(device, lambda: faces[some.flatten()], 3),
                    "product": timed(device, lambda: left @ right, 3)}
            ground = ground_distance(faces[:n].patches.repeat_interleave(some.shape[1], 0), candidates.patches)
            u, v = patch_weights(query, others, weighting)
            u, v = (one.repeat(n, 1)[:len(ground)].double() for one in (u, v))
            u, v = u / u.sum(1, keepdim=True), v / v.sum(1, keepdim=True)
            each["exact alone"] = timed(device, lambda: exact_alone(ground, u, v), 3)
            each["transport"] = timed(device, lambda: transport(ground, u, v), 3)
            scale = FACES * K / len(ground)
            bench.note(f"parts of stage2 {weighting}", {name: one * scale for name, one in each.items()})
            pushes = transport(ground, u, v).iterations.double()
            return (", ".join(f"{name} {one * scale:.3f} s" for name, one in each.items())
                    + f" for {FACES} x {K}; {pushes.mean():.0f} pushes a pair, {pushes.max():.0f} at most", True)
        bench.part(f"parts of Stage 2, {weighting}", parts)


def exact_alone(ground: Tensor, u: Tensor, v: Tensor):
    if ground.is_cuda:
        answer = exact_cuda.solve(ground, u, v)
        if answer is None:
            raise RuntimeError(exact_cuda.unavailable(ground.device, *ground.shape[1:]))
        return answer
    return exact.solve(ground.numpy(), u.numpy(), v.numpy())


def time_h2l(bench: Bench, faces: Features, rows: Tensor) -> None:
    """H2L for every face with its k nearest: the one that comes with the app, and the published sizes untrained."""
    device = bench.device

    def run(model: CrossImageModel, given: Features, both: bool, name: str) -> tuple[str, bool]:
        ranker = CrossReranker(model, both_orders=both)
        prepared = ranker.prepare(given)
        ranker.distances_many(prepared[:50], prepared, rows[:50])
        seconds = timed(device, lambda: ranker.distances_many(prepared, prepared, rows))
        preparing = timed(device, lambda: ranker.prepare(given))
        at = seconds / rows.numel() * H2L_FACES * K
        bench.note(name, {"seconds": seconds, "pairs": rows.numel(), "prepare": preparing, "of 11,914 x 100": at})
        whole = "" if rows.numel() == H2L_FACES * K else f", {at:.2f} s for {H2L_FACES} x {K}"
        return f"{seconds:.3f} s for {len(rows)} x {rows.shape[1]}{whole} (paper: {PAPER['h2l']} s)", True

    bench.part("H2L, query first, as the paper", lambda: run(h2l(device), faces, False, "h2l one order"))
    bench.part("H2L, both orders", lambda: run(h2l(device), faces, True, "h2l both orders"))
    if device.type != "cuda":
        return

    def published() -> tuple[str, bool]:
        torch.manual_seed(0)
        model = CrossImageModel("H2L", H2L(Sizes()), stored_backbone(device, "", "published", 512), alpha=0.7, sha256="")
        wide = replace(faces, patches=faces.patches.repeat(1, 1, 4))
        return run(model, wide, False, "h2l published sizes")

    bench.part("H2L of the published sizes, untrained, query first", published)
    torch.set_float32_matmul_precision("high")
    try:
        bench.part("the same with TF32 (11 bits of each factor)", published)
    finally:
        torch.set_float32_matmul_precision("highest")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmark gpu", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, help=f"of Stage 2 (default {FACES}; without a CUDA device 40)")
    parser.add_argument("--device", help="default: cuda where there is one, else cpu")
    parser.add_argument("--repeats", type=int, default=3, help="runs of Stage 2; the least counts")
    parser.add_argument("--out", type=Path, help="also write all numbers to this JSON file")
    parser.add_argument("--json", action="store_true", help="print them")
    parsed = parser.parse_args(arguments)
    device = torch.device(parsed.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    count = parsed.faces or (FACES if device.type == "cuda" else 40)
    exact.warm_up()
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    machine = f"{card}, torch {torch.__version__}, {torch.get_num_threads()} threads"
    print(machine, flush=True)

    bench = Bench(device)
    bundled = Gallery.open(GALLERY, "dlib").features(range(120))
    check_transport(bench)
    check_matching(bench, bundled)
    check_gallery(bench)
    check_h2l(bench, bundled)
    check_alike(bench)
    check_backbones(bench)

    faces = crowd(Gallery.open(GALLERY, "dlib").features(range(200)), max(count, 2)).to(device)
    rows = nearest(faces, min(K, count - 1))
    time_stage2(bench, faces, rows, parsed.repeats)
    few = min(count, H2L_FACES)
    time_h2l(bench, faces[:few], nearest(faces[:few], min(K, few - 1)))

    whole = {"machine": machine, "parts": bench.rows, "numbers": bench.numbers, "failed": bench.failed}
    if parsed.out:
        parsed.out.write_text(json.dumps(whole, indent=1), encoding="utf-8")
    print()
    print(json.dumps(whole, indent=1) if parsed.json else table(bench.rows))
    if bench.failed:
        print(f"{len(bench.failed)} parts failed: {', '.join(bench.failed)}.", file=sys.stderr)
        raise SystemExit(1)


if __name__ == "__main__":
    main()
