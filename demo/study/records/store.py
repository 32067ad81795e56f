"""The study's SQLite file: write-ahead log, synchronous=FULL, one writer at a time, append-only (docs/method.md).

Any number of threads and processes may open the same file. What ``Store.write`` did is durable once its block has
been left without an error; otherwise nothing of it happened.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

import demo
from demo.errors import BadStudy, NotSaved
from demo.study.design.config import StudyConfig, text_sha256
from demo.study.records import schema
from demo.study.records.chain import DESIGN, EVENTS, SEALED, Seal, content
from demo.study.records.output import OLDER, new_file
from demo.study.records.soundness import DAMAGE, damage
from demo.study.records.trouble import damaged, explained, meaning
from demo.study.stimuli.record import Stimuli

MODES = ("preview", "pilot", "live", "closed")
#: How long a writer waits for another process, in seconds.
_PATIENCE = 30.0
_NOT_SAVED = "Not saved: the study's database could not be written ({}). Nothing is lost; please try again."


class Store:
    """One study's database. Use ``create``, ``open`` or ``open_study``.

    clock: gives the time in seconds since 1970 (a test may advance it).
    """

    def __init__(self, path: str | Path, *, clock: Callable[[], float] = time.time):
        self.path = Path(path)
        self.clock = clock
        self._lock = threading.RLock()
        self._config: tuple[str, StudyConfig] | None = None
        self.seal = Seal(self.path)
        self._writer = self._connect()

    @classmethod
    def create(cls, path: str | Path, config: StudyConfig, stimuli: Stimuli, *, secret: str | None = None,
               clock: Callable[[], float] = time.time) -> Store:
        """A new database in mode "preview". secret: seeds every plan and token; drawn unless given (tests)."""
        config.check()
        stimuli.check(config)
        path = Path(path)
        if not _blank(path):
            raise BadStudy(f"{path} exists already: open it, or choose another file.")
        _private(path)
        store = cls(path, clock=clock)
        with store.write() as db:
            if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise BadStudy(f"{path} exists already: open it, or choose another file.")
            schema.migrate(db)
            row = {"study_id": config.study_id, "mode": "preview", "secret": secret or secrets.token_hex(32),
                   "created_utc": store.now(), "locked_utc": None, **_described(config, stimuli)}
            db.execute(_insert("study", row), row)
            _put_stimuli(db, config.study_id, stimuli)
            store.log(db, None, "admin", {"action": "created"})
            store.seal.append(db, DESIGN)
        return store

    @classmethod
    def open(cls, path: str | Path, *, clock: Callable[[], float] = time.time) -> Store:
        """An existing database, brought to the present version (a copy of the old one is kept beside it).

        Raises BadStudy where the file is missing, damaged, of a newer version or no study.
        """
        path = Path(path)
        if not path.is_file():
            raise BadStudy(f"There is no study database {path}: open the study first.")
        if _blank(path):
            raise BadStudy(f"{path} is empty: it is no study database.")
        with suppress(OSError):
            path.chmod(0o600)
        store = cls(path, clock=clock)
        try:
            found = schema.version(store._writer)
            if not 1 <= found <= schema.VERSION:
                raise BadStudy(f"{path} has version {found}, and this program knows 1 to {schema.VERSION}: "
                               f"{'update the program' if found else 'it is no study database'}.")
            if found < schema.VERSION:
                store._update(found)
            store.seal.note_age()
            for problem in damage(store._writer):
                raise damaged(problem, path)
            text, digest = store._writer.execute("SELECT config_json, config_sha256 FROM study").fetchone()
            if text_sha256(text) != digest:
                raise damaged("its configuration does not match its hash", path)
            store.config(store._writer)
            return store
        except BaseException as error:
            store.close()
            if isinstance(error, DAMAGE):
                raise explained(error, path) from error
            raise

    def _update(self, found: int) -> None:
        """Bring an older database to the present version."""
        self.seal.check_age(found)
        self.backup(_free(self.path.with_name(f"{self.path.name}{OLDER}{found}")))
        had_key = self.seal.path.exists()
        try:
            with self.write() as db:
                found = schema.version(db)
                if found < schema.VERSION:  # no other process has done it meanwhile
                    schema.migrate(db)
                    self.seal.adopt(db, found)
        except BaseException:
            if not had_key:  # it has sealed nothing
                self.seal.path.unlink(missing_ok=True)
            raise

    # --- connections

    def _connect(self, read_only: bool = False) -> sqlite3.Connection:
        settings = ("query_only = ON",) if read_only else ("journal_mode = WAL", "synchronous = FULL",
                                                           "secure_delete = ON")
        try:
            db = sqlite3.connect(self.path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
        except DAMAGE as error:
            raise explained(error, self.path) from error
        try:
            db.row_factory = sqlite3.Row
            for setting in ("foreign_keys = ON", *settings):
                db.execute(f"PRAGMA {setting}")
        except DAMAGE as error:
            db.close()
            raise explained(error, self.path) from error
        return db

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction: committed and durable at the end of the block, undone where the block raises.

        NotSaved where the database cannot be written (disk full, locked by another process for too long).
        """
        with self._lock:
            db = self._writer
            try:
                db.execute("BEGIN IMMEDIATE")
                yield db
                db.execute("COMMIT")
            except sqlite3.IntegrityError:
                raise
            except DAMAGE as error:
                raise NotSaved(_NOT_SAVED.format(meaning(error) or error)) from error
            finally:
                if db.in_transaction:
                    with suppress(sqlite3.Error):
                        db.execute("ROLLBACK")

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """One consistent view of the data, beside which answers go on being written.

        BadStudy where the file is damaged, NotSaved where the disk is in the way."""
        with closing(self._connect(read_only=True)) as db:
            try:
                db.execute("BEGIN")
                yield db
            except DAMAGE as error:
                raise explained(error, self.path) from error

    def flush(self) -> None:
        """Move the write-ahead log into the file, so that nothing deleted lingers there (where nobody is reading)."""
        with self._lock, suppress(sqlite3.OperationalError):
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close the file; the store cannot be used afterwards."""
        with self._lock:
            self._writer.close()

    # --- time and events

    def now(self, offset: float = 0.0) -> str:
        """The server's UTC to the millisecond, ``offset`` seconds from now; texts sort as times do."""
        moment = datetime.fromtimestamp(self.clock() + offset, timezone.utc)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"

    def log(self, db: sqlite3.Connection, pid: str | None, kind: str, payload: dict | None = None,
            idx: int | None = None) -> None:
        """Add an event, inside the caller's transaction."""
        added = db.execute("INSERT INTO event(pid, utc, type, idx, payload_json) VALUES (?, ?, ?, ?, ?)",
                           (pid, self.now(), kind, idx, json.dumps(payload or {}, ensure_ascii=False)))
        if kind in EVENTS and added.lastrowid:
            self.seal.append(db, "event", added.lastrowid, pid)

    def add(self, db: sqlite3.Connection, table: str, row: dict) -> None:
        """Add a row of a participant to a table of ``chain.SEALED``, inside the caller's transaction."""
        added = db.execute(_insert(table, row), row)
        self.seal.append(db, table, row["idx"] if SEALED[table].name == "idx" else added.lastrowid, row["pid"])

    def change(self, db: sqlite3.Connection, pid: str, **values: object) -> None:
        """Set columns of a participant's row, inside the caller's transaction; what counts for the results is sealed
        anew."""
        before = content(db, "participant", None, pid)
        db.execute(f"UPDATE participant SET {', '.join(f'{name} = :{name}' for name in values)} WHERE pid = :pid",
                   {**values, "pid": pid})
        if content(db, "participant", None, pid) != before:
            self.seal.append(db, "participant", None, pid)

    # --- the study

    def study(self) -> sqlite3.Row:
        """The study's row."""
        with self.read() as db:
            return db.execute("SELECT * FROM study").fetchone()

    def config(self, db: sqlite3.Connection) -> StudyConfig:
        """The configuration in force."""
        text, digest = db.execute("SELECT config_json, config_sha256 FROM study").fetchone()
        known = self._config
        if known is None or known[0] != digest:
            known = self._config = digest, StudyConfig.from_json(text)
        return known[1]

    @property
    def mode(self) -> str:
        """A word of MODES."""
        return self.study()["mode"]

    def set_mode(self, mode: str) -> None:
        """Change the mode; what participants of another mode did is kept apart from the new ones' by their own mode."""
        if mode not in MODES:
            raise BadStudy(f"There is no mode {mode!r}: choose from {', '.join(MODES)}.")
        with self.write() as db:
            self.change_mode(db, mode)

    def change_mode(self, db: sqlite3.Connection, mode: str, why: str = "") -> None:
        """``set_mode`` inside the caller's transaction. why: where it was not the operator's doing."""
        before = db.execute("SELECT mode FROM study").fetchone()[0]
        if before != mode:
            db.execute("UPDATE study SET mode = ?", (mode,))
            self.log(db, None, "admin", {"action": "mode", "from": before, "to": mode} | ({"why": why} if why else {}))
            self.seal.append(db, DESIGN)

    def note_peek(self, where: str) -> None:
        """Keep that somebody looked at the results before the planned participants were complete."""
        with self.write() as db:
            self.log(db, None, "admin", {"action": "peek", "by": where})

    def peeked(self) -> bool:
        """Whether somebody has looked early."""
        with self.read() as db:
            return db.execute("SELECT 1 FROM event WHERE type = 'admin' AND "
                              "json_extract(payload_json, '$.action') = 'peek'").fetchone() is not None

    def lock(self, db: sqlite3.Connection) -> None:
        """Fix configuration and stimuli for good, inside the caller's transaction. Does nothing the second time."""
        if db.execute("SELECT locked_utc FROM study").fetchone()[0] is None:
            db.execute("UPDATE study SET locked_utc = ?", (self.now(),))
            self.log(db, None, "lock", dict(db.execute("SELECT config_sha256, stimuli_sha256 FROM study").fetchone()))
            self.seal.append(db, DESIGN)

    def adopt(self, config: StudyConfig, stimuli: Stimuli) -> bool:
        """Take over a changed configuration or changed stimuli; True where something had changed.

        Participants of the preview are withdrawn with it. BadStudy once a participant of the pilot or the live study
        is there.
        """
        config.check()
        stimuli.check(config)
        new = _described(config, stimuli)
        with self.write() as db:
            study = db.execute("SELECT * FROM study").fetchone()
            # By value: a configuration that an older version wrote lacks what has been added since.
            if self.config(db) == config and study["stimuli_sha256"] == new["stimuli_sha256"]:
                return False
            if study["study_id"] != config.study_id:
                raise BadStudy(f"{self.path} holds the study {study['study_id']}, not {config.study_id}.")
            kept = db.execute("SELECT count(*) FROM participant WHERE status <> 'withdrawn' AND mode <> 'preview'")
            if study["locked_utc"] or kept.fetchone()[0]:
                raise BadStudy(
                    "The study has participants, so its configuration and stimuli can no longer change: restore the "
                    "study's folder as it was, or start a new study with another study_id.")
            for (pid,) in db.execute("SELECT pid FROM participant WHERE status <> 'withdrawn'").fetchall():
                self.erase(db, pid, "the preview's configuration was replaced")
            db.execute(f"UPDATE study SET {', '.join(f'{name} = :{name}' for name in new)}", new)
            db.execute("DELETE FROM render")
            db.execute("DELETE FROM pair")
            _put_stimuli(db, config.study_id, stimuli)
            self.log(db, None, "admin", {"action": "adopted", "config_sha256": new["config_sha256"],
                                         "stimuli_sha256": new["stimuli_sha256"]})
            self.seal.append(db, DESIGN)
            return True

    def erase(self, db: sqlite3.Connection, pid: str, why: str) -> None:
        """Withdraw a participant: every row goes but a tombstone, and the place in the cell is free again. That
        somebody with the recruiting id has begun stays known (``begun``), in nobody's row."""
        self.change(db, pid, status="withdrawn", **dict.fromkeys((
            "token_sha256", "label_hash", "seed", "exclude_reason", "consent_utc", "consent_sha256", "ua_family",
            "viewport_w", "viewport_h", "dpr", "tz_offset", "nonce_hash", "screened_utc")))
        for table in ("recruit", "form", "confidence", "first_answer", "response", "event", "plan"):
            db.execute(f"DELETE FROM {table} WHERE pid = ?", (pid,))
        self.log(db, pid, "withdraw", {"reason": why})

    # --- copies

    def backup(self, out: str | Path, *, force: bool = False) -> Path:
        """A consistent copy of the whole database while it is in use, written whole or not at all.

        force: replace a file that is there. BadStudy where ``out`` must not be written to (``output.new_file``),
        NotSaved where it cannot be."""
        out = Path(out)
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            with new_file(out, self.path, force=force) as partial:
                _private(partial)
                with closing(sqlite3.connect(partial)) as copy, closing(self._connect(read_only=True)) as source:
                    source.backup(copy)
                    copy.execute("PRAGMA journal_mode = DELETE")
                    if copy.execute("PRAGMA quick_check").fetchone()[0] != "ok":
                        raise BadStudy(f"The copy of {self.path} is not sound: run `python -m demo study verify`.")
        except (*DAMAGE, OSError) as error:
            if isinstance(error, DAMAGE) and meaning(error) is None:
                raise explained(error, self.path) from error
            raise NotSaved(f"The backup {out} could not be written ({error}).") from error
        return out


