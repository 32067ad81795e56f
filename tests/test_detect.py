"""Faces found, placed, sorted and landmarked, whatever the photo's size and framing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import dlib
import numpy as np
import pytest

from demo.errors import BadSetting, NoFace
from demo.faces import (
    DETECTORS,
    NO_FACE,
    TEMPLATES,
    Detection,
    Detector,
    Face,
    align,
    aligned_face,
    alter,
    crop_matrix,
    detect,
    detect_faces,
    find_face,
    geometry,
    landmark_face,
    load_photo,
    warp,
)
from demo.weights import dlib_model

PEOPLE = Path(__file__).resolve().parents[1] / "galleries" / "synthetic-people"


@pytest.fixture(scope="module")
def photo():
    return load_photo(PEOPLE / "person-001" / "01.jpg")


@pytest.fixture(scope="module")
def face(photo):
    return detect_faces(photo, "hog")[0]


@pytest.fixture(scope="module")
def hog():
    return dlib.get_frontal_face_detector()


def eye_distance(face: Face) -> float:
    return float(np.linalg.norm(face.five[1] - face.five[0]))


def far_apart(a: Face, b: Face) -> float:
    """Mean distance of the inner landmarks, in eye distances."""
    return float(np.linalg.norm(a.landmarks[17:] - b.landmarks[17:], axis=1).mean()) / eye_distance(a)


def test_one_face_with_everything(photo, face):
    assert len(detect_faces(photo, "hog")) == 1
    assert face.landmarks.shape == (68, 2) and face.landmarks.dtype == np.float32
    left, top, right, bottom = face.box
    assert 0 < left < right < 256 and 0 < top < bottom < 256
    assert face.chip_points.shape == (5, 2) and face.five_points is None and not face.aligned
    eyes, nose, mouth = face.five[:2], face.five[2], face.five[3:]
    assert eyes[0, 0] < nose[0] < eyes[1, 0] and eyes[:, 1].max() < nose[1] < mouth[:, 1].min()
    assert mouth[0, 0] < mouth[1, 0]
    with pytest.raises(ValueError):
        face.landmarks[0] = 0


def test_agrees_with_dlib_used_directly(photo, face, hog):
    rects, scores, _ = hog.run(photo, 0, 0.0)
    assert face.box == (rects[0].left(), rects[0].top(), rects[0].right(), rects[0].bottom())
    assert face.score == pytest.approx(scores[0])
    predictor = dlib.shape_predictor(str(dlib_model("shape_predictor_5_face_landmarks.dat")))
    theirs = np.array([(point.x, point.y) for point in predictor(photo, rects[0]).parts()])
    assert np.abs(face.chip_points - theirs).max() <= 1.01  # dlib rounds; a part of the photo may round otherwise
    assert np.abs(face.landmarks[[45, 42, 36, 39, 33]] - theirs).mean() < 0.06 * eye_distance(face)


def test_points_fall_back_on_the_68():
    points = np.random.default_rng(0).uniform(0, 100, (68, 2)).astype(np.float32)
    face = Face((0, 0, 9, 4), points)
    assert np.array_equal(face.chip, points[[45, 42, 36, 39, 33]])
    assert face.five == pytest.approx(np.array([
        points[36:42].mean(0), points[42:48].mean(0), points[30], points[60], points[64]]))
    assert face.area == 36
    with pytest.raises(ValueError):
        Face((0, 0, 1, 1), points[:5])


def test_two_faces_sorted_by_size(photo):
    other = load_photo(PEOPLE / "person-030" / "02.jpg")
    canvas = np.full((420, 900, 3), 128, np.uint8)
    canvas[20:276, 30:286] = photo
    canvas[10:394, 450:834] = cv2.resize(other, (384, 384), interpolation=cv2.INTER_CUBIC)
    large, small = detect_faces(canvas)
    assert large.area > small.area
    assert large.landmarks[:, 0].min() > 440 and small.landmarks[:, 0].max() < 300
    alone = detect_faces(photo)[0]
    assert np.abs(small.landmarks - alone.landmarks - (30, 20)).mean() < 0.03 * eye_distance(alone)
    assert np.array_equal(find_face(canvas, index=1).landmarks, small.landmarks)
    with pytest.raises(NoFace, match="Face 3 .* 2 can be found"):
        find_face(canvas, index=2)
    with pytest.raises(NoFace):
        find_face(canvas, index=-1)


def test_small_faces_are_found_in_an_upsampled_copy(photo, face, hog):
    small = cv2.resize(photo, (80, 80), interpolation=cv2.INTER_AREA)
    assert len(hog.run(small, 0, 0.0)[0]) == 0
    found = detect_faces(small)[0]
    assert np.abs(found.landmarks * 256 / 80 - face.landmarks).mean() < 0.08 * eye_distance(face)


def test_large_photos_are_reduced_and_mapped_back(photo, face):
    grown = geometry.rescale(10)
    found = detect_faces(cv2.resize(photo, (2560, 2560), interpolation=cv2.INTER_LINEAR))
    assert len(found) == 1
    expected = Face(face.box, geometry.apply(grown, face.landmarks))
    assert far_apart(expected, found[0]) < 0.06


def test_tight_crops_keep_the_photo_coordinates(photo, face, hog):
    left, top, right, bottom = (int(side) for side in face.box)
    for inset in (18, 20):
        x0, y0 = left + inset, top + inset
        tight = np.ascontiguousarray(photo[y0:bottom - inset, x0:right - inset])
        doubled = cv2.resize(tight, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
        assert len(hog.run(doubled, 0, 0.0)[0]) == 0  # only the border helps
        found = detect_faces(tight)[0]
        moved = Face(found.box, found.landmarks + (x0, y0))
        assert far_apart(face, moved) < 0.1


@pytest.mark.parametrize("shape", [(200, 300, 3), (16, 3000, 3), (900, 16, 3), (16, 16, 3)])
def test_no_face_no_guess(shape):
    empty = np.full(shape, 90, np.uint8)
    assert detect_faces(empty) == []
    with pytest.raises(NoFace) as caught:
        find_face(empty)
    assert str(caught.value) == NO_FACE
    assert NO_FACE == "No face was found. Try a larger or more frontal face, or tick 'already an aligned face'."


def test_other_detectors(photo, face):
    with pytest.raises(BadSetting, match="hog, cnn"):
        detect_faces(photo, "nothing")
    found = detect_faces(photo, "cnn")
    assert len(found) == 1 and far_apart(face, found[0]) < 0.1


def test_a_new_detector_is_one_line(photo, face, monkeypatch):
    """Scaling, merging, landmarks and sorting are done for it; its own points come back in photo pixels."""
    sizes = []

    def find(picture: np.ndarray, folder: Path | None) -> list[Detection]:
        sizes.append(picture.shape[:2])
        factor = picture.shape[0] / 1024
        points = geometry.apply(geometry.rescale(4 * factor), face.five)
        box = geometry.apply(geometry.rescale(4 * factor), np.reshape(face.box, (2, 2)))
        inner = geometry.apply(geometry.rescale(4 * factor), np.reshape(face.box, (2, 2)) + [[8, 8], [-8, -8]])
        return [Detection(tuple(inner.ravel()), 0.5, points), Detection(tuple(box.ravel()), 0.9, points)]

    monkeypatch.setitem(DETECTORS, "fake", Detector("a test", (500, 900), find))
    (found,) = detect_faces(cv2.resize(photo, (1024, 1024), interpolation=cv2.INTER_CUBIC), "fake")
    assert sizes == [(500, 500)]
    assert found.score == 0.9
    assert found.five == pytest.approx(geometry.apply(geometry.rescale(4), face.five), abs=1e-3)
    assert found.box == pytest.approx(tuple(geometry.apply(geometry.rescale(4), np.reshape(face.box, (2, 2))).ravel()))


def test_threads_do_not_disturb_each_other(photo):
    photos = [photo, *(load_photo(PEOPLE / f"person-{n:03d}" / "02.jpg") for n in (2, 5, 7))]
    alone = [detect_faces(one)[0] for one in photos]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda one: detect_faces(one)[0], photos * 2))
    for expected, found in zip(alone * 2, together, strict=True):
        assert found.box == expected.box
        assert np.array_equal(found.landmarks, expected.landmarks)


def test_landmarks_in_a_known_box(photo, face):
    given = landmark_face(photo, face.box)
    assert np.array_equal(given.landmarks, face.landmarks)
    for box in ((300, 300, 400, 400), (10, 10, 12, 12), (50, 50, 20, 90), (-200, 0, -100, 100)):
        with pytest.raises(BadSetting):
            landmark_face(photo, box)


def test_aligned_crops_are_an_explicit_choice(photo, face):
    for name in ("dlib", "arcface"):
        crop = align(photo, face, name)
        declared = aligned_face(crop)
        assert declared.aligned
        assert np.array_equal(align(crop, declared, name), crop)  # taken as it is, not aligned again
        truth = Face(face.box, geometry.apply(crop_matrix(face, name), face.landmarks))
        assert far_apart(truth, declared) < 0.1
    blank = aligned_face(np.full((128, 128, 3), 90, np.uint8))
    inner = blank.landmarks[17:]
    assert blank.aligned and inner.min() > 0 and inner.max() < 128


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_faces_that_lie_are_aligned_as_upright_ones_are(quarters, backbone):
    """On today's photos upright, the same photo turned is the same crop but for resampling."""
    for number in (1, 2, 9, 31, 60):
        photo = load_photo(PEOPLE / f"person-{number:03d}" / "02.jpg")
        turned = np.ascontiguousarray(np.rot90(photo, quarters))
        one, other = detect_faces(photo)[0], detect_faces(turned)[0]
        assert abs(abs(other.roll) - (0, 90, 180, 90)[quarters]) < 25
        assert other.area == pytest.approx(one.area, rel=0.15)
        inside = (other.landmarks > other.box[:2]) & (other.landmarks < other.box[2:])
        assert inside.mean() > 0.9
        crops = [align(photo, one, backbone).astype(int), align(turned, other, backbone).astype(int)]
        assert np.abs(crops[0] - crops[1]).mean() < 4


