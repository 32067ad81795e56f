"""How faithful an explanation was measured to be, in a few words beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from demo.errors import BadSetting
from demo.files import write_whole
from demo.methods import METHODS
from demo.places import ASSETS

#: What ``evaluate faithfulness --keep`` writes: backbone → set → board. It comes with the app.
FILE = ASSETS / "results" / "faithfulness.json"


@dataclass(frozen=True)
class Badge:
    """possible, centre: shares of what is possible, of the explanation and of taking the centre first; the random order
    is at 0. passes: whether it beat both and reached 60 % on every set of its kind. covered: measured on covered faces.
    """

    method: str
    possible: float
    centre: float
    passes: bool
    covered: bool

    @property
    def text(self) -> str:
        """One line."""
        kind = "masked" if self.covered else "bare"
        return (f"faithful to {_called(self.method)}: {self.possible:.0%} of what is possible on {kind} faces (random "
                f"0, centre first {100 * self.centre:.0f})").replace("%", " %")

    def as_json(self) -> dict:
        return {"text": self.text, "possible": self.possible, "centre": self.centre, "passes": self.passes,
                "covered": self.covered}


def badge(explanation: str, method: str, backbone: str, covered: bool) -> Badge | None:
    """What was measured of an explanation of a method's distance; covered: on faces under masks. None where nothing
    was. Of several sets the one where it did worst."""
    rows = [row for board in boards().get(backbone, {}).values() if bool(board["covered"]) == covered
            for row in board["rows"] if (row["explanation"], row["method"]) == (explanation, method)]
    if not rows:
        return None
    worst = min(rows, key=lambda row: row["possible"]["mean"])
    return Badge(method, worst["possible"]["mean"], worst["centre"], all(row["passes"] for row in rows), covered)


def _called(method: str) -> str:
    short = METHODS[method].short
    return f"the {short}" if short.isupper() else f"\u201c{short}\u201d"


def keep(path: Path, backbone: str, name: str, board: Mapping) -> None:
    """Put what was measured on one set of photos into a file, in place of what it said of that set."""
    known = {} if not path.exists() else _read(path)
    known.setdefault(backbone, {})[name] = board
    write_whole(path, json.dumps(known, indent=1).encode())


def boards() -> dict[str, dict[str, Mapping]]:
    """What comes with the app: backbone → set of photos → board; empty where nothing does."""
    return _boards(FILE)


@cache
def _boards(path: Path) -> dict:
    return _read(path) if path.exists() else {}


def _read(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadSetting(f"{path} cannot be read ({error}): delete it.") from None
