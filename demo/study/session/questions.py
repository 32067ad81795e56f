"""Questionnaires and comprehension checks of one participant: which is up, and what was answered."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import NamedTuple

from demo.errors import BadStudy
from demo.study.design.config import StudyConfig
from demo.study.design.forms import TRIES, forms_at, passed, read_answers
from demo.study.records.store import Store


class Due(NamedTuple):
    """A form in somebody's way. place: its number among all of them, from 0. before: idx of the trial that it stands
    before. gated: it comes after the page that stands there. block: the round that it is about, if any."""

    place: int
    form: Mapping
    before: int
    gated: bool
    block: int | None


def way(db: sqlite3.Connection, config: StudyConfig, pid: str) -> list[Due]:
    """Every form of a participant, in the order in which they come."""
    if not config.questionnaires:
        return []
    ends = [row[0] + 1 for row in db.execute(
        "SELECT max(idx) FROM plan WHERE pid = ? GROUP BY block ORDER BY block", (pid,))]
    found = [(form, 0, False, None) for form in forms_at(config.questionnaires, "start")]
    found += [(form, 0, True, None) for form in forms_at(config.questionnaires, "instructed")]
    found += [(form, end, False, block) for block, end in enumerate(ends)
              for form in forms_at(config.questionnaires, "block")]
    found += [(form, ends[-1], False, None) for form in forms_at(config.questionnaires, "end")]
    return [Due(place, *one) for place, one in enumerate(found)]


def due(db: sqlite3.Connection, config: StudyConfig, person: sqlite3.Row, up: int, gate_open: bool) -> Due | None:
    """The form to be answered before trial ``up``; None where there is none. gate_open: a page without a pair stands
    there still."""
    done = _done(db, config, person["pid"])
    for one in way(db, config, person["pid"]):
        if one.before <= up and one.place not in done and not (one.gated and one.before == up and gate_open):
            return one
    return None


def tries(db: sqlite3.Connection, pid: str, place: int) -> int:
    """How often a form was answered already."""
    return db.execute("SELECT coalesce(max(attempt), 0) FROM form WHERE pid = ? AND place = ?",
                      (pid, place)).fetchone()[0]


def record(store: Store, db: sqlite3.Connection, person: sqlite3.Row, one: Due | None, place: int,
           answers: Mapping) -> bool:
    """Keep the answers to ``one``, the form that is up; whether a comprehension check was passed (True for any other
    form). After the last try the participant is screened out. Nothing happens where the form of ``place`` is done
    already. BadStudy for any other place, and for answers that do not fit."""
    config, pid = store.config(db), person["pid"]
    if place in _done(db, config, pid) or person["screened_utc"]:
        return True
    if one is None or one.place != place:
        raise BadStudy("That questionnaire is not up now: reload the page to go on where you are.")
    read = read_answers(one.form, answers)
    attempt, now = tries(db, pid, place) + 1, store.now()
    for item, value in read.items():
        store.add(db, "form", {"pid": pid, "place": place, "attempt": attempt, "form": one.form["id"],
                               "block": one.block, "item": item, "value": value, "recv_utc": now})
    right = passed(one.form, read)
    if not right and attempt >= TRIES:
        store.change(db, pid, screened_utc=now, status="excluded", exclude_reason="screened out: comprehension check")
        store.log(db, pid, "screened_out", {"form": one.form["id"]})
    return right


def _done(db: sqlite3.Connection, config: StudyConfig, pid: str) -> set[int]:
    """Places of the forms that need not be answered again."""
    found: dict[tuple[int, int], dict[str, str | None]] = {}
    for place, attempt, item, value in db.execute("SELECT place, attempt, item, value FROM form WHERE pid = ?", (pid,)):
        found.setdefault((place, attempt), {})[item] = value
    forms = {one.place: one.form for one in way(db, config, pid)} if found else {}
    return {place for (place, _), answers in found.items() if place not in forms or passed(forms[place], answers)}
