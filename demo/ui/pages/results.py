"""The Results page: the shipped report, section by section, and a small evaluation of the loaded gallery."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import gradio as gr

from demo.errors import DemoError
from demo.evaluation import Evaluation, evaluate, leave_one_out, query_set, spread
from demo.evaluation.report import Document, with_what_is_read
from demo.evaluation.report.content import METRICS
from demo.evaluation.report.document import INTRODUCTION, Code, Grid, Heading, Text
from demo.evaluation.report.html_page import PARTS, parts
from demo.evaluation.report.markdown import PLOTS
from demo.evaluation.report.write import RESULTS
from demo.faces import DRAWN
from demo.gallery import list_photos
from demo.methods import METHODS, usual
from demo.places import ASSETS
from demo.query import Preparation, asked
from demo.ui.choices import BOTH, UNSET, rerankings
from demo.ui.engine import Engine
from demo.ui.problems import for_visitors
from demo.ui.widgets import gallery_choices, keep_fresh, pairs

log = logging.getLogger("demo")

SHIPPED, QUERIES = ASSETS / "results", ASSETS / "queries"
#: The first entries of the list of sections.
OVERVIEW, ITEMS = "overview", "items"
LEAVE_ONE_OUT, BUNDLED = "leave-one-out", "bundled"
PROTOCOLS = {LEAVE_ONE_OUT: "The gallery's photos, each left out in turn", BUNDLED: "The bundled query photos"}
MOST = 30
#: Measuring has a line of its own, one at a time, so that nobody who identifies a face waits for it.
LINE = "measure"
QUICK = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
HEADER = """<header class="app-header"><h1>How well does it work?</h1>
<p>What was measured with this code, beside the papers' numbers, each with the command that repeats it.</p></header>"""


def results_page(engine: Engine, page: gr.Blocks) -> None:
    """Layout and wiring, inside a route."""
    does = ResultHandlers(engine)
    gr.HTML(HEADER)
    with gr.Column(elem_classes="short"):
        chosen = gr.Dropdown(does.sections(), value=OVERVIEW, label="Show", elem_id="result-section")
    shown = gr.HTML(elem_id="report")
    chosen.input(does.show, chosen, shown, **QUICK)
    page.load(does.open_link, None, [chosen, shown], **QUICK)
    _lay_out_trial(does, page)


def _lay_out_trial(does: ResultHandlers, page: gr.Blocks) -> None:
    engine, settings = does.engine, does.engine.settings
    gr.HTML('<h2 class="part">Measure the loaded gallery</h2>')
    with gr.Row(equal_height=False):
        with gr.Column(scale=0, min_width=330, elem_classes="inputs"):
            gallery = gr.Dropdown(pairs(gallery_choices(engine)), value=settings.gallery, label="Gallery",
                                  elem_id="measure-gallery")
            protocol = gr.Radio(does.protocols(settings.gallery), value=LEAVE_ONE_OUT, label="Queries",
                                elem_id="measure-protocol")
            alteration = gr.Dropdown([("Leave them as they are", UNSET),
                                      *((kind.title, name) for name, kind in DRAWN.items())], value="mask",
                                     label="Alter the queries", elem_id="measure-alteration")
            offered = rerankings(engine.info(settings.backbone))
            offered.pop(BOTH)
            stage2 = gr.Dropdown(pairs(offered), value=usual(settings.backbone).word, label="Re-ranking",
                                 elem_id="measure-stage2")
            count = gr.Slider(5, MOST, 10, step=5, label="Number of queries", elem_id="measure-count")
            with gr.Row():
                go = gr.Button("Measure", variant="primary", min_width=150, scale=2, elem_id="measure")
                stop = gr.Button("Stop", min_width=80, scale=1, elem_id="measure-stop")
        with gr.Column(scale=1, min_width=330):
            said = gr.HTML('<p class="hint">A few queries give a rough idea in seconds; the tables above took all '
                           "of them.</p>", elem_id="measured")
    keep_fresh(gallery, engine, QUICK)
    page.load(lambda: gr.Dropdown(choices=pairs(gallery_choices(engine))), None, gallery, **QUICK)
    gallery.input(lambda name: gr.Radio(does.protocols(name), value=LEAVE_ONE_OUT), gallery, protocol, **QUICK)
    go.click(does.measure, [gallery, protocol, alteration, stage2, count], said, concurrency_id=LINE,
             concurrency_limit=1, api_visibility="private", show_progress_on=[said], trigger_mode="once")
    stop.click(does.stop, **QUICK)


def shipped_results() -> dict[str, Any]:
    """What was measured for the report that comes with the app; empty where none does."""
    file = SHIPPED / RESULTS
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


