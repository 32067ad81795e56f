"""A host stops the app: what visitors sent is gone, and so is what a killed app left when the next one starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import httpx
import pytest
from conftest import QUERIES, ROOT

PHOTO = QUERIES / "person-002" / "04.jpg"
pytestmark = pytest.mark.slow


def started(folder, port: int) -> tuple[subprocess.Popen, str]:
    """An app of its own, which writes below a folder and serves."""
    environment = {**os.environ, "TMPDIR": str(folder), "GRADIO_SERVER_PORT": str(port),
                   "DEMO_CACHE": str(folder / "cache")}
    environment.pop("GRADIO_TEMP_DIR", None)
    app = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            if httpx.get(f"{url}/healthz").status_code == 200:
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
