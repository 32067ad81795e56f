"""The Compare page: two photos in, every method's verdict and its reasons out."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from io import BytesIO
from typing import Any

import gradio as gr
from gradio.components import Component
from PIL import Image

from demo.errors import DemoError
from demo.fields import Field
from demo.identify import json_text
from demo.ui.budget import RESULTS
from demo.ui.choices import (
    SECOND,
    UNSET,
    Choices,
    compare_choices,
    face_field,
    filled,
    in_order,
    link_of,
    preparation_of,
    standard,
    values_from_link,
)
from demo.ui.components import Drawer, Inspector, PhotoInput, Verdicts
from demo.ui.endpoint import endpoint
from demo.ui.engine import Engine
from demo.ui.pages.downloads import COMPARISON, DownloadRow, compared_png
from demo.ui.pages.first import FirstUse
from demo.ui.pages.galleries import LINE
from demo.ui.pages.identify import EXPLAINING, FACE, HEAVY, PROGRAMS, QUICK
from demo.ui.parameters import event_value, photo_field
from demo.ui.problems import for_visitors
from demo.ui.views.commands import compare_command
from demo.ui.views.examples import EXAMPLES, FIRST
from demo.ui.views.verdicts import Compared, compared_value, verdicts_value
from demo.ui.widgets import changes, control, entered, gallery_choices, keep_fresh, pairs, style_choices
from demo.verify import verify

log = logging.getLogger("demo")

API_TEXT = ("Are two photos of one person? Returns the text that `python -m demo compare --json` prints (read it with "
            "json.loads) and a figure of the pair. Distances: smaller is nearer; they prove nothing about identity.")


HEADER = """<header class="app-header"><h1>Are these two photos of one person?</h1>
<p>Every method's distance, where it draws the line, and why.</p></header>"""


#: Which photo → the end of the words that are about it alone.
PHOTOS = {"first": "", "second": SECOND}
_FACES = [face_field(f"face{suffix}", title) for suffix, title in zip(PHOTOS.values(), ("Face", "Second face"),
                                                                       strict=True)]
#: The places of the endpoint's parameters.
_ORDER = ("first", "occlude", "style", "second", "occlude_second", "gallery", "backbone", "detector", "aligned", "seed",
          "style_second", "face", "face_second", "framing")
#: What the event of the verdicts carries besides the face: which photo.
_WHICH = Field("which", int, 0, "Photo", "0 = the first.", low=0, high=1)
#: Style of either photo → what it is a style of.
_ALTERED_BY = {f"style{suffix}": f"occlude{suffix}" for suffix in PHOTOS.values()}


def compare_page(engine: Engine, blocks: gr.Blocks) -> None:
    """Layout and wiring, inside a route."""
    does = CompareHandlers(engine)
    gr.HTML(HEADER)
    faces, given = gr.State((0, 0)), gr.State((True, True))
    with gr.Row(equal_height=False):
        with gr.Column(scale=0, min_width=300, elem_classes="inputs", elem_id="form"):
            photos, form = _lay_out(engine, does.choices)
            with gr.Row(elem_classes="tight go"):
                go = gr.Button("Compare", variant="primary", elem_id="compare-go")
        with gr.Column(scale=1, min_width=330):
            Drawer("Photos and settings", elem_id="drawer", label="Form")
            verdicts = Verdicts(elem_id="verdicts", label="Verdicts")
            inspector = Inspector(elem_id="inspector", label="Inspector")
            downloads = DownloadRow(COMPARISON, "comparison")
            command = gr.Code(language=None, label="The same answer on the command line", interactive=False,
                              lines=1, wrap_lines=True, visible=False, elem_id="compare-command")
    result, explaining, unindexed, ready = gr.State(time_to_live=1800), gr.State(), gr.State(), gr.State()
    run = {"fn": does.run, "inputs": [*photos.values(), faces, result, *form.values()],
           "outputs": [verdicts, inspector, downloads.row, command, result, explaining, unindexed],
           "concurrency_id": HEAVY, "concurrency_limit": engine.settings.jobs, "api_visibility": "private",
           "show_progress": "minimal", "show_progress_on": [verdicts], "trigger_mode": "always_last"}
    for which, (photo, suffix) in enumerate(PHOTOS.items()):
        entered(form[f"occlude{suffix}"])(style_choices, form[f"occlude{suffix}"], form[f"style{suffix}"], **QUICK)
        altered = [form[f"{word}{suffix}"] for word in ("occlude", "style")]
        photos[photo].input(partial(does.own_photo, which), [faces, given, altered[0]], [faces, given, *altered],
                            **QUICK).then(**run)
    gr.on([event for part in form.values() for event in changes(part)], **run)
    go.click(lambda: None, None, result, **QUICK).then(**run)
    verdicts.face(does.choose_face, faces, faces, **QUICK).then(**run)
    blocks.load(does.open_link, None, [*photos.values(), *form.values()], **QUICK).then(**run)
    ready.change(**run)
    unindexed.change(does.index, unindexed, [*run["outputs"][:-1], ready], concurrency_id=LINE, concurrency_limit=1,
                     api_visibility="private", show_progress_on=[verdicts])
    explaining.change(does.explain, result, inspector, concurrency_id=EXPLAINING, concurrency_limit=4,
                      show_progress="hidden", api_visibility="private")
    downloads.wire(result, HEAVY, QUICK)
    with gr.Row(visible=False):
        inputs = photos | form | {one.word: gr.Number(1, label=one.title, precision=0, minimum=1) for one in _FACES}
        answer, figure = gr.Textbox(label="Answer"), gr.Image(format="png", label="Figure")
        gr.Button().click(endpoint(does.parameters, does.answer), [inputs[one.word] for one in does.parameters],
                          [answer, figure], api_name="compare", api_description=API_TEXT, concurrency_id=PROGRAMS,
                          concurrency_limit=engine.settings.jobs, preprocess=False)


