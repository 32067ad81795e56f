"""Kills a process that is answering, over and over; run by test_study_crash. Prints what went wrong, or nothing.

By hand, with more kills: ``PYTHONPATH=. python tests/study_crash.py 300`` (docs/study.md has the figures). The
children are forked from this process, which has the imports behind it and no database open.
"""

from __future__ import annotations

import os
import random
import secrets
import signal
import sys
import tempfile
import time
from pathlib import Path

from studies import small_store

from demo.study import Answer, Store, StudySession
from demo.study.records.checks import verify


def answer_on(path: Path, out: int, state: tuple[str, str] | None) -> None:
    """Answer as a page would, telling ``out`` of every attempt and of every acknowledgement. state: token and, of the
    attempt that was cut short, idx and nonce."""
    session = StudySession(Store.open(path))
    say = lambda *words: os.write(out, (" ".join(map(str, words)) + "\n").encode())  # noqa: E731
    if state:
        token, attempt = state
        ticket = session.load(token)
    while True:
        if not state:
            ticket, attempt = session.enrol(consented=True, of_age=True), ""
            say("token", ticket.token)
        state, view = None, ticket.view
        while view["screen"] != "debrief":
            if view["screen"] != "trial":
                view = session.proceed(ticket.token, ticket.epoch, view["gate"])
                continue
            again = attempt.split()
            nonce = again[1] if again and int(again[0]) == view["idx"] else secrets.token_hex(8)
            attempt = ""
            session.onset(ticket.token, ticket.epoch, view["idx"], 1, 1.0)
            say("try", view["idx"], nonce)
            answer = Answer(view["idx"], "same", nonce, rt_ms=900.0)
            view_after = session.answer(ticket.token, ticket.epoch, answer)["view"]
            say("ack", ticket.token, view["idx"], nonce)
            view = view_after
        say("done")


def main(path: Path, kills: int) -> None:
    rng, acknowledged, state, start = random.Random(1), [], None, time.monotonic()
    survived = 0
    for _ in range(kills):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            try:
                answer_on(path, writing, state)
            finally:
                os._exit(1)
        os.close(writing)
        said = b""
        for _ in range(rng.randrange(8)):  # however slow the machine, the kill falls among the answers
            said += os.read(reading, 1 << 16)
        time.sleep(rng.uniform(0, 0.012))
        survived += os.waitpid(child, os.WNOHANG) != (0, 0)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with os.fdopen(reading) as file:
            for line in (said.decode() + file.read()).splitlines():
                word, *rest = line.split()
                if word == "token":
                    state = rest[0], ""
                elif word == "try":
                    state = state[0], " ".join(rest)
                elif word == "ack":
                    acknowledged.append(rest[1:])
                elif word == "done":
                    state = None
    store = Store.open(path)
    with store.read() as db:
        kept = [(str(idx), nonce) for idx, nonce in db.execute("SELECT idx, client_nonce FROM response")]
    lost = [line for line in map(tuple, acknowledged) if kept.count(line) != 1]
    problems = verify(store) + ([f"{len(lost)} acknowledged answers are not kept once"] if lost else [])
    problems += [f"{survived} children ended by themselves"] if survived else []
    problems += ["nothing was acknowledged"] if len(acknowledged) < kills / 2 else []
    problems += [f"{len(kept) - len(acknowledged)} answers more than could be under way"] * (
        len(kept) - len(acknowledged) > kills)
    print("\n".join(problems))
    print(f"{kills} kills, {len(acknowledged)} acknowledged answers, {len(lost)} of them lost or doubled, {len(kept)} "
          f"kept, {time.monotonic() - start:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        made = small_store(Path(folder))
        made.close()
        main(made.path, int(sys.argv[1]))
