"""Speed and memory of every backbone: ``python -m demo.benchmarks.backbones [--json] [--repeats 10]``.

Each backbone runs in a process of its own, so that its peak memory is its own. Where a weights file is missing,
the network runs with untrained weights: neither speed nor memory depends on their values.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from demo.backbones import Backbone, available, load_backbone
from demo.benchmarks.timing import machine, tell, time_in_turn
from demo.checkpoints import NETWORKS
from demo.settings import settings

BATCHES = (1, 32)


def _load(name: str, ready: bool, device: str) -> Backbone:
    if ready:
        return load_backbone(name, device=device, folder=settings().weights)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "untrained.safetensors"
        save_file(NETWORKS[name]().state_dict(), path)
        return load_backbone(name, weights=path, device=device)


def _peak_mb() -> float:
    """Largest memory of this process so far; Linux counts in KiB, macOS in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def measure(name: str, ready: bool, device: str, repeats: int) -> list[dict]:
    """Rows for one backbone on one device: whole ``extract`` calls, uint8 crops in, features out.

    peak_mb: on a GPU what PyTorch allocated; on the CPU what the process grew by, loading included.
    """
    before = _peak_mb()
    backbone = _load(name, ready, device)
    width, height = backbone.input_size
    rows = []
    for batch in BATCHES:
        crops = np.random.default_rng(0).integers(0, 256, (batch, height, width, 3), dtype=np.uint8)
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        spent = time_in_turn({name: partial(backbone.extract, crops)}, repeats)[name]
        peak = torch.cuda.max_memory_allocated() / 1e6 if device == "cuda" else _peak_mb() - before
        rows.append({
            "backbone": name, "device": device, "batch": batch,
            "faces_per_second": round(1000 * batch / spent.median, 1),
            "parameters_m": round(sum(p.numel() for p in backbone.network.parameters()) / 1e6, 2),
            "peak_mb": round(peak), "weights": "trained" if ready else "untrained",
        })
    return rows


def run(repeats: int = 10) -> list[dict]:
    """Every backbone on the CPU, and on a GPU where there is one."""
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    rows = []
    for device in devices:
        for info in available(settings().weights):
            if info.name not in {"dlib", *NETWORKS}:
                continue  # a variant that shares another's network
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                rows += pool.submit(measure, info.name, info.ready, device, repeats).result()
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--repeats", type=int, default=10, help="runs per measurement; the median counts")
    parsed = parser.parse_args(arguments)
    rows = run(parsed.repeats)
    tell({"machine": machine(), "rows": rows}, parsed.json, machine(),
         [{key.replace("_", " "): value for key, value in row.items()} for row in rows])


if __name__ == "__main__":
    main()
