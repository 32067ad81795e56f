"""README and docs are read as a visitor would: links resolve, commands parse, and what is named is there."""

import argparse
import ast
import json
import re
import shlex
import shutil
from importlib import import_module
from itertools import product
from pathlib import Path
from urllib.parse import unquote

import pytest
from conftest import QUERIES, ROOT
from markdown_it import MarkdownIt
from test_rooms import ROOMS

from demo import cli
from demo.explain import EXPLANATIONS
from demo.fields import fields_of
from demo.methods import METHODS, Matching
from demo.methods.emd import Emd
from demo.query import Preparation
from demo.settings import Settings

PAGES = sorted(page for folder in (".", "docs", "assets", "assets/results") for page in (ROOT / folder).glob("*.md"))
#: What a path named in the text may begin with.
TOP = ("assets", "demo", "docs", "galleries", "tests", ".ci")
#: What capitals stand for in commands, where any word would not do.
CAPITALS = {"D": ["2"], "H": ["4"], "ARC": ["--backbone", "arcface", "--metrics", "paper"]}
COMMAND = re.compile(r"(?:\w+=\S+ )*(?:python -m demo|face-match) (.*)")


def tokens(page: Path) -> list:
    """The page's Markdown, front matter aside, with inline tokens in place."""
    text = re.sub(r"\A---\n.*?\n---\n", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [part for token in MarkdownIt().enable("table").parse(text) for part in (token, *(token.children or ()))]


def anchors(page: Path) -> set[str]:
    """The ids that GitHub gives to headings: small letters, digits and hyphens, repeated ones numbered."""
    found: dict[str, int] = {}
    parsed = tokens(page)
    for opened, inline in zip(parsed, parsed[1:], strict=False):
        if opened.type == "heading_open":
            words = "".join(part.content for part in inline.children if part.type in ("text", "code_inline"))
            slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
            found[slug] = found.get(slug, -1) + 1
            if found[slug]:
                found[f"{slug}-{found[slug]}"] = 0
    return set(found)


def code(page: Path) -> list[str]:
    """Every piece of code of a page, one command a line: spans, and fenced blocks that are no Python. What recipes name
    is not there yet: those are left to ``test_recipes``."""
    pieces, recipes = [], False
    for token in tokens(page):
        if token.type == "inline" and token.content in ("Recipes", "Habits"):
            recipes = token.content == "Recipes"
        if recipes:
            continue
        if token.type == "code_inline":
            pieces.append(token.content)
        elif token.type == "fence" and token.info != "python":
            lines = re.sub(r"\\\n\s*", "", token.content).splitlines()
            pieces += [part.strip() for line in lines for part in re.sub(r"(^|\s)#.*", "", line).split(" && ")]
    return pieces


def commands(page: Path) -> list[list[str]]:
    """Arguments of every ``python -m demo`` that a page shows, also where the page leaves these three words out.

    ``a|b`` are two commands; "..." stands for what was said before.
    """
    found = []
    for piece in code(page):
        named = COMMAND.match(piece := piece.partition(", then ")[0])
        words = shlex.split(named[1]) if named else piece.split()
        if not named and (len(words) < 2 or words[0] not in cli.COMMANDS):
            continue
        words = [part for word in words if word != "..." for part in CAPITALS.get(word, [word])]
        found += map(list, product(*(word.split("|") for word in words)))
    return found


def actions(parser: argparse.ArgumentParser, path: tuple[str, ...] = ()):
    """Every command and action of a parser, as the words that lead to it."""
    nested = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if path and not any(action.required for action in nested):
        yield path, parser
    for action in nested:
        for word, inner in action.choices.items():
            yield from actions(inner, (*path, word))


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module", params=PAGES, ids=name)
def page(request) -> Path:
    return request.param


def test_links_lead_somewhere(page):
    for token in tokens(page):
        target = token.attrGet("href") or token.attrGet("src")
        if not target or re.match(r"\w+:", target):
            continue
        path, _, anchor = unquote(target).partition("#")
        goal = (page.parent / path).resolve() if path else page
        assert goal.exists() and ROOT in goal.parents, f"{target} is not there"
        assert not anchor or anchor in anchors(goal), f"{target} has no such heading"


def test_commands_parse(page, capsys):
    for words in commands(page):
        try:
            assert cli._parser("").parse_args(words).run
        except SystemExit:
            pytest.fail(f"python -m demo {shlex.join(words)}: {capsys.readouterr().err.splitlines()[-1]}")


def test_options_exist(page):
    known = {option for _, parser in actions(cli._parser("")) for option in parser._option_string_actions}
    for piece in code(page):
        if piece.startswith("--"):
            assert piece.split()[0] in known, f"no command has {piece}"


def test_paths_exist(page):
    for word in (word.strip("\"',;()") for piece in code(page) for word in piece.split()):
        if word.split("/")[0] in TOP and "/" in word:
            word = re.sub(r"\$\w+", "*", word)
            assert list(ROOT.glob(word.rstrip("/"))), f"{word} is not there"


def test_names_in_the_package_exist(page):
    text = page.read_text(encoding="utf-8")
    for dotted in set(re.findall(r"`(demo(?:\.\w+)+)", text)):
        assert resolve(dotted) is not None, f"{dotted} is not there"


def test_python_shown_can_be_read(page):
    blocks = python_of(page)
    blocks += [shlex.split(piece)[2] for piece in code(page) if piece.startswith("python -c ")]
    for block in blocks:
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "demo":
                for imported in node.names:
                    assert resolve(f"{node.module}.{imported.name}") is not None, imported.name


def python_of(page: Path) -> list[str]:
    return [token.content for token in tokens(page) if token.type == "fence" and token.info == "python"]


@pytest.mark.slow
def test_the_python_of_its_page_runs(app_url, tmp_path, monkeypatch, capsys):
    """From top to bottom, as a reader would type it who has started the app."""
    shutil.copy(QUERIES / "person-077" / "04.jpg", tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for number, block in enumerate(python_of(ROOT / "docs" / "python.md"), start=1):
        code = block.replace("http://127.0.0.1:7860", app_url)
        exec(compile(code, f"docs/python.md, block {number}", "exec"), names)
    assert names["best"].identity == "person-077" and json.loads(names["answer"])["stage2"]
    said = capsys.readouterr().out
    assert "Unknown alteration 'hat'" in said and names["unfit"].reason in said
    for known in (*METHODS.values(), *EXPLANATIONS.values()):
        assert known.title in said
    for field in (field for options in (Preparation, Matching, Emd.Options) for field in fields_of(options)):
        assert f"{field.key} ({field.title})" in said


def resolve(dotted: str):
    """The module or attribute of a dotted name; None where there is none."""
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found = import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            found = getattr(found, part, None)
        return found
    return None


def test_every_command_is_documented():
    shown = [words for page in PAGES for words in commands(page)]
    for path, _ in actions(cli._parser("")):
        assert any(tuple(words[:len(path)]) == path for words in shown), f"{' '.join(path)} is in no page"


def test_every_setting_is_documented():
    hosting = (ROOT / "docs" / "hosting.md").read_text(encoding="utf-8")
    for field in Settings.__dataclass_fields__:
        assert f"`DEMO_{field.upper()}`" in hosting


def test_the_map_shows_every_room_in_the_order_that_holds():
    drawn = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("\ndemo/\n")[1].split("\nassets/")[0]
    shown = re.findall(r"(?<=[ ]{2})(\w+)(?:/|\.py)(?=\s)", "\n  ".join(drawn.splitlines()))
    assert shown == [room for room in ROOMS[::-1] if not room.startswith("_")]


def test_the_readme_begins_as_promised():
    """Spaces read the front matter; the two commands are what every instruction builds on."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    front = dict(line.split(": ", 1) for line in readme.split("---")[1].strip().splitlines())
    assert front["sdk"] == "gradio" and (ROOT / front["app_file"]).is_file()
    wanted = re.search(r"^gradio>=(\d+\.\d+),", (ROOT / "requirements.txt").read_text(), re.MULTILINE)[1]
    assert front["sdk_version"].startswith(f"{wanted}.")
    assert ("```\npip install -r requirements.txt && python app.py\n"
            "pip install -r tests/requirements.txt && python -m pytest\n```") in readme
