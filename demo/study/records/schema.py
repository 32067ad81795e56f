"""The tables of a study's database, its guards, and the steps from one version of them to the next (docs/method.md).

``PRAGMA user_version`` counts the steps that a database has been through. A step is never changed once released; a
new one is added to STEPS.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache

_TABLES = """
CREATE TABLE study(
  study_id TEXT PRIMARY KEY, name TEXT NOT NULL,
  mode TEXT NOT NULL CHECK(mode IN ('preview', 'pilot', 'live', 'closed')),
  config_json TEXT NOT NULL, config_sha256 TEXT NOT NULL, code_version TEXT NOT NULL,
  weights_manifest_json TEXT NOT NULL, stimuli_sha256 TEXT NOT NULL, consent_md TEXT NOT NULL,
  consent_sha256 TEXT NOT NULL, neutral TEXT NOT NULL, secret TEXT NOT NULL, created_utc TEXT NOT NULL,
  locked_utc TEXT);
CREATE TABLE pair(
  pair_id TEXT PRIMARY KEY, study_id TEXT NOT NULL REFERENCES study(study_id), set_id TEXT NOT NULL,
  img1_id TEXT NOT NULL, img2_id TEXT NOT NULL, same INTEGER NOT NULL CHECK(same IN (0, 1)), occl1 TEXT NOT NULL,
  occl2 TEXT NOT NULL, source1_sha256 TEXT NOT NULL, source2_sha256 TEXT NOT NULL, face1 TEXT NOT NULL,
  face2 TEXT NOT NULL, face1_sha256 TEXT NOT NULL, face2_sha256 TEXT NOT NULL);
CREATE TABLE render(
  pair_id TEXT NOT NULL REFERENCES pair(pair_id), condition TEXT NOT NULL, panel1 TEXT NOT NULL,
  panel2 TEXT NOT NULL, panel1_sha256 TEXT NOT NULL, panel2_sha256 TEXT NOT NULL, model_id TEXT, score REAL,
  threshold REAL, model_pred INTEGER CHECK(model_pred IN (0, 1)), model_correct INTEGER CHECK(model_correct IN (0, 1)),
  params_json TEXT NOT NULL, PRIMARY KEY(pair_id, condition));
CREATE TABLE participant(
  pid TEXT PRIMARY KEY, token_sha256 TEXT UNIQUE, label_hash TEXT UNIQUE,
  study_id TEXT NOT NULL REFERENCES study(study_id), mode TEXT NOT NULL CHECK(mode IN ('preview', 'pilot', 'live')),
  cell_row INTEGER NOT NULL, cell_rot INTEGER NOT NULL, seed TEXT,
  status TEXT NOT NULL CHECK(status IN ('consented', 'active', 'completed', 'dropped', 'excluded', 'withdrawn')),
  exclude_reason TEXT, consent_utc TEXT, consent_sha256 TEXT, is_preview INTEGER NOT NULL, ua_family TEXT,
  viewport_w INTEGER, viewport_h INTEGER, dpr REAL, tz_offset INTEGER, created_utc TEXT NOT NULL,
  last_seen_utc TEXT NOT NULL, completed_utc TEXT, session_epoch INTEGER NOT NULL DEFAULT 0,
  gate INTEGER NOT NULL DEFAULT -1);
CREATE TABLE plan(
  pid TEXT NOT NULL REFERENCES participant(pid), idx INTEGER NOT NULL,
  phase TEXT NOT NULL CHECK(phase IN ('train', 'main', 'attn')), block INTEGER NOT NULL, pos INTEGER NOT NULL,
  condition TEXT NOT NULL, pair_id TEXT NOT NULL, flip INTEGER NOT NULL CHECK(flip IN (0, 1)), PRIMARY KEY(pid, idx),
  FOREIGN KEY(pair_id, condition) REFERENCES render(pair_id, condition)) WITHOUT ROWID;
