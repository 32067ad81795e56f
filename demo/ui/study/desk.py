"""The study that this app runs: opened when somebody first asks for it, and shared by all pages."""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.concurrency import run_in_threadpool

from demo.errors import DemoError
from demo.settings import Settings
from demo.study import Stimuli, Store, StudySession
from demo.study.analysis.summary import summarise
from demo.study.design.config import StudyConfig
from demo.study.design.texts import ready_texts
from demo.study.records.export import long_rows
from demo.study.records.sync import Mirror, database_of, open_kept, target_of
from demo.study.stimuli.record import CONFIG, read_study

log = logging.getLogger("demo")


@dataclass
class OpenStudy:
    """A study in use. mirror: what sends copies elsewhere, if the settings ask for it."""

    config: StudyConfig
    stimuli: Stimuli
    store: Store
    session: StudySession
    mirror: Mirror | None
    _kept: dict[tuple, tuple[int, Any]] = field(default_factory=dict, repr=False)
    _busy: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def once(self, key: tuple, make: Callable[[], Any]) -> Any:
        """What ``make`` gives, made again only after something new has been recorded. One is made at a time."""
        with self._busy:
            with self.store.read() as db:
                now = db.execute("SELECT coalesce(max(ev_id), 0) FROM event").fetchone()[0]
            known = self._kept.get(key)
            if known is None or known[0] != now:
                known = self._kept[key] = now, make()
            return known[1]

    def summary(self, *, peek: bool, preview: bool) -> dict:
        """``demo.study.analysis.summary.summarise`` of the answers so far. preview: those of preview and pilot too."""
        return self.once(("summary", peek, preview), lambda: summarise(
            list(long_rows(self.store)), planned_n=self.config.planned_n, peek=peek, include_preview=preview))


class StudyDesk:
    """Opens the study of the settings once; nothing is opened, and no file made, before the first ``study``."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self._guard = threading.Lock()
        self._open: OpenStudy | None = None

    def study(self) -> OpenStudy:
        """The open study. BadStudy or NotSaved where it cannot be opened; the next call tries again."""
        with self._guard:
            if self._open is None:
                config, stimuli = read_study(self.settings.study)
                target = target_of(self.settings)
                store = open_kept(database_of(self.settings, config), config, stimuli, target)
                mirror = Mirror(store, target, self.settings.study_minutes) if target else None
                self._open = OpenStudy(config, stimuli, store, StudySession(store), mirror)
                atexit.register(self.close)
            return self._open

    def texts(self) -> dict[str, str]:
        """What participants read, by the study's folder alone, before anything is opened; English where it cannot be
        read."""
        try:
            return StudyConfig.read(self.settings.study / CONFIG).texts
        except DemoError:
            return ready_texts("en")

    def close(self) -> None:
        """Send the last copy and close the database; a later ``study`` opens it again."""
        with self._guard:
            opened, self._open = self._open, None
        if opened is not None:
            atexit.unregister(self.close)
            if opened.mirror is not None:
                opened.mirror.close()
            opened.store.close()

    @asynccontextmanager
    async def lifespan(self, app) -> AsyncIterator[None]:
        """For the web server: the study is closed with it."""
        yield
        await run_in_threadpool(self.close)
