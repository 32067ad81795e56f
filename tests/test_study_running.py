"""Running a study: places and closing, recruiting ids, codes, withdrawal, forms, confidence after the choice, keys,
decisions, languages, and a chain that shows what was changed."""

from __future__ import annotations

import csv
import json
import re
import shutil
import sqlite3
import zipfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from studies import SMALL, Page, enrol, fake_stimuli, older, reply, small_store, walk
from study_tables import simulate_rows

from demo.cli import main
from demo.errors import BadStudy, StaleTab, UnknownParticipant
from demo.study import Device, StudyConfig, StudySession
from demo.study.analysis.exclusions import told
from demo.study.analysis.preregistration import preregistration
from demo.study.analysis.summary import summarise
from demo.study.design.conditions import DECIDED, conditions
from demo.study.design.power import power_for
from demo.study.design.texts import languages, ready_forms, ready_texts
from demo.study.records.chain import head
from demo.study.records.checks import verify
from demo.study.records.export import export, long_rows
from demo.study.records.payments import forget, payments
from demo.study.records.store import Store
from demo.study.records.wide import wide, wide_names
from demo.study.session.participants import assign, delete, label_digest
from demo.study.session.refusals import TurnedAway
from demo.study.session.session import Recruited

TINY = replace(SMALL, pairs_per_set=2, conditions=("none", "emd_flow"), planned_n=4, completion_code="DONE",
               over_quota_code="FULL", over_quota_url="https://example.org/full", screened_out_code="OUT")


@pytest.fixture
def store(tmp_path):
    store = small_store(tmp_path, TINY)
    yield store
    store.close()


def rows(store, query, *values):
    with store.read() as db:
        return [tuple(row) for row in db.execute(query, values)]


class Opened(NamedTuple):
    """A database that is only a file yet."""

    path: Path


def by_force(store, *statements):
    """As somebody with the file and a copy of the program: without guards, which are made again afterwards."""
    with closing(sqlite3.connect(store.path, isolation_level=None)) as db:
        guards = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in guards:
            db.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            db.execute(statement)
        for _, sql in guards:
            db.execute(sql)


# --- places


def test_nobody_too_many_is_let_in_and_the_study_closes_by_itself(store):
    session = Page(store)
    tickets = [enrol(session) for _ in range(4)]
    with pytest.raises(TurnedAway) as full:
        enrol(session)
    assert (full.value.word, full.value.code, full.value.url) == ("full", "FULL", "https://example.org/full")
    assert rows(store, "SELECT max(n) FROM (SELECT count(*) n FROM participant GROUP BY cell_row, cell_rot)") == [(1,)]
    for ticket in tickets[:3]:
        assert walk(session, ticket)["screen"] == "debrief" and store.mode == "live"
    session.withdraw(tickets[3].token)
    assert walk(session, enrol(session))["screen"] == "debrief"  # the place was free again
    assert store.mode == "closed" and session.welcome()["code"] == "FULL"
    assert "planned number" in rows(store, "SELECT payload_json FROM event ORDER BY ev_id DESC LIMIT 1")[0][0]
    assert verify(store) == []


def test_a_small_window_is_turned_away(tmp_path):
    session = Page(small_store(tmp_path, replace(TINY, minimum_width=800)))
    with pytest.raises(TurnedAway, match="larger screen"):
        enrol(session, device=Device("Firefox", 390, 800, 2.0, 0))


def test_nobody_in_a_preview_gets_a_code_that_is_paid_for(tmp_path):
    store = small_store(tmp_path, TINY, mode="preview")
    end = walk(Page(store), enrol(Page(store)))
    assert end["code"] == "PREVIEW" and end["preview"]


# --- ids, paying, withdrawing


def test_ids_for_paying_stand_apart_and_go_on_demand(store):
    session = Page(store)
    ticket = enrol(session, recruited=Recruited("w-1", "mturk", "hit", "assignment"))
    walk(session, ticket)
    enrol(session, recruited=Recruited("=cmd()", "prolific"))
    one, two = payments(store)
    assert (one["label"], one["code"], one["status"], one["answered"]) == ("w-1", "DONE", "completed", 6)
    assert (two["code"], two["status"]) == ("", "consented")
    assert "w-1" not in json.dumps([list(map(str, row)) for row in rows(store, "SELECT * FROM participant")])
    assert forget(store) == 2 and payments(store) == [] and verify(store) == []
    with pytest.raises(TurnedAway):
        enrol(session, recruited=Recruited("w-1", "mturk"))  # the hash is still known


