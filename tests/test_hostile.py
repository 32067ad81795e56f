"""Damaged and hostile files: every one is answered in a sentence, in bounded time, whatever is wrong with it."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import time
from contextlib import closing

import numpy as np
import pytest
import torch
from safetensors.torch import save, save_file

from demo.calibration import Calibration, Strangers
from demo.calibration import store as calibrated
from demo.checkpoints import check_file
from demo.crossimage.networks import NETWORKS, Sizes
from demo.errors import BadWeights, DemoError
from demo.gallery import Freshness, Gallery, list_photos
from demo.gallery import seen as seen_photos
from demo.gallery.build import schema_of
from demo.gallery.draft import Draft
from demo.gallery.entries import Entry
from demo.gallery.opened import Opened
from demo.gallery.part import Part, write_part
from demo.gallery.revise import DRAFT
from demo.methods import Matching, load_method

#: Of each kind of file; more by hand: DEMO_FUZZ=10000.
ROUNDS = int(os.environ.get("DEMO_FUZZ", "500"))
#: What stands in JSON in the place of what belongs there.
_WRONG = (None, True, -1, 0, 1e308, 10**30, "", "x" * 3000, "../../../etc/passwd", "/dev/zero", "\ud800", [], {}, [[]],
          {"a": 1}, [1] * 50, "nan", "\0")


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """The bytes of a file, cut, doubled, flipped or with a length that lies."""
    out = bytearray(data)
    kind, at = rng.integers(6), int(rng.integers(len(out)))
    if kind == 0:
        return bytes(out[:at])
    if kind == 1:
        return bytes(out[:at] + out[at // 2:])
    if kind == 2:
        out[:8] = rng.bytes(8) if rng.integers(2) else int(rng.integers(1 << 40)).to_bytes(8, "little")
    if kind == 3:
        out[at:at + 40] = bytes(40)
    for _ in range(rng.integers(1, 12)):
        out[int(rng.integers(min(len(out), 1500)))] = int(rng.integers(256))
    return bytes(out)


def rewritten(text: str, rng: np.random.Generator) -> str:
    """JSON with one of its values, somewhere, replaced, doubled or left out."""
    data = json.loads(text)
    place = data
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = keys[int(rng.integers(len(keys)))]
        if not isinstance(place[key], dict | list) or not place[key] or rng.random() < 0.3:
            break
        place = place[key]
    if rng.random() < 0.2:
        del place[key]
    else:
        place[key] = _WRONG[int(rng.integers(len(_WRONG)))]
    return json.dumps(data)


def told(call) -> str:
    """What a call says, or ""; anything but a sentence fails the test."""
    begin = time.perf_counter()
    try:
        call()
        said = ""
    except DemoError as error:
        said = str(error)
        assert said and said.isprintable()
    assert time.perf_counter() - begin < 10
    return said


@pytest.fixture
def model(tmp_path):
    """A small model of ours as a file."""
    sizes = Sizes(heads=1, dim=8, dim_head=4, hidden=8, output=4, patches=4, channels=8, faithful=False, squeeze=2)
    network = NETWORKS["H2L"](sizes)
    described = {"kind": "H2L", "sizes": json.dumps(vars(sizes)), "backbone": "dlib", "backbone_sha256": "0" * 64,
                 "alpha": "0.5"}
    path = tmp_path / "h2l.safetensors"
    path.write_bytes(save({key: value.half() for key, value in network.state_dict().items()}, metadata=described))
    assert told(lambda: check_file(path)) == ""
    return path


def test_damaged_models(model):
    whole, rng = model.read_bytes(), np.random.default_rng(1)
    said = []
    for _ in range(ROUNDS):
        model.write_bytes(damaged(whole, rng))
        said.append(told(lambda: check_file(model)))
    assert sum(map(bool, said)) > ROUNDS / 2


@pytest.mark.parametrize("sizes", [
    {"depth": 100_000_000}, {"depth": -1}, {"depth": 1.5}, {"dim": 1 << 40}, {"heads": 0}, {"faithful": 1}, {"more": 2},
    {"depth": "1"}, {"depth": None}, {"patches": True}, [1], 7, None, {"hidden": 10**30},
])
def test_a_description_of_an_impossible_model_is_refused_at_once(model, sizes):
    tensors = {"a": torch.zeros(1)}
    described = {"kind": "H2L", "sizes": json.dumps(sizes), "backbone": "dlib", "backbone_sha256": "0", "alpha": "x"}
    save_file(tensors, model, metadata=described)
    begin = time.perf_counter()
    with pytest.raises(BadWeights, match="does not hold the network"):
        check_file(model)
    assert time.perf_counter() - begin < 2


def test_damaged_pytorch_files(tmp_path):
    path, rng = tmp_path / "published.pth", np.random.default_rng(2)
    state = {f"transformer.layers.{name}.0.fn.fn.to_qkv.weight": torch.zeros(8, 8) for name in (0, 99_999_999)}
    torch.save(state | {"cls_token": torch.zeros(1, 1, 8), "sep": torch.zeros(1, 1, 8)}, path)
    assert told(lambda: check_file(path))
    whole = path.read_bytes()
    for _ in range(ROUNDS):
        path.write_bytes(damaged(whole, rng))
        told(lambda: check_file(path))


@pytest.fixture(scope="module")
def index(tmp_path_factory, bundled, backbone):
    """A small index beside its photos."""
    folder = tmp_path_factory.mktemp("hostile") / "people"
    for person in ("person-001", "person-002"):
        shutil.copytree(bundled.manifest.photos / person, folder / person)
    built = Gallery.build(folder, backbone).folder
    shutil.copy(bundled.folder / calibrated.FILE, built)
    return built


def used(folder, backbone):
    """What a program does with an index."""
    gallery = Gallery.open(folder, backbone)
    calibration, cosine = Calibration(gallery), load_method("cosine", backbone, gallery)
    for found in (calibration.own_threshold(cosine, None, "mask"),
                  calibration.strangers(cosine, Matching(), None, None)):
        assert calibration.damage or found.source and np.isfinite(found.range if isinstance(found, Strangers)
                                                                  else found.value).all()
    gallery.search(gallery.embeddings[0], 3)
    gallery.features([0, len(gallery) - 1])
    for row in (0, len(gallery) - 1):
        gallery.face(row)
        gallery.photo_file(row)
    Freshness(gallery).told()
    gallery.info()


def test_damaged_indexes(index, backbone, monkeypatch):
    """Bytes of every file of an index, what was measured on it among them."""
    monkeypatch.setattr(calibrated, "ENOUGH", 1)
    rng, said = np.random.default_rng(3), []
    files = [file for file in sorted(index.rglob("*")) if file.is_file()]
    for number in range(ROUNDS):
        file = files[number % len(files)]
        whole = file.read_bytes()
        file.write_bytes(damaged(whole, rng))
        said.append(told(lambda: used(index, backbone)))
        file.write_bytes(whole)
    assert told(lambda: used(index, backbone)) == ""
    assert sum(map(bool, said)) > ROUNDS / 4


def test_rewritten_manifests(index, backbone):
    """Values of another type, and paths that lead elsewhere."""
    rng, file = np.random.default_rng(4), index / "manifest.json"
    whole = file.read_text(encoding="utf-8")
    for text in ["[" * 100_000, "{\"a\":" * 100_000, "null", "", "7", *(rewritten(whole, rng) for _ in range(ROUNDS))]:
        file.write_text(text, encoding="utf-8", errors="replace")
        told(lambda: used(index, backbone))
    file.write_text(whole, encoding="utf-8")
    assert told(lambda: used(index, backbone)) == ""


SETTINGS = {"by": "a test"}


@pytest.fixture(scope="module")
def draft(index, backbone, tmp_path_factory):
    """What a build left that was stopped: the rows of the index."""
    folder, found = tmp_path_factory.mktemp("stopped") / DRAFT, Opened(index)
    with Draft(folder, SETTINGS, schema_of(backbone, found.manifest.grids)) as draft:
        draft.add([(entry.sha256, {key: np.asarray(values[row]) for key, values in found.parts[0].maps.items()})
                   for row, entry in enumerate(found.entries)], [("f" * 64, "No face.")], [("e" * 64, 3, 2)])
    return folder


def gone_on_with(folder, index, backbone) -> bool:
    """What a build does with a draft; whether what it held is used."""
    manifest = Opened(index).manifest
    with Draft(folder, SETTINGS, schema_of(backbone, manifest.grids)) as draft:
        rows, source = draft.rows, draft.source()
        assert all(map(str.isprintable, (*draft.failures, *draft.failures.values(), *draft.crowded)))
        if rows:
            part = write_part(folder.parent, [Entry("a/b.jpg", "a", "0" * 64)] * len(rows),
                              [(source, row) for row in rows.values()], manifest.grids)
            Part(folder.parent, part, manifest.grids)
    return bool(rows)


def again(folder, whole):
    """A folder as it was."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole, folder)


