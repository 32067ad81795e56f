"""The house: a method is known in demo/methods, an explanation in demo/explain, and nowhere else."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT

from demo.explain import EXPLANATIONS, VIEWS
from demo.methods import METHODS

#: Stored formats and data about the papers, where a word is a name in a file: place → (words, why).
ALLOWED = {
    "demo/identify.py": ({"cosine"}, "key of the answer's JSON"),
    "demo/evaluation/report/paper.py": (set(METHODS), "the papers' numbers, by the report's stored names"),
    "demo/evaluation/report/items.py": (set(METHODS), "the papers' items, by the report's stored names"),
    "demo/evaluation/report/plots.py": ({"v"}, "a mark of matplotlib"),
    "demo/weights/registry.py": (set(METHODS), "names of published weights files"),
    "demo/checkpoints.py": (set(METHODS), "names of published weights files"),
    "assets/ui/inspector.js": ({"h2"}, "heading of the page"),
    "assets/ui/study.js": ({"h1", "h2"}, "headings of the page"),
    "assets/ui/study-trial.js": ({"h1", "h2"}, "headings of the page"),
}


def strings(file: Path) -> Iterator[tuple[int, str]]:
    """String constants of a Python file that are no docstring, or literals of a script."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".js":
        for number, line in enumerate(text.splitlines(), start=1):
            for found in re.finditer(r"""(["'`])((?:\\.|(?!\1).)*)\1|\b(\w+):""", re.sub(r"(^|\s)//.*", "", line)):
                yield number, found.group(2) or found.group(3) or ""
        return
    tree = ast.parse(text)
    named = [node for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"]
    exported = {id(one) for node in named
                for one in ast.walk(node.value)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in exported:
            yield node.lineno, node.value


def strays(words: set[str], room: str, *, files=None) -> list[str]:
    """Where one of the words stands as a string outside a room."""
    everywhere = files or [*(ROOT / "demo").rglob("*.py"), *(ROOT / "assets" / "ui").glob("*.js"), ROOT / "app.py"]
    found = []
    for file in everywhere:
        place = file.relative_to(ROOT).as_posix()
        if place.startswith(f"demo/{room}/"):
            continue
        allowed = ALLOWED.get(place, (set(), ""))[0]
        found += [f"{place}:{line}: {text}" for line, text in strings(file) if text in words - allowed]
    return found


def test_no_method_is_named_outside_its_room():
    assert strays(set(METHODS), "methods") == []


def test_no_explanation_is_named_outside_its_room():
    """Words that mean something else as well (a kind of result, a tab, a CSS class) are told apart by the registry:
    only those of explanations that are no kind or tab are looked for in texts of pages."""
    plain = set(EXPLANATIONS) - set(VIEWS)
    assert plain and strays(plain, "explain") == []


def test_the_search_finds_a_word(tmp_path):
    stray = tmp_path / "stray.js"
    stray.write_text('const x = { h2l: 1 }; // "emd"\nif (name === "emd") go();\n')
    assert [text for _, text in strings(stray) if text in METHODS] == ["h2l", "emd"]
    stray = tmp_path / "stray.py"
    stray.write_text('"""emd"""\nif x == "h1":\n    pass\n')
    assert [text for _, text in strings(stray) if text in METHODS] == ["emd", "h1"]


@pytest.mark.parametrize("room", ["methods", "explain"])
def test_one_file_each(room):
    """Every method and every explanation has a file of its own."""
    table = METHODS.values() if room == "methods" else set(map(type, EXPLANATIONS.values()))
    modules = [one.__module__ for one in table]
    assert len(set(modules)) == len(modules) and all(name.startswith(f"demo.{room}.") for name in modules)
