"""``study verify``: is the database sound, and does everything in it fit together? One sentence per problem."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator

from demo.errors import DemoError
from demo.study.design.config import StudyConfig, text_sha256
from demo.study.records import schema
from demo.study.records.chain import Seal, broken
from demo.study.records.store import Store, stimuli_rows
from demo.study.stimuli.record import Stimuli

#: Things that no row may do: sentence → SQL that gives the ids of the rows that do it.
_RULES = {
    "{} answers do not fit their plan (another condition or pair)":
        "SELECT resp_id FROM response r JOIN plan t USING(pid, idx) WHERE r.condition <> t.condition "
        "OR r.pair_id <> t.pair_id",
    "{} answers belong to no trial of a plan":
        "SELECT resp_id FROM response r WHERE NOT EXISTS (SELECT 1 FROM plan t WHERE t.pid = r.pid AND t.idx = r.idx)",
    "{} answers are marked right or wrong against their pair":
        "SELECT resp_id FROM response r JOIN pair q USING(pair_id) "
        "WHERE (r.answer IS NULL) <> (r.correct IS NULL) OR r.correct <> ((r.answer = 'same') = q.same)",
    "{} participants have answers with a gap between them":
        "SELECT pid FROM response GROUP BY pid HAVING min(idx) <> 0 OR max(idx) + 1 <> count(*)",
    "{} participants count as completed without having answered everything":
        "SELECT pid FROM participant p WHERE status = 'completed' AND (SELECT count(*) FROM response r "
        "WHERE r.pid = p.pid) <> (SELECT count(*) FROM plan t WHERE t.pid = p.pid)",
    "{} participants have withdrawn and still have data":
        "SELECT pid FROM participant p WHERE status = 'withdrawn' AND (EXISTS (SELECT 1 FROM response r "
        "WHERE r.pid = p.pid) OR EXISTS (SELECT 1 FROM plan t WHERE t.pid = p.pid))",
    "{} answers are flagged as preview against their participant":
        "SELECT resp_id FROM response r JOIN participant p USING(pid) WHERE r.is_preview <> p.is_preview",
    "{} participants of the live study came without the configuration being locked":
        "SELECT pid FROM participant WHERE mode = 'live' AND status <> 'withdrawn' "
        "AND (SELECT locked_utc FROM study) IS NULL",
}
#: Participants whose exclusion and the last decision about them differ.
_DECIDED = """
SELECT p.pid FROM participant p LEFT JOIN (
  SELECT pid, payload_json, type, max(ev_id) FROM event WHERE type = 'screened_out' OR (
    type = 'admin' AND json_extract(payload_json, '$.action') IN ('exclude', 'include')) GROUP BY pid) e USING(pid)
WHERE p.status <> 'withdrawn' AND (p.status = 'excluded') <> coalesce(
  e.type = 'screened_out' OR json_extract(e.payload_json, '$.action') = 'exclude', 0)
"""


def verify(store: Store, stimuli: Stimuli | None = None, config: StudyConfig | None = None,
           heads: Iterable[str] = ()) -> list[str]:
    """Problems, one sentence each; empty where the study is sound. stimuli: check the pictures on disk too. config: of
    the study's folder, which must be the one that the study was opened with. heads: of the chain, written down earlier
    (``chain.head``)."""
    try:
        with store.read() as db:
            problems = list(_database(db))
            if not problems:
                problems += _study(db, store.seal, stimuli, config, heads)
    except DemoError as error:
        problems = [str(error)]
    return problems + (stimuli.problems() if stimuli else [])


def _database(db: sqlite3.Connection) -> Iterator[str]:
    for (found,) in db.execute("PRAGMA integrity_check"):
        if found != "ok":
            yield f"The database is damaged ({found.splitlines()[0]}): restore a backup."
    for table, row, parent, _ in db.execute("PRAGMA foreign_key_check"):
        yield f"Row {row} of {table} refers to a row of {parent} that is not there."
    present = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")}
    for name in schema.guards():
        if name not in present:
            yield f"The guard {name} is gone, so rows could have been changed."


def _study(db: sqlite3.Connection, seal: Seal, stimuli: Stimuli | None, given: StudyConfig | None,
           heads: Iterable[str]) -> Iterator[str]:
    study = db.execute("SELECT * FROM study").fetchone()
    if text_sha256(study["config_json"]) != study["config_sha256"]:
        yield "The configuration in the database does not match its hash."
    if given is not None and StudyConfig.from_json(study["config_json"]) != given:
        yield "The configuration in study.json is not the one that the study was opened with."
    if text_sha256(study["consent_md"]) != study["consent_sha256"]:
        yield "The consent text in the database does not match its hash."
    if stimuli is not None and stimuli.sha256 != study["stimuli_sha256"]:
        yield "The stimuli on disk are not those that the study was opened with."
    elif stimuli is not None:
        for table, rows in stimuli_rows(study["study_id"], stimuli).items():
            names = tuple(rows[0]) if rows else ("pair_id",)
            kept = {tuple(row) for row in db.execute(f"SELECT {', '.join(names)} FROM {table}")}
            strange = kept ^ {tuple(row[name] for name in names) for row in rows}
            if strange:
                yield f"The table {table} is not what stimuli.json says: {len(strange)} rows differ."
    yield from broken(db, seal, heads)
    for (pid,) in db.execute(_DECIDED):
        yield f"Participant {pid} is excluded, or included, without a decision of the operator on record."
    for sentence, rule in _RULES.items():
        rows = [str(row[0]) for row in db.execute(rule)]
        if rows:
            yield f"{sentence.format(len(rows))}: {', '.join(rows[:5])}{', ...' if len(rows) > 5 else ''}."
