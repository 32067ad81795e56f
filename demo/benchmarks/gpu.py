"""One answer on every device, and the papers' two timings.

    python -m demo benchmark gpu [--faces 13233] [--out FILE]

Every part that touches a device is computed on the processor and on the CUDA device and compared: numbers to 1e-4, the
order of what is ranked exactly, but for neighbours closer than the rounding. Then Stage 2 for 13,233 faces with 100
candidates each (DeepFace-EMD: 60.97 s by Sinkhorn) and H2L for 11,914 with 100 (Face-ViT: 24.33 s), on features of the
bundled people with noise. Without a CUDA device the processor takes its place, for as many faces as are asked for.
Ends with exit code 1 where a part fails.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import torch
from torch import Tensor

from demo.backbones import Features
from demo.benchmarks.crowd import bundled, crowd, nearest
from demo.benchmarks.parity import CHECKS, Bench, Outcome, agreement, h2l, stored_backbone, synchronise
from demo.benchmarks.timing import machine, table
from demo.crossimage import CrossImageModel, CrossReranker
from demo.crossimage.networks import H2L, Sizes
from demo.matching import emd, emd_many, exact, exact_cuda, ground_distance, patch_weights, transport

FACES, H2L_FACES, K = 13233, 11914, 100
#: Seconds of the papers, on their machines.
PAPER_STAGE2, PAPER_H2L = 60.97, 24.33


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


def time_stage2(bench: Bench, faces: Features, rows: Tensor, repeats: int) -> None:
    """Stage 2 for every face with its k nearest, by part and as a whole; a sample of it against the processor."""
    device, pairs = bench.device, rows.numel()
    for weighting in ("uniform", "apc"):
        def measure(weighting=weighting) -> Outcome:
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
                    f"{PAPER_STAGE2} s); {len(sample)} queries {result}", good)
        bench.part(f"Stage 2, {weighting}", measure)

        def parts(weighting=weighting) -> Outcome:
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
            raise RuntimeError(exact_cuda.unavailable(ground.device, ground.shape[1], ground.shape[2]))
        return answer
    return exact.solve(ground.numpy(), u.numpy(), v.numpy())


def time_h2l(bench: Bench, faces: Features, rows: Tensor) -> None:
    """H2L for every face with its k nearest: the one that comes with the app, and the published sizes untrained."""
    device = bench.device

    def run(model: CrossImageModel, given: Features, both: bool, name: str) -> Outcome:
        ranker = CrossReranker(model, both_orders=both)
        prepared = ranker.prepare(given)
        ranker.distances_many(prepared[:50], prepared, rows[:50])
        seconds = timed(device, lambda: ranker.distances_many(prepared, prepared, rows))
        preparing = timed(device, lambda: ranker.prepare(given))
        at = seconds / rows.numel() * H2L_FACES * K
        bench.note(name, {"seconds": seconds, "pairs": rows.numel(), "prepare": preparing, "of 11,914 x 100": at})
        whole = "" if rows.numel() == H2L_FACES * K else f", {at:.2f} s for {H2L_FACES} x {K}"
        return f"{seconds:.3f} s for {len(rows)} x {rows.shape[1]}{whole} (paper: {PAPER_H2L} s)", True

    bench.part("H2L, query first, as the paper", lambda: run(h2l(device), faces, False, "h2l one order"))
    bench.part("H2L, both orders", lambda: run(h2l(device), faces, True, "h2l both orders"))
    if device.type != "cuda":
        return

    def published() -> Outcome:
        torch.manual_seed(0)
        backbone = stored_backbone(device, "", "published", 512)
        model = CrossImageModel("H2L", H2L(Sizes()), backbone, alpha=0.7, sha256="")
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
    print(machine(device), flush=True)  # at once: the rest takes minutes

    bench = Bench(device)
    for check in CHECKS.values():
        check(bench)

    faces = crowd(bundled(), max(count, 2)).to(device)
    rows = nearest(faces, min(K, count - 1))
    time_stage2(bench, faces, rows, parsed.repeats)
    few = min(count, H2L_FACES)
    time_h2l(bench, faces[:few], nearest(faces[:few], min(K, few - 1)))

    whole = {"machine": machine(device), "parts": bench.rows, "numbers": bench.numbers, "failed": bench.failed}
    if parsed.out:
        parsed.out.write_text(json.dumps(whole, indent=1), encoding="utf-8")
    print()
    print(json.dumps(whole, indent=1) if parsed.json else table(bench.rows))
    if bench.failed:
        print(f"{len(bench.failed)} parts failed: {', '.join(bench.failed)}.", file=sys.stderr)
        raise SystemExit(1)


if __name__ == "__main__":
    main()