def _lay_out(engine: Engine, choices: Choices) -> tuple[dict[str, PhotoInput], dict[str, Component]]:
    """Both photos, and a control for every choice."""
    photos, form = {}, {}
    for name, suffix in PHOTOS.items():
        photos[name] = PhotoInput(label=f"{name.capitalize()} photo", elem_id=f"{name}-photo", type="filepath",
                                  sources=["upload", "clipboard", "webcam"], height=150,
                                  webcam_options=gr.WebcamOptions(mirror=False))
        alter, style = f"occlude{suffix}", f"style{suffix}"
        with gr.Row(elem_classes="tight"):
            form[alter] = control(choices[alter], min_width=150, elem_id=f"occlude-{name}")
            form[style] = control(choices[style], visible=False, min_width=120, elem_id=f"style-{name}")
    gr.Markdown("Processed in memory, erased within the hour, never kept or used for training.", elem_classes="hint")
    with gr.Accordion("Settings", open=False, elem_id="compare-settings"):
        form["gallery"] = control(choices["gallery"], offered=gallery_choices(engine), elem_id="compare-gallery")
        keep_fresh(form["gallery"], engine, QUICK)
        form["backbone"] = control(choices["backbone"], elem_id="compare-backbone")
        form |= {word: control(one) for word, one in choices.items() if word not in form}
    return photos, {word: form[word] for word in choices}


