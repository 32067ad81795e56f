"""The participant's page at /study, its pictures, and its JSON calls. Every call may be sent again without harm.

A call is a POST with a small JSON object to study/api/ACTION; the answer is JSON too, or {"code", "error"} with one
sentence. Codes: stale (opened again elsewhere), unknown (no such participant), not_saved (send the same again), refused
(not possible now), unavailable (there is no study to take part in), and the words of ``session.refusals``, which come
with a code and an address for the recruiting service.
"""

from __future__ import annotations

import html
import json
from contextlib import suppress
from typing import Annotated, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.routing import BaseRoute

from demo.errors import DemoError, UnknownParticipant
from demo.files import read_regular
from demo.study import Answer, Device, Ticket
from demo.study.design.document import LARGEST
from demo.study.design.texts import filled
from demo.study.session.session import Recruited
from demo.ui.study.desk import OpenStudy, StudyDesk, log
from demo.ui.study.legends import legend_of
from demo.ui.study.plain import JsonRoute, Unavailable, markdown, page

UNAVAILABLE = "There is no study to take part in here at the moment: please tell the person who sent you this link."
_BODY = """<div id="watermark" hidden></div>
<div id="study-page"><main id="study" aria-live="off"><p>{one_moment}</p></main>
<noscript><p>{needs_javascript}</p></noscript>
<footer id="foot" hidden></footer></div>
<dialog id="withdraw" aria-labelledby="withdraw-title"></dialog>
<p class="sr" id="announce" role="status"></p>
<script type="application/json" id="words">{words}</script>"""
#: Largest whole number taken from a page; a database holds no larger one than 2**63 - 1.
_MOST = 2**31


class _Device(BaseModel):
    viewport_w: int | None = Field(default=None, ge=0, le=100_000)
    viewport_h: int | None = Field(default=None, ge=0, le=100_000)
    dpr: float | None = Field(default=None, ge=0, le=100, allow_inf_nan=False)
    tz_offset: int | None = Field(default=None, ge=-1440, le=1440)


class _Enrol(BaseModel):
    """nonce: drawn by the page once; sent again, it comes back as the same participant. label, service, study_ref,
    session_ref: from a recruiting service."""

    consented: bool
    of_age: bool
    consent_sha256: str = Field(max_length=64)
    nonce: str = Field(min_length=16, max_length=64)
    label: str = Field("", max_length=200)
    service: Literal["prolific", "mturk", "other"] = "other"
    study_ref: str = Field("", max_length=200)
    session_ref: str = Field("", max_length=200)
    device: _Device = _Device()


class _Token(BaseModel):
    token: str = Field(max_length=64)


class _Page(_Token):
    epoch: int = Field(ge=0, le=_MOST)


class _Proceed(_Page):
    gate: int = Field(ge=0, le=_MOST)


class _Onset(_Page):
    idx: int = Field(ge=0, le=_MOST)
    step: int = Field(1, ge=1, le=2)
    perf_ms: float | None = Field(None, ge=0, allow_inf_nan=False)


class _Answer(_Page):
    """As ``demo.study.session.trials.Answer``."""

    idx: int = Field(ge=0, le=_MOST)
    step: int = Field(1, ge=1, le=2)
    choice: str | None = Field(None, max_length=8)
    nonce: str = Field(max_length=64)
    confidence: int | None = Field(None, ge=1, le=100)
    rt_ms: float | None = Field(None, ge=0, allow_inf_nan=False)
    onset_perf_ms: float | None = Field(None, ge=0, allow_inf_nan=False)
    submit_perf_ms: float | None = Field(None, ge=0, allow_inf_nan=False)
    visible_ms: float | None = Field(None, ge=0, allow_inf_nan=False)
    hidden_count: int = Field(0, ge=0, le=_MOST)
    input: str | None = Field(None, max_length=8)


class _Confidence(_Page):
    idx: int = Field(ge=0, le=_MOST)
    step: int = Field(1, ge=1, le=2)
    value: int | None = Field(None, ge=1, le=100)


class _Form(_Page):
    place: int = Field(ge=0, le=_MOST)
    answers: dict[str, str | int | Annotated[float, Field(allow_inf_nan=False)] | None]


class _Code(BaseModel):
    code: str = Field(max_length=64)


class _Report(_Page):
    kind: str = Field(max_length=20)
    payload: dict[str, str | int | Annotated[float, Field(allow_inf_nan=False)]] = {}
    idx: int | None = Field(None, ge=0, le=_MOST)


