"""Fair timing for the benchmarks: rounds in turn, medians with quartiles, ratios to a named baseline."""

from __future__ import annotations

import gc
import json
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import torch


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one call over the repeats: median, quartiles, and what 95 of 100 take at most."""

    median: float
    low: float
    high: float
    p95: float


def _synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def time_in_turn(calls: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, Timing]:
    """Time every call ``repeats`` times after one untimed round.

    Each round runs every call once, so that a busy moment of the machine touches all of them alike; the garbage
    collector waits meanwhile.
    """
    for call in calls.values():
        call()
    times = {name: [] for name in calls}
    gc.collect()
    gc.disable()
    try:
        for _ in range(repeats):
            for name, call in calls.items():
                _synchronise()
                start = perf_counter()
                call()
                _synchronise()
                times[name].append(1000 * (perf_counter() - start))
    finally:
        gc.enable()
    return {name: Timing(*np.percentile(values, (50, 25, 75, 95)).tolist()) for name, values in times.items()}


def timing_columns(timing: Timing, baseline: Timing) -> dict[str, str]:
    """The columns of a table that every benchmark shows: median, spread, and time relative to the baseline."""
    return {
        "p50 ms": f"{timing.median:.2f}",
        "quartiles ms": f"{timing.low:.2f}-{timing.high:.2f}",
        "p95 ms": f"{timing.p95:.2f}",
        "of baseline": f"{timing.median / baseline.median:.3f}x",
    }


def machine(device: str | torch.device = "cpu") -> str:
    """What was measured on, as the head of every table says it."""
    name = torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else platform.machine()
    return f"{name}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def _cell(value: object) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows with the same keys as an aligned table in Markdown, as documents take it; None is an empty cell."""
    lines = [list(rows[0]), *([_cell(value) for value in row.values()] for row in rows)]
    widths = [max(3, *(len(line[column]) for line in lines)) for column in range(len(lines[0]))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
                     for line in lines)


def tell(found: Mapping[str, object], as_json: bool, head: str, *tables: Sequence[Mapping[str, object]]) -> None:
    """Print what was found: all of it as JSON, or a line of what it was measured on and its tables."""
    print(json.dumps(found, indent=1) if as_json else "\n\n".join([head, *map(table, tables)]))
