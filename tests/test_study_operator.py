"""An operator who has only docs/study.md: the commands of its script, in turn, from make to preregistration, preview,
live, the list for paying, and results. What differs is said there."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import shutil
import zipfile
from pathlib import Path

import pytest
from conftest import QUERIES

from demo.cli import main
from demo.settings import Settings, settings
from demo.study import Answer, StudySession
from demo.study.design.population import Person, Population
from demo.study.session.session import Recruited
from demo.study.session.simulate import _filled
from demo.ui.study.desk import StudyDesk

GUIDE = Path(__file__).parent.parent / "docs" / "study.md"
#: What makes the documented study small.
SMALL = {"pairs_per_set": 2, "training_pairs": 1, "attention_per_block": 1, "planned_n": 8}


def script() -> tuple[dict, list[str]]:
    """The configuration and the commands under "From the first command to the results"."""
    part = GUIDE.read_text(encoding="utf-8").split("## From the first command to the results")[1].split("\n## ")[0]
    config = json.loads(re.search(r"```json\n(.*?)```", part, re.S)[1])
    return config, re.search(r"```\n(python -m demo study make.*?)```", part, re.S)[1].splitlines()


def take_part(settings: Settings, people: int) -> None:
    """People from a recruiting service, as they would come to /study while the app runs with these settings."""
    desk = StudyDesk(settings)
    opened = desk.study()
    assert opened.store.mode == "live" and opened.config.study_id == "my-study"
    session = StudySession(opened.store)
    for number in range(people):
        ticket = session.enrol(consented=True, of_age=True, nonce=f"nonce-of-{number:06d}", recruited=Recruited(
            f"id-{number}", "prolific", "study-1", f"visit-{number}"))
        person, view = Person(Population(), 0, number), ticket.view
        where = ticket.token, ticket.epoch
        while view["screen"] != "debrief":
            if view["screen"] == "form":
                view = session.fill(*where, view["place"], _filled(view["form"], opened.store))["view"]
            elif view["screen"] == "trial":
                session.onset(*where, view["idx"], view["step"], 1.0)
                reply = person.reply(str(view["idx"]), "none", same=True, block=0, model_right=None)
                saved = session.answer(*where, Answer(view["idx"], reply.answer, f"n{number:06d}-{view['idx']:04d}",
                                                      rt_ms=reply.rt_ms, input="key"))
                view = session.confidence(*where, view["idx"], 1, reply.confidence)["view"] if saved["saved"] else view
            else:
                view = session.proceed(*where, view["gate"])
        assert view["code"] == "C0FFEE" and view["url"].startswith("https://app.prolific.com")
    desk.close()


@pytest.mark.slow
def test_the_documented_way_from_make_to_results(tmp_path, monkeypatch, capsys, request):
    config, lines = script()
    (tmp_path / "my-study.json").write_text(json.dumps(config | SMALL))
    photos = tmp_path / "photos"
    for person in ("person-070", "person-071", "person-072", "person-073"):
        shutil.copytree(QUERIES / person, photos / person)
    gallery = settings().galleries / settings().gallery
    monkeypatch.setenv("DEMO_STUDY_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    settings.cache_clear()
    request.addfinalizer(settings.cache_clear)
    said = {}
    for line in lines:
        words = shlex.split(line.replace("FOLDER", str(gallery)).replace("PHOTOS", str(photos)))
        if words[-1] == "app.py":
            given = dict(word.split("=", 1) for word in words if "=" in word)
            started = Settings.from_environment({**os.environ, **given})
            assert words[len(given):] == ["python", "app.py"] and started.operator_password == "choose-one"
            take_part(started, SMALL["planned_n"])
            continue
        assert words[:4] == ["python", "-m", "demo", "study"], line
        forced = ["--force"] if words[4] == "make" else []  # four people are too few to match
        assert main([*words[3:], *forced]) == 0, capsys.readouterr().err
        said[words[4]] = said.get(words[4], "") + capsys.readouterr().out

    registered = (tmp_path / "preregistration.md").read_text(encoding="utf-8")
    for words in ("## Hypotheses", "H1: accuracy differs", "## Exclusions", "## Analysis", "Laplace", "Holm",
                  "8 complete participants are planned", "## Fixed by hashes", "No participants of the live study"):
        assert words in registered, words
    assert "Without comparing faces" in said["make"] and "sound" in said["verify"]
    with open(tmp_path / "payments.csv", encoding="utf-8") as file:
        paid = list(csv.DictReader(file))
    assert {row["label"] for row in paid} == {f"id-{number}" for number in range(8)}
    assert {(row["status"], row["code"], row["service"]) for row in paid} == {("completed", "C0FFEE", "prolific")}
    assert "8 recruiting ids deleted" in said["payments"]
    assert "participants 8 of 8 planned" in said["summary"] and "Odds of a right answer" in said["summary"]
    with zipfile.ZipFile(tmp_path / "answers.zip") as archive:
        names = set(archive.namelist())
        everything = b"".join(archive.read(name) for name in names)
        wide = archive.read("participants_wide.csv").decode().splitlines()
        forms = list(csv.DictReader(archive.read("questionnaires.csv").decode().splitlines()))
    assert {"figures/accuracy.png", "participants_wide.csv", "questionnaires.csv"} <= names
    assert b"id-3" not in everything
    assert len(wide) == 9 and "accuracy_emd_flow" in wide[0]
    assert {(row["form"], row["item"]) for row in forms} >= {("comprehension", "task"), ("trust", "wary")}
    assert main(["study", "open", "--study", "my-study"]) == 2 and "--sure" in capsys.readouterr().err
    assert main(["study", "open", "--sure", "--study", "my-study"]) == 0  # reopened: full all the same
    assert "is open" in capsys.readouterr().out
