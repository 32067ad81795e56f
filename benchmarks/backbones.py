"""Speed and memory of every backbone: ``python -m benchmarks.backbones [--json] [--seconds 3]``.

Each backbone runs in a process of its own, so that its peak memory is its own. Where a weights file is missing,
the network runs with untrained weights: neither speed nor memory depends on their values.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch.utils.benchmark import Timer

from demo.backbones import Backbone, available, load_backbone
from demo.checkpoints import NETWORKS

BATCHES = (1, 32)


def _load(name: str, ready: bool, device: str) -> Backbone:
    if ready:
        return load_backbone(name, device=device)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "untrained.safetensors"
        save_file(NETWORKS[name]().state_dict(), path)
        return load_backbone(name, weights=path, device=device)


def _peak_mb() -> float:
    """Largest memory of this process so far; Linux counts in KiB, macOS in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def measure(name: str, ready: bool, device: str, seconds: float) -> list[dict]:
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
        timer = Timer("backbone.extract(crops).embedding.cpu()", globals={"backbone": backbone, "crops": crops},
                      num_threads=torch.get_num_threads())
        timer.timeit(2)
        per_batch = timer.blocked_autorange(min_run_time=seconds).median
        peak = torch.cuda.max_memory_allocated() / 1e6 if device == "cuda" else _peak_mb() - before
        rows.append({
            "backbone": name, "device": device, "batch": batch, "faces_per_second": round(batch / per_batch, 1),
            "parameters_m": round(sum(p.numel() for p in backbone.network.parameters()) / 1e6, 2),
            "peak_mb": round(peak), "weights": "trained" if ready else "untrained",
        })
    return rows


def run(seconds: float = 3.0) -> list[dict]:
    """Every backbone on the CPU, and on a GPU where there is one."""
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    rows = []
    for device in devices:
        for info in available():
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                rows += pool.submit(measure, info.name, info.ready, device, seconds).result()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=3.0, help="at least this long per measurement (default 3)")
    parsed = parser.parse_args()
    rows = run(parsed.seconds)
    if parsed.json:
        print(json.dumps({"threads": torch.get_num_threads(), "torch": torch.__version__, "rows": rows}, indent=1))
        return
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    print(f"{'backbone':<10}{'device':<8}{'batch':>6}{'faces/s':>10}{'M params':>10}{'peak MB':>9}")
    for row in rows:
        print(f"{row['backbone']:<10}{row['device']:<8}{row['batch']:>6}{row['faces_per_second']:>10}"
              f"{row['parameters_m']:>10}{row['peak_mb']:>9}  {'' if row['weights'] == 'trained' else row['weights']}")


if __name__ == "__main__":
    main()
