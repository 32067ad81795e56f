"""The five points marked anew: their geometry by hand, steady under turns and masks, and the fit that makes them."""

from __future__ import annotations

import re

import cv2
import numpy as np
import pytest
import torch

from demo.faces import alter, centerface, detect_faces, fit_marks, geometry, load_photo, marks
from demo.faces.templates import SQUARE_POINTS
from demo.settings import ASSETS
from demo.weights import FILES, find, load_network, sha256
from tests.conftest import BUNDLED

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]


@pytest.fixture(scope="module")
def photo():
    return load_photo(BUNDLED / "person-001" / "01.jpg")


@pytest.fixture(scope="module")
def face(photo):
    return detect_faces(photo, "centerface")[0]


def eye_distance(points):
    return np.linalg.norm(points[1] - points[0])


def test_the_frame_and_its_mirror_image():
    assert eye_distance(marks.FRAME) == pytest.approx(40) and marks.FRAME.mean(0) == pytest.approx([95.5, 95.5])
    matrix = geometry.similarity(SQUARE_POINTS, marks.FRAME)
    assert geometry.apply(matrix, SQUARE_POINTS) == pytest.approx(marks.FRAME)
    points = np.array([[10, 20], [50, 21], [30, 40], [12, 60], [48, 61]], float)
    expected = np.array([[141, 21], [181, 20], [161, 40], [143, 61], [179, 60]])
    assert marks.mirror(points) == pytest.approx(expected)
    assert marks.mirror(marks.mirror(points)) == pytest.approx(points)


def test_the_look_reads_the_networks_map(photo, face):
    """Against the network's own outputs, computed here from the same picture."""
    picture, matrix = marks.cut(photo, face.five)
    assert picture.shape == (192, 192, 3)
    assert np.linalg.norm(geometry.apply(matrix, face.five) - marks.FRAME, axis=1).max() < 8
    features, own, sure = marks.look(picture[None])
    _, scores, points = centerface.detect(picture)
    assert sure[0] == pytest.approx(scores[0], abs=1e-5) and own[0] == pytest.approx(points[0], abs=1e-3)
    assert features.shape == (1, 24 * 144 + 10)
    with torch.inference_mode():
        shared = centerface.network().shared(centerface.tensor(picture[None]))[0]
    assert features[0, 7 * 144 + 5 * 12 + 3] == pytest.approx(shared[7, 20:24, 12:16].mean().item(), abs=1e-5)
    assert features[0, -10:].numpy() == pytest.approx(0.3 * (own[0] - marks.FRAME).ravel(), abs=1e-4)


def test_points_follow_the_photo(photo, face):
    """Of a turned and reduced copy: the same points, nearer than the network's own ones."""
    matrix = cv2.getRotationMatrix2D((128, 128), 17, 0.73)
    turned = cv2.warpAffine(photo, matrix, (256, 256), borderMode=cv2.BORDER_REPLICATE)
    first, second = (centerface.detect(one)[2][0] for one in (photo, turned))
    closer = marks.look_closer(photo, [first])[0], marks.look_closer(turned, [second])[0]
    errors = [np.linalg.norm(geometry.apply(matrix, one) - other, axis=1).mean()
              for one, other in ((first, second), closer)]
    assert errors[1] < errors[0] and errors[1] < 0.05 * 0.73 * eye_distance(first)


def test_points_stay_under_masks_and_glasses():
    """Five people, three masks and sunglasses: within 6 % of the eye distance of the same photo bare, on average."""
    shifts = []
    for person in (1, 8, 20, 33, 47):
        photo = load_photo(sorted(BUNDLED.glob(f"person-{person:03d}/*.jpg"))[0])
        bare = detect_faces(photo, "centerface")[0]
        for seed, kind in enumerate(("mask", "mask", "mask", "sunglasses")):
            covered = detect_faces(alter(photo, bare, kind, seed=seed).photo, "centerface")[0]
            shifts.append(np.linalg.norm(covered.five - bare.five, axis=1).mean() / eye_distance(bare.five))
    assert np.mean(shifts) < 0.06 and np.max(shifts) < 0.2


