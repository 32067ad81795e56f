"""What a terminal, or a file that output is sent to, can hold."""

from __future__ import annotations

import codecs
import io
import sys

#: Signs of ours that older code pages lack, and what stands for them.
_PLAIN = {**dict(zip("▲▼−", "^v-", strict=True)), "→": "->", "α": "alpha"}


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    """What cannot be written as JSON writes it, which readers of JSON turn back into the same letter."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = "".join(_PLAIN.get(letter) or _escaped(letter) for letter in error.object[error.start:error.end])
    return text, error.end


def _escaped(letter: str) -> str:
    units = letter.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def stand_any_letter() -> None:
    """Let standard output and error write letters that their encoding lacks, by stand-ins."""
    codecs.register_error("stand-in", _stand_in)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="stand-in")
