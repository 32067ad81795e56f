"""What an operator watches while a study runs: how many are where, and who stands out. No right or wrong in here."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from demo.study.design.cells import Cell, blocks, cells
from demo.study.design.config import CLOCK_TOLERANCE_MS
from demo.study.records.store import Store
from demo.study.session.participants import drop_idle

STATUSES = ("consented", "active", "completed", "dropped", "excluded", "withdrawn")
_ANSWERS = """SELECT t.condition, count(*) AS answers, count(DISTINCT r.pid) AS people FROM response r
              JOIN plan t USING(pid, idx) JOIN participant p USING(pid) WHERE p.mode = ? AND t.phase = 'main'
              GROUP BY t.condition"""
_PEOPLE = f"""
SELECT p.pid, p.mode, p.status, p.exclude_reason, p.cell_row, p.cell_rot, p.ua_family, p.viewport_w, p.viewport_h,
  p.created_utc, p.last_seen_utc, p.session_epoch AS page_loads,
  (SELECT count(*) FROM plan t WHERE t.pid = p.pid) AS planned, count(r.resp_id) AS answered,
  coalesce(sum(r.flag_fast), 0) AS fast, coalesce(sum(r.flag_slow), 0) AS slow,
  coalesce(sum(r.flag_resumed), 0) AS resumed,
  coalesce(sum(r.rt_ms > r.rt_server_ms + {CLOCK_TOLERANCE_MS}), 0) AS implausible,
  coalesce(sum(r.hidden_count > 0), 0) AS hidden,
  coalesce(sum(t.phase = 'attn'), 0) AS checks, coalesce(sum(t.phase = 'attn' AND r.correct = 0), 0) AS failed
FROM participant p LEFT JOIN response r USING(pid) LEFT JOIN plan t ON t.pid = r.pid AND t.idx = r.idx
GROUP BY p.pid ORDER BY p.created_utc DESC, p.pid
"""


@dataclass(frozen=True)
class Overview:
    """Counts of one mode's participants. statuses: word of STATUSES → n. cells: (cell, conditions in their order,
    status → n). conditions: condition → (participants, test answers). stale_tabs, failed_pictures: events."""

    mode: str
    counted: str
    locked_utc: str | None
    statuses: dict[str, int]
    cells: list[tuple[Cell, list[str], dict[str, int]]]
    conditions: dict[str, tuple[int, int]]
    stale_tabs: int
    failed_pictures: int
    now_utc: str

    @property
    def complete(self) -> int:
        return self.statuses["completed"]


def overview(store: Store) -> Overview:
    """Counts as of now, of the mode's own participants (of the live ones where the study is closed). Whoever has been
    silent for too long is counted as dropped out first."""
    with store.write() as db:
        drop_idle(store, db)
    with store.read() as db:
        config = store.config(db)
        study = db.execute("SELECT mode, locked_utc FROM study").fetchone()
        counted = "live" if study["mode"] == "closed" else study["mode"]
        found: dict[Cell, dict[str, int]] = {}
        for row, rotation, status, count in db.execute(
                "SELECT cell_row, cell_rot, status, count(*) FROM participant WHERE mode = ? GROUP BY 1, 2, 3",
                (counted,)):
            found.setdefault(Cell(row, rotation), {})[status] = count
        table = [(cell, [condition for condition, _ in blocks(config, cell)], found.get(cell, {}))
                 for cell in cells(config)]
        answers = {condition: (people, count) for condition, count, people in db.execute(_ANSWERS, (counted,))}
        return Overview(
            study["mode"], counted, study["locked_utc"],
            {status: sum(counts.get(status, 0) for counts in found.values()) for status in STATUSES}, table,
            {condition: answers.get(condition, (0, 0)) for condition in config.conditions},
            _events(db, "stale_tab", counted), _events(db, "image_failed", counted), store.now())


def people(store: Store) -> list[dict]:
    """Every participant, the newest first: columns of ``participant`` with counts of answers, flags and failed
    attention checks."""
    with store.read() as db:
        return [dict(row) for row in db.execute(_PEOPLE)]


def _events(db: sqlite3.Connection, kind: str, mode: str) -> int:
    return db.execute("SELECT count(*) FROM event JOIN participant USING(pid) WHERE type = ? AND mode = ?",
                      (kind, mode)).fetchone()[0]
