"""Damaged and hostile files: every one is answered in a sentence, in bounded time, whatever is wrong with it."""

from __future__ import annotations

import json
import os
import shutil
import time

import numpy as np
import pytest
import torch
from safetensors.torch import save, save_file

from demo.checkpoints import check_file
from demo.crossimage.networks import NETWORKS, Sizes
from demo.errors import BadWeights, DemoError
from demo.gallery import Freshness, Gallery

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
    return Gallery.build(folder, backbone).folder


def used(folder, backbone):
    """What a program does with an index."""
    gallery = Gallery.open(folder, backbone)
    gallery.search(gallery.embeddings[0], 3)
    gallery.features([0, len(gallery) - 1])
    for row in (0, len(gallery) - 1):
        gallery.face(row)
        gallery.photo_file(row)
    Freshness(gallery).told()
    gallery.info()


def test_damaged_indexes(index, backbone):
    """Bytes of every file of an index."""
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


def test_names_do_not_steer_the_terminal(tmp_path):
    assert str(BadWeights("a \x1b[2J\x07 name, \udcff é 王")) == r"a \x1b[2J\x07 name, \udcff é 王"
