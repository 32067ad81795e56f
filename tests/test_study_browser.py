"""A participant in a real browser, from consent to debrief. Skipped, with the reason, where Chromium is missing."""

from __future__ import annotations

import json
import re
import socket
import threading
from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import urlparse

import pytest
import uvicorn
from study_pages import PASSWORD, TINY, served

from demo.study.design.config import StudyConfig
from demo.study.records.checks import verify

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SLOW = 15_000


@contextmanager
def serving(app):
    """The address of a server of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(timeout=10)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Address and desk of a small study."""
    app, desk = served(tmp_path_factory.mktemp("site"))
    with serving(app) as address:
        yield address, desk


@pytest.fixture
def context(browser):
    """A new visitor's browser; fails on script errors, on messages of the console and on requests to other hosts."""
    problems = []
    opened = browser.new_context(locale="en-US", reduced_motion="reduce", viewport={"width": 1280, "height": 800})
    opened.set_default_timeout(SLOW)
    opened.on("weberror", lambda error: problems.append(str(error.error)))
    opened.on("console", lambda said: problems.append(said.text) if "Content Security Policy" in said.text else None)
    opened.on("request", lambda request: problems.append(request.url)
              if urlparse(request.url).hostname not in ("127.0.0.1", None) else None)
    yield opened
    opened.close()
    assert problems == []


def serious(page) -> list:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    found = axe.Axe().run(page).response["violations"]
    return [(v["id"], [node["html"][:160] for node in v["nodes"][:3]]) for v in found
            if v["impact"] in ("serious", "critical")]


def take_part(page, site: str, link: str = "") -> None:
    page.goto(f"{site}/study{link}")
    page.get_by_role("button", name="Take part").click()
    page.get_by_role("alert").get_by_text("consent").wait_for()
    page.get_by_label("I agree").check()
    page.get_by_label("18 years").check()
    page.get_by_role("button", name="Take part").dblclick()
    page.get_by_role("heading", name="How it works").wait_for()


def ready(page) -> None:
    """Wait until the pair is on the screen."""
    page.locator(".trial .choices button:enabled").first.wait_for()


def place(page) -> str:
    return page.locator(".trial .where").evaluate("where => where.firstChild.textContent")


def to_the_end(page) -> None:
    """Pass pages, and answer every pair with "yes" and "unsure" by the keyboard."""
    while True:
        page.locator(".trial .choices button:enabled, .primary:enabled, .score").first.wait_for()
        if page.locator(".score").count():
            return
        if page.locator(".trial .choices button:enabled").count():
            before = place(page)
            page.keyboard.press("f")
            page.keyboard.press("2")
            page.locator(".feedback, .sheet").or_(page.locator(".trial .where").filter(has_not_text=before)).wait_for()
        else:
            page.locator(".primary:enabled").click()


