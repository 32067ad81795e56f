"""Alignment against dlib's own chips, known transforms, and pictures whose content is known exactly."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import dlib
import numpy as np
import pytest

from demo.errors import BadSetting, NoFace
from demo.faces import (
    TEMPLATES,
    Face,
    Template,
    Window,
    align,
    align_points,
    crop_matrix,
    detect_faces,
    geometry,
    landmarks_in,
    load_photo,
    warp,
)
from demo.faces.templates import COSFACE_POINTS, FACENET_POINTS, MTCNN_BOX

PEOPLE = Path(__file__).resolve().parents[1] / "galleries" / "synthetic-people"
NAMES = ("person-001/01.jpg", "person-007/02.jpg", "person-030/02.jpg", "person-060/01.jpg")


@pytest.fixture(scope="module")
def located():
    photos = [load_photo(PEOPLE / name) for name in NAMES]
    return [(photo, detect_faces(photo, "hog")[0]) for photo in photos]


def turned(degrees: float, scale: float, shift) -> np.ndarray:
    cosine, sine = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    return np.array([[cosine, -sine, shift[0]], [sine, cosine, shift[1]]])


def smooth(size: int = 400, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (size // 16, size // 16, 3), dtype=np.uint8)
    return cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)


def moved(face: Face, matrix: np.ndarray) -> Face:
    return Face(face.box, geometry.apply(matrix, face.landmarks), chip_points=geometry.apply(matrix, face.chip))


# --- geometry -------------------------------------------------------------------------------------------


def test_similarity_recovers_a_known_transform():
    points = np.random.default_rng(1).uniform(0, 100, (5, 2))
    for degrees, scale in ((0, 1), (33, 0.4), (-140, 2.5), (180, 1)):
        matrix = turned(degrees, scale, (12, -7))
        assert geometry.similarity(points, geometry.apply(matrix, points)) == pytest.approx(matrix)


def test_similarity_is_the_least_squares_one_and_never_a_reflection():
    rng = np.random.default_rng(2)
    source, target = rng.uniform(0, 100, (5, 2)), rng.uniform(0, 100, (5, 2))
    # linear least squares in (a, b, tx, ty) of x' = a x - b y + tx, y' = b x + a y + ty, written independently
    x, y = source.T
    rows = np.r_[np.c_[x, -y, np.ones(5), np.zeros(5)], np.c_[y, x, np.zeros(5), np.ones(5)]]
    a, b, tx, ty = np.linalg.lstsq(rows, np.r_[target[:, 0], target[:, 1]], rcond=None)[0]
    assert geometry.similarity(source, target) == pytest.approx(np.array([[a, -b, tx], [b, a, ty]]))
    mirrored = geometry.similarity(source, source * (-1, 1))
    assert np.linalg.det(mirrored[:, :2]) >= 0


def test_degenerate_points_are_refused(located):
    with pytest.raises(NoFace, match="coincide"):
        geometry.similarity(np.ones((5, 2)), COSFACE_POINTS)
    face = Face((0, 0, 10, 10), np.full((68, 2), 5.0))
    for name in ("cosface", "facenet-5pt"):
        with pytest.raises(NoFace):
            align(located[0][0], face, name)


# --- templates ------------------------------------------------------------------------------------------


def dlib_detection(face: Face) -> dlib.full_object_detection:
    parts = dlib.points([dlib.point(round(float(x)), round(float(y))) for x, y in face.chip])
    return dlib.full_object_detection(dlib.rectangle(*(int(side) for side in face.box)), parts)


def test_dlib_template_agrees_with_dlib_chips(located):
    for photo, face in located:
        theirs = dlib.get_face_chip(photo, dlib_detection(face), 150, 0.25)
        ours = align(photo, face, "dlib")
        assert np.abs(ours.astype(int) - theirs).mean() < 1.2
        details = dlib.get_face_chip_details(dlib_detection(face), 150, 0.25)
        rect, cosine, sine = details.rect, np.cos(details.angle), np.sin(details.angle)
        edges = np.array([(x, y) for x in (rect.left(), rect.right()) for y in (rect.top(), rect.bottom())])
        centre = edges.mean(0)
        expected = centre + (edges - centre) @ np.array([[cosine, sine], [-sine, cosine]])
        corners = [(x, y) for x in (0, 149) for y in (0, 149)]
        assert geometry.apply(geometry.invert(crop_matrix(face, "dlib")), corners) == pytest.approx(expected, abs=1e-6)


def test_arcface_recipe(located):
    for _, face in located:
        left, right, _, *mouth = align_points(face.five, crop_matrix(face, "arcface"))
        assert left[1] == pytest.approx(right[1], abs=1e-3) and left[0] < right[0]
        middle = (left + right) / 2
        assert middle == pytest.approx([64, 41], abs=1e-3)
        assert np.linalg.norm(np.mean(mouth, axis=0) - middle) == pytest.approx(48, abs=1e-3)


@pytest.mark.parametrize(("name", "target"), [("cosface", COSFACE_POINTS), ("facenet-5pt", FACENET_POINTS)])
def test_five_point_templates(located, name, target):
    for _, face in located:
        placed = align_points(face.five, crop_matrix(face, name))
        assert np.abs(placed - target).mean() < 0.06 * TEMPLATES[name].size[0]
        assert (placed - target).mean(0) == pytest.approx([0, 0], abs=1e-3)  # a least-squares fit leaves no shift


def test_facenet_box_and_margin(located):
    _, face = located[0]
    five = np.array([[40, 50], [80, 50], [60, 75], [45, 100], [75, 100]])
    given = Face((30, 20, 90, 120), face.landmarks, five_points=five)
    matrix = crop_matrix(given, "facenet")
    # box 60 x 100, centre (60, 70): a square of its area, plus 14 of 160 pixels of margin
    assert geometry.apply(matrix, (60, 70)) == pytest.approx([79.5, 79.5])
    assert geometry.scale_of(matrix) == pytest.approx((160 - 14) / np.sqrt(60 * 100))
    assert matrix[0, 1] == 0  # upright, as the detector's box
    placed = Face((0, 0, 1, 1), face.landmarks)
    unit = np.linalg.norm(placed.five[3:].mean(0) - placed.five[:2].mean(0))
    expected = 146 / (unit * np.sqrt(MTCNN_BOX[1] * MTCNN_BOX[2]))
    assert geometry.scale_of(crop_matrix(placed, "facenet")) == pytest.approx(expected)


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template(located, name):
    photo, face = located[1]
    template = TEMPLATES[name]
    crop = align(photo, face, template)
    assert crop.shape == (*template.size[::-1], 3) and crop.dtype == np.uint8
    points = landmarks_in(face, name)
    assert points.dtype == np.float32 and points.shape == (68, 2)
    inner = points[17:]
    assert (inner > 0).all() and (inner < 1).all()
    assert np.array_equal(crop, align(photo, face, name))
    assert np.array_equal(crop, align(photo, face, SimpleNamespace(template=template)))
    # a photo that was turned and enlarged gives the same crop (MTCNN's box alone stays upright)
    if name != "facenet":
        change = turned(20, 1.5, (90, -20))
        bent = cv2.warpAffine(photo, change, (460, 460), flags=cv2.INTER_CUBIC)
        again = align(bent, moved(face, change), name)
        assert np.abs(again.astype(int) - crop)[10:-10, 10:-10].mean() < 6


def test_already_aligned_crops_are_taken_whole(located):
    photo, face = located[0]
    whole = Face((-0.5, -0.5, 255.5, 255.5), face.landmarks, aligned=True)
    small = align(photo, whole, "arcface")
    assert np.array_equal(small, cv2.resize(photo, (128, 128), interpolation=cv2.INTER_AREA))
    tall = align(photo, whole, "cosface")  # 96 x 112: the sides are cut, nothing is squeezed
    assert geometry.scale_of(crop_matrix(whole, "cosface")) == pytest.approx(112 / 256)
    assert tall.min() >= 0 and tall[:, 0].sum() > 0 and tall[:, -1].sum() > 0


def test_unknown_template_and_own_template(located):
    photo, face = located[0]
    with pytest.raises(BadSetting, match="arcface"):
        align(photo, face, "nothing")
    own = Template("own", (20, 10), "mine", lambda face: np.array([[1.0, 0, -100], [0, 1.0, -50]]))
    assert np.array_equal(align(photo, face, own), photo[50:60, 100:120])


# --- windows and warping --------------------------------------------------------------------------------


def test_a_window_is_the_same_part_cut_at_full_resolution(located):
    photo, face = located[2]
    big = cv2.resize(photo, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    face = moved(face, geometry.rescale(4))
    whole, part = align(big, face, "dlib"), align(big, face, "dlib", window=Window(0.2, 0.1, 0.5))
    assert np.abs(cv2.resize(part, (75, 75), interpolation=cv2.INTER_AREA).astype(int)
                  - whole[15:90, 30:105]).mean() < 2.5
    assert np.array_equal(whole, align(big, face, "dlib", window=Window(0, 0, 1)))
    points, inside = landmarks_in(face, "dlib"), landmarks_in(face, "dlib", window=Window(0.2, 0.1, 0.5))
    assert inside == pytest.approx((points - (0.2, 0.1)) / 0.5, abs=1e-5)


@pytest.mark.parametrize("values", [(0, 0, 0), (0.5, 0, 0.6), (-0.1, 0, 0.5), (0, 0.31, 0.7), (0, 0, 1.1)])
def test_windows_outside_the_crop_are_refused(values):
    with pytest.raises(BadSetting):
        Window(*values)


def test_large_photo_and_its_small_copy_give_nearly_the_same_crop(located):
    photo, face = located[0]
    large = cv2.resize(photo, (4000, 4000), interpolation=cv2.INTER_CUBIC)
    grain = 25 * np.random.default_rng(0).standard_normal(large.shape[:2], np.float32)
    large = np.clip(large + grain[..., None], 0, 255).astype(np.uint8)
    small = cv2.resize(large, (500, 500), interpolation=cv2.INTER_AREA)
    crops = [align(picture, moved(face, geometry.rescale(picture.shape[0] / 256)), name).astype(int)
             for name in ("dlib", "arcface") for picture in (large, small)]
    aliased = cv2.warpAffine(large, crop_matrix(moved(face, geometry.rescale(4000 / 256)), "dlib"), (150, 150))
    assert np.abs(crops[0] - crops[1]).mean() < 2
    assert np.abs(crops[2] - crops[3]).mean() < 2
    assert np.abs(aliased.astype(int) - crops[1]).mean() > 4  # plain sampling would not have passed


@pytest.mark.parametrize("scale", [0.07, 0.3, 0.6, 0.9, 1.3])
def test_warp_puts_points_where_the_matrix_says(scale):
    """A blob's centre of mass lands where align_points says, at every scale and rotation."""
    picture = np.zeros((600, 600), np.float32)
    cv2.circle(picture, (320, 250), 40, 1.0, -1)
    matrix = turned(25, scale, (0, 0))
    matrix[:, 2] = (30.3, 40.8) - matrix[:, :2] @ (320, 250)
    out = warp(picture, matrix, (100, 100))
    y, x = np.mgrid[0:100, 0:100]
    centre = np.array([(out * x).sum(), (out * y).sum()]) / out.sum()
    if scale < 0.7:  # the whole blob is inside
        assert centre == pytest.approx(align_points([(320, 250)], matrix)[0], abs=0.05)
        assert out.sum() == pytest.approx(np.pi * 40**2 * scale**2, rel=0.03)
    assert out[41, 30] == pytest.approx(1, abs=1e-3) and out.max() <= 1 + 1e-6


def test_warp_treats_pictures_and_cover_maps_alike():
    picture = smooth()
    matrix = turned(-12, 0.35, (20, 60))
    grey = warp(picture, matrix, (90, 70))[..., 1].astype(float)
    cover = warp(picture[..., 1].astype(np.float32) / 255, matrix, (90, 70)) * 255
    assert np.abs(grey - cover).max() < 2


def test_beyond_the_photo_it_is_black():
    picture = np.full((50, 50, 3), 200, np.uint8)
    for scale in (0.2, 0.8, 2.0):
        out = warp(picture, np.array([[scale, 0, 10], [0, scale, 10]]), (150, 150))
        assert (out[:8, :8] == 0).all() and (out[-8:, -8:] == 0).all()
        assert (out[13, 13] == 200).all()
    assert (warp(picture, np.array([[0.2, 0, 900], [0, 0.2, 900]]), (30, 20)) == 0).all()


def test_alignment_leaves_the_photo_alone(located):
    photo, face = located[0]
    before = photo.copy()
    align(photo, face, "facenet")
    assert np.array_equal(before, photo)
