"""What stands before Gradio's own routes: who asks is known by a key, and a request may name only files of its own.

Gradio takes any object with a path in it for a file, in every slot of every event, and gives every file in its folder
to everybody. Here each call is read once, whatever event it is for, so that no component and no handler can forget:
files that are not the visitor's are taken out of it, addresses are hidden from Gradio, which would fetch them, and text
becomes text that can be sent back. What is left of a photo that was taken out, ``PhotoInput`` answers with a sentence.
"""

from __future__ import annotations

import inspect
import json
import math
import secrets
import shutil
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from gradio import routes as gradio_routes
from gradio.route_utils import upload_fn
from starlette.formparsers import MultiPartException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from demo.faces import is_address
from demo.settings import Settings
from demo.ui.uploads import uploads

API = "/gradio_api/"
COOKIE = "visitor"
#: What the pages, and programs that call the public endpoints, need of Gradio's routes. All others are shut.
OPEN = frozenset({"api", "app_id", "call", "cancel", "heartbeat", "info", "login_check", "openapi.json", "queue",
                  "reset", "run", "startup-events", "theme.css", "upload", "upload_progress", "user"})
#: Routes that take the data of an event.
_EVENTS = ("api/", "call/", "run/", "queue/join")
_OF_THE_BODY = (b"content-length", b"content-type", b"transfer-encoding")
_DEEPEST = 30
_LONGEST_NUMBER = 400  # digits; longer ones read as infinity

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class _Refused(Exception):
    """This call goes no further. status: of the answer; the text is its sentence."""

    def __init__(self, status: int, text: str):
        super().__init__(text)
        self.status = status


def gate_options(settings: Settings) -> dict:
    """Arguments for the web app. A call may carry two photos as data addresses, which take 4 bytes for 3."""
    return {"middleware": [Middleware(Gate, max_bytes=int((2 * settings.max_upload_mb * 4 / 3 + 1) * 2**20))]}


def upload_routes() -> list[BaseRoute]:
    """The route that takes in what visitors send, in the place of Gradio's own."""
    return [Route(f"{API}upload", _upload, methods=["POST"])]


async def _upload(request: Request) -> Response:
    """As Gradio's, but each request's files go to a room of their own, and it is remembered who sent them."""
    blocks, tracked = request.app.get_blocks(), request.query_params.get("upload_id")
    room = uploads().room()
    try:
        files, _, _ = await upload_fn(
            request, str(room), math.inf if blocks.max_file_size is None else blocks.max_file_size, tracked,
            upload_progress=gradio_routes.file_upload_statuses if tracked else None)
    except BaseException as error:  # that the visitor went away, too
        shutil.rmtree(room)
        if isinstance(error, MultiPartException):
            return JSONResponse({"detail": error.message}, 413 if "maximum allowed size" in error.message else 400)
        if isinstance(error, TypeError):
            return JSONResponse({"detail": "Send each file as a part named files, with a file name."}, 400)
        raise
    for part in room.iterdir():  # those under another name
        if part.is_file():
            part.unlink()
    key = _key(request.scope)
    response = JSONResponse(files)
    uploads().keep(files, key or _give_key(request.scope, response), unclaimed=key is None)
    blocks.upload_file_set.update(files)  # erased by age, as all that Gradio writes
    return response


class Gate:
    """ASGI middleware around Gradio's app. max_bytes: of a call."""

    def __init__(self, app, max_bytes: int):
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        path = scope["path"]
        root = scope.get("root_path", "")
        path = path[len(root):] if root and path.startswith(root) else path
        try:
            if path.startswith(API):
                receive, send = await self._admit(path[len(API):], scope, receive, send)
            elif scope["method"] == "GET" and _key(scope) is None and _is_page(path, scope["app"].get_blocks()):
                send = _with_key(scope, send)
        except _Refused as refused:
            return await JSONResponse({"detail": str(refused)}, refused.status)(scope, receive, send)
        return await self.app(scope, receive, send)

    async def _admit(self, name: str, scope: Scope, receive, send: Send):
        """receive and send for a call that may go on."""
        if name.startswith("file="):
            if not uploads().readable(name.removeprefix("file="), _key(scope)):
                raise _Refused(403, "There is no such file, or it is another visitor's.")
            return receive, with_headers(send, (b"cache-control", b"private"))
        if name.split("/")[0] not in OPEN:
            raise _Refused(404, "This part of Gradio is not in use here.")
        if scope["method"] == "POST" and name.startswith(_EVENTS):
            body = json.dumps(_event(name.rstrip("/"), await self._read(receive), scope)).encode()
            scope["headers"] = [pair for pair in scope["headers"] if pair[0] not in _OF_THE_BODY]
            scope["headers"] += [(b"content-length", str(len(body)).encode()), (b"content-type", b"application/json")]
            return _replay(body, receive), send
        return receive, send

    async def _read(self, receive) -> dict:
        parts, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                raise _Refused(400, "The call was cut short.")
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self.max_bytes:
                raise _Refused(413, f"The call is over the limit of {self.max_bytes / 2**20:.0f} MB: upload photos "
                                    "as files.")
            more = message.get("more_body", False)
        try:
            body = json.loads(b"".join(parts), parse_int=_whole)
        except (ValueError, RecursionError):
            raise _Refused(400, "The call is not JSON in UTF-8.") from None
        if not isinstance(body, dict):
            raise _Refused(400, "The call is not a JSON object.")
        return body