def changed(statements: str):
    def change(folder):
        with closing(sqlite3.connect(folder / "draft.sqlite")) as base:
            base.executescript(statements)
    return change


def replaced(name: str, make):
    def change(folder):
        (folder / name).unlink(missing_ok=True)
        make(folder / name)
    return change


@pytest.mark.parametrize("damage", [
    changed("DROP TABLE rows; CREATE TABLE rows (other TEXT)"),
    changed("DROP TABLE crowded"),
    changed("CREATE VIEW more AS SELECT 1"),
    changed("UPDATE made SET arrays = '[['"), changed("UPDATE made SET arrays = 7"),
    changed("UPDATE made SET arrays = '[[\"a/b\", \"<f4\", [1000000000000]]]'"),
    changed("UPDATE made SET arrays = '[[\"a/b\", \"O\", [1]]]'"),
    changed("UPDATE made SET arrays = '[[\"a/b\", \"<f4\", [-1]]]'"),
    changed("UPDATE made SET arrays = '[[\"a/b\", \"<f4\", [2]]]'"),
    changed("UPDATE made SET arrays = NULL"),
    changed("DELETE FROM rows WHERE row = 0"), changed("UPDATE rows SET sha256 = x'00'"),
    changed("UPDATE rows SET sha256 = (SELECT sha256 FROM rows WHERE row = 0)"),
    changed("INSERT INTO rows VALUES (1000000000, 'x')"), changed("UPDATE failures SET reason = NULL"),
    changed("UPDATE crowded SET taken = 'x'"), changed("UPDATE crowded SET sha256 = CAST(x'ff' AS TEXT)"),
    lambda folder: (folder / "rows.bin").write_bytes(b""),
    lambda folder: (folder / "rows.bin").write_bytes(b"\xff" * (folder / "rows.bin").stat().st_size),
    lambda folder: (folder / "draft.sqlite").write_bytes(b"no database" * 1000),
    lambda folder: (shutil.rmtree(folder), folder.write_bytes(b"")),
    lambda folder: (shutil.rmtree(folder), folder.symlink_to("/nowhere")),
    *(replaced(name, make) for name in ("rows.bin", "draft.sqlite", "draft.sqlite-journal")
      for make in (os.mkfifo, os.mkdir, lambda file: file.symlink_to("/dev/zero"))),
])
def test_a_draft_that_cannot_be_used_is_thrown_away_and_told(damage, draft, index, backbone, tmp_path, caplog):
    folder = tmp_path / "index" / DRAFT
    again(folder, draft)
    assert gone_on_with(folder, index, backbone) and caplog.text == ""
    again(folder, draft)
    damage(folder)
    assert told(lambda: gone_on_with(folder, index, backbone)) == "" and "thrown away" in caplog.text
    again(folder, draft)
    damage(folder)
    with Draft(folder, None):
        pass


