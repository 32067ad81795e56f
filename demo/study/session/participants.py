"""Participants in the database: who takes part, in which cell, and what the operator decides about them.

Functions with ``db`` work inside the caller's transaction; those with ``store`` make their own.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import sqlite3
from dataclasses import dataclass

from demo.errors import BadStudy, UnknownParticipant
from demo.study.design.cells import Cell, cells, participant_plan, participant_seed
from demo.study.records.store import MODES, Store
from demo.study.session.refusals import TurnedAway

#: Participants of these take a place in their cell.
COUNTED = ("consented", "active", "completed")
#: Of these, who may fall silent and so drop out.
UNFINISHED = ("consented", "active")


@dataclass(frozen=True)
class Device:
    """What a page tells about itself. ua_family: "Firefox", "Chrome", ...; never more of the user agent."""

    ua_family: str = ""
    viewport_w: int | None = None
    viewport_h: int | None = None
    dpr: float | None = None
    tz_offset: int | None = None


@dataclass(frozen=True)
class Recruited:
    """What a recruiting service's link says. service: "prolific", "mturk" or "other". label: its id for the person.
    study_ref, session_ref: its ids for the study and for this visit."""

    label: str = ""
    service: str = "other"
    study_ref: str = ""
    session_ref: str = ""


def check_room(store: Store, db: sqlite3.Connection, device: Device) -> None:
    """Raise TurnedAway where nobody new can begin now, or not with such a window."""
    config, mode = store.config(db), db.execute("SELECT mode FROM study").fetchone()[0]
    if mode == "closed":
        raise TurnedAway("closed", config)
    if device.viewport_w is not None and device.viewport_w < config.minimum_width:
        raise TurnedAway("screen", config)
    if mode == "live" and config.stop_at_n:
        drop_idle(store, db)
        taken = db.execute(f"""SELECT count(*) FROM participant WHERE mode = 'live'
                               AND status IN ({', '.join('?' * len(COUNTED))})""", COUNTED).fetchone()[0]
        if taken >= config.planned_n:
            raise TurnedAway("full", config)


def close_when_complete(store: Store, db: sqlite3.Connection) -> None:
    """Close the live study once the planned participants are complete."""
    config, mode = store.config(db), db.execute("SELECT mode FROM study").fetchone()[0]
    done = db.execute("SELECT count(*) FROM participant WHERE mode = 'live' AND status = 'completed'").fetchone()[0]
    if mode == "live" and config.stop_at_n and done >= config.planned_n:
        store.change_mode(db, "closed", "the planned number is complete")


def assign(store: Store, db: sqlite3.Connection, *, label: str | None, device: Device, nonce: str | None = None,
           recruited: Recruited | None = None) -> str:
    """A new participant in the cell with the fewest, with a plan; returns the pid. Ties fall by the seed. nonce: of the
    page's request, so that sent again it finds the same participant. recruited: kept apart, where the study keeps ids.

    Whoever has been silent for too long is counted as dropped out first, so that the place is free.
    """
    study = db.execute("SELECT * FROM study").fetchone()
    config = store.config(db)
    mode, now = study["mode"], store.now()
    if mode == "live":
        store.lock(db)
    drop_idle(store, db)
    pid = secrets.token_hex(8)
    seed = participant_seed(study["secret"], pid)
    cell = _emptiest(db, cells(config), mode, seed)
    stimuli = db.execute("SELECT set_id, pair_id, same FROM pair ORDER BY pair_id").fetchall()
    sets: dict[str, list[str]] = {}
    for row in stimuli:
        sets.setdefault(row["set_id"], []).append(row["pair_id"])
    db.execute(
        """INSERT INTO participant(pid, token_sha256, study_id, mode, cell_row, cell_rot, seed, status,
           consent_utc, consent_sha256, is_preview, ua_family, viewport_w, viewport_h, dpr, tz_offset, created_utc,
           last_seen_utc, nonce_hash, swapped)
           VALUES (?, ?, ?, ?, ?, ?, ?, 'consented', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (pid, token_digest(token_of(study["secret"], pid)), study["study_id"], mode, cell.row, cell.rotation, seed,
         now, study["consent_sha256"], int(mode != "live"),
         "".join(filter(str.isalpha, device.ua_family))[:20], device.viewport_w, device.viewport_h, device.dpr,
         device.tz_offset, now, now, nonce_digest(study["secret"], nonce),
         int(config.swap_keys and int(seed[12:14], 16) % 2)))
    if (digest := label_digest(study["secret"], mode, label)) is not None:
        db.execute("INSERT INTO begun(label_hash) VALUES (?)", (digest,))
    if recruited is not None and recruited.label and config.keep_ids:
        db.execute("INSERT INTO recruit(pid, service, label, study_ref, session_ref, utc) VALUES (?, ?, ?, ?, ?, ?)",
                   (pid, recruited.service, recruited.label, recruited.study_ref, recruited.session_ref, now))
    plan = participant_plan(config, cell, seed, sets, {row["pair_id"]: bool(row["same"]) for row in stimuli})
    db.executemany("INSERT INTO plan(pid, idx, phase, block, pos, condition, pair_id, flip) VALUES (?,?,?,?,?,?,?,?)",
                   [(pid, row.idx, row.phase, row.block, row.pos, row.condition, row.pair_id, int(row.flip))
                    for row in plan])
    for kind in ("participant", "plan"):
        store.seal.append(db, kind, None, pid)
    store.log(db, pid, "consent", {"consent_sha256": study["consent_sha256"], "mode": mode})
    return pid


