"""The Compare page: two photos in, every method's verdict and its reasons out."""

from __future__ import annotations

import logging
import secrets
from io import BytesIO

import gradio as gr
from PIL import Image

from demo.errors import DemoError
from demo.explain import pair_figure, to_png
from demo.faces import DETECTORS, OCCLUSIONS
from demo.figures import verified_pair
from demo.identify import Identifier, json_text
from demo.query import Options
from demo.settings import Settings
from demo.ui.components import Inspector, PhotoInput, Verdicts
from demo.ui.engine import Engine
from demo.ui.examples import EXAMPLES, FIRST
from demo.ui.form import ANY_STYLE, UNALTERED, backbone_choices, gallery_choices, style_choices, styles_of
from demo.ui.identify import HEAVY, QUICK
from demo.ui.verdicts import compare_command, compared_value, verdicts_value
from demo.verify import Verification, verify

log = logging.getLogger("demo")

API_TEXT = ("Are two photos of one person? Returns the text that `python -m demo compare --json` prints (read it with "
            "json.loads) and a figure of the pair. Distances: smaller is nearer; they prove nothing about identity.")


HEADER = """<header class="app-header"><h1>Are these two photos of one person?</h1>
<p>Every method's distance, where it draws the line, and why.</p></header>"""


class ComparePage:
    """Layout, wiring and handlers. Make it inside a route."""

    def __init__(self, engine: Engine, blocks: gr.Blocks):
        self.engine = engine
        gr.HTML(HEADER)
        with gr.Row(equal_height=False):
            with gr.Column(scale=0, min_width=330, elem_classes="inputs"):
                form = self._lay_out(engine.settings)
                go = gr.Button("Compare", variant="primary", elem_id="compare-go")
            with gr.Column(scale=1, min_width=330):
                verdicts = Verdicts(elem_id="verdicts", label="Verdicts")
                inspector = Inspector(elem_id="inspector", label="Inspector")
                command = gr.Code(language=None, label="The same answer on the command line", interactive=False,
                                  lines=1, wrap_lines=True, visible=False, elem_id="compare-command")
        run = {"fn": self.run, "inputs": list(form.values()), "outputs": [verdicts, inspector, command],
               "concurrency_id": HEAVY, "concurrency_limit": engine.settings.jobs, "api_visibility": "private",
               "show_progress": "minimal", "show_progress_on": [verdicts], "trigger_mode": "always_last"}
        form["occlude"].input(style_choices, form["occlude"], form["style"], **QUICK)
        changed = [part.input for name, part in form.items() if name != "seed"] + [form["seed"].submit]
        gr.on(changed, **run)
        go.click(**run)
        blocks.load(self.open_example, None, [form[name] for name in ("first", "occlude", "style", "seed", "second")],
                    **QUICK).then(**run)
        with gr.Row(visible=False):
            answer, figure = gr.Textbox(label="Answer"), gr.Image(format="png", label="Figure")
            gr.Button().click(self.answer, list(form.values()), [answer, figure], api_name="compare",
                              api_description=API_TEXT, concurrency_id=HEAVY)

    def _lay_out(self, settings: Settings) -> dict[str, gr.components.Component]:
        """Every input by name, in the order of ``compute``."""
        kinds = [("Leave as it is", UNALTERED), *((kind.title, name) for name, kind in OCCLUSIONS.items())]
        photo = {"type": "filepath", "sources": ["upload", "clipboard", "webcam"], "height": 190,
                 "webcam_options": gr.WebcamOptions(mirror=True)}
        form = {"first": PhotoInput(label="First photo", elem_id="first-photo", **photo)}
        with gr.Row(elem_classes="tight"):
            form["occlude"] = gr.Dropdown(kinds, value=UNALTERED, label="Alter the first photo", min_width=150,
                                          elem_id="occlude-first")
            every = {name: title for kind in OCCLUSIONS for name, title in styles_of(kind).items()}
            form["style"] = gr.Dropdown([(title, name) for name, title in every.items()], value=ANY_STYLE,
                                        label="Style", visible=False, min_width=120, elem_id="style-first")
        form["second"] = PhotoInput(label="Second photo", elem_id="second-photo", **photo)
        form["occlude_second"] = gr.Dropdown(kinds, value=UNALTERED, label="Alter the second photo",
                                             elem_id="occlude-second")
        gr.Markdown("Processed in memory, erased within the hour, never kept or used for training.",
                    elem_classes="hint")
        with gr.Accordion("Settings", open=False, elem_id="compare-settings"):
            form["gallery"] = gr.Dropdown(gallery_choices(self.engine), value=settings.gallery,
                                          label="Thresholds from gallery", elem_id="compare-gallery")
            form["backbone"] = gr.Dropdown(backbone_choices(self.engine), value=settings.backbone, label="Backbone",
                                           elem_id="compare-backbone")
            form["detector"] = gr.Dropdown([(detector.title, name) for name, detector in DETECTORS.items()],
                                           value=Options().detector, label="Face detector")
            form["aligned"] = gr.Checkbox(False, label="Both photos are already aligned faces")
            form["seed"] = gr.Number(0, label="Seed of the alterations", precision=0, minimum=0)
        return form

    def compute(self, first, occlude, style, second, occlude_second, gallery, backbone, detector, aligned, seed,
                progress) -> tuple[Verification, Identifier]:
        """Compare with the form's choices. Raises DemoError."""
        identifier = self.engine.identifier(
            gallery, backbone,
            lambda done, total, path: progress((done, total), desc=f"Indexing {gallery}", unit="photos"))
        plain = {"detector": detector, "aligned": bool(aligned), "seed": int(seed or 0)}
        options = [Options(occlusion=kind, style=drawn, **plain) for kind, drawn in (
            (None, None) if occlude == UNALTERED else (occlude, None if style == ANY_STYLE else style),
            (None if occlude_second == UNALTERED else occlude_second, None))]
        return verify(first, second, identifier, *options), identifier

    def run(self, *choices, progress=gr.Progress()):  # noqa: B008
        """The form → what the page shows."""
        if choices[0] is None or choices[3] is None:
            return {"error": "Add two photos to compare them."}, None, gr.Code(visible=False)
        try:
            found, identifier = self.compute(*choices, progress)
            value, views = verdicts_value(found), compared_value(found, identifier)
        except DemoError as error:
            return {"error": str(error)}, None, gr.Code(visible=False)
        except Exception:
            code = secrets.token_hex(3)
            log.exception("comparison failed, code %s", code)
            return ({"error": f"Something went wrong on our side (code {code}). Please try other photos."}, None,
                    gr.Code(visible=False))
        command = compare_command(found, f"galleries/{identifier.gallery.name}")
        return value, views, gr.Code(command, visible=bool(command))

    def open_example(self):
        """A visitor arrives: a masked photo and a gallery photo of the same person."""
        example = EXAMPLES[FIRST]
        other = self.engine.settings.galleries / self.engine.settings.gallery / example.truth / "01.jpg"
        return (str(example.photo), example.occlusion, style_choices(example.occlusion, example.style), example.seed,
                str(other) if other.is_file() else None)

    def answer(self, first, occlude, style, second, occlude_second, gallery, backbone, detector, aligned, seed,
               progress=gr.Progress()):  # noqa: B008
        """The public endpoint: the words of the command line in, its JSON and figure out."""
        if first is None or second is None:
            raise gr.Error("Two photos are needed.", print_exception=False)
        try:
            found, _ = self.compute(first, occlude, style, second, occlude_second, gallery, backbone, detector, aligned,
                                    seed, progress)
        except DemoError as error:
            raise gr.Error(str(error), print_exception=False) from None
        return json_text(found.as_json()), Image.open(BytesIO(to_png(pair_figure(verified_pair(found)))))
