"""Rotation, blur, low light and JPEG: what each does to a photo, and that the face is looked for again."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from demo.calibration import Calibration, Strangers, Unfit
from demo.errors import BadSetting, FaceLost
from demo.faces import (
    DRAWN,
    OCCLUSIONS,
    PERTURBATIONS,
    Face,
    align,
    aligned_face,
    alter,
    detect_faces,
    find_face,
    geometry,
    load_photo,
)
from demo.faces.blur import STYLES as BLURS
from demo.faces.blur import disc, streak
from demo.faces.jpeg import compress
from demo.faces.rotate import rotation
from demo.methods import Matching
from demo.query import ALTERATIONS, Preparation, prepare_query
from demo.ui.views.board import Result, verdict
from demo.verify import agreement, verify

EMD = Matching(method="emd")

ROOT = Path(__file__).resolve().parents[1]
PHOTO = ROOT / "assets" / "queries" / "person-013" / "04.jpg"
STYLED = [(kind, style) for kind in PERTURBATIONS for style in PERTURBATIONS[kind].styles]


@pytest.fixture(scope="module")
def photo():
    return load_photo(PHOTO)


@pytest.fixture(scope="module")
def face(photo):
    return find_face(photo)


def enlarged(photo, face, factor):
    """The same photo with more pixels, and its face."""
    matrix = geometry.rescale(factor)
    return cv2.resize(photo, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC), face.moved(matrix)


# --- all of them ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "style"), STYLED)
def test_same_seed_same_bytes_and_nothing_is_covered(photo, face, kind, style):
    before = photo.copy()
    first, again, other = (alter(photo, face, kind, style=style, seed=seed) for seed in (4, 4, 5))
    assert np.array_equal(photo, before)
    assert first.photo.dtype == np.uint8 and first.photo.shape == photo.shape
    assert first.photo.tobytes() == again.photo.tobytes() and first.photo.tobytes() != photo.tobytes()
    # JPEG has few qualities to draw from, so that two seeds may give the same; out of focus differs by its size
    assert kind == "jpeg" or first.photo.tobytes() != other.photo.tobytes()
    crop, cover = first.aligned("dlib")
    assert not cover.any() and not first.alpha.any() and first.perturbed
    assert np.array_equal(crop, align(first.photo, first.face, "dlib"))


@pytest.mark.parametrize("kind", PERTURBATIONS)
def test_stronger_is_farther_from_the_photo(photo, face, kind):
    names = list(PERTURBATIONS[kind].styles)
    for group in (names[:3], names[3:]):
        far = [np.mean([np.abs(alter(photo, face, kind, style=style, seed=seed).photo - photo.astype(float)).mean()
                        for seed in range(3)]) for style in group]
        assert far == sorted(far)


@pytest.mark.parametrize("kind", sorted(set(PERTURBATIONS) - {"rotate"}))  # alignment undoes a rotation
def test_photos_of_every_size_are_perturbed_alike(photo, face, kind):
    style = next(name for name in PERTURBATIONS[kind].styles if "medium" in name)
    harm = []
    for picture, located in ((photo, face), enlarged(photo, face, 5)):
        made = alter(picture, located, kind, style=style, seed=2)
        crops = [cv2.blur(crop, (3, 3)).astype(float)
                 for crop in (made.aligned("dlib")[0], align(picture, located, "dlib"))]
        harm.append(np.abs(crops[0] - crops[1]).mean())
    assert 0.6 < harm[0] / harm[1] < 1.6


def test_the_face_is_found_again_in_the_altered_photo(photo, face, backbone):
    made = alter(photo, face, "rotate", style="light", seed=1)
    again = made.relocated()
    (found,) = detect_faces(made.photo)
    assert np.array_equal(again.face.landmarks, found.landmarks)
    assert not np.array_equal(again.face.landmarks, made.face.landmarks)
    assert np.abs(again.face.landmarks - made.face.landmarks).mean() < 4  # and it is where the matrix says
    query = prepare_query(PHOTO, backbone, Preparation(alteration="rotate", style="light", seed=1))
    assert np.array_equal(query.crop, align(made.photo, found, backbone)) and not query.cover.any()


def test_an_occlusion_keeps_the_face_that_was_located(photo, face):
    for kind in ("mask", "sunglasses"):
        made = alter(photo, face, kind, seed=1)
        assert made.relocated() is made and made.face is face


def test_of_two_faces_the_altered_one_is_taken():
    photo = load_photo(ROOT / "assets" / "examples" / "two-faces.jpg")
    faces = detect_faces(photo)
    assert len(faces) == 2
    for face in faces:
        found = alter(photo, face, "dark", style="light").relocated().face
        assert np.linalg.norm(found.landmarks.mean(0) - face.landmarks.mean(0)) < 10


def test_a_lost_face_is_told_with_the_photo_it_was_lost_in(photo, face, backbone):
    flat = replace(alter(photo, face, "blur", style="motion-strong"), photo=np.full_like(photo, 90))
    with pytest.raises(FaceLost) as caught:
        flat.relocated()
    assert str(caught.value).count(".") == 1 and np.array_equal(caught.value.photo, flat.photo)


def test_an_aligned_crop_stays_one(photo, face):
    crop = align(photo, face, "dlib")
    made = alter(crop, aligned_face(crop), "rotate", style="strong", seed=1).relocated()
    assert made.face.aligned and made.face.box == (-0.5, -0.5, 149.5, 149.5)
    assert np.array_equal(made.aligned("dlib")[0], made.photo)  # so the rotation is not undone


def test_bad_words_are_told(photo, face, backbone):
    with pytest.raises(BadSetting, match="rotate, blur, dark, jpeg"):
        alter(photo, face, "haze")
    with pytest.raises(BadSetting, match="light, medium, strong"):
        alter(photo, face, "dark", style="pitch-black")
    with pytest.raises(BadSetting, match="haze"):
        Preparation(alteration="haze").check()
    assert set(DRAWN) < set(ALTERATIONS) and all(kind.title for kind in ALTERATIONS.values())


# --- each of them ---------------------------------------------------------------------------------------


def test_rotation_moves_points_as_trigonometry_says(photo, face):
    middle = np.array([100.0, 80.0])
    matrix = rotation(middle, 90)  # counter-clockwise as seen: what was on the right is above
    assert geometry.apply(matrix, [(110, 80), (100, 80)]) == pytest.approx(np.array([(100, 70), (100, 80)]))
    made = alter(photo, face, "rotate", style="strong", seed=3)
    old, new = (points - face.landmarks.mean(0) for points in (face.landmarks, made.face.landmarks))
    angles = np.degrees(np.angle((new @ [1, -1j]) / (old @ [1, -1j])))
    assert np.ptp(angles) < 0.1 and 25 <= abs(angles[0]) <= 40
    assert np.linalg.norm(new, axis=1) == pytest.approx(np.linalg.norm(old, axis=1), abs=1e-3)
    turned = made.face.landmarks[[37, 44, 30]]  # the pixels went along
    picked, before = (picture[tuple(np.rint(points).astype(int).T[::-1])].astype(int)
                      for picture, points in ((cv2.blur(made.photo, (5, 5)), turned),
                                              (cv2.blur(photo, (5, 5)), face.landmarks[[37, 44, 30]])))
    assert np.abs(picked - before).max() < 25


def test_both_directions_are_drawn(photo, face):
    turns = [alter(photo, face, "rotate", style="light", seed=seed).face.landmarks[16, 1] for seed in range(12)]
    assert min(turns) < face.landmarks[16, 1] < max(turns)


@pytest.mark.parametrize("style", BLURS)
def test_blur_keeps_the_light_and_loses_the_detail(photo, face, style):
    made = alter(photo, face, "blur", style=style, seed=2).photo

    def light(picture):
        return ((picture / 255.0) ** 2.2).mean()

    def detail(picture):
        return np.abs(cv2.Laplacian(picture.astype(np.float32), -1)).mean()

    assert light(made) == pytest.approx(light(photo), rel=0.02)
    assert detail(made) < 0.6 * detail(photo)


def test_what_a_point_becomes():
    rng = np.random.default_rng(0)
    kernel = disc(6.0, rng)
    y, x = np.mgrid[:len(kernel), :len(kernel)] - len(kernel) // 2
    assert kernel.sum() == pytest.approx(1) and (kernel * x).sum() == pytest.approx(0, abs=1e-5)
    assert (kernel * (x**2 + y**2)).sum() == pytest.approx(6**2 / 2, rel=0.05)  # of an even disc
    line = streak(20.0, rng)
    y, x = np.mgrid[:len(line), :len(line)] - len(line) // 2
    spread = np.linalg.eigvalsh(np.array([[(line * a * b).sum() for b in (x, y)] for a in (x, y)]))
    assert line.sum() == pytest.approx(1)
    assert spread[1] == pytest.approx(20**2 / 12, rel=0.15) and spread[0] < 0.5  # of an even line: thin and long


def test_dark_is_darker_by_the_stops_and_noisier(photo, face):
    flat = np.full_like(photo, 170)
    clean = (170 / 255) ** 2.2
    relative = []
    for style, low, high in (("light", 1.5, 2), ("medium", 2.5, 3.5), ("strong", 4, 5)):
        made = (alter(flat, face, "dark", style=style, seed=6).photo / 255.0) ** 2.2
        assert low - 0.15 < np.log2(clean / made.mean()) < high + 0.15
        relative.append(made.std() / made.mean())
    assert relative == sorted(relative) and relative[0] > 0.02 and relative[2] > 2 * relative[0]
    assert alter(photo, face, "dark", seed=6).photo.mean() < 0.8 * photo.mean()


def test_jpeg_is_a_file_read_again(photo, face):
    data = compress(photo, 12)
    with Image.open(BytesIO(data)) as file:
        assert file.format == "JPEG" and [layer[1:3] for layer in file.layer] == [(2, 2), (1, 1), (1, 1)]
        assert len(data) < 0.35 * len(compress(photo, 95))
    decoded = {alter(photo, face, "jpeg", style="medium", seed=seed).photo.tobytes() for seed in range(6)}
    known = {cv2.cvtColor(cv2.imdecode(np.frombuffer(compress(photo, quality), np.uint8), cv2.IMREAD_COLOR),
                          cv2.COLOR_BGR2RGB).tobytes() for quality in range(12, 17)}
    assert len(decoded) > 1
    near = [min(np.abs(np.frombuffer(one, np.uint8).astype(int) - np.frombuffer(other, np.uint8)).mean()
                for other in known) for one in decoded]
    assert max(near) < 0.5  # another decoder may round otherwise


def test_jpeg_makes_large_photos_small_and_keeps_the_place_of_the_face(photo, face):
    large, grown = enlarged(photo, face, 4)
    made = alter(large, grown, "jpeg", style="light", seed=1)
    assert made.photo.shape[0] < large.shape[0]
    eyes = made.face.five[:2]
    assert np.linalg.norm(eyes[1] - eyes[0]) == pytest.approx(80, abs=1)
    assert np.abs(made.relocated().face.landmarks - made.face.landmarks).mean() < 3


def test_a_face_moves_with_its_photo(face):
    matrix = geometry.compose(geometry.shift(7, -3), geometry.rescale(2))
    points = Face(face.box, face.landmarks, chip_points=face.landmarks[:5], five_points=face.landmarks[5:10])
    moved = points.moved(matrix)
    for name in ("landmarks", "chip_points", "five_points"):
        assert getattr(moved, name) == pytest.approx(geometry.apply(matrix, getattr(points, name)), abs=1e-4)
    assert moved.box == pytest.approx(geometry.apply(matrix, np.reshape(face.box, (2, 2))).ravel(), abs=1e-4)


# --- what was not measured is not claimed ---------------------------------------------------------------


def test_no_range_and_no_threshold_where_none_was_measured(identifier, backbone):
    calibration, method = Calibration(identifier.gallery), identifier.method("emd")
    assert isinstance(calibration.strangers(method, EMD, "mask", 0.7), Strangers)
    for kind in set(ALTERATIONS) - set(OCCLUSIONS):
        for unfit in (calibration.strangers(method, EMD, kind, 0.7), calibration.threshold(method, kind, None),
                      calibration.threshold(method, "mask", kind)):
            assert isinstance(unfit, Unfit) and unfit.asked == kind
    found = identifier.identify(PHOTO, occlusion="dark", style="light", seed=1)
    said = verdict(Result(found, identifier))
    assert said["kind"] == "none" and "not measured" in said["text"]
    pair = verify(PHOTO, PHOTO, identifier, Preparation(alteration="dark", style="light"))
    assert all(judged.threshold is None for judged in pair.judgements)
    assert "no thresholds are measured" in agreement(pair) and "low light" in agreement(pair)
