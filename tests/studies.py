"""Small studies for tests: stimuli whose pictures are one grey pixel, so that nothing has to be rendered."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing, suppress
from dataclasses import replace
from functools import cache
from io import BytesIO
from pathlib import Path

from PIL import Image

from demo.errors import DemoError
from demo.study import Answer, Pair, Render, Stimuli, Store, StudyConfig, StudySession
from demo.study.design.cells import ATTENTION, TRAINING, same_counts
from demo.study.design.conditions import UNEXPLAINED
from demo.study.records import schema

SECRET = "a secret for tests"
#: Eight test pairs in four blocks, one practice pair each: 4 x (1 + 4) trials.
SMALL = replace(StudyConfig(), pairs_per_set=4, training_pairs=1, attention_per_block=0)


@cache
def pixel(grey: int) -> tuple[bytes, str]:
    """A picture of one pixel as a file, and its hash."""
    file = BytesIO()
    Image.new("L", (1, 1), grey).convert("RGB").save(file, format="WEBP", lossless=True)
    return file.getvalue(), hashlib.sha256(file.getvalue()).hexdigest()


def fake_stimuli(folder: Path, config: StudyConfig, *, files: bool = False) -> Stimuli:
    """Stimuli that fit a configuration, their pictures written only if asked. The first pairs of a set show one person;
    every method says "same", "none" says nothing."""
    (folder / "pictures").mkdir(parents=True, exist_ok=True)

    def picture(name: str) -> tuple[str, str]:
        digest = hashlib.sha256(name.encode()).hexdigest()
        content, known_by = pixel(int(digest[:2], 16))
        if files:
            (folder / "pictures" / f"{digest[:24]}.webp").write_bytes(content)
        return f"{digest[:24]}.webp", known_by

    sizes = dict(zip(config.set_names, [config.pairs_per_set] * len(config.conditions), strict=True))
    blocks = len(config.conditions)
    sizes |= {TRAINING: config.training_pairs * blocks, ATTENTION: config.attention_per_block * blocks}
    same = dict(zip(config.set_names, same_counts(config), strict=True))
    pairs, renders = [], []
    for name, size in sizes.items():
        for number in range(size):
            pair = f"{name}{number + 1:02d}"
            one = number < same.get(name, (size + 1) // 2)
            faces = [picture(f"{pair}/{side}") for side in "12"]
            pairs.append(Pair(pair, name, f"a/{pair}.jpg", f"b/{pair}.jpg", one, "mask", "none", "0" * 64, "1" * 64,
                              faces[0][0], faces[1][0], faces[0][1], faces[1][1],
                              ("identical" if one else "different") if name == ATTENTION else ""))
            for condition in config.conditions:
                panels = [picture(f"{pair}/{condition}/{side}") for side in "12"]
                said = () if condition == UNEXPLAINED.code else ("cosine", 0.3, 0.4, 1, int(one))
                renders.append(Render(pair, condition, panels[0][0], panels[1][0], panels[0][1], panels[1][1], *said))
    neutral = renders[0].panel1
    return Stimuli(folder, tuple(pairs), tuple(renders), neutral, {"seed": 0})


def small_store(folder: Path, config: StudyConfig = SMALL, *, mode: str = "live", **options) -> Store:
    """An open study with fake stimuli under ``folder``."""
    store = Store.create(folder / "study.sqlite3", config, fake_stimuli(folder / "stimuli", config), secret=SECRET,
                         **options)
    store.set_mode(mode)
    return store


class Page(StudySession):
    """A session that tells of an onset before every answer, as a participant's page does."""

    def answer(self, token: str, epoch: int, answer: Answer) -> dict:
        with suppress(DemoError):
            view = self.view(token, epoch)
            if (view.get("idx"), view.get("step")) == (answer.idx, answer.step):
                self.onset(token, epoch, answer.idx, answer.step, 1.0)
        return super().answer(token, epoch, answer)


def enrol(session: StudySession, **options):
    return session.enrol(consented=True, of_age=True, **options)


def walk(session: StudySession, ticket, until: int = 10_000) -> dict:
    """Pass pages and answer "same" until trial ``until`` is up or nothing is; the view then."""
    view = ticket.view
    while view["screen"] in ("trial", "instructions", "rest", "ready") and view.get("idx", 0) < until:
        if view["screen"] == "trial":
            session.onset(ticket.token, ticket.epoch, view["idx"], view["step"], 1.0)
            view = session.answer(ticket.token, ticket.epoch, reply(ticket, view))["view"]
        else:
            view = session.proceed(ticket.token, ticket.epoch, view["gate"])
    return view


def reply(ticket, view: dict, choice: str = "same", **more) -> Answer:
    """An answer to a trial's view with a nonce of its own."""
    return Answer(view["idx"], choice, f"{ticket.token[:16]}-{view['idx']}-{view['step']}",
                  **{"step": view["step"], "rt_ms": 900.0, "input": "key", **more})


def older(store: Store, path: Path, version: int) -> Path:
    """A database as an older version of the program would have made it: the same rows in its tables."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        schema.migrate(db, version)
        tables = [name for name, in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' "
                                               "AND name NOT LIKE 'sqlite%'")]
        db.execute("ATTACH ? AS present", (str(store.path),))
        for table in sorted(tables, key=lambda name: name == "study"):  # which may be locked, and locks the others
            names = ", ".join(row[1] for row in db.execute(f"PRAGMA main.table_info({table})"))
            db.execute(f"INSERT INTO main.{table}({names}) SELECT {names} FROM present.{table}")
    return path
