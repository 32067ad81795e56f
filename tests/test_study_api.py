"""/study and /operator without a browser: nothing lost, counted twice or given away; nobody in who should not be."""

from __future__ import annotations

import io
import json
import re
import zipfile
from dataclasses import replace
from secrets import token_hex

import pytest
from fastapi.testclient import TestClient
from gradio.routes import App
from study_pages import PASSWORD, TINY, served

from demo.errors import BadSetting, NotSaved
from demo.settings import Settings
from demo.study.design.conditions import conditions, described
from demo.study.design.config import StudyConfig
from demo.study.design.texts import languages, ready_texts
from demo.study.records.checks import verify
from demo.ui.app import launch_options
from demo.ui.study import pages
from demo.ui.study.api import browser_family
from demo.ui.study.door import PAUSE, TRIES, TRIES_OF_ALL, Door, TooManyTries, WrongPassword
from demo.ui.study.plain import markdown

ENROL = {"consented": True, "of_age": True, "nonce": "0123456789abcdef"}
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0"


@pytest.fixture
def desk(tmp_path):
    return served(tmp_path)


@pytest.fixture
def client(desk):
    with TestClient(desk[0], headers={"user-agent": AGENT}) as opened:
        yield opened


@pytest.fixture
def study(desk):
    return desk[1].study()


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A client, and the study that it asks, for what leaves nothing behind."""
    app, desk = served(tmp_path_factory.mktemp("asked"), replace(TINY, planned_n=64))
    with TestClient(app, headers={"user-agent": AGENT}) as opened:
        yield opened, desk.study()


def rows(study, query, *values):
    with study.store.read() as db:
        return [tuple(row) for row in db.execute(query, values)]


def post(client, action, **body):
    if action == "answer":  # a page has told of the onset before; told twice, it counts once
        where = {name: body[name] for name in ("token", "epoch", "idx", "step")}
        client.post("/study/api/onset", json={**where, "perf_ms": 100.0})
    return client.post(f"/study/api/{action}", json=body)


def consent(client) -> str:
    return client.get("/study/api/welcome").json()["view"]["consent_sha256"]


def enrol(client, **more) -> dict:
    answer = post(client, "enrol", **{**ENROL, "consent_sha256": consent(client), **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def reply(ticket, view, choice="same", **more) -> dict:
    return {"token": ticket["token"], "epoch": ticket["epoch"], "idx": view["idx"], "step": view["step"],
            "choice": choice, "nonce": f"{ticket['token'][:16]}{view['idx']:04d}{view['step']}", "rt_ms": 812.5,
            "onset_perf_ms": 100.0, "submit_perf_ms": 912.5, "visible_ms": 812.5, "input": "key", **more}


def forward(client, ticket, view, seen=lambda response, view: None) -> dict:
    """One step: pass a page or answer a pair. seen: is shown every response with the view it was given to."""
    where = {"token": ticket["token"], "epoch": ticket["epoch"]}
    if view["screen"] == "trial":
        seen(post(client, "onset", **where, idx=view["idx"], step=view["step"], perf_ms=100.0), view)
        response = post(client, "answer", **reply(ticket, view, confidence=3))
    else:
        response = post(client, "proceed", **where, gate=view["gate"])
    assert response.status_code == 200, response.text
    seen(response, view)
    return response.json()["view"]


def walk(client, ticket, **more) -> dict:
    view = ticket["view"]
    while view["screen"] != "debrief":
        view = forward(client, ticket, view, **more)
    return view


# --- the participant


def test_a_whole_run_ends_with_the_score_and_every_answer_kept(client, study):
    ticket = enrol(client, device={"viewport_w": 390, "viewport_h": 844, "dpr": 3, "tz_offset": -120})
    view = walk(client, ticket)
    assert view["score"]["total"] == 8 and 0 < view["score"]["correct"] < 8 and "Thank you" in view["html"]
    assert rows(study, "SELECT count(*), min(confidence), min(rt_ms), min(n_onsets) FROM response") == [
        (12, 3, 812.5, 1)]
    assert rows(study, "SELECT status, ua_family, viewport_w, tz_offset FROM participant") == [
        ("completed", "Firefox", 390, -120)]
    assert verify(study.store, study.stimuli) == []


def test_an_answer_without_what_comes_before_it_is_refused_in_a_sentence(client, study):
    ticket = enrol(client)
    answer = post(client, "answer", **reply(ticket, {"idx": 0, "step": 1}))
    assert answer.status_code == 400 and answer.json()["code"] == "refused"
    assert "comes before this pair" in answer.json()["error"]
    assert rows(study, "SELECT count(*) FROM response") == [(0,)]


def test_nothing_gives_the_answer_away(client, study):
    """Every byte that a page receives before it answers, pictures included: no condition, pair, person or truth."""
    hidden = {*StudyConfig().conditions, "pair_id", "model", "threshold", "score", "set_id", "mask", "glasses",
              *(pair.pair_id for pair in study.stimuli.pairs)}
    facts = {str(word) for pair in study.stimuli.pairs for word in (pair.img1_id, pair.img2_id)}
    wrong, names = [], set()

    def look(response, view):
        text = response.text
        sent = response.json()
        practice = view["screen"] == "trial" and view["practice"]
        if sent.get("feedback") is not None:
            assert practice and set(sent["feedback"]) == {"correct", "same"}
            text = json.dumps({**sent, "feedback": None})
        shown = sent.get("view") or {}
        text = text.replace(json.dumps(shown.get("html", ""))[1:-1], "") if shown.get("screen") != "debrief" else ""
        wrong.extend(word for word in (*hidden, *facts, '"same"', '"correct"', "flip", "attn")
                     if re.search(rf"(?<![a-z]){re.escape(word)}(?![a-z])", text))
        for name in (*shown.get("faces", ()), *shown.get("panels", ()), *shown.get("preload", ())):
            names.add(name)

    walk(client, enrol(client), seen=look)
    assert wrong == []
    assert names and all(re.fullmatch(r"[0-9a-f]{24}\.webp", name) for name in names)
    for name in names:
        picture = client.get(f"/study/pictures/{name}")
        assert picture.status_code == 200 and picture.headers["content-type"] == "image/webp"
        assert not {"last-modified", "etag", "content-disposition"} & set(picture.headers)
    page = client.get("/study")
    assert page.status_code == 200
    assert not [word for word in hidden - {"none", "score", "mask"} if re.search(rf"\b{word}\b", page.text)]


def test_sending_anything_twice_changes_nothing(client, study):
    ticket = enrol(client)
    assert enrol(client)["token"] == ticket["token"]  # the first answer was lost on the way
    assert enrol(client, nonce="another nonce 16")["token"] != ticket["token"]
    ticket = post(client, "load", token=ticket["token"]).json()
    where = {"token": ticket["token"], "epoch": ticket["epoch"]}
    passed = [post(client, "proceed", **where, gate=ticket["view"]["gate"]).json() for _ in range(2)]
    assert passed[0] == passed[1]
    view = passed[0]["view"]
    answers = [post(client, "answer", **reply(ticket, view)).json() for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    late = post(client, "answer", **reply(ticket, view, "diff", nonce="a second thought")).json()
    assert late["feedback"] == answers[0]["feedback"]
    assert rows(study, "SELECT answer, client_nonce FROM response") == [("same", reply(ticket, view)["nonce"])]
    assert [post(client, "withdraw", token=ticket["token"]).json() for _ in range(2)] == [{"withdrawn": True}] * 2
    assert rows(study, "SELECT count(*) FROM response") == [(0,)]
    assert post(client, "load", token=ticket["token"]).json()["code"] == "unknown"


def test_a_recruiting_id_opens_nothing_and_nobody_takes_part_twice(client, study):
    first = enrol(client, label="prolific-7", nonce="1" * 16)
    assert enrol(client, label="prolific-7", nonce="1" * 16)["token"] == first["token"]  # the same request again
    again = {**ENROL, "nonce": "2" * 16, "label": "prolific-7"}
    other = post(client, "enrol", **again, consent_sha256=consent(client))
    assert other.status_code == 400 and other.json()["code"] == "repeated" and "token" not in other.json()
    assert "prolific" not in json.dumps(rows(study, "SELECT * FROM participant") + rows(study, "SELECT * FROM event"))


def test_an_older_tab_is_told_and_cannot_answer(client, study):
    old = enrol(client)
    view = forward(client, old, old["view"])
    new = post(client, "load", token=old["token"]).json()
    assert new["view"] == view
    refused = post(client, "answer", **reply(old, view))
    assert refused.status_code == 409 and refused.json()["code"] == "stale"
    assert post(client, "onset", token=old["token"], epoch=old["epoch"], idx=0).json()["code"] == "stale"
    assert rows(study, "SELECT count(*) FROM response") == [(0,)]
    assert post(client, "answer", **reply(new, view)).status_code == 200


@pytest.mark.parametrize("body", [
    b"", b"\xff\xfe", b"[" * 9000, b'{"a":' * 3900, b'{"token": "\\ud800"}',
    b'{"token": {"path": "/etc/passwd"}}', b'{"token": ["a"]}',
    b'{"token": "a", "epoch": NaN}', b'{"token": "a", "epoch": ' + b"9" * 6000 + b"}"], ids=range(9))
def test_what_cannot_be_read_is_refused_in_a_sentence(asked, body):
    client, _ = asked
    for action in ("enrol", "proceed", "onset", "answer", "report"):
        answer = client.post(f"/study/api/{action}", content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 400 and answer.json()["code"] == "refused", action


@pytest.mark.parametrize("payload", [b'{"a": NaN}', b'{"a": Infinity}', b'{"\\ud800": 1}', b'{"a": "\\ud800"}',
                                     b'{"a": {"path": "/etc/passwd"}}', b'[1]'], ids=range(6))
def test_a_report_keeps_only_what_can_be_read_back(asked, payload):
    client, study = asked
    ticket = enrol(client, nonce=token_hex(8))
    body = json.dumps({"token": ticket["token"], "epoch": ticket["epoch"], "kind": "visibility"}).encode()
    answer = client.post("/study/api/report", content=body[:-1] + b', "payload": ' + payload + b"}",
                         headers={"content-type": "application/json"})
    assert answer.status_code == 400 and answer.json()["code"] == "refused"
    assert rows(study, "SELECT count(*) FROM event WHERE type = 'visibility'") == [(0,)]


def test_long_bodies_and_those_of_unknown_length_are_not_read(client):
    for path in ("/study/api/load", "/operator/enter"):
        for content in (b" " * 30_000, (b" " for _ in range(3))):
            answer = client.post(path, content=content, headers={"content-type": "application/x-www-form-urlencoded"})
            assert answer.status_code == 400 and "sent too much" in answer.text


def test_a_refresh_goes_on_at_the_first_unanswered_pair(client, study):
    ticket = enrol(client)
    view = forward(client, ticket, forward(client, ticket, ticket["view"]))
    while view["screen"] != "trial":
        view = forward(client, ticket, view)
    post(client, "onset", token=ticket["token"], epoch=ticket["epoch"], idx=view["idx"], perf_ms=5.0)
    again = post(client, "load", token=ticket["token"]).json()
    assert again["view"] == view
    forward(client, again, view)
    assert rows(study, "SELECT n_onsets, flag_resumed FROM response WHERE idx = ?", view["idx"]) == [(2, 1)]


def test_what_cannot_be_saved_is_said_and_does_not_advance(client, study, monkeypatch):
    ticket = enrol(client)
    view = forward(client, ticket, ticket["view"])

    def full(*args, **kwargs):
        raise NotSaved("Not saved: the disk is full. Please try again.")

    with monkeypatch.context() as patch:
        patch.setattr(study.session, "answer", full)
        failed = post(client, "answer", **reply(ticket, view))
        assert failed.status_code == 503 and failed.json() == {
            "code": "not_saved", "error": "Not saved: the disk is full. Please try again."}
    with monkeypatch.context() as patch:
        patch.setattr(study.session, "answer", lambda *args: 1 / 0)
        broken = post(client, "answer", **reply(ticket, view))
        assert broken.status_code == 500 and "Traceback" not in broken.text and "division" not in broken.text
    assert post(client, "load", token=ticket["token"]).json()["view"]["idx"] == view["idx"]


@pytest.mark.parametrize("body", [
    {"choice": "maybe"}, {"nonce": ""},
    {"rt_ms": -1}, {"rt_ms": "fast"}, {"confidence": 9}, {"idx": 10**30},
    {"rt_ms": 1e300}, {"visible_ms": 1e10},
    {"submit_perf_ms": 1e300}, {"input": "telepathy"},
    {"choice": None}, {"idx": 3}, {"step": 2}, {"epoch": -1}, {"hidden_count": 10**20}])
def test_what_no_page_of_ours_sends_gets_one_sentence(asked, body):
    client, study = asked
    ticket = enrol(client, nonce=token_hex(8))
    view = forward(client, ticket, ticket["view"])
    refused = post(client, "answer", **reply(ticket, view, **body) if "choice" not in body else
                   {**reply(ticket, view), **body})
    assert refused.status_code == 400 and set(refused.json()) == {"code", "error"}
    assert refused.json()["error"].count(".") == 1 and rows(study, "SELECT count(*) FROM response") == [(0,)]


def test_an_answer_to_a_pair_that_was_never_shown_is_refused(client, study):
    ticket = enrol(client)
    view = forward(client, ticket, ticket["view"])
    refused = client.post("/study/api/answer", json=reply(ticket, view))
    assert refused.status_code == 400 and "not on the screen" in refused.json()["error"]
    assert rows(study, "SELECT count(*) FROM response") == [(0,)]


def test_bodies_that_are_no_json_or_too_long_are_refused(client):
    assert client.post("/study/api/load", content=b"{").json()["code"] == "refused"
    assert client.post("/study/api/load", json={"token": "x" * 30_000}).json()["code"] == "refused"
    assert post(client, "load", token="0" * 32).json()["code"] == "unknown"


def test_consent_and_age_are_required_and_the_text_must_be_the_present_one(client):
    digest = consent(client)
    for missing in ({"consented": False}, {"of_age": False}):
        assert "tick" in post(client, "enrol", **{**ENROL, "consent_sha256": digest, **missing}).json()["error"]
    assert "changed" in post(client, "enrol", **ENROL, consent_sha256="0" * 64).json()["error"]


def test_a_closed_study_lets_nobody_new_in(client, study):
    ticket = enrol(client)
    study.store.set_mode("closed")
    assert client.get("/study/api/welcome").json()["view"]["screen"] == "closed"
    assert post(client, "enrol", **{**ENROL, "nonce": "9" * 16}, consent_sha256="").json()["code"] == "closed"
    assert post(client, "load", token=ticket["token"]).json()["view"]["screen"] == "instructions"  # may finish


def test_only_the_studys_pictures_are_served(client, study):
    name = study.stimuli.neutral
    assert client.get(f"/study/pictures/{name}").status_code == 200
    for other in ("stimuli.json", "../stimuli.json", "%2e%2e%2fstimuli.json", "0" * 24 + ".webp", name.upper()):
        assert client.get(f"/study/pictures/{other}").status_code == 404


def test_without_a_study_participants_get_a_sentence_and_the_operator_the_reason(tmp_path):
    app, desk = served(tmp_path)
    (tmp_path / "study" / "stimuli.json").unlink()
    with TestClient(app) as client:
        answer = client.get("/study/api/welcome")
        assert answer.status_code == 503 and answer.json()["code"] == "unavailable"
        assert str(tmp_path) not in answer.text
        sign_in(client)
        assert "study make" in client.get("/operator").text


def test_every_legend_is_about_as_long_and_two_steps_hide_the_explanation(tmp_path):
    english = [one.legend for one in conditions().values()]
    for words in (english, *([text for key, text in ready_texts(language).items() if key.startswith("legend.")]
                             for language in languages())):
        lengths = [len(text) for text in words]
        assert max(lengths) - min(lengths) < 25
    config = replace(TINY, two_step=True, conditions=("emd_flow", "none"), counterbalancing="fixed")
    app, _ = served(tmp_path, config)
    with TestClient(app) as client:
        ticket = enrol(client)
        first = forward(client, ticket, ticket["view"])
        second = forward(client, ticket, first)
        assert (first["legend"], second["legend"]) == (
            ready_texts("en")["legend.later"], described("emd_flow").legend)
        assert (first["step"], second["step"], first["idx"]) == (1, 2, second["idx"])


def test_texts_are_markdown_and_never_markup():
    shown = markdown("**bold** <script>alert(1)</script> [x](javascript:alert(1)) [y](https://example.org)")
    assert "<strong>bold</strong>" in shown and "<script" not in shown and 'href="javascript' not in shown
    assert 'href="https://example.org"' in shown


@pytest.mark.parametrize("agent,family", [
    (AGENT, "Firefox"), ("Mozilla/5.0 AppleWebKit/537.36 Chrome/130.0 Safari/537.36 Edg/130.0", "Edge"),
    ("Mozilla/5.0 (iPhone) Version/17.0 Mobile/15E148 Safari/604.1", "Safari"), ("curl/8", "other")])
def test_of_a_browser_only_the_family_is_kept(agent, family):
    assert browser_family(agent) == family


# --- the operator


def sign_in(client) -> str:
    """Sign in; the token that stands in the forms."""
    answer = client.post("/operator/enter", data={"password": PASSWORD})
    assert answer.status_code in (200, 400)
    found = re.search(r'name="csrf" value="([^"]+)"', client.get("/operator").text)
    return found[1] if found else ""


def go_live(client, csrf):
    return client.post("/operator/mode", data={"mode": "live", "csrf": csrf, "sure": "1"})


def test_the_page_is_off_without_a_password(tmp_path):
    app, _ = served(tmp_path, operator_password="")
    with TestClient(app) as client:
        for path in ("/operator", "/operator/results", "/operator/participants"):
            answer = client.get(path)
            assert answer.status_code == 404 and "DEMO_OPERATOR_PASSWORD" in answer.text
        assert client.post("/operator/enter", data={"password": ""}).status_code == 404
        assert client.post("/operator/export", data={"csrf": ""}).status_code == 404
        assert client.get("/study").status_code == 200


def test_nobody_gets_in_without_the_password(client):
    assert "Password" in client.get("/operator").text and client.get("/operator").status_code == 200
    for path in ("/counts", "/participants", "/results", "/setup", "/check", "/figures/accuracy.png"):
        assert client.get(f"/operator{path}").status_code == 403
    for path in ("/mode", "/exclude", "/include", "/export", "/backup", "/leave", "/delete",
                 "/payments"):
        assert client.post(f"/operator{path}", data={"csrf": "x"}).status_code == 403
    assert client.post("/operator/enter", data={"password": PASSWORD + " "}).status_code == 403
    client.cookies.set("operator", "made up", path="/operator")
    assert client.get("/operator/setup").status_code == 403


def test_the_cookie_is_kept_from_scripts_and_other_sites(client):
    answer = client.post("/operator/enter", data={"password": PASSWORD}, follow_redirects=False,
                         headers={"x-forwarded-proto": "https"})
    cookie = answer.headers["set-cookie"].lower()
    assert all(word in cookie for word in ("httponly", "samesite=strict", "path=/operator", "secure"))
    page = client.get("/operator", headers={"cookie": answer.headers["set-cookie"].split(";")[0]})
    assert page.headers["cache-control"] == "no-store" and "frame-ancestors 'none'" in page.headers[
        "content-security-policy"]


def test_every_change_needs_the_forms_token_from_this_site(client, study):
    csrf = sign_in(client)
    assert client.post("/operator/mode", data={"mode": "live", "csrf": "wrong"}).status_code == 403
    assert client.post("/operator/mode", data={"mode": "live", "csrf": csrf},
                       headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert study.store.mode == "preview"
    asked = client.post("/operator/mode", data={"mode": "live", "csrf": csrf}).text
    assert "locks configuration and pictures for good" in asked and study.store.mode == "preview"
    assert "now: live" in go_live(client, csrf).text
    assert study.store.mode == "live"
    assert "no mode" in client.post("/operator/mode", data={"mode": "on fire", "csrf": csrf, "sure": "1"}).text
    client.post("/operator/leave", data={"csrf": csrf})
    assert client.get("/operator/setup").status_code == 403


def test_every_change_of_the_mode_is_asked_about_first(client, study):
    """The page says what the mode means; nothing changes before the second form is sent, nor by the answer "no"."""
    csrf = sign_in(client)
    ticket = enrol(client)
    forward(client, ticket, ticket["view"])
    before = "preview"
    for mode, means in (("pilot", "rehearsal"), ("live", "locks configuration"), ("closed", "Nobody new can begin"),
                        ("preview", "watermark")):
        answer = client.post("/operator/mode", data={"mode": mode, "csrf": csrf})
        assert answer.status_code == 200 and f"from {before} to {mode}?" in answer.text and means in answer.text
        assert f"No, keep {before}" in answer.text and study.store.mode == before
        sent = dict(re.findall(r'name="(csrf|sure|mode)" value="([^"]*)"', answer.text.split("<main>")[1]))
        assert sent == {"csrf": csrf, "sure": "1", "mode": mode}
        assert f"now: {mode}" in client.post("/operator/mode", data=sent).text and study.store.mode == mode
        before = mode
    assert "1 are in the middle of it (preview)" in client.post(
        "/operator/mode", data={"mode": "live", "csrf": csrf}).text


def wrong(door, address, known="") -> None:
    with pytest.raises(WrongPassword):
        door.enter("wrong", address, known)


def test_wrong_passwords_slow_tries_down_and_shut_nobody_out():
    """As an attacker on the same address (one proxy for all), or on a thousand: the right password gets in."""
    clock = [0.0]
    door = Door("right", clock=lambda: clock[0])
    first = door.enter("right", "proxy")
    known = door.remember()
    for _ in range(TRIES):
        wrong(door, "proxy")
    with pytest.raises(TooManyTries) as refused:
        door.enter("right", "proxy")
    assert 0 < refused.value.wait <= PAUSE + 1
    assert door.visit(door.enter("right", "proxy", known)) is not None  # this browser has been in before
    assert door.visit(door.enter("right", "elsewhere")) is not None
    clock[0] += PAUSE
    assert door.visit(door.enter("right", "proxy")) is not None  # five wrong ones, and two seconds later
    for number in range(TRIES_OF_ALL - TRIES):
        clock[0] += PAUSE / TRIES_OF_ALL
        wrong(door, f"many {number}")
    with pytest.raises(TooManyTries):
        door.enter("wrong", "one more")
    assert door.visit(door.enter("right", "anywhere", known)) is not None
    clock[0] += PAUSE
    assert door.visit(door.enter("right", "one more")) is not None
    tried = sum(1 for _ in range(600) if not _refused(door, clock))
    assert tried <= 60 / PAUSE + 1, "a minute of tries from one address"
    for _ in range(TRIES):
        wrong(door, "x", known)
    with pytest.raises(TooManyTries):
        door.enter("right", "x", known)  # a stolen mark is slowed down as well
    assert Door("other")._recognises(known) is False and not door._recognises("made.up")
    clock[0] += 13 * 3600
    assert door.visit(first) is None


def _refused(door, clock) -> bool:
    clock[0] += 0.1
    try:
        door.enter("guess", "attacker")
    except TooManyTries:
        return True
    except WrongPassword:
        return len(door._wrong) < TRIES
    return False


def test_tries_after_wrong_ones_are_told_how_long_to_wait(client):
    for _ in range(TRIES):
        client.post("/operator/enter", data={"password": "no"})
    answer = client.post("/operator/enter", data={"password": PASSWORD})
    assert answer.status_code == 429 and 0 < int(answer.headers["retry-after"]) <= PAUSE + 1


def test_a_known_browser_is_let_in_whatever_others_try(client):
    sign_in(client)
    client.cookies.delete("operator")
    others = {"cookie": "operator-known=x"}
    for _ in range(TRIES + 2):
        client.post("/operator/enter", data={"password": "no"}, headers=others)
    assert client.post("/operator/enter", data={"password": PASSWORD}, follow_redirects=False).status_code == 303


def test_the_operator_watches_and_decides(client, study):
    csrf = sign_in(client)
    go_live(client, csrf)
    walk(client, enrol(client))
    leaver = enrol(client, nonce="2" * 16)
    home = client.get("/operator").text
    assert re.search(r"<strong>1</strong> of 2 planned", home) and "locked since" in home
    assert "<td>1 + 0</td>" in client.get("/operator/counts").text
    people = client.get("/operator/participants").text
    pids = [pid for pid, in rows(study, "SELECT pid FROM participant")]
    assert all(pid in people for pid in pids) and leaver["token"] not in people
    done, = (pid for pid, in rows(study, "SELECT pid FROM participant WHERE status = 'completed'"))
    shown = client.post("/operator/exclude", data={"pid": done, "reason": "<b>asleep</b>", "csrf": csrf}).text
    assert "&lt;b&gt;asleep&lt;/b&gt;" in shown and "<b>asleep" not in shown
    assert rows(study, "SELECT exclude_reason FROM participant WHERE pid = ?", done) == [("<b>asleep</b>",)]
    assert "reason" in client.post("/operator/exclude", data={"pid": done, "reason": " ", "csrf": csrf}).text
    client.post("/operator/include", data={"pid": done, "csrf": csrf})
    assert rows(study, "SELECT status FROM participant WHERE pid = ?", done) == [("completed",)]
    assert "is sound" in client.get("/operator/check").text
    (study.stimuli.folder / "pictures" / study.stimuli.neutral).write_bytes(b"other")
    assert "not as it was made" in client.get("/operator/check").text


def test_many_participants_are_listed_a_page_at_a_time(client, study, monkeypatch):
    monkeypatch.setattr(pages, "_PER_PAGE", 2)
    sign_in(client)
    pids = []
    for number in range(5):
        enrol(client, nonce=f"{number}" * 16)
    for number, links in ((1, ["2"]), (2, ["1", "3"]), (3, ["2"]), (99, ["2"])):
        page = client.get(f"/operator/participants?page={number}").text
        assert re.findall(r"participants\?page=(\d+)", page) == links and "Everybody (5)" in page
        pids += re.findall(r"<code>([0-9a-f]{16})</code>", page) if number < 4 else []
    assert sorted(pids) == sorted(pid for pid, in rows(study, "SELECT pid FROM participant"))


def test_p_values_stay_hidden_until_the_planned_number_unless_peeked_at(client, study):
    csrf = sign_in(client)
    go_live(client, csrf)
    assert "stay hidden" in client.get("/operator/results").text
    walk(client, enrol(client))
    hidden = client.get("/operator/results").text
    assert "stay hidden" in hidden and "Friedman" not in hidden and "Peek" in hidden
    peeked = client.get("/operator/results?peek=1").text
    assert "Preliminary" in peeked and "stay hidden" not in peeked
    assert ('{"action": "peek", "by": "page"}',) in rows(study, "SELECT payload_json FROM event WHERE type = 'admin'")
    assert client.get("/operator/figures/accuracy.png").status_code == 400
    assert client.get("/operator/figures/accuracy.png?peek=1").content.startswith(b"\x89PNG")
    assert client.get("/operator/figures/everything.png").status_code == 400
    walk(client, enrol(client, nonce="2" * 16))
    assert "stay hidden" not in client.get("/operator/results").text


def test_the_preview_is_tried_out_apart_from_the_results(client):
    sign_in(client)
    walk(client, enrol(client))
    assert "Analysed: participants 0" in client.get("/operator/results").text
    tried = client.get("/operator/results?preview=1").text
    assert "Analysed: participants 1" in tried and "for trying out only" in tried


def test_export_and_backup_are_taken_home(client, study, tmp_path):
    csrf = sign_in(client)
    walk(client, enrol(client))
    answer = client.post("/operator/export", data={"csrf": csrf})
    assert "attachment" in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert {"responses_long.csv", "participants.csv", "codebook.md", "summary.json", "SHA256SUMS"} <= set(
            archive.namelist())
        assert len(archive.read("responses_long.csv").splitlines()) == 13
    copy = client.post("/operator/backup", data={"csrf": csrf}).content
    assert copy.startswith(b"SQLite format 3\0")


def test_the_setup_shows_power_and_the_configuration(client, study):
    sign_in(client)
    page = client.get("/operator/setup").text
    assert "No size up to 96 is enough" in page and study.config.sha256 in page and "Friedman" in page
    assert "pairs per set" in page and "<input" not in re.sub(r'<input type="hidden"[^>]*>', "", page)


# --- in the app


def test_the_app_serves_the_study_beside_its_pages_and_no_file_of_it(app, tmp_path):
    settings = Settings(study_dir=tmp_path, operator_password=PASSWORD)
    options = launch_options(settings)
    assert str(settings.study) in options["blocked_paths"] and str(tmp_path) in options["blocked_paths"]
    client = TestClient(App.create_app(app, app_kwargs=options["app_kwargs"]))
    assert "Are these two photos" in client.get("/study").text and "Password" in client.get("/operator").text
    assert client.get("/gradio_api/file=assets/study/stimuli.json").status_code in (403, 404)
    assert not list(tmp_path.iterdir())  # nothing is opened before somebody takes part
    assert client.get("/study/api/welcome").json()["view"]["screen"] == "consent"


def test_a_setting_that_cannot_be_read_is_named():
    with pytest.raises(BadSetting, match="DEMO_STUDY_MINUTES"):
        Settings.from_environment({"DEMO_STUDY_MINUTES": "often"})
    assert "secret" not in repr(Settings(operator_password="secret"))
