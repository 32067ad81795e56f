"""How long a question takes: patches of a match are hidden, and the first 100 candidates are ranked again.

    python -m demo.benchmarks.whatif [--json] [--repeats 20]

Each question hides other patches of the query, every second one some of the candidate's too; it is asked as the page
asks it, its map drawn and all. The first one, which prepares the candidates, is timed apart. "of processor" is the
processor time of all threads, which a busy machine lengthens less than the time that passes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from time import perf_counter, process_time

import numpy as np

from demo.benchmarks.timing import machine, tell
from demo.explain import explains
from demo.explain.agreement import Agreement
from demo.methods import DEFAULT, PUBLISHED
from demo.places import ASSETS
from demo.settings import settings
from demo.ui.engine import Engine
from demo.ui.views.board import Result
from demo.ui.views.whatif import outcome_value, played_value
from demo.whatif import Edit, Hidden

PHOTO = ASSETS / "queries" / "person-083" / "05.jpg"
#: Questions per repeat, and patches that each of them hides.
QUESTIONS, PATCHES = 5, 6


def run(repeats: int = 20) -> dict:
    """Milliseconds per question, by the method that ranks."""
    engine = Engine(settings())
    engine.warm_up()
    identifier = engine.identifier(settings().gallery, settings().backbone)
    rows = []
    for method in (DEFAULT, PUBLISHED):
        word = [word for word, one in explains(method.word).items()
                if one.overview and not isinstance(one, Agreement)][-1]
        found = identifier.identify(PHOTO, occlusion="mask", style="surgical-blue", stage2=method.word)
        result, rng, times, busy = Result(found, identifier), np.random.default_rng(0), [], []
        row, patches = found.ranking[0].row, int(np.prod(result.what_if.grid))
        for number in range(1 + QUESTIONS * repeats):
            one, other = (tuple(rng.choice(patches, PATCHES, replace=False).tolist()) for _ in range(2))
            edit = Edit(Hidden(covered=one), Hidden(blurred=other) if number % 2 else Hidden())
            start, worked = perf_counter(), process_time()
            outcome_value(result, row, edit, word, number)
            times.append(1000 * (perf_counter() - start))
            busy.append(1000 * (process_time() - worked))
        start = perf_counter()
        played_value(result, row, word)
        low, high = np.percentile(times[1:], (50, 95))
        least, most = np.percentile(busy[1:], (50, 95))
        rows.append({"ranked by": method.short, "candidates": str(len(result.what_if.rows)),
                     "first ms": f"{times[0]:.0f}", "median ms": f"{low:.1f}", "p95 ms": f"{high:.1f}",
                     "of processor": f"{least:.1f}", "p95": f"{most:.1f}",
                     "deletion ms": f"{1000 * (perf_counter() - start):.0f}"})
    return {"machine": machine(),
            "questions": QUESTIONS * repeats, "rows": rows}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmark whatif", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--repeats", type=int, default=20, help="five questions each")
    parsed = parser.parse_args(arguments)
    result = run(parsed.repeats)
    tell(result, parsed.json, f"{result['machine']}; {result['questions']} questions each", result["rows"])


if __name__ == "__main__":
    main()
