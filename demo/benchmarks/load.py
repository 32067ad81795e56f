"""The app with many visitors: how long one, two and 64 at once wait for the page's answer, and how memory grows.

    python -m demo benchmark load [--visitors 1 2 64] [--answers 2000] [--repeats 10] [--json]

Starts the app in a process of its own, as ``python app.py`` does, and asks it over HTTP as the page does, pictures
included; what the first answer took, from the start of the process on, is told too. Baseline: one visitor. With
``--answers`` that many are asked for one after the other, of different photos and settings, and the memory of the
process after a tenth of them is compared with that at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, sleep
from uuid import uuid4

import httpx
import numpy as np

from demo.benchmarks.timing import table
from demo.errors import BadSetting
from demo.faces import OCCLUSIONS
from demo.fields import fields_of
from demo.places import ASSETS
from demo.query import Preparation

PHOTOS = sorted((ASSETS / "queries").glob("*/*.jpg"))
#: Seconds that an answer may take, and the start.
PATIENCE = 600
_ALTERATION, _SEED = (next(one.title for one in fields_of(Preparation) if one.name == name)
                      for name in ("alteration", "seed"))


@dataclass(frozen=True)
class Answer:
    """wait: seconds in the queue; total: until the answer was there. good: it is one, and no problem."""

    wait: float
    total: float
    good: bool


class App:
    """A running app of its own, and how its page asks."""

    def __init__(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url, self.started = f"http://127.0.0.1:{port}", perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "demo", "app", "--host", "127.0.0.1", "--port", str(port)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | {"NO_PROXY": "127.0.0.1"})
        config = self._config()
        self._parts = {part["id"]: part for part in config["components"]}
        board = next(key for key, part in self._parts.items() if part["props"].get("elem_id") == "board")
        self._event = next(one for one in config["dependencies"] if one["outputs"][:1] == [board]
                           and self._parts[one["inputs"][0]]["type"] == "image")

    def _config(self) -> dict:
        while perf_counter() - self.started < PATIENCE:
            if self.process.poll() is not None:
                raise BadSetting("The app ended at its start: 'python -m demo app' says why.")
            try:
                return httpx.get(f"{self.url}/config", timeout=PATIENCE).raise_for_status().json()
            except httpx.HTTPError:
                sleep(0.05)
        raise BadSetting(f"The app did not start within {PATIENCE} s.")

    def ask(self, photo: Path, seed: int = 0, alteration: str | None = None) -> Answer:
        """What a new visitor waits for: a photo and the form as it stands, altered as is said."""
        session = uuid4().hex
        with httpx.Client(base_url=f"{self.url}/gradio_api", timeout=PATIENCE) as http:
            (path,) = http.post("/upload", files={"files": (photo.name, photo.read_bytes())}).raise_for_status().json()
            data = [self._value(self._parts[number], seed, alteration) for number in self._event["inputs"]]
            data[0] = {"path": path, "meta": {"_type": "gradio.FileData"}}
            start = starts = perf_counter()
            joined = http.post("/queue/join", json={"fn_index": self._event["id"], "session_hash": session,
                                                    "data": data})
            if joined.status_code != 200:
                return Answer(0, perf_counter() - start, False)
            with http.stream("GET", "/queue/data", params={"session_hash": session}) as stream:
                for line in stream.iter_lines():
                    message = json.loads(line[6:]) if line.startswith("data: ") else {}
                    if message.get("msg") == "process_starts":
                        starts = perf_counter()
                    elif message.get("msg") == "process_completed":
                        board = (message["output"].get("data") or [None])[0]
                        good = message["success"] and isinstance(board, dict) and "candidates" in board
                        return Answer(starts - start, perf_counter() - start, good)
        return Answer(starts - start, perf_counter() - start, False)

    def _value(self, part: dict, seed: int, alteration: str | None):
        props = part["props"]
        if props.get("label") == _SEED:
            return seed
        if props.get("label") == _ALTERATION and alteration:
            return alteration
        return props.get("value")

    def memory_mb(self) -> float:
        """What the process holds, where the system tells it; else 0."""
        try:
            pages = Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1]
            return int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6
        except OSError:
            return 0.0

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()


def run(visitors: Sequence[int], repeats: int, answers: int) -> dict:
    """Rows for each number of visitors at once, the first answer, and memory."""
    app = App()
    try:
        app.ask(PHOTOS[0], alteration="mask")
        found = {"first answer s": round(perf_counter() - app.started, 1), "rows": []}
        for photo in PHOTOS[:3]:  # what is loaded beside the first answer is loaded then
            app.ask(photo, alteration="mask")
        for count in dict.fromkeys((1, *visitors)):
            rounds = max(1, -(-repeats // count))
            with ThreadPoolExecutor(count) as pool:
                every = [one for turn in range(rounds) for one in pool.map(
                    lambda number: app.ask(PHOTOS[number % len(PHOTOS)], number, "mask"),
                    range(turn * count, (turn + 1) * count))]
            totals, waits = [1000 * one.total for one in every], [1000 * one.wait for one in every]
            found["rows"].append({
                "visitors": count, "answers": len(every), "failed": sum(not one.good for one in every),
                "p50 ms": round(float(np.median(totals))), "p95 ms": round(float(np.percentile(totals, 95))),
                "p95 of the wait ms": round(float(np.percentile(waits, 95))), "memory MB": round(app.memory_mb())})
            found["rows"][-1]["of baseline"] = round(
                found["rows"][-1]["p50 ms"] / found["rows"][0]["p50 ms"], 2)
        if answers:
            found["memory"] = _memory(app, answers)
        return found
    finally:
        app.stop()


def _memory(app: App, answers: int) -> dict:
    """Memory after a tenth of the answers and at the end."""
    kinds, early = [None, *OCCLUSIONS], 0.0
    for number in range(answers):
        app.ask(PHOTOS[number % len(PHOTOS)], number, kinds[number % len(kinds)])
        if number + 1 == max(1, answers // 10):
            early = app.memory_mb()
    late = app.memory_mb()
    return {"answers": answers, "after a tenth MB": round(early), "at the end MB": round(late),
            "grown": f"{100 * (late / early - 1) if early else 0:+.1f} %"}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmark load", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--repeats", type=int, default=10, help="answers for each number of visitors, at least")
    parser.add_argument("--visitors", type=int, nargs="+", default=[2, 64], help="at once (default 2 64)")
    parser.add_argument("--answers", type=int, default=0, help="one after the other, for memory (default none)")
    parsed = parser.parse_args(arguments)
    found = run(parsed.visitors, parsed.repeats, parsed.answers)
    if parsed.json:
        print(json.dumps(found, indent=1))
        return
    print(f"first answer {found['first answer s']} s after the start; baseline: one visitor")
    print(table([{name: str(value) for name, value in row.items()} for row in found["rows"]]))
    if "memory" in found:
        print("memory: " + ", ".join(f"{name} {value}" for name, value in found["memory"].items()))


if __name__ == "__main__":
    main()
