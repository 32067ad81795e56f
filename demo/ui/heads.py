"""What a page says of itself to browsers, search engines and whoever shows a link to it: title, description, picture.

Gradio has one title for all pages of an app and its own words for the rest, so the page is changed on its way out.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from demo.places import ASSETS

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

#: The app's name, which every page's title ends with.
NAME = "Explainable face identification"
PREVIEWS = ASSETS / "ui" / "previews"
#: Gradio's own, which are taken out.
_THEIRS = re.compile(rb"<meta\s+(?:property=\"og:|name=\"twitter:)[^>]*?/>|<title>.*?</title>", re.DOTALL)


@dataclass(frozen=True)
class Head:
    """title: of the page. description: one sentence."""

    title: str
    description: str

    @property
    def whole(self) -> str:
        """As it stands over the window."""
        return f"{self.title} · {NAME}" if self.title else NAME


#: Path of a page → what it says of itself.
HEADS = {
    "": Head("", "Who is this, and why? A face is ranked by its embedding, re-ranked by its patches, and both are "
                 "explained; hide a part of it and watch the answer change."),
    "compare": Head("Compare two photos", "Are these two photos of one person? Every method's distance, where it draws "
                                          "the line, and why."),
    "galleries": Head("Galleries", "The people that a photo is compared with: synthetic ones that come with the app, "
                                   "or your own."),
    "results": Head("Results", "How well it works: measured with this code, beside the numbers of DeepFace-EMD and "
                               "Face-ViT, each with the command that repeats it."),
    "about": Head("About", "DeepFace-EMD and Face-ViT's H2L in a few pictures, what a distance means, and what this is "
                           "not for."),
}


def head_middleware() -> Middleware:
    """For ``Starlette``."""
    return Middleware(Heads)


def preview_routes() -> list[BaseRoute]:
    """The pictures that links to the pages are shown with."""
    return [Route("/preview/{name}.jpg", _preview, methods=["GET"])]


async def _preview(request: Request) -> Response:
    name = request.path_params["name"]
    file = PREVIEWS / f"{name}.jpg"
    known = {path or "identify" for path in HEADS}
    return FileResponse(file) if name in known and file.is_file() else Response(status_code=404)


#: The menu in one line on a phone. It lies outside of what Gradio lets a style sheet of the app reach.
_MENU = ("<style>@media (max-width: 640px) { .nav-holder nav { padding-inline: 6px !important; gap: 2px !important; "
         "justify-content: space-between !important; flex-wrap: nowrap !important; } "
         ".nav-holder nav a { padding-inline: .4rem !important; font-size: .92rem !important; } }</style>")


def head_of(path: str, base: str) -> bytes:
    """The tags of a page. base: address of the app, with a slash at its end."""
    head, picture = HEADS[path], f"{base}preview/{path or 'identify'}.jpg"
    title, told, address = (html.escape(text, quote=True) for text in (head.whole, head.description, f"{base}{path}"))
    return (f'<title>{title}</title><meta name="description" content="{told}">'
            f'<meta property="og:type" content="website"><meta property="og:title" content="{title}">'
            f'<meta property="og:description" content="{told}"><meta property="og:url" content="{address}">'
            f'<meta property="og:image" content="{html.escape(picture, quote=True)}">'
            f'<meta name="twitter:card" content="summary_large_image">{_MENU}').encode()


def headed(page: bytes, path: str, base: str) -> bytes:
    """A page of Gradio's with its own title, description and picture."""
    page = _THEIRS.sub(b"", page)
    charset = b'<meta charset="utf-8" />'
    page = page.replace(charset, charset + head_of(path, base), 1)
    # The script takes the title from the configuration in the page.
    ours, title = (f'"title":{json.dumps(text, ensure_ascii=False)}'.encode() for text in (NAME, HEADS[path].whole))
    return page.replace(ours, title, 1)


class Heads:
    """ASGI middleware around Gradio's app."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope: Scope, receive, send: Send) -> None:
        root = scope.get("root_path", "")
        path = scope.get("path", "").removeprefix(root).strip("/")
        if scope["type"] != "http" or scope["method"] != "GET" or path not in HEADS:
            return await self.app(scope, receive, send)
        start: MutableMapping[str, Any] = {}
        parts: list[bytes] = []

        async def sending(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
                return
            parts.append(message.get("body", b""))
            if message.get("more_body"):
                return
            body, headers = b"".join(parts), list(start.get("headers", ()))
            if dict(headers).get(b"content-type", b"").startswith(b"text/html"):
                request = Request(scope)
                scheme = request.headers.get("x-forwarded-proto", request.url.scheme).split(",")[0].strip()
                body = headed(body, path, f"{scheme}://{request.url.netloc}{root}/")
                headers = [pair for pair in headers if pair[0] != b"content-length"]
                headers.append((b"content-length", str(len(body)).encode()))
            await send({**start, "headers": headers})
            await send({"type": "http.response.body", "body": body})

        return await self.app(scope, receive, sending)
