"""The baselines of Stage 1: what is exact finds all of the nearest, and without faiss a sentence says so."""

import pytest

from demo.benchmarks import faiss, stage1


def test_exact_indexes_find_all_and_others_most():
    pytest.importorskip("faiss", reason="faiss-cpu is not installed")
    ours, flat, graph, cells = stage1.measure(1100, 3)
    assert ours["recall"] == flat["recall"] == 1 and 0.9 < graph["recall"] <= 1 and cells["recall"] > 0.1
    assert ours["bytes a face"] == flat["bytes a face"] == 4 * 192 < graph["bytes a face"]


def test_without_faiss_there_is_no_baseline(monkeypatch, capsys):
    for module in (faiss, stage1):
        monkeypatch.setattr(module, "faiss", None)
    stage1.main(["--faces", "300", "--repeats", "2"])
    assert faiss.MISSING in capsys.readouterr().out and faiss.flat_ms(None, 1) is None