def test_from_consent_to_debrief_with_a_refresh_and_a_second_tab(context, site):
    address, desk = site
    page = context.new_page()
    take_part(page, address)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # keyboard only
    ready(page)
    assert page.locator(".pictures img").count() == 4 and "Practice 1/1" in place(page)
    page.keyboard.press("f")
    page.keyboard.press("j")  # the first choice counts
    page.keyboard.press("3")
    page.locator(".feedback").wait_for()
    page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Start the test").click()
    ready(page)
    assert "1/2, round 1 of 4" in place(page)

    page.reload()
    ready(page)
    assert "1/2, round 1 of 4" in place(page)
    page.get_by_role("button", name="No, different people").click()
    page.get_by_role("button", name="Skip").click()
    page.locator(".where", has_text="2/2").wait_for()
    ready(page)

    second = context.new_page()
    second.goto(f"{address}/study")
    second.get_by_role("button", name="Go on").click()
    ready(second)
    assert "2/2, round 1 of 4" in place(second)
    page.get_by_role("heading", name="Continued in another tab").wait_for()
    second.get_by_role("button", name="Yes, same person").click()
    second.get_by_role("button", name="certain").last.dblclick()
    second.get_by_role("heading", name="Time for a rest").wait_for()

    second.close()
    page.get_by_role("button", name="Go on here instead").click()
    page.get_by_role("heading", name="Time for a rest").wait_for()
    lost = {"answers": 0}

    def lose_one_answer(route):
        """The answer arrives, its acknowledgement does not."""
        lost["answers"] += 1
        if lost["answers"] == 1:
            route.fetch()
            route.abort()
        else:
            route.continue_()

    page.route("**/study/api/answer", lose_one_answer)
    to_the_end(page)
    assert re.search(r"right in \d of 8 pairs", page.locator(".score").inner_text())
    page.reload()
    page.get_by_role("heading", name="Finished").wait_for()  # the score stays, in this tab
    third = context.new_page()
    third.goto(f"{address}/study")
    third.get_by_role("button", name="Take part").wait_for()  # the next person at this computer

    study = desk.study()
    with study.store.read() as db:
        answers = [tuple(row) for row in db.execute(
            "SELECT idx, answer, value, input, n_onsets, flag_resumed FROM response LEFT JOIN confidence "
            "USING(pid, idx) ORDER BY idx")]
        times = db.execute("SELECT min(rt_ms), max(visible_ms - rt_ms), min(rt_server_ms) FROM response").fetchone()
        status, loads = db.execute("SELECT status, session_epoch FROM participant").fetchone()
    assert answers[:3] == [(0, "same", 3, "key", 1, 0), (1, "diff", None, "mouse", 2, 1), (2, "same", 4, "mouse", 2, 1)]
    assert [row[0] for row in answers] == list(range(12))
    assert all(row[1:] == ("same", 2, "key", 1, 0) for row in answers[3:])
    assert times[0] > 0 and times[1] <= 0 and times[2] > 0
    assert (status, loads) == ("completed", 5) and verify(study.store, study.stimuli) == []


def test_a_picture_that_fails_is_tried_again_and_a_lost_connection_never_advances(context, site):
    address, _ = site
    page = context.new_page()
    page.set_viewport_size({"width": 390, "height": 664})
    blocked = {"pictures": True}
    page.route("**/study/pictures/*", lambda route: route.abort() if blocked["pictures"] else route.continue_())
    take_part(page, address)
    page.get_by_role("button", name="Start", exact=True).click()
    page.get_by_text("A picture could not be loaded").wait_for()
    page.keyboard.press("f")  # the pair has not begun
    blocked["pictures"] = False
    page.get_by_role("button", name="Try again").click()
    ready(page)
    assert page.locator("[aria-pressed=true]").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.evaluate("document.querySelector('.levels').getBoundingClientRect().bottom") <= 664  # no scrolling
    assert serious(page) == []
    for width, height, least in ((1920, 1080, 430), (1280, 720, 290), (320, 640, 125)):  # pictures use the screen
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("Math.min(...Array.from(document.querySelectorAll('.slot'), "
                             "slot => slot.getBoundingClientRect().width))") >= least
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.route("**/study/api/answer", lambda route: route.abort())
    page.get_by_role("button", name="Yes, same person").click()
    page.get_by_role("button", name="unsure").click()
    page.get_by_text("not saved yet").wait_for()
    assert "Practice 1/1" in place(page)
    page.unroute("**/study/api/answer")
    page.get_by_role("button", name="Try again").click()
    page.locator(".feedback").wait_for()

    page.get_by_role("button", name="Stop and withdraw").click()
    page.get_by_role("button", name="Delete my answers").click()
    page.get_by_role("heading", name="You have withdrawn").wait_for()
    page.reload()
    page.get_by_role("button", name="Take part").wait_for()


def test_two_answers_to_a_pair_and_a_time_limit(context, tmp_path):
    config = replace(TINY, two_step=True, max_seconds=1.5, confidence=False, training_pairs=0,
                     conditions=("emd_flow",), counterbalancing="fixed")
    app, desk = served(tmp_path, config)
    with serving(app) as address:
        page = context.new_page()
        take_part(page, address, "?PROLIFIC_PID=p&STUDY_ID=s&SESSION_ID=v")
        page.get_by_role("button", name="Start", exact=True).click()
        ready(page)
        assert page.locator(".pictures img").nth(1).get_attribute("src") == page.locator(
            ".pictures img").nth(2).get_attribute("src")  # no explanation yet
        page.get_by_role("heading", name="Now with the explanation").wait_for()  # the time ran out
        ready(page)
        page.keyboard.press("j")
        page.locator(".where", has_text="2/2").wait_for()
        ready(page)
        page.keyboard.press("f")
        page.get_by_role("heading", name="Now with the explanation").wait_for()
        ready(page)
        page.get_by_role("button", name="No, different people").focus()
        page.keyboard.press("Enter")
        page.locator(".score").wait_for()
        with desk.study().store.read() as db:
            rows = [tuple(row) for row in db.execute(
                "SELECT f.answer, r.answer, r.confidence, r.input FROM first_answer f JOIN response r USING(pid, idx)")]
            came = tuple(db.execute("SELECT service, label, study_ref, session_ref FROM recruit").fetchone())
    assert rows == [(None, "diff", None, "key"), ("same", "diff", None, "key")]
    assert came == ("prolific", "p", "s", "v")


