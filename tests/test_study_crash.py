"""Fifty participants at once, and a server that is killed over and over."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from studies import SMALL, enrol, small_store, walk

from demo.study import StudySession
from demo.study.records.checks import verify
from demo.study.records.store import Store

KILLS = 40
HERE = Path(__file__).parent


def test_fifty_participants_at_once_get_no_error_and_balanced_cells(tmp_path):
    config = replace(SMALL, pairs_per_set=2, training_pairs=0, planned_n=64)
    store = small_store(tmp_path, config)
    other = Store.open(store.path)  # as a second process would have it

    def take_part(number: int) -> str:
        session = StudySession((store, other)[number % 2])
        return walk(session, enrol(session))["screen"]

    with ThreadPoolExecutor(50) as pool:
        assert set(pool.map(take_part, range(50))) == {"debrief"}
    with store.read() as db:
        cells = Counter(tuple(row) for row in db.execute("SELECT cell_row, cell_rot FROM participant"))
        assert db.execute("SELECT count(*) FROM response").fetchone()[0] == 50 * 8
    assert len(cells) == 16 and set(cells.values()) == {3, 4} and verify(store) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.slow
def test_killing_the_server_loses_no_acknowledged_answer_and_duplicates_none():
    rooms = os.pathsep.join([str(HERE.parent), str(HERE)])
    done = subprocess.run([sys.executable, str(HERE / "study_crash.py"), str(KILLS)], capture_output=True, text=True,
                          timeout=300, check=False, env={**os.environ, "PYTHONPATH": rooms})
    assert done.returncode == 0 and done.stdout.strip() == "", done.stdout + done.stderr
