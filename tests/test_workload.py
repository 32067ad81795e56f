"""``benchmark transport``: the whole workload told from a part, and the first five by lower bounds."""

import json

import pytest
import torch

from demo.benchmarks import transport, workload
from demo.matching import EMDProblem


@pytest.fixture(scope="module")
def sample():
    return workload.made(3, 40)


def test_a_part_is_scaled_to_the_whole(sample):
    faces, rows = sample
    assert rows.shape == (3, 39) and all(n not in row for n, row in enumerate(rows.tolist()))
    lines = workload.whole(faces, rows)
    assert [(line["weights"], line["solver"], line["pairs measured"]) for line in lines] == [
        ("uniform", "exact", "117"), ("uniform", "POT in a loop", "39"),
        ("apc", "exact", "117"), ("apc", "POT in a loop", "39")]
    assert all(float(line["s for 13,233 x 100"].replace(",", "")) > 0 for line in lines)
    assert all(float(line["largest relative error"] or 0) < 1e-4 for line in lines)


def test_the_first_five_are_the_same(sample):
    for line in workload.few(*sample):
        assert line["changed ranks"] == "0" and 5 <= float(line["measured of each"]) <= 39


def test_a_wrong_bound_is_seen(sample, monkeypatch):
    monkeypatch.setattr(EMDProblem, "least", lambda problem: 9 + torch.arange(len(problem)).flip(0))
    assert any(line["changed ranks"] != "0" for line in workload.few(*sample))


@pytest.mark.slow
def test_the_command_prints_three_tables(sample, monkeypatch, capsys):
    monkeypatch.setattr(workload, "made", lambda queries: (sample[0], sample[1][:queries]))
    transport.main(["--pairs", "5", "--repeats", "1", "--queries", "2", "--backbone", "dlib", "--json"])
    tables = json.loads(capsys.readouterr().out)
    assert set(tables) == {"machine", "solvers", "whole", "first"}
    assert {line["patches"] for line in tables["solvers"]} == {"64x64", "16x16"}
    transport.main(["--pairs", "5", "--repeats", "1", "--queries", "0", "--backbone", "dlib"])
    assert "POT in a loop" in capsys.readouterr().out