def test_without_keep_ids_only_a_hash_is_kept(tmp_path):
    store = small_store(tmp_path, replace(TINY, keep_ids=False))
    enrol(Page(store), recruited=Recruited("w-1", "mturk"))
    assert payments(store) == [] and b"w-1" not in store.backup(tmp_path / "b").read_bytes()


@pytest.mark.parametrize("mode", ["preview", "pilot", "live"])
def test_nobody_begins_twice_with_one_id(tmp_path, mode):
    """Not after a withdrawal, nor once the ids are forgotten, nor in another mode."""
    store = small_store(tmp_path, TINY, mode=mode)
    session = Page(store)
    session.withdraw(enrol(session, recruited=Recruited("w-1", "prolific")).token)
    enrol(session, recruited=Recruited("w-2", "prolific"))
    pid = rows(store, "SELECT pid FROM participant WHERE status <> 'withdrawn'")[0][0]
    delete(store, pid)
    forget(store)
    for later in (mode, "pilot", "live"):
        store.set_mode(later)
        for label in ("w-1", " w-2 "):
            with pytest.raises(TurnedAway) as turned:
                enrol(session, recruited=Recruited(label, "mturk"))
            assert turned.value.word == "repeated"
    enrol(session, recruited=Recruited("w-3", "prolific"))
    enrol(session)
    enrol(session)
    everything = json.dumps([list(map(str, row)) for table in ("participant", "begun", "event")
                             for row in rows(store, f"SELECT * FROM {table}")])
    assert "w-1" not in everything and len(rows(store, "SELECT * FROM begun")) == 3 and verify(store) == []


def test_who_began_before_an_update_is_known_after_it(store, tmp_path):
    secret = store.study()["secret"]
    with store.write() as db:
        pid = assign(store, db, label=None, device=Device())
        db.execute("DROP TRIGGER participant_fixed")
        db.execute("UPDATE participant SET label_hash = ? WHERE pid = ?", (label_digest(secret, "live", "w-1"), pid))
    again = Store.open(older(store, tmp_path / "old.sqlite3", 3))
    with pytest.raises(TurnedAway):
        enrol(Page(again), label="w-1")


def test_the_code_of_the_last_page_withdraws_later_and_others_do_not(store):
    session = Page(store)
    end = walk(session, enrol(session))
    for wrong in ("", "AAAA-AAAA-AAAA", end["withdrawal_code"][:-1], "' OR 1=1"):
        with pytest.raises(UnknownParticipant):
            session.withdraw_by_code(wrong)
    session.withdraw_by_code(f" {end['withdrawal_code'].lower()} ")
    assert rows(store, "SELECT count(*) FROM response") == [(0,)] and verify(store) == []


def test_the_operator_deletes_a_person_from_the_command_line(store, tmp_path, capsys):
    session = Page(store)
    ends = [walk(session, enrol(session)) for _ in range(2)]
    folder = tmp_path / "stimuli"
    fake_stimuli(folder, TINY, files=True).write()
    (folder / "study.json").write_text(TINY.to_json())
    at = ["--study", str(folder), "--db", str(store.path)]
    assert main(["study", "delete", "--code", ends[0]["withdrawal_code"], *at]) == 0
    (pid,), = rows(store, "SELECT pid FROM participant WHERE status = 'completed'")
    assert main(["study", "delete", pid, *at]) == 0
    capsys.readouterr()
    for wrong in (["nobody"], ["--code", "AAAA"], []):
        assert main(["study", "delete", *wrong, *at]) == 2
    assert capsys.readouterr().err.count("\n") == 3 and rows(store, "SELECT count(*) FROM response") == [(0,)]
    assert main(["study", "payments", *at]) == 2 and main(["study", "verify", *at]) == 0


# --- answering


