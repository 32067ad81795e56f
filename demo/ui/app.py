"""The whole app: pages on routes, one queue, one engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr
from gradio.components import Navbar
from gradio.routes import App
from starlette.middleware import Middleware

from demo.places import ASSETS
from demo.settings import Settings
from demo.settings import settings as read_settings
from demo.ui.closing import Closing, Door
from demo.ui.engine import Engine
from demo.ui.gate import gate_options, upload_routes
from demo.ui.heads import NAME, head_middleware, preview_routes
from demo.ui.pages.about import about_page
from demo.ui.pages.compare import compare_page
from demo.ui.pages.galleries import galleries_page
from demo.ui.pages.identify import identify_page
from demo.ui.pages.results import results_page
from demo.ui.problems import explain_problems
from demo.ui.session import lean_sessions
from demo.ui.study.api import study_routes
from demo.ui.study.desk import StudyDesk
from demo.ui.study.operator import operator_routes
from demo.ui.theme import THEME
from demo.ui.uploads import uploads
from demo.ui.watch import watch

#: Calls that may wait. 64 visitors at once are served: each has an answer computed, and then what explains it.
WAITING = 128
#: Sessions whose states are kept; results, which are the most of them, have a budget of their own.
SESSIONS = 400
HEADER = """<header class="app-header"><h1>Why do these two faces match?</h1>
<p>Explainable face identification: rank by embedding, re-rank by patches, and see the reasons.
For research and explanation, never for deciding who somebody is.</p></header>"""
#: Title → what lays the page out, each at an address of its own.
FURTHER_PAGES = {"Compare": compare_page, "Galleries": galleries_page, "Results": results_page, "About": about_page}


def build(settings: Settings | None = None, engine: Engine | None = None) -> gr.Blocks:
    """The app, not yet launched. engine: to share one between apps (the tests do)."""
    settings = settings or read_settings()
    engine = engine or Engine(settings)
    keep = settings.keep_minutes * 60
    uploads()  # the folder that all components write into
    lean_sessions()
    sweep = min(keep // 2, 600)  # seconds between sweeps; a file may have to wait for one beyond its age
    with _no_server_yet():
        with gr.Blocks(title=NAME, analytics_enabled=False, fill_width=True,
                       delete_cache=(sweep, keep - sweep)) as app:
            Navbar(main_page_name="Identify")
            gr.HTML(HEADER)
            identify_page(engine, app)
        for title, lay_out in FURTHER_PAGES.items():
            with app.route(title, f"/{title.lower()}") as page:
                Navbar(main_page_name="Identify")
                lay_out(engine, page)
    explain_problems(app, settings)
    return app.queue(max_size=WAITING, api_open=False)


@contextmanager
def _no_server_yet() -> Iterator[None]:
    """Gradio makes all routes of a server at the end of every page, a tenth of a second each; those that the queue and
    ``launch`` make are the only ones that are used."""
    make = App.__dict__["create_app"]
    App.create_app = staticmethod(lambda *_, **__: None)  # pyright: ignore[reportAttributeAccessIssue]
    try:
        yield
    finally:
        App.create_app = make


def launch_options(settings: Settings | None = None, engine: Engine | None = None,
                   closing: Closing | None = None) -> dict:
    """Arguments of ``launch`` that belong to the app, the routes of the study among them; host and port are left to the
    environment. The study is opened by its first visitor. engine: whose readiness is told. closing: whether it is being
    stopped."""
    settings, door = settings or read_settings(), closing or Closing()
    desk, gate = StudyDesk(settings), gate_options(settings)
    routes, around = watch(settings, lambda: engine is None or engine.ready, lambda: door.began)
    return {
        "theme": THEME, "css_paths": [ASSETS / "ui" / name for name in ("app.css", "inspector.css")],
        "footer_links": ["api", "settings"],
        "run_history": False, "enable_monitoring": False, "show_error": False, "num_workers": 0,
        "max_file_size": f"{settings.max_archive_mb:.0f}mb", "state_session_capacity": SESSIONS,
        "favicon_path": ASSETS / "ui" / "favicon.png",
        "blocked_paths": [str(settings.study.resolve()), str(settings.study_dir.resolve())],
        "app_kwargs": {"routes": [*routes, *study_routes(desk), *operator_routes(desk, settings), *upload_routes(),
                                  *preview_routes()],
                       "lifespan": desk.lifespan, **gate,
                       "middleware": [*around, Middleware(Door, closing=door), *gate["middleware"], head_middleware()]},
    }
