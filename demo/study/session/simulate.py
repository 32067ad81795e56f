"""Simulated participants in a real study: through the session and the store, as many at a time as there are threads."""

from __future__ import annotations

import secrets
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from demo.errors import BadStudy
from demo.study.design.conditions import UNEXPLAINED
from demo.study.design.population import Person, Population
from demo.study.records.store import Store
from demo.study.session.participants import Device, token_digest
from demo.study.session.session import StudySession, Ticket
from demo.study.session.trials import Answer

#: What the simulated browser says of itself, so that such participants can be told from real ones.
DEVICE = Device("Simulated", 1280, 800, 1.0, 0)


@dataclass(frozen=True)
class Simulated:
    """What a simulation did. started, completed: participants. answers: acknowledged. seconds: from the first enrolment
    to the last answer. waits_ms: how long each answer waited for its acknowledgement."""

    started: int
    completed: int
    answers: int
    seconds: float
    waits_ms: np.ndarray = field(repr=False)

    def __str__(self) -> str:
        text = (f"{self.completed} of {self.started} simulated participants completed, {self.answers} answers in "
                f"{self.seconds:.1f} s")
        if not len(self.waits_ms):
            return text + "."
        median, late, longest = np.percentile(self.waits_ms, [50, 99, 100])
        return f"{text}; an answer was durable after {median:.0f} ms (median; 99 % {late:.0f}, longest {longest:.0f})."


def simulate(store: Store, people: int, population: Population | None = None, *, seed: int = 0, threads: int = 8,
             dropout: float = 0.0) -> Simulated:
    """Take ``people`` participants from consent to debrief in the study's present mode, ``threads`` at a time.

    Where ``people`` is a multiple of the design's cells, the same population and seed give the same answers to the same
    pairs, in whatever order the threads run. dropout: share (0 to 1) of participants who leave before the end.
    Raises BadStudy for a number out of range, and whatever the session raises.
    """
    if people < 1 or threads < 1 or not 0 <= dropout <= 1:
        raise BadStudy("Simulate at least one participant in at least one thread, with a dropout between 0 and 1.")
    session, population = StudySession(store), population or Population()
    start = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        tickets = list(pool.map(lambda _: session.enrol(consented=True, of_age=True, device=DEVICE), range(people)))
        walks = [_Walk(session, ticket, trials, Person(population, seed, number),
                       _leaves(trials, dropout, seed, number))
                 for number, (ticket, trials) in enumerate(_by_cell(store, tickets))]
        waits = list(pool.map(_Walk.run, walks))
    flat = np.array([wait for own in waits for wait in own])
    completed = sum(len(own) >= walk.full for own, walk in zip(waits, walks, strict=True))
    return Simulated(people, completed, len(flat), time.perf_counter() - start, flat)


@dataclass
class _Walk:
    """One participant's way. leaves: number of trials after which the participant is gone."""

    session: StudySession
    ticket: Ticket
    trials: list[sqlite3.Row]
    person: Person
    leaves: int

    @property
    def full(self) -> int:
        return len(self.trials)

    def run(self) -> list[float]:
        """Answer until the end (or until leaving); milliseconds that each answer waited."""
        token, epoch, view, waits = self.ticket.token, self.ticket.epoch, self.ticket.view, []
        while view["screen"] != "debrief" and len(waits) < self.leaves:
            if view["screen"] == "form":
                view = self.session.fill(token, epoch, view["place"], _filled(
                    view["form"], self.session.store))["view"]
            elif view["screen"] == "trial":
                self.session.onset(token, epoch, view["idx"], view["step"], 0.0)
                answer = self._answer(view)
                start = time.perf_counter()
                view = self.session.answer(token, epoch, answer)["view"]
                waits.append(1000 * (time.perf_counter() - start))
            else:
                view = self.session.proceed(token, epoch, view["gate"])
        return waits

    def _answer(self, view: dict) -> Answer:
        trial = self.trials[view["idx"]]
        shown = trial["condition"] if view["step"] == view["steps"] else UNEXPLAINED.code
        known = trial["model_pred"] is not None and shown != UNEXPLAINED.code
        reply = self.person.reply(
            trial["pair_id"], shown, same=bool(trial["same"]), block=trial["block"], attention=trial["phase"] == "attn",
            practice=trial["phase"] == "train",
            model_right=trial["model_pred"] == trial["same"] if known else None)
        return Answer(view["idx"], reply.answer, secrets.token_hex(8), view["step"],
                      reply.confidence if view["confidence"] else None, reply.rt_ms, 0.0, reply.rt_ms, reply.rt_ms, 0,
                      "key")


def _filled(form: dict, store: Store) -> dict:
    """Answers to a form: the right one where there is one, else the first that fits."""
    with store.read() as db:
        items = next(one["items"] for one in store.config(db).questionnaires if one["id"] == form["id"])
    simple = {"choice": 0, "scale": 1, "text": "simulated"}
    return {item["id"]: item.get("right", simple.get(item["kind"], item.get("low", 1))) for item in items}


def _by_cell(store: Store, tickets: list[Ticket]) -> list[tuple[Ticket, list[sqlite3.Row]]]:
    """Tickets with their plans in the order of their cells, so that a person's number does not depend on who came
    first."""
    found = []
    with store.read() as db:
        for ticket in tickets:
            person = db.execute("SELECT pid, cell_row, cell_rot FROM participant WHERE token_sha256 = ?",
                                (token_digest(ticket.token),)).fetchone()
            trials = db.execute("""SELECT plan.*, pair.same, render.model_pred FROM plan JOIN pair USING(pair_id)
                                   JOIN render USING(pair_id, condition) WHERE pid = ? ORDER BY idx""",
                                (person["pid"],)).fetchall()
            found.append(((person["cell_row"], person["cell_rot"]), ticket, trials))
    return [(ticket, trials) for _, ticket, trials in sorted(found, key=lambda one: one[0])]


def _leaves(trials: list[sqlite3.Row], dropout: float, seed: int, number: int) -> int:
    """After how many answers a participant leaves; more than there are for one who stays."""
    draw = np.random.default_rng([seed, number, 1])
    return int(draw.integers(1, len(trials))) if draw.random() < dropout else 10 * len(trials)