def test_where_nothing_is_seen_points_stay(photo, face):
    far = face.five.astype(float) + (0, 1000)
    kept, moved = marks.look_closer(photo, [far, face.five])
    assert np.array_equal(kept, far) and np.abs(moved - face.five).max() < 0.05 * eye_distance(face.five)
    assert marks.look_closer(photo, []) == []


def test_many_faces_are_marked_as_each_alone(photo, face):
    jittered = [face.five + (n % 5, n % 3) for n in range(marks.BATCH + 3)]
    together = marks.look_closer(photo, jittered)
    for number in (0, marks.BATCH - 1, marks.BATCH, len(jittered) - 1):
        assert together[number] == pytest.approx(marks.look_closer(photo, [jittered[number]])[0], abs=1e-2)


def test_the_hash_is_recorded():
    digest = sha256(ASSETS / "centerface-points.safetensors")
    assert FILES["centerface-points"].sha256 == digest
    assert digest in re.findall(r"\b[0-9a-f]{64}\b", (ASSETS / "centerface.md").read_text())


# --- the fit ---------------------------------------------------------------------------------------------------


def test_ridge_regression_finds_what_was_put_in(tmp_path):
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(0, 0.1, (10, 30)), rng.normal(0, 5, 10)
    features = rng.normal(2, 1, (400, 30))
    state = fit_marks.fit(features, features @ weight.T + bias, decay=1e-6)
    assert state["linear.weight"].numpy() == pytest.approx(weight, abs=2e-3)
    assert state["linear.bias"].numpy() == pytest.approx(bias, abs=2e-2)
    shrunk = fit_marks.fit(features, features @ weight.T + bias, decay=1e9)  # nothing but the mean is left
    assert np.abs(shrunk["linear.weight"].numpy()).max() < 1e-3
    assert shrunk["linear.bias"].numpy() == pytest.approx(2 * weight.sum(1) + bias, abs=0.2)


def test_views_keep_the_points_on_the_face(photo, face):
    """Cut, covered or turned: the network sees the face where the view says it is."""
    found = list(fit_marks.views(photo, face, seed=3))
    assert len(found) == 5
    assert any(picture.shape[0] < photo.shape[0] for picture, _ in found)
    for picture, points in found:
        seen = detect_faces(picture, "centerface")[0].five
        assert np.linalg.norm(seen - points, axis=1).mean() < 0.15 * eye_distance(points)


def test_the_aim_is_the_networks_mean(photo, face):
    aim = fit_marks.aim(photo, face.five.astype(float))
    assert np.linalg.norm(aim - face.five, axis=1).mean() < 0.08 * eye_distance(face.five)
    mirrored = np.ascontiguousarray(photo[:, ::-1])
    other = face.five[marks.MIRRORED].astype(float)
    other[:, 0] = photo.shape[1] - 1 - other[:, 0]
    back = fit_marks.aim(mirrored, other)[marks.MIRRORED]
    back[:, 0] = photo.shape[1] - 1 - back[:, 0]
    assert back == pytest.approx(aim, abs=0.5)  # mirror images are averaged in, so both ways give the same


def test_the_command_writes_a_file_that_loads(people, tmp_path, capsys):
    out = tmp_path / "points.safetensors"
    fit_marks.main([str(people), "--people", "2", "--out", str(out)])
    assert "2 people, " in capsys.readouterr().out
    assert load_network("centerface-points", marks.Marks, out).linear.weight.shape == (10, 3466)
    with pytest.raises(SystemExit):
        fit_marks.main([str(tmp_path), "--out", str(out)])
    assert "no face was found" in capsys.readouterr().err


def test_it_comes_with_the_repository():
    assert find("centerface-points") == ASSETS / "centerface-points.safetensors"
