"""Many visitors at once: served in order, none refused, each told its place; and the benchmarks that measure it."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import QUERIES

from demo.benchmarks.load import row
from demo.benchmarks.scale import shown
from demo.benchmarks.timing import table
from demo.benchmarks.visitors import Answer, App, photo
from demo.ui.pages.identify import HEAVY, IdentifyHandlers

PHOTO = QUERIES / "person-002" / "04.jpg"


class Crowd:
    """Visitors who come one after the other while the first answers are being computed, jobs at a time. seeds: theirs,
    as served."""

    def __init__(self, app, url: str, jobs: int, monkeypatch):
        self.jobs, self.seeds, self.go_on = jobs, [], threading.Event()
        self.go_on.set()
        usual = IdentifyHandlers.compute

        def compute(does, photo, values, *given):
            self.seeds.append(values["seed"])
            self.go_on.wait(20)
            return usual(does, photo, values, *given)

        monkeypatch.setattr(IdentifyHandlers, "compute", compute)
        self._app, self._lines, self._pool = App(url.rstrip("/"), 0), app._queue, ThreadPoolExecutor(8)
        self.answers = []

    def _known(self) -> int:
        line = self._lines.event_queue_per_concurrency_id.get(HEAVY)
        return len(self.seeds) + (len(line.queue) if line else 0)

    def come(self, count: int) -> None:
        self.go_on.clear()
        for _ in range(count):
            before = self._known()
            self.answers.append(self._pool.submit(self._app.ask, PHOTO, 100 + len(self.answers), "mask"))
            while self._known() == before or len(self.seeds) < min(len(self.answers), self.jobs):
                time.sleep(0.01)

    def leave(self) -> list[Answer]:
        self.go_on.set()
        self._pool.shutdown()
        return [one.result() for one in self.answers]


@pytest.fixture
def crowd(app, app_url, engine, monkeypatch):
    made = Crowd(app, app_url, engine.settings.jobs, monkeypatch)
    yield made
    made.leave()


@pytest.mark.slow
def test_visitors_are_served_in_order_and_told_their_place(crowd, engine):
    jobs = engine.settings.jobs
    crowd.come(jobs + 3)
    found = crowd.leave()
    assert all(one.good for one in found) and crowd.seeds == [100 + number for number in range(jobs + 3)]
    assert [one.ahead for one in found[jobs:]] == [0, 1, 2]
    assert min(one.wait for one in found[jobs:]) > 0


@pytest.mark.browser
@pytest.mark.slow
def test_the_page_says_how_many_come_before(visit, crowd, engine):
    page = visit("/")
    page.locator("#board .sentence").wait_for()
    crowd.come(engine.settings.jobs + 1)
    page.locator("#go").click()
    told = page.locator("#board .progress-text[data-told^='1 before you']")
    told.wait_for()
    assert told.evaluate("text => getComputedStyle(text, '::before').content").startswith('"1 before you')
    crowd.leave()
    told.wait_for(state="detached")
    page.locator("#board .sentence").wait_for()


def test_what_visitors_met_is_summed_up():
    answers = [Answer(0, None, None, 0.1, True), Answer(0.1, 0.2, 0, 0.2, True), Answer(0.2, 0.3, 1, 0.4, False)]
    found = row(answers, 3, 700.4)
    assert (found["failed"], found["p50 ms"], found["told their place"], found["memory MB"]) == (1, 200, 2, 700)
    assert found["p95 of the wait ms"] == 190 and found["p95 of what they were told ms"] == 295


def test_photos_of_the_memory_benchmark_differ():
    assert len({photo(number) for number in range(12)}) == 12


def test_tables_are_markdown():
    measured = {"faces": 1_000_000, "open_s": 12.34, "p50_ms": 180.6, "p95_ms": 240.2, "stage1_ms": 66.04,
                "faiss_ms": 60.0, "processor_ms": 201, "explained_ms": 900, "memory_mb": 1965.2, "add_s": 0.456,
                "of_baseline": 1.234}
    head, line, cells = (text.strip("| ").split(" | ") for text in table([shown(measured)]).splitlines())
    told = dict(zip((one.strip() for one in head), (one.strip() for one in cells), strict=True))
    assert set("".join(line)) <= set("- |") and told["faces"] == "1,000,000" and told["opened in"] == "12.3 s"
    assert (told["answer, p50"], told["p95"], told["of baseline"]) == ("181 ms", "240 ms", "1.23")
    assert "of faiss's" not in shown(measured | {"faiss_ms": None})  # where it is not installed
    assert (told["of it Stage 1"], told["of faiss's"]) == ("66 ms", "1.10")
    assert told["memory of the process"] == "1,965 MB"
