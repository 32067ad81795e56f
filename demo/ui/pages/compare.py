"""The Compare page: two photos in, every method's verdict and its reasons out."""

from __future__ import annotations

import logging
import secrets
from io import BytesIO

import gradio as gr
from PIL import Image

from demo.errors import DemoError
from demo.faces import DETECTORS
from demo.identify import json_text
from demo.query import ALTERATIONS, Options
from demo.ui.components import Inspector, PhotoInput, Verdicts
from demo.ui.engine import Engine
from demo.ui.pages.downloads import COMPARISON, DownloadRow, compared_png
from demo.ui.pages.form import (
    ANY_STYLE,
    UNALTERED,
    backbone_choices,
    gallery_choices,
    link_of,
    offers,
    style_choices,
    styles_of,
    values_from_link,
)
from demo.ui.pages.identify import FACE, HEAVY, QUICK
from demo.ui.parameters import Parameter, event_value, read_all
from demo.ui.views.examples import EXAMPLES, FIRST
from demo.ui.views.verdicts import Compared, compare_command, compared_value, verdicts_value
from demo.verify import verify

log = logging.getLogger("demo")

API_TEXT = ("Are two photos of one person? Returns the text that `python -m demo compare --json` prints (read it with "
            "json.loads) and a figure of the pair. Distances: smaller is nearer; they prove nothing about identity.")


HEADER = """<header class="app-header"><h1>Are these two photos of one person?</h1>
<p>Every method's distance, where it draws the line, and why.</p></header>"""


#: Which photo → the names of its own inputs: photo, alteration, style.
PHOTOS = {"first": ("first", "occlude", "style"), "second": ("second", "occlude_second", "style_second")}
#: What the event of the verdicts carries besides the face: which photo.
_WHICH = Parameter("which", int, 0, 1)


