"""The page's own components. Their templates and scripts lie in assets/ui."""

from __future__ import annotations

from functools import cache

import gradio as gr

from demo.settings import ASSETS


@cache
def _script(*names: str) -> str:
    return "\n".join((ASSETS / "ui" / file).read_text(encoding="utf-8") for file in ("common.js", *names))


class _Panel(gr.HTML):
    """A value drawn by a script. The value is data; the script puts every text in as text."""

    scripts: tuple[str, ...] = ()
    root = ""

    def __init__(self, value=None, *, label: str | None = None, **kwargs):
        super().__init__(value, label=label, html_template=f'<div class="{self.root}"></div>',
                         js_on_load=_script(*self.scripts), apply_default_css=False, **kwargs)

    def api_info(self) -> dict:
        return {"type": "object"}


class Board(_Panel):
    """The query and the two rankings; ``demo.ui.views.board.board_value``. Events: inspect {row}, face {index}."""

    scripts, root = ("board.js",), "board-root"


class Inspector(_Panel):
    """One candidate beside the query; ``demo.ui.views.board.inspector_value``."""

    scripts, root = ("patches.js", "inspector.js"), "inspector-root"


class Verdicts(_Panel):
    """Two photos and what every method says of them; ``demo.ui.views.verdicts.verdicts_value``."""

    scripts, root = ("verdicts.js",), "verdicts-root"


class ExampleStrip(_Panel):
    """Thumbnails to start from: {"examples": [{"name", "title", "thumb"}], "chosen": name}. Event: pick {name}."""

    scripts, root = ("examples.js",), "examples-root"


class PhotoInput(gr.Image):
    """An image input that hands over the file as it came, so that every way a photo can be bad is told in words."""

    is_template = True  # drawn by the browser as the gr.Image it is

    def preprocess(self, payload):
        if payload is None or payload.path is None:
            return super().preprocess(payload)
        return payload.path
