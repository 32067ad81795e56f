"""A chain of keyed hashes over everything that is recorded: a change shows even where the guards were made again.

Every answer, first answer, confidence, form and every event that decides something gets an entry: mac = HMAC(key, row),
link = HMAC(key, link before + mac). So do a participant's plan, a participant's row whenever it changes in what counts
for the results, and the design (the study's row, pairs and renders) whenever the program changes it; of these two the
last entry has to be what the tables hold. How many entries there are is sealed too, so a chain cut short shows.

The key lies in a file beside the database, not in it, and is not in exports or backups: keep a copy of it where nobody
who can change the database comes. What a withdrawal deleted leaves its entries, which say nothing, and needs an entry
of the withdrawal itself. A whole older copy of the database in its place is sound by itself: only a head that was
written down later (``head``) tells that something is missing.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from demo.errors import BadStudy, NotSaved
from demo.files import read_regular
from demo.study.design.config import canonical_json
from demo.study.records.output import KEY


class Sealed(NamedTuple):
    """What an entry of a kind seals: ``columns`` of the row of ``table`` whose column ``name`` holds the entry's ref,
    and which is of the entry's participant; without a name, all rows of the participant, in the order of ``order``.
    latest: the row may change, and the last entry about it counts. since: version of a database from which on it is
    sealed."""

    table: str
    columns: tuple[str, ...]
    name: str = ""
    order: str = "pid"
    latest: bool = False
    since: int = 3


SEALED = {
    "response": Sealed("response", ("pid", "idx", "condition", "pair_id", "answer", "correct", "confidence", "rt_ms",
                                    "rt_server_ms", "visible_ms", "hidden_count", "n_onsets", "input", "flag_fast",
                                    "flag_slow", "flag_resumed", "client_nonce", "recv_utc", "is_preview"), "idx"),
    "first_answer": Sealed("first_answer", ("pid", "idx", "answer", "confidence", "rt_ms", "client_nonce", "recv_utc"),
                           "idx"),
    "confidence": Sealed("confidence", ("pid", "idx", "step", "value", "recv_utc"), "rowid"),
    "form": Sealed("form", ("pid", "place", "attempt", "form", "block", "item", "value", "recv_utc"), "rowid"),
    "event": Sealed("event", ("ev_id", "pid", "utc", "type", "payload_json"), "ev_id"),
    "plan": Sealed("plan", ("idx", "phase", "block", "pos", "condition", "pair_id", "flip"), order="idx", since=4),
    "participant": Sealed("participant", (
        "pid", "study_id", "mode", "cell_row", "cell_rot", "seed", "status", "exclude_reason", "consent_utc",
        "consent_sha256", "is_preview", "ua_family", "viewport_w", "viewport_h", "dpr", "tz_offset", "created_utc",
        "completed_utc", "swapped", "screened_utc"), latest=True, since=4),
}
#: Kind of the entries about the study itself, and the tables that they seal with the order of their rows.
DESIGN = "design"
_DESIGN = {"study": "study_id", "pair": "pair_id", "render": "pair_id, condition"}
#: Events that decide something.
EVENTS = ("consent", "lock", "admin", "withdraw", "export", "screened_out")
_START = "0" * 64
#: Version of a database from which on there is a chain, and from which on its end and the design are sealed.
_CHAINED, _ENDED = 3, 4


class Seal:
    """The key of a database's chain. path: its file, a line with the key and one with the version of the database from
    which on this key seals it."""

    def __init__(self, database: Path):
        self.path = database.with_name(database.name + KEY)
        self._key: bytes | None = None
        self._since = 0

    @property
    def key(self) -> bytes | None:
        """The key; None where its file is not here. BadStudy for a file that holds none."""
        if self._key is None and self.path.is_file():
            try:
                text, *more = read_regular(self.path, 1000).decode("ascii").split()
                key, since = bytes.fromhex(text), int(more[-1]) if more else _CHAINED
            except (OSError, ValueError):
                raise BadStudy(f"{self.path} holds no key: put the study's own there.") from None
            if len(key) != 32:
                raise BadStudy(f"{self.path} holds no key: put the study's own there.")
            self._key, self._since = key, since
        return self._key

    def made(self) -> bytes:
        """The key, made where there is none yet (inside a transaction, so that one process makes it)."""
        if self.key is None:
            try:
                with os.fdopen(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
                    file.write(f"{secrets.token_hex(32)}\n{_ENDED}\n")
            except OSError as error:
                raise NotSaved(f"The key {self.path} could not be made ({error}).") from error
        key = self.key
        assert key is not None
        return key

    def check_age(self, version: int) -> None:
        """Raise BadStudy for a database of an older version than this key has sealed: whoever takes the seals off and
        calls the rest an older version would have it sealed anew."""
        if self.key is not None and version < self._since:
            raise BadStudy(
                f"{self.path.with_suffix('').name} calls itself version {version}, and its key has sealed version "
                f"{self._since}: it was changed. Restore a backup; if you have put an older copy there yourself, move "
                f"{self.path.name} away first.")

    def note_age(self) -> None:
        """Keep with the key that it seals databases of the present kind. Nothing happens the second time. NotSaved
        where it cannot be written."""
        if self.key is not None and self._since < _ENDED:
            try:
                with open(self.path, "a", encoding="ascii") as file:
                    file.write(f"\n{_ENDED}\n")
            except OSError as error:
                raise NotSaved(f"The key {self.path} could not be written ({error}).") from error
            self._since = _ENDED

    def append(self, db: sqlite3.Connection, kind: str, ref: int | None = None, pid: str | None = None) -> None:
        """Add an entry for a row that was just added or changed, inside the caller's transaction."""
        key = self.made()
        last = db.execute("SELECT seq, link FROM chain ORDER BY seq DESC LIMIT 1").fetchone()
        number, before = (last[0] + 1, last[1]) if last else (1, _START)
        mac = _mac(key, kind, content(db, kind, ref, pid))
        link = _link(key, before, mac)
        db.execute("INSERT INTO chain(seq, key_id, kind, pid, ref, mac, link) VALUES (?, ?, ?, ?, ?, ?, ?)",
                   (number, key_id(key), kind, pid, ref, mac, link))
        db.execute("INSERT OR REPLACE INTO chain_end(one, entries, mac) VALUES (1, ?, ?)",
                   (number, _end(key, number, link)))

    def adopt(self, db: sqlite3.Connection, version: int) -> None:
        """Seal what a program of an older version recorded without a seal, as it is found, and the design."""
        for kind, one in SEALED.items():
            if version < one.since:
                where = f" WHERE type IN {EVENTS!r}" if kind == "event" else ""
                found = (f"SELECT DISTINCT pid, NULL FROM {one.table}" if not one.name else
                         f"SELECT pid, {one.name} FROM {one.table}{where} ORDER BY rowid")
                for pid, ref in db.execute(found).fetchall():
                    self.append(db, kind, ref, pid)
        self.append(db, DESIGN)


