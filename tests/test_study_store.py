"""The study's database: guards, lock, versions, copies, damage, and everything a participant's page may do to it."""

from __future__ import annotations

import json
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import pytest
from studies import SECRET, SMALL, Page, enrol, fake_stimuli, older, reply, small_store, walk

from demo.errors import BadStudy, NotSaved, StaleTab, UnknownParticipant
from demo.study import Device, StudyConfig, StudySession
from demo.study.analysis.exclusions import exclusion_candidates
from demo.study.design.config import Exclusion
from demo.study.records import schema
from demo.study.records.checks import verify
from demo.study.records.export import long_rows
from demo.study.records.store import Store, open_study
from demo.study.session.overview import people
from demo.study.session.participants import exclude, include
from demo.study.session.refusals import TurnedAway


class Clock:
    """A clock that a test moves."""

    def __init__(self):
        self.seconds = 1_800_000_000.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(tmp_path, clock):
    store = small_store(tmp_path, clock=clock)
    yield store
    store.close()


@pytest.fixture
def session(store):
    return Page(store)


def rows(store, query, *values):
    with store.read() as db:
        return [tuple(row) for row in db.execute(query, values)]


def events(store, kind):
    return rows(store, "SELECT count(*) FROM event WHERE type = ?", kind)[0][0]


# --- guards, lock, versions


@pytest.mark.parametrize("statement", [
    "UPDATE response SET answer = 'diff'", "DELETE FROM response", "DELETE FROM event", "UPDATE event SET utc = ''",
    "DELETE FROM plan", "UPDATE plan SET flip = 1 - flip", "DELETE FROM participant", "DELETE FROM study",
    "UPDATE participant SET cell_row = 3", "UPDATE study SET config_json = '{}'", "UPDATE study SET locked_utc = NULL",
    "UPDATE study SET stimuli_sha256 = ''", "UPDATE participant SET seed = 'x'", "UPDATE pair SET same = 1 - same",
    "DELETE FROM render",
    "INSERT INTO study SELECT 'b', name, mode, config_json, config_sha256, code_version, weights_manifest_json, "
    "stimuli_sha256, consent_md, consent_sha256, neutral, secret, created_utc, locked_utc FROM study",
])
def test_what_is_recorded_cannot_be_changed(store, session, statement):
    walk(session, enrol(session), until=2)
    before = rows(store, "SELECT * FROM response")
    with pytest.raises(sqlite3.IntegrityError), store.write() as db:
        db.execute(statement)
    assert before and rows(store, "SELECT * FROM response") == before and verify(store) == []


def test_the_database_is_durable_by_its_settings(store):
    with store.write() as db:
        assert db.execute("PRAGMA synchronous").fetchone()[0] == 2
        assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert db.execute("PRAGMA foreign_keys").fetchone()[0] == 1


def test_the_first_live_participant_locks_configuration_and_stimuli(tmp_path):
    store = small_store(tmp_path, mode="preview")
    session, stimuli = StudySession(store), fake_stimuli(tmp_path / "stimuli", SMALL)
    enrol(session)
    assert store.study()["locked_utc"] is None
    changed = replace(SMALL, planned_n=50)
    assert store.adopt(changed, stimuli) and not store.adopt(changed, stimuli)
    assert rows(store, "SELECT DISTINCT status FROM participant") == [("withdrawn",)]
    store.set_mode("live")
    enrol(session)
    assert store.study()["locked_utc"] and events(store, "lock") == 1
    with pytest.raises(BadStudy, match="no longer change"):
        store.adopt(SMALL, stimuli)
    assert verify(store) == []


def test_a_database_of_version_1_is_migrated_and_a_copy_is_kept(tmp_path):
    store = small_store(tmp_path / "new")
    store.close()
    path = older(store, tmp_path / "study.sqlite3", 1)
    with closing(sqlite3.connect(path)) as db:
        assert schema.version(db) == 1
        assert not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'first_answer'").fetchone()
    store = Store.open(path)
    session = StudySession(store)
    assert walk(session, enrol(session))["screen"] == "debrief" and verify(store) == []
    with closing(sqlite3.connect(tmp_path / "study.sqlite3.version1")) as db:
        assert schema.version(db) == 1


