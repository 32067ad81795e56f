"""The notebooks in ``docs/`` as a reader runs them, cell by cell, without Jupyter: none raises, and what is printed is
what they show, numbers aside."""

import ast
import json
import re
import shutil
from base64 import b64decode
from contextlib import redirect_stdout
from io import BytesIO, StringIO

import pytest
from conftest import BUNDLED, ROOT
from PIL import Image
from test_docs import anchors

pytestmark = pytest.mark.slow

NOTEBOOKS = sorted((ROOT / "docs").glob("*.ipynb"))
PEOPLE = sorted(BUNDLED.glob("person-*"))
#: Bytes of a notebook with its outputs, and pictures in it.
MOST, PICTURES = 400_000, 2


@pytest.fixture(params=NOTEBOOKS, ids=lambda file: file.stem)
def cells(request) -> list[dict]:
    return json.loads(request.param.read_text(encoding="utf-8"))["cells"]


def source(cell: dict) -> str:
    return "".join(cell["source"])


def stored(cell: dict, kind: str) -> list[str]:
    """What the notebook keeps of a kind of a cell's outputs."""
    if kind == "text":
        return ["".join(one["text"]) for one in cell["outputs"] if one["output_type"] == "stream"]
    return ["".join(one["data"][kind]) for one in cell["outputs"] if kind in one.get("data", {})]


def run(cell: dict, number: int, names: dict):
    """Run a cell; what it prints, and the value of its last line if that is an expression: what Jupyter shows."""
    tree, printed, value = ast.parse(source(cell)), StringIO(), None
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    with redirect_stdout(printed):
        exec(compile(tree, f"cell {number}", "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), names)
    return printed.getvalue(), value


def words(text: str) -> str:
    """Text without what may differ from machine to machine: numbers, and the spaces that line them up."""
    return re.sub(r"\s+", " ", re.sub(r"[+-]?\d+(\.\d+)?", "#", text)).strip()


def test_there_are_two():
    assert [file.stem for file in NOTEBOOKS] == ["explain-one-match", "measure-your-own-photos"]


def test_every_cell_runs(cells, tmp_path, monkeypatch, one_thread):
    monkeypatch.chdir(tmp_path)
    for folder in PEOPLE[-5:]:  # "your folder", smaller than the one that is made where there is none
        shutil.copytree(folder, tmp_path / "people" / folder.name)
    monkeypatch.setattr("demo.gallery.first_use.user_cache", lambda: tmp_path / "cache")
    names: dict = {"__name__": "__main__"}
    for number, cell in enumerate(cells, start=1):
        if cell["cell_type"] != "code":
            continue
        printed, value = run(cell, number, names)
        assert words(printed) == words("".join(stored(cell, "text"))), f"cell {number} shows something else"
        pictures = stored(cell, "image/png")
        assert isinstance(value, Image.Image) == bool(pictures), f"cell {number} shows another picture"
        if pictures:
            kept = Image.open(BytesIO(b64decode(pictures[0])))
            assert kept.size == value.size, f"cell {number} shows another picture"


def test_without_a_folder_there_is_one_to_try(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cells = json.loads((ROOT / "docs" / "measure-your-own-photos.ipynb").read_text(encoding="utf-8"))["cells"]
    run(next(cell for cell in cells if cell["cell_type"] == "code"), 1, {})
    assert [folder.name for folder in sorted((tmp_path / "people").iterdir())] == [one.name for one in PEOPLE[-8:]]


def test_what_is_stored_is_small_and_tells_nothing_of_a_machine(cells, request):
    file = ROOT / "docs" / f"{request.node.callspec.id}.ipynb"
    assert file.stat().st_size < MOST
    assert sum(len(stored(cell, "image/png")) for cell in cells if cell["cell_type"] == "code") <= PICTURES
    kinds = {kind for cell in cells for one in cell.get("outputs", []) for kind in one.get("data", {})}
    assert kinds <= {"text/plain", "image/png"}
    for cell in cells:
        for text in [source(cell), *(stored(cell, "text") if cell["cell_type"] == "code" else [])]:
            assert not re.search(r"(^|[\s\"'(])/(home|Users|tmp|work|root)/|[A-Z]:\\", text)


def test_links_lead_somewhere(cells):
    told = "".join(source(cell) for cell in cells if cell["cell_type"] == "markdown")
    links = re.findall(r"\]\(([^)#]+)#?([^)]*)\)", told)
    assert links
    for target, anchor in links:
        goal = ROOT / "docs" / target
        assert goal.is_file() and (not anchor or anchor in anchors(goal)), f"{target}#{anchor} is not there"


def test_a_reader_finds_every_output_in_order(cells):
    """As after *Run all*: cells are numbered from 1, and nothing that was printed is an error."""
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert all(one["output_type"] != "error" for cell in code for one in cell["outputs"])
