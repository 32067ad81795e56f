"""Damaged and hostile databases and folders of studies: each is one sentence or an answer, within bounds, no traceback.

By hand, with more mutations and another seed: ``PYTHONPATH=. python tests/test_study_fuzz.py 10000 1``.
"""

from __future__ import annotations

import contextlib
import io
import json
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
from demo.study.analysis.preregistration import preregistration
from demo.study.analysis.report import stimuli_text, text_summary
from demo.study.analysis.summary import summarise
from demo.study.analysis.table import select_answers
from demo.study.design.config import StudyConfig
from demo.study.records.checks import verify
from demo.study.records.export import export, long_rows
from demo.study.records.store import Store, open_study
from demo.study.stimuli.record import read_study

MUTATIONS = int(os.environ.get("DEMO_FUZZ", "500"))
#: Values that no column of ours holds.
_STRANGE = (None, -1, 2**62, 1e300, float("inf"), "", "x" * 5000, "\U0001f600", b"\xff\x00", "[" * 3000, "null", "{}",
            "9" * 400, "../../etc/passwd", "NaN", '{"a": ' * 2000, "2026-99-99T99:99:99.000Z", "live", "completed")


#: Values that no setting of ours takes.
_STRANGE_JSON = (None, True, -1, 7, 0.5, 10**400, 1e308, float("inf"), "", "x", "x" * 5000, "\ud800", "\0", "none", [],
                 ["x"], [1], [[]], {}, {"a": 1}, {"x": ["y"]}, {"id": "x"}, "2026-99-99", "../../etc/passwd", "<b>",
                 "{text}", "ar")


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


def seed_folder(folder: Path) -> dict[str, dict]:
    """A study's folder with everything that its files may hold; both files as data."""
    config = StudyConfig.from_json(json.dumps({
        "questionnaires": ["comprehension", "demographics", "tlx"], "exclusion": {"fast_trials": 2}}), replace(
            SMALL, pairs_per_set=2, attention_per_block=0, conditions=("none", "cnn_cc")))
    fake_stimuli(folder, config, files=True).write()
    (folder / "study.json").write_text(config.to_json(), encoding="utf-8")
    files = {name: json.loads((folder / name).read_text(encoding="utf-8")) for name in ("study.json", "stimuli.json")}
    files["stimuli.json"]["provenance"] = {
        "seed": 0, "wrong": {"cosine": 0.3}, "shortcuts": {"same sex": 0.5}, "position_pattern": {"cnn_cc": None},
        "weights_sha256": "0" * 64, "gallery": "people"}
    return files


def mutate_data(data: dict, rng: random.Random) -> tuple[dict, str]:
    """A copy with one value replaced, renamed or left out; where that was."""
    data = json.loads(json.dumps(data))
    holder, key, where = {"": data}, "", ""
    while isinstance(holder[key], dict | list) and holder[key] and (not where or rng.random() < 0.8):
        holder = holder[key]
        key = rng.choice(sorted(holder)) if isinstance(holder, dict) else rng.randrange(len(holder))
        where += f"/{key}"
    kind = rng.choice(("value", "value", "value", "value", "name", "gone"))
    if kind == "value" or isinstance(holder, list):
        holder[key] = rng.choice(_STRANGE_JSON)
    elif kind == "name":
        holder[rng.choice(("", "\ud800", "other"))] = holder.pop(key)
    else:
        del holder[key]
    return data, where


def use_folder(folder: Path, database: Path, thorough: bool) -> str:
    """What the commands do with a study's folder: "fine", or the class of the problem."""
    try:
        config, stimuli = read_study(folder)
        stimuli.problems()
        stimuli_text(stimuli.provenance)
        store = open_study(database, config, stimuli)
    except DemoError as error:
        return _sentence(error)
    with closing(store):
        assert verify(store, stimuli, config) == stimuli.problems()
        session = StudySession(store)
        json.dumps(session.welcome(), ensure_ascii=False).encode()
        try:
            json.dumps(enrol(session).view, ensure_ascii=False).encode()
            if thorough:
                preregistration(config, stimuli.provenance, stimuli.sha256, repetitions=2).encode()
                export(store, database.with_name("out.zip"), force=True)
        except DemoError as error:
            return _sentence(error)
    return "fine"


def fuzz_folders(count: int, seed: int) -> Counter:
    """File and what was told of ``count`` mutations of it. Raises whatever no command should raise."""
    rng, found = random.Random(seed), Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "study"
        files = seed_folder(folder)
        for number in range(count):
            file = rng.choice(("study.json", "stimuli.json"))
            for other, data in files.items():
                (folder / other).write_text(json.dumps(data), encoding="utf-8")
            data, where = mutate_data(files[file], rng)
            (folder / file).write_text(json.dumps(data), encoding="utf-8")
            start = time.perf_counter()
            try:
                found[file, use_folder(folder, Path(name) / f"{number}.sqlite3", number % 20 == 0)] += 1
            except Exception as error:
                raise AssertionError(f"seed {seed}, number {number}, {file}: {where}: {error!r}") from error
            assert time.perf_counter() - start < 10, (file, number)
            for made in Path(name).glob(f"{number}.sqlite3*"):
                made.unlink()
    return found


@pytest.mark.slow
def test_damaged_folders_get_one_sentence():
    found = fuzz_folders(MUTATIONS, 0)
    assert sum(found.values()) == MUTATIONS, found
    for file in ("study.json", "stimuli.json"):
        assert found[file, "BadStudy"] > MUTATIONS / 5 and found[file, "fine"], found


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
        results = fuzz(int(sys.argv[1]), int(sys.argv[2])) + fuzz_folders(int(sys.argv[1]), int(sys.argv[2]))
    for what, number in sorted(results.items()):
        print(*what, number)
    print(f"at most {tracemalloc.get_traced_memory()[1] / 1e6:.0f} MB")