def test_the_choice_is_stored_before_the_confidence(store):
    session = Page(store)
    ticket = enrol(session)
    view = walk(session, ticket, until=1)
    session.answer(ticket.token, ticket.epoch, reply(ticket, view))
    again = session.load(ticket.token)  # the page was closed before the confidence
    assert again.view.get("idx", again.view.get("gate")) == 2
    where = again.token, again.epoch
    view = walk(session, again, until=2)
    session.answer(*where, reply(again, view))
    for value in (3, 1):  # the first counts
        session.confidence(*where, 2, 1, value)
    found = {row["idx"]: row["confidence"] for row in long_rows(store)}
    assert (found[1], found[2]) == (None, 3)
    for idx, value in ((9, 1), (2, 7), (2, True)):
        with pytest.raises(BadStudy, match="confidence"):
            session.confidence(*where, idx, 1, value)
    with pytest.raises(StaleTab):
        session.confidence(ticket.token, ticket.epoch, 2, 1, 1)
    assert verify(store) == []


def test_half_of_the_people_have_the_keys_the_other_way(tmp_path):
    session = Page(small_store(tmp_path, replace(TINY, swap_keys=True, planned_n=80)))
    tickets = [enrol(session) for _ in range(40)]
    swapped = [walk(session, ticket, until=0)["text" if ticket.view["screen"] != "trial" else "swapped"]
               if ticket.view["screen"] == "trial" else "**J** (yes" in ticket.view["text"] for ticket in tickets]
    views = [session.proceed(ticket.token, ticket.epoch, ticket.view["gate"]) for ticket in tickets]
    assert [view["swapped"] for view in views] == swapped and 8 < sum(swapped) < 32


def test_an_instructed_check_says_what_to_answer_and_a_decision_is_shown_where_it_belongs(tmp_path):
    config = replace(TINY, attention_per_block=2, training_pairs=0, conditions=("none", "emd_flow" + DECIDED),
                     two_step=True, counterbalancing="fixed")
    stimuli = fake_stimuli(tmp_path / "stimuli", config)
    stimuli = replace(stimuli, pairs=tuple(
        replace(pair, check_kind="instructed") if pair.check_kind else pair for pair in stimuli.pairs))
    store = Store.create(tmp_path / "s.sqlite3", config, stimuli)
    store.set_mode("live")
    session, seen = Page(store), []
    ticket = enrol(session)
    view = ticket.view
    while view["screen"] != "debrief":
        if view["screen"] == "trial":
            seen.append(view)
            view = session.answer(ticket.token, ticket.epoch, reply(ticket, view))["view"]
        else:
            view = session.proceed(ticket.token, ticket.epoch, view["gate"])
    told = [view["question"] for view in seen if "check that you read" in view["question"]]
    assert len(told) == 2 + 2 * 2 and all(any(words in one for one in told) for words in ("“Yes, same", "“No, diff"))
    assert {(view["steps"], view["step"], view["decision"]) for view in seen} == {
        (1, 1, ""), (2, 1, ""), (2, 2, "same")}
    shown = {row["condition"]: row["decision_shown"] for row in long_rows(store)}
    assert shown == {"none": 0, "emd_flow+decision": 1}
    assert {"decision", "emd_flow+decision"} <= set(conditions())


# --- forms


def with_forms(tmp_path, *names):
    config = StudyConfig.from_json(json.dumps({"questionnaires": list(names)}), TINY)
    return small_store(tmp_path, config)


def good(form):
    simple = {"choice": 0, "scale": 1, "number": 30, "text": "x"}
    return {item["id"]: item.get("right", simple[item["kind"]]) for item in form["items"]}


