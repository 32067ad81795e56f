"""The page's own components. Their templates and scripts lie in assets/ui."""

from __future__ import annotations

import base64
import binascii
from functools import cache

import gradio as gr
from gradio.data_classes import GradioRootModel, ImageData
from pydantic import ConfigDict, ValidationError, model_validator

from demo.errors import BadPhoto
from demo.places import ASSETS
from demo.ui.uploads import uploads


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
    """The query and the two rankings; ``demo.ui.views.board.board_value``. Events: inspect {row}, face {index}, and
    what ``WhatIfAnswer`` answers: tryout {row, edit, word, number, alpha}, redraw {row, edit, word, number}, play {row,
    word, alpha}, tour {row}; all but face with {result}."""

    scripts = ("queue.js", "numbers.js", "hero.js", "ribbons.js", "links.js", "curves.js", "tour.js", "whatif.js",
               "board.js")
    root = "board-root"


class Inspector(_Panel):
    """One candidate beside the query; ``demo.ui.views.inspector.inspector_value``. Events: contrast {result, row} and
    explain {result, row, word}, which ``WhatIfAnswer`` answers."""

    scripts, root = ("patches.js", "inspector.js"), "inspector-root"


class Verdicts(_Panel):
    """Two photos and what every method says of them; ``demo.ui.views.verdicts.verdicts_value``."""

    scripts, root = ("queue.js", "numbers.js", "hero.js", "links.js", "verdicts.js"), "verdicts-root"


class ExampleStrip(_Panel):
    """Thumbnails to start from: {"examples": [{"name", "title", "thumb"}], "chosen": name}. Event: pick {name}."""

    scripts, root = ("examples.js",), "examples-root"


class WhatIfAnswer(_Panel):
    """Shows nothing itself: hands what follows an answer to who asked; ``demo.ui.views.whatif``, ``faces_value``."""

    scripts, root = ("answer.js",), "answer-root"


class Drawer(_Panel):
    """Opens and closes the page's form where it lies in a drawer, on a phone. The value is what the button says."""

    scripts, root = ("drawer.js",), "drawer-root"


class SentPhoto(ImageData):
    """What a request sends as a photo. Whatever else it sends reads as a photo without path and address."""

    model_config = ConfigDict(title="ImageData")
    #: Of a photo elsewhere, as the gate passes it on: nothing of Gradio's knows it, so nothing fetches it.
    address: str | None = None

    @model_validator(mode="wrap")
    @classmethod
    def _read(cls, value, handler):
        try:
            return handler(value)
        except ValidationError:
            return cls.model_construct()


def sent_photo(payload: SentPhoto) -> str | bytes:
    """The file that Gradio stored for an upload, a photo that a page starts from, or the bytes of a data address.

    BadPhoto for any other path, and for the address of something elsewhere: nothing is fetched.
    """
    file = uploads().known(payload.path)
    if file is not None:
        return file
    kind, _, data = (payload.url or "").partition(";base64,")
    if payload.path is None and data and kind.startswith("data:image/"):
        try:
            return base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError):
            raise BadPhoto("The photo's data address is damaged: upload the photo as a file.") from None
    raise BadPhoto("Upload the photo first.")


class PhotoInput(gr.Image):
    """An image input that hands over the file as it came, so that every way a photo can be bad is told in words.

    What it is made to show, pages start from: everybody may use it.
    """

    is_template = True  # drawn by the browser as the gr.Image it is
    data_model = SentPhoto

    def preprocess(self, payload: SentPhoto | None) -> str | bytes | None:
        try:
            return None if payload is None else sent_photo(payload)
        except BadPhoto as error:
            raise gr.Error(str(error), print_exception=False) from None

    def postprocess(self, value: str | None):
        kept = self.move_resource_to_block_cache(value)
        if kept is not None:
            uploads().offer(kept)
        return super().postprocess(kept)


class SentPhotos(GradioRootModel):
    """What a request sends as photos. Whatever else it sends reads as none."""

    root: list[SentPhoto] = []

    @model_validator(mode="wrap")
    @classmethod
    def _read(cls, value, handler):
        try:
            return handler(value)
        except ValidationError:
            return cls.model_construct(root=[])


def _always(model: type) -> property:
    """A ``data_model`` that stays what it is; gr.File sets its own in each object. (A class between gr.File and an
    input would not do: Gradio draws a template as its immediate base.)"""
    return property(lambda _: model, lambda _, other: None)


class PhotosInput(gr.File):
    """A file input for several photos, under the rules of PhotoInput."""

    is_template = True
    data_model = _always(SentPhotos)

    def preprocess(self, payload: SentPhotos | None) -> list[str] | None:
        if payload is None:
            return None
        files = [uploads().known(one.path) for one in payload.root]
        if not files or None in files:
            raise gr.Error("Upload the photos first.", print_exception=False)
        return [file for file in files if file is not None]


class ArchiveInput(gr.File):
    """A file input for one zip, under the rules of PhotoInput."""

    is_template = True
    data_model = _always(SentPhoto)

    def preprocess(self, payload: SentPhoto | None) -> str | None:
        if payload is None:
            return None
        file = uploads().known(payload.path)
        if file is None:
            raise gr.Error("Upload the zip first.", print_exception=False)
        return file