class CompareHandlers:
    """What the page does, without its components. choices: by word. parameters: of the public endpoint, in order."""

    def __init__(self, engine: Engine):
        self.engine, self.first = engine, FirstUse(engine)
        self.choices = compare_choices(engine)
        self.standard = standard(self.choices)
        example = EXAMPLES[FIRST]
        #: What a visitor meets: the example's alteration. A link carries what differs from it.
        self.start = self.standard | {"occlude": example.occlusion, "style": example.style or self.standard["style"],
                                      "seed": example.seed}
        fields = {one.word: one for one in (*map(photo_field, PHOTOS), *_FACES,
                                            *(choice.field for choice in self.choices.values()))}
        self.parameters = [fields[word] for word in in_order(list(fields), _ORDER)]

    def compute(self, photos, faces: tuple[int, int], values: Mapping, progress) -> Compared:
        """Compare two photos with the form's choices. Raises DemoError."""
        identifier = self.first.identifier(values["gallery"], values["backbone"], progress)
        first, second = photos
        one, other = (preparation_of(self.choices, values, face, suffix)
                      for face, suffix in zip(faces, PHOTOS.values(), strict=True))
        one.check()
        other.check()
        with self.engine.answering():
            return Compared(verify(first, second, identifier, one, other))

    def run(self, first, second, faces, shown: Compared | None, *choices, progress=gr.Progress()):  # noqa: B008
        """The form → what the page shows. shown: what it shows now, and goes on showing where it is asked for again."""
        values = filled(self.choices, choices)
        asked = first, second, tuple(faces), tuple(values.values())
        shown = RESULTS.use(shown)
        if shown is not None and shown.asked == asked:
            return (gr.skip(),) * 7
        if first is None or second is None:
            return *_problem("Add two photos to compare them."), gr.skip()
        try:
            if due := self.first.due(values):
                return *(gr.skip(),) * 6, due
            compared = replace(self.compute((first, second), faces, values, progress), asked=asked)
            value = verdicts_value(compared.found) | {"link": link_of(self.choices, values, self.start)}
            RESULTS.keep(compared)
        except DemoError as error:
            return *_problem(for_visitors(error, self.engine.settings)), gr.skip()
        except Exception:
            code = secrets.token_hex(3)
            log.exception("comparison failed, code %s", code)
            text = f"Something went wrong on our side (code {code}). Please try other photos."
            return *_problem(text), gr.skip()
        command = compare_command(compared.found, f"galleries/{values['gallery']}")
        return (value, {"pending": "Explaining the pair …"}, gr.Row(visible=True), gr.Code(command, visible=True),
                compared, compared.token, gr.skip())

    def index(self, unindexed: tuple[str, str, str], request: gr.Request, progress=gr.Progress()):  # noqa: B008
        """Index a gallery that was asked for and is not indexed for its backbone yet, as ``FirstUse`` has it."""
        gallery, backbone, asked = unindexed
        try:
            self.first.identifier(gallery, backbone, progress, request.session_hash)
        except DemoError as error:
            return *_problem(for_visitors(error, self.engine.settings)), gr.skip()
        return *(gr.skip(),) * 6, asked

    def explain(self, compared: Compared | None):
        """The distances are shown: what explains them, which takes longer, follows."""
        compared = RESULTS.use(compared)
        if compared is None:
            return gr.skip()
        with self.engine.answering():
            value = compared_value(compared.found)
        RESULTS.keep(compared)
        return value

    def own_photo(self, which: int, faces: tuple[int, int], given: tuple[bool, bool], occlude: str):
        """A photo was added in place of one that the page started with (given): the form forgets how that was altered;
        what was chosen stays."""
        alters = f"occlude{list(PHOTOS.values())[which]}"
        forget = given[which] and occlude == self.start[alters] != UNSET
        return (_replaced(faces, which, 0), _replaced(given, which, False),
                *((UNSET, style_choices(UNSET)) if forget else (gr.skip(), gr.skip())))

    def choose_face(self, faces: tuple[int, int], event: gr.EventData) -> tuple[int, int]:
        """Another face of one of the photos was chosen."""
        return _replaced(faces, event_value(event, _WHICH), event_value(event, FACE))

    def open_link(self, request: gr.Request):
        """A visitor arrives: a masked photo and a gallery photo of the same person, or as the link alters them."""
        example = EXAMPLES[FIRST]
        other = self.engine.settings.galleries / self.engine.settings.gallery / example.truth / "01.jpg"
        values = values_from_link(self.choices, dict(request.query_params) if request else {}, self.start)
        shown = values | {style: style_choices(values[alter], values[style]) for style, alter in _ALTERED_BY.items()}
        shown["gallery"] = gr.Dropdown(pairs(gallery_choices(self.engine)), value=values["gallery"])
        return str(example.photo), str(other) if other.is_file() else None, *shown.values()

    def answer(self, values: Mapping[str, Any], progress: gr.Progress):
        """The public endpoint: the words of the command line in, its JSON and figure out. Raises DemoError."""
        faces = tuple(values[one.word] - 1 for one in _FACES)
        compared = self.compute([self.engine.allowed(values[photo]) for photo in PHOTOS], faces, values, progress)
        return json_text(compared.found.as_json()), Image.open(BytesIO(compared_png(compared)))


def _problem(text: str):
    """What the page shows where there is no comparison."""
    return {"error": text}, None, gr.Row(visible=False), gr.Code(visible=False), None, gr.skip()


def _replaced(both: tuple, which: int, one: Any) -> tuple:
    """What is known of two photos, with that of one replaced."""
    first, second = both
    return (one, second) if which == 0 else (first, one)
