"""What a study writes: the choice of pairs, panels, the shipped stimuli, the export, copies, and the command line."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import zipfile
from collections import Counter
from dataclasses import replace
from io import TextIOWrapper
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from studies import SMALL, enrol, fake_stimuli, small_store, walk

from demo.backbones import Features
from demo.cli import main
from demo.errors import BadSetting, BadStudy, NotSaved
from demo.explain import Pair
from demo.methods.emd import Emd
from demo.settings import ASSETS, Settings
from demo.study import Device, StudyConfig, StudySession
from demo.study.design.conditions import explanation_of
from demo.study.records.columns import RESPONSES
from demo.study.records.export import export, long_rows
from demo.study.records.store import Store
from demo.study.records.sync import FolderTarget, HubTarget, Mirror, open_kept, target_of
from demo.study.session.participants import exclude
from demo.study.stimuli import selection
from demo.study.stimuli.candidates import Candidate, Look, Photo, Pool
from demo.study.stimuli.panels import LIGHT, brightness, panels
from demo.study.stimuli.record import read_study
from demo.study.stimuli.selection import choose_pairs, wrong_shares

METHODS = ("cosine", "emd", "h2l")


# --- pairs and panels


def made_up_pool(people: int = 90, seed: int = 0) -> Pool:
    """Candidates of made-up people with margins drawn at random, as ``measure`` would give them."""
    rng, found = np.random.default_rng(seed), []
    photos = [Photo(f"{who:03d}/{number}.jpg", f"{who:03d}", Path("x"), None, 0) for who in range(people)
              for number in range(4)]
    for at, query in enumerate(photos[:3 * people]):
        for kind in ("none", "mask", "glasses"):
            for _ in range(3):
                same = rng.random() < 0.4
                other = photos[at - at % 4 + (at + 1) % 4] if same else photos[rng.integers(len(photos))]
                if not same and other.identity == query.identity:
                    continue
                margins = rng.normal(0.5, 0.6) + rng.normal(0, 0.5, 3)
                right = {method: bool(margin > 0) for method, margin in zip(METHODS, margins, strict=True)}
                found.append(Candidate(Look(query, kind, at), Look(other, "none", 0), same, {}, right,
                                       float(margins.mean())))
    return Pool(tuple(found), {}, tuple(photos))


def test_chosen_pairs_are_balanced_matched_and_sometimes_misjudged(monkeypatch):
    monkeypatch.setattr(selection, "_DEALS", 20)
    monkeypatch.setattr(selection, "_TRIES", 2)
    pool = made_up_pool()
    sets, training = choose_pairs(pool, StudyConfig(), seed=3)
    pairs = [pair for own in sets.values() for pair in own]
    assert [len(own) for own in sets.values()] == [15] * 4 and len(training) == 4 * 5
    assert sorted(sum(pair.same for pair in own) for own in sets.values()) == [7, 7, 8, 8]
    assert set(Counter((pair.same, pair.query.kind) for pair in pairs).values()) == {10}
    assert all(set(Counter(pair.query.kind for pair in own).values()) == {5} for own in sets.values())
    photos = Counter(path for pair in pairs + training for path in pair.photos)
    assert set(photos.values()) == {1} and max(Counter(w for p in pairs for w in p.people).values()) <= 2
    for same in (True, False):
        assert all(0.2 <= share <= 0.4 for share in wrong_shares([p for p in pairs if p.same == same]).values())
    ease = [np.mean([pair.ease for pair in pairs if pair.same == same]) for same in (True, False)]
    assert abs(ease[0] - ease[1]) < 0.2 and all(all(pair.right.values()) for pair in training)
    assert choose_pairs(pool, StudyConfig(), seed=3) == (sets, training) != choose_pairs(pool, StudyConfig(), seed=4)


def test_a_gallery_that_is_too_small_is_named():
    with pytest.raises(BadStudy, match="too few people"):
        choose_pairs(made_up_pool(people=12), StudyConfig())


def planted() -> Pair:
    """Two faces of 8 x 8 patches; the first face's patch 9 (row 1) and the second's patch 54 (row 6) are alike and
    stand out, and all mass of the flow goes between them."""
    patches = torch.zeros(2, 64, 3)
    patches[..., 0] = 1
    patches[:, :, 1] = torch.tensor([[-1.0], [1.0]])
    patches[0, 9] = torch.tensor([1.0, 1.0, 0.0])
    patches[1, 54] = torch.tensor([1.0, -1.0, 0.0])
    faces = [Features(torch.ones(1, 2), patches[k:k + 1], (8, 8)) for k in (0, 1)]
    flow = torch.full((1, 64, 64), 1e-6)
    flow[0, 9, 54] = 1.0
    weights = torch.full((2, 1, 64), 0.01)
    weights[0, 0, 9] = weights[1, 0, 54] = 0.5
    moved = SimpleNamespace(flow=flow, grid=(8, 8), query_weights=weights[0], candidate_weights=weights[1],
                            ground=torch.ones(1, 64, 64), share=1.0)
    crops = np.full((80, 80, 3), 200, np.uint8), np.full((80, 80, 3), 100, np.uint8)
    return Pair(crops, (faces[0], faces[1]), lambda word: None, known={Emd.word: moved})


def drawn(condition: str, pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    return panels(pair, explanation_of(condition))


def brightest(picture: np.ndarray) -> tuple[int, int]:
    """Row and column of the brightest cell of 8 x 8."""
    cells = picture.reshape(8, 10, 8, 10, 3).mean((1, 3, 4))
    return tuple(int(value) for value in np.unravel_index(cells.argmax(), (8, 8)))


@pytest.mark.parametrize("condition", ["cnn_cc", "d_weights", "emd_flow"])
def test_every_map_lies_on_its_own_face(condition):
    left, right = drawn(condition, planted())
    assert brightest(left) == (1, 1) and brightest(right) == (6, 6)
    assert left.shape == right.shape == (80, 80, 3) and left.dtype == np.uint8


def test_the_flow_shows_the_other_face_and_the_maps_their_own():
    shown = planted()
    assert drawn("emd_flow", shown)[0].max() == 100 and drawn("emd_flow", shown)[1].max() == 200
    assert drawn("cnn_cc", shown)[0].max() > 150 and drawn("cnn_cc", shown)[1].max() <= 100
    assert len(np.unique(np.stack(drawn("none", shown)))) == 1
    assert (brightness(shown.crops[0], np.ones(64), (8, 8)) == shown.crops[0]).all()


@pytest.mark.parametrize("name", ["study", "study-2"])
def test_the_shipped_studies_are_ready_small_and_say_nothing(name):
    config, stimuli = read_study(ASSETS / name)
    assert stimuli.problems() == []
    test = [pair for pair in stimuli.pairs if pair.set_id in "ABCD"]
    assert len(test) == 60 and sum(pair.same for pair in test) == 30 and len(stimuli.pairs) == 88
    files = list((stimuli.folder / "pictures").iterdir())
    assert sum(file.stat().st_size for file in stimuli.folder.rglob("*") if file.is_file()) < 8e6
    for file in files:
        with Image.open(file) as picture:
            assert picture.size == (320, 320) and picture.format == "WEBP"
            assert not picture.getexif() and "icc_profile" not in picture.info
    for render in stimuli.renders[::23]:  # of every condition some
        for panel in (render.panel1, render.panel2):
            with Image.open(stimuli.picture(panel)) as picture:
                assert abs(np.asarray(picture, float).mean() - LIGHT) < 2, "no panel is brighter than another"
    for condition in config.conditions[1:]:
        shown = [r for r in stimuli.renders if r.condition == condition and r.pair_id[0] in "ABCD"]
        assert 0.2 <= np.mean([r.model_correct == 0 for r in shown]) <= 0.4
        assert all(r.model_pred == (r.score <= r.threshold) for r in shown)
    covered = Counter(side for pair in test for side in {pair.occl1, pair.occl2} - {"none"})
    assert covered == {"mask": 20, "glasses": 20}
    first = sum(pair.occl1 != "none" for pair in test)
    assert 12 <= first <= 28  # of the 40 covered photos, about half come first


# --- export


@pytest.fixture
def finished(tmp_path):
    store = small_store(tmp_path)
    session = StudySession(store)
    for number in range(3):
        walk(session, enrol(session, device=Device("Chrome", 390, 844, 3.0, 0)), until=10_000 if number else 5)
    yield store
    store.close()


def test_an_export_holds_everything_and_its_hashes_match(finished, tmp_path):
    pid = next(long_rows(finished))["pid"]
    exclude(finished, pid, "=HYPERLINK(\"http://x\")")
    out = export(finished, tmp_path / "out" / "study.zip", lambda rows: {"n": sum(1 for _ in rows)})
    with zipfile.ZipFile(out) as archive:
        sums = dict(reversed(line.split("  ")) for line in archive.read("SHA256SUMS").decode().splitlines())
        assert set(archive.namelist()) == {*sums, "SHA256SUMS"}
        assert all(hashlib.sha256(archive.read(name)).hexdigest() == digest for name, digest in sums.items())
        tables = {name: list(csv.DictReader(TextIOWrapper(archive.open(f"{name}.csv"), "utf-8")))
                  for name in ("responses_long", "participants", "pairs")}
        rows = tables["responses_long"]
        assert list(rows[0]) == RESPONSES.names and len(rows) == 5 + 20 + 20
        assert json.loads(archive.read("summary.json")) == {"n": 45}
        assert len(json.loads(archive.read("responses_long.json"))) == 45
        assert b"secret" not in archive.read("study.json")
        codebook = archive.read("codebook.md").decode()
        assert all(f"| {name} |" in codebook for name in RESPONSES.names)
        events = [json.loads(line) for line in archive.read("events.jsonl").decode().splitlines()]
    person = {row["pid"]: row for row in tables["participants"]}[pid]
    assert person["exclude_reason"].startswith("'=") and person["status"] == "excluded"
    assert {row["excluded"] for row in rows if row["pid"] == pid} == {"1"}
    assert len(tables["pairs"]) == 20 * 4 and {event["type"] for event in events} >= {"consent", "lock", "submit"}
    for row in rows:
        assert int(row["correct"]) == ((row["answer"] == "same") == (row["same"] == "1"))
        assert (row["agree"] == "") == (row["condition"] == "none")


def test_an_export_that_cannot_be_written_leaves_nothing_behind(finished, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotSaved, match="could not be written"):
        export(finished, tmp_path / "file" / "x.zip")


# --- copies


def test_a_new_machine_goes_on_from_the_last_copy(tmp_path):
    target = FolderTarget(tmp_path / "far")
    store = small_store(tmp_path)
    session = StudySession(store)
    ticket = enrol(session)
    mirror = Mirror(store, target, minutes=60)
    assert mirror.push() and not mirror.push() and mirror.sent_utc
    walk(session, ticket, until=7)
    mirror.close()
    stimuli = fake_stimuli(tmp_path / "stimuli", SMALL)
    again = open_kept(tmp_path / "new" / "study.sqlite3", SMALL, stimuli, target)
    assert StudySession(again).load(ticket.token).view["idx"] == 7
    assert open_kept(tmp_path / "other" / "fresh.sqlite3", SMALL, stimuli, target).mode == "preview"


def test_a_copy_that_fails_is_said_and_tried_again(tmp_path):
    (tmp_path / "far").write_text("not a folder")
    mirror = Mirror(small_store(tmp_path), FolderTarget(tmp_path / "far"), minutes=60)
    with pytest.raises(NotSaved):
        mirror.push()
    assert "could not be written" in mirror.error
    (tmp_path / "far").unlink()
    assert mirror.push() and mirror.error == ""
    mirror.close()


def test_settings_choose_where_copies_go(tmp_path):
    assert target_of(Settings()) is None
    assert isinstance(target_of(Settings.from_environment({"DEMO_STUDY_REPO": "someone/answers"})), HubTarget)
    assert isinstance(target_of(Settings.from_environment({"DEMO_STUDY_REPO": str(tmp_path)})), FolderTarget)
    assert "hush" not in repr(Settings.from_environment({"DEMO_OPERATOR_PASSWORD": "hush"}))
    with pytest.raises(BadSetting, match="DEMO_STUDY_MINUTES"):
        Settings.from_environment({"DEMO_STUDY_MINUTES": "often"})


# --- command line


def test_an_operator_runs_a_study_from_the_command_line(tmp_path, capsys):
    folder, db = tmp_path / "study", str(tmp_path / "s.sqlite3")
    config = replace(SMALL, planned_n=2)
    fake_stimuli(folder, config, files=True).write()
    (folder / "study.json").write_text(config.to_json())
    at = ["--study", str(folder), "--db", db]

    def run(*words: str) -> str:
        assert main(["study", *words, *at]) == 0, capsys.readouterr()
        return capsys.readouterr().out

    assert "not been opened" in run("verify")
    assert "(live)" in run("open")
    assert "sound" in run("verify")
    run("backup", str(tmp_path / "copy.sqlite3"))
    run("close")
    assert main(["study", "export", str(tmp_path / "e.zip"), *at]) == 0
    assert zipfile.ZipFile(tmp_path / "e.zip").testzip() is None
    capsys.readouterr()
    assert json.loads(run("summary", "--json"))["participants"]["planned"] == 2
    assert not Store.open(Path(db)).peeked() and "Results" in run("summary", "--peek") and Store.open(Path(db)).peeked()
    few = ["--participants", "2", "--at-once", "2", "--studies", "1"]
    assert main(["study", "simulate", "--study", str(folder), *few]) == 0
    said = capsys.readouterr().out
    assert "2 of 2 simulated participants completed" in said and "Right in the test pairs" in said
    assert re.search(r"In 1 such studies, \d+\.\d % of 3 95 % intervals of the mixed model held the truth", said)
    next((folder / "pictures").iterdir()).unlink()
    assert main(["study", "verify", *at]) == 1 and "missing" in capsys.readouterr().out
    assert main(["study", "open", "--study", str(tmp_path / "none")]) == 2
    assert "holds no study" in capsys.readouterr().err