def test_lying_faces_are_found_beside_upright_ones(photo):
    other = np.rot90(load_photo(PEOPLE / "person-030" / "02.jpg"), 2)
    canvas = np.full((420, 900, 3), 128, np.uint8)
    canvas[10:394, 30:414] = cv2.resize(np.ascontiguousarray(other), (384, 384), interpolation=cv2.INTER_CUBIC)
    canvas[20:276, 600:856] = photo
    large, small = detect_faces(canvas)
    assert abs(large.roll) > 160 and abs(small.roll) < 20
    assert large.landmarks[:, 0].max() < 420 and small.landmarks[:, 0].min() > 590


@pytest.mark.parametrize("detector", ["centerface", "hog"])
def test_a_small_face_in_a_large_photo(photo, detector):
    """A face that has a hundredth of the longer side: the copies that are looked at first lose it."""
    side = 60 if detector == "centerface" else 110
    canvas = np.full((700, 7000, 3), 120, np.uint8)
    canvas[300:300 + side, 900:900 + side] = cv2.resize(photo, (side, side), interpolation=cv2.INTER_AREA)
    (found,) = detect_faces(canvas, detector)
    assert np.abs(found.landmarks.mean(0) - (900 + side / 2, 300 + side / 2)).max() < 0.2 * side


