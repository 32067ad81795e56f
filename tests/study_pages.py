"""A small study on disk and the pages that serve it, for the tests of /study and /operator."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fastapi import FastAPI
from studies import SMALL, fake_stimuli

from demo.settings import Settings
from demo.ui.study.api import study_routes
from demo.ui.study.desk import StudyDesk
from demo.ui.study.operator import operator_routes

PASSWORD = "correct horse <battery>"
#: Two test pairs and one practice pair in each of four blocks, all with confidence.
TINY = replace(SMALL, pairs_per_set=2, planned_n=2)


def served(folder: Path, config=TINY, **settings) -> tuple[FastAPI, StudyDesk]:
    """The study's and the operator's routes on a study under ``folder``, without the rest of the app."""
    stimuli = fake_stimuli(folder / "study", config, files=True)
    stimuli.write()
    (folder / "study" / "study.json").write_text(config.to_json())
    chosen = Settings(study=folder / "study", study_dir=folder / "data", **{"operator_password": PASSWORD, **settings})
    desk = StudyDesk(chosen)
    routes = [*study_routes(desk), *operator_routes(desk, chosen)]
    return FastAPI(routes=routes, lifespan=desk.lifespan), desk
