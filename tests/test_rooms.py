"""The rooms of the package: their order, and what only the top ones may know."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT

PACKAGE = ROOT / "demo"
#: Every folder and file of the package, from the bottom up. Each imports only from those before it.
ROOMS = (
    "errors", "words", "fields", "places", "files", "drawing", "weights",
    "faces", "backbones", "visibility", "matching", "crossimage", "checkpoints", "convert",
    "methods",
    "gallery", "sources", "ranking", "attack", "query", "calibration", "explain", "identify", "verdict", "verify",
    "whatif", "figures", "robustness", "evaluation",
    "settings", "presets", "study",
    "ui", "benchmarks", "cli", "__main__",
)
#: Those that read the settings of the process; all others are given what they need.
TOLD = {"ui", "benchmarks", "cli"}
#: Inside the study: room → the others that it may import from. The analysis reads the long table and nothing else.
STUDY = {"design": set(), "stimuli": {"design"}, "records": {"design", "stimuli"}, "session": {"design", "records"},
         "analysis": {"design"}}


def imports(file: Path) -> Iterator[tuple[str, str]]:
    """(module below ``demo``, imported name or "") of every import of ours, wherever it stands in the file."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file} imports relatively: write the module's whole name."
            if node.module == "demo":
                yield from ((alias.name, "") for alias in node.names)
            elif node.module.startswith("demo."):
                yield from ((node.module.removeprefix("demo."), alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name.removeprefix("demo."), "") for alias in node.names if alias.name[:5] == "demo.")


def room_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = [file for file in PACKAGE.rglob("*.py") if file.parent != PACKAGE or file.name != "__init__.py"]


def test_every_room_has_its_place_in_the_order():
    assert {room_of(file) for file in FILES} - set(ROOMS) == set()
    assert len(set(ROOMS)) == len(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_from_rooms_below(room):
    below = set(ROOMS[:ROOMS.index(room) + 1])
    wrong = [f"{file.relative_to(ROOT)} imports {module}" for file in FILES if room_of(file) == room
             for module, _ in imports(file) if (other := module.split(".")[0]) in ROOMS and other not in below]
    assert wrong == []


def test_the_study_has_rooms_that_import_in_one_direction():
    folder = PACKAGE / "study"
    assert {inside.parent.name for inside in folder.glob("*/__init__.py")} == set(STUDY)
    wrong = [f"{file.relative_to(ROOT)} imports {module} {name}" for room, below in STUDY.items()
             for file in (folder / room).rglob("*.py") for module, name in imports(file)
             if f"{module}.{name}".split(".")[0] == "study" and f"{module}.{name}".split(".")[1] not in below | {room}]
    assert wrong == []


def test_only_the_command_line_and_the_pages_read_the_settings_of_the_process():
    wrong = [str(file.relative_to(ROOT)) for file in FILES if room_of(file) not in TOLD | {"settings"}
             for module, name in imports(file) if module == "settings" and name != "Settings"]
    assert wrong == []


def test_no_room_below_the_pages_knows_gradio():
    wrong = [file for file in FILES if room_of(file) != "ui" and "import gradio" in file.read_text(encoding="utf-8")]
    assert wrong == []
