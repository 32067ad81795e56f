"""Running the app: what ``python app.py`` and ``face-match app`` do."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading

import gradio as gr

from demo.errors import BadSetting
from demo.settings import Settings
from demo.ui.app import build, launch_options
from demo.ui.budget import RESULTS
from demo.ui.closing import Closing
from demo.ui.engine import Engine
from demo.ui.session import Tidy, give_back, trim
from demo.ui.watch import log_as

_stopped = threading.Event()


@atexit.register  # before anything else is: it is called after all that cleans up
def _leave() -> None:
    """Threads that still compute are not waited for, and PyTorch's would abort a process whose Python has ended."""
    if _stopped.is_set():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _stop(*_: object) -> None:
    _stopped.set()
    sys.exit(0)


def _ask_itself_directly(host: str | None) -> None:
    """Gradio asks its own address whether it has started; through a proxy of the environment that would fail."""
    own = ["localhost", "127.0.0.1", "::1", *([host] if host else [])]
    for name in ("NO_PROXY", "no_proxy"):
        known = os.environ.get(name, "")
        os.environ[name] = ",".join([*([known] if known else []), *(one for one in own if one not in known.split(","))])


def serve(settings: Settings, app: gr.Blocks | None = None, engine: Engine | None = None, *, host: str | None = None,
          port: int | None = None) -> None:
    """Serve the app until the process is told to stop, and finish what was begun; the models load meanwhile.

    app, engine: those that are there already. host, port: default GRADIO_SERVER_NAME and GRADIO_SERVER_PORT, else
    this machine alone and the first free port from 7860 on. BadSetting where they cannot be listened on.
    """
    log_as(settings)
    engine = engine or Engine(settings)
    _ask_itself_directly(host)
    app = app or build(settings, engine)
    engine.warm_up_in_background()
    Tidy(lambda: (engine.answered, RESULTS.size), give_back, trim).in_background()
    # Hosts stop a machine with SIGTERM: what was begun is answered, and the study's last copy sent.
    signal.signal(signal.SIGTERM, _stop)
    closing = Closing()
    try:
        # Server-side rendering puts a server of its own in front, which knows nothing of /study and /operator.
        app.launch(**launch_options(settings, engine, closing), server_name=host, server_port=port, ssr_mode=False)
        _stopped.set()  # by Ctrl-C
    except SystemExit:
        closing.finish(settings.stop_seconds)
        raise
    except OSError as error:
        place = f"{host or 'this machine'}, {f'port {port}' if port else 'ports 7860 and on'}"
        raise BadSetting(f"The app cannot listen on {place}: choose another --host or --port.") from error
