"""The Identify page: a photo in, two rankings and their reasons out."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from io import BytesIO
from typing import Any

import gradio as gr
from PIL import Image

from demo.errors import BadSetting, DemoError
from demo.faces import Limits, load_photo
from demo.fields import Field
from demo.identify import Identification, Identifier, json_text
from demo.methods import Matching
from demo.presets import gained
from demo.query import Preparation
from demo.ui.budget import RESULTS
from demo.ui.choices import (
    BOTH,
    KNOWN,
    OWN,
    UNSET,
    Choice,
    beside,
    display_of,
    face_field,
    face_from_link,
    filled,
    identify_choices,
    in_order,
    link_of,
    matching_of,
    preparation_of,
    preset_field,
    preset_on,
    preset_values,
    standard,
    values_from_link,
)
from demo.ui.components import Board, Drawer, Inspector, WhatIfAnswer
from demo.ui.endpoint import endpoint
from demo.ui.engine import Engine
from demo.ui.pages.downloads import IDENTIFICATION, DownloadRow, figure_png
from demo.ui.pages.first import FirstUse
from demo.ui.pages.form import Form, preset_shown, shown_choices, strip_value
from demo.ui.pages.galleries import LINE
from demo.ui.pages.results import shipped_results
from demo.ui.parameters import event_value, photo_field
from demo.ui.problems import for_visitors
from demo.ui.views.board import MOST_FACES, TOP, Result, board_value, details_text, faces_value, photo_value
from demo.ui.views.commands import reproduce
from demo.ui.views.examples import EXAMPLES, FIRST, Example
from demo.ui.views.inspector import contrasts_value, explained_value, inspector_value
from demo.ui.views.tour import tour_value
from demo.ui.views.whatif import edit_of, map_value, outcome_value, played_value
from demo.ui.widgets import control, entered, style_choices

log = logging.getLogger("demo")

#: Computing events wait in one line, so that visitors share the machine fairly; programs, whose first use of a gallery
#: indexes it, in another; what explains an answer that is there already in a third.
HEAVY, PROGRAMS, EXPLAINING = "identify", "programs", "inspect"
QUICK = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
#: The answer is text: a client would take every object with a "path" in JSON for a file to download.
API_TEXT = ("Identify the person in a photo. Returns the text that `python -m demo identify --json` prints (read it "
            "with json.loads) and the figure of both rankings. All distances: smaller is nearer. With faces = all the "
            "text is a list, an answer for each face, the most prominent first, whose figure it is.")
_PHOTO, _TOP = photo_field("photo"), Field("top", int, TOP, "Top", "How many matches to tell.", low=1)
_PRESET = preset_field()
#: What is asked about of a photo with several faces.
ONE, ALL = "one", "all"
_FACES = Field("faces", str, ONE, "Faces", "Which faces of the photo.",
               known={ONE: "The one of the number given", ALL: "Every one, each with an answer of its own"})
_ORDER = ("photo", *KNOWN, "face", "top", _PRESET.word, _FACES.word, "framing")
#: What the events of the page's own components carry.
FACE, _ROW = (Field(word, int, 0, word, "A number from 0.", low=0) for word in ("index", "row"))
_PICKED = Field("name", str, FIRST, "Example", "An example.", known=lambda: {name: name for name in EXAMPLES})
_TOKEN = Field("result", str, "", "Result", "Which result.")
_WORD = Field("word", str, "", "Explanation", "Which explanation is drawn.")
_ALPHA = Field("alpha", float, None, "α", "Share of the first ranking's distance.", low=0, high=1)
_NUMBER = Field("number", int, 0, "Number", "Of the question.", low=0)


def identify_page(engine: Engine, blocks: gr.Blocks) -> None:
    """Layout and wiring, inside ``gr.Blocks``."""
    does = IdentifyHandlers(engine)
    with gr.Row(equal_height=False):
        with gr.Column(scale=0, min_width=300, elem_classes="inputs", elem_id="form"):
            form = Form.lay_out(engine, does.choices, QUICK)
        with gr.Column(scale=1, min_width=330):
            Drawer("Photo and settings", elem_id="drawer", label="Form")
            shown = Board(elem_id="board", label="Result")
            answered = WhatIfAnswer(elem_id="what-if", label="What if")
            inspector = Inspector(elem_id="inspector", label="Inspector")
            downloads = DownloadRow(IDENTIFICATION, "identification")
            with gr.Accordion("Timings, versions and the command line", open=False):
                details = gr.Markdown(elem_id="details")
                command = gr.Code(language="shell", label="The same answer on the command line",
                                  interactive=False, lines=1, wrap_lines=True)
    result, explaining, unindexed, ready = gr.State(time_to_live=1800), gr.State(), gr.State(), gr.State()

    run = {"fn": does.run, "inputs": [form.photo, form.example, form.face, result, *form.components],
           "outputs": [shown, inspector, downloads.row, details, command, result, explaining, unindexed],
           "concurrency_id": HEAVY,
           "concurrency_limit": engine.settings.jobs, "api_visibility": "private", "show_progress": "minimal",
           "show_progress_on": [shown], "trigger_mode": "always_last"}
    form.wire_choices(engine, QUICK)
    start = [form.photo, form.example, form.face, form.strip]
    picked = [*start, *(form.controls[word] for word in ("occlude", "style", "seed", "aligned")), form.shuffle]
    started = [
        form.photo.input(does.own_photo, [form.example, form.controls["occlude"]],
                         [form.example, form.face, form.strip, form.controls["occlude"], form.controls["style"],
                          form.shuffle], **QUICK).then(**run),
        gr.on(form.triggers, **run),
        form.go.click(lambda: None, None, result, **QUICK).then(**run),
        form.shuffle.click(lambda: secrets.randbelow(10_000), None, form.controls["seed"], **QUICK).then(**run),
        form.strip.pick(does.pick, None, picked, **QUICK).then(**run),
        shown.face(does.choose_face, None, form.face, **QUICK).then(**run),
        blocks.load(does.open_link, None, [*start, form.shuffle, form.preset, *form.components], **QUICK).then(**run),
        entered(form.preset)(does.choose_preset, [form.preset, *form.components], [form.preset, *form.components],
                             **QUICK).then(**run),
    ]
    if form.own is not None:
        started.append(form.own.success(**run))
    started += [ready.change(**run), unindexed.change(
        does.index, unindexed, [*run["outputs"][:-1], ready], concurrency_id=LINE, concurrency_limit=1,
        api_visibility="private", show_progress_on=[shown])]
    gr.on(form.triggers, does.preset, form.components, form.preset, **QUICK)
    form.stop.click(does.first.stop, cancels=started, **QUICK,
                    js="() => document.dispatchEvent(new CustomEvent('board-stopping'))")
    for event, answers in ((explaining.change, does.explain_first), (shown.inspect, does.inspect)):
        event(answers, result, inspector, concurrency_id=EXPLAINING, concurrency_limit=4, show_progress="hidden",
              api_visibility="private")
    explaining.change(does.others, result, answered, concurrency_id=EXPLAINING, show_progress="hidden",
                      api_visibility="private")
    for asked, answers in ((inspector.contrast, does.contrast), (inspector.explain, does.explain)):
        asked(answers, result, answered, concurrency_id=EXPLAINING, show_progress="hidden", api_visibility="private",
              trigger_mode="multiple")
    for asked, answers in ((shown.tryout, does.try_out), (shown.redraw, does.redraw), (shown.play, does.play),
                           (shown.tour, does.tour)):
        asked(answers, result, answered, queue=False, show_progress="hidden", api_visibility="private",
              trigger_mode="multiple")
    downloads.wire(result, HEAVY, QUICK)

    with gr.Row(visible=False):
        face, top = (gr.Number(one.default, label=one.title, precision=0, minimum=1) for one in (face_field(), _TOP))
        answer, figure = gr.Textbox(label="Answer"), gr.Image(format="png", label="Figure")
        inputs = {"photo": form.photo, **form.controls, "face": face, "top": top,
                  **{one.word: control(Choice(one)) for one in (_PRESET, _FACES)}}
        gr.Button().click(endpoint(does.parameters, does.answer), [inputs[one.word] for one in does.parameters],
                          [answer, figure], api_name="identify", api_description=API_TEXT, concurrency_id=PROGRAMS,
                          concurrency_limit=engine.settings.jobs, preprocess=False)


class IdentifyHandlers:
    """What the page does, without its components. choices: by word. parameters: of the public endpoint, in order."""

    def __init__(self, engine: Engine):
        self.engine, self.first = engine, FirstUse(engine)
        self.choices = identify_choices(engine)
        self.standard = standard(self.choices)
        self.gain = gained(shipped_results())
        fields = {one.word: one for one in (_PHOTO, *(choice.field for choice in self.choices.values()), face_field(),
                                            _TOP, _PRESET, _FACES)}
        self.parameters = [fields[word] for word in in_order(list(fields), _ORDER)]

    def compute(self, photo, values: Mapping, face: int, truth: str | None, progress) -> Result:
        """Identify with the form's choices. Raises DemoError."""
        identifier, preparation, matching = self._asked(values, face, progress)
        with self.engine.answering():
            return self._result(identifier.answer(photo, preparation, matching, truth=truth), identifier, values,
                                matching)

    def everyone(self, photo, values: Mapping, progress) -> list[Result]:
        """Identify every face of a photo, the most prominent first. Raises DemoError."""
        identifier, preparation, matching = self._asked(values, 0, progress)
        with self.engine.answering():
            return [self._result(found, identifier, values, matching)
                    for found in identifier.everyone(photo, preparation, matching, most=MOST_FACES)]

    def _asked(self, values: Mapping, face: int, progress) -> tuple[Identifier, Preparation, Matching]:
        preparation = preparation_of(self.choices, values, face)
        matching = matching_of(self.choices, values)
        preparation.check()
        matching.check()
        identifier = self.first.identifier(values["gallery"], values["backbone"], progress)
        return identifier, preparation, matching

    def _result(self, found: Identification, identifier: Identifier, values: Mapping, matching: Matching) -> Result:
        """An answer with the ranking beside it, where one is asked for."""
        second = None
        if values["stage2"] == BOTH:
            other = replace(matching, method=beside(identifier.backbone).word, alpha=None)
            second = identifier.rank(found.query, other, truth=found.truth)
        return Result(found, identifier, display_of(self.choices, values).colours, second)

    def run(self, photo: str | bytes | None, example: str, face: int, shown: Result | None, *choices,
            progress=gr.Progress()):  # noqa: B008
        """The form → what the page shows. shown: what it shows now, and goes on showing where it is asked for again."""
        values = filled(self.choices, choices)
        asked = photo, example, face, tuple(values.values())
        shown = RESULTS.use(shown)
        if shown is not None and shown.asked == asked:
            return (gr.skip(),) * 8
        if photo is None:
            return *_problem({"error": "Choose an example or add a photo."}), gr.skip()
        known = EXAMPLES.get(example)
        try:
            if due := self.first.due(values):
                return *(gr.skip(),) * 7, due
            result = self.compute(photo, values, face, known.truth if known and not face else None, progress)
            result.asked = asked
            value: dict[str, Any] = board_value(result)
            value["link"] = link_of(self.choices, values, self.standard, example, face)
            RESULTS.keep(result)
        except DemoError as error:
            shown = getattr(error, "photo", None)  # of a face that was lost, the altered photo
            settings = self.engine.settings
            text = for_visitors(error, settings)
            return *_problem(_told(text, photo if shown is None else shown, settings.limits)), gr.skip()
        except Exception:
            code = secrets.token_hex(3)
            log.exception("identification failed, code %s", code)
            text = f"Something went wrong on our side (code {code}). Please try another photo."
            return *_problem({"error": text}), gr.skip()
        command = "\n".join(reproduce(run, f"galleries/{values['gallery']}") for run in (result.found, *result.further))
        coming = {"pending": f"Explaining {result.found.ranking[0].identity} …"}
        return (value, coming, gr.Row(visible=True), details_text(result), command, result, result.token, gr.skip())

    def index(self, unindexed: tuple[str, str, str], request: gr.Request, progress=gr.Progress()):  # noqa: B008
        """Index a gallery that was asked for and is not indexed for its backbone yet, in a line of its own that makes
        way for answers. unindexed: gallery, backbone, and what tells one asking from the next."""
        gallery, backbone, asked = unindexed
        try:
            self.first.identifier(gallery, backbone, progress, request.session_hash)
        except DemoError as error:
            return *_problem({"error": for_visitors(error, self.engine.settings)}), gr.skip()
        return *(gr.skip(),) * 7, asked

    def own_photo(self, example: str, occlude: str):
        """A photo was added: the form forgets the example, and how that was altered; what was chosen stays."""
        known = EXAMPLES.get(example)
        if known and known.occlusion == occlude:
            return "", 0, strip_value(""), UNSET, style_choices(UNSET), gr.Button(visible=False)
        return "", 0, strip_value(""), gr.skip(), gr.skip(), gr.skip()

    def pick(self, event: gr.EventData):
        """An example was chosen: fill the form."""
        return _example(EXAMPLES[event_value(event, _PICKED)])

    def open_link(self, request: gr.Request):
        """A visitor arrives: the view the link asks for, or the first example."""
        query = dict(request.query_params) if request else {}
        example = EXAMPLES.get(query.get("example", FIRST), EXAMPLES[FIRST])
        photo, name, _, strip, *_ = _example(example)
        face = face_from_link(query)
        start = self.standard | {"occlude": example.occlusion or UNSET, "seed": example.seed}
        start |= {"style": example.style} if example.style else {}
        values = values_from_link(self.choices, query, start)
        shown = shown_choices(self.engine, values)
        return (photo, name, face, strip, gr.Button(visible=values["occlude"] != UNSET), self.preset(*values.values()),
                *shown.values())

    def preset(self, *choices) -> gr.Radio:
        """The form → which preset is on."""
        values = filled(self.choices, choices)
        return preset_shown(preset_on(self.choices, values, self.engine.settings), self.gain)

    def choose_preset(self, word: str, *choices):
        """A preset was chosen: fill the form."""
        values = preset_values(self.choices, word, filled(self.choices, choices), self.standard)
        return self.preset(*values.values()), *shown_choices(self.engine, values).values()

    def choose_face(self, event: gr.EventData) -> int:
        """Another face of the photo was chosen."""
        return event_value(event, FACE)

    def explain_first(self, result: Result | None):
        """The answer is shown: what explains its first match, which takes longer, follows."""
        result = RESULTS.use(result)
        if result is None:
            return gr.skip()
        with self._asked_of(result):
            value = inspector_value(result, result.found.ranking[0].row)
        return gr.skip() if result.opened is not None else value  # another was opened meanwhile

    def others(self, result: Result | None):
        """The answer is shown: who the other faces of the photo are nearest to follows."""
        result = RESULTS.use(result)
        if result is None or len(result.found.query.faces) < 2:
            return gr.skip()
        values = dict(zip(self.choices, result.asked[-1], strict=True))
        with self._asked_of(result):
            return faces_value(result, matching_of(self.choices, values))

    @contextmanager
    def _asked_of(self, result: Result) -> Iterator[None]:
        """While something is computed of an answer, which remembers it, and is weighed again for that."""
        with _sentences(), self.engine.answering():
            yield
        RESULTS.keep(result)

    def inspect(self, result: Result | None, event: gr.EventData):
        """A candidate was chosen on the board."""
        shown, row = _chosen(result, event)
        shown.opened = row
        with self._asked_of(shown):
            return inspector_value(shown, row)

    def contrast(self, result: Result | None, event: gr.EventData) -> dict:
        """Why a candidate and not another?"""
        result, row = _chosen(result, event)
        with _sentences(), self.engine.answering():
            return contrasts_value(result, row)

    def explain(self, result: Result | None, event: gr.EventData) -> dict:
        """An explanation of a candidate was chosen that was not computed with the others."""
        result, row = _chosen(result, event)
        with _sentences(), self.engine.answering():
            return explained_value(result, row, event_value(event, _WORD))

    def try_out(self, result: Result | None, event: gr.EventData) -> dict:
        """Something about a match was changed: what is it then?"""
        return self._tried(partial(outcome_value, alpha=event_value(event, _ALPHA)), result, event)

    def redraw(self, result: Result | None, event: gr.EventData) -> dict:
        """What explains the match is to be drawn as it is after a change."""
        return self._tried(map_value, result, event)

    def _tried(self, value: Callable[..., dict], result: Result | None, event: gr.EventData) -> dict:
        result, row = _chosen(result, event)
        with self._asked_of(result):
            return value(result, row, edit_of(getattr(event, "edit", None)), event_value(event, _WORD),
                         event_value(event, _NUMBER))

    def play(self, result: Result | None, event: gr.EventData) -> dict:
        """Patches are to be hidden one after the other."""
        result, row = _chosen(result, event)
        with self._asked_of(result):
            return played_value(result, row, event_value(event, _WORD), event_value(event, _ALPHA))

    def tour(self, result: Result | None, event: gr.EventData) -> dict:
        """A match is to be explained from the beginning."""
        result, row = _chosen(result, event)
        with self._asked_of(result):
            return tour_value(result, row)

    def answer(self, values: Mapping[str, Any], progress: gr.Progress):
        """The public endpoint: the words of the command line in, its JSON and figure out. Raises DemoError."""
        if values[_PRESET.word] != OWN:
            values = {**values, **preset_values(self.choices, values[_PRESET.word], values, self.standard)}
        photo, face, top = self.engine.allowed(values["photo"]), values["face"] - 1, values["top"]
        if values[_FACES.word] == ONE:
            shown = self.compute(photo, values, face, None, progress)
            return json_text(shown.as_json(top)), Image.open(BytesIO(figure_png(shown)))
        if face:
            raise BadSetting("With faces = all every face is answered: leave face out.")
        everyone = self.everyone(photo, values, progress)
        return json_text([one.as_json(top) for one in everyone]), Image.open(BytesIO(figure_png(everyone[0])))


