"""The report: nothing of the papers is forgotten, runs go on where they stopped, and every file says the same."""

import html
import json
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from conftest import QUERIES, ROOT

from demo import cli
from demo.calibration import Calibration, Strangers, Threshold, Unfit
from demo.cli.evaluate import report as command
from demo.errors import BadSetting
from demo.evaluation import leave_one_out, spread
from demo.evaluation.datasets import drawn_pairs
from demo.evaluation.report import SECTIONS, Document, Source, kept_beside, make_report
from demo.evaluation.report.content import Dots, Lines
from demo.evaluation.report.html_page import parts
from demo.evaluation.report.items import ITEMS
from demo.evaluation.report.markdown import markdown
from demo.evaluation.report.paper import PUBLISHED
from demo.evaluation.report.plots import svg
from demo.evaluation.report.run import section_key
from demo.evaluation.store import FeatureStore
from demo.evaluation.verdicts import MISTAKES
from demo.gallery import Gallery
from demo.identify import Identifier
from demo.methods import METHODS
from demo.settings import settings
from demo.ui.pages.results import SHIPPED, ResultHandlers

pytestmark = pytest.mark.slow
badges = import_module("demo.explain.badge")  # the package has a function of this name

#: Every table and figure with results in chapter 5 of the dissertation (docs/method.md).
TABLES = {"5.1", "5.2", "5.3", "5.4", "5.5", "5.7", "5.8", "5.9", "5.10", "5.11", "5.12", "5.14"}


def test_nothing_of_the_papers_is_forgotten():
    assert {number for item in ITEMS for number in re.findall(r"Tab (5\.\d+)", item.paper)} >= TABLES
    assert any("Fig 5.8" in item.paper for item in ITEMS)
    assert {number for one in PUBLISHED for number in re.findall(r"5\.\d+", one.item)} == TABLES - {"5.1"}
    assert {one.section for one in PUBLISHED} | {item.section for item in ITEMS} <= {*SECTIONS, ""}


@pytest.mark.parametrize("words", [*(item.command.partition(", then")[0] for item in ITEMS),
                                   *(section.command for section in SECTIONS.values())])
def test_every_command_exists(words):
    assert cli._parser("").parse_args(shlex.split(words)).run


def test_published_numbers_are_those_of_the_papers():
    """Spot checks against the text, one of each table."""
    known = {(one.item.split()[-1], one.data, one.alteration, one.backbone, one.method): one.values
             for one in PUBLISHED}
    assert known["5.2", "lfw", "crop", "ArcFace", "EMD apc 8x8"] == {"P@1": 96.16, "RP": 76.60, "MAP@R": 74.57}
    assert known["5.3", "lfw", "crop", "ArcFace", "EMD at Stage 1, apc"] == {"P@1": 55.53, "seconds": 729.20}
    assert known["5.4", "agedb", "crop", "FaceNet", "EMD apc 8x8"] == {"P@1": 86.74}
    assert known["5.14", "agedb", "sunglasses", "ArcFace", "H2L"] == {
        "P@1": 86.75, "RP": 51.16, "MAP@R": 44.88, "seconds": 33.01}


