"""Pages and JSON outside Gradio: the study's and the operator's. Their styles and scripts lie in assets/ui."""

from __future__ import annotations

import html
import logging
import secrets
from collections.abc import Callable
from functools import cache

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.routing import APIRoute
from markdown_it import MarkdownIt
from starlette.exceptions import HTTPException

from demo.errors import BadStudy, DemoError, NotSaved, StaleTab, UnknownParticipant
from demo.settings import ASSETS
from demo.study.session.refusals import TurnedAway

log = logging.getLogger("demo")


class Unavailable(DemoError):
    """There is nothing to take part in; the reason is the operator's to read."""


#: No page of ours sends a longer body.
_LONGEST_BODY = 20_000
#: Where a Space is shown inside another page.
_FRAMES = "'self' https://huggingface.co"
_KINDS = ((Unavailable, "unavailable", 503), (StaleTab, "stale", 409), (UnknownParticipant, "unknown", 404),
          (NotSaved, "not_saved", 503), (DemoError, "refused", 400))


@cache
def asset(name: str) -> str:
    """A text file of assets/ui."""
    return (ASSETS / "ui" / name).read_text(encoding="utf-8")


def markdown(text: str) -> str:
    """Markdown with tables as HTML. Markup in the text is shown, not run; links lead to web and mail addresses only."""
    return MarkdownIt("commonmark", {"html": False}).enable("table").render(text)


def page(title: str, body: str, *, styles: tuple[str, ...], scripts: tuple[str, ...] = (), status: int = 200,
         frames: str = _FRAMES, lang: str = "en", direction: str = "ltr") -> HTMLResponse:
    """A whole page. body: markup for <body>. styles, scripts: files of assets/ui, sent with the page. lang, direction:
    of its texts.

    frames: who may show the page inside another. Nothing but this server's own pictures and answers can be loaded.
    """
    nonce = secrets.token_urlsafe(16)
    style = "\n".join(asset(name) for name in ("plain.css", *styles))
    script = f'<script nonce="{nonce}">{chr(10).join(map(asset, scripts))}</script>' if scripts else ""
    text = (f'<!doctype html>\n<html lang="{html.escape(lang)}" dir="{html.escape(direction)}">\n<head>\n'
            f'<meta charset="utf-8">\n<title>{html.escape(title)}</title>\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="color-scheme" '
            f'content="light dark">\n<link rel="icon" href="data:,">\n<style nonce="{nonce}">{style}</style>\n</head>\n'
            f"<body>\n{body}\n{script}\n</body>\n</html>\n")
    return HTMLResponse(text, status, headers={
        "Content-Security-Policy": f"default-src 'none'; img-src 'self' data:; connect-src 'self'; style-src "
        f"'nonce-{nonce}'; script-src 'nonce-{nonce}'; form-action 'self'; base-uri 'none'; frame-ancestors {frames}",
        "Cache-Control": "no-store", "Referrer-Policy": "same-origin", "X-Content-Type-Options": "nosniff"})


def problem(error: Exception) -> tuple[str, str, int]:
    """What to say of an error: a word for the script, one sentence for the reader, an HTTP status."""
    # Of a value, of a body that is no JSON, and of half characters, which cannot be stored.
    if isinstance(error, RequestValidationError | HTTPException | UnicodeEncodeError):
        return "refused", "This page sent something that cannot be read: reload it and try again.", 400
    if isinstance(error, TurnedAway):
        return error.word, str(error), 400
    for kind, word, status in _KINDS:
        if isinstance(error, kind):
            return word, str(error), status
    code = secrets.token_hex(4)
    log.error("study %s", code, exc_info=error)
    return "not_saved", f"Something went wrong on the server (code {code}). Please try again.", 500


def check_length(request: Request) -> None:
    """Before the body is read: BadStudy where it is longer than our pages', or does not say how long it is."""
    length = request.headers.get("content-length", "0")
    if "transfer-encoding" in request.headers or not length.isdecimal() or int(length[:20]) > _LONGEST_BODY:
        raise BadStudy("This page sent too much: reload it and try again.")


class JsonRoute(APIRoute):
    """A route whose errors are answered as {"code", "error"}: a word and one sentence, never a traceback."""

    def get_route_handler(self) -> Callable:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                check_length(request)
                response = await handle(request)
            except Exception as error:  # whatever it is, the reader gets a sentence
                word, sentence, status = problem(error)
                more = {"for_service": error.code, "url": error.url} if isinstance(error, TurnedAway) else {}
                response = JSONResponse({"code": word, "error": sentence, **more}, status)
            response.headers.setdefault("Cache-Control", "no-store")
            return response

        return answer
