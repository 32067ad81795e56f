"""``app``: the pages, in a browser."""

from __future__ import annotations

import argparse
from importlib import import_module

from demo.settings import settings


def add(commands) -> None:
    app = commands.add_parser("app", help="serve the app, to be opened in a browser")
    app.add_argument("--host", metavar="ADDRESS", help="address to listen on; 0.0.0.0 lets other machines in "
                     "(default: GRADIO_SERVER_NAME, else this machine alone)")
    app.add_argument("--port", type=_port, metavar="N", help="default: GRADIO_SERVER_PORT, else the first free one "
                     "from 7860 on")
    app.set_defaults(run=_app)


def _port(text: str) -> int:
    if not (text.isdecimal() and 0 < int(text) < 1 << 16):
        raise argparse.ArgumentTypeError("is a number from 1 to 65535")
    return int(text)


def _app(parsed) -> None:
    # Imported when asked for: the pages take seconds to import, and no other command needs them.
    chosen = settings()  # first: wrong ones are told before that
    import_module("demo.ui.serve").serve(chosen, host=parsed.host, port=parsed.port)
