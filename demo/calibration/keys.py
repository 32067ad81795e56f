"""What is measured, and the name of an array of it."""

from __future__ import annotations

from demo.faces import OCCLUSIONS
from demo.methods import Method

#: STRANGERS: of sampled photos the distances of their nearest strangers. PAIRS: of pairs of one person's photos, and of
#: strangers'.
STRANGERS, PAIRS = "strangers", "pairs"
PLAIN = "plain"
#: How the photos were altered; nothing else is measured.
KINDS = (PLAIN, *OCCLUSIONS)


def array_key(section: str, method: Method, *rest: str) -> str:
    """Where an array of a method at its default options stands."""
    return "/".join((section, method.word, method.key[:12], method.setting() or "-", *rest))


def named(kind: str | None) -> str:
    """An alteration in running text."""
    return "unaltered" if kind in (None, PLAIN) else OCCLUSIONS[kind].title.lower()
