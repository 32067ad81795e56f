"""The app with many visitors: how long one, two and 64 at once wait for the page's answer, and how memory grows.

    python -m demo benchmark load [--visitors 2 64] [--answers 2000 [--trace]] [--repeats 10] [--json]

Starts the app in a process of its own, as ``python app.py`` does, and asks it over HTTP as the page does, pictures
included; what the first answer took, from the start of the process on, is told too. Baseline: one visitor.

With ``--answers`` that many are asked for, one after the other, of different photos, alterations and sessions, every
tenth explained as well: the table tells the memory of the process after a tenth of them, a quarter, half and all, and
when nobody has asked for a minute or two. ``--visitors`` without a number leaves the crowd out. With ``--trace`` the
app runs in this process, and Python's allocations since the first tenth are listed by where they were made.
"""

from __future__ import annotations

import argparse
import gc
import os
import tracemalloc
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter, sleep

import numpy as np

from demo.benchmarks.timing import machine, tell
from demo.benchmarks.visitors import PHOTOS, Answer, App, OwnApp, photo
from demo.faces import OCCLUSIONS
from demo.settings import settings
from demo.ui.app import build, launch_options
from demo.ui.engine import Engine
from demo.ui.session import IDLE

#: Of the answers whose memory is looked at, so many are explained.
EXPLAINED = 10
#: When memory is looked at, as shares of the answers.
LOOKS = 0.1, 0.25, 0.5, 1
#: Calls that an allocation is told by, and how many of the largest are.
FRAMES, SHOWN = 6, 12


def row(answers: Sequence[Answer], count: int, memory: float) -> dict:
    """What some visitors at once met."""
    totals, waits = [1000 * one.total for one in answers], [1000 * one.wait for one in answers]
    told = [1000 * one.told for one in answers if one.told is not None]
    return {
        "visitors": count, "answers": len(answers), "failed": sum(not one.good for one in answers),
        "p50 ms": round(float(np.median(totals))), "p95 ms": round(float(np.percentile(totals, 95))),
        "p95 of the wait ms": round(float(np.percentile(waits, 95))),
        "told their place": sum(one.ahead is not None for one in answers),
        "p95 of what they were told ms": round(float(np.percentile(told, 95))) if told else None,
        "memory MB": round(memory)}


def crowds(app: App, visitors: Sequence[int], repeats: int) -> list[dict]:
    """A row for each number of visitors at once, the baseline first."""
    rows: list[dict] = []
    for photo_file in PHOTOS[:3]:  # what is loaded beside the first answer is loaded then
        app.ask(photo_file, alteration="mask")
    for count in dict.fromkeys((1, *visitors)):
        rounds = max(1, -(-repeats // count))
        with ThreadPoolExecutor(count) as pool:
            every = [one for turn in range(rounds) for one in pool.map(
                lambda number: app.ask(PHOTOS[number % len(PHOTOS)], number, "mask"),
                range(turn * count, (turn + 1) * count))]
        found = row(every, count, app.memory_mb())
        rows.append(found | {"of baseline": round(found["p50 ms"] / (rows or [found])[0]["p50 ms"], 2)})
    return rows


def memory(app: App, answers: int, idle: float = 2.5 * IDLE) -> list[dict]:
    """Memory after some of the answers, all of them, and after ``idle`` seconds without any."""
    kinds, rows = [None, *OCCLUSIONS], []
    looks = {max(1, round(share * answers)) for share in LOOKS}
    for number in range(answers):
        app.ask(photo(number), number, kinds[number % len(kinds)], explained=number % EXPLAINED == 0)
        if number + 1 in looks:
            rows.append({"after": f"{number + 1:,} answers", "MB": app.memory_mb()})
    sleep(idle)
    rows.append({"after": f"{idle:.0f} s without one", "MB": app.memory_mb()})
    return [{**one, "MB": round(one["MB"]), "of the first": round(one["MB"] / (rows[0]["MB"] or 1), 3)} for one in rows]


def traced(answers: int) -> list[str]:
    """Where Python allocated what is held after the answers and was not after a tenth of them, the largest first."""
    chosen = settings()
    engine = Engine(chosen)
    served = build(chosen, engine)
    engine.warm_up()
    _, url, _ = served.launch(**launch_options(chosen, engine), prevent_thread_lock=True, quiet=True, ssr_mode=False)
    try:
        app, snapshots = App(url.rstrip("/"), os.getpid()), []
        for some in (range(answers // 10), range(answers // 10, answers)):
            for number in some:
                app.ask(photo(number), number, "mask", explained=number % EXPLAINED == 0)
            if not tracemalloc.is_tracing():
                tracemalloc.start(FRAMES)
            gc.collect()
            snapshots.append(tracemalloc.take_snapshot())
        grown = snapshots[1].compare_to(snapshots[0], "traceback")[:SHOWN]
        return [f"{one.size_diff / 1e6:+.2f} MB in {one.count_diff:+,} pieces\n" + "\n".join(one.traceback.format())
                for one in grown]
    finally:
        tracemalloc.stop()
        served.close()


def run(visitors: Sequence[int], repeats: int, answers: int) -> dict:
    """When the page and the first answer were there, rows for each number of visitors at once, and memory."""
    app = OwnApp()
    try:
        app.ask(PHOTOS[0], alteration="mask")
        found: dict = {"machine": machine(), "page s": round(app.page, 1),
                       "first answer s": round(perf_counter() - app.started, 1)}
        if visitors:
            found["rows"] = crowds(app, visitors, repeats)
        if answers:
            found["memory"] = memory(app, answers)
        return found
    finally:
        app.stop()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmark load", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--repeats", type=int, default=10, help="answers for each number of visitors, at least")
    parser.add_argument("--visitors", type=int, nargs="*", default=[2, 64], help="at once (default 2 64)")
    parser.add_argument("--answers", type=int, default=0, help="one after the other, for memory (default none)")
    parser.add_argument("--trace", action="store_true", help="list what these answers left in memory, and nothing else")
    parsed = parser.parse_args(arguments)
    if parsed.trace:
        print("\n".join(traced(parsed.answers)))
        return
    found = run(parsed.visitors, parsed.repeats, parsed.answers)
    tell(found, parsed.json, f"{found['machine']}; after the start: page {found['page s']} s, first answer "
         f"{found['first answer s']} s; baseline: one visitor", *(found[name] for name in ("rows", "memory")
                                                                  if name in found))


if __name__ == "__main__":
    main()
