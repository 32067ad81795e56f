"""The Identify page: a photo in, two rankings and their reasons out."""

from __future__ import annotations

import logging
import secrets
from dataclasses import replace
from io import BytesIO

import gradio as gr
from PIL import Image

from demo.errors import DemoError
from demo.faces import load_photo
from demo.gallery import load_impostors
from demo.identify import json_text
from demo.ui.components import Board, Inspector
from demo.ui.engine import Engine
from demo.ui.pages.downloads import IDENTIFICATION, DownloadRow, figure_png
from demo.ui.pages.form import (
    BOTH,
    UNALTERED,
    Form,
    defaults,
    link_of,
    offers,
    options_of,
    strip_value,
    style_choices,
    values_from_link,
)
from demo.ui.parameters import MOST, Parameter, event_value, read_all
from demo.ui.views.board import TOP, Result, board_value, details_text, photo_value, reproduce
from demo.ui.views.examples import EXAMPLES, FIRST
from demo.ui.views.inspector import inspector_value

log = logging.getLogger("demo")

#: Computing events wait in one line, so that visitors share the machine fairly.
HEAVY = "identify"
QUICK = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
#: The answer is text: a client would take every object with a "path" in JSON for a file to download.
API_TEXT = ("Identify the person in a photo. Returns the text that `python -m demo identify --json` prints (read it "
            "with json.loads) and the figure of both rankings. All distances: smaller is nearer.")
#: What the events of the page's own components carry.
FACE, _ROW = Parameter("index", int, 0, MOST), Parameter("row", int, 0, MOST)
_PICKED, _TOKEN = Parameter("name", str, choices=lambda: EXAMPLES), Parameter("result", str)