def test_a_study_from_right_to_left_with_forms(context, tmp_path):
    """Arabic on a phone: direction, no word of another language, nothing serious, and the whole way by the keyboard."""
    config = StudyConfig.from_json(json.dumps({"language": "ar", "questionnaires": ["comprehension", "tlx"]}), replace(
        TINY, conditions=("none", "emd_flow+decision"), training_pairs=0))
    app, desk = served(tmp_path, config)
    found, words = {}, set()
    with serving(app) as address:
        page = context.new_page()
        page.set_viewport_size({"width": 390, "height": 844})
        page.goto(f"{address}/study?workerId=w1&assignmentId=a&hitId=h")
        page.locator(".primary").wait_for()
        assert page.evaluate("[document.documentElement.lang, document.documentElement.dir]") == ["ar", "rtl"]
        for box in page.locator("input[type=checkbox]").all():
            box.check()
        page.locator(".primary").click()
        while True:
            page.locator(".trial .choices button:enabled, .sheet .primary:enabled, .score").first.wait_for()
            kind = "trial" if page.locator(".trial").count() else "form" if page.locator(".form").count() else "page"
            told = re.sub(r"\w{4}(-\w{4}){2}", "", page.locator("body").inner_text())  # but the code to withdraw with
            words |= set(re.findall(r"[A-Za-z]{2,}", told))
            assert page.evaluate("document.documentElement.scrollWidth") == 390
            if kind not in found:
                found[kind] = serious(page)
            if page.locator(".score").count():
                break
            before = page.locator("main").inner_text()
            if kind == "trial":
                page.keyboard.press("f")
                page.keyboard.press("2")
            elif kind == "form":
                for group in page.locator("[role=radiogroup]").all():
                    group.locator("input").nth(1 if "؟" in group.locator("..").inner_text() and group.locator(
                        "input").count() == 3 else 0).check()
                page.locator(".form .primary").focus()
                page.keyboard.press("Enter")
            else:
                page.locator(".primary:enabled").press("Enter")
            page.wait_for_function("before => document.querySelector('main').innerText !== before", arg=before)
    assert {kind: what for kind, what in found.items() if what} == {} and set(found) == {"trial", "form", "page"}
    assert words <= {"PREVIEW"}, words
    with desk.study().store.read() as db:
        assert db.execute("SELECT label, study_ref FROM recruit").fetchone()[:] == ("w1", "h")
        assert db.execute("SELECT count(*) FROM form").fetchone()[0] == 2 + 2 * 6


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_for_a_screen_reader(context, site, scheme):
    address, _ = site
    page = context.new_page()
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{address}/study")
    page.get_by_role("button", name="Take part").wait_for()
    found = {"consent": serious(page)}
    take_part(page, address)
    page.get_by_role("button", name="Start", exact=True).click()
    ready(page)
    found["trial"] = serious(page)
    page.keyboard.press("f")
    page.keyboard.press("1")
    page.locator(".feedback").wait_for()
    found["feedback"] = serious(page)
    page.goto(f"{address}/operator")
    found["door"] = serious(page)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Mode: preview").wait_for()
    assert page.locator("#link").input_value() == f"{address}/study"
    for tab in ("Overview", "Participants", "Results", "Setup"):
        page.get_by_role("link", name=tab, exact=True).click()
        page.get_by_role("heading", level=1).wait_for()
        found[tab] = serious(page)
    assert {where: what for where, what in found.items() if what} == {}
