"""One trial on the server: its onset, its answer or two, the feedback of practice. Inside the caller's transaction."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from datetime import datetime

from demo.errors import BadStudy
from demo.study.design.conditions import UNEXPLAINED
from demo.study.design.config import CLOCK_TOLERANCE_MS, CONFIDENCE_LEVELS, StudyConfig
from demo.study.records.store import Store

CHOICES = ("same", "diff")
INPUTS = ("key", "mouse", "touch")
#: The longest times that a page could have measured, in milliseconds: one trial, and its clock.
_LONGEST_TRIAL, _LONGEST_CLOCK = 86_400_000.0, 1e10
_NOT_UP = "That pair is not up now: reload the page to go on where you are."

_NEVER_SHOWN = "This pair was not on the screen yet: reload the page to go on where you are."


@dataclass(frozen=True)
class Answer:
    """What a page sends. choice: "same" or "diff"; None = the time ran out (only where the study has a limit).

    nonce: 8 to 64 characters drawn by the page for this answer; sent again with every retry. step: as in the view.
    confidence: 1 to 4, where it is known with the answer (a page sends it afterwards). rt_ms: from the last onset to
    the choice, never missing; onset_perf_ms, submit_perf_ms: on the page's performance.now() clock. visible_ms: part of
    rt_ms during which the page was visible. hidden_count: how often it was hidden. input: "key", "mouse" or "touch".
    """

    idx: int
    choice: str | None
    nonce: str
    step: int = 1
    confidence: int | None = None
    rt_ms: float | None = None
    onset_perf_ms: float | None = None
    submit_perf_ms: float | None = None
    visible_ms: float | None = None
    hidden_count: int = 0
    input: str | None = None

    def check(self, config: StudyConfig) -> None:
        """Raise BadStudy where the page has sent something that no page of ours sends."""
        levels = range(1, CONFIDENCE_LEVELS + 1) if config.confidence else ()
        times = ((self.rt_ms, _LONGEST_TRIAL), (self.visible_ms, _LONGEST_TRIAL),
                 (self.onset_perf_ms, _LONGEST_CLOCK), (self.submit_perf_ms, _LONGEST_CLOCK))
        sound = (
            (self.choice in CHOICES or (self.choice is None and config.max_seconds > 0))
            and isinstance(self.nonce, str) and 8 <= len(self.nonce) <= 64
            and (self.confidence is None or (_whole(self.confidence) and self.confidence in levels))
            and self.rt_ms is not None
            and all(time is None or (isinstance(time, (int, float)) and 0 <= time <= longest)
                    for time, longest in times)
            and _whole(self.hidden_count) and self.hidden_count >= 0 and self.input in (None, *INPUTS)
        )
        if not sound:
            raise BadStudy("The answer sent by this page cannot be read: reload the page and answer again.")


def next_index(db: sqlite3.Connection, pid: str) -> int:
    """idx of the first unanswered trial; the length of the plan where there is none."""
    return db.execute("SELECT count(*) FROM response WHERE pid = ?", (pid,)).fetchone()[0]


def trial(db: sqlite3.Connection, pid: str, idx: int) -> sqlite3.Row | None:
    """A trial of the plan with its pair and its panels; None beyond the end."""
    return db.execute(
        """SELECT plan.*, pair.same, pair.set_id, pair.check_kind, pair.face1, pair.face2, render.panel1, render.panel2,
                  render.model_pred
           FROM plan JOIN pair USING(pair_id) JOIN render USING(pair_id, condition) WHERE pid = ? AND idx = ?""",
        (pid, idx)).fetchone()


def steps(config: StudyConfig, condition: str) -> int:
    """How often a pair is judged: twice in two-step mode, once where there is no explanation to add."""
    return 2 if config.two_step and condition != UNEXPLAINED.code else 1


def step_up(db: sqlite3.Connection, config: StudyConfig, row: sqlite3.Row) -> int:
    """The step of a trial that is up: 2 once the answer without the explanation is there."""
    if steps(config, row["condition"]) == 1:
        return 1
    first = db.execute("SELECT 1 FROM first_answer WHERE pid = ? AND idx = ?", (row["pid"], row["idx"])).fetchone()
    return 2 if first else 1


def onset(store: Store, db: sqlite3.Connection, person: sqlite3.Row, idx: int, step: int,
          perf_ms: float | None) -> int:
    """Keep that a trial is on the screen; how often that has happened by now. The network may say the same onset twice:
    one page load and one reading of the page's clock are one onset."""
    row = _up(store, db, person, idx, step)
    payload = {"step": step, "perf_ms": perf_ms, "epoch": person["session_epoch"]}
    told = db.execute("SELECT payload_json FROM event WHERE pid = ? AND type = 'onset' AND idx = ?", (row["pid"], idx))
    if perf_ms is None or payload not in [json.loads(text) for (text,) in told]:
        store.log(db, row["pid"], "onset", payload, idx)
    return len(_onsets(db, row["pid"], idx, step))


