"""A host stops the app: what visitors sent is gone, and so is what a killed app left when the next one starts."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from conftest import QUERIES, ROOT

from demo.ui.closing import STOPPING

PHOTO = QUERIES / "person-002" / "04.jpg"
pytestmark = pytest.mark.slow


def started(folder, port: int, **settings: str) -> tuple[subprocess.Popen, str]:
    """An app of its own, which writes below a folder and serves."""
    environment = {**os.environ, "TMPDIR": str(folder), "GRADIO_SERVER_PORT": str(port),
                   "DEMO_CACHE": str(folder / "cache"), **settings}
    environment.pop("GRADIO_TEMP_DIR", None)
    app = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            if httpx.get(f"{url}/healthz", timeout=60).status_code == 200:
                return app, url
        except httpx.TransportError:
            time.sleep(0.2)
    app.kill()
    raise AssertionError("The app did not start.")


def sent(url: str) -> None:
    httpx.post(f"{url}/gradio_api/upload", files={"files": ("me.jpg", PHOTO.read_bytes())}).raise_for_status()


def copies(folder) -> list:
    return [file for file in folder.rglob("*") if file.is_file() and file.read_bytes() == PHOTO.read_bytes()]


def test_no_photo_of_a_visitor_outlives_the_app(tmp_path):
    port = int(os.environ["GRADIO_SERVER_PORT"]) + 80
    app, url = started(tmp_path, port)
    sent(url)
    assert len(copies(tmp_path)) == 1
    app.send_signal(signal.SIGTERM)
    assert app.wait(30) == 0 and copies(tmp_path) == []

    app, url = started(tmp_path, port + 1)
    sent(url)
    app.kill()
    app.wait(30)
    assert len(copies(tmp_path)) == 1  # nobody was there to erase it
    app, url = started(tmp_path, port + 2)
    assert copies(tmp_path) == []
    app.send_signal(signal.SIGTERM)
    assert app.wait(30) == 0


def asked(url: str, begun: threading.Semaphore) -> tuple[str, str]:
    """Calls /identify as a program does, and says what came of it: the event that ended it and its data, or the status
    and the sentence of a refusal."""
    photo = "data:image/jpeg;base64," + base64.b64encode(PHOTO.read_bytes()).decode()
    with httpx.Client(timeout=120) as client:
        answer = client.post(f"{url}/gradio_api/call/v2/identify", json={"photo": {"url": photo}})
        begun.release()
        if answer.status_code != 200:
            assert answer.headers["retry-after"]
            return str(answer.status_code), answer.json()["detail"]
        event = ""
        with client.stream("GET", f"{url}/gradio_api/call/identify/{answer.json()['event_id']}") as lines:
            for line in lines.iter_lines():
                event = line.removeprefix("event: ") if line.startswith("event: ") else event
                if event in ("complete", "error") and line.startswith("data: "):
                    return event, line.removeprefix("data: ")
    raise AssertionError("The stream ended without an answer.")


def ready(url: str) -> None:
    for _ in range(1500):
        if httpx.get(f"{url}/readyz", timeout=60).status_code == 200:
            return
        time.sleep(0.2)
    raise AssertionError("The app is not ready.")


@pytest.mark.parametrize("seconds", ["20", "0"])
def test_an_app_that_is_stopped_answers_or_refuses_everybody(tmp_path, seconds):
    """What is computed is finished where there is time for it; what waits is refused, and so is who comes then."""
    app, url = started(tmp_path, int(os.environ["GRADIO_SERVER_PORT"]) + 83 + int(seconds), DEMO_JOBS="1",
                       DEMO_STOP_SECONDS=seconds)
    try:
        ready(url)
        begun, calls = threading.Semaphore(0), 12
        with ThreadPoolExecutor(calls + 1) as pool:
            answers = [pool.submit(asked, url, begun) for _ in range(calls)]
            for _ in range(calls):
                assert begun.acquire(timeout=60)
            app.send_signal(signal.SIGTERM)
            late = pool.submit(come_late, url)
            told = [answer.result(timeout=120) for answer in answers]
            assert app.wait(60) == 0
        refused = [text for event, text in told if event != "complete"]
        assert all("The app is being stopped" in text for text in refused) and len(refused) >= calls / 2
        assert all("person-" in text for event, text in told if event == "complete")
        if int(seconds):
            assert len(refused) < calls  # the one that was computed is not lost
            assert late.result() in ("refused", "stopped")
    finally:
        app.kill()


def come_late(url: str) -> str:
    """What becomes of who comes when the app is being stopped: a sentence, until nobody listens."""
    while True:
        try:
            state = httpx.get(f"{url}/readyz", timeout=60)
            if state.status_code == 503 and state.json()["status"] == "stopping":
                answer = httpx.get(f"{url}/compare", timeout=60)
                assert answer.status_code == 503 and answer.text == STOPPING and answer.headers["retry-after"] == "30"
                return "refused"
        except httpx.TransportError:
            return "stopped"
