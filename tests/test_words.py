"""Numbers as people read them, and that they are written in one place."""

from __future__ import annotations

import json
import re

import pytest
from conftest import ROOT

from demo.words import decimals, difference, rounded

#: What has three decimals there is no distance: losses of a training, a sharpness.
NO_DISTANCES = {f"demo/cli/{name}.py" for name in ("calibrate", "finetune", "train", "training")}


@pytest.mark.parametrize(("value", "places", "text"), [
    (-1.2e-07, 3, "0.000"), (-0.0, 3, "0.000"), (-0.00049, 3, "0.000"), (-0.0006, 3, "-0.001"), (-1.2e-07, 0, "0"),
    (0.1235, 3, "0.123"), (-12.0, 3, "-12.000"), (1e-9, 4, "0.0000")])
def test_what_rounds_to_nothing_has_no_sign(value, places, text):
    assert decimals(value, places) == text and float(text) == pytest.approx(value, abs=0.6 * 10**-places)
    signed = difference(value, places)
    assert float(signed.replace("\u2212", "-")) == float(text)
    assert (signed[0] in "+\u2212") == (float(text) != 0) and "-" not in signed
    assert "-0.0" not in (json.dumps(rounded(value, places)), json.dumps(rounded(-value, places)))


def test_distances_are_written_in_one_place():
    """Where pages, command line and figures are made, nobody formats one on his own."""
    rooms = ("ui", "cli", "drawing", "explain", "methods")
    files = [file for place in rooms for file in (ROOT / "demo" / place).rglob("*.py")]
    files += [ROOT / "demo" / name for name in ("verdict.py", "verify.py", "figures.py", "whatif.py")]
    own = {name for file in files for name in [file.relative_to(ROOT).as_posix()]
           if re.search(r":[^{}]*\.0?[34]f\}", file.read_text(encoding="utf-8"))}
    assert own == NO_DISTANCES
    scripts = {file.name for file in (ROOT / "assets" / "ui").glob("*.js") if "toFixed(3)" in file.read_text("utf-8")}
    assert scripts == set()
