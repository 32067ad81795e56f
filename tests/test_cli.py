"""The command line, called in this process with its real defaults."""

import json
import os
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest
from conftest import QUERIES, ROOT, real_photos
from PIL import Image

from demo.cli import main
from demo.crossimage import load_h2l, shipped
from demo.errors import BadSetting
from demo.settings import Settings

PHOTO = str(QUERIES / "person-032" / "04.jpg")


def ask(capsys, *arguments) -> tuple[int, str, str]:
    status = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_identify_json_has_the_documented_shape(capsys):
    status, out, _ = ask(capsys, "identify", PHOTO, "--occlude", "mask", "--style", "surgical-blue", "--json",
                         "--top", 7, "--preset", "published")
    data = json.loads(out)
    assert status == 0 and len(data["stage1"]) == len(data["stage2"]) == 7
    assert data["stage2"][0]["identity"] == "person-032"
    assert set(data["stage2"][0]) == {"rank", "identity", "path", "cosine", "emd", "combined"}
    for match in data["stage2"]:
        assert match["combined"] == pytest.approx(0.7 * match["emd"] + 0.3 * match["cosine"], abs=1e-6)


def test_a_reader_that_has_enough_causes_no_traceback():
    """As "weights list | head -1": the pipe is shut before anything is written."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-m", "demo", "weights", "list"], stdout=write, stderr=subprocess.PIPE,
                          text=True, cwd=ROOT, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def test_identify_writes_a_table_and_figures(capsys, tmp_path):
    for name in ("board.png", "board.pdf"):
        status, out, _ = ask(capsys, "identify", PHOTO, "--figure", tmp_path / name, "--identity", "person-032")
        assert status == 0 and "Stage 2" in out and "person-032" in out
    picture = np.asarray(Image.open(tmp_path / "board.png").convert("RGB"))
    assert picture.shape[0] > 800 and picture.std() > 20
    assert (tmp_path / "board.pdf").read_bytes().startswith(b"%PDF")


def test_stage_1_alone(capsys):
    _, out, _ = ask(capsys, "identify", PHOTO, "--stage2", "none", "--json")
    data = json.loads(out)
    assert data["stage2"] == [] and len(data["stage1"]) == 5


def test_gallery_build_info_verify(capsys, people, tmp_path):
    (people / "person-001" / "broken.jpg").write_text("no picture")
    status, out, _ = ask(capsys, "gallery", "build", people, "--out", tmp_path / "out", "--name", "Four people")
    assert status == 0 and "8 photos of 4 people" in out and "left out person-001/broken.jpg" in out
    status, out, _ = ask(capsys, "gallery", "info", tmp_path / "out", "--json")
    assert json.loads(out)["name"] == "Four people" and json.loads(out)["failures"] == 1
    assert ask(capsys, "gallery", "verify", tmp_path / "out")[0] == 0
    (people / "person-002" / "01.jpg").unlink()
    status, out, _ = ask(capsys, "gallery", "verify", tmp_path / "out", "--json")
    assert status == 1 and json.loads(out)["problems"] == ["person-002/01.jpg is gone."]
    status, out, _ = ask(capsys, "identify", PHOTO, "--gallery", tmp_path / "out", "--json")
    assert status == 0 and len(json.loads(out)["stage1"]) == 5


def test_evaluate_leaves_one_out(capsys, people, tmp_path, monkeypatch):
    (people / "person-004" / "02.jpg").unlink()  # a distractor now
    index = tmp_path / "out"
    ask(capsys, "gallery", "build", people, "--out", index)
    status, out, _ = ask(capsys, "evaluate", "--gallery", index, "--json")
    data = json.loads(out)
    assert status == 0 and data["queries"] == 6 and data["gallery"] == 7 and data["skipped"] == []
    assert set(data["stage1"]) - {"intervals"} == set(data["stage2"]) == {"P@1", "RP", "MAP@R"}
    assert data["stage1"]["P@1"] == 100.0 and data["timings_ms"]["total"] > 0


def test_evaluate_many_settings_against_queries(capsys, people, tmp_path):
    index = tmp_path / "out"
    ask(capsys, "gallery", "build", people, "--out", index, "--backbone", "dlib")
    few = tmp_path / "queries" / "person-002"
    few.mkdir(parents=True)
    (few / "04.jpg").write_bytes((QUERIES / "person-002" / "04.jpg").read_bytes())
    status, out, _ = ask(capsys, "evaluate", "--gallery", index, "--queries", few.parent, "--occlude", "sunglasses",
                         "--weighting", "all", "--grid", "all", "--backbone", "dlib")
    assert status == 0
    for row in ("Stage 1", "Stage 2, apc, 8x8", "Stage 2, cc, 8x8", "Stage 2, lmk, 4x4", "Stage 2, sc-authors, 4x4"):
        assert f"| {row} |" in out
    assert "cc, 4x4" not in out  # 256 numbers against 128: not defined


@pytest.mark.parametrize(("arguments", "words"), [
    (["identify", "/no/such.jpg"], "does not exist"),
    (["identify", PHOTO, "--gallery", "/no/gallery"], "not a folder"),
    (["identify", PHOTO, "--alpha", "2"], "alpha"),
    (["identify", PHOTO, "--grid", "eight"], "ROWSxCOLS"),
    (["identify", PHOTO, "--backbone", "arcface"], "resnet18_110.pth"),
    (["identify", PHOTO, "--backbone-option", "colour=red"], "no option"),
    (["identify", PHOTO, "--figure", "out.gif"], ".png"),
    (["weights", "check", PHOTO], "checkpoint"),
])
def test_bad_input_is_told_in_one_sentence(capsys, arguments, words, monkeypatch, tmp_path):
    monkeypatch.setattr("demo.settings.settings", lambda: Settings(weights=tmp_path))
    status, _, err = ask(capsys, *arguments)
    assert status == 2 and words in err.splitlines()[-1] and "Traceback" not in err


def test_weights_list_names_every_file(capsys):
    _, out, _ = ask(capsys, "weights", "list", "--json")
    files = {file["name"]: file for file in json.loads(out)}
    assert files["dlib"]["ready"] and {"arcface", "cosface", "facenet", "mtcnn"} <= set(files)
    assert all(file["path"] or file["how"] for file in files.values())


def test_weights_are_looked_for_where_the_settings_say(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("demo.cli.weights.settings", lambda: Settings(weights=tmp_path))
    (tmp_path / "ACC99.28.pth").write_bytes(b"x")
    _, out, _ = ask(capsys, "weights", "list", "--json")
    files = {file["name"]: file for file in json.loads(out)}
    assert files["cosface"]["path"] == str(tmp_path / "ACC99.28.pth")
    status, _, err = ask(capsys, "weights", "get", "arcface")
    assert status == 2 and f"put it into {tmp_path}." in err


@pytest.mark.slow
def test_train_h2l_trains_and_the_app_finds_the_weights(capsys, people, tmp_path, monkeypatch):
    weights = tmp_path / "weights"
    monkeypatch.setattr("demo.cli.train.settings", lambda: Settings(weights=weights))
    status, out, _ = ask(capsys, "train-h2l", "--people", people, "--steps", 2, "--work", tmp_path / "work",
                         "--alpha", 0.6, "--query-first", "--backbone", "dlib")
    assert status == 0 and "8 photos, 0 held out" in out
    assert shipped("H2L", "dlib", weights) == weights / "h2l-dlib.safetensors"
    model = load_h2l(weights / "h2l-dlib.safetensors", device="cpu")
    assert (model.alpha, model.both_orders, model.network.sizes.heads) == (0.6, False, 4)


@pytest.mark.slow
def test_real_faces_masked_queries_gain(capsys, tmp_path, monkeypatch):
    """The claim on photographs of real people, where they are at hand."""
    folder = real_photos("real-faces/lfw-10")
    monkeypatch.setattr("demo.cli.arguments.settings", lambda: Settings(cache=tmp_path))
    _, out, _ = ask(capsys, "evaluate", "--gallery", folder, "--occlude", "mask", "--json")
    data = json.loads(out)
    assert data["queries"] >= 95 and data["stage2"]["P@1"] >= data["stage1"]["P@1"]


def test_settings_come_from_the_environment():
    settings = Settings.from_environment({"DEMO_DEVICE": "cpu", "DEMO_KEEP_MINUTES": "5", "DEMO_EDIT_GALLERIES": "no"})
    assert (settings.device, settings.keep_minutes, settings.edit_galleries) == ("cpu", 5, False)
    for wrong in ({"DEMO_KEEP_MINUTES": "soon"}, {"DEMO_EDIT_GALLERIES": "perhaps"}):
        with pytest.raises(BadSetting, match=next(iter(wrong))):
            Settings.from_environment(wrong)


WRONG = {
    "DEMO_BACKBONE": ("nosuch", "Dlib"), "DEMO_DEVICE": ("mps", "cuda:", "cuda:-1"), "DEMO_LOG": ("xml", "JSON"),
    "DEMO_THREADS": ("-5", "1.5", "1e9", "100000"), "DEMO_JOBS": ("0", "-1", "abc", "nan"),
    "DEMO_MAX_UPLOAD_MB": ("inf", "nan", "-1", "0", "1e300"), "DEMO_MAX_MEGAPIXELS": ("nan", "inf", "0", "-40"),
    "DEMO_MAX_ARCHIVE_MB": ("nan", "-inf", "0.2"), "DEMO_KEEP_MINUTES": ("-3", "0", "1e3", "99999999999999999999"),
    "DEMO_STUDY_MINUTES": ("nan", "0", "-5", "inf"), "DEMO_STOP_SECONDS": ("nan", "-1", "inf"),
    "DEMO_EDIT_GALLERIES": ("perhaps",), "DEMO_METRICS": ("2",),
    "DEMO_PHOTO_HOSTS": ("*", "https://photos.example.org", "*.example.org", "photos.example.org/faces"),
    "GRADIO_SERVER_PORT": ("abc", "", "0", "65536", "-1"),
}


@pytest.mark.parametrize(("variable", "value"), [(name, one) for name, values in WRONG.items() for one in values])
def test_every_setting_has_a_range(variable, value):
    with pytest.raises(BadSetting, match=f"^{variable} is '?.*'?: it has to be [^\n]+[.]$"):
        Settings.from_environment({variable: value})


def test_the_rules_hold_for_all_that_they_should():
    ruled = {field.name for field in fields(Settings) if "rule" in field.metadata}
    assert {field.name for field in fields(Settings) if field.type in ("int", "float")} <= ruled
    assert {f"DEMO_{name.upper()}" for name in ruled} <= WRONG.keys()
    with pytest.raises(BadSetting, match="DEMO_MAX_MEGAPIXELS is nan"):
        Settings(max_megapixels=float("nan"))


@pytest.mark.slow
@pytest.mark.parametrize("command", [["app.py"], ["-m", "demo", "app"]])
@pytest.mark.parametrize("wrong", [{"DEMO_BACKBONE": "nosuch"}, {"DEMO_JOBS": "abc"}, {"GRADIO_SERVER_PORT": "abc"}])
def test_a_wrong_setting_ends_the_app_in_a_sentence(command, wrong):
    told = subprocess.run([sys.executable, *command], cwd=ROOT, env=os.environ | wrong, capture_output=True, text=True,
                          timeout=120)
    assert told.returncode == 2 and told.stdout == ""
    assert told.stderr.count("\n") == 1 and told.stderr.startswith(f"app: {next(iter(wrong))} is ")


@pytest.mark.parametrize("arguments", [
    ["identify", "x.jpg", "--every", "nan"], ["identify", "x.jpg", "--every", "inf"],
    ["identify", "x.jpg", "--top", "-1"], ["identify", "x.jpg", "--top", "1" + "0" * 30],
    ["identify", "x.jpg", "--alpha", "nan"], ["identify", "x.jpg", "--alpha", "inf"],
    ["identify", "x.jpg", "--k", "-1"],
    ["attack", "x.jpg", "--eps", "1e3"],
    ["finetune", "--people", "x", "--rate", "nan"], ["finetune", "--people", "x", "--rate", "-1"],
    ["finetune", "--people", "x", "--seed", "-1"], ["train-h2l", "--people", "x", "--alpha", "nan"],
    ["train-h2l", "--people", "x", "--alpha", "7"], ["study", "simulate", "--dropout", "nan"],
    ["study", "simulate", "--dropout", "-1"], ["study", "make", "--gallery", "x", "--out", "y", "--seed", "-1"],
    ["evaluate", "--limit", "0"], ["benchmark", "identify", "--repeats", "9" * 25], ["app", "--port", "99999"],
])
def test_numbers_out_of_range_are_refused(arguments, capsys):
    try:
        status = main(arguments)
    except SystemExit as ended:  # argparse says so itself
        status = ended.code
    told = capsys.readouterr().err
    assert status == 2 and "Traceback" not in told and arguments[-2].lstrip("-") in told
