"""The recipes of CONTRIBUTING.md, done as written in a copy of the package: each thing appears by itself."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from conftest import QUERIES, ROOT

_FILE = re.compile(r"`(demo/[\w/]+\.py)`:\n\n```python\n(.*?)```", re.S)
_CHANGE = re.compile(r"```diff\n@@ (demo/[\w/]+\.py) @@\n(.*?)```", re.S)

#: Run in the copy, in one process: what has to be there, and where.
CHECK = '''
import sys
from pathlib import Path
import torch
from safetensors.torch import save_file

from demo.backbones import available
from demo.cli import main
from demo.evaluation.ablations import ABLATIONS
from demo.explain import EXPLANATIONS, explain
from demo.faces import DRAWN, detect_faces, load_photo, occlude
from demo.figures import crops_of, pair_of
from demo.gallery import Gallery
from demo.identify import Identifier
from demo.backbones import load_backbone
from demo.backbones.tiny import Tiny
from demo.matching import WEIGHTINGS
from demo.methods import METHODS
from demo.settings import Settings
from demo.study.design.conditions import conditions
from demo.study.stimuli.panels import panels
from demo.ui.choices import identify_choices
from demo.ui.engine import Engine
from demo.ui.views.inspector import pair_value
from demo.verify import verify

photo, gallery_folder, weights = sys.argv[1], sys.argv[2], Path(sys.argv[3])
engine = Engine(Settings(device="cpu", weights=weights))
offered = {word: choice.field.choices for word, choice in identify_choices(engine).items()}
backbone = load_backbone("dlib", device="cpu")
identifier = Identifier(backbone, Gallery.open(gallery_folder, backbone))

# weighting
assert "centre" in WEIGHTINGS and "centre" in offered["weighting"]
found = identifier.identify(photo, weighting="centre", k=5)
u = found.emd.query_weights[0].reshape(8, 8)
assert u[3, 3] > 2 * u[0, 0] and found.ranking[0].combined is not None

# occluder
assert "bar" in DRAWN and "bar" in offered["occlude"]
covered = identifier.identify(photo, occlusion="bar", stage2="none")
assert 0.02 < covered.query.cover.mean() < 0.4
picture = load_photo(photo)
assert (occlude(picture, detect_faces(picture)[0], "bar") == 0).all(2).mean() > 0.01

# method, with its option
assert "minkowski" in METHODS and "minkowski" in offered["stage2"] and "power" in offered
found = identifier.identify(photo, stage2="minkowski", power=2, k=5)
assert found.as_json(1)["settings"]["power"] == 2 and "minkowski" in found.as_json(1)["stage2"][0]
assert found.matching.alpha == 0.5
judged = verify(photo, photo, identifier).judgement("minkowski")
assert judged.distance < 1e-6 and judged.verdict is None and "Minkowski" in judged.line.reason

# explanation
pair = pair_of(found, identifier, found.ranking[0], crops_of(identifier))
assert "same-place" in explain(pair) and "same_place" in conditions()
assert panels(pair, EXPLANATIONS["same-place"])[0].shape == pair.crops[0].shape
assert "Same place" in str(pair_value(pair)) and EXPLANATIONS["same-place"].importances(pair)[0].score == "C"

# backbone
assert not {info.name: info.ready for info in available(weights)}["tiny"] and "tiny" in offered["backbone"]
torch.manual_seed(0)
save_file(Tiny().state_dict(), weights / "tiny.safetensors")
assert {info.name: info.ready for info in available(weights)}["tiny"]
tiny = load_backbone("tiny", device="cpu", folder=weights)
assert tiny.extract(load_photo(photo)[:128, :128].copy()).embedding.shape == (1, 32)
assert main(["weights", "check", str(weights / "tiny.safetensors")]) == 0

for flags in (["--weighting", "centre", "--occlude", "bar"], ["--stage2", "minkowski", "--power", "2"]):
    assert main(["identify", photo, "--gallery", gallery_folder, "--top", "1", *flags]) == 0, flags
print("every recipe holds")
'''


def recipes() -> dict[str, str]:
    """Heading → text, of the recipes."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    part = text[text.index("\n## Recipes"):text.index("\n## Habits")]
    return dict(re.findall(r"\n### (.*?)\n(.*?)(?=\n### |\Z)", part, re.S))


def changed(text: str, change: str) -> str:
    """A file after the lines of a diff: a line after "-" becomes those after "+", lines after "+" follow the one
    before."""
    lines = change.rstrip("\n").split("\n")
    place = 0
    while place < len(lines):
        anchor, rest = lines[place], place + 1
        added = []
        while rest < len(lines) and lines[rest].startswith("+"):
            added.append(lines[rest][1:])
            rest += 1
        kept = [] if anchor.startswith("-") else [anchor[1:]]
        old = f"\n{anchor[1:]}\n"
        assert anchor[0] in " -" and added and text.count(old) == 1, f"{anchor!r} is not once in the file"
        text = text.replace(old, "\n" + "\n".join([*kept, *added]) + "\n")
        place = rest
    return text


@pytest.mark.parametrize("title", recipes())
def test_a_recipe_is_one_file_and_one_table(title):
    text = recipes()[title]
    new, changes = _FILE.findall(text), _CHANGE.findall(text)
    assert (len(new), len(changes)) == ((0, 0) if title == "Add an option" else (1, 1))
    for _, change in changes:
        added = [line for line in change.splitlines() if line.startswith("+")]
        assert len(added) <= 3  # an import and an entry
    for _, code in new:
        assert max(map(len, code.splitlines())) <= 120


@pytest.mark.slow
def test_every_recipe_holds(tmp_path):
    shutil.copytree(ROOT / "demo", tmp_path / "demo", ignore=shutil.ignore_patterns("__pycache__", "*.pyi"))
    for folder in ("assets", "galleries", "benchmarks"):
        if (ROOT / folder).is_dir():
            (tmp_path / folder).symlink_to(ROOT / folder)
    for text in recipes().values():
        for place, code in _FILE.findall(text):
            assert not (tmp_path / place).exists()
            (tmp_path / place).write_text(code, encoding="utf-8")
        for place, change in _CHANGE.findall(text):
            file = tmp_path / place
            file.write_text(changed(file.read_text(encoding="utf-8"), change), encoding="utf-8")
    weights = tmp_path / "weights"
    weights.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", CHECK, str(QUERIES / "person-002" / "04.jpg"),
         str(ROOT / "galleries" / "synthetic-people"), str(weights)],
        cwd=tmp_path, capture_output=True, text=True, timeout=600,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "DEMO_WEIGHTS": str(weights)})
    assert done.returncode == 0, done.stderr[-3000:]
    assert "every recipe holds" in done.stdout
    lint = subprocess.run([sys.executable, "-m", "ruff", "check", "--config", str(ROOT / "pyproject.toml"), "demo"],
                          cwd=tmp_path, capture_output=True, text=True)
    assert lint.returncode == 0, lint.stdout