def _chosen(result: Result | None, event: gr.EventData) -> tuple[Result, int]:
    """The answer that an event of the board is about, and which of its rows."""
    row, token, result = event_value(event, _ROW), event_value(event, _TOKEN), RESULTS.use(result)
    if result is None or token != result.token or row not in result.shown_rows:
        raise gr.Error("This result has expired: press Identify again.", print_exception=False)
    return result, row


@contextmanager
def _sentences() -> Iterator[None]:
    """What is wrong with a question, as its sentence."""
    try:
        yield
    except DemoError as error:
        raise gr.Error(str(error), print_exception=False) from None


def _problem(shown: dict):
    """What the page shows where there is no result."""
    return shown, None, gr.Row(visible=False), "", "", None, gr.skip()


def _told(text: str, photo, limits: Limits) -> dict:
    """What the board shows instead of a result: the sentence, and the photo where it can be shown."""
    try:
        return {"error": text, "photo": photo_value(load_photo(photo, limits))}
    except DemoError:
        return {"error": text, "photo": None}


def _example(example: Example):
    """The form of an example: photo, example, face, strip, alteration, style, seed, aligned, shuffle."""
    alter = example.occlusion or UNSET
    return (str(example.photo), example.name, 0, strip_value(example.name), alter,
            style_choices(alter, example.style), example.seed, False, gr.Button(visible=alter != UNSET))