@pytest.fixture
def workshop(people, tmp_path, monkeypatch):
    """Settings whose bundled gallery is four people, with three query photos."""
    shutil.move(people, tmp_path / "galleries" / "synthetic-people")
    for person in ("person-001", "person-002", "person-003"):
        photo = next((QUERIES / person).glob("*.jpg"))
        (tmp_path / "queries" / person).mkdir(parents=True)
        shutil.copy(photo, tmp_path / "queries" / person / photo.name)
    monkeypatch.setenv("DEMO_GALLERIES", str(tmp_path / "galleries"))
    monkeypatch.setenv("DEMO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(command, "QUERIES", tmp_path / "queries")
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


class Tables(HTMLParser):
    """The cells of every table of a page."""

    def __init__(self, text: str):
        super().__init__()
        self.tables, self.cell = [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.cell = ""

    def handle_data(self, data):
        if self.cell is not None:
            self.cell += data

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.tables[-1][-1].append(self.cell)
            self.cell = None


def printed(cell) -> str:
    """A cell of results.json as the pages show it: text, a number, or a number with its interval."""
    if isinstance(cell, list):
        return f"{cell[0]:.2f} ({cell[1]:.1f} to {cell[2]:.1f})"
    return cell if isinstance(cell, str) else f"{cell:.2f}"


def test_a_report_is_written_goes_on_and_says_the_same_everywhere(workshop, monkeypatch, capsys):
    out = workshop / "out"
    words = ["evaluate", "report", "--out", str(out), "--only", "bound", "solver", "--device", "cpu",
             "--data", f"Four & more={workshop / 'galleries' / 'synthetic-people'}"]
    solver, bound = SECTIONS["solver"], SECTIONS["bound"]

    def stopped(source, kinds):
        raise KeyboardInterrupt

    def never(source, kinds):
        raise AssertionError("measured again")

    monkeypatch.setitem(SECTIONS, "solver", SimpleNamespace(**{**vars(solver), "measure": stopped}))
    assert cli.main(words) == 130 and not out.exists()
    kept = sorted((workshop / "cache" / "report").iterdir())
    assert len(kept) == 2  # both data sets of the first section
    monkeypatch.setitem(SECTIONS, "bound", SimpleNamespace(**{**vars(bound), "measure": never}))
    monkeypatch.setitem(SECTIONS, "solver", solver)
    assert cli.main(words) == 0
    monkeypatch.setitem(SECTIONS, "solver", SimpleNamespace(**{**vars(solver), "measure": never}))
    assert cli.main(words) == 0
    assert "Transport solvers: Four & more (measured before)" in capsys.readouterr().err

    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    page, text = ((out / name).read_text(encoding="utf-8") for name in ("report.html", "report.md"))
    shown = Tables(page).tables
    for section in results["sections"]:
        assert [found["data"] for found in section["findings"]] == ["Synthetic people", "Four & more"]
        for found in section["findings"]:
            for table in found["tables"]:
                cells = [table["columns"], *(list(map(printed, row)) for row in table["rows"])]
                assert cells in shown
                assert all(f"| {' | '.join(row)} |" in text for row in cells)
    counted = results["data"][1]
    assert (counted["photos"], counted["people"], counted["queries"]) == (8, 4, 8)
    assert page.count("<img ") == len(list((out / "plots").glob("*.svg"))) == text.count("](plots/")
    for file in out.rglob("*.*"):
        assert not re.search(rf"{re.escape(str(workshop))}|{re.escape(str(ROOT))}|{Path.home()}/",
                             file.read_text(encoding="utf-8")), file.name
    assert "Four &amp; more" in page and "--data 'Four & more=FOLDER'" in text


#: Prints what the features of a photo and a section of the report are kept under. Its arguments: a photo, a section.
KEYS = """
import sys
from pathlib import Path
from types import SimpleNamespace
import torch
from demo.evaluation.report.run import section_key
from demo.evaluation.report.sections import SECTIONS
from demo.evaluation.report.source import Scale
from demo.evaluation.store import FeatureStore
from demo.query import Preparation
backbone = SimpleNamespace(name="dlib", weights_sha256="0", device=torch.device("cpu"),
                           info=SimpleNamespace(folder=None))
identifier = SimpleNamespace(backbone=backbone, gallery=SimpleNamespace(sha256="1"), ready=dict)
source = SimpleNamespace(identifier=identifier, photos=None, other=False, scale=Scale(),
                         dataset=None, chosen=lambda kinds: ["2"],
                         kinds=lambda name, every: every)
keys = (FeatureStore(None, backbone).key(Path(photo), Preparation(alteration="mask")),
        section_key(SECTIONS[name], source))
"""


def keys(name: str) -> tuple[str, str]:
    known = {"photo": str(QUERIES / "person-001" / "04.jpg"), "name": name}
    exec(KEYS, known)
    return known["keys"]


def test_a_docstring_measures_nothing_again(tmp_path):
    shutil.copytree(ROOT / "demo", tmp_path / "demo", ignore=shutil.ignore_patterns("__pycache__"))
    for file in (tmp_path / "demo").rglob("*.py"):
        file.write_text(file.read_text(encoding="utf-8") + "\n# A word more.\n", encoding="utf-8")
    section = tmp_path / "demo" / "evaluation" / "report" / "sections.py"
    text = section.read_text(encoding="utf-8")
    section.write_text(text.replace("What the papers left open", "What was left open"), encoding="utf-8")
    script = f"photo = {str(QUERIES / 'person-001' / '04.jpg')!r}\nname = 'beyond'\n{KEYS}\nprint(*keys)"
    told = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert tuple(told.stdout.split()) == keys("beyond")


@pytest.mark.parametrize(("version", "features", "section"), [
    ("demo.faces.VERSION", True, True), ("demo.backbones.VERSION", True, True), ("demo.query.VERSION", True, True),
    ("demo.attack.VERSION", False, True),  # no attack made these features; some section's it may have
    ("demo.methods.VERSION", False, True), ("demo.evaluation.versions.VERSION", False, True)])
def test_a_version_that_is_raised_measures_again(version, features, section, monkeypatch):
    before = keys("bound")
    monkeypatch.setattr(version, 99)
    after = keys("bound")
    assert (before[0] != after[0], before[1] != after[1]) == (features, section)


def test_a_section_is_measured_again_when_it_or_its_settings_change(monkeypatch):
    before, other = keys("k"), keys("solver")
    for change in ({"version": 99}, {"varies": (50, 75)}, {"kinds": ("crop",)}):
        monkeypatch.setitem(SECTIONS, "k", replace(SECTIONS["k"], **change))
        assert keys("k")[0] == before[0] and keys("k")[1] != before[1] and keys("solver") == other
        monkeypatch.undo()
    monkeypatch.setitem(SECTIONS, "k", replace(SECTIONS["k"], text="Other words.", title="Other title"))
    assert keys("k") == before


def test_a_section_is_measured_again_when_queries_are_chosen_otherwise(people, backbone, tmp_path, monkeypatch):
    small = Identifier(backbone, Gallery.build(people, backbone, tmp_path / "index"))

    def key(**more) -> str:
        source = Source("people", lambda name: small, lambda one: FeatureStore(None, backbone), "dlib", **more)
        return section_key(SECTIONS["bound"], source)

    first = key()
    assert key() == first
    home = "demo.evaluation.report.source"
    changes = {
        "spread": lambda items, limit: list(items)[::-1],
        "leave_one_out": lambda gallery, reading: [replace(one, exclude=()) for one in leave_one_out(gallery)],
        "drawn_pairs": lambda photos, count: drawn_pairs(photos, count, seed=1),
    }
    for name, changed in changes.items():
        monkeypatch.setattr(f"{home}.{name}", changed)
        assert key() != first
        monkeypatch.undo()
    assert key(dataset="lfw") != first  # the papers' count of the right photos
    monkeypatch.setattr(f"{home}.leave_one_out",
                        lambda gallery, reading: [replace(one, relevant=2) for one in leave_one_out(gallery)])
    assert key() != first


def test_a_data_set_of_the_papers_stands_beside_their_numbers(identifier, people, backbone, tmp_path):
    small = Identifier(backbone, Gallery.build(people, backbone, tmp_path / "index"))
    sources = [Source(name, lambda name: small, lambda one: FeatureStore(None, backbone), "dlib", dataset=name,
                      only={"bound": [kind]}) for name, kind in (("lfw-1680", None), ("lfw", "crop"))]
    assert {query.relevant for query in sources[0].queries(None)} == {2}  # the paper's count: the query itself too
    assert {query.exclude for query in sources[1].queries("crop")} == {()}  # its unaltered self stays in the gallery
    results = make_report(sources, ["bound", "k"], tmp_path / "kept", "command")
    assert [section["name"] for section in results["sections"]] == ["bound"]  # nothing is for the other
    rows = results["sections"][0]["paper"]
    assert [row["values"]["P@1"] for row in rows] == [99.88, 98.71]
    measured = [score["P@1"] for found in results["sections"][0]["findings"] for score in found["scores"]
                if score["method"] == "max at k = 100"]
    assert len(measured) == 2 and all(low <= mean <= high for mean, low, high in measured)
    assert [row["ours"] for row in rows] == [{"dlib": {"P@1": one}} for one in measured]
    text = markdown(Document(results))
    assert "ours, dlib ResNet-29: P@1" in text
    assert f"| 98.71 | {measured[1][0]:.2f} ({measured[1][1]:.1f} to {measured[1][2]:.1f}) |" in text


@pytest.fixture
def visitors(workshop):
    """Words of the command: the gallery of the workshop, and photos of its people, one a wall and one a copy of the
    only photo of its person there, which is left out where source photos are."""
    folder = workshop / "visitors"
    shutil.copytree(workshop / "queries", folder)
    people = workshop / "galleries" / "synthetic-people"
    (folder / "person-004").mkdir()
    (people / "person-004" / "02.jpg").unlink()
    shutil.copy(people / "person-004" / "01.jpg", folder / "person-004" / "01.jpg")
    cv2.imwrite(str(folder / "person-001" / "wall.png"), np.full((200, 200, 3), 128, np.uint8))
    return SimpleNamespace(people=people, folder=folder, out=workshop / "out", words=[
        "evaluate", "report", "--out", str(workshop / "out"), "--quick", "--device", "cpu", "--data",
        f"Real masks={people}", "--query-photos", f"Real masks={folder}"])


def answer(words, capsys) -> dict:
    capsys.readouterr()
    assert cli.main(words) == 0
    return json.loads(capsys.readouterr().out)


def found_of(results: dict, section: str, data: str) -> dict:
    return next(found for one in results["sections"] if one["name"] == section for found in one["findings"]
                if found["data"] == data)


def test_photos_of_their_own_are_measured_as_they_are_beside_what_is_kept(visitors, capsys):
    before = json.loads((SHIPPED / "results.json").read_text(encoding="utf-8"))
    shutil.copytree(SHIPPED, visitors.out)
    assert cli.main([*visitors.words, "--keep", "--only", "identification", "detectors", "explanations"]) == 0
    after = json.loads((visitors.out / "results.json").read_text(encoding="utf-8"))
    for section in before["sections"]:  # all that was there, and in its place
        mine = next(one for one in after["sections"] if one["name"] == section["name"])
        if section["name"] != "explanations":
            known = {found["data"]: found for found in mine["findings"]}
            assert all(known[found["data"]] == found for found in section["findings"])
    assert [one["name"] for one in after["data"]] == [*(one["name"] for one in before["data"]), "Real masks"]
    assert after["data"][-1]["queries"] == 5 and "--query-photos 'Real masks=FOLDER'" in after["command"]

    direct = answer(["evaluate", "--gallery", str(visitors.people), "--queries", str(visitors.folder), "--json",
                     "--no-exclude-source-photo", "--stage2", "emd", "--device", "cpu"], capsys)
    assert direct["queries"] == 4 and direct["left_out"] == 0 and len(direct["skipped"]) == 1
    found = found_of(after, "identification", "Real masks")
    assert {score["alteration"] for score in found["scores"]} == {"unaltered"}
    table = found["tables"][0]
    rows = {row[1].split()[0]: row for row in table["rows"]}
    for name, one in (("Stage", direct["stage1"]), ("EMD", direct["settings"][0])):
        ends = [[one["intervals"][metric][end] for end in ("mean", "low", "high")] for metric in ("P@1", "RP", "MAP@R")]
        assert rows[name][2:5] == [pytest.approx(end, abs=1e-4) for end in ends]
        assert rows[name][-1][0] == pytest.approx(one["P@1"] * 4 / 5)
    assert "4 unaltered (1 skipped), 1 of people in the gallery lost" in table["note"]

    shares = found_of(after, "detectors", "Real masks")["tables"]
    assert len(shares) == 1 and shares[0]["columns"] == ["detector", "unaltered"]  # nothing is drawn over a mask
    assert dict(shares[0]["rows"])["centerface"][0] == dict(shares[0]["rows"])["any of them"][0] == 80
    assert "5 unaltered, of 4 people" in shares[0]["note"]
    text = (visitors.out / "report.md").read_text(encoding="utf-8")
    assert "Finding faces" in text and "The faithfulness board" in text and str(visitors.folder) not in text


def test_verdicts_in_the_report_are_those_of_the_command(visitors, capsys, monkeypatch):
    line = Threshold(0, 0.3, 0.5, 0, 1, 1, "Set.")
    monkeypatch.setattr(Calibration, "threshold", lambda *_, **__: line)
    monkeypatch.setattr(Calibration, "strangers", lambda *_, **__: Strangers(np.linspace(0.2, 0.6, 60), "Drawn."))
    assert cli.main([*visitors.words, "--only", "verdicts"]) == 0
    found = found_of(json.loads((visitors.out / "results.json").read_text(encoding="utf-8")), "verdicts", "Real masks")
    direct = answer(["evaluate", "verdicts", "--gallery", str(visitors.people), "--queries", str(visitors.folder),
                     "--no-exclude-source-photo", "--occlude", "none", "--json", "--device", "cpu"], capsys)
    wrong, right = ({(row[0], row[1]): dict(zip(table["columns"], row, strict=True)) for row in table["rows"]}
                    for table in found["tables"])
    assert direct["verdicts"] and any(one["right"] > 0 for one in direct["verdicts"])
    for one in direct["verdicts"]:
        row, title = ("unaltered", METHODS[one["method"]].short), MISTAKES[one["mistake"]]
        ends = [100 * one["error"][end] for end in ("mean", "low", "high")]
        assert wrong[row][title] == pytest.approx(ends, abs=1e-3)
        assert right[row][title] == pytest.approx(100 * one["right"], abs=1e-3)
    assert len(wrong) * len(MISTAKES) == len(direct["verdicts"])
    assert "5 queries" in found["tables"][0]["note"] and "1 skipped; 0 of" in found["tables"][0]["note"]
    assert "Set. Drawn." in found["tables"][1]["note"]


def test_verdicts_that_are_all_refused_are_no_zero_of_mistakes(visitors, monkeypatch):
    for what in ("threshold", "strangers"):
        monkeypatch.setattr(Calibration, what, lambda *_, **__: Unfit("Not calibrated."))
    assert cli.main([*visitors.words, "--only", "verdicts"]) == 0
    assert "Not measured here. Every verdict was refused" in (visitors.out / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("words", "told"), [
    (["--query-photos", "Masks=FOLDER"],
     "There is no data set 'Masks' for --query-photos: give --data Masks=FOLDER too."),
    (["--data", "lfw=FOLDER", "--query-photos", "lfw=FOLDER"], "The queries of lfw are those of its protocol"),
    (["--data", "M=A", "--query-photos", "M=B", "--query-photos", "M=C"], "A data set is given query photos twice")])
def test_query_photos_belong_to_one_data_set(words, told, capsys):
    assert cli.main(["evaluate", "report", *words]) == 2 and told in capsys.readouterr().err


def test_a_set_that_is_measured_with_two_backbones_has_two_names(people):
    parsed = cli._parser("").parse_args(["evaluate", "report", "--data", f"Mine={people}", "--beside", "dlib=hog"])
    other = SimpleNamespace(**{**vars(parsed), "backbone": "dlib", "detector": "hog"})
    names = [source.name for one in (parsed, other) for source in command._measured(one, dict(parsed.data))]
    assert names == ["Mine", "Mine, dlib"]


def test_the_board_of_explanations_is_in_the_report_and_on_the_page(page, tmp_path, monkeypatch):
    board = json.loads(badges.FILE.read_text(encoding="utf-8"))
    source = Source("none", lambda name: page.engine.identifier("synthetic-people", name), FeatureStore, "dlib")
    results = make_report([source], ["explanations"], tmp_path, "command")
    assert results["data"] == [] and [one["name"] for one in results["sections"]] == ["explanations"]
    findings = {found["data"]: found for found in results["sections"][0]["findings"]}
    shown = re.sub("<[^>]+>", "", page.show("explanations"))
    assert findings.keys() == {f"{name}, {backbone}" for backbone, sets in board.items() for name in sets}
    for backbone, sets in board.items():
        for name, one in sets.items():
            found = findings[f"{name}, {backbone}"]
            for row, kept in zip(found["tables"][0]["rows"], one["rows"], strict=True):
                assert row[0] == METHODS[kept["method"]].short
                for cell, key, times in ((2, "deletion", 1), (3, "insertion", 1), (5, "possible", 100)):
                    ends = [times * kept[key][end] for end in ("mean", "low", "high")]
                    assert row[cell] == pytest.approx(ends, abs=1e-3)
                assert row[8] in ("-", "yes" if kept["passes"] else "no")
            parsed = cli._parser("").parse_args(shlex.split(found["command"].removeprefix("python -m demo ")))
            assert (parsed.set, parsed.backbone, parsed.removal) == (name, backbone, one["removal"])
            assert parsed.limit == one["probes"] + len(one["skipped"]) and found["command"] in shown

    file, (backbone, sets) = tmp_path / "faithfulness.json", next(iter(board.items()))
    name, one = next(iter(sets.items()))
    one["rows"][0]["deletion"] = {"mean": 77.25, "low": 76.0, "high": 78.5}
    badges.keep(file, backbone, name, one)
    monkeypatch.setattr(badges, "FILE", file)  # the page shows what badges say now, not what the report held
    assert "77.25 (76.0 to 78.5)" in ResultHandlers(page.engine).show("explanations")
    monkeypatch.setattr(badges, "FILE", tmp_path / "none.json")
    assert make_report([source], ["explanations"], tmp_path, "command")["sections"] == []


def test_verdicts_are_measured_again_when_a_gallery_is_calibrated(people, backbone, tmp_path):
    small = Identifier(backbone, Gallery.build(people, backbone, tmp_path / "index"))
    source = Source("people", lambda name: small, lambda one: FeatureStore(None, backbone), "dlib")
    before = {name: section_key(SECTIONS[name], source) for name in ("bound", "verdicts")}
    Calibration(small.gallery).write({"strangers/cosine": np.zeros(1, np.float32)})
    assert section_key(SECTIONS["bound"], source) == before["bound"]
    assert section_key(SECTIONS["verdicts"], source) != before["verdicts"]


def test_an_earlier_report_is_kept_where_nothing_is_measured_anew():
    def report(data, command, *sections):
        return {"command": command, "environment": command, "data": [{"name": one} for one in data],
                "items": [{"paper": "Tab", "what": "w", "of": f"of {command}", "ours": {data[0]: command},
                           "missing": sorted({"lfw", "calfw"} - {*data})}],
                "sections": [{"name": name, "title": command, "paper": [dict.fromkeys(
                    ("item", "data", "alteration", "backbone", "method"), "x") | {"ours": {command: name}}],
                    "findings": [{"data": one, "by": command}
                                                                           for one in data]} for name in sections]}

    both = kept_beside(report(["S", "lfw"], "old", "weighting", "k"), report(["lfw"], "new", "bound", "weighting"))
    assert [section["name"] for section in both["sections"]] == ["weighting", "k", "bound"]
    assert both["sections"][0]["findings"] == [{"data": "S", "by": "old"}, {"data": "lfw", "by": "new"}]
    assert both["sections"][1]["findings"] == [{"data": "S", "by": "old"}, {"data": "lfw", "by": "old"}]
    assert both["sections"][0]["paper"][0]["ours"] == {"old": "weighting", "new": "weighting"}
    assert both["command"] == "old\nnew" and [one["name"] for one in both["data"]] == ["S", "lfw"]
    assert both["items"][0]["ours"] == {"S": "old", "lfw": "new"} and both["items"][0]["of"] == "of new"
    again = kept_beside(both, report(["S"], "third", "k"))
    assert again["items"][0]["missing"] == ["calfw"] and again["environment"] == "third"  # lfw was at hand before
    read = kept_beside(both, report(["S"], "third") | {"data": []})
    assert read["environment"] == "new" and read["data"] == both["data"]  # nothing was measured


def test_what_cannot_be_measured_says_why_and_is_tried_again(tmp_path, identifier, monkeypatch):
    source = Source("set", lambda name: identifier, lambda one: FeatureStore(None, one.backbone), "dlib", photos=[])

    def absent(source, kinds):
        raise BadSetting("Needs the weights of FaceNet.")

    section = SimpleNamespace(**{**vars(SECTIONS["alignment"]), "measure": absent})
    monkeypatch.setitem(SECTIONS, "alignment", section)
    results = make_report([source], ["alignment"], tmp_path, "command")
    assert "Not measured here. Needs the weights of FaceNet." in markdown(Document(results))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(BadSetting, match="no section 'tables'"):
        make_report([source], ["tables"], tmp_path, "command")


@pytest.mark.parametrize("plot", [
    Lines("ROC", "FAR", "TAR", {"one": ([0, 1], [0.2, 1]), "two": ([0, 1], [0, 1])}, (0, 1, 0, 1)),
    Dots("P@1", "%", ("a", "b"), {"mask": (10.0, (12.0, 8.0, 15.0)), "crop": (None, 3.0)})])
def test_figures_are_the_same_every_time(plot):
    data = json.loads(json.dumps(plot.as_json()))
    assert svg(data) == svg(data)
    assert ElementTree.fromstring(svg(data)).tag.endswith("svg")


def test_queries_are_spread_evenly():
    assert spread(range(100), 4) == [0, 25, 50, 75] and spread(range(3), 4) == [0, 1, 2]


@pytest.fixture
def page(engine):
    return ResultHandlers(engine)


class Visitor:
    session_hash = "visitor"
    query_params = {"section": "weighting"}


def test_the_shipped_report_is_shown(page):
    sections = page.document.results["sections"]
    assert len(sections) >= 10
    for section in sections:
        shown = page.show(section["name"])
        assert section["title"] in html.unescape(shown) and ("<table>" in shown or "Not measured here" in shown)
    assert "Tab 5.12" in page.show("items")
    name, shown = page.open_link(Visitor())
    assert name == "weighting" and "data:image/svg+xml" in shown
    sizes = sum(file.stat().st_size for file in SHIPPED.rglob("*.*"))
    assert sizes < 3_000_000
    for file in SHIPPED.rglob("*.*"):
        assert not re.search(r"/(work|tmp|root|home)/|_Bush|Powell", file.read_text(encoding="utf-8")), file.name


def test_a_visitor_measures_the_gallery_and_stops(page):
    told = []

    def tell(at, **words):
        told.append(at)

    shown = page.measure("synthetic-people", "bundled", "mask", "emd", 5, Visitor(), tell)
    assert told == [(number, 5) for number in range(5)]
    assert "5 mask queries against 288 photos" in shown
    assert "--occlude mask --stage2 emd" in re.sub("<[^>]+>", "", shown)
    assert [row[0] for row in Tables(shown).tables[0][1:]] == ["Stage 1", "Stage 2, Earth Mover's Distance (EMD)"]

    def press_stop(at, **words):
        page.stop(Visitor())

    assert "Stopped" in page.measure("synthetic-people", "bundled", "none", "none", 30, Visitor(), press_stop)
    assert "no gallery" in page.measure("<b>", "bundled", "none", "none", 5, Visitor(), press_stop)


def test_names_are_text_in_the_report():
    assert "<script>" not in parts(Document({"sections": [], "items": [], "data": []}).section({
        "name": "x", "title": "<script>", "text": "<script>", "command": "", "paper": [],
        "findings": [{"data": "<script>", "missing": "<script>"}]}))
