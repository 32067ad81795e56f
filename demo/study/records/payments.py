"""Who has to be paid: a recruiting service's ids beside the participants' numbers, apart from the answers.

The list is written on demand and is in no export. Once everybody is paid, ``forget`` deletes the ids.
"""

from __future__ import annotations

import csv
from pathlib import Path

from demo.errors import NotSaved
from demo.study.design.config import StudyConfig
from demo.study.records.export import safe
from demo.study.records.output import new_file
from demo.study.records.store import Store

COLUMNS = ("service", "label", "study_ref", "session_ref", "pid", "mode", "status", "exclude_reason", "answered",
           "planned", "minutes", "consent_utc", "completed_utc", "code")
_QUERY = """
SELECT r.service, r.label, r.study_ref, r.session_ref, p.pid, p.mode, p.status, p.exclude_reason,
  (SELECT count(*) FROM response a WHERE a.pid = p.pid) AS answered,
  (SELECT count(*) FROM plan t WHERE t.pid = p.pid) AS planned,
  round((julianday(coalesce(p.completed_utc, p.last_seen_utc)) - julianday(p.consent_utc)) * 1440, 1) AS minutes,
  p.consent_utc, p.completed_utc, p.screened_utc
FROM recruit r JOIN participant p USING(pid) ORDER BY p.created_utc, p.pid
"""


def payments(store: Store) -> list[dict]:
    """A row of COLUMNS for everybody who came by a recruiting service and has not withdrawn. code: what their last page
    showed, "" for who has not got so far."""
    with store.read() as db:
        config = store.config(db)
        return [{name: value for name, value in {**dict(row), "code": _code(config, row)}.items() if name in COLUMNS}
                for row in db.execute(_QUERY)]


def write_payments(store: Store, out: str | Path, *, force: bool = False) -> Path:
    """Write the list as CSV; that it was taken is kept as an event. BadStudy and NotSaved as of ``export``."""
    out = Path(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with (new_file(out, store.path, force=force) as partial,
              open(partial, "w", encoding="utf-8", newline="") as file):
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows([[safe(row[name]) for name in COLUMNS] for row in payments(store)])
    except OSError as error:
        raise NotSaved(f"The list {out} could not be written ({error}).") from error
    with store.write() as db:
        store.log(db, None, "admin", {"action": "payments"})
    return out


def forget(store: Store) -> int:
    """Delete all recruiting ids; how many there were. Answers stay, and nobody comes in a second time."""
    with store.write() as db:
        count = db.execute("DELETE FROM recruit").rowcount
        store.log(db, None, "admin", {"action": "forgot recruiting ids", "count": count})
    store.flush()
    return count


def _code(config: StudyConfig, row) -> str:
    if row["screened_utc"]:
        return config.screened_out_code
    return config.completion_code if row["completed_utc"] and row["mode"] != "preview" else ""