def test_forms_come_at_their_time_once_and_are_exported(tmp_path):
    store = with_forms(tmp_path, "comprehension", "demographics", "tlx", "trust")
    session = Page(store)
    ticket = enrol(session)
    view, seen = ticket.view, []
    forms = {form["id"]: form for form in store.config(store._writer).questionnaires}
    while view["screen"] != "debrief":
        seen.append(view["form"]["id"] if view["screen"] == "form" else view["screen"])
        if view["screen"] == "form":
            assert all("right" not in item for item in view["form"]["items"])
            done = session.fill(ticket.token, ticket.epoch, view["place"], good(forms[view["form"]["id"]]))
            assert session.fill(ticket.token, ticket.epoch, view["place"], {})["view"] == done["view"]
            view = done["view"]
        elif view["screen"] == "trial":
            view = session.answer(ticket.token, ticket.epoch, reply(ticket, view))["view"]
        else:
            view = session.proceed(ticket.token, ticket.epoch, view["gate"])
    order = [one for at, one in enumerate(seen) if one != "trial" or seen[at - 1] != "trial"]
    assert order == ["demographics", "instructions", "comprehension", "trial", "ready", "trial", "tlx", "rest", "trial",
                     "ready", "trial", "tlx", "trust"]
    assert rows(store, "SELECT count(DISTINCT place), count(*) FROM form") == [(5, 2 + 3 + 6 + 6 + 5)]
    assert verify(store) == []


def test_no_script_gets_past_pages_and_forms(tmp_path):
    """Onset and answer sent at once, without what comes before: nothing is recorded, nobody is complete or paid."""
    store = with_forms(tmp_path, "comprehension", "demographics", "trust")
    session = StudySession(store)
    ticket = enrol(session, recruited=Recruited("worker", "mturk"))
    where = ticket.token, ticket.epoch
    forms = {form["id"]: good(form) for form in store.config(store._writer).questionnaires}

    def refused(words, idx=0):
        for act in (lambda: session.onset(*where, idx, 1, 1.0), lambda: session.answer(
                *where, reply(ticket, {"idx": idx, "step": 1}))):
            with pytest.raises(BadStudy, match=words):
                act()

    refused("comes before")
    for place in (1, 2, 3):
        with pytest.raises(BadStudy, match="not up now"):
            session.fill(*where, place, forms["trust"])
    assert session.fill(*where, 0, forms["demographics"])["view"]["screen"] == "instructions"
    refused("comes before")
    with pytest.raises(BadStudy, match="not up now"):
        session.fill(*where, 1, forms["comprehension"])
    session.proceed(*where, 0)
    refused("comes before")
    session.fill(*where, 1, forms["comprehension"])
    view = session.view(*where)
    while view["screen"] != "form":
        if "gate" in view:
            refused("comes before", view["gate"])
            view = session.proceed(*where, view["gate"])
        else:
            session.onset(*where, view["idx"], 1, 1.0)
            view = session.answer(*where, reply(ticket, view))["view"]
    assert rows(store, "SELECT status, completed_utc FROM participant") == [("active", None)]
    assert [one["code"] for one in payments(store)] == [""]
    assert session.load(ticket.token).view["form"]["id"] == "trust"
    where = ticket.token, ticket.epoch + 1
    end = session.fill(*where, view["place"], forms["trust"])["view"]
    assert end["screen"] == "debrief" and end["code"] == "DONE"
    assert rows(store, "SELECT status, completed_utc IS NULL FROM participant") == [("completed", 0)]
    assert session.fill(*where, view["place"], forms["trust"])["view"] == end and verify(store) == []


def test_nothing_of_who_was_screened_out_is_taken(tmp_path):
    store = with_forms(tmp_path, "comprehension")
    session = StudySession(store)
    ticket = enrol(session)
    where = ticket.token, ticket.epoch
    view = session.proceed(*where, 0)
    for _ in range(2):
        session.fill(*where, view["place"], {"task": 0, "computer": 1})
    for act in (lambda: session.onset(*where, 0, 1, 1.0), lambda: session.confidence(*where, 0, 1, 2),
                lambda: session.answer(*where, reply(ticket, {"idx": 0, "step": 1}))):
        with pytest.raises(TurnedAway) as turned:
            act()
        assert (turned.value.word, turned.value.code) == ("screened", "OUT")
    right = {"task": 1, "computer": 0}
    assert session.fill(*where, view["place"], right)["view"]["screen"] == "screened"
    assert rows(store, "SELECT count(*) FROM response UNION ALL SELECT count(*) FROM event WHERE type = 'onset'") == [
        (0,), (0,)]
    assert rows(store, "SELECT status, completed_utc FROM participant") == [("excluded", None)] and verify(store) == []