CREATE TABLE response(
  resp_id INTEGER PRIMARY KEY AUTOINCREMENT, pid TEXT NOT NULL, idx INTEGER NOT NULL, condition TEXT NOT NULL,
  pair_id TEXT NOT NULL, answer TEXT CHECK(answer IN ('same', 'diff')), correct INTEGER CHECK(correct IN (0, 1)),
  confidence INTEGER, rt_ms REAL, rt_server_ms REAL, onset_perf_ms REAL, submit_perf_ms REAL, visible_ms REAL,
  hidden_count INTEGER NOT NULL, n_onsets INTEGER NOT NULL, input TEXT CHECK(input IN ('key', 'mouse', 'touch')),
  flag_fast INTEGER NOT NULL, flag_slow INTEGER NOT NULL, flag_resumed INTEGER NOT NULL,
  client_nonce TEXT NOT NULL UNIQUE, session_epoch INTEGER NOT NULL, recv_utc TEXT NOT NULL,
  is_preview INTEGER NOT NULL, UNIQUE(pid, idx), FOREIGN KEY(pid, idx) REFERENCES plan(pid, idx));
CREATE TABLE event(
  ev_id INTEGER PRIMARY KEY AUTOINCREMENT, pid TEXT REFERENCES participant(pid), utc TEXT NOT NULL,
  type TEXT NOT NULL, idx INTEGER, payload_json TEXT NOT NULL);
CREATE INDEX event_of ON event(pid, type, idx);
CREATE INDEX participant_cell ON participant(mode, status, cell_row, cell_rot);
"""

#: Rows about a participant may go only after the participant's withdrawal, and are never changed.
_KEPT = """
CREATE TRIGGER {table}_never_changes BEFORE UPDATE ON {table}
BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END;
CREATE TRIGGER {table}_is_kept BEFORE DELETE ON {table}
WHEN (SELECT status FROM participant WHERE pid = OLD.pid) IS NOT 'withdrawn'
BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END;
"""

_LOCKED = """
CREATE TRIGGER {table}_{verb}_locked BEFORE {verb} ON {table}
WHEN (SELECT locked_utc FROM study) IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'the study is locked'); END;
"""

_GUARDS = """
CREATE TRIGGER study_locked BEFORE UPDATE OF study_id, name, config_json, config_sha256, code_version,
  weights_manifest_json, stimuli_sha256, consent_md, consent_sha256, neutral, secret, created_utc, locked_utc ON study
WHEN OLD.locked_utc IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'the study is locked'); END;
CREATE TRIGGER study_is_kept BEFORE DELETE ON study
BEGIN SELECT RAISE(ABORT, 'a study is never deleted'); END;
CREATE TRIGGER study_is_one BEFORE INSERT ON study WHEN (SELECT count(*) FROM study) > 0
BEGIN SELECT RAISE(ABORT, 'a database holds one study'); END;
CREATE TRIGGER participant_is_kept BEFORE DELETE ON participant
BEGIN SELECT RAISE(ABORT, 'participants are never deleted'); END;
CREATE TRIGGER participant_withdrawn BEFORE UPDATE ON participant WHEN OLD.status = 'withdrawn'
BEGIN SELECT RAISE(ABORT, 'a withdrawal is final'); END;
CREATE TRIGGER participant_fixed BEFORE UPDATE OF pid, token_sha256, label_hash, study_id, mode, cell_row, cell_rot,
  seed, consent_utc, consent_sha256, is_preview, created_utc ON participant WHEN NEW.status <> 'withdrawn'
BEGIN SELECT RAISE(ABORT, 'the assignment of a participant is fixed'); END;
CREATE TRIGGER event_tombstone BEFORE DELETE ON event WHEN OLD.type = 'withdraw'
BEGIN SELECT RAISE(ABORT, 'the record of a withdrawal is kept'); END;
"""

_FIRST_ANSWER = """
CREATE TABLE first_answer(
  pid TEXT NOT NULL, idx INTEGER NOT NULL, answer TEXT CHECK(answer IN ('same', 'diff')), confidence INTEGER,
  rt_ms REAL, client_nonce TEXT NOT NULL UNIQUE, session_epoch INTEGER NOT NULL, recv_utc TEXT NOT NULL,
  PRIMARY KEY(pid, idx), FOREIGN KEY(pid, idx) REFERENCES plan(pid, idx));
