"""The operator's page at /operator: start and stop the study, watch it, take the data home. Off without a password."""

from __future__ import annotations

import hmac
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from starlette.background import BackgroundTask
from starlette.routing import BaseRoute

from demo.drawing.output import to_png
from demo.errors import BadStudy, DemoError
from demo.settings import Settings
from demo.study.analysis.exclusions import exclusion_candidates
from demo.study.analysis.plots import FIGURES, drawn
from demo.study.records.checks import verify
from demo.study.records.export import export, long_rows
from demo.study.records.payments import write_payments
from demo.study.records.store import MODES
from demo.study.session.overview import overview, people
from demo.study.session.participants import by_code, delete, exclude, include
from demo.ui.study import pages
from demo.ui.study.desk import StudyDesk
from demo.ui.study.door import COOKIE, KNOWN, LASTS, REMEMBERS, Door, TooManyTries, Visit, WrongPassword
from demo.ui.study.plain import check_length, problem

Text = Annotated[str, Form(max_length=600)]


class _Off(DemoError):
    """There is no operator page without a password."""


class _NotIn(DemoError):
    """The password has to be given first."""


class _OperatorRoute(APIRoute):
    """A route whose errors are pages: that it is off, the form for the password, or one sentence."""

    def get_route_handler(self) -> Callable:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                check_length(request)
                return await handle(request)
            except _Off as error:
                return pages.message("The operator page is off", str(error), 404)
            except _NotIn as error:
                return pages.door(_base(request), str(error), 200 if request.url.path.endswith("/operator") else 403)
            except TooManyTries as error:
                response = pages.door(_base(request), str(error), 429)
                response.headers["Retry-After"] = str(error.wait)
                return response
            except WrongPassword as error:
                return pages.door(_base(request), str(error), 403)
            except Exception as error:  # whatever it is, the reader gets a sentence
                _, sentence, status = problem(error)
                return pages.message("That did not work", sentence, status, back=_base(request))

        return answer