def test_who_is_away_before_the_last_form_when_the_study_closes_is_out(tmp_path):
    store = with_forms(tmp_path, "trust")
    session = Page(store)
    ticket = enrol(session)
    assert walk(session, ticket)["screen"] == "form"
    with store.write() as db:
        store.change(db, rows(store, "SELECT pid FROM participant")[0][0], status="dropped")
    store.set_mode("closed")
    assert session.load(ticket.token).view["screen"] == "closed"


def test_who_does_not_understand_twice_is_screened_out(tmp_path):
    store = with_forms(tmp_path, "comprehension")
    session = Page(store)
    ticket = enrol(session)
    view = session.proceed(ticket.token, ticket.epoch, 0)
    wrong = {"task": 0, "computer": 1}
    first = session.fill(ticket.token, ticket.epoch, view["place"], wrong)
    assert not first["passed"] and first["view"]["again"]
    last = session.fill(ticket.token, ticket.epoch, view["place"], wrong)
    assert last["view"]["screen"] == "screened" and last["view"]["code"] == "OUT"
    assert session.load(ticket.token).view["screen"] == "screened"
    assert rows(store, "SELECT status FROM participant") == [("excluded",)] and verify(store) == []
    for _ in range(4):
        enrol(session)  # the place is free


@pytest.mark.parametrize("answers", [{}, {"age": "old"}, {"age": -1}, {"age": True}, {"gender": 9}, {"gender": 1.5}])
def test_answers_that_do_not_fit_a_form_are_refused(tmp_path, answers):
    store = with_forms(tmp_path, "demographics" if answers else "comprehension")
    session = Page(store)
    ticket = enrol(session)
    view = ticket.view if answers else session.proceed(ticket.token, ticket.epoch, 0)
    with pytest.raises(BadStudy):
        session.fill(ticket.token, ticket.epoch, view["place"], answers)
    with pytest.raises(BadStudy, match="not up now"):
        session.fill(ticket.token, ticket.epoch, 99, answers)
    assert rows(store, "SELECT count(*) FROM form") == [(0,)]


# --- languages and consent


def test_every_language_has_every_text_and_form():
    assert set(languages()) >= {"ar", "de", "en"} and ready_texts("ar")["dir"] == "rtl"
    assert {f"legend.{code}" for code in conditions() if not code.endswith(DECIDED)} < set(ready_texts("en"))
    for language in languages():
        own, english = ready_texts(language), ready_texts("en")
        assert set(own) == set(english) and own["lang"] == language
        braces = {key: sorted(part.split("}")[0] for part in text.split("{")[1:]) for key, text in own.items()}
        assert braces == {key: sorted(part.split("}")[0] for part in text.split("{")[1:])
                          for key, text in english.items()}
        config = StudyConfig.from_json(json.dumps({"language": language, "questionnaires": list(ready_forms("en"))}))
        for form, other in zip(config.questionnaires, ready_forms("en").values(), strict=True):
            assert [(item["id"], item["kind"], item.get("right"), len(item.get("choices", ())))
                    for item in form["items"]] == [(item["id"], item["kind"], item.get("right"), len(
                        item.get("choices", ()))) for item in other["items"]]


def test_consent_lists_what_is_recorded_and_who_does_it():
    config = replace(StudyConfig(), researcher="Dr. X", contact="x@example.org", retention="ten years")
    text = config.consent
    for words in ("Dr. X", "x@example.org", "ten years", "how long each took", "How sure", "size of the page",
                  "hid the page", "recruiting service gave you, in a list apart", "A number computed from it stays"):
        assert words in text, words
    arabic = StudyConfig.from_json('{"language": "ar"}', config).consent
    assert "\u2068ten years\u2069" in arabic and "\u2068" not in text, "a value keeps its own direction of writing"
    less = replace(config, keep_ids=False, confidence=False).consent
    assert "is not kept. The number stays, also if you withdraw" in less
    assert "How sure" not in less and config.consent_sha256 != replace(
        config, keep_ids=False).consent_sha256


# --- the chain