class IdentifyPage:
    """Layout, wiring and handlers. Make it inside ``gr.Blocks``."""

    def __init__(self, engine: Engine, blocks: gr.Blocks):
        self.engine = engine
        self.standard = defaults(engine)
        with gr.Row(equal_height=False):
            with gr.Column(scale=0, min_width=330, elem_classes="inputs"):
                self.form = form = Form.lay_out(engine)
            with gr.Column(scale=1, min_width=330):
                shown = Board(elem_id="board", label="Result")
                inspector = Inspector(elem_id="inspector", label="Inspector")
                downloads = DownloadRow(IDENTIFICATION, "identification")
                with gr.Accordion("Timings, versions and the command line", open=False):
                    details = gr.Markdown(elem_id="details")
                    command = gr.Code(language="shell", label="The same answer on the command line",
                                      interactive=False, lines=1, wrap_lines=True)
        result = gr.State(time_to_live=1800)

        run = {"fn": self.run, "inputs": [form.photo, form.example, form.face, *form.components],
               "outputs": [shown, inspector, downloads.row, details, command, result], "concurrency_id": HEAVY,
               "concurrency_limit": engine.settings.jobs, "api_visibility": "private", "show_progress": "minimal",
               "show_progress_on": [shown], "trigger_mode": "always_last"}
        form.wire_choices(engine, QUICK)
        picked = [form.photo, form.example, form.face, form.strip, form.choices["occlude"], form.choices["style"],
                  form.choices["seed"], form.choices["aligned"], form.shuffle]
        started = [
            form.photo.input(lambda: ("", 0, strip_value("")), None, [form.example, form.face, form.strip],
                             **QUICK).then(**run),
            gr.on(form.triggers, **run),
            form.go.click(**run),
            form.shuffle.click(lambda: secrets.randbelow(10_000), None, form.choices["seed"], **QUICK).then(**run),
            form.strip.pick(self.pick, None, picked, **QUICK).then(**run),
            shown.face(self.choose_face, None, form.face, **QUICK).then(**run),
            blocks.load(self.open_link, None, [*picked[:4], form.shuffle, *form.components], **QUICK).then(**run),
        ]
        form.stop.click(None, cancels=started, **QUICK)
        shown.inspect(self.inspect, result, inspector, concurrency_id="inspect", concurrency_limit=4,
                      show_progress="hidden", api_visibility="private")
        downloads.wire(result, HEAVY, QUICK)

        with gr.Row(visible=False):
            face, top = (gr.Number(value, label=label, precision=0, minimum=1)
                         for label, value in (("Face", 1), ("Top", TOP)))
            answer, figure = gr.Textbox(label="Answer"), gr.Image(format="png", label="Figure")
            gr.Button().click(self.answer, [form.photo, *form.components, face, top], [answer, figure],
                              api_name="identify", api_description=API_TEXT, concurrency_id=HEAVY, preprocess=False)
        parts = {"photo": form.photo, **form.choices, "face": face, "top": top}
        self.parameters = [Parameter.of(name, part, engine.gallery_names if name == "gallery" else None)
                           for name, part in parts.items()]

    def compute(self, photo, values: dict, face: int, truth: str | None, progress) -> Result:
        """Identify with the form's choices. Raises DemoError."""
        options = options_of(values, face)
        identifier = self.engine.identifier(
            values["gallery"], values["backbone"],
            lambda done, total, path: progress((done, total), desc=f"Indexing {values['gallery']}", unit="photos"))
        found = identifier.identify(photo, truth=truth, **vars(options))
        impostors = load_impostors(identifier.gallery, occlusion=options.occlusion, stage2=options.stage2,
                                   weighting=options.weighting, grid=options.grid, alpha=found.options.alpha,
                                   share=options.share)
        beside = None
        if values["stage2"] == BOTH:
            beside = identifier.rank(found.query, replace(options, stage2="h2l", alpha=None), truth=truth)
        return Result(found, identifier, impostors, values["colours"], beside)

    def run(self, photo: str | bytes | None, example: str, face: int, *choices, progress=gr.Progress()):  # noqa: B008
        """The form → what the page shows."""
        values = dict(zip(self.standard, choices, strict=True))
        nothing = {"error": "Choose an example or add a photo."}
        if photo is None:
            return nothing, None, gr.Row(visible=False), "", "", None
        known = EXAMPLES.get(example)
        try:
            result = self.compute(photo, values, face, known.truth if known and not face else None, progress)
            value = board_value(result) | {"link": link_of(values, self.standard, example)}
            first = inspector_value(result, value["selected"])
        except DemoError as error:
            shown = getattr(error, "photo", None)  # of a face that was lost, the altered photo
            return (self._problem(str(error), photo if shown is None else shown), None, gr.Row(visible=False), "", "",
                    None)
        except Exception:
            code = secrets.token_hex(3)
            log.exception("identification failed, code %s", code)
            return (self._problem(f"Something went wrong on our side (code {code}). Please try another photo.", None),
                    None, gr.Row(visible=False), "", "", None)
        command = reproduce(result.found, f"galleries/{values['gallery']}")
        return value, first, gr.Row(visible=True), details_text(result), command, result

    def _problem(self, text: str, photo) -> dict:
        """What the board shows instead of a result: the sentence, and the photo where it can be shown."""
        try:
            return {"error": text, "photo": None if photo is None else photo_value(load_photo(photo))}
        except DemoError:
            return {"error": text, "photo": None}

    def pick(self, event: gr.EventData):
        """An example was chosen: fill the form."""
        return self._example(EXAMPLES[event_value(event, _PICKED)])

    def _example(self, example):
        alter = example.occlusion or UNALTERED
        return (str(example.photo), example.name, 0, strip_value(example.name), alter,
                style_choices(alter, example.style), example.seed, False, gr.Button(visible=alter != UNALTERED))

    def open_link(self, request: gr.Request):
        """A visitor arrives: the view the link asks for, or the first example."""
        query = dict(request.query_params) if request else {}
        example = EXAMPLES.get(query.get("example", FIRST), EXAMPLES[FIRST])
        photo, name, face, strip, *_ = self._example(example)
        standard = self.standard | {"occlude": example.occlusion or UNALTERED, "seed": example.seed}
        standard |= {"style": example.style} if example.style else {}
        values = values_from_link(query, standard)
        parts = self.form.choices
        choices = [style_choices(values["occlude"], value) if key == "style"
                   else value if offers(parts[key], value) else standard[key] for key, value in values.items()]
        return photo, name, face, strip, gr.Button(visible=values["occlude"] != UNALTERED), *choices

    def choose_face(self, event: gr.EventData) -> int:
        """Another face of the photo was chosen."""
        return event_value(event, FACE)

    def inspect(self, result: Result | None, event: gr.EventData):
        """A candidate was chosen on the board."""
        row, token = event_value(event, _ROW), event_value(event, _TOKEN)
        if result is None or token != result.token or row not in result.shown_rows:
            raise gr.Error("This result has expired: press Identify again.", print_exception=False)
        return inspector_value(result, row)

    def answer(self, photo, occlude, style, seed, gallery, backbone, stage2, weighting, grid, alpha, adaptive, share, k,
               solver, detector, aligned, colours, face, top, progress=gr.Progress()):  # noqa: B008
        """The public endpoint: the words of the command line in, its JSON and figure out."""
        sent = (photo, occlude, style, seed, gallery, backbone, stage2, weighting, grid, alpha, adaptive, share, k,
                solver, detector, aligned, colours, face, top)
        try:
            values = read_all(self.parameters, sent)
            result = self.compute(values["photo"], values, values["face"] - 1, None, progress)
        except DemoError as error:
            raise gr.Error(str(error), print_exception=False) from None
        return json_text(result.found.as_json(values["top"])), Image.open(BytesIO(figure_png(result)))
