"""What a host can watch."""

import io
import json
import logging
import sys

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from demo import __version__
from demo.errors import BadSetting
from demo.settings import Settings
from demo.ui import watch
from demo.ui.watch import log_to, part_of


@pytest.fixture
def lines():
    """The log of the app as JSON, read line by line."""
    logger, stream = logging.getLogger("demo"), io.StringIO()
    before = logger.handlers, logger.propagate, logger.level
    log_to(stream, "json")
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logger.handlers, logger.propagate, logger.level = before


@pytest.fixture
def site():
    def page(_):
        logging.getLogger("demo.somewhere").warning("half a\nsentence")
        return PlainTextResponse("here")

    def broken(_):
        raise RuntimeError("no")

    def make(settings=None, ready=lambda: True):
        routes, around = watch.watch(settings or Settings(), ready)
        routes += [Route("/compare", page), Route("/gradio_api/file=/tmp/alice.jpg", page), Route("/broken", broken)]
        return TestClient(Starlette(routes=routes, middleware=around), raise_server_exceptions=False)

    return make


def test_the_app_says_that_it_lives(app_url):
    told = httpx.get(app_url + "healthz")
    assert told.status_code == 200 and told.json()["version"] == __version__
    assert httpx.get(app_url + "readyz").json()["status"] == "ready"
    assert httpx.get(app_url + "metrics").status_code == 404  # not asked for


def test_it_lives_before_it_is_ready(site):
    ready = []
    visitor = site(ready=lambda: bool(ready))
    assert visitor.get("/healthz").status_code == 200 and visitor.get("/readyz").status_code == 503
    ready.append(True)
    assert visitor.get("/readyz").status_code == 200


def test_a_line_for_every_request_with_its_number(site, lines):
    answer = site().get("/compare?who=alice", headers={"x-request-id": "abc-1"})
    assert answer.headers["x-request-id"] == "abc-1"
    inside, outside = lines()
    assert inside["message"] == "half a\nsentence" and inside["request"] == outside["request"] == "abc-1"
    assert outside["message"] == "GET compare" and outside["status"] == 200 and outside["ms"] >= 0


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "a\"}"])
def test_a_number_of_its_own_where_none_or_nonsense_came(site, given):
    answer = site().get("/compare", headers={"x-request-id": given})
    assert len(answer.headers["x-request-id"]) == 16


def test_nothing_of_a_visitor_is_logged(site, lines):
    visitor = site()
    visitor.get("/gradio_api/file=/tmp/alice.jpg?token=secret")
    visitor.get("/alice")
    visitor.get("/broken")
    text = json.dumps(lines())
    assert not any(word in text for word in ("alice", "secret", "testclient"))
    assert [line["message"] for line in lines() if line["logger"] == "demo.requests"] == [
        "GET api/file", "GET other", "GET other"]
    assert lines()[-1]["status"] == 500


def test_parts():
    assert [part_of(path) for path in ("/", "/study/api/answer", "/gradio_api/queue/join", "/gradio_api/%s", "/x")] == [
        "page", "study", "api/queue", "api/other", "other"]
    assert part_of("/faces/compare", "/faces") == "compare"


def test_numbers(site):
    pytest.importorskip("prometheus_client")
    visitor = site(Settings(metrics=True))
    visitor.app.get_blocks = lambda: type("Blocks", (), {"_queue": [1, 2]})
    visitor.get("/compare")
    visitor.get("/broken")
    text = visitor.get("/metrics").text
    assert 'face_match_requests_total{part="compare",status="200"} 1.0' in text
    assert 'face_match_requests_total{part="other",status="500"} 1.0' in text
    assert "face_match_queue 2.0" in text and "face_match_request_seconds_bucket" in text


def test_numbers_without_their_package(site, monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(BadSetting, match="pip install prometheus-client"):
        site(Settings(metrics=True))