@pytest.mark.parametrize("statement,words", [
    ("UPDATE response SET answer = 'diff', correct = 1 - correct WHERE idx = 2", "changed"),
    ("UPDATE response SET rt_ms = rt_ms + 1 WHERE idx = 2", "changed"),
    ("DELETE FROM response WHERE idx = 5", "removed"),
    ("UPDATE event SET payload_json = '{}' WHERE type = 'admin'", "changed"),
    ("DELETE FROM chain WHERE seq = 4", "broken"),
    ("UPDATE chain SET mac = link WHERE seq = 4", "broken"),
    ("UPDATE participant SET status = 'excluded', exclude_reason = 'x'", "without a decision"),
    ("UPDATE participant SET status = 'withdrawn'", "removed"),
    ("UPDATE participant SET status = 'dropped' WHERE status = 'completed'", "changed"),
    ("UPDATE participant SET cell_row = cell_row + 1", "changed"),
    ("UPDATE participant SET is_preview = 1, mode = 'pilot'", "changed"),
    ("UPDATE render SET model_pred = 1 - model_pred", "design"),
    ("UPDATE pair SET same = 1 - same WHERE pair_id LIKE 'A%'", "design"),
    ("UPDATE pair SET occl1 = 'glasses'", "design"),
    ("UPDATE study SET name = 'another'", "design"),
    ("UPDATE study SET secret = 'another'", "design"),
    ("UPDATE study SET locked_utc = '2030-01-01T00:00:00.000Z'", "design"),
    ("UPDATE study SET mode = 'preview'", "design"),
    ("UPDATE plan SET flip = 1 - flip WHERE idx = 3", "changed"),
    ("UPDATE plan SET block = 1 - block", "changed"),
    ("UPDATE chain_end SET entries = entries - 1", "cut short"),
    ("DELETE FROM chain_end", "cut short"),
    ("DELETE FROM chain WHERE seq > 4", "cut short"),
    ("DELETE FROM chain", "empty"),
])
def test_a_change_shows_even_where_the_guards_were_made_again(store, statement, words):
    session = Page(store)
    walk(session, enrol(session))
    walk(session, enrol(session), until=3)
    assert verify(store) == []
    more = ["DELETE FROM response WHERE pid = (SELECT min(pid) FROM response)"] if "withdrawn" in statement else []
    by_force(store, statement, *more)
    assert words in " ".join(verify(store)), verify(store)


def test_answers_that_were_cut_off_with_the_end_of_the_chain_show(store):
    """The last person's rows go, their entries too, and whatever counts them is set to fit."""
    session = Page(store)
    walk(session, enrol(session))
    (kept,), = rows(store, "SELECT max(seq) FROM chain")
    (end,), = rows(store, "SELECT max(ev_id) FROM event")
    walk(session, enrol(session), until=3)
    gone = "(SELECT pid FROM participant ORDER BY rowid DESC LIMIT 1)"
    by_force(store, f"DELETE FROM response WHERE pid = {gone}", f"DELETE FROM plan WHERE pid = {gone}",
             f"DELETE FROM event WHERE ev_id > {end}", f"DELETE FROM participant WHERE pid = {gone}",
             f"DELETE FROM chain WHERE seq > {kept}", f"UPDATE chain_end SET entries = {kept}",
             f"UPDATE sqlite_sequence SET seq = {end} WHERE name = 'event'")
    assert "cut short" in " ".join(verify(store))


def test_an_older_copy_in_the_place_of_the_database_shows_by_a_head(store, tmp_path, capsys):
    session = Page(store)
    walk(session, enrol(session))
    old = store.backup(tmp_path / "old.sqlite3")
    walk(session, enrol(session))
    out = export(store, tmp_path / "answers.zip")
    with store.read() as db:
        last = head(db)
    folder = tmp_path / "stimuli"
    fake_stimuli(folder, TINY, files=True).write()
    (folder / "study.json").write_text(TINY.to_json())

    def verified(path, *heads):
        status = main(["study", "verify", "--study", str(folder), "--db", str(path),
                       *(word for one in heads for word in ("--head", str(one)))])
        said = capsys.readouterr()
        return status, said.out + said.err

    assert verified(store.path, out, last.upper()) == verified(store.path)
    assert verified(store.path)[0] == 0 and last in verified(store.path)[1]
    shutil.copy(store.seal.path, old.with_name("old.sqlite3.key"))
    assert verified(old)[0] == 0, "by itself it is sound"
    for one in (out, last):
        status, told = verified(old, one)
        assert status == 1 and "not in the chain any more" in told and told.count("\n") == 1
    for one in ("0" * 63, tmp_path / "none.zip", folder / "study.json", "x" * 64):
        status, told = verified(store.path, one)
        assert status == 2 and "neither a head" in told and told.count("\n") == 1
    assert verified(tmp_path / "none.sqlite3", last)[0] == 2


