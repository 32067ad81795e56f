"""What a host can watch: whether the app lives and is ready, a line of log for every request, and numbers.

Nothing of a visitor is written: no address, no query, no name of a file, no content.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import sys
import time
from collections.abc import Callable
from contextvars import ContextVar
from importlib import import_module
from types import ModuleType

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from demo import __version__
from demo.errors import BadSetting
from demo.settings import Settings
from demo.ui.gate import API, Scope, Send

log = logging.getLogger("demo.requests")

#: The number of the request that is served here, "" outside of one.
request_id: ContextVar[str] = ContextVar("request_id", default="")

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_KNOWN = ("compare", "galleries", "results", "about", "study", "operator", "healthz", "readyz", "metrics")
_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30)


class JsonLines(logging.Formatter):
    """A log record as one line of JSON: time (UTC), level, logger, message, and the request it belongs to."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{record.msecs:03.0f}Z",
                "level": record.levelname.lower(), "logger": record.name, "message": record.getMessage()}
        if named := request_id.get():
            line["request"] = named
        line |= getattr(record, "told", {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def log_to(stream, kind: str) -> None:
    """Let the app's log go to a stream, as "text" (warnings and what starts) or "json" (every request as well)."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines() if kind == "json" else logging.Formatter("%(levelname)s: %(message)s"))
    logger = logging.getLogger("demo")
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.INFO if kind == "json" else logging.WARNING)


def part_of(path: str, root: str = "") -> str:
    """What a path below a root is about, in few words, so that no name of a file is told."""
    path = path.removeprefix(root)
    if path.startswith(API):
        words = path[len(API):].split("/")
        return "api/" + ("file" if words[0].startswith("file=") else words[0] if words[0].isidentifier() else "other")
    word = path.strip("/").split("/")[0]
    return word if word in _KNOWN else "page" if not word else "other"


class Numbers:
    """Counts and times of requests in the text format of Prometheus. BadSetting without its package."""

    def __init__(self):
        try:
            self._client: ModuleType = import_module("prometheus_client")
        except ImportError:
            raise BadSetting("DEMO_METRICS needs a package: pip install prometheus-client.") from None
        c = self._client
        self.registry = c.CollectorRegistry()
        c.ProcessCollector(registry=self.registry)  # memory and processor time
        self.requests = c.Counter("face_match_requests", "Requests answered", ["part", "status"],
                                  registry=self.registry)
        self.seconds = c.Histogram("face_match_request_seconds", "From a request to the end of its answer", ["part"],
                                   buckets=_SECONDS, registry=self.registry)
        self.open = c.Gauge("face_match_requests_open", "Requests being answered", registry=self.registry)
        self.waiting = c.Gauge("face_match_queue", "Calls that wait for their turn", registry=self.registry)

    def text(self) -> Response:
        return Response(self._client.generate_latest(self.registry), media_type=self._client.CONTENT_TYPE_LATEST)


class Watch:
    """ASGI middleware around everything: gives each request a number, logs it, counts it."""

    def __init__(self, app, numbers: Numbers | None = None):
        self.app = app
        self.numbers = numbers

    async def __call__(self, scope: Scope, receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        given = Request(scope).headers.get("x-request-id", "")
        named = given if _NAME.fullmatch(given) else secrets.token_hex(8)
        token, start, status = request_id.set(named), time.perf_counter(), 500
        part = part_of(scope["path"], scope.get("root_path", ""))

        async def sending(message):
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), (b"x-request-id", named.encode())]}
            await send(message)

        if self.numbers:
            self.numbers.open.inc()
        try:
            await self.app(scope, receive, sending)
        finally:
            seconds = time.perf_counter() - start
            log.info("%s %s", scope["method"], part, extra={"told": {"status": status, "ms": round(1000 * seconds, 1)}})
            if self.numbers:
                self.numbers.open.dec()
                self.numbers.requests.labels(part, status).inc()
                self.numbers.seconds.labels(part).observe(seconds)
            request_id.reset(token)


def watch(settings: Settings, ready: Callable[[], bool],
          stopping: Callable[[], bool] = lambda: False) -> tuple[list[BaseRoute], list[Middleware]]:
    """Routes /healthz, /readyz and, where the host wants it, /metrics; and the middleware that counts for them.

    ready: whether the first visitor would be answered at once. stopping: whether no visitor is any more.
    """
    numbers, began = Numbers() if settings.metrics else None, time.monotonic()

    def told() -> dict:
        status = "stopping" if stopping() else "ready" if ready() else "starting"
        return {"status": status, "version": __version__,
                "uptime_s": round(time.monotonic() - began, 1)}

    def healthz(_: Request) -> Response:
        return JSONResponse(told())

    def readyz(_: Request) -> Response:
        now = told()
        return JSONResponse(now, 200 if now["status"] == "ready" else 503)

    routes: list[BaseRoute] = [Route("/healthz", healthz), Route("/readyz", readyz)]
    if numbers:
        def metrics(request: Request) -> Response:
            numbers.waiting.set(len(request.app.get_blocks()._queue))
            return numbers.text()

        routes.append(Route("/metrics", metrics))
    return routes, [Middleware(Watch, numbers=numbers)]


def log_as(settings: Settings) -> None:
    """The log of this process, on its standard error."""
    log_to(sys.stderr, settings.log)
