"""Damaged and hostile study databases: each is one sentence or an answer, within bounds, and never a traceback.

By hand, with more mutations and another seed: ``PYTHONPATH=. python tests/test_study_fuzz.py 10000 1``.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import shutil
import sqlite3
import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from studies import SMALL, enrol, fake_stimuli, small_store, walk

from demo.errors import DemoError
from demo.study import Stimuli, StudySession
from demo.study.analysis.report import text_summary
from demo.study.analysis.summary import summarise
from demo.study.analysis.table import select_answers
from demo.study.records.checks import verify
from demo.study.records.export import export, long_rows
from demo.study.records.store import Store

MUTATIONS = int(os.environ.get("DEMO_FUZZ", "500"))
#: Values that no column of ours holds.
_STRANGE = (None, -1, 2**62, 1e300, float("inf"), "", "x" * 5000, "\U0001f600", b"\xff\x00", "[" * 3000, "null", "{}",
            "9" * 400, "../../etc/passwd", "NaN", '{"a": ' * 2000, "2026-99-99T99:99:99.000Z", "live", "completed")


def seed_database(folder: Path) -> Path:
    """A small study with two participants, closed, in one file."""
    config = replace(SMALL, pairs_per_set=2, conditions=("none", "cnn_cc"))
    store = small_store(folder, config)
    session = StudySession(store)
    walk(session, enrol(session))
    walk(session, enrol(session), until=3)
    copy = store.backup(folder / "seed.sqlite3")
    store.close()
    return copy


def mutate(content: bytes, rng: random.Random, path: Path) -> str:
    """Write a damaged copy of ``content`` to ``path``; the kind of damage."""
    kind = rng.choice(("flip", "cut", "zero", "noise", "header", "cell", "cell", "cell", "drop"))
    data = bytearray(content)
    at = rng.randrange(len(data))
    if kind == "flip":
        for _ in range(rng.choice((1, 3, 30, 300))):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == "cut":
        del data[at:]
    elif kind == "zero":
        data[at:at + rng.choice((16, 512, 4096))] = bytes(16)
    elif kind == "noise":
        data[at:at + 2000] = rng.randbytes(2000)
    elif kind == "header":
        data[rng.randrange(100)] = rng.randrange(256)
    path.write_bytes(data)
    if kind in ("cell", "drop"):
        with closing(sqlite3.connect(path, isolation_level=None)) as db, contextlib.suppress(sqlite3.DatabaseError):
            db.execute("PRAGMA synchronous = OFF")
            db.execute("PRAGMA ignore_check_constraints = ON")
            db.execute("BEGIN")
            guards = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
            for name, _ in guards:
                db.execute(f"DROP TRIGGER {name}")
            tables = [name for (name,) in db.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name")]
            table = rng.choice(tables)
            column = rng.choice(db.execute(f"PRAGMA table_info({table})").fetchall())[1]
            row = f"rowid = {rng.randrange(1, 9)}" if table != "plan" else "idx = 2"
            where = rng.choice(("", "", f" WHERE {row}"))
            value = rng.choice(("?", "?", "?", "CAST(x'ff41' AS TEXT)"))
            strange = (rng.choice(_STRANGE),) * (value == "?")
            if kind == "cell":
                db.execute(f"UPDATE OR IGNORE {table} SET {column} = {value}{where}", strange)
            else:
                db.execute(rng.choice((f"DELETE FROM {table}", f"ALTER TABLE {table} DROP COLUMN {column}",
                                       f"DROP TABLE {table}", f"ALTER TABLE {table} RENAME TO other")))
            for _, statement in guards:
                with contextlib.suppress(sqlite3.DatabaseError):
                    db.execute(statement)
            db.execute("COMMIT")
    return kind


def use(path: Path, stimuli: Stimuli, thorough: bool) -> str:
    """What the commands do with a database: "fine", or the class of the problem that they would tell. thorough: compute
    the results too, not only read the answers."""
    told = "fine"
    try:
        store = Store.open(path)
    except DemoError as error:
        return _sentence(error)
    with closing(store):
        for act in (lambda: verify(store, stimuli), lambda: export(store, path.with_name("out.zip"), force=True),
                    lambda: select_answers(long_rows(store)),
                    lambda: thorough and text_summary(summarise(long_rows(store), planned_n=9, peek=True))):
            try:
                act()
            except DemoError as error:
                told = _sentence(error)
    return told


def _sentence(error: DemoError) -> str:
    assert "\n" not in str(error) and len(str(error)) < 600, str(error)
    return type(error).__name__


def fuzz(count: int, seed: int) -> Counter:
    """Damage of ``count`` kinds and what was told of it. Raises whatever no command should raise."""
    rng, found = random.Random(seed), Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        content, stimuli = seed_database(folder).read_bytes(), fake_stimuli(folder / "stimuli", SMALL)
        for number in range(count):
            path = folder / f"{number}.sqlite3"
            kind = mutate(content, rng, path)
            start = time.perf_counter()
            try:
                found[kind, use(path, stimuli, number % 8 == 0)] += 1
            except Exception as error:
                kept = Path(tempfile.gettempdir()) / "study-fuzz.sqlite3"
                shutil.copy(path, kept)
                raise AssertionError(f"seed {seed}, number {number} ({kind}), kept as {kept}: {error!r}") from error
            assert time.perf_counter() - start < 10, (kind, number)
            for file in folder.glob(f"{number}.sqlite3*"):
                file.unlink()
    return found


@pytest.mark.slow
def test_damaged_databases_get_one_sentence():
    found = fuzz(MUTATIONS, 0)
    told = Counter(kind for (_, kind), count in found.items() for _ in range(count))
    assert sum(told.values()) == MUTATIONS and told["BadStudy"] > MUTATIONS / 4, found
    assert {what for what, _ in found} == {"flip", "cut", "zero", "noise", "header", "cell", "drop"}


if __name__ == "__main__":
    tracemalloc.start()
    with contextlib.redirect_stderr(io.StringIO()):
        results = fuzz(int(sys.argv[1]), int(sys.argv[2]))
    for what, number in sorted(results.items()):
        print(*what, number)
    print(f"at most {tracemalloc.get_traced_memory()[1] / 1e6:.0f} MB")
