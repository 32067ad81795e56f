"""A gallery that is used before it is indexed: in a line of its own, with progress, and for nobody else to wait for."""

from __future__ import annotations

import shutil

import pytest
from conftest import BUNDLED, QUERIES

from demo.settings import Settings
from demo.ui.choices import OWN, standard
from demo.ui.engine import Engine
from demo.ui.pages.compare import CompareHandlers
from demo.ui.pages.galleries import LINE
from demo.ui.pages.identify import EXPLAINING, HEAVY, ONE, PROGRAMS, IdentifyHandlers

PHOTO = str(QUERIES / "person-002" / "04.jpg")


class _Request:
    session_hash = "visitor"


@pytest.fixture
def own(tmp_path) -> Engine:
    for person in ("person-001", "person-002", "person-003"):
        shutil.copytree(BUNDLED / person, tmp_path / "galleries" / "few" / person)
    return Engine(Settings(galleries=tmp_path / "galleries", cache=tmp_path / "cache", gallery="few", device="cpu"))


def told(*_, **__):
    return None


def test_the_answer_waits_outside_the_line_of_answers(own):
    page = IdentifyHandlers(own)
    values = standard(page.choices).values()
    *kept, asked = page.run(PHOTO, "", 0, None, *values, progress=told)
    assert all(one["__type__"] == "update" for one in kept) and asked[:2] == ("few", own.settings.backbone)
    *_, ready = page.index(asked, _Request, progress=told)
    assert ready == asked[2] and own.opens("few", own.settings.backbone)
    value, *_ = page.run(PHOTO, "", 0, None, *values, progress=told)
    assert "person-002" in value["sentence"]


def test_stop_is_heard_between_photos_and_told(own):
    page = IdentifyHandlers(own)
    seen = []

    def progress(at, **_):
        seen.append(at)
        page.first.stop(_Request)

    value, *_ = page.index(("few", own.settings.backbone, "x"), _Request, progress=progress)
    assert value == {"error": "Stopped. What was indexed so far is kept."} and len(seen) == 1


def test_a_gallery_that_cannot_be_indexed_says_so(own):
    value, *_ = IdentifyHandlers(own).index(("nobody", own.settings.backbone, "x"), _Request, progress=told)
    assert value == {"error": "There is no gallery 'nobody'."}


def test_compare_waits_outside_the_line_too_and_explains_after_its_answer(own):
    page = CompareHandlers(own)
    values = standard(page.choices).values()
    *kept, asked = page.run(PHOTO, PHOTO, (0, 0), None, *values, progress=told)
    assert all(one["__type__"] == "update" for one in kept) and asked[:2] == ("few", own.settings.backbone)
    *_, ready = page.index(asked, _Request, progress=told)
    assert ready == asked[2]
    value, coming, *_, compared, token, _ = page.run(PHOTO, PHOTO, (0, 0), None, *values, progress=told)
    assert value["rows"] and set(coming) == {"pending"} and token == compared.token
    assert page.explain(compared)["views"]
    assert page.index(("nobody", *asked[1:]), _Request, progress=told)[0] == {"error": "There is no gallery 'nobody'."}


def test_who_waits_for_a_first_use_makes_way_for_answers(own, monkeypatch):
    """That of a program too, whose call indexes the gallery itself."""
    waited = []
    monkeypatch.setattr(own, "give_way", lambda: waited.append(True))
    page = IdentifyHandlers(own)
    sent = {"photo": PHOTO, "preset": OWN, "face": 1, "faces": ONE, "top": 1}
    assert page.answer(standard(page.choices) | sent, told)
    assert len(waited) >= len(own.identifier("few", own.settings.backbone).gallery)


def test_what_takes_long_has_lines_of_its_own(app):
    lines, programs = {}, {}
    for fn in app.fns.values():
        lines.setdefault(fn.name, set()).add(fn.concurrency_id)
        programs[fn.api_name] = fn.concurrency_id
    assert lines["index"] == {LINE} and lines["run"] == {HEAVY}
    assert programs["identify"] == programs["compare"] == PROGRAMS
    assert all(lines[name] == {EXPLAINING} for name in ("explain_first", "inspect", "contrast", "explain"))
    assert len({LINE, HEAVY, PROGRAMS, EXPLAINING}) == 4
