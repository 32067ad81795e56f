"""A running app of its own, and visitors who ask it over HTTP as the page does."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import perf_counter, sleep
from typing import Any
from uuid import uuid4

import cv2
import httpx
import numpy as np

from demo.errors import BadSetting
from demo.faces import load_photo
from demo.fields import fields_of
from demo.places import ASSETS
from demo.query import Preparation

PHOTOS = sorted((ASSETS / "queries").glob("*/*.jpg"))
#: Seconds that an answer may take, and the start.
PATIENCE = 600
_TITLES = {one.name: one.title for one in fields_of(Preparation)}
_SEED, _ALTERATION = _TITLES["seed"], _TITLES["alteration"]


@dataclass(frozen=True)
class Answer:
    """wait: seconds in the queue; told: seconds until the answer that were said at its end, None where there was no
    such; ahead: how many were said to come before, of those in the queue; total: until the answer was there. good: it
    is one, and no problem."""

    wait: float
    told: float | None
    ahead: int | None
    total: float
    good: bool


class App:
    """Where an app answers, and how its page asks. url: without a slash at the end; process: its number."""

    def __init__(self, url: str, process: int):
        self.url, self.number = url, process
        config = httpx.get(f"{url}/config", timeout=PATIENCE).raise_for_status().json()
        self._parts = {part["id"]: part for part in config["components"]}
        board = next(key for key, part in self._parts.items() if part["props"].get("elem_id") == "board")
        self._event = next(one for one in config["dependencies"] if one["outputs"][:1] == [board]
                           and self._parts[one["inputs"][0]]["type"] == "image")
        shown = {key for key, part in self._parts.items() if part["props"].get("elem_id") == "inspector"}
        self._explain = next(one for one in config["dependencies"] if len(one["outputs"]) == 1
                             and one["outputs"][0] in shown and one["targets"][0][1] == "change")

    def ask(self, photo: Path | bytes, seed: int = 0, alteration: str | None = None, *,
            explained: bool = False) -> Answer:
        """What a new visitor waits for: a photo and the form as it stands, altered as is said. explained: what explains
        the first match is waited for as well, untimed."""
        sent = photo if isinstance(photo, bytes) else photo.read_bytes()
        session = uuid4().hex
        with httpx.Client(base_url=f"{self.url}/gradio_api", timeout=PATIENCE) as http:
            (path,) = http.post("/upload", files={"files": ("photo.jpg", sent)}).raise_for_status().json()
            data = [self._value(self._parts[number], seed, alteration) for number in self._event["inputs"]]
            data[0] = {"path": path, "meta": {"_type": "gradio.FileData"}}
            start = starts = perf_counter()
            told, ahead, good, total = None, None, False, None
            for message in self._messages(http, session, self._event, data):
                if message["msg"] == "estimation" and ahead is None:
                    told, ahead = message["rank_eta"], message["rank"]
                elif message["msg"] == "process_starts":
                    starts = perf_counter()
                elif message["msg"] == "process_completed":
                    board = (message["output"].get("data") or [None])[0]
                    good = message["success"] and isinstance(board, dict) and "candidates" in board
                    total = perf_counter() - start
            if explained and good:
                list(self._messages(http, session, self._explain, [None]))
        return Answer(starts - start, told, ahead, total or perf_counter() - start, good)

    def _messages(self, http: httpx.Client, session: str, event: dict, data: list) -> Iterator[dict[str, Any]]:
        """What the page is told of a call, to its end; nothing where it is refused."""
        if http.post("/queue/join", json={"fn_index": event["id"], "session_hash": session,
                                          "data": data}).status_code != 200:
            return
        with http.stream("GET", "/queue/data", params={"session_hash": session}) as stream:
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    yield (message := json.loads(line[6:]))
                    if message["msg"] == "process_completed":
                        return

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
            pages = Path(f"/proc/{self.number}/statm").read_text(encoding="ascii").split()[1]
            return int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6
        except OSError:
            return 0.0


class OwnApp(App):
    """An app in a process of its own, as ``python app.py`` starts it. started: when, by ``perf_counter``."""

    def __init__(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.started = perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "demo", "app", "--host", "127.0.0.1", "--port", str(port)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | {"NO_PROXY": "127.0.0.1"})
        url = f"http://127.0.0.1:{port}"
        try:
            self._wait(url)
            self.page = perf_counter() - self.started
            super().__init__(url, self._process.pid)
        except BaseException:
            self.stop()
            raise

    def _wait(self, url: str) -> None:
        while perf_counter() - self.started < PATIENCE:
            if self._process.poll() is not None:
                raise BadSetting("The app ended at its start: 'python -m demo app' says why.")
            try:
                httpx.get(f"{url}/healthz", timeout=PATIENCE)
                return
            except httpx.HTTPError:
                sleep(0.05)
        raise BadSetting(f"The app did not start within {PATIENCE} s.")

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()


@cache
def _decoded(number: int) -> np.ndarray:
    return load_photo(PHOTOS[number])[..., ::-1]


def photo(number: int) -> bytes:
    """A JPEG like no other: one of the photos in one of a hundred sizes, from six tenths of its own to twice that."""
    scale = 0.6 + 1.4 * (37 * number % 100) / 100
    _, data = cv2.imencode(".jpg", cv2.resize(_decoded(number % len(PHOTOS)), None, fx=scale, fy=scale))
    return data.tobytes()
