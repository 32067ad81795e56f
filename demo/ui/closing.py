"""How the app stops: nobody new is let in, what is being computed is finished and fetched, and who waits is told.

A host stops a process with a signal, and kills it some seconds later (Kubernetes 30). Until then the app answers: what
was begun with its result, all else with status 503 and a sentence.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from concurrent.futures import TimeoutError as TookTooLong

import gradio as gr
from gradio.server_messages import ProcessCompletedMessage
from gradio.utils import error_payload
from starlette.responses import JSONResponse, PlainTextResponse, Response

from demo.ui.gate import API, Scope, Send, with_headers

log = logging.getLogger("demo")

STOPPING = "The app is being stopped: send this again in half a minute."
#: What a refusal says of when to come again, in seconds.
AGAIN = 30
#: Seconds for which a result waits for a program that has not asked for it yet.
FETCH = 3.0
#: Seconds for what is told at the end to go out, from a server that is busy.
_LAST = 3.0
_STEP = 0.05
#: Parts that stay open: whether the app lives, and what belongs to calls that were let in.
_WATCHED = frozenset({"/healthz", "/readyz", "/metrics"})
#: Streams that end only with the page.
_ENDLESS = f"{API}heartbeat/"


class Closing:
    """Whether the app is being stopped, and what is not finished. began: nobody is let in any more."""

    def __init__(self):
        self.began = False
        self._served = 0  # requests that are being answered
        self._guard = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._blocks: gr.Blocks | None = None

    def enter(self, blocks: gr.Blocks) -> None:
        """In the server's thread, for every request."""
        self._loop, self._blocks = asyncio.get_running_loop(), blocks
        with self._guard:
            self._served += 1

    def leave(self) -> None:
        with self._guard:
            self._served -= 1

    def finish(self, seconds: float) -> None:
        """Let nobody in, refuse who waits for a turn, and wait so many seconds at most for what is computed, and for
        who fetches it. What is not finished then is refused, too. In any thread but the server's."""
        self.began = True
        end, done = time.monotonic() + seconds, None
        while (now := time.monotonic()) < end:
            computing, waiting = self._look()
            if computing or self._served:
                done = None
            elif not waiting:
                return
            elif now - (done := done or now) > FETCH:
                break
            time.sleep(_STEP)
        if self._look(everything=True)[0]:
            log.warning("stopped before everything was computed")
        end = time.monotonic() + _LAST
        while self._served and time.monotonic() < end:
            time.sleep(_STEP)

    def _look(self, *, everything: bool = False) -> tuple[bool, bool]:
        """Whether something is computed, and whether a result waits to be fetched, after all that wait for a turn were
        refused. everything: and what is computed."""
        if self._loop is None or self._loop.is_closed():
            return False, False
        asked = asyncio.run_coroutine_threadsafe(self._refuse(everything), self._loop)
        try:
            return asked.result(_LAST)
        except TookTooLong:
            asked.cancel()
            return True, True

    async def _refuse(self, everything: bool) -> tuple[bool, bool]:
        assert self._blocks is not None
        queue = self._blocks._queue
        computing = [event for job in queue.active_jobs if job for event in job]
        async with queue.delete_lock:
            refused = [event for line in queue.event_queue_per_concurrency_id.values() for event in line.queue]
            for line in queue.event_queue_per_concurrency_id.values():
                line.queue.clear()
        told = error_payload(gr.Error(STOPPING, print_exception=False), False)
        for event in refused + (computing if everything else []):
            queue.send_message(event, ProcessCompletedMessage(output=dict(told), title="Error", success=False))
            event.alive = False  # whatever comes of it is sent to nobody
        return bool(computing), any(queue.pending_event_ids_session.values())


class Door:
    """ASGI middleware that knows who is inside and lets nobody in while the app is being stopped."""

    def __init__(self, app, closing: Closing):
        self.app = app
        self.closing = closing

    async def __call__(self, scope: Scope, receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if self.closing.began:
            if path not in _WATCHED and not (scope["method"] == "GET" and path.startswith(API)):
                return await _refusal(path)(scope, receive, send)
            send = with_headers(send, (b"connection", b"close"))
        if path.startswith(_ENDLESS):
            return await self.app(scope, receive, send)
        self.closing.enter(scope["app"].get_blocks())
        try:
            await self.app(scope, receive, send)
        finally:
            self.closing.leave()


def _refusal(path: str) -> Response:
    headers = {"Retry-After": str(AGAIN), "Connection": "close"}
    if path.startswith(API) or path.count("/") > 1:
        return JSONResponse({"detail": STOPPING, "error": STOPPING}, 503, headers)
    return PlainTextResponse(STOPPING, 503, headers)

