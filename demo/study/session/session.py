"""One participant's way through the study: consent, practice, blocks, rests, debrief (docs/method.md). No HTTP here.

The server decides which trial is up; a page only shows a view and reports what happened. A view never holds the
condition, the pair or the right answer. Every call that changes something has been made durable when it returns.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from demo.errors import BadStudy, StaleTab, UnknownParticipant
from demo.study.records.store import Store
from demo.study.session import questions, trials, views
from demo.study.session.participants import (
    Device,
    Recruited,
    assign,
    by_code,
    by_nonce,
    by_token,
    check_room,
    close_when_complete,
    has_begun,
    token_of,
)
from demo.study.session.refusals import TurnedAway
from demo.study.session.trials import Answer

__all__ = ["Answer", "Device", "Recruited", "StudySession", "Ticket"]

_STALE = "You have opened the study again in another tab or window: please continue there."
#: Events a page may report by itself.
PAGE_EVENTS = ("visibility", "image_failed")


@dataclass(frozen=True)
class Ticket:
    """What a page needs to speak for a participant. token: 32 hex characters, the only key. epoch: of this page load.
    view: what to show now."""

    token: str
    epoch: int
    view: dict


class StudySession:
    """The participant's side of a store. Holds no state of its own: threads and processes may make as many as they
    like.

    Views (plain dicts, ready for JSON) by their "screen":
      "consent"       title, text, minimum_age, consent_sha256, preview
      "closed"        text
      "instructions", "rest", "ready"   text, gate (send it back with ``proceed``), progress
      "form"          form (``design.forms.shown``), place (send it back with ``fill``), again (a comprehension check
                      was not right)
      "trial"         idx, step (1 or 2), steps, practice, question, faces [left, right], panels [left, right] (names
                      of pictures), decision (the model's, "" = hidden, None = never shown), swapped (yes and no have
                      changed places), confidence (0 = not asked, else 1 to so many, after the answer), max_seconds
                      (0 = none), preload (names of the next pictures), progress
      "screened"      code, url
      "debrief"       text, score {"correct", "total"}, code, url (for the recruiting service), withdrawal_code
    progress: {"block", "blocks", "trial", "trials", "practice"}, from 1. All but "closed" hold preview (True: show a
    watermark).

    Errors: UnknownParticipant (no such token), StaleTab (the study was opened again elsewhere), NotSaved (nothing was
    recorded; send the same again), BadStudy (not possible now; the sentence says why), of which TurnedAway (not let
    in).
    """

    def __init__(self, store: Store):
        self.store = store

    def welcome(self) -> dict:
        """The view of a visitor without a token: "consent" or "closed"."""
        with self.store.read() as db:
            return views.consent(db, self.store.config(db))

    def enrol(self, *, consented: bool, of_age: bool, consent_sha256: str | None = None, label: str | None = None,
              device: Device = Device(), nonce: str | None = None,  # noqa: B008
              recruited: Recruited | None = None) -> Ticket:
        """Take part. consent_sha256: of the text that was shown (from the view), None = the present one. nonce: drawn
        by the page for this request; sent again, it comes back as the same participant. label: id from a recruiting
        service; whoever knows one gets nothing for it: where it has been used, TurnedAway. recruited: what else the
        service's link says.
        """
        if not (consented and of_age):
            raise TurnedAway("tick_consent")
        label = label or (recruited.label if recruited else None)
        with self.store.write() as db:
            pid = by_nonce(db, nonce)
            if pid is None:
                if has_begun(db, label):
                    raise TurnedAway("repeated")
                check_room(self.store, db, device)
                if consent_sha256 not in (None, db.execute("SELECT consent_sha256 FROM study").fetchone()[0]):
                    raise TurnedAway("consent_changed")
                pid = assign(self.store, db, label=label, device=device, nonce=nonce, recruited=recruited)
            secret = db.execute("SELECT secret FROM study").fetchone()[0]
            return self._opened(db, token_of(secret, pid))

    def load(self, token: str) -> Ticket:
        """A page is opened (or refreshed): other open pages of this participant become stale."""
        with self.store.write() as db:
            return self._opened(db, token)

    def view(self, token: str, epoch: int) -> dict:
        """What to show now; changes nothing."""
        with self.store.read() as db:
            person = by_token(db, token)
            if person["session_epoch"] != epoch:
                raise StaleTab(_STALE)
            return views.current(self.store, db, person)

    def proceed(self, token: str, epoch: int, gate: int) -> dict:
        """The participant goes on from "instructions", "rest" or "ready"; returns the next view. Twice does no harm."""
        with self._acting(token, epoch) as (db, person):
            if gate == views.open_gate(db, self.store.config(db), person):
                db.execute("UPDATE participant SET gate = ? WHERE pid = ?", (gate, person["pid"]))
                self.store.log(db, person["pid"], "screen", {"passed": gate})
            return self._now(db, person)

    def onset(self, token: str, epoch: int, idx: int, step: int = 1, perf_ms: float | None = None) -> int:
        """All pictures of trial ``idx`` are decoded and on the screen. Returns how often that has happened by now (more
        than once after a refresh). perf_ms: the page's own clock. BadStudy where another trial is up."""
        with self._acting(token, epoch) as (db, person):
            views.check_trial(db, self.store.config(db), person)
            return trials.onset(self.store, db, person, idx, step, perf_ms)

    def answer(self, token: str, epoch: int, answer: Answer) -> dict:
        """Record an answer. Returns {"saved": True, "idx", "step", "feedback": None or {"correct", "same"} (practice
        only), "view": what comes next}.

        BadStudy where another trial is up, or a page or questionnaire comes first; TurnedAway for who was screened out.

        The first answer to a trial counts. The same answer sent again (same nonce, even from a stale page), or another
        one from the current page, gets the same acknowledgement and changes nothing.
        """
        stale = False
        with self.store.write() as db:
            person = by_token(db, token)
            known = trials.recorded(db, person["pid"], answer)
            stale = person["session_epoch"] != epoch and not (known and known["client_nonce"] == answer.nonce)
            if stale:
                self.store.log(db, person["pid"], "stale_tab", {"epoch": epoch}, answer.idx)
            elif known:
                self.store.log(db, person["pid"], "dup_submit", {"step": answer.step}, answer.idx)
            else:
                person = self._seen(db, person)
                views.check_trial(db, self.store.config(db), person)
                trials.record(self.store, db, person, answer)
                self._finish(db, person)
            if not stale:
                return {"saved": True, "idx": answer.idx, "step": answer.step,
                        "feedback": trials.feedback(db, person["pid"], answer.idx), "view": self._now(db, person)}
        raise StaleTab(_STALE)

    def report(self, token: str, epoch: int, kind: str, payload: dict, idx: int | None = None) -> None:
        """Keep an event of the page: a kind of PAGE_EVENTS with a small payload."""
        if kind not in PAGE_EVENTS or len(str(payload)) > 500:
            raise BadStudy(f"A page can report {' and '.join(PAGE_EVENTS)} only, in a few words.")
        with self._acting(token, epoch) as (db, person):
            self.store.log(db, person["pid"], kind, payload, idx)

    def confidence(self, token: str, epoch: int, idx: int, step: int, value: int | None) -> dict:
        """How sure an answer was that is recorded already; None = skipped. The first one counts. Returns {"view"}."""
        with self._acting(token, epoch) as (db, person):
            views.check_in(self.store.config(db), person)
            trials.record_confidence(self.store, db, person, idx, step, value)
            return {"view": self._now(db, person)}

    def fill(self, token: str, epoch: int, place: int, answers: dict) -> dict:
        """Answer the form that is up. Returns {"passed", "view"}: passed is False where a comprehension check was not
        right. Sent again, it changes nothing. BadStudy for a form that is not up."""
        with self._acting(token, epoch) as (db, person):
            due = views.place(db, self.store.config(db), person).form
            right = questions.record(self.store, db, person, due, place, answers)
            self._finish(db, person)
            return {"passed": right, "view": self._now(db, person)}

    def withdraw(self, token: str) -> None:
        """Delete everything about the participant; a tombstone without content stays. The token is void afterwards."""
        with self.store.write() as db:
            self.store.erase(db, by_token(db, token)["pid"], "by the participant")
        self.store.flush()

    def withdraw_by_code(self, code: str) -> None:
        """The same with the code from the last page. UnknownParticipant where nobody has it."""
        with self.store.write() as db:
            pid = by_code(db, code)
            if pid is None:
                raise UnknownParticipant("Nobody has this code: perhaps the answers are deleted already.")
            self.store.erase(db, pid, "by the participant, with the code")
        self.store.flush()

    def _opened(self, db: sqlite3.Connection, token: str) -> Ticket:
        person = by_token(db, token)
        pid = person["pid"]
        if not views.shut_out(db, person):
            self._seen(db, person, begins=False)
        db.execute("UPDATE participant SET session_epoch = session_epoch + 1 WHERE pid = ?", (pid,))
        self.store.log(db, pid, "load", {"epoch": person["session_epoch"] + 1})
        person = by_token(db, token)
        return Ticket(token, person["session_epoch"], views.current(self.store, db, person))

    @contextmanager
    def _acting(self, token: str, epoch: int) -> Iterator[tuple[sqlite3.Connection, sqlite3.Row]]:
        """A transaction for the participant's present page; StaleTab (kept as an event) for an older one."""
        with self.store.write() as db:
            person = by_token(db, token)
            if person["session_epoch"] == epoch:
                yield db, self._seen(db, person)
                return
            self.store.log(db, person["pid"], "stale_tab", {"epoch": epoch})
        raise StaleTab(_STALE)

    def _seen(self, db: sqlite3.Connection, person: sqlite3.Row, begins: bool = True) -> sqlite3.Row:
        """Note a sign of life. A participant who had dropped out is back, unless the study was closed meanwhile. Who
        has consented becomes active with the first step (``begins``), not by opening a page."""
        if views.shut_out(db, person):
            raise TurnedAway("closed", self.store.config(db))
        pid, status = person["pid"], person["status"]
        if status == "dropped":
            self.store.log(db, pid, "resume")
        if status == "dropped" or (status == "consented" and begins):
            status = "active"
        self.store.change(db, pid, last_seen_utc=self.store.now(), status=status)
        return db.execute("SELECT * FROM participant WHERE pid = ?", (pid,)).fetchone()

    def _finish(self, db: sqlite3.Connection, person: sqlite3.Row) -> None:
        """"completed" is who has answered every trial and every form; whoever was excluded meanwhile stays so."""
        here = views.place(db, self.store.config(db), person)
        if here.up is None and here.form is None and not person["completed_utc"]:
            self.store.change(db, person["pid"], completed_utc=self.store.now(),
                              status="excluded" if person["status"] == "excluded" else "completed")
            close_when_complete(self.store, db)

    def _now(self, db: sqlite3.Connection, person: sqlite3.Row) -> dict:
        person = db.execute("SELECT * FROM participant WHERE pid = ?", (person["pid"],)).fetchone()
        return views.current(self.store, db, person)
