"""A chain of keyed hashes over everything that is recorded: a change shows even where the guards were made again.

Every answer, first answer, confidence, form and every event that decides something gets an entry: mac = HMAC(key, row),
link = HMAC(key, link before + mac). The key lies in a file beside the database, not in it, and is not in exports or
backups: keep a copy of it where nobody who can change the database comes. What a withdrawal deleted leaves its entries,
which say nothing, and needs an entry of the withdrawal itself.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from demo.errors import BadStudy, NotSaved
from demo.study.design.config import canonical_json

#: Kind of entry → table, columns that are sealed, and the column beside pid (or alone) that finds the row.
SEALED = {
    "response": ("response", ("pid", "idx", "condition", "pair_id", "answer", "correct", "confidence", "rt_ms",
                              "rt_server_ms", "visible_ms", "hidden_count", "n_onsets", "input", "flag_fast",
                              "flag_slow", "flag_resumed", "client_nonce", "recv_utc", "is_preview"), "idx"),
    "first_answer": ("first_answer", ("pid", "idx", "answer", "confidence", "rt_ms", "client_nonce", "recv_utc"),
                     "idx"),
    "confidence": ("confidence", ("pid", "idx", "step", "value", "recv_utc"), "rowid"),
    "form": ("form", ("pid", "place", "attempt", "form", "block", "item", "value", "recv_utc"), "rowid"),
    "event": ("event", ("ev_id", "pid", "utc", "type", "payload_json"), "ev_id"),
}
#: Events that decide something.
EVENTS = ("consent", "lock", "admin", "withdraw", "export", "screened_out")
_START = "0" * 64


class Seal:
    """The key of a database's chain. path: its file."""

    def __init__(self, database: Path):
        self.path = database.with_name(database.name + ".key")
        self._key: bytes | None = None

    @property
    def key(self) -> bytes | None:
        """The key; None where its file is not here. BadStudy for a file that holds none."""
        if self._key is None and self.path.is_file():
            try:
                key = bytes.fromhex(self.path.read_text(encoding="ascii").strip())
            except (OSError, ValueError):
                raise BadStudy(f"{self.path} holds no key: put the study's own there.") from None
            if len(key) != 32:
                raise BadStudy(f"{self.path} holds no key: put the study's own there.")
            self._key = key
        return self._key

    def made(self) -> bytes:
        """The key, made where there is none yet (inside a transaction, so that one process makes it)."""
        if self.key is None:
            try:
                with os.fdopen(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
                    file.write(secrets.token_hex(32) + "\n")
            except OSError as error:
                raise NotSaved(f"The key {self.path} could not be made ({error}).") from error
        key = self.key
        assert key is not None
        return key

    def append(self, db: sqlite3.Connection, kind: str, ref: int, pid: str | None) -> None:
        """Add an entry for a row that was just added, inside the caller's transaction."""
        key = self.made()
        row = _row(db, kind, ref, pid)
        last = db.execute("SELECT link FROM chain ORDER BY seq DESC LIMIT 1").fetchone()
        mac = _mac(key, kind, row)
        db.execute("INSERT INTO chain(key_id, kind, pid, ref, mac, link) VALUES (?, ?, ?, ?, ?, ?)",
                   (key_id(key), kind, pid, ref, mac, _link(key, last[0] if last else _START, mac)))

    def adopt(self, db: sqlite3.Connection) -> None:
        """Seal what an older version recorded, as it is found."""
        for kind, (table, _, name) in SEALED.items():
            where = f" WHERE type IN {EVENTS!r}" if kind == "event" else ""
            for pid, ref in db.execute(f"SELECT pid, {name} FROM {table}{where} ORDER BY rowid").fetchall():
                self.append(db, kind, ref, pid)


def key_id(key: bytes) -> str:
    """What names a key without telling it."""
    return hashlib.sha256(b"id" + key).hexdigest()[:16]


def head(db: sqlite3.Connection) -> str:
    """The last link: whoever has written it down sees later whether anything before it was changed or cut off."""
    last = db.execute("SELECT link FROM chain ORDER BY seq DESC LIMIT 1").fetchone()
    return last[0] if last else _START


def broken(db: sqlite3.Connection, seal: Seal) -> Iterator[str]:
    """What does not fit the chain, one sentence each; nothing where everything is as it was recorded."""
    entries = db.execute("SELECT seq, key_id, kind, pid, ref, mac, link FROM chain ORDER BY seq").fetchall()
    key = seal.key
    other = [entry for entry in entries if key is None or entry["key_id"] != key_id(key)]
    if other:
        yield (f"{len(other)} of {len(entries)} entries of the chain cannot be checked: their key, "
               f"{other[0]['key_id']}, is not in {seal.path.name} beside the database.")
        return
    if key is None:
        return
    before, changed, missing, seen = _START, [], [], Counter()
    withdrawn = {pid for (pid,) in db.execute("SELECT pid FROM participant WHERE status = 'withdrawn'")}
    sealed = {entry["pid"] for entry in entries if entry["kind"] == "event" and (
        row := _row(db, "event", entry["ref"], None)) is not None and row["type"] == "withdraw"}
    for number, entry in enumerate(entries, start=1):
        if entry["link"] != _link(key, before, entry["mac"]) or entry["seq"] != number:
            yield f"The chain is broken at entry {number}: entries before or after it were changed or removed."
            return
        before = entry["link"]
        seen[entry["kind"]] += 1
        row = _row(db, entry["kind"], entry["ref"], entry["pid"]) if entry["kind"] in SEALED else None
        if row is None:
            if entry["pid"] not in withdrawn & sealed:
                missing.append(entry)
            seen[entry["kind"]] -= 1
        elif _mac(key, entry["kind"], row) != entry["mac"]:
            changed.append(entry)
    for entries_of, what in ((changed, "changed"), (missing, "removed")):
        if entries_of:
            first = entries_of[0]
            yield (f"{len(entries_of)} recorded rows were {what} after they were recorded (the first: {first['kind']} "
                   f"{first['ref']} of participant {first['pid']}).")
    for kind, (table, _, _) in SEALED.items():
        where = f" WHERE type IN {EVENTS!r}" if kind == "event" else ""
        count = db.execute(f"SELECT count(*) FROM {table}{where}").fetchone()[0]
        if count > seen[kind]:
            yield f"{count - seen[kind]} rows of {table} were added by something other than this program."


def _row(db: sqlite3.Connection, kind: str, ref: int | None, pid: str | None) -> dict | None:
    table, columns, name = SEALED[kind]
    own = " AND pid = ?" if kind != "event" else ""  # a number that a withdrawal freed may be somebody else's now
    found = db.execute(f"SELECT {', '.join(columns)} FROM {table} WHERE {name} = ?{own}",
                       (ref, pid) if own else (ref,)).fetchone()
    return None if found is None else dict(zip(columns, found, strict=True))


def _mac(key: bytes, kind: str, row: dict | None) -> str:
    return hmac.new(key, canonical_json([kind, row]).encode(), hashlib.sha256).hexdigest()


def _link(key: bytes, before: str, mac: str) -> str:
    return hmac.new(key, f"{before}{mac}".encode(), hashlib.sha256).hexdigest()