def test_every_size_is_looked_at_when_all_faces_are_asked_for(photo):
    canvas = np.full((700, 2500, 3), 120, np.uint8)
    canvas[50:650, 200:800] = cv2.resize(photo, (600, 600), interpolation=cv2.INTER_CUBIC)
    for left, side in ((1500, 40), (2000, 120)):
        canvas[200:200 + side, left:left + side] = cv2.resize(photo, (side, side), interpolation=cv2.INTER_AREA)
    assert len(detect_faces(canvas)) < 3
    assert len(detect_faces(canvas, every=True)) == 3


@pytest.mark.parametrize(("left", "top"), [(0.3, 0.3), (0.1, 0.25), (0.28, 0.02)])
def test_how_much_of_a_face_lies_beyond_a_photo(photo, face, left, top):
    """Against the alignment itself: a picture of ones, warped into the aligned square."""
    x, y = int(left * 256), int(top * 256)
    matrix = geometry.shift(-x, -y)
    there = face.moved(matrix)
    size = 256 - y, 256 - x
    template = TEMPLATES["arcface"]
    inside = warp(np.ones(size, np.float32), template.matrix(there), template.size).mean()
    assert detect._beyond(there, size) == pytest.approx(1 - inside, abs=0.01)


def test_a_face_that_is_cut_off_is_marked_better_with_a_border(monkeypatch):
    """The papers' crops; the points of the whole photo are the truth. On photos of real people the gain is larger."""
    errors = {limit: [] for limit in (detect.CUT_OFF, 2)}
    for seed, file in enumerate(sorted(PEOPLE.rglob("*.jpg"))[::24]):
        whole = load_photo(file)
        true = detect_faces(whole)[0]
        made = alter(whole, true, "crop", seed=seed)
        side = made.photo.shape[0] / TEMPLATES["dlib"].size[0]
        there = true.moved(geometry.compose(geometry.rescale(side), crop_matrix(true, "dlib", made.window)))
        for limit, found in errors.items():
            monkeypatch.setattr(detect, "CUT_OFF", limit)
            five = made.relocated().face.five
            found.append(np.linalg.norm(five - there.five, axis=1).mean() / eye_distance(there))
    better, before = (float(np.mean(found)) for found in errors.values())
    assert better < 0.95 * before and better < 0.1
