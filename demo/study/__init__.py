"""The human study: design → stimuli → store → session → export, as docs/method.md says. No screen is known here.

config: what a study is, as data. design: who sees what, when. stimuli: a folder of pictures and facts (made by
``make``). store: SQLite, durable and append-only. session: one participant's way through it. export: the zip.
analysis and simulate: the statistics, and participants with known effects.
"""

from demo.study.design.cells import Cell, PlanRow, cells, participant_plan
from demo.study.design.config import Exclusion, StudyConfig
from demo.study.records.store import Store
from demo.study.session.session import Answer, Device, StudySession, Ticket
from demo.study.stimuli.record import Pair, Render, Stimuli

__all__ = ["Answer", "Cell", "Device", "Exclusion", "Pair", "PlanRow", "Render", "Stimuli", "Store", "StudyConfig",
           "StudySession", "Ticket", "cells", "participant_plan"]
