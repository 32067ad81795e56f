"""What is kept of each visitor's session: the states that the pages declare. And what an idle app gives back.

Gradio keeps more: a description of every component with what it last showed, pictures and all, for links that open a
copy of a session. There are none here, so that nobody pays for it, in bytes or at the first call of each visitor.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

from gradio import state_holder

#: Seconds without an answer after which memory that nobody uses is given back.
IDLE = 60.0


class _Nothing(dict):
    """Takes every description and keeps none."""

    def __contains__(self, _: object) -> bool:
        return True

    def __getitem__(self, _: object) -> Any:
        return {}

    def __setitem__(self, *_: object) -> None:
        pass


class Session(state_holder.SessionState):
    """A session without descriptions of its components."""

    def __init__(self, blocks):
        super().__init__(SimpleNamespace(default_config=blocks.default_config, blocks=()))  # pyright: ignore
        self.config_values = _Nothing()

    def _update_config(self, key: int) -> None:
        pass


def lean_sessions() -> None:
    """Let Gradio open sessions of this kind from now on, and keep no statistics of calls: it would make them anew after
    each call, of up to 10,000 others, for a page that is shut here."""
    state_holder.SessionState = Session  # pyright: ignore[reportAttributeAccessIssue]
    os.environ |= {"GRADIO_ANALYTICS_MAX_EVENTS": "1", "GRADIO_ANALYTICS_CACHE_FREQUENCY": str(sys.maxsize)}


class Tidy:
    """Cleans up whenever nothing has changed between two looks and something has since it last did, and does what is
    quick of it where something changes all the time. state: what changes with every answer, and with every one that is
    forgotten."""

    def __init__(self, state: Callable[[], object], clean: Callable[[], object], quick: Callable[[], object]):
        self._state, self._clean, self._quick = state, clean, quick
        self._seen = self._cleaned = state()

    def look(self) -> None:
        now = self._state()
        if now != self._seen:
            self._quick()
        elif now != self._cleaned:
            self._clean()
            self._cleaned = now
        self._seen = now

    def in_background(self, every: float = IDLE) -> None:
        """Look every so many seconds, until the process ends."""

        def work() -> None:
            while True:
                time.sleep(every)
                self.look()

        threading.Thread(target=work, name="tidy", daemon=True).start()


def give_back() -> None:
    """Free what is held in circles, for which everybody waits a moment, and trim."""
    gc.collect()
    trim()


def trim() -> None:
    """Return to the system what the allocator keeps for later. glibc keeps much: arrays of answers that are gone lie
    between those that stay."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)
