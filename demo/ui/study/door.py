"""Who may see the operator's page: one password, sessions in memory, and a limit on wrong tries."""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from demo.errors import DemoError

COOKIE = "operator"
#: Seconds after which an operator has to give the password again.
LASTS = 12 * 3600
#: Wrong tries from one address, and from all together, within WINDOW seconds; then nobody is let in for the rest of it.
TRIES, TRIES_OF_ALL, WINDOW = 5, 100, 300


class WrongPassword(DemoError):
    """It is another one."""


class TooManyTries(DemoError):
    """The password was wrong too often. wait: seconds until the next try."""

    def __init__(self, wait: int):
        super().__init__(f"Too many wrong passwords: wait {wait} seconds, then try again.")
        self.wait = wait


@dataclass
class Visit:
    """An operator's session. csrf: stands in every form of the page. told: what to say once on the next page."""

    csrf: str
    ends: float
    told: str = ""


class Door:
    """password: "" = the page is off. clock: seconds, only forwards."""

    def __init__(self, password: str, clock: Callable[[], float] = time.monotonic):
        self._expected = sha256(password.encode()).digest() if password else None
        self._clock = clock
        self._guard = threading.Lock()
        self._visits: dict[bytes, Visit] = {}
        self._wrong: list[tuple[float, str]] = []

    @property
    def is_off(self) -> bool:
        return self._expected is None

    def enter(self, password: str, address: str) -> str:
        """The session's key for the right password. WrongPassword for another, TooManyTries after too many."""
        with self._guard:
            now = self._clock()
            self._wrong = [(at, who) for at, who in self._wrong if now - at < WINDOW]
            own = [at for at, who in self._wrong if who == address]
            for tries, most in ((own, TRIES), ([at for at, _ in self._wrong], TRIES_OF_ALL)):
                if len(tries) >= most:
                    raise TooManyTries(int(WINDOW - (now - tries[-most])) + 1)
            if self._expected is None or not hmac.compare_digest(sha256(password.encode()).digest(), self._expected):
                self._wrong.append((now, address))
                raise WrongPassword("That is not the password.")
            self._visits = {key: visit for key, visit in self._visits.items() if visit.ends > now}
            key = secrets.token_urlsafe(32)
            self._visits[_digest(key)] = Visit(secrets.token_urlsafe(32), now + LASTS)
            return key

    def visit(self, key: str | None) -> Visit | None:
        """The session with a key; None where there is none or it has ended."""
        with self._guard:
            found = self._visits.get(_digest(key or ""))
            return found if found is not None and found.ends > self._clock() else None

    def leave(self, key: str | None) -> None:
        """End a session."""
        with self._guard:
            self._visits.pop(_digest(key or ""), None)


def _digest(key: str) -> bytes:
    return sha256(key.encode()).digest()