def key_id(key: bytes) -> str:
    """What names a key without telling it."""
    return hashlib.sha256(b"id" + key).hexdigest()[:16]


def head(db: sqlite3.Connection) -> str:
    """The last link: whoever has written it down sees later whether anything before it was changed or cut off."""
    last = db.execute("SELECT link FROM chain ORDER BY seq DESC LIMIT 1").fetchone()
    return last[0] if last else _START


def broken(db: sqlite3.Connection, seal: Seal, heads: Iterable[str] = ()) -> Iterator[str]:
    """What does not fit the chain, one sentence each; nothing where everything is as it was recorded. heads: last links
    that were written down earlier, which it has to hold still."""
    entries = db.execute("SELECT seq, key_id, kind, pid, ref, mac, link FROM chain ORDER BY seq").fetchall()
    key = seal.key
    if not entries:
        yield "The chain over everything recorded is empty: all its entries were removed."
        return
    links = {entry["link"] for entry in entries}
    for one in heads:
        if one not in links:
            yield (f"The head {one} is not in the chain any more: what was recorded up to it was cut off, or an older "
                   "copy or another database was put here.")
    other = [entry for entry in entries if key is None or entry["key_id"] != key_id(key)]
    if other or key is None:
        yield (f"{len(other)} of {len(entries)} entries of the chain cannot be checked: their key, "
               f"{other[0]['key_id']}, is not in {seal.path.name} beside the database.")
        return
    before, changed, missing, seen = _START, [], [], Counter()
    withdrawn = {pid for (pid,) in db.execute("SELECT pid FROM participant WHERE status = 'withdrawn'")}
    sealed = {entry["pid"] for entry in entries if entry["kind"] == "event" and (
        row := content(db, "event", entry["ref"], None)) is not None and row["type"] == "withdraw"}
    last = {(entry["kind"], entry["pid"]): entry["seq"] for entry in entries}
    for number, entry in enumerate(entries, start=1):
        if entry["link"] != _link(key, before, entry["mac"]) or entry["seq"] != number:
            yield f"The chain is broken at entry {number}: entries before or after it were changed or removed."
            return
        before, kind = entry["link"], entry["kind"]
        if _changes(kind) and last[kind, entry["pid"]] != number:
            continue
        row = content(db, kind, entry["ref"], entry["pid"])
        if row is None:
            if entry["pid"] not in withdrawn & sealed:
                missing.append(entry)
        else:
            seen[kind] += 1
            if _mac(key, kind, row) != entry["mac"]:
                changed.append(entry)
    end = db.execute("SELECT entries, mac FROM chain_end").fetchone()
    if end is None or tuple(end) != (len(entries), _end(key, len(entries), before)):
        yield ("The chain was cut short: its end is not the one that was sealed, so the last things recorded are "
               "missing.")
    for entries_of, what in ((changed, "changed"), (missing, "removed")):
        if entries_of:
            yield (f"{len(entries_of)} recorded rows were {what} after they were recorded (the first: "
                   f"{_told(entries_of[0])}).")
    if not seen[DESIGN]:
        yield "The design (the study, its pairs, what the methods said of them) is not sealed: its entry was removed."
    for kind, one in SEALED.items():
        where = f" WHERE type IN {EVENTS!r}" if kind == "event" else ""
        counted = "*" if one.name else "DISTINCT pid"
        count = db.execute(f"SELECT count({counted}) FROM {one.table}{where}").fetchone()[0]
        if count > seen[kind]:
            yield f"{count - seen[kind]} rows of {one.table} were added by something other than this program."


