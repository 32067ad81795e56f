"""Shared fixtures: a backbone, the bundled gallery, and a small gallery to break."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from urllib.parse import urlparse

# Before gradio is imported: no usage reports, no hub, no proxy between the tests and the app.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
# Of processes side by side, no two look for the same free port.
os.environ["GRADIO_SERVER_PORT"] = str(7860 + 100 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]))

import numpy as np
import pytest
import torch

from demo.backbones import load_backbone
from demo.gallery import Gallery
from demo.identify import Identifier
from demo.settings import Settings
from demo.ui.app import build, launch_options
from demo.ui.engine import Engine

ROOT = Path(__file__).resolve().parents[1]
BUNDLED = ROOT / "galleries" / "synthetic-people"
QUERIES = ROOT / "assets" / "queries"
CORES = os.cpu_count() or 1
#: Tests run in as many processes; each holds networks, a gallery and a browser, about 2 GB.
PROCESSES = min(4, CORES)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """A folder of tests is spread over the cores, file by file; what is named more closely runs here, at once."""
    beside = "PYTEST_XDIST_WORKER" in os.environ or not config.pluginmanager.hasplugin("xdist")
    if beside or PROCESSES == 1 or config.option.usepdb or not any(map(os.path.isdir, config.args)):
        return
    if config.option.numprocesses is None:
        config.option.numprocesses, config.option.dist = PROCESSES, "loadfile"
        os.environ.setdefault("OMP_NUM_THREADS", str(CORES // PROCESSES))  # more would only wait for one another


def real_photos(name: str) -> Path:
    """A folder of real photos that lies outside the repository; the test is skipped where it is missing."""
    base = Path(os.environ.get("DEMO_TEST_PHOTOS") or ROOT.parent / "shared")
    if not (base / name).is_dir():
        pytest.skip(f"{name} is not on this machine (set DEMO_TEST_PHOTOS to the folder that holds it)")
    return base / name


@pytest.fixture(scope="module")
def one_thread():
    """Small batches: threads only wait for one another, most of all beside other work on the same cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def backbone():
    return load_backbone("dlib", device="cpu")


@pytest.fixture(scope="session")
def mobile():
    """The backbone that the app opens with."""
    return load_backbone("mobilefacenet", device="cpu")


@pytest.fixture(scope="session")
def bundled(backbone) -> Gallery:
    return Gallery.open(BUNDLED, backbone)


@pytest.fixture(scope="session")
def identifier(backbone, bundled) -> Identifier:
    return Identifier(backbone, bundled)


@pytest.fixture
def people(tmp_path) -> Path:
    """A folder of four people with two photos each, to build from and to change."""
    folder = tmp_path / "people"
    for person in ("person-001", "person-002", "person-003", "person-004"):
        (folder / person).mkdir(parents=True)
        for photo in ("01.jpg", "02.jpg"):
            shutil.copy(BUNDLED / person / photo, folder / person / photo)
    return folder


@pytest.fixture(scope="session")
def engine() -> Engine:
    return Engine(Settings(device="cpu"))


@pytest.fixture(scope="session")
def shown(engine) -> Identifier:
    """What the pages and the endpoints identify with: the default backbone on the bundled gallery."""
    return engine.identifier(engine.settings.gallery, engine.settings.backbone)


@pytest.fixture(scope="session")
def app(engine):
    return build(engine.settings, engine)


@pytest.fixture(scope="session")
def app_url(app, engine):
    engine.warm_up()
    _, url, _ = app.launch(prevent_thread_lock=True, quiet=True, ssr_mode=False, **launch_options(engine.settings))
    yield url
    app.close()


class Visits:
    """Pages opened as a new visitor; ``close`` fails on script errors and on requests to other hosts.

    profile: a browser with its cache, so that only the first of all pages compiles Gradio's scripts. What it remembers
    of visitors before is cleared. ``stranger`` opens a page as somebody else, at the same time.
    """

    def __init__(self, profile, browser, url: str):
        self.profile, self.browser, self.url = profile, browser, url.rstrip("/")
        self._pages, self._strangers, self._problems = [], [], []
        blank = profile.new_page()
        profile.new_cdp_session(blank).send("Storage.clearDataForOrigin", {
            "origin": self.url, "storageTypes": "cookies,local_storage,indexeddb,websql,service_workers"})
        blank.close()
        profile.clear_cookies()
        profile.clear_permissions()

    def open(self, path: str = "/", *, size=(1280, 1000)):
        return self._opened(self.profile.new_page(), path, size)

    def stranger(self, path: str = "/", *, size=(1280, 1000)):
        self._strangers.append(self.browser.new_context(**PROFILE))
        return self._opened(self._strangers[-1].new_page(), path, size)

    def _opened(self, page, path: str, size: tuple[int, int]):
        self._pages.append(page)
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: self._problems.append(f"script error: {error}"))
        page.on("request", lambda request: self._problems.append(f"request to {request.url}")
                if urlparse(request.url).scheme in ("http", "https", "ws", "wss")
                and urlparse(request.url).hostname not in ("127.0.0.1", "localhost") else None)
        page.goto(self.url + path)
        return page

    def close(self) -> None:
        for one in (*self._pages, *self._strangers):
            one.close()
        assert self._problems == []


@pytest.fixture
def visits(profile, browser, app_url):
    """Open pages as a new visitor; fails on script errors and on requests to other hosts."""
    opened = Visits(profile, browser, app_url)
    yield opened
    opened.close()


@pytest.fixture
def visit(visits):
    return visits.open


@pytest.fixture(scope="session")
def scene(tmp_path_factory) -> Path:
    """What Chromium's camera sees, one frame of 640 x 480: a dark wall with a bright mark at the top left."""
    wall = np.full((480, 640), 60, np.uint8)
    wall[40:140, 40:140] = 235
    file = tmp_path_factory.mktemp("camera") / "scene.y4m"
    colours = np.full(2 * 240 * 320, 128, np.uint8)
    file.write_bytes(b"YUV4MPEG2 W640 H480 F25:1 Ip A1:1 C420jpeg\nFRAME\n" + wall.tobytes() + colours.tobytes())
    return file


#: Of every visitor.
PROFILE: dict = {"locale": "en-US", "reduced_motion": "reduce", "accept_downloads": True}


@pytest.fixture(scope="module")
def chromium(scene):
    """How headless Chromium is started, and by what."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    with api.sync_playwright() as driver:
        yield driver.chromium, {"executable_path": path, "args": [
            "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-video-capture={scene}"]}


@pytest.fixture(scope="module")
def browser(chromium):
    """Headless Chromium that remembers nothing."""
    engine, how = chromium
    opened = engine.launch(**how)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> Path:
    """Where the browser with a cache keeps it."""
    return tmp_path_factory.mktemp("profile")


@pytest.fixture(scope="module")
def profile(chromium, cache):
    """Headless Chromium with a cache."""
    engine, how = chromium
    opened = engine.launch_persistent_context(cache, **how, **PROFILE)
    yield opened
    opened.close()
