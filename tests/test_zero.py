"""ZeroGPU, emulated: ``spaces`` runs a decorated function in a forked process, on a card that is not there."""

import multiprocessing
import pickle
import shutil
import subprocess
import sys
import textwrap
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import ROOT
from packaging.requirements import Requirement
from packaging.version import Version

from demo.backbones import load_backbone
from demo.drawing import text
from demo.settings import Settings
from demo.ui import zero
from demo.ui.engine import Engine


@pytest.fixture(scope="module")
def backbone():
    return load_backbone("mobilefacenet", device="cpu")


@pytest.fixture
def crops():
    return np.random.default_rng(0).integers(0, 256, (zero.WORTH, 112, 112, 3), dtype=np.uint8)


def forking(function):
    """The call in a fork, as ``spaces.GPU`` makes it: arguments and result are pickled."""
    def call(*arguments):
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe(False)

        def work():
            theirs.send_bytes(pickle.dumps(function(*pickle.loads(pickle.dumps(arguments)))))

        process = context.Process(target=work)
        process.start()
        theirs.close()
        assert ours.poll(60), "the fork hangs"
        result = pickle.loads(ours.recv_bytes())
        process.join()
        call.forks += 1
        return result

    call.forks = 0
    return call


@pytest.fixture
def on_zero(monkeypatch):
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=lambda duration: forking))
    monkeypatch.setattr(zero, "extract", zero.on_card(zero._extract))


def test_elsewhere_nothing_changes(backbone, monkeypatch):
    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)
    assert zero.lend(backbone) is backbone and zero.device("auto") == "auto"
    assert zero.on_card(zero._extract) is zero._extract


def test_many_faces_are_computed_in_the_fork_and_few_here(backbone, crops, on_zero):
    here = backbone.extract(crops)  # the threads of this process are at work before it is forked
    lent = zero.lend(backbone)
    there = lent.extract(crops)
    assert zero.extract.forks == 1
    assert torch.allclose(there.embedding, here.embedding, atol=1e-4)
    assert torch.allclose(there.patches, here.patches, atol=1e-4 * float(here.patches.abs().max()))
    lent.extract(crops[:2])
    lent.extract(crops[0])
    assert zero.extract.forks == 1 and lent.name == backbone.name


def test_a_spent_quota_leaves_it_to_the_processor(backbone, crops, on_zero, monkeypatch, caplog):
    def spent(*_):
        raise RuntimeError("You have exceeded your GPU quota")

    monkeypatch.setattr(zero, "extract", spent)
    assert torch.equal(zero.lend(backbone).extract(crops).embedding, backbone.extract(crops).embedding)
    assert "exceeded your GPU quota" in caplog.text


def test_the_app_answers_on_the_processor_though_pytorch_claims_a_card(on_zero, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert Engine(Settings()).backbone("mobilefacenet").device.type == "cpu"
    assert zero.device("cuda:0") == "cuda:0"


@pytest.mark.slow
def test_a_decorated_function_is_there_before_the_app_is_launched():
    """Else such a Space refuses to start."""
    code = """
        import os, sys
        from types import SimpleNamespace
        os.environ["SPACES_ZERO_GPU"] = "true"
        marked = []
        sys.modules["spaces"] = SimpleNamespace(GPU=lambda duration: lambda one: marked.append(one) or one)
        import app
        print([function.__name__ for function in marked])
    """
    told = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True,
                          cwd=zero.__file__.rsplit("/demo/", 1)[0])
    assert told.stdout.split("\n")[-2] == "['_extract']"


def test_a_space_gets_a_pytorch_that_zerogpu_takes():
    """What is installed first satisfies what is installed then, and both Pythons and PyTorch are those of ZeroGPU."""
    def lines(name):
        found = (ROOT / name).read_text(encoding="utf-8").splitlines()
        return [Requirement(line) for line in found if line and not line.startswith("#")]

    (first,) = lines("pre-requirements.txt")
    (pin,) = first.specifier
    assert first.name == "torch" and pin.operator == "==" and Version("2.8") <= Version(pin.version) < Version("2.12")
    (wanted,) = (one for one in lines("requirements.txt") if one.name == "torch")
    assert pin.version in wanted.specifier
    assert f"python3.12 {pin.version} " in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert 'python_version: "3.12"' in (ROOT / "README.md").read_text(encoding="utf-8")


def test_spaces_and_containers_have_a_font_for_names_in_chinese():
    assert "WenQuanYi Micro Hei" in text._EAST_ASIAN
    for name in ("packages.txt", "Dockerfile"):
        assert "fonts-wqy-microhei" in (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_the_checks_say_what_they_leave_out(tmp_path):
    """Where there is no Python 3.12."""
    last = (ROOT / ".ci" / "run").read_text(encoding="utf-8").split("# Another Python")[1].partition("\n")[2]
    told = subprocess.run([shutil.which("bash") or "", "-euc", last], env={"PATH": str(tmp_path)}, capture_output=True,
                          text=True)
    assert told.returncode == 0 and "SKIPPED: python3.12 is not installed" in told.stdout
