"""Whatever goes wrong in a handler reaches the visitor as one sentence."""

from __future__ import annotations

import inspect
import logging
import os
import secrets
from functools import wraps

import gradio as gr

from demo.errors import DemoError
from demo.settings import Settings
from demo.weights.locate import hub_cache

log = logging.getLogger("demo")


def for_visitors(text: object, settings: Settings) -> str:
    """A sentence as visitors may read it: folders of the host go by what they are for, not by where they lie."""
    named = {settings.weights: "the host's folder of weights", settings.cache: "the host's cache",
             settings.added: "the galleries", settings.galleries: "the galleries", hub_cache(): "the host's cache"}
    told = str(text)
    for folder, name in sorted(named.items(), key=lambda pair: -len(str(pair[0]))):
        told = told.replace(f"{folder}{os.sep}", "").replace(str(folder), name)
    return told


def explain_problems(app: gr.Blocks, settings: Settings) -> None:
    """Let every event of the app tell a DemoError in its own words, for visitors, and any other problem by a code for
    the log."""
    for event in app.fns.values():
        if event.fn is not None and not inspect.iscoroutinefunction(event.fn):
            event.fn = _explained(event.fn, settings)


def _explained(handler, settings: Settings):
    @wraps(handler)
    def explained(*values, **named):
        try:
            return handler(*values, **named)
        except (DemoError, gr.Error) as error:
            text = error.message if isinstance(error, gr.Error) else str(error)
            raise gr.Error(for_visitors(text, settings), print_exception=False) from None
        except Exception:
            code = secrets.token_hex(3)
            log.exception("%s failed, code %s", handler.__name__, code)
            raise gr.Error(f"Something went wrong on our side (code {code}). Please try again.",
                           print_exception=False) from None

    return explained
