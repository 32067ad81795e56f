"""Whatever goes wrong in a handler reaches the visitor as one sentence."""

from __future__ import annotations

import inspect
import logging
import secrets
from functools import wraps

import gradio as gr

from demo.errors import DemoError

log = logging.getLogger("demo")


def explain_problems(app: gr.Blocks) -> None:
    """Let every event of the app tell a DemoError in its own words, and any other problem by a code for the log."""
    for event in app.fns.values():
        if event.fn is not None and not inspect.iscoroutinefunction(event.fn):
            event.fn = _explained(event.fn)


def _explained(handler):
    @wraps(handler)
    def explained(*values, **named):
        try:
            return handler(*values, **named)
        except gr.Error:
            raise
        except DemoError as error:
            raise gr.Error(str(error), print_exception=False) from None
        except Exception:
            code = secrets.token_hex(3)
            log.exception("%s failed, code %s", handler.__name__, code)
            raise gr.Error(f"Something went wrong on our side (code {code}). Please try again.",
                           print_exception=False) from None

    return explained