class ComparePage:
    """Layout, wiring and handlers. Make it inside a route."""

    def __init__(self, engine: Engine, blocks: gr.Blocks):
        self.engine = engine
        plain, settings = Options(), engine.settings
        #: Every choice at its default.
        self.standard = {
            "occlude": UNALTERED, "style": ANY_STYLE, "occlude_second": UNALTERED, "style_second": ANY_STYLE,
            "gallery": settings.gallery, "backbone": settings.backbone, "detector": plain.detector, "aligned": False,
            "seed": plain.seed,
        }
        example = EXAMPLES[FIRST]
        #: What a visitor meets: the example's alteration. A link carries what differs from it.
        self.start = self.standard | {"occlude": example.occlusion, "style": example.style or ANY_STYLE,
                                      "seed": example.seed}
        gr.HTML(HEADER)
        faces = gr.State((0, 0))
        with gr.Row(equal_height=False):
            with gr.Column(scale=0, min_width=330, elem_classes="inputs"):
                self.form = form = self._lay_out()
                go = gr.Button("Compare", variant="primary", elem_id="compare-go")
            with gr.Column(scale=1, min_width=330):
                verdicts = Verdicts(elem_id="verdicts", label="Verdicts")
                inspector = Inspector(elem_id="inspector", label="Inspector")
                downloads = DownloadRow(COMPARISON, "comparison")
                command = gr.Code(language=None, label="The same answer on the command line", interactive=False,
                                  lines=1, wrap_lines=True, visible=False, elem_id="compare-command")
        result = gr.State(time_to_live=1800)
        inputs = [form["first"], form["second"], faces, *(form[name] for name in self.standard)]
        run = {"fn": self.run, "inputs": inputs, "outputs": [verdicts, inspector, downloads.row, command, result],
               "concurrency_id": HEAVY, "concurrency_limit": settings.jobs, "api_visibility": "private",
               "show_progress": "minimal", "show_progress_on": [verdicts], "trigger_mode": "always_last"}
        for which, (photo, alter, style) in enumerate(PHOTOS.values()):
            form[alter].input(style_choices, form[alter], form[style], **QUICK)
            form[photo].input(lambda chosen, which=which: _replaced(chosen, which, 0), faces, faces,
                              **QUICK).then(**run)
        gr.on([part.input for name, part in form.items() if name not in ("seed", "first", "second")], **run)
        form["seed"].submit(**run)
        go.click(**run)
        verdicts.face(self.choose_face, faces, faces, **QUICK).then(**run)
        blocks.load(self.open_link, None, [form["first"], form["second"], *(form[name] for name in self.standard)],
                    **QUICK).then(**run)
        downloads.wire(result, HEAVY, QUICK)
        with gr.Row(visible=False):
            face, face_second = (gr.Number(1, label=label, precision=0, minimum=1) for label in ("Face", "Second face"))
            answer, figure = gr.Textbox(label="Answer"), gr.Image(format="png", label="Figure")
            order = ("first", "occlude", "style", "second", "occlude_second", "gallery", "backbone", "detector",
                     "aligned", "seed", "style_second")
            gr.Button().click(self.answer, [*(form[name] for name in order), face, face_second], [answer, figure],
                              api_name="compare", api_description=API_TEXT, concurrency_id=HEAVY, preprocess=False)
        parts = {**{name: form[name] for name in order}, "face": face, "face_second": face_second}
        self.parameters = [Parameter.of(name, part, engine.gallery_names if name == "gallery" else None)
                           for name, part in parts.items()]

    def _lay_out(self) -> dict[str, gr.components.Component]:
        """Every input by name."""
        standard, form = self.standard, {}
        kinds = [("Leave as it is", UNALTERED), *((kind.title, name) for name, kind in ALTERATIONS.items())]
        every = {name: title for kind in ALTERATIONS for name, title in styles_of(kind).items()}
        for which, (photo, alter, style) in PHOTOS.items():
            form[photo] = PhotoInput(label=f"{which.capitalize()} photo", elem_id=f"{which}-photo", type="filepath",
                                     sources=["upload", "clipboard", "webcam"], height=190,
                                     webcam_options=gr.WebcamOptions(mirror=True))
            with gr.Row(elem_classes="tight"):
                form[alter] = gr.Dropdown(kinds, value=standard[alter], label=f"Alter the {which} photo", min_width=150,
                                          elem_id=f"occlude-{which}")
                form[style] = gr.Dropdown([(title, name) for name, title in every.items()], value=standard[style],
                                          label="Style", visible=False, min_width=120, elem_id=f"style-{which}")
        gr.Markdown("Processed in memory, erased within the hour, never kept or used for training.",
                    elem_classes="hint")
        with gr.Accordion("Settings", open=False, elem_id="compare-settings"):
            form["gallery"] = gr.Dropdown(gallery_choices(self.engine), value=standard["gallery"],
                                          label="Thresholds from gallery", elem_id="compare-gallery")
            form["backbone"] = gr.Dropdown(backbone_choices(self.engine), value=standard["backbone"], label="Backbone",
                                           elem_id="compare-backbone")
            form["detector"] = gr.Dropdown([(detector.title, name) for name, detector in DETECTORS.items()],
                                           value=standard["detector"], label="Face detector")
            form["aligned"] = gr.Checkbox(standard["aligned"], label="Both photos are already aligned faces")
            form["seed"] = gr.Number(standard["seed"], label="Seed of the alterations", precision=0, minimum=0)
        return form

    def compute(self, first, second, faces: tuple[int, int], values: dict, progress) -> Compared:
        """Compare with the form's choices. Raises DemoError."""
        identifier = self.engine.identifier(
            values["gallery"], values["backbone"],
            lambda done, total, path: progress((done, total), desc=f"Indexing {values['gallery']}", unit="photos"))
        options = []
        for face, (_, alter, style) in zip(faces, PHOTOS.values(), strict=True):
            altered = values[alter] != UNALTERED
            options.append(Options(
                occlusion=values[alter] if altered else None, face=int(face), seed=int(values["seed"] or 0),
                style=values[style] if altered and values[style] != ANY_STYLE else None,
                detector=values["detector"], aligned=bool(values["aligned"])))
        return Compared(verify(first, second, identifier, *options))

    def run(self, first, second, faces, *choices, progress=gr.Progress()):  # noqa: B008
        """The form → what the page shows."""
        values = dict(zip(self.standard, choices, strict=True))
        if first is None or second is None:
            return self._problem("Add two photos to compare them.")
        try:
            compared = self.compute(first, second, faces, values, progress)
            value = verdicts_value(compared.found) | {"link": link_of(values, self.start, "")}
            views = compared_value(compared.found)
        except DemoError as error:
            return self._problem(str(error))
        except Exception:
            code = secrets.token_hex(3)
            log.exception("comparison failed, code %s", code)
            return self._problem(f"Something went wrong on our side (code {code}). Please try other photos.")
        command = compare_command(compared.found, f"galleries/{values['gallery']}")
        return value, views, gr.Row(visible=True), gr.Code(command, visible=True), compared

    def _problem(self, text: str):
        return {"error": text}, None, gr.Row(visible=False), gr.Code(visible=False), None

    def choose_face(self, faces: tuple[int, int], event: gr.EventData) -> tuple[int, int]:
        """Another face of one of the photos was chosen."""
        return _replaced(faces, event_value(event, _WHICH), event_value(event, FACE))

    def open_link(self, request: gr.Request):
        """A visitor arrives: a masked photo and a gallery photo of the same person, or as the link alters them."""
        example = EXAMPLES[FIRST]
        other = self.engine.settings.galleries / self.engine.settings.gallery / example.truth / "01.jpg"
        values = values_from_link(dict(request.query_params) if request else {}, self.start)
        values = {name: value if offers(self.form[name], value) else self.start[name]
                  for name, value in values.items()}
        choices = [style_choices(values[alter], values[name]) if (alter := _ALTERED_BY.get(name)) else value
                   for name, value in values.items()]
        return str(example.photo), str(other) if other.is_file() else None, *choices

    def answer(self, first, occlude, style, second, occlude_second, gallery, backbone, detector, aligned, seed,
               style_second, face, face_second, progress=gr.Progress()):  # noqa: B008
        """The public endpoint: the words of the command line in, its JSON and figure out."""
        sent = (first, occlude, style, second, occlude_second, gallery, backbone, detector, aligned, seed,
                style_second, face, face_second)
        try:
            values = read_all(self.parameters, sent)
            compared = self.compute(values["first"], values["second"], (values["face"] - 1, values["face_second"] - 1),
                                    values, progress)
        except DemoError as error:
            raise gr.Error(str(error), print_exception=False) from None
        return json_text(compared.found.as_json()), Image.open(BytesIO(compared_png(compared)))


#: Name of a style → that of the alteration it is a style of.
_ALTERED_BY = {style: alter for _, alter, style in PHOTOS.values()}


def _replaced(faces: tuple[int, int], which: int, face: int) -> tuple[int, int]:
    """The chosen faces with that of one photo replaced."""
    first, second = faces
    return (face, second) if which == 0 else (first, face)