def operator_routes(desk: StudyDesk, settings: Settings) -> list[BaseRoute]:
    """Everything under /operator."""
    door = Door(settings.operator_password)
    router = APIRouter(route_class=_OperatorRoute, include_in_schema=False, prefix="/operator")

    def admit(request: Request) -> Visit:
        if door.is_off:
            raise _Off("The operator page is off: set DEMO_OPERATOR_PASSWORD to a password of your own and start the "
                       "app again. The command line works without it: python -m demo study --help.")
        visit = door.visit(request.cookies.get(COOKIE))
        if visit is None:
            raise _NotIn("")
        return visit

    def act(request: Request, csrf: str) -> Visit:
        """For whatever changes something: the form must come from a page of this session."""
        visit = admit(request)
        if _foreign(request) or not hmac.compare_digest(csrf.encode(), visit.csrf.encode()):
            raise _NotIn("That form was not from this session: sign in, then try again.")
        return visit

    def done(request: Request, visit: Visit, told: str, where: str = "") -> Response:
        visit.told = told
        return RedirectResponse(_base(request) + where, 303)

    def told(visit: Visit) -> str:
        text, visit.told = visit.told, ""
        return text

    @router.post("/enter", response_class=Response)
    def enter(request: Request, password: Text = "") -> Response:
        if door.is_off or _foreign(request):
            admit(request)
        key = door.enter(password, request.client.host if request.client else "", request.cookies.get(KNOWN, ""))
        response = RedirectResponse(_base(request), 303)
        secure = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", "").split(",")[0].strip())
        for name, value, lasts in ((COOKIE, key, LASTS), (KNOWN, door.remember(), REMEMBERS)):
            response.set_cookie(name, value, max_age=lasts, path=_base(request), httponly=True, samesite="strict",
                                secure=secure)
        return response

    @router.post("/leave", response_class=Response)
    def leave(request: Request, csrf: Text = "") -> Response:
        act(request, csrf)
        door.leave(request.cookies.get(COOKIE))
        response = RedirectResponse(_base(request), 303)
        response.delete_cookie(COOKIE, path=_base(request))
        return response

    @router.get("", response_class=HTMLResponse)
    def home(request: Request) -> Response:
        visit, study = admit(request), desk.study()
        return pages.home(_base(request), visit.csrf, told(visit), study, overview(study.store))

    @router.get("/counts", response_class=HTMLResponse)
    def counts(request: Request) -> Response:
        admit(request)
        study = desk.study()
        return HTMLResponse(pages.counts(study.config, overview(study.store)), headers={"Cache-Control": "no-store"})

    @router.post("/mode", response_class=Response)
    def mode(request: Request, mode: Text = "", csrf: Text = "", sure: Text = "") -> Response:
        visit = act(request, csrf)
        study = desk.study()
        if mode in MODES and not sure:
            return pages.confirm_mode(_base(request), visit.csrf, study, overview(study.store), mode)
        study.store.set_mode(mode)
        return done(request, visit, f"The study is now: {mode}.")

    @router.get("/participants", response_class=HTMLResponse)
    def participants(request: Request, page: Annotated[int, Query(ge=1)] = 1) -> Response:
        visit, study = admit(request), desk.study()
        everybody = people(study.store)
        found = study.once(("candidates",), lambda: {
            one["pid"]: one["reasons"] for one in exclusion_candidates(list(long_rows(study.store)),
                                                                       study.config.exclusion_rule)})
        return pages.participants(_base(request), visit.csrf, told(visit), study.config, everybody, found, page)

    @router.post("/exclude", response_class=Response)
    def exclude_one(request: Request, pid: Text = "", reason: Text = "", csrf: Text = "") -> Response:
        visit = act(request, csrf)
        exclude(desk.study().store, pid, reason)
        return done(request, visit, f"Participant {pid} is excluded: {reason.strip()}", "/participants")

    @router.post("/include", response_class=Response)
    def include_one(request: Request, pid: Text = "", csrf: Text = "") -> Response:
        visit = act(request, csrf)
        include(desk.study().store, pid)
        return done(request, visit, f"Participant {pid} is included again.", "/participants")

    @router.post("/delete", response_class=Response)
    def delete_one(request: Request, pid: Text = "", code: Text = "", sure: Text = "", csrf: Text = "") -> Response:
        visit, study = act(request, csrf), desk.study()
        if code:
            with study.store.read() as db:
                pid = by_code(db, code) or ""
            if not pid:
                raise BadStudy("Nobody has this withdrawal code: perhaps the answers are deleted already.")
        if not sure:
            return pages.confirm_delete(_base(request), visit.csrf, pid)
        delete(study.store, pid)
        return done(request, visit, f"Everything about participant {pid} is deleted.", "/participants")

    @router.post("/payments", response_class=Response)
    def take_payments(request: Request, csrf: Text = "") -> Response:
        act(request, csrf)
        study = desk.study()
        return _download(f"{study.config.study_id}-payments-{_stamp(study.store.now())}.csv",
                         lambda file: write_payments(study.store, file))

    @router.get("/results", response_class=HTMLResponse)
    def results(request: Request, peek: bool = False, preview: bool = False) -> Response:
        visit, study = admit(request), desk.study()
        if peek:
            study.store.note_peek("page")
        return pages.results(_base(request), visit.csrf, study, study.summary(peek=peek, preview=preview), peek=peek,
                             preview=preview)

    @router.get("/figures/{name}.png", response_class=Response)
    def figure(request: Request, name: str, peek: bool = False, preview: bool = False) -> Response:
        admit(request)
        study = desk.study()
        if peek and not study.store.peeked():
            study.store.note_peek("page")
        if name not in FIGURES:
            raise BadStudy(f"There is no figure {name!r}.")
        data = study.once(("figure", name, peek, preview), lambda: to_png(
            FIGURES[name](study.summary(peek=peek, preview=preview))))
        return Response(data, media_type="image/png", headers={"Cache-Control": "no-store"})

    @router.get("/setup", response_class=HTMLResponse)
    def setup(request: Request) -> Response:
        visit, study = admit(request), desk.study()
        return pages.setup(_base(request), visit.csrf, study)

    @router.get("/check", response_class=HTMLResponse)
    def check(request: Request) -> Response:
        visit, study = admit(request), desk.study()
        return pages.check(_base(request), visit.csrf, verify(study.store, study.stimuli, study.config))

    @router.post("/export", response_class=Response)
    def take_export(request: Request, csrf: Text = "") -> Response:
        act(request, csrf)
        study = desk.study()
        return _download(f"{study.config.study_id}-{_stamp(study.store.now())}.zip", lambda file: export(
            study.store, file, lambda rows: study.summary(peek=False, preview=False), draw=drawn))

    @router.post("/backup", response_class=Response)
    def take_backup(request: Request, csrf: Text = "") -> Response:
        act(request, csrf)
        study = desk.study()
        return _download(f"{study.config.study_id}-{_stamp(study.store.now())}.sqlite3", study.store.backup)

    return router.routes


def _base(request: Request) -> str:
    """Address of the operator's first page, wherever the app is mounted."""
    return request.scope.get("root_path", "").rstrip("/") + "/operator"


def _foreign(request: Request) -> bool:
    """Whether another site's page sent this; every present browser says so."""
    return request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")


def _stamp(utc: str) -> str:
    return utc[:19].replace(":", "").replace("-", "")


def _download(name: str, write: Callable[[Path], object]) -> Response:
    """A file that is written for this answer and erased after it."""
    folder = Path(tempfile.mkdtemp())
    try:
        write(folder / name)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return FileResponse(folder / name, filename=name, media_type="application/octet-stream",
                        headers={"Cache-Control": "no-store"},
                        background=BackgroundTask(shutil.rmtree, folder, ignore_errors=True))
