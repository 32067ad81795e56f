"""The benchmark of the detectors: what counts as found, pictures without people, and its table end to end."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from conftest import BUNDLED

from demo.benchmarks import detectors as benchmark
from demo.evaluation.detectors import ANY, at_place, shift
from demo.faces import DETECTORS, Detection, Detector, Face, detect_faces, load_photo

pytestmark = pytest.mark.usefixtures("one_thread")


def face_in(box, moved=(0, 0)) -> Face:
    points = np.random.default_rng(0).uniform(10, 20, (68, 2))
    five = np.array([[10, 10], [20, 10], [15, 15], [11, 20], [19, 20]], float) + moved
    return Face(box, points, five_points=five)


def test_found_is_a_box_round_the_place():
    near, far, elsewhere = face_in((0, 0, 30, 30)), face_in((0, 0, 90, 90)), face_in((40, 40, 60, 60))
    assert at_place([far, near, elsewhere], np.array([14, 15])) is near
    assert at_place([elsewhere], np.array([14, 15])) is None and at_place([], np.zeros(2)) is None


def test_shift_is_in_eye_distances():
    assert shift(face_in((0, 0, 30, 30)), face_in((0, 0, 30, 30), (3, 4))) == pytest.approx(0.5)


def test_pictures_without_people():
    photo = load_photo(BUNDLED / "person-001" / "01.jpg")
    mixed = benchmark.shuffled(photo, 3)
    sums = [sorted(one[:250, :250].reshape(10, 25, 10, 25, 3).sum((1, 3)).reshape(-1, 3).tolist())
            for one in (mixed, photo)]
    assert sums[0] == sums[1]
    assert not np.array_equal(mixed, photo[:250, :250]) and np.array_equal(mixed, benchmark.shuffled(photo, 3))
    pictures = benchmark.textures(3)
    assert all(np.array_equal(one, other) for one, other in zip(pictures, benchmark.textures(3), strict=True))
    assert pictures[0].shape == (400, 400, 3) and pictures[0].std() > 20
    assert all(detect_faces(one, "hog") == [] for one in [*pictures, mixed])


def test_every_style_of_a_perturbation_or_one_per_photo():
    assert ("blur", None) in benchmark.columns_of(False)
    every = benchmark.columns_of(True)
    assert ("blur", "motion-strong") in every and ("mask", None) in every and ("blur", None) not in every


def test_the_table_end_to_end(tmp_path, capsys, monkeypatch):
    """A detector that sees a face only in pictures that are wider than high, and one that sees one in everything."""
    def anywhere(picture, folder):
        height, width = picture.shape[:2]
        return [Detection((width * 0.2, height * 0.2, width * 0.8, height * 0.8), 1.0)]

    monkeypatch.setitem(DETECTORS, "all", Detector("a test", (256,), anywhere))
    monkeypatch.setitem(DETECTORS, "wide", Detector(
        "a test", (256,),
        lambda picture, folder: anywhere(picture, folder) if picture.shape[1] > picture.shape[0] else []))
    monkeypatch.setattr(benchmark, "EMPTY", 6)
    monkeypatch.setattr(benchmark, "TIMED", {"small": (64, 64), "wide": (90, 60)})
    person = tmp_path / "photos" / "someone"
    person.mkdir(parents=True)
    photo = load_photo(BUNDLED / "person-001" / "01.jpg")
    cv2.imwrite(str(person / "1.png"), photo[..., ::-1])
    benchmark.main(["--photos", str(tmp_path / "photos"), "--sample", "1", "--repeats", "1", "--json",
                    "--detectors", "hog", "all", "wide"])
    result = json.loads(capsys.readouterr().out)
    rows = {(row["detector"], row["alteration"]): row for row in result["found"]}
    assert rows["hog", "unaltered"]["found %"] == 100 and rows["all", "dark"]["found %"] == 100
    assert rows["wide", "unaltered"]["found %"] == 0 and rows["wide", "unaltered"]["photos"] == 1
    assert rows[ANY, "unaltered"]["found %"] == 100
    assert rows[ANY, "dark"]["points moved %"] is None
    assert rows["all", "mask"]["points moved %"] < 60 and rows["hog", "crop"]["points moved %"] is None
    false = {row["detector"]: row for row in result["false"]}
    assert false["all"]["false faces"] == 6 and false["hog"]["false faces"] == false["wide"]["false faces"] == 0
    assert false["all"]["of 3 textures"] == 3 and [row["detector"] for row in result["speed"]] == ["hog", "all", "wide"]
    benchmark.main(["--photos", str(tmp_path / "photos"), "--sample", "1", "--detectors", "all", "--parts", "false"])
    told = capsys.readouterr().out
    assert "of 3 textures" in told and not any(one in told for one in (ANY, "points moved %", "ms at"))