def _emptiest(db: sqlite3.Connection, choices: list[Cell], mode: str, seed: str) -> Cell:
    counts = {Cell(row, rotation): count for row, rotation, count in db.execute(
        f"""SELECT cell_row, cell_rot, count(*) FROM participant
            WHERE mode = ? AND status IN ({', '.join('?' * len(COUNTED))}) GROUP BY cell_row, cell_rot""",
        (mode, *COUNTED))}
    fewest = min(counts.get(cell, 0) for cell in choices)
    tied = [cell for cell in choices if counts.get(cell, 0) == fewest]
    return tied[int(seed[:12], 16) % len(tied)]


def drop_idle(store: Store, db: sqlite3.Connection) -> int:
    """Count as dropped out whoever has shown no sign of life for ``idle_minutes``; how many that were."""
    limit = store.now(-60 * store.config(db).idle_minutes)
    silent = db.execute(f"SELECT pid FROM participant WHERE status IN {UNFINISHED!r} AND last_seen_utc < ?",
                        (limit,)).fetchall()
    for (pid,) in silent:
        store.change(db, pid, status="dropped")
        store.log(db, pid, "drop", {"idle_minutes": store.config(db).idle_minutes})
    return len(silent)


def by_token(db: sqlite3.Connection, token: str) -> sqlite3.Row:
    """The participant with a token; UnknownParticipant where there is none."""
    row = db.execute("SELECT * FROM participant WHERE token_sha256 = ?", (token_digest(token),)).fetchone()
    if row is None:
        raise UnknownParticipant("This link belongs to nobody who takes part: open the study's first page again.")
    return row


def has_begun(db: sqlite3.Connection, label: str | None) -> bool:
    """Whether somebody with a recruiting service's id has begun already, in whatever mode, withdrawn or not."""
    secret = db.execute("SELECT secret FROM study").fetchone()[0]
    digests = [digest for mode in MODES if (digest := label_digest(secret, mode, label))]
    return bool(digests) and db.execute(f"SELECT 1 FROM begun WHERE label_hash IN ({', '.join('?' * len(digests))})",
                                        digests).fetchone() is not None


def by_nonce(db: sqlite3.Connection, nonce: str | None) -> str | None:
    """pid of the participant whom this very request has made already, if any."""
    digest = nonce_digest(db.execute("SELECT secret FROM study").fetchone()[0], nonce)
    row = digest and db.execute("SELECT pid FROM participant WHERE nonce_hash = ?", (digest,)).fetchone()
    return row["pid"] if row else None


def withdrawal_code(secret: str, pid: str) -> str:
    """The code with which somebody can withdraw later: 60 bits that nobody can guess and nothing stores."""
    drawn = hmac.new(secret.encode(), f"withdraw:{pid}".encode(), hashlib.sha256).digest()
    text = base64.b32encode(drawn).decode()[:12]
    return "-".join((text[:4], text[4:8], text[8:]))


def by_code(db: sqlite3.Connection, code: str) -> str | None:
    """pid of whoever has a withdrawal code, if anybody has."""
    secret = db.execute("SELECT secret FROM study").fetchone()[0]
    wanted = "".join(filter(str.isalnum, code.upper()))
    found = None
    for (pid,) in db.execute("SELECT pid FROM participant WHERE status <> 'withdrawn'"):
        if hmac.compare_digest(withdrawal_code(secret, pid).replace("-", "").encode(), wanted.encode()):
            found = pid
    return found


def nonce_digest(secret: str, nonce: str | None) -> str | None:
    """What is stored of a page's number for its enrolment; None without one."""
    return hmac.new(secret.encode(), f"nonce:{nonce}".encode(), hashlib.sha256).hexdigest() if nonce else None


def token_of(secret: str, pid: str) -> str:
    """The 128-bit token that a participant's page holds; only its hash is in the participant's row."""
    return hmac.new(secret.encode(), f"token:{pid}".encode(), hashlib.sha256).hexdigest()[:32]


def token_digest(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(str(token).encode()).hexdigest()


def label_digest(secret: str, mode: str, label: str | None) -> str | None:
    """What stays of a recruiting service's id, apart from everybody's row: an HMAC under the study's secret; None
    without one."""
    label = (label or "").strip()[:200]
    return hmac.new(secret.encode(), f"label:{mode}:{label}".encode(), hashlib.sha256).hexdigest() if label else None


def exclude(store: Store, pid: str, reason: str) -> None:
    """Leave a participant out of the analysis; the answers stay, flagged. The place in the cell is free again."""
    reason = reason.strip()
    if not reason:
        raise BadStudy("Give a reason for the exclusion: it is exported with the data.")
    with store.write() as db:
        status = _known(db, pid)["status"]
        store.change(db, pid, status="excluded", exclude_reason=reason[:500])
        store.log(db, pid, "admin", {"action": "exclude", "reason": reason[:500], "from": status})


def include(store: Store, pid: str) -> None:
    """Undo an exclusion."""
    with store.write() as db:
        row = _known(db, pid)
        if row["status"] != "excluded":
            raise BadStudy(f"Participant {pid} is not excluded.")
        status = "completed" if row["completed_utc"] else "dropped"
        store.change(db, pid, status=status, exclude_reason=None)
        store.log(db, pid, "admin", {"action": "include", "to": status})


def delete(store: Store, pid: str) -> None:
    """Delete everything about a participant, as if they had withdrawn; a tombstone stays."""
    with store.write() as db:
        _known(db, pid)
        store.erase(db, pid, "by the operator")
    store.flush()


def _known(db: sqlite3.Connection, pid: str) -> sqlite3.Row:
    row = db.execute("SELECT * FROM participant WHERE pid = ?", (pid,)).fetchone()
    if row is None:
        raise BadStudy(f"There is no participant {pid}.")
    if row["status"] == "withdrawn":
        raise BadStudy(f"Participant {pid} has withdrawn; nothing about them is left to change.")
    return row