def test_damaged_drafts(draft, index, backbone, tmp_path):
    """Bytes of both files of a draft."""
    rng, folder = np.random.default_rng(5), tmp_path / "index" / DRAFT
    for number in range(ROUNDS // 5):
        again(folder, draft)
        file = folder / ("draft.sqlite", "rows.bin")[number % 2]
        file.write_bytes(damaged(file.read_bytes(), rng))
        told(lambda: gone_on_with(folder, index, backbone))


def test_damaged_lists_of_what_was_hashed(index, tmp_path, monkeypatch):
    monkeypatch.setattr(seen_photos, "FEWEST", 1)
    monkeypatch.setattr(seen_photos, "_FRESH", -(1 << 62))
    photos, file, rng = list_photos(index.parents[1]), tmp_path / "seen.sqlite", np.random.default_rng(6)
    right = seen_photos.Seen(file).digests(photos)
    whole = file.read_bytes()

    def told_right():
        begin = time.perf_counter()
        assert all(map(re.compile("[0-9a-f]{64}").fullmatch, seen_photos.Seen(file).digests(photos)))
        assert time.perf_counter() - begin < 10

    for _ in range(ROUNDS // 5):
        file.write_bytes(damaged(whole, rng))
        told_right()
    for statements in ("DROP TABLE seen; CREATE TABLE seen (a, b)", "UPDATE seen SET sha256 = x'00'",
                       "UPDATE seen SET sha256 = 'zz'", "DROP TABLE seen; CREATE VIEW seen AS WITH RECURSIVE n(a) AS "
                       "(SELECT 1 UNION ALL SELECT a + 1 FROM n) SELECT a AS path, a AS stamp, a AS sha256 FROM n"):
        file.write_bytes(whole)
        with closing(sqlite3.connect(file)) as base:
            base.executescript(statements)
        assert seen_photos.Seen(file).digests(photos) == right
    for make in (os.mkfifo, lambda file: file.symlink_to("/dev/zero")):
        file.unlink()
        make(file)
        assert seen_photos.Seen(file).digests(photos) == right == seen_photos.Seen(file).digests(photos)


def test_names_do_not_steer_the_terminal(tmp_path):
    assert str(BadWeights("a \x1b[2J\x07 name, \udcff é 王")) == r"a \x1b[2J\x07 name, \udcff é 王"
