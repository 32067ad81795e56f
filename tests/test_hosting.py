"""Hosting: below a path of another server, as docs/hosting.md says."""

import re
import threading
import time
from contextlib import contextmanager

import httpx
import pytest
import uvicorn
from conftest import QUERIES
from gradio_client import Client, handle_file
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from demo.settings import Settings
from demo.ui.app import build, launch_options

pytestmark = pytest.mark.slow

BELOW = "/faces"
METHODS = ["GET", "POST", "PUT", "DELETE", "HEAD"]


@contextmanager
def proxy_of(app_url):
    """A reverse proxy at a free port: /faces/x goes to /x of the app, all else is not found."""
    ahead = httpx.AsyncClient(base_url=app_url.rstrip("/"), timeout=60)

    async def forward(request):
        headers = {name: value for name, value in request.headers.items() if name != "host"}
        headers |= {"host": request.headers["host"], "x-forwarded-proto": "http"}
        path = "/" + request.path_params["rest"] + (f"?{request.url.query}" if request.url.query else "")
        answer = await ahead.send(ahead.build_request(request.method, path, headers=headers,
                                                      content=await request.body()), stream=True)
        kept = [(name, value) for name, value in answer.headers.multi_items()
                if name not in ("content-length", "content-encoding", "transfer-encoding")]
        response = StreamingResponse(answer.aiter_bytes(), answer.status_code, background=BackgroundTask(answer.aclose))
        response.raw_headers = [(name.encode(), value.encode("latin-1")) for name, value in kept]
        return response

    def nothing(_):
        return Response("not of this app", 404)

    site = Starlette(routes=[Route(BELOW + "/{rest:path}", forward, methods=METHODS),
                             Route("/{rest:path}", nothing, methods=METHODS)])
    server = uvicorn.Server(uvicorn.Config(site, port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}{BELOW}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="module")
def below(engine, tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv("GRADIO_ROOT_PATH", BELOW)
    settings = Settings(study_dir=tmp_path_factory.mktemp("studies"), operator_password="watch the study")
    app = build(settings, engine)
    _, url, _ = app.launch(**launch_options(settings), prevent_thread_lock=True, quiet=True, ssr_mode=False)
    with proxy_of(url.replace(BELOW, "")) as there:
        yield there
    app.close()
    patch.undo()


def test_an_answer_comes_through(below):
    client = Client(below + "/", verbose=False)
    answer = client.predict(handle_file(QUERIES / "person-002" / "04.jpg"), api_name="/identify")
    assert "person-002" in str(answer)


@pytest.mark.parametrize("page", ["/", "/compare", "/galleries", "/results", "/about", "/study", "/operator"])
def test_no_page_names_an_address_outside(below, page):
    with httpx.Client(follow_redirects=True) as visitor:
        answer = visitor.get(below + page)
        assert answer.status_code == 200
        root = below.rsplit("/", 1)[0]
        for place in re.findall(r'(?:src|href|action)="([^"]+)"', answer.text):
            if place.startswith("/") and not place.startswith("//") and place != "/manifest.json":  # Gradio's own
                assert place.startswith(BELOW + "/"), place
                if "{" not in place:
                    assert visitor.get(root + place).status_code not in (404, 500, 502), place
