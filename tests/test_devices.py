"""One answer on every device: what ``benchmark gpu`` compares, on a CUDA device where there is one."""

import json

import pytest
import torch

from demo.backbones import pick_device
from demo.benchmarks import gpu
from demo.benchmarks.parity import CHECKS, Bench, agreement, same_order

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")


@needs_cuda
@pytest.mark.parametrize("about", CHECKS)
def test_cuda_gives_the_processors_answers(about):
    bench = Bench(pick_device("cuda"))
    CHECKS[about](bench)
    assert bench.rows and not bench.failed


@pytest.mark.parametrize("about", ["transport", "matching", "gallery", "pairs of faces"])
def test_the_comparison_runs_without_a_device(about):
    bench = Bench(torch.device("cpu"))
    CHECKS[about](bench)
    assert bench.rows and not bench.failed


def test_a_part_that_fails_stops_no_other(capsys):
    bench = Bench(torch.device("cpu"))

    def broken():
        raise ValueError("no such thing")

    bench.part("one", broken)
    bench.part("two", lambda: agreement(torch.tensor([0.1, 0.2]), torch.tensor([0.1, 0.21])))
    bench.part("three", lambda: agreement(torch.tensor([0.1, 0.10005]), torch.tensor([0.10005, 0.1])))
    bench.part("four", lambda: agreement(torch.tensor([0.1, 0.2]), torch.tensor([0.1, 0.2])))
    assert bench.failed == ["one", "two", "three"] and "ValueError: no such thing" in bench.rows[0]["result"]
    assert "RANKINGS DIFFER" in bench.rows[2]["result"] and "no such thing" in capsys.readouterr().out


def test_only_ties_may_change_places():
    assert same_order(torch.tensor([0.3, 0.1, 0.1 + 1e-7]), torch.tensor([0.3, 0.1 + 1e-7, 0.1]))
    assert not same_order(torch.tensor([0.3, 0.1, 0.10001]), torch.tensor([0.3, 0.10001, 0.1]))


def test_the_benchmark_writes_its_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "CHECKS", {})
    gpu.main(["--faces", "5", "--repeats", "1", "--device", "cpu", "--out", str(tmp_path / "gpu.json")])
    written = json.loads((tmp_path / "gpu.json").read_text())
    assert not written["failed"] and written["numbers"]["stage2 apc"]["pairs"] == 20
    assert {row["part"] for row in written["parts"]} >= {"Stage 2, uniform", "Stage 2, apc", "H2L, both orders"}


def test_the_benchmark_ends_with_an_error_where_a_part_fails(monkeypatch):
    monkeypatch.setattr(gpu, "CHECKS", {"broken": lambda bench: bench.part("broken", lambda: ("wrong", False))})
    with pytest.raises(SystemExit) as ended:
        gpu.main(["--faces", "3", "--repeats", "1", "--device", "cpu"])
    assert ended.value.code == 1
