"""Error rates of the verdicts: counted as the pages judge, at both extremes, and with what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
from conftest import BUNDLED, QUERIES

from demo.calibration import Calibration, Strangers, Threshold, Unfit
from demo.cli import main
from demo.evaluation import query_set
from demo.evaluation.verdicts import STRANGERS, Count, verdicts
from demo.gallery import list_photos


@pytest.fixture(scope="module")
def queries(bundled):
    return query_set([photo for photo in list_photos(QUERIES) if photo.path.endswith("/04.jpg")], bundled)[10:13]


def test_best_matches_are_judged_as_an_answer_is(identifier, queries):
    found = verdicts(identifier, queries, (None, "mask"), methods=["cosine"])
    for alteration in (None, "mask"):
        counts = found.counts[alteration]["cosine"]
        assert [len(counts[one].wrong) for one in ("different", "same", "nobody", "plausible")] == [
            3, 3 * STRANGERS, 3, 3]
        there, gone = [], []
        for number, query in enumerate(queries):
            answer = identifier.identify(query.file, stage2=None, occlusion=alteration, seed=number)
            there.append(answer.strangers.verdict(answer.ranking[0].distance) == "nobody")
            other = next(match for match in answer.ranking if match.identity != query.identity)
            gone.append(answer.strangers.verdict(other.distance) == "plausible")
        assert counts["nobody"].wrong == there and counts["plausible"].wrong == gone
    table = found.as_table()
    assert "| unaltered | Cosine | " in table and "| Face mask | Cosine | " in table and "288 gallery photos" in table


@pytest.mark.parametrize(("lower", "upper", "expected"), [
    (9, 9, {"different": (0, 1), "same": (1, 0)}), (-9, -9, {"different": (1, 0), "same": (0, 1)}),
    (-9, 9, {"different": (0, 0), "same": (0, 0)})])
def test_verdicts_at_the_extremes(identifier, queries, monkeypatch, lower, upper, expected):
    line = Threshold(0, lower, upper, 0, 1, 1, "Set.")
    monkeypatch.setattr(Calibration, "threshold", lambda *_, **__: line)
    monkeypatch.setattr(Calibration, "strangers", lambda *_, **__: Strangers(
        np.full(20, lower, float), "Drawn.", np.full(20, upper, float)))
    counts = verdicts(identifier, queries, methods=["emd"]).counts[None]["emd"]
    for mistake, (wrong, right) in expected.items():
        assert counts[mistake].error.mean == wrong and np.mean(counts[mistake].right) == right
        assert counts[mistake].refused == 0
    assert counts["plausible"].error.mean == expected["same"][0]
    assert counts["nobody"].error.mean == expected["different"][0]


def test_what_is_refused_is_neither_right_nor_wrong(identifier, queries, monkeypatch):
    monkeypatch.setattr(Calibration, "threshold", lambda *_, **__: Unfit("Soft.", photo=True))
    monkeypatch.setattr(Calibration, "strangers", lambda *_, **__: Unfit("Soft.", photo=True))
    for count in verdicts(identifier, queries, methods=["cosine"]).counts[None]["cosine"].values():
        assert count.refused == len(count.wrong) > 0 and not any(count.wrong) and not any(count.right)


def test_photos_without_a_face_are_named(identifier, queries, tmp_path):
    (tmp_path / "wall.jpg").write_bytes(b"no photo")
    found = verdicts(identifier, [replace(queries[0], file=tmp_path / "wall.jpg")], methods=["cosine"])
    assert [path for path, _ in found.skipped] == [queries[0].path] and found.as_json()["verdicts"] == []


def test_intervals_are_over_people():
    """Twenty verdicts on two people are two observations."""
    two, many = Count(), Count()
    for number in range(20):
        two.add("ab"[number % 2], "same" if number % 2 else "different", "same")
        many.add(str(number), "same" if number % 2 else "different", "same")
    assert two.error.mean == many.error.mean == 0.5
    assert two.error.high - two.error.low == 1 > many.error.high - many.error.low


def test_the_command_prints_the_table(identifier, capsys, tmp_path):
    (tmp_path / "person-002").mkdir()
    (tmp_path / "person-002" / "04.jpg").symlink_to(QUERIES / "person-002" / "04.jpg")
    arguments = ["evaluate", "verdicts", "--gallery", str(BUNDLED), "--queries", str(tmp_path), "--backbone", "dlib",
                 "--occlude", "none", "--methods", "cosine"]
    assert main([*arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {one["mistake"]: one["n"] for one in told["verdicts"]} == {
        "different": 1, "same": STRANGERS, "nobody": 1, "plausible": 1}
    assert all(one["error"].keys() == {"mean", "low", "high"} for one in told["verdicts"]) and told["sources"]
    assert main(arguments) == 0
    assert "not in the gallery, told plausible" in capsys.readouterr().out
