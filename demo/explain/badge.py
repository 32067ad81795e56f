"""How faithful an explanation was measured to be, in a few words beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from demo.errors import BadSetting
from demo.files import write_whole
from demo.methods import METHODS, STAGE1
from demo.methods.emd import Emd
from demo.places import ASSETS

#: What ``evaluate faithfulness --keep`` writes: backbone → set → board. It comes with the app.
FILE = ASSETS / "results" / "faithfulness.json"
#: What is worn → the faces on which it was measured.
_FACES = {"": "unaltered faces", "mask": "masked faces"}


@dataclass(frozen=True)
class Badge:
    """possible, centre: shares of what is possible, of the explanation and of taking the centre first; random orders
    are at 0. passes: whether it beat both and reached 60 % on every set of its kind. All three are None where nothing
    was measured. worn: what the faces wear that it is about, "" for nothing.
    """

    method: str
    worn: str = ""
    possible: float | None = None
    centre: float | None = None
    passes: bool | None = None

    @property
    def text(self) -> str:
        """One line."""
        kind = _FACES.get(self.worn, f"faces with {self.worn}")
        if self.possible is None or self.centre is None:
            return f"not measured: how faithful it is to {_called(self.method)} on {kind}"
        return (f"faithful to {_called(self.method)}: {self.possible:.0%} of what is possible on {kind} (random "
                f"0, centre first {100 * self.centre:.0f})").replace("%", " %")

    @property
    def short(self) -> str:
        """Fewer words, for a narrow place."""
        if self.possible is None:
            return "faithfulness not measured"
        reached = "all" if self.possible >= 1 else f"{100 * self.possible:.0f}\u00a0%"
        return f"faithful: {reached} of what is possible"

    def as_json(self) -> dict:
        return {"text": self.text, "short": self.short, "possible": self.possible, "centre": self.centre,
                "passes": self.passes}


def badge(explanation: str, method: str, backbone: str, worn: str = "") -> Badge:
    """What was measured of an explanation of a method's distance on faces that wear this, "" for nothing, "mask" for a
    drawn or a real one. Of several sets the one where it did worst."""
    measured = [board for board in boards().get(backbone, {}).values() if bool(board["covered"]) == bool(worn)]
    rows = [row for board in measured if worn in _FACES
            for row in board["rows"] if (row["explanation"], row["method"]) == (explanation, method)]
    if not rows:
        return Badge(method, worn)
    worst = min(rows, key=lambda row: row["possible"]["mean"])
    return Badge(method, worn, worst["possible"]["mean"], worst["centre"], all(row["passes"] for row in rows))


def _called(method: str) -> str:
    short = METHODS[method].short
    return "the EMD" if method == Emd.word else f"the {short.lower()}" if method == STAGE1.word else short


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