def record(store: Store, db: sqlite3.Connection, person: sqlite3.Row, answer: Answer) -> None:
    """Add an answer to the trial that is up."""
    config, pid = store.config(db), person["pid"]
    answer.check(config)
    row = _up(store, db, person, answer.idx, answer.step)
    onsets = _onsets(db, pid, answer.idx, answer.step)
    if not onsets:
        raise BadStudy(_NEVER_SHOWN)
    if db.execute("""SELECT 1 FROM response WHERE client_nonce = :nonce UNION ALL
                     SELECT 1 FROM first_answer WHERE client_nonce = :nonce""", {"nonce": answer.nonce}).fetchone():
        raise BadStudy("This answer was already used for another pair: reload the page and answer again.")
    shown = {"pid": pid, "idx": answer.idx, "answer": answer.choice, "confidence": answer.confidence,
             "rt_ms": answer.rt_ms, "client_nonce": answer.nonce, "session_epoch": person["session_epoch"],
             "recv_utc": store.now()}
    store.log(db, pid, "submit", {"step": answer.step}, answer.idx)
    if answer.step < steps(config, row["condition"]):
        store.add(db, "first_answer", shown)
        return
    told, seen, rule = answer.rt_ms, _between(onsets[-1], shown["recv_utc"]), config.exclusion
    assert told is not None, "checked"
    took = told if told <= seen + CLOCK_TOLERANCE_MS else seen
    store.add(db, "response", {
        **shown, "condition": row["condition"], "pair_id": row["pair_id"],
        "correct": None if answer.choice is None else int((answer.choice == "same") == bool(row["same"])),
        "rt_server_ms": seen, "onset_perf_ms": answer.onset_perf_ms, "submit_perf_ms": answer.submit_perf_ms,
        "visible_ms": answer.visible_ms, "hidden_count": answer.hidden_count, "n_onsets": len(onsets),
        "input": answer.input, "flag_fast": int(took < rule.fast_ms), "flag_slow": int(took > rule.slow_ms),
        "flag_resumed": int(len(onsets) > 1), "is_preview": person["is_preview"]})


def record_confidence(store: Store, db: sqlite3.Connection, person: sqlite3.Row, idx: int, step: int,
                      value: int | None) -> None:
    """Add how sure an answer was; the first one counts. BadStudy for one that no page of ours sends."""
    pid, config = person["pid"], store.config(db)
    answered = db.execute("SELECT 1 FROM response WHERE pid = ? AND idx = ?", (pid, idx)).fetchone() or (
        step == 1 and db.execute("SELECT 1 FROM first_answer WHERE pid = ? AND idx = ?", (pid, idx)).fetchone())
    sound = value is None or (_whole(value) and 1 <= value <= CONFIDENCE_LEVELS)
    if not (config.confidence and answered and sound and step in (1, 2)):
        raise BadStudy("That confidence belongs to no answer of yours: reload the page to go on where you are.")
    known = db.execute("SELECT 1 FROM confidence WHERE pid = ? AND idx = ? AND step = ?", (pid, idx, step)).fetchone()
    if not known:
        store.add(db, "confidence", {"pid": pid, "idx": idx, "step": step, "value": value, "recv_utc": store.now()})


def recorded(db: sqlite3.Connection, pid: str, answer: Answer) -> sqlite3.Row | None:
    """The row that holds an answer to this trial and step already, if there is one."""
    tables = ("first_answer", "response") if answer.step == 1 else ("response",)
    rows = (db.execute(f"SELECT client_nonce FROM {table} WHERE pid = ? AND idx = ?", (pid, answer.idx)).fetchone()
            for table in tables)
    return next((row for row in rows if row), None)


def feedback(db: sqlite3.Connection, pid: str, idx: int) -> dict | None:
    """Right or wrong, of an answered practice trial; None of any other."""
    row = db.execute("""SELECT correct, same FROM response JOIN plan USING(pid, idx) JOIN pair
                        ON pair.pair_id = plan.pair_id WHERE pid = ? AND idx = ? AND phase = 'train'""",
                     (pid, idx)).fetchone()
    return {"correct": bool(row["correct"]), "same": bool(row["same"])} if row else None


def _up(store: Store, db: sqlite3.Connection, person: sqlite3.Row, idx: int, step: int) -> sqlite3.Row:
    """The trial that is up, if it is this one. BadStudy for any other."""
    row = trial(db, person["pid"], next_index(db, person["pid"]))
    if row is None or row["idx"] != idx or step_up(db, store.config(db), row) != step:
        raise BadStudy(_NOT_UP)
    return row


def _onsets(db: sqlite3.Connection, pid: str, idx: int, step: int) -> list[str]:
    """Times at which a step of a trial came on the screen."""
    return [utc for (utc,) in db.execute(
        """SELECT utc FROM event WHERE pid = ? AND type = 'onset' AND idx = ?
           AND json_extract(payload_json, '$.step') = ? ORDER BY ev_id""", (pid, idx, step))]


def _between(earlier: str, later: str) -> float:
    """Milliseconds from one time to another."""
    first, second = (datetime.fromisoformat(utc.replace("Z", "+00:00")) for utc in (earlier, later))
    return (second - first).total_seconds() * 1000


def _whole(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
