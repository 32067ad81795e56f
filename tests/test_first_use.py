"""A gallery that is used before it is indexed: in a line of its own, with progress, and for nobody else to wait for."""

from __future__ import annotations

import shutil

import pytest
from conftest import BUNDLED, QUERIES

from demo.settings import Settings
from demo.ui.app import build
from demo.ui.choices import standard
from demo.ui.engine import Engine
from demo.ui.pages.galleries import LINE
from demo.ui.pages.identify import HEAVY, IdentifyHandlers

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
        page.stop(_Request)

    value, *_ = page.index(("few", own.settings.backbone, "x"), _Request, progress=progress)
    assert value == {"error": "Stopped. What was indexed so far is kept."} and len(seen) == 1


def test_a_gallery_that_cannot_be_indexed_says_so(own):
    value, *_ = IdentifyHandlers(own).index(("nobody", own.settings.backbone, "x"), _Request, progress=told)
    assert value == {"error": "There is no gallery 'nobody'."}


def test_indexing_has_a_line_of_its_own(engine):
    lines = {fn.name: fn.concurrency_id for fn in build(engine.settings, engine).fns.values()}
    assert lines["index"] == LINE != HEAVY == lines["run"]
