"""How long a visitor waits: a masked photo in, both rankings out, and what explains the first match.

    python -m demo.benchmarks.identify [--json] [--repeats 20]

Baseline of the ratios: Stage 1 alone. Every call has another photo, as what explains a match is remembered by photo.
The pages show the rankings first and what explains them when it is there: the second table is of what follows. "of
processor" is the processor time of all threads, which a busy machine lengthens less than the time that passes. The
first call is timed apart, in a process that has loaded and warmed up as the app does before it serves.
"""

from __future__ import annotations

import argparse
import resource
from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle
from time import perf_counter, process_time

import numpy as np

from demo.benchmarks.timing import machine, tell, time_in_turn, timing_columns
from demo.methods import NONE, RERANKING
from demo.places import ASSETS
from demo.settings import settings
from demo.ui.engine import Engine
from demo.ui.views.board import Result, board_value
from demo.ui.views.inspector import contrasts_value, inspector_value

PHOTOS = [ASSETS / "queries" / f"person-{number:03d}" / "04.jpg" for number in range(1, 48)]
BASELINE = "Stage 1 only"
CASES = {
    BASELINE: {"stage2": NONE},
    "the default": {},
    "finest grid, APC, exact": {"weighting": "apc"},
    "finest grid, uniform, exact": {"weighting": "uniform"},
    "finest grid, APC, sinkhorn": {"weighting": "apc", "solver": "sinkhorn"},
}


def run(repeats: int = 20) -> dict:
    """Start, first call, later calls per setting, what explains them, steps of the default, memory of the process."""
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

    start = perf_counter()
    answer()
    first = perf_counter() - start
    calls: dict[str, Callable[[], object]] = {name: partial(answer, **choices) for name, choices in CASES.items()}
    words = [word for word in identifier.ready(verifies=True) if word in RERANKING]
    timings = time_in_turn(calls, repeats)
    return {
        "machine": machine(),
        "gallery": f"{len(identifier.gallery)} photos, k = 100, device {identifier.backbone.device}",
        "ready_s": round(ready, 2), "first_ms": round(1000 * first, 1),
        "rows": [{"setting": name, **timing_columns(timing, timings[BASELINE])} for name, timing in timings.items()],
        "explained": [row for word in words for row in explaining(word, partial(answer, stage2=word), repeats)],
        "steps_ms": {step: round(ms, 1) for step, ms in answer().found.timings_ms.items()},
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def explaining(method: str, answer: Callable[[], Result], repeats: int) -> list[dict[str, str]]:
    """What the page computes of the first match once the rankings are shown, and when it is asked for a comparison."""
    times: dict[str, list[tuple[float, float]]] = {"first match": [], "and \u201cWhy not another?\u201d": []}
    for _ in range(1 + repeats):
        result = answer()
        for found, value in zip(times.values(), (inspector_value, contrasts_value), strict=True):
            start, worked = perf_counter(), process_time()
            value(result, result.found.ranking[0].row)
            found.append((1000 * (perf_counter() - start), 1000 * (process_time() - worked)))
    rows = []
    for name, found in times.items():
        (low, passed, high), (_, worked, _) = np.percentile(found[1:], (25, 50, 75), axis=0).T
        rows.append({"explained": f"{method}, {name}", "median ms": f"{passed:.0f}",
                     "quartiles ms": f"{low:.0f}-{high:.0f}", "of processor": f"{worked:.0f}"})
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmark identify", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--repeats", type=int, default=20, help="runs per setting; the median counts")
    parsed = parser.parse_args(arguments)
    result = run(parsed.repeats)
    steps = ", ".join(f"{step} {ms} ms" for step, ms in result["steps_ms"].items())
    tell(result, parsed.json, f"{result['machine']}; {result['gallery']}; loaded and warmed up in "
         f"{result['ready_s']} s; first answer {result['first_ms']} ms; peak memory {result['peak_memory_mb']} MB; "
         f"steps of the default: {steps}", result["rows"], result["explained"])


if __name__ == "__main__":
    main()