"""

_THIRD = """
ALTER TABLE pair ADD COLUMN check_kind TEXT NOT NULL DEFAULT '';
ALTER TABLE participant ADD COLUMN nonce_hash TEXT;
ALTER TABLE participant ADD COLUMN swapped INTEGER NOT NULL DEFAULT 0;
ALTER TABLE participant ADD COLUMN screened_utc TEXT;
CREATE UNIQUE INDEX participant_nonce ON participant(nonce_hash);
CREATE TABLE confidence(
  pid TEXT NOT NULL, idx INTEGER NOT NULL, step INTEGER NOT NULL CHECK(step IN (1, 2)), value INTEGER,
  recv_utc TEXT NOT NULL, PRIMARY KEY(pid, idx, step), FOREIGN KEY(pid, idx) REFERENCES plan(pid, idx));
CREATE TABLE form(
  pid TEXT NOT NULL REFERENCES participant(pid), place INTEGER NOT NULL, attempt INTEGER NOT NULL, form TEXT NOT NULL,
  block INTEGER, item TEXT NOT NULL, value TEXT, recv_utc TEXT NOT NULL, PRIMARY KEY(pid, place, attempt, item));
CREATE TABLE recruit(
  pid TEXT PRIMARY KEY REFERENCES participant(pid), service TEXT NOT NULL, label TEXT NOT NULL, study_ref TEXT,
  session_ref TEXT, utc TEXT NOT NULL);
CREATE TABLE chain(
  seq INTEGER PRIMARY KEY, key_id TEXT NOT NULL, kind TEXT NOT NULL, pid TEXT, ref INTEGER, mac TEXT NOT NULL,
  link TEXT NOT NULL);
CREATE INDEX chain_ref ON chain(kind, pid, ref);
CREATE TRIGGER chain_never_changes BEFORE UPDATE ON chain
BEGIN SELECT RAISE(ABORT, 'chain is append-only'); END;
CREATE TRIGGER chain_is_kept BEFORE DELETE ON chain
BEGIN SELECT RAISE(ABORT, 'chain is append-only'); END;
"""

_FOURTH = """
CREATE TABLE chain_end(one INTEGER PRIMARY KEY CHECK(one = 1), entries INTEGER NOT NULL, mac TEXT NOT NULL);
CREATE TRIGGER chain_end_is_kept BEFORE DELETE ON chain_end
BEGIN SELECT RAISE(ABORT, 'the end of the chain is kept'); END;
CREATE TABLE begun(label_hash TEXT PRIMARY KEY) WITHOUT ROWID;
INSERT INTO begun SELECT label_hash FROM participant WHERE label_hash IS NOT NULL;
CREATE TRIGGER begun_never_changes BEFORE UPDATE ON begun
BEGIN SELECT RAISE(ABORT, 'begun is append-only'); END;
CREATE TRIGGER begun_is_kept BEFORE DELETE ON begun
BEGIN SELECT RAISE(ABORT, 'begun is append-only'); END;
"""

#: Statements that lead from version n to n + 1.
STEPS = (
    _TABLES + _GUARDS + "".join(_KEPT.format(table=table) for table in ("plan", "response", "event"))
    + "".join(_LOCKED.format(table=table, verb=verb) for table in ("pair", "render")
              for verb in ("INSERT", "UPDATE", "DELETE")),
    # 2: answers given before the explanation is shown (two-step mode).
    _FIRST_ANSWER + _KEPT.format(table="first_answer"),
    # 3: attention checks of several kinds, confidence after the choice, forms, recruiting ids, the chain of hashes.
    _THIRD + _KEPT.format(table="confidence") + _KEPT.format(table="form"),
    # 4: the end of the chain, and who has begun (keyed hashes that belong to nobody's row and outlast a withdrawal).
    _FOURTH,
)
VERSION = len(STEPS)


def version(db: sqlite3.Connection) -> int:
    """The version of a database; 0 where it has no tables yet."""
    return db.execute("PRAGMA user_version").fetchone()[0]


def migrate(db: sqlite3.Connection, goal: int = VERSION) -> None:
    """Take a database to version ``goal``, inside the caller's transaction."""
    for number in range(version(db), goal):
        for statement in _statements(STEPS[number]):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {number + 1}")


@cache
def guards() -> tuple[str, ...]:
    """Names of the triggers that a database of the present version has."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrate(db)
        return tuple(name for (name,) in db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' ORDER BY name"))


def _statements(script: str) -> list[str]:
    """A script cut into statements (triggers hold semicolons of their own)."""
    statements, part = [], ""
    for piece in script.split(";"):
        part += piece + ";"
        if sqlite3.complete_statement(part):
            statements.append(part)
            part = ""
    return statements