class ResultHandlers:
    """What the page does, without its components."""

    def __init__(self, engine: Engine):
        self.engine = engine
        self._stopped: set[str | None] = set()

    @cached_property
    def document(self) -> Document | None:
        """The shipped report, or None where there is none."""
        results = shipped_results()
        return Document(with_what_is_read(results)) if results else None

    def sections(self) -> list[tuple[str, str]]:
        sections = self.document.results["sections"] if self.document else []
        return [("At a glance", OVERVIEW), ("The papers, item by item", ITEMS),
                *((one["title"], one["name"]) for one in sections)]

    def open_link(self, request: gr.Request) -> tuple[str, str]:
        """A visitor arrives: the section that the link names, or the first."""
        name = dict(request.query_params).get("section", OVERVIEW) if request else OVERVIEW
        name = name if name in {word for _, word in self.sections()} else OVERVIEW
        return name, self.show(name)

    def show(self, name: str) -> str:
        """One section of the report as HTML."""
        if self.document is None:
            blocks = [Text("No report was shipped with this copy."),
                      Code("python -m demo evaluate report --out assets/results")]
        elif name == OVERVIEW:
            blocks = self.document.overview()
        elif name == ITEMS:
            blocks = [Text(INTRODUCTION), self.document.items()]
        else:
            section = next(one for one in self.document.results["sections"] if one["name"] == name)
            blocks = self.document.section(section)
        blocks = list(blocks)
        commands = [one for one in blocks if isinstance(one, Code)]
        if self.document is not None and name == OVERVIEW:
            commands = [Code(f"{self.document.results['sections'][0]['command']}\n{self.document.results['command']}")]
        html = parts([one for one in blocks if not isinstance(one, Code) or self.document is None], self._picture)
        asked = parts(commands, self._picture) if commands and self.document is not None else ""
        folded = f"<details><summary>The commands that repeat it</summary>{asked}</details>" if asked else ""
        return _html(html + folded)

    @staticmethod
    def _picture(picture) -> bytes:
        return (SHIPPED / PLOTS / f"{picture.name}.svg").read_bytes()

    def protocols(self, gallery: str) -> list[tuple[str, str]]:
        """What can be asked of a gallery: the bundled photos only of one that holds their people."""
        people = {photo.identity for photo in list_photos(self.engine.folder(gallery))}
        known = any(photo.identity in people for photo in list_photos(QUERIES))
        return [(title, word) for word, title in PROTOCOLS.items() if known or word != BUNDLED]

    def stop(self, request: gr.Request) -> None:
        """Stop this visitor's measurement at the next query."""
        self._stopped.add(request.session_hash)

    def measure(self, gallery: str, protocol: str, alteration: str, stage2: str, count: float, request: gr.Request,
                progress=gr.Progress()) -> str:  # noqa: B008
        """A small evaluation with progress; Stop takes effect between queries."""
        self._stopped.discard(request.session_hash)

        def watched(queries) -> Iterator:
            for number, query in enumerate(queries):
                if request.session_hash in self._stopped:
                    raise DemoError("Stopped: nothing was measured.")
                progress((number, len(queries)), desc="Measuring", unit="queries")
                yield query

        def indexing(done: int, total: int, path: str) -> None:
            if request.session_hash in self._stopped:
                raise DemoError("Stopped. What was indexed so far is kept.")
            progress((done, total), desc=f"Indexing {gallery}", unit="photos")

        try:
            identifier = self.engine.identifier(gallery, self.engine.settings.backbone, indexing)
            queries = (query_set(list_photos(QUERIES), identifier.gallery) if protocol == BUNDLED
                       else leave_one_out(identifier.gallery))
            preparation, matching = asked(stage2=stage2, occlusion=None if alteration == UNSET else alteration)
            found = evaluate(identifier, spread(queries, min(int(count), MOST)), [matching], preparation,
                             progress=watched)
        except DemoError as error:
            return _html(parts([Text(for_visitors(error, self.engine.settings))]))
        except Exception:
            code = secrets.token_hex(3)
            log.exception("measurement failed, code %s", code)
            return _html(parts([Text(f"Something went wrong on our side (code {code}). Please try other choices.")]))
        return measured_html(found, preparation, gallery, protocol, stage2)


def measured_html(found: Evaluation, preparation: Preparation, gallery: str, protocol: str, stage2: str) -> str:
    """A small evaluation as a table, what it can say, and the command for the whole. stage2: the word of the method."""
    count = found.stage1.queries
    if not count:
        reason = found.skipped[0][1] if found.skipped else "Everybody in this gallery has one photo only."
        return _html(parts([Text(f"No query could be used. {reason}")]))
    rows = {"Stage 1": found.stage1, **{f"Stage 2, {METHODS[one.method].title}": scores
                                        for one, scores in found.stage2.items()}}
    queries = f"{count} {preparation.alteration or 'unaltered'} queries"
    note = (f"{queries} against {found.gallery} photos, {len(found.skipped)} skipped; "
            f"{found.timings_ms['total']:.0f} ms each. One query is worth {100 / count:.1f} points of P@1.")
    words = ["python -m demo evaluate", f"--gallery galleries/{gallery}"]
    words += ["--queries assets/queries"] if protocol == BUNDLED else []
    words += [f"--occlude {preparation.alteration}"] if preparation.alteration else []
    skipped = [Text(f"Skipped: {reason}") for reason in dict.fromkeys(reason for _, reason in found.skipped)]
    return _html(parts([
        Heading(3, f"{gallery}: {queries}"),
        Grid("", ("method", *(f"{metric}, %" for metric in METRICS)), tuple(
            (name, *(f"{value:.1f}" for value in scores.as_json().values())) for name, scores in rows.items()), note),
        *skipped, Text("All queries, from the command line:"), Code(" ".join([*words, f"--stage2 {stage2}"])),
    ]))


def _html(text: str) -> str:
    return f'<style>{PARTS}</style><div class="report">{text}</div>'