def test_a_database_that_calls_itself_older_is_not_sealed_anew(store, tmp_path):
    walk(Page(store), enrol(Page(store)))
    for version in (2, 3):
        path = older(store, tmp_path / f"of{version}.sqlite3", version)
        shutil.copy(store.seal.path, path.with_name(path.name + ".key"))
        by_force(Opened(path), "UPDATE response SET answer = 'diff', correct = 1 - correct WHERE idx = 2")
        for _ in range(2):
            with pytest.raises(BadStudy, match="calls itself version"):
                Store.open(path)


def test_a_database_of_version_3_is_sealed_as_it_is_found_and_only_once(store, tmp_path):
    session = Page(store)
    walk(session, enrol(session))
    session.withdraw(enrol(session).token)
    path = older(store, tmp_path / "old.sqlite3", 3)
    text = store.seal.path.read_text().split()
    path.with_name(path.name + ".key").write_text(text[0] + "\n")  # as version 3 wrote it
    again = Store.open(path)
    assert verify(again) == [] and again.seal.path.read_text().split() == text
    assert len(rows(again, "SELECT 1 FROM begun")) == 0
    by_force(again, "UPDATE participant SET status = 'dropped' WHERE status = 'completed'")
    assert "changed" in " ".join(verify(again))
    again.close()
    shutil.copy(path.with_name(path.name + ".version3"), path)
    with pytest.raises(BadStudy, match="calls itself version 3"):
        Store.open(path)


def test_tables_that_are_not_what_the_pictures_came_with_show_without_a_key_too(store, tmp_path):
    stimuli = fake_stimuli(tmp_path / "stimuli", TINY, files=True)
    assert verify(store, stimuli) == []
    by_force(store, "UPDATE render SET model_pred = 0 WHERE model_pred = 1")
    store.seal.path.unlink()
    assert any("render is not what stimuli.json says" in one for one in verify(Store.open(store.path), stimuli))


def test_rows_from_elsewhere_and_a_missing_key_show(store, tmp_path):
    session = Page(store)
    ticket = enrol(session)
    walk(session, ticket, until=3)
    by_force(store, """INSERT INTO response SELECT NULL, pid, 3, condition, pair_id, answer, correct, confidence, rt_ms,
        rt_server_ms, onset_perf_ms, submit_perf_ms, visible_ms, hidden_count, n_onsets, input, flag_fast, flag_slow,
        flag_resumed, 'made up', session_epoch, recv_utc, is_preview FROM response WHERE idx = 2""")
    assert "added by something other" in " ".join(verify(store))
    copy = Store.open(store.backup(tmp_path / "copy.sqlite3"))
    assert "their key" in verify(copy)[0]
    copy.seal.path.write_text("not a key")
    with pytest.raises(BadStudy, match="holds no key"):
        copy.set_mode("closed")


def test_a_withdrawal_breaks_no_chain_and_numbers_are_free_again(store):
    session = Page(store)
    first = enrol(session)
    walk(session, first, until=3)
    for idx in range(3):
        session.confidence(first.token, first.epoch, idx, 1, 2)
    session.withdraw(first.token)
    second = enrol(session)
    walk(session, second, until=3)
    session.confidence(second.token, second.epoch, 1, 1, 4)
    pid, = (pid for pid, in rows(store, "SELECT pid FROM participant WHERE status = 'active'"))
    delete(store, pid)
    assert verify(store) == []


def test_a_changed_configuration_beside_the_database_shows(store, tmp_path):
    enrol(Page(store))
    assert verify(store, None, TINY) == []
    assert "study.json" in verify(store, None, replace(TINY, planned_n=99))[0]


def test_an_older_database_is_sealed_as_it_is_found(store, tmp_path):
    walk(Page(store), enrol(Page(store)))
    again = Store.open(older(store, tmp_path / "old.sqlite3", 2))
    assert verify(again) == [] and not again.adopt(TINY, fake_stimuli(tmp_path / "stimuli", TINY))
    by_force(again, "UPDATE response SET correct = 1 - correct WHERE idx = 2")
    assert "changed" in " ".join(verify(again))