def _event(name: str, body: dict, scope: Scope) -> dict:
    """What Gradio gets to see of a call."""
    blocks = scope["app"].get_blocks()
    named = name.startswith("call/v2/")
    arguments, number, session = ({}, None, None) if named else (
        body.get("data"), body.get("fn_index"), body.get("session_hash"))
    if isinstance(number, bool) or not isinstance(number, int | None):
        raise _Refused(400, "fn_index is not a whole number.")
    if not isinstance(session, str | None):
        raise _Refused(400, "session_hash is not text.")
    if number is None:
        event = next((event for event in blocks.fns.values() if event.api_name == name.split("/")[-1]), None)
    else:
        event = blocks.fns.get(number)
    public = event is not None and event.api_visibility == "public"
    if event is None or not (public or session and number is not None and not name.startswith("call/")):
        raise _Refused(404, "There is no such endpoint.")
    usable = _usable(_key(scope), session)
    if named:
        return {name: _clean(one, usable, addresses=True) for name, one in _named(event, body).items()}
    if not isinstance(arguments, list):
        raise _Refused(400, "data is not a list of values.")
    if public:  # what is missing is told by name
        arguments = arguments + [None] * (len(event.inputs) - len(arguments))
    known = {"fn_index": number, "session_hash": _clean(session, usable),
             "data": _clean(arguments, usable, addresses=public), "event_data": _clean(body.get("event_data"), usable)}
    if isinstance(body.get("trigger_id"), int):
        known["trigger_id"] = body["trigger_id"]
    return known


def _named(event, arguments: dict) -> dict:
    """Arguments by name, those that are missing at their default; a photo has none."""
    names = list(inspect.signature(event.fn).parameters)[:len(event.inputs)]
    unknown = [name for name in arguments if name not in names]
    if unknown:
        raise _Refused(400, f"There is no parameter {ascii(unknown[0])[:60]}.")
    return {name: arguments.get(name, part.value) for name, part in zip(names, event.inputs, strict=True)}


def _usable(key: str | None, session: str | None) -> Callable[[object], str | None]:
    """path → the real path of what this visitor may use. A program that keeps no cookie is known by its session, or for
    one call, and has what it was first to use of those uploads that came without a cookie, too."""
    if key is not None:
        return lambda path: uploads().usable(path, key)
    alone = f"session {session}" if session else f"call {secrets.token_hex(8)}"
    return lambda path: uploads().usable(path, alone, claims=True)


def _clean(value: Any, usable: Callable[[object], str | None], depth: int = 0, *, addresses: bool = False) -> Any:
    """A value from outside without half characters, and without files that are not ``usable``. addresses: whether those
    of photos elsewhere are handed on, under a name that Gradio does not know; an endpoint decides what is fetched."""
    if depth > _DEEPEST:
        raise _Refused(400, "The call is nested too deeply.")
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list):
        return [_clean(one, usable, depth + 1, addresses=addresses) for one in value]
    if not isinstance(value, dict):
        return value
    if not ("path" in value or "url" in value):
        return {_clean(name, usable): _clean(one, usable, depth + 1) for name, one in value.items()}
    path, url = value.get("path"), value.get("url")
    file = {"path": usable(path), "url": None, "meta": {"_type": "gradio.FileData"}}
    if addresses and file["path"] is None and (there := next(filter(is_address, (path, url)), None)):
        file["address"] = _clean(there, usable)
    if path is None and isinstance(url, str) and url.startswith("data:"):
        file["url"] = _clean(url, usable)
    return file


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else math.copysign(math.inf, -1 if digits[0] == "-" else 1)


def _replay(body: bytes, receive):
    sent = False

    async def replay():
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _key(scope: Scope) -> str | None:
    """The visitor's key, from its cookie."""
    value = Request(scope).cookies.get(COOKIE, "")
    return f"cookie {value}" if 20 <= len(value) <= 64 else None


def _give_key(scope: Scope, response: Response) -> str:
    value, header = _new_cookie(scope)
    response.raw_headers.append((b"set-cookie", header))
    return f"cookie {value}"


def _new_cookie(scope: Scope) -> tuple[str, bytes]:
    """A key of its own for a visitor, for as long as the browser is open. Over HTTPS it works in a frame as well, as a
    Space is shown."""
    value, request = secrets.token_urlsafe(24), Request(scope)
    https = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", "").split(",")[0].strip())
    rules = "SameSite=None; Secure; Partitioned" if https else "SameSite=Lax"
    return value, f"{COOKIE}={value}; Path={scope.get('root_path', '') or '/'}; HttpOnly; {rules}".encode("latin-1")


def _is_page(path: str, blocks) -> bool:
    """Whether Gradio answers with a page, or with what a program reads in its place."""
    return path.strip("/") in {"config", *(name for name, *_ in blocks.pages)}


def _with_key(scope: Scope, send: Send) -> Send:
    return with_headers(send, (b"set-cookie", _new_cookie(scope)[1]))


def with_headers(send: Send, *headers: tuple[bytes, bytes]) -> Send:
    """What sends an answer with further headers."""
    async def sending(message):
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *headers]}
        await send(message)

    return sending
