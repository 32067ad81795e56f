"""Who may see the operator's page: one password, sessions in memory, and wrong tries slowed down."""

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
#: A browser from which somebody has signed in before; it is not slowed down by what others try.
KNOWN = "operator-known"
#: Seconds after which an operator has to give the password again, and for which a browser stays known.
LASTS, REMEMBERS = 12 * 3600, 365 * 24 * 3600
#: So many wrong tries within WINDOW seconds are answered at once. After that nobody is shut out, but tries are looked
#: at one by one, PAUSE seconds apart: from one address (or known browser), and from all strangers together.
TRIES, TRIES_OF_ALL, WINDOW, PAUSE = 5, 100, 300, 2.0


class WrongPassword(DemoError):
    """It is another one."""


class TooManyTries(DemoError):
    """This try came too soon after wrong ones and was not looked at. wait: seconds until the next."""

    def __init__(self, wait: int):
        super().__init__(f"There were several wrong passwords: wait {wait} seconds, then try again.")
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
        self._looked: dict[str, float] = {}

    @property
    def is_off(self) -> bool:
        return self._expected is None

    def enter(self, password: str, address: str, known: str = "") -> str:
        """The session's key for the right password. WrongPassword for another, TooManyTries where wrong ones came
        before and this one too soon. known: what ``remember`` gave this browser."""
        with self._guard:
            now = self._clock()
            is_known = self._recognises(known)
            who = known if is_known else address
            self._wrong = [(at, one) for at, one in self._wrong if now - at < WINDOW]
            self._looked = {one: at for one, at in self._looked.items() if now - at < PAUSE}
            own = [at for at, one in self._wrong if one == who]
            strangers = [at for at, one in self._wrong if not self._recognises(one)]
            for one, tries, most in ((who, own, TRIES), ("", [] if is_known else strangers, TRIES_OF_ALL)):
                if len(tries) >= most and one in self._looked:
                    raise TooManyTries(int(PAUSE - (now - self._looked[one])) + 1)
            self._looked |= {who: now} | ({} if is_known else {"": now})
            if self._expected is None or not hmac.compare_digest(sha256(password.encode()).digest(), self._expected):
                self._wrong.append((now, who))
                raise WrongPassword("That is not the password.")
            self._visits = {key: visit for key, visit in self._visits.items() if visit.ends > now}
            key = secrets.token_urlsafe(32)
            self._visits[_digest(key)] = Visit(secrets.token_urlsafe(32), now + LASTS)
            return key

    def remember(self) -> str:
        """A mark for a browser from which somebody has signed in; it opens nothing. Another password voids it."""
        drawn = secrets.token_urlsafe(16)
        return f"{drawn}.{self._mark(drawn)}"

    def _recognises(self, known: str) -> bool:
        drawn, _, mark = known.partition(".")
        return bool(mark) and self._expected is not None and hmac.compare_digest(mark.encode(),
                                                                                 self._mark(drawn).encode())

    def _mark(self, drawn: str) -> str:
        return hmac.new(b"known" + (self._expected or b""), drawn.encode(), sha256).hexdigest()

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