# --- for the paper


def test_power_is_that_of_the_design():
    four, two = (power_for(StudyConfig(conditions=names), repetitions=60)[1]
                 for names in (("none", "cnn_cc", "h2l_cc", "emd_flow"), ("none", "emd_flow")))
    assert four == 32 and two is not None and two < four
    assert power_for(StudyConfig(conditions=("none", "emd_flow")), {"emd_flow": 0.55}, repetitions=40)[1] is None
    with pytest.raises(BadStudy, match="between 0 and 100"):
        power_for(StudyConfig(conditions=("none", "emd_flow")), {"emd_flow": 1.2})


def test_a_preregistration_names_what_is_compared_with_what():
    def registered(*names):
        return preregistration(replace(StudyConfig(), conditions=names), {}, "0", repetitions=2)

    plain, other, alone = registered("none", "emd_flow"), registered("emd_flow", "cnn_cc", "h2l_cc"), registered("none")
    assert "- H1: accuracy differs between “EMD flow” and “No explanation”." in plain and "H2" not in plain
    assert "- H1: accuracy differs between “EMD flow” and “CNN correlation”." in other
    assert "- Exploratory: accuracy differs between “EMD flow” and “H2L correlation”." in other
    assert "(reference: CNN correlation)" in other and "told from “CNN correlation”" in other.replace(
        "tell every condition from", "told from") and "Cells: 18." in other
    assert "against the best constant answer, two-sided" in alone and "mixed model" not in alone
    for text, rounds in ((plain, 2), (other, 3), (alone, 1)):
        rule = replace(StudyConfig(), conditions=StudyConfig().conditions[:rounds]).exclusion_rule
        assert all(f"- {reason}\n" in text for reason in told(rule)) and rule.attention_failed == min(2, rounds)


def test_an_early_export_holds_no_measures_and_that_of_a_complete_study_does(store, tmp_path):
    session = Page(store)
    for done in range(1, TINY.planned_n + 1):
        walk(session, enrol(session))
        out = export(store, tmp_path / f"{done}.zip", lambda rows: summarise(rows, planned_n=TINY.planned_n))
        with zipfile.ZipFile(out) as archive:
            table = list(csv.DictReader(archive.read("participants_wide.csv").decode().splitlines()))
            hidden = "hidden" in json.loads(archive.read("summary.json"))
        assert len(table) == done and hidden == (done < TINY.planned_n)
        assert set(table[0]) == {"pid", "block_none", "block_emd_flow"} if hidden else "accuracy_none" in table[0]


def test_the_wide_table_is_what_the_summary_says():
    given = [{"status": "completed", "agree": None if row["model_pred"] is None else int(
        (row["answer"] == "same") == row["model_pred"]), **row} for row in simulate_rows(8, seed=3)]
    table, summary = wide(given), summarise(given)
    assert len(table) == 8
    for one in summary["conditions"]:
        name = one["condition"]
        assert np.mean([row[f"accuracy_{name}"] for row in table]) == pytest.approx(one["accuracy"]["mean"])
        assert np.mean([row[f"dprime_{name}"] for row in table]) == pytest.approx(one["d_prime"]["value"])
        assert np.mean([row[f"criterion_{name}"] for row in table]) == pytest.approx(one["criterion"]["value"])
        assert np.mean([row[f"confidence_{name}"] for row in table]) == pytest.approx(one["confidence"]["value"])
        assert sorted(row[f"rt_ms_{name}"] for row in table) == pytest.approx(sorted(one["rt_ms"]["by_participant"]))
    assert wide([row | {"excluded": 1} for row in given]) == []


def test_the_columns_of_the_wide_table_are_names_for_spss():
    given = [{**row, "status": "completed", "agree": None, "condition": row["condition"] + DECIDED}
             for row in simulate_rows(2, seed=3)]
    names = wide_names(given)
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,63}", name) for name in names) and len(set(names)) == len(names)
    assert "accuracy_emd_flow_decision" in names and all(list(row) != [] and set(row) == set(names)
                                                         for row in wide(given))