def test_a_database_of_the_future_or_of_something_else_is_refused(tmp_path, store):
    with closing(sqlite3.connect(store.path)) as db:
        db.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    with pytest.raises(BadStudy, match="update the program"):
        Store.open(store.path)
    with closing(sqlite3.connect(tmp_path / "other.db")) as db:
        db.execute("CREATE TABLE x(y)")
    with pytest.raises(BadStudy, match="no study database"):
        Store.open(tmp_path / "other.db")
    with pytest.raises(BadStudy, match="open the study first"):
        Store.open(tmp_path / "missing.db")


def test_a_damaged_database_is_named(tmp_path, store, session):
    walk(session, enrol(session))
    copy = store.backup(tmp_path / "copy.sqlite3")
    content = bytearray(copy.read_bytes())
    for page in range(5, len(content) // 4096, 3):
        content[page * 4096:page * 4096 + 2000] = b"\xff" * 2000
    copy.write_bytes(content)
    try:
        problems = verify(Store.open(copy))
    except BadStudy as error:
        problems = [str(error)]
    assert problems and "damaged" in problems[0] and "backup" in problems[0]
    (tmp_path / "noise.sqlite3").write_bytes(b"noise" * 5000)
    with pytest.raises(BadStudy, match="damaged"):
        Store.open(tmp_path / "noise.sqlite3")


def test_verify_finds_what_somebody_changed_by_force(tmp_path, store, session):
    stimuli = fake_stimuli(tmp_path / "stimuli", SMALL, files=True)
    walk(session, enrol(session))
    assert verify(store, stimuli) == []
    with store.write() as db:
        db.execute("DROP TRIGGER response_never_changes")
    assert "response_never_changes" in verify(store)[0]
    with store.write() as db:
        db.execute("UPDATE response SET correct = 1 - correct WHERE idx = 3")
        db.execute("CREATE TRIGGER response_never_changes BEFORE UPDATE ON response "
                   "BEGIN SELECT RAISE(ABORT, 'x'); END")
    assert "right or wrong" in " ".join(verify(store))
    picture = next((tmp_path / "stimuli" / "pictures").iterdir())
    picture.write_bytes(b"other")
    assert any(picture.name in problem for problem in verify(store, stimuli))


def test_a_backup_is_a_whole_study(tmp_path, store, session):
    ticket = enrol(session)
    walk(session, ticket, until=7)
    again = Store.open(store.backup(tmp_path / "copies" / "b.sqlite3"))
    assert "their key" in verify(again)[0]
    shutil.copy(store.seal.path, again.seal.path)
    assert verify(again) == []
    assert StudySession(again).load(ticket.token).view["idx"] == 7
    with pytest.raises(NotSaved):
        store.backup("/proc/nowhere.sqlite3")


def test_open_study_creates_once_and_opens_ever_after(tmp_path):
    stimuli = fake_stimuli(tmp_path / "stimuli", SMALL)
    with ThreadPoolExecutor(6) as pool:
        stores = list(pool.map(lambda _: open_study(tmp_path / "s.sqlite3", SMALL, stimuli), range(6)))
    assert len({store.study()["secret"] for store in stores}) == 1
    with pytest.raises(BadStudy, match="exists already"):
        Store.create(tmp_path / "s.sqlite3", SMALL, stimuli)


# --- a participant's page


def test_a_participant_goes_from_consent_to_debrief(store, session):
    assert session.welcome()["screen"] == "consent"
    ticket = enrol(session)
    assert ticket.view["screen"] == "instructions"
    end = walk(session, ticket)
    assert end["screen"] == "debrief" and end["score"] == {"correct": 8, "total": 16}
    assert rows(store, "SELECT status FROM participant") == [("completed",)]
    assert rows(store, "SELECT count(*), min(n_onsets), max(flag_resumed) FROM response") == [(20, 1, 0)]


def test_no_view_of_a_trial_gives_the_answer_away(store, session):
    ticket = enrol(session)
    view, seen = ticket.view, []
    while view["screen"] != "debrief":
        if view["screen"] == "trial":
            seen.append(view)
            answered = session.answer(ticket.token, ticket.epoch, reply(ticket, view))
            assert (answered["feedback"] is not None) == view["practice"]
            view = answered["view"]
        else:
            view = session.proceed(ticket.token, ticket.epoch, view["gate"])
    assert len(seen) == 20 and {frozenset(view) for view in seen} == {frozenset({
        "screen", "idx", "step", "steps", "practice", "question", "faces", "panels", "confidence", "max_seconds",
        "preload", "progress", "preview", "decision",
        "swapped"})}
    text = json.dumps([{**view, "question": ""} for view in seen])
    for word in ("none", "cnn_cc", "emd_flow", "A01", "pair", "same", "diff", "attn", "cosine", "mask"):
        assert word not in text, word


def test_consent_and_age_are_required_and_the_text_is_pinned(session):
    with pytest.raises(BadStudy, match="tick both"):
        session.enrol(consented=True, of_age=False)
    with pytest.raises(BadStudy, match="read it again"):
        enrol(session, consent_sha256="0" * 64)
    enrol(session, consent_sha256=session.welcome()["consent_sha256"])


def test_a_refresh_resumes_at_the_first_unanswered_trial(store, session):
    ticket = enrol(session)
    view = walk(session, ticket, until=6)
    session.onset(ticket.token, ticket.epoch, 6)
    again = session.load(ticket.token)
    assert again.epoch == ticket.epoch + 1 and again.view["idx"] == 6 and again.view["faces"] == view["faces"]
    assert session.onset(again.token, again.epoch, 6) == 2
    StudySession.answer(session, again.token, again.epoch, reply(again, again.view))
    assert rows(store, "SELECT n_onsets, flag_resumed FROM response WHERE idx = 6") == [(2, 1)]


def test_an_onset_that_the_network_repeats_counts_once(store, session):
    ticket = enrol(session)
    view = walk(session, ticket, until=6)
    counts = [session.onset(ticket.token, ticket.epoch, 6, perf_ms=perf_ms) for perf_ms in (10.5, 10.5, 99.0)]
    assert counts == [1, 1, 2]
    StudySession.answer(session, ticket.token, ticket.epoch, reply(ticket, view))
    assert rows(store, "SELECT n_onsets FROM response WHERE idx = 6") == [(2,)]


def test_an_older_tab_is_told_so_and_changes_nothing(store, session):
    old = enrol(session)
    view = walk(session, old, until=3)
    new = session.load(old.token)
    for attempt in (lambda: session.answer(old.token, old.epoch, reply(old, view)),
                    lambda: session.onset(old.token, old.epoch, 3), lambda: session.view(old.token, old.epoch),
                    lambda: session.proceed(old.token, old.epoch, 0)):
        with pytest.raises(StaleTab, match="another tab"):
            attempt()
    assert events(store, "stale_tab") == 3 and session.view(new.token, new.epoch)["idx"] == 3


def test_the_same_answer_twice_is_acknowledged_twice_and_kept_once(store, session):
    ticket = enrol(session)
    view = walk(session, ticket, until=3)
    first = session.answer(ticket.token, ticket.epoch, reply(ticket, view))
    again = session.answer(ticket.token, ticket.epoch, reply(ticket, view))
    other = session.answer(ticket.token, ticket.epoch, replace(reply(ticket, view, "diff"), nonce="another one"))
    assert first == again == other and events(store, "dup_submit") == 2
    session.load(ticket.token)
    assert session.answer(ticket.token, ticket.epoch, reply(ticket, view))["saved"]  # a retry that arrives late
    assert rows(store, "SELECT answer, count(*) FROM response WHERE idx = 3") == [("same", 1)]
    with pytest.raises(BadStudy, match="another pair"):
        session.answer(ticket.token, ticket.epoch + 1, replace(reply(ticket, first["view"]),
                                                               nonce=reply(ticket, view).nonce))


def test_the_server_decides_which_trial_is_up(session):
    ticket = enrol(session)
    with pytest.raises(BadStudy, match="comes before this pair"):
        session.onset(ticket.token, ticket.epoch, 0)
    session.proceed(ticket.token, ticket.epoch, ticket.view["gate"])
    with pytest.raises(BadStudy, match="not up now"):
        session.answer(ticket.token, ticket.epoch, replace(reply(ticket, {"idx": 9, "step": 1}), idx=9))
    view = walk(session, ticket, until=2)
    for wrong in ({"choice": "yes"}, {"choice": None}, {"nonce": "short"}, {"confidence": 5}, {"confidence": True},
                  {"rt_ms": float("nan")}, {"rt_ms": -1.0}, {"input": "voice"}, {"hidden_count": -1}):
        with pytest.raises(BadStudy, match="cannot be read"):
            session.answer(ticket.token, ticket.epoch, replace(reply(ticket, view), **wrong))


def test_an_unknown_token_is_nobody(session):
    for token in ("", "0" * 32, "' OR 1=1 --"):
        with pytest.raises(UnknownParticipant):
            session.load(token)


def test_a_label_is_used_once_and_not_stored_with_the_participant(store, session):
    enrol(session, label="prolific-1")
    with pytest.raises(TurnedAway, match="begun or finished"):
        enrol(session, label=" prolific-1 ")
    enrol(session, label="prolific-2")
    assert "prolific" not in " ".join(map(str, rows(store, "SELECT * FROM participant")))


def test_of_the_browser_only_its_family_is_kept(store, session):
    enrol(session, device=Device("Firefox/128 (X11; <b>)", 390, 844, 3.0, -60))
    assert rows(store, "SELECT ua_family, viewport_w, dpr, tz_offset FROM participant") == [
        ("FirefoxXb", 390, 3.0, -60)]


def test_a_dropout_frees_the_place_and_may_come_back_while_the_study_is_open(store, session, clock):
    gone = enrol(session)
    walk(session, gone, until=3)
    clock.seconds += 31 * 60
    enrol(session)
    assert rows(store, "SELECT status FROM participant ORDER BY created_utc") == [("dropped",), ("consented",)]
    back = session.load(gone.token)
    assert back.view["idx"] == 3 and events(store, "resume") == 1
    assert rows(store, "SELECT count(*) FROM participant WHERE status = 'active'") == [(1,)]
    clock.seconds += 31 * 60
    enrol(session)
    store.set_mode("closed")
    assert session.load(gone.token).view["screen"] == "closed"
    with pytest.raises(BadStudy, match="closed"):
        session.answer(gone.token, back.epoch + 1, reply(back, back.view))
    with pytest.raises(BadStudy, match="closed"):
        enrol(session)
    assert session.welcome()["screen"] == "closed"


def test_who_is_in_the_middle_may_finish_a_closed_study(store, session):
    ticket = enrol(session)
    walk(session, ticket, until=3)
    store.set_mode("closed")
    assert walk(session, session.load(ticket.token))["screen"] == "debrief"


def test_a_time_that_the_server_did_not_see_is_flagged_and_does_not_hide_haste(store, session, clock):
    """Onset and answer in one moment with a claim of 900 ms; then answers whose time passed on the server too."""
    ticket = enrol(session)
    view = walk(session, ticket, until=1)  # practice
    for waits, claims in ((0.0, 900.0), (0.45, 900.0), (0.9, 900.0), (70.0, 61_000.0), (0.9, 100.0), (0.1, 1e7)):
        while view["screen"] != "trial":
            view = session.proceed(ticket.token, ticket.epoch, view["gate"])
        session.onset(ticket.token, ticket.epoch, view["idx"], 1, 1.0)
        clock.seconds += waits
        view = session.answer(ticket.token, ticket.epoch, reply(ticket, view, rt_ms=claims))["view"]
    found = [(row["flag_implausible"], row["flag_fast"], row["flag_slow"], round(row["rt_server_ms"]))
             for row in long_rows(store)][1:]
    assert found == [(1, 1, 0, 0), (0, 0, 0, 450), (0, 0, 0, 900), (0, 0, 1, 70_000), (0, 1, 0, 900), (1, 1, 0, 100)]
    assert [one["implausible"] for one in people(store)] == [3]
    (found,) = exclusion_candidates(list(long_rows(store)), Exclusion(fast_trials=2, same_answer_run=50))
    assert found["reasons"] == ["2 answers faster than 200 ms (limit 2)"]  # one was practice
    with pytest.raises(BadStudy, match="cannot be read"):
        session.answer(ticket.token, ticket.epoch, reply(ticket, view, rt_ms=None))


def test_a_withdrawal_leaves_a_tombstone_and_a_free_place(store, session):
    ticket = enrol(session, label="someone")
    walk(session, ticket, until=5)
    session.withdraw(ticket.token)
    with pytest.raises(UnknownParticipant):
        session.load(ticket.token)
    for table in ("response", "plan", "first_answer"):
        assert rows(store, f"SELECT count(*) FROM {table}") == [(0,)]
    assert rows(store, "SELECT status, token_sha256, label_hash, seed, ua_family FROM participant") == [
        ("withdrawn", None, None, None, None)]
    assert rows(store, "SELECT type FROM event WHERE pid IS NOT NULL") == [("withdraw",)]
    with pytest.raises(sqlite3.IntegrityError), store.write() as db:
        db.execute("DELETE FROM event WHERE type = 'withdraw'")
    assert verify(store) == []


def test_an_exclusion_needs_a_reason_keeps_the_answers_and_can_be_undone(store, session):
    ticket = enrol(session)
    walk(session, ticket)
    pid = rows(store, "SELECT pid FROM participant")[0][0]
    with pytest.raises(BadStudy, match="reason"):
        exclude(store, pid, "  ")
    exclude(store, pid, "fell asleep")
    assert rows(store, "SELECT status, exclude_reason FROM participant") == [("excluded", "fell asleep")]
    assert rows(store, "SELECT count(*) FROM response") == [(20,)]
    include(store, pid)
    assert rows(store, "SELECT status FROM participant") == [("completed",)]
    with pytest.raises(BadStudy, match="no participant"):
        exclude(store, "nobody", "x")


def test_preview_and_live_participants_are_counted_apart(tmp_path):
    store = small_store(tmp_path, mode="preview")
    session = StudySession(store)
    for _ in range(5):
        enrol(session)
    store.set_mode("live")
    for _ in range(16):
        enrol(session)
    assert rows(store, "SELECT max(n) FROM (SELECT count(*) n FROM participant WHERE mode = 'live' "
                       "GROUP BY cell_row, cell_rot)") == [(1,)]
    assert rows(store, "SELECT mode, is_preview, count(*) FROM participant GROUP BY mode") == [
        ("live", 0, 16), ("preview", 1, 5)]


def test_two_steps_keep_the_answer_before_the_explanation(tmp_path):
    config = replace(SMALL, two_step=True, conditions=("cnn_cc", "none"), training_pairs=0, max_seconds=20.0)
    store = small_store(tmp_path, config)
    session = Page(store)
    ticket = enrol(session)
    view = walk(session, ticket, until=0)
    while view["screen"] != "trial" or view["steps"] == 1:
        view = walk(session, replace(ticket, view=view), until=view["idx"] + 1) if view["screen"] == "trial" else (
            session.proceed(ticket.token, ticket.epoch, view["gate"]))
    assert view["step"] == 1 and len(set(view["panels"])) == 1
    first = session.answer(ticket.token, ticket.epoch, reply(ticket, view))
    assert first["view"]["step"] == 2 and first["view"]["idx"] == view["idx"] and len(set(first["view"]["panels"])) == 2
    assert session.answer(ticket.token, ticket.epoch, reply(ticket, view))["saved"]
    session.answer(ticket.token, ticket.epoch, reply(ticket, first["view"], None))
    assert rows(store, "SELECT f.answer, r.answer, r.correct FROM first_answer f JOIN response r USING(pid, idx)") == [
        ("same", None, None)]
    assert verify(store) == []


def test_a_full_disk_says_not_saved_and_the_same_answer_can_be_sent_again(store, session):
    ticket = enrol(session)
    view = walk(session, ticket, until=2)
    with store.write() as db:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        filler = "x" * 200_000
    store._writer.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(NotSaved, match="again"), store.write() as db:
        store.log(db, None, "admin", {"filler": filler})
    for _ in range(400):
        try:
            session.onset(ticket.token, ticket.epoch, 2)
        except NotSaved:
            break
    with pytest.raises(NotSaved, match="again"):
        for _ in range(50):
            session.report(ticket.token, ticket.epoch, "visibility", {"filler": "y" * 400})
    store._writer.execute("PRAGMA max_page_count = 1000000")
    assert session.view(ticket.token, ticket.epoch)["idx"] == 2
    assert session.answer(ticket.token, ticket.epoch, reply(ticket, view))["view"]["idx"] == 3


def test_a_secret_of_its_own_makes_every_plan_reproducible(tmp_path):
    one = small_store(tmp_path / "a")
    enrol(StudySession(one))
    assert one.study()["secret"] == SECRET
    other = Store.create(tmp_path / "b.sqlite3", StudyConfig(), fake_stimuli(tmp_path / "c", StudyConfig()))
    assert len(other.study()["secret"]) == 64
    shutil.rmtree(tmp_path / "c")
