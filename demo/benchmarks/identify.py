"""How long a visitor waits: a masked photo in, both rankings out, and what explains the first match.

    python -m demo.benchmarks.identify [--json] [--repeats 20]

Baseline of the ratios: Stage 1 alone. Every call has another photo, as what explains a match is remembered by photo.
The pages show the rankings first and what explains them when it is there: the last row is of both. The first call is
timed apart, in a process that has loaded and warmed up as the app does before it serves.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle
from time import perf_counter

import torch

from demo.benchmarks.timing import table, time_in_turn, timing_columns
from demo.methods import NONE
from demo.places import ASSETS
from demo.settings import settings
from demo.ui.engine import Engine
from demo.ui.views.board import Result, board_value
from demo.ui.views.inspector import inspector_value

PHOTOS = [ASSETS / "queries" / f"person-{number:03d}" / "04.jpg" for number in range(1, 48)]
BASELINE = "Stage 1 only"
CASES = {
    BASELINE: {"stage2": NONE},
    "the default": {},
    "finest grid, APC, exact": {"weighting": "apc"},
    "finest grid, uniform, exact": {"weighting": "uniform"},
    "finest grid, APC, sinkhorn": {"weighting": "apc", "solver": "sinkhorn"},
}
EXPLAINED = "the default, explained"


def run(repeats: int = 20) -> dict:
    """Start, first call, later calls per setting, steps of the default, and memory of the process."""
    start = perf_counter()
    engine = Engine(settings())
    engine.warm_up()
    ready = perf_counter() - start
    identifier = engine.identifier(settings().gallery, settings().backbone)

    photos = cycle([photo for photo in PHOTOS if photo.is_file()])

    def answer(**choices) -> Result:
        result = Result(identifier.identify(next(photos), occlusion="mask", **choices), identifier)
        board_value(result)
        return result

    def explained() -> None:
        result = answer()
        inspector_value(result, result.found.ranking[0].row)

    start = perf_counter()
    answer()
    first = perf_counter() - start
    calls: dict[str, Callable[[], object]] = {name: partial(answer, **choices) for name, choices in CASES.items()}
    calls[EXPLAINED] = explained
    timings = time_in_turn(calls, repeats)
    return {
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}",
        "gallery": f"{len(identifier.gallery)} photos, k = 100, device {identifier.backbone.device}",
        "ready_s": round(ready, 2), "first_ms": round(1000 * first, 1),
        "rows": [{"setting": name, **timing_columns(timing, timings[BASELINE])} for name, timing in timings.items()],
        "steps_ms": {step: round(ms, 1) for step, ms in answer().found.timings_ms.items()},
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmark identify", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--repeats", type=int, default=20, help="runs per setting; the median counts")
    parsed = parser.parse_args(arguments)
    result = run(parsed.repeats)
    if parsed.json:
        print(json.dumps(result, indent=1))
        return
    print(f"{result['machine']}; {result['gallery']}")
    print(f"loaded and warmed up in {result['ready_s']} s; first answer {result['first_ms']} ms; "
          f"peak memory {result['peak_memory_mb']} MB")
    print(table(result["rows"]))
    print("steps of the default: " + ", ".join(f"{step} {ms} ms" for step, ms in result["steps_ms"].items()))


if __name__ == "__main__":
    main()
