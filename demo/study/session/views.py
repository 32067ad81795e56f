"""What a participant's page shows now: plain dicts without the condition, the pair's name or the right answer."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from demo.errors import BadStudy
from demo.study.design.conditions import shows_decision
from demo.study.design.config import CONFIDENCE_LEVELS, StudyConfig
from demo.study.design.forms import shown
from demo.study.design.texts import filled
from demo.study.records.store import Store
from demo.study.session import questions, trials
from demo.study.session.participants import withdrawal_code
from demo.study.session.refusals import TurnedAway, codes

_FIRST = "A page or a questionnaire comes before this pair: reload the page to go on where you are."


class Place(NamedTuple):
    """Where somebody is. up: the first trial without an answer, None beyond the last. gate_open: a page without a pair
    stands before it still. form: to be answered first, if any."""

    up: sqlite3.Row | None
    gate_open: bool
    form: questions.Due | None


def place(db: sqlite3.Connection, config: StudyConfig, person: sqlite3.Row) -> Place:
    """Where a participant is."""
    number = trials.next_index(db, person["pid"])
    gate_open = open_gate(db, config, person) is not None
    return Place(trials.trial(db, person["pid"], number), gate_open,
                 questions.due(db, config, person, number, gate_open))


def check_trial(db: sqlite3.Connection, config: StudyConfig, person: sqlite3.Row) -> None:
    """Raise BadStudy where something else than a pair is up, and TurnedAway for who was screened out."""
    check_in(config, person)
    here = place(db, config, person)
    if here.up is not None and (here.gate_open or here.form is not None):
        raise BadStudy(_FIRST)


def check_in(config: StudyConfig, person: sqlite3.Row) -> None:
    """Raise TurnedAway for who was screened out."""
    if person["screened_utc"]:
        raise TurnedAway("screened", config)


def consent(db: sqlite3.Connection, config: StudyConfig) -> dict:
    """The first page of the study."""
    study = db.execute("SELECT mode, consent_md, consent_sha256 FROM study").fetchone()
    if study["mode"] == "closed":
        return closed(config)
    return {"screen": "consent", "title": config.heading, "text": study["consent_md"],
            "minimum_age": config.minimum_age, "minimum_width": config.minimum_width,
            "consent_sha256": study["consent_sha256"], "preview": study["mode"] == "preview"}


def closed(config: StudyConfig) -> dict:
    """Nothing more to do."""
    code, url = codes(config, "over_quota")
    return {"screen": "closed", "text": config.texts["closed"], "code": code, "url": url}


def current(store: Store, db: sqlite3.Connection, person: sqlite3.Row) -> dict:
    """The view of a participant."""
    config, pid = store.config(db), person["pid"]
    preview = {"preview": person["mode"] == "preview"}
    if person["screened_utc"]:
        code, url = codes(config, "screened_out")
        return {"screen": "screened", "text": config.texts["screened"], "code": code, "url": url, **preview}
    up, gate_open, form = place(db, config, person)
    if (up is not None or form is not None) and shut_out(db, person):
        return closed(config)
    if form is not None:
        return {"screen": "form", "form": shown(form.form), "place": form.place,
                "again": questions.tries(db, pid, form.place) > 0, **preview}
    if up is None:
        return _debrief(db, config, person) | preview
    where = {"progress": _progress(db, config, up), **preview}
    screen = _gate(config, up)
    if screen is not None and gate_open:
        return {"screen": screen, "text": filled(config.texts[screen], **_keys(person)), "gate": up["idx"], **where}
    step = trials.step_up(db, config, up)
    study = db.execute("SELECT neutral FROM study").fetchone()
    following = trials.trial(db, pid, up["idx"] + 1)
    hidden = step < trials.steps(config, up["condition"])
    return {
        "screen": "trial", "idx": up["idx"], "step": step, "steps": trials.steps(config, up["condition"]),
        "practice": up["phase"] == "train", "question": _question(config, up), "faces": _sides(up, "face"),
        "panels": [study["neutral"]] * 2 if hidden else _sides(up, "panel"),
        "decision": _decision(config, up, hidden), "swapped": bool(person["swapped"]),
        "confidence": CONFIDENCE_LEVELS if config.confidence else 0, "max_seconds": config.max_seconds,
        "preload": [*_sides(up, "panel"), *((*_sides(following, "face"), *_sides(following, "panel"))
                                            if following else ())], **where,
    }


def _debrief(db: sqlite3.Connection, config: StudyConfig, person: sqlite3.Row) -> dict:
    """The last page. Nobody in a preview gets a code that is paid for."""
    secret = db.execute("SELECT secret FROM study").fetchone()[0]
    code, url = codes(config, "completion") if person["mode"] != "preview" else ("PREVIEW", "")
    return {"screen": "debrief", "text": config.texts["debrief"], "score": _score(db, person["pid"]), "code": code,
            "url": url, "withdrawal_code": withdrawal_code(secret, person["pid"])}


def _question(config: StudyConfig, up: sqlite3.Row) -> str:
    """What is asked; of an instructed check, what to answer."""
    if up["check_kind"] != "instructed":
        return config.texts["question"]
    words = {"yes": config.texts["yes"], "no": config.texts["no"]}
    return filled(config.texts["check.same" if up["same"] else "check.diff"], **words)


def _keys(person: sqlite3.Row) -> dict[str, str]:
    """Which key means what."""
    return {"yes_key": "J", "no_key": "F"} if person["swapped"] else {"yes_key": "F", "no_key": "J"}


def shut_out(db: sqlite3.Connection, person: sqlite3.Row) -> bool:
    """Whether the study was closed while the participant was away; whoever is still there may finish."""
    return person["status"] == "dropped" and db.execute("SELECT mode FROM study").fetchone()[0] == "closed"


def open_gate(db: sqlite3.Connection, config: StudyConfig, person: sqlite3.Row) -> int | None:
    """idx of the trial before which a page without a pair has still to be passed; None where none has."""
    up = trials.trial(db, person["pid"], trials.next_index(db, person["pid"]))
    if up is None or person["gate"] >= up["idx"] or _gate(config, up) is None:
        return None
    return up["idx"]


def _gate(config: StudyConfig, up: sqlite3.Row) -> str | None:
    """The page that stands before a trial: at the start of a block, and between its practice and its test."""
    if up["pos"]:
        return None
    if up["phase"] == "train" or not config.training_pairs:
        return "instructions" if up["block"] == 0 else "rest" if config.breaks else None
    return "ready"


def _decision(config: StudyConfig, up: sqlite3.Row, hidden: bool) -> str | None:
    """What the model says, where it is shown: "same" or "diff"; "" where it is not, and None in a study that never
    shows it."""
    if not any(shows_decision(condition) for condition in config.conditions):
        return None
    if hidden or not shows_decision(up["condition"]):
        return ""
    return "same" if up["model_pred"] else "diff"


def _sides(row: sqlite3.Row, part: str) -> list[str]:
    """Files of the left and the right picture."""
    files = [row[f"{part}1"], row[f"{part}2"]]
    return files[::-1] if row["flip"] else files


def _progress(db: sqlite3.Connection, config: StudyConfig, up: sqlite3.Row) -> dict:
    practice = up["phase"] == "train"
    total = config.training_pairs if practice else config.pairs_per_set + config.attention_per_block
    return {"block": up["block"] + 1, "blocks": len(config.conditions), "trial": up["pos"] + 1, "trials": total,
            "practice": practice}


def _score(db: sqlite3.Connection, pid: str) -> dict:
    correct, total = db.execute("""SELECT coalesce(sum(correct), 0), count(*) FROM response JOIN plan USING(pid, idx)
                                   WHERE pid = ? AND phase = 'main'""", (pid,)).fetchone()
    return {"correct": correct, "total": total}