def content(db: sqlite3.Connection, kind: str, ref: int | None, pid: str | None) -> Any:
    """What an entry seals, as the tables hold it now; None where it is not there (any more)."""
    if kind == DESIGN:
        return {table: [list(row) for row in db.execute(f"SELECT * FROM {table} ORDER BY {order}")]
                for table, order in _DESIGN.items()}
    if kind not in SEALED:
        return None
    one = SEALED[kind]
    names = f"SELECT {', '.join(one.columns)} FROM {one.table} WHERE "
    if not one.name:
        rows = db.execute(f"{names}pid = ? ORDER BY {one.order}", (pid,)).fetchall()
        return [list(row) for row in rows] or None
    own = " AND pid = ?" if kind != "event" else ""  # a number that a withdrawal freed may be somebody else's now
    found = db.execute(f"{names}{one.name} = ?{own}", (ref, pid) if own else (ref,)).fetchone()
    return None if found is None else dict(zip(one.columns, found, strict=True))


def _changes(kind: str) -> bool:
    """Whether only the last entry of this kind counts."""
    return kind == DESIGN or (kind in SEALED and SEALED[kind].latest)


def _told(entry: sqlite3.Row) -> str:
    """What an entry is about, in words."""
    if entry["kind"] == DESIGN:
        return "the design: the study's row, a pair, or what a method said of one"
    number = f" {entry['ref']}" if entry["ref"] is not None else ""
    return f"{entry['kind']}{number} of participant {entry['pid']}"


def _mac(key: bytes, kind: str, row: Any) -> str:
    return hmac.new(key, canonical_json([kind, row]).encode(), hashlib.sha256).hexdigest()


def _link(key: bytes, before: str, mac: str) -> str:
    return hmac.new(key, f"{before}{mac}".encode(), hashlib.sha256).hexdigest()


def _end(key: bytes, entries: int, link: str) -> str:
    return hmac.new(key, f"end {entries} {link}".encode(), hashlib.sha256).hexdigest()