def study_routes(desk: StudyDesk) -> list[BaseRoute]:
    """Everything under /study."""
    router = APIRouter(route_class=JsonRoute, include_in_schema=False)
    post = router.post

    def study() -> OpenStudy:
        try:
            return desk.study()
        except DemoError as error:
            log.error("the study cannot be opened: %s", error)
            raise Unavailable(UNAVAILABLE) from error

    @router.get("/study", response_class=Response)
    def participant_page() -> Response:
        texts = desk.texts()
        # In a script, "<" could end it.
        words = json.dumps({key: text for key, text in texts.items() if not key.startswith("legend.")},
                           ensure_ascii=False).replace("<", "\\u003c")
        told = {key: html.escape(texts[key]) for key in ("one_moment", "needs_javascript")}
        body = filled(_BODY, words=words, **told)
        return page(texts["question"], body, styles=("study.css",), lang=texts["lang"], direction=texts["dir"],
                    scripts=("common.js", "study-link.js", "study-trial.js", "study-form.js", "study.js"))

    @router.get("/study/pictures/{name}", response_class=Response)
    def picture(name: str) -> Response:
        try:
            data = read_regular(desk.study().stimuli.picture(name), LARGEST)
        except (DemoError, OSError):
            return Response("There is no such picture in this study.", 404, media_type="text/plain")
        # Neither a date nor a size on disk: the order in which pictures were made says which belong together.
        return Response(data, media_type="image/webp", headers={
            "Cache-Control": "private, max-age=86400, immutable", "X-Content-Type-Options": "nosniff"})

    @router.get("/study/api/welcome")
    def welcome() -> JSONResponse:
        opened = study()
        return JSONResponse({"view": shown(opened, opened.session.welcome())})

    @post("/study/api/enrol")
    def enrol(sent: _Enrol, request: Request) -> JSONResponse:
        opened = study()
        device = Device(browser_family(request.headers.get("user-agent", "")), **sent.device.model_dump())
        return _ticket(opened, opened.session.enrol(
            consented=sent.consented, of_age=sent.of_age, consent_sha256=sent.consent_sha256, device=device,
            nonce=sent.nonce, recruited=Recruited(sent.label.strip(), sent.service, sent.study_ref.strip(),
                                                  sent.session_ref.strip())))

    @post("/study/api/load")
    def load(sent: _Token) -> JSONResponse:
        opened = study()
        return _ticket(opened, opened.session.load(sent.token))

    @post("/study/api/proceed")
    def proceed(sent: _Proceed) -> JSONResponse:
        opened = study()
        return JSONResponse({"view": shown(opened, opened.session.proceed(sent.token, sent.epoch, sent.gate))})

    @post("/study/api/onset")
    def onset(sent: _Onset) -> JSONResponse:
        return JSONResponse({"onsets": study().session.onset(sent.token, sent.epoch, sent.idx, sent.step,
                                                             sent.perf_ms)})

    @post("/study/api/answer")
    def answer(sent: _Answer) -> JSONResponse:
        opened = study()
        values = sent.model_dump(exclude={"token", "epoch"})
        saved = opened.session.answer(sent.token, sent.epoch, Answer(**values))
        return JSONResponse({**saved, "view": shown(opened, saved["view"])})

    @post("/study/api/confidence")
    def confidence(sent: _Confidence) -> JSONResponse:
        opened = study()
        saved = opened.session.confidence(sent.token, sent.epoch, sent.idx, sent.step, sent.value)
        return JSONResponse({"saved": True, "view": shown(opened, saved["view"])})

    @post("/study/api/form")
    def form(sent: _Form) -> JSONResponse:
        opened = study()
        saved = opened.session.fill(sent.token, sent.epoch, sent.place, sent.answers)
        return JSONResponse({"passed": saved["passed"], "view": shown(opened, saved["view"])})

    @post("/study/api/withdraw-by-code")
    def withdraw_by_code(sent: _Code) -> JSONResponse:
        study().session.withdraw_by_code(sent.code)
        return JSONResponse({"withdrawn": True})

    @post("/study/api/report")
    def report(sent: _Report) -> JSONResponse:
        study().session.report(sent.token, sent.epoch, sent.kind, sent.payload, sent.idx)
        return JSONResponse({"saved": True})

    @post("/study/api/withdraw")
    def withdraw(sent: _Token) -> JSONResponse:
        with suppress(UnknownParticipant):  # sent again: nothing is left already
            study().session.withdraw(sent.token)
        return JSONResponse({"withdrawn": True})

    return router.routes


def shown(study: OpenStudy, view: dict) -> dict:
    """A view as the page needs it: texts as HTML, and what the pictures in the middle mean."""
    if "text" in view:
        view = {**view, "html": markdown(view["text"])}
        del view["text"]
    if view["screen"] == "trial":
        view = {**view, "legend": legend_of(study.stimuli, view, study.config.texts)}
    return view


def browser_family(agent: str) -> str:
    """The name of a browser from its User-Agent, and nothing more of it."""
    families = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("FxiOS", "Firefox"), ("Chrome", "Chrome"),
                ("CriOS", "Chrome"), ("Safari", "Safari"))
    return next((family for mark, family in families if f"{mark}/" in agent or f"{mark}A/" in agent), "other")


def _ticket(study: OpenStudy, ticket: Ticket) -> JSONResponse:
    return JSONResponse({"token": ticket.token, "epoch": ticket.epoch, "view": shown(study, ticket.view)})