def open_study(path: str | Path, config: StudyConfig, stimuli: Stimuli) -> Store:
    """The database of a study folder: created where it is not there yet, otherwise opened and brought up to date."""
    if _blank(Path(path)):
        try:
            return Store.create(path, config, stimuli)
        except BadStudy:
            if _blank(Path(path)):
                raise  # otherwise another process has just created it
    store = Store.open(path)
    try:
        store.adopt(config, stimuli)
    except BaseException:
        store.close()
        raise
    return store


def _private(path: Path) -> None:
    """An empty file that only its owner may read; what SQLite keeps beside it gets the same rights. NotSaved where it
    cannot be made."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        path.chmod(0o600)
    except OSError as error:
        raise NotSaved(f"The study database {path} could not be made ({error}).") from error


def _free(path: Path) -> Path:
    """This name, or the first with a number behind it that nothing has."""
    names = (path, *(path.with_name(f"{path.name}-{number}") for number in range(2, 1000)))
    return next(name for name in names if not name.exists())


def _blank(path: Path) -> bool:
    """True where there is no file, or one that a process left before anything was in it."""
    if not path.exists():
        return True
    if not path.is_file():
        return False
    with closing(sqlite3.connect(path)) as db, suppress(*DAMAGE):
        return not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    return False


def _described(config: StudyConfig, stimuli: Stimuli) -> dict:
    """The columns of ``study`` that the configuration and the stimuli determine."""
    return {"name": config.heading, "config_json": config.to_json(), "config_sha256": config.sha256,
            "code_version": demo.__version__, "weights_manifest_json": json.dumps(stimuli.provenance),
            "stimuli_sha256": stimuli.sha256, "consent_md": config.consent,
            "consent_sha256": config.consent_sha256, "neutral": stimuli.neutral}


def stimuli_rows(study_id: str, stimuli: Stimuli) -> dict[str, list[dict]]:
    """The rows of ``pair`` and ``render`` that stimuli make."""
    renders = []
    for render in stimuli.renders:
        row = asdict(render)
        row["params_json"] = json.dumps(row.pop("params"), sort_keys=True)
        renders.append(row)
    return {"pair": [{"study_id": study_id, **asdict(pair), "same": int(pair.same)} for pair in stimuli.pairs],
            "render": renders}


def _put_stimuli(db: sqlite3.Connection, study_id: str, stimuli: Stimuli) -> None:
    for table, rows in stimuli_rows(study_id, stimuli).items():
        for row in rows:
            db.execute(_insert(table, row), row)


def _insert(table: str, row: dict) -> str:
    return f"INSERT INTO {table}({', '.join(row)}) VALUES ({', '.join(f':{name}' for name in row)})"
