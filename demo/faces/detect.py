"""Finding faces (CenterFace, dlib or MTCNN) and their landmarks (dlib's trained predictors).

A new detector is one function ``(uint8 RGB photo, weights folder) → list[Detection]`` and one line in DETECTORS;
scaling of large photos, further tries, landmarks, merging and sorting are done here for all of them. ``folder`` is
everywhere the folder in which weights are looked for first (see ``demo.weights.find``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import dlib as _dlib
import numpy as np

from demo.errors import BadSetting, NoFace, WeightsMissing
from demo.faces import centerface, geometry, marks, mtcnn
from demo.faces.face import Face
from demo.faces.looks import Box, Detection, Find, Look, best_of, look, look_in_tiles, look_turned, resize, same
from demo.faces.templates import TEMPLATES
from demo.weights import dlib_model
from demo.weights import find as find_weights

dlib: Any = _dlib  # a compiled module, which tells no types

NO_FACE = "No face was found. Try a larger or more frontal face, or tick 'already an aligned face'."
#: Landmarks are fitted with the face box at most this wide: single pixels of larger faces are mostly noise.
FIT_SIDE = 300
#: Median place of the frontal detector's box round MTCNN's five points, in units of the larger of the distance
#: between the eyes and that from the eyes to the mouth: side, and centre above the middle of eyes and mouth.
POINTS_FRAME_SIDE, POINTS_FRAME_UP = 2.2, 0.06
#: Last try: longest side and border, as a share of it. A tight crop has no room for a detector's box, and its face
#: is large in it.
TIGHT_SIDE, PADDING = 640, 0.3
#: A face is cut off where so much of its aligned square lies beyond the photo. Of the papers' crops 97 of 100 are, of
#: tight photos in which the whole face is seen 6.
CUT_OFF = 0.28
#: Weight of the squared distance from the middle beside a face's area; FaceNet's alignment has the same.
OFF_CENTRE = 2.0
#: By how much a face must score better in the turned photo than one that is upright as it is.
UPRIGHT = 0.1
#: Where the frontal detector's box lies in aligned crops (left, top, right, bottom as shares; median of all templates).
ALIGNED_BOX = (0.06, 0.07, 0.92, 0.93)
#: dlib's detectors keep scratch space between calls, so one thread at a time may use them.
_LOCK, _LOADING = threading.Lock(), threading.Lock()


@dataclass(frozen=True)
class Detector:
    """A face detector. title: for people. side: longest side of the picture in a first try and in further ones.

    find: (uint8 (h, w, 3) RGB, weights folder) → detections; may be called from several threads. refine: (picture, its
    detections, weights folder) → the same with better points, from a closer look at each; None where there is nothing
    to gain. tight: as find, of a photo in which nothing was found; None where it has no such way. weights:
    name of a file that may be missing, "" for none. sure: score below which a face may be one that lies on its side or
    upside down.
    """

    title: str
    side: tuple[int, ...]
    find: Find
    refine: Callable[[np.ndarray, list[Detection], Path | None], list[Detection]] | None = None
    tight: Find | None = None
    weights: str = ""
    sure: float = float("-inf")

    def ready(self, folder: Path | None = None) -> bool:
        """Whether the weights that do not come with every installation are there. folder: see ``demo.weights.find``."""
        try:
            return not self.weights or find_weights(self.weights, folder).is_file()
        except WeightsMissing:
            return False


@cache
def _hog():
    return dlib.get_frontal_face_detector()


@cache
def _cnn(path: Path):
    return dlib.cnn_face_detection_model_v1(str(path))


def _predictor(path: Path):
    with _LOADING:  # two threads that start together would read 100 MB each
        return _loaded_predictor(path)


@cache
def _loaded_predictor(path: Path):
    return dlib.shape_predictor(str(path))


def _box(rect) -> Box:
    return (float(rect.left()), float(rect.top()), float(rect.right()), float(rect.bottom()))


def _find_hog(photo: np.ndarray, _: Path | None) -> list[Detection]:
    with _LOCK:
        rects, scores, _ = _hog().run(photo, 0, 0.0)
    return [Detection(_box(rect), float(score)) for rect, score in zip(rects, scores, strict=True)]


def _find_cnn(photo: np.ndarray, folder: Path | None) -> list[Detection]:
    network = _cnn(dlib_model("mmod_human_face_detector.dat", folder))
    with _LOCK:
        found = network(photo, 0)
    return [Detection(_box(one.rect), float(one.confidence)) for one in found]


def _pointed(boxes: np.ndarray, scores: np.ndarray, points: np.ndarray) -> list[Detection]:
    return [Detection(tuple(box.tolist()), float(score), five)
            for box, score, five in zip(boxes, scores, points, strict=True)]


def _find_centerface(photo: np.ndarray, folder: Path | None) -> list[Detection]:
    return _pointed(*centerface.detect(photo, folder))


def _tight_centerface(photo: np.ndarray, folder: Path | None) -> list[Detection]:
    return _pointed(*centerface.filling(photo, folder))


def _refine_centerface(picture: np.ndarray, found: list[Detection], folder: Path | None) -> list[Detection]:
    pointed = [one.five_points for one in found if one.five_points is not None]  # it marks every face
    points = marks.look_closer(picture, pointed, folder)
    return [replace(one, five_points=five) for one, five in zip(found, points, strict=True)]


def _find_mtcnn(photo: np.ndarray, folder: Path | None) -> list[Detection]:
    return _pointed(*mtcnn.detect(photo, folder))


#: The detector that is used unless another is asked for: it finds masked faces, and lies beside the program.
DEFAULT_DETECTOR = "centerface"
#: Every detector by name.
DETECTORS = {
    "centerface": Detector("CenterFace: masked, turned and small faces, marks five points", (640, 1280, 2560),
                           _find_centerface, _refine_centerface, _tight_centerface, sure=0.8),
    "hog": Detector("dlib HOG: fast, frontal faces", (1024, 2048), _find_hog),
    "cnn": Detector("dlib CNN: slower, more poses", (640, 1280), _find_cnn),
    "mtcnn": Detector("MTCNN: many poses, marks five points", (1024, 2048), _find_mtcnn, weights="mtcnn"),
}


def detect_faces(photo: np.ndarray, detector: str = DEFAULT_DETECTOR, *, folder: Path | None = None,
                 every: bool = False) -> list[Face]:
    """All faces of a uint8 (H, W, 3) RGB photo, the most prominent first (see ``prominence``); an empty list where
    there is none.

    Several tries, each only if the one before found nothing: the photo (reduced, if it is large), the photo at
    twice that size, and again where the detector can, the photo with a border, for tight crops, the photo as a
    tight crop, where the detector has such a way, the photo turned by quarters, and a large photo in tiles. Where the
    most prominent face lies, or the detector is not sure of it, the photo is turned too, and the better finds are
    taken. Faces that the photo's edge cuts off are looked at again with a border, which halves the error of their
    points. every: all sizes are tried and put together, for small faces beside large ones. Coordinates are always
    those of the photo. Raises BadSetting for an unknown detector, WeightsMissing without the landmark models.
    """
    if detector not in DETECTORS:
        raise BadSetting(f"There is no detector {detector!r}; choose one of {', '.join(DETECTORS)}.")
    chosen = DETECTORS[detector]
    faces = [face for one in _looks(photo, chosen, folder, every) for face in _faces(one, chosen, folder)]
    faces = _given_room(photo, faces, chosen, folder)
    return sorted(faces, key=lambda face: -prominence(face, photo.shape[:2]))


def _looks(photo: np.ndarray, chosen: Detector, folder: Path | None, every: bool) -> list[Look]:
    """Where the faces of a photo were found."""
    longest = max(photo.shape[:2])
    sides = [min(side, longest if at == 0 else 2 * longest) for at, side in enumerate(chosen.side)]
    large = longest > sides[-1]

    def tries() -> Iterator[Look]:
        for side in dict.fromkeys(sides):
            yield look(photo, side, 0.0, chosen.find, folder)
        yield look(photo, min(sides[-1], TIGHT_SIDE), PADDING, chosen.find, folder)
        if chosen.tight:
            yield look(photo, sides[0], 0.0, chosen.tight, folder)

    def turned(side: int) -> list[Look]:
        return [look_turned(photo, quarters, side, chosen.find, folder) for quarters in (1, 2, 3)]

    upright = next((one for one in tries() if one.found), None)
    if upright is None:
        best = max(turned(sides[0]), key=_best_score)
        if not best.found and large:
            best = look_in_tiles(photo, sides[min(1, len(sides) - 1)], chosen.find, folder)
        return [best] if best.found else []
    if every:
        more = [look(photo, side, 0.0, chosen.find, folder) for side in dict.fromkeys(sides[1:])]
        more += [look_in_tiles(photo, sides[min(1, len(sides) - 1)], chosen.find, folder)] if large else []
        return best_of([upright, *more], lambda _, one: one.score)
    first = max((upright.placed(one) for one in upright.found), key=lambda one: _prominence(one.box, photo.shape[:2]))
    if first.lies or first.score < chosen.sure:
        surer = [one.only(lambda found: found.score >= chosen.sure - UPRIGHT) for one in turned(sides[0])]
        return best_of([upright, *surer], lambda where, one: (
            one.score - one.lies + UPRIGHT * (where is upright and not one.lies)))
    return [upright]


def _best_score(one: Look) -> float:
    return max((found.score for found in one.found), default=float("-inf"))


def _faces(where: Look, chosen: Detector, folder: Path | None) -> list[Face]:
    found = chosen.refine(where.picture, where.found, folder) if chosen.refine else where.found
    return [fit_landmarks(where.picture, one, folder, where.back) for one in found]


def _given_room(photo: np.ndarray, faces: list[Face], chosen: Detector, folder: Path | None) -> list[Face]:
    """The faces, those that are cut off as they are found in the photo with a border, where they are."""
    cut_off = [_beyond(face, photo.shape[:2]) > CUT_OFF for face in faces]
    if not any(cut_off):
        return faces
    again = _faces(look(photo, min(chosen.side[0], max(photo.shape[:2])), PADDING, chosen.find, folder), chosen, folder)
    return [next((other for other in again if same(face.box, other.box)), face) if cut else face
            for face, cut in zip(faces, cut_off, strict=True)]


def _beyond(face: Face, size: tuple[int, int]) -> float:
    """Share of the aligned square of a face that lies beyond a photo of this size (height, width)."""
    template, (height, width) = TEMPLATES["arcface"], size
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float32)
    square = geometry.apply(geometry.invert(template.matrix(face)), corners * template.size - 0.5).astype(np.float32)
    picture = (corners * (width, height) - 0.5).astype(np.float32)
    shared, _ = cv2.intersectConvexConvex(square, picture)
    return 1 - shared / max(cv2.contourArea(square), 1e-9)


def prominence(face: Face, size: tuple[int, int]) -> float:
    """How likely a photo of this size (height, width) is about this face, in square pixels: the area of its box minus
    OFF_CENTRE times the square of its distance from the middle. Of 13,233 photos of Labeled Faces in the Wild, which
    are about the face in the middle, 60 show a larger one beside it."""
    return _prominence(face.box, size)


def _prominence(box: Box, size: tuple[int, int]) -> float:
    left, top, right, bottom = box
    offset = (left + right - size[1] + 1) / 2, (top + bottom - size[0] + 1) / 2
    area = max(right - left, 0.0) * max(bottom - top, 0.0)
    return area - OFF_CENTRE * (offset[0] ** 2 + offset[1] ** 2)


def find_face(photo: np.ndarray, *, index: int = 0, detector: str = DEFAULT_DETECTOR,
              folder: Path | None = None) -> Face:
    """The face with this place in ``detect_faces`` (0 = the most prominent). Raises NoFace where there is none."""
    faces = detect_faces(photo, detector, folder=folder)
    if not faces:
        raise NoFace(NO_FACE)
    if not 0 <= index < len(faces):
        raise NoFace(f"Face {index + 1} was asked for, and {len(faces)} can be found; choose a smaller number.")
    return faces[index]


def landmark_face(photo: np.ndarray, box: Box, *, score: float = 1.0, folder: Path | None = None) -> Face:
    """The face in a known box (left, top, right, bottom): landmarks are fitted, nothing is detected.

    Raises BadSetting for a box without area or outside the photo.
    """
    left, top, right, bottom = box
    height, width = photo.shape[:2]
    if not (right - left >= 8 and bottom - top >= 8 and right > 0 and bottom > 0 and left < width and top < height):
        raise BadSetting("The box of the face must lie on the photo and be at least 8 pixels wide and high.")
    return fit_landmarks(photo, Detection((left, top, right, bottom), score), folder)


def aligned_face(photo: np.ndarray, *, folder: Path | None = None) -> Face:
    """The face of a photo that the user declares to be an aligned crop already: taken whole by every template.

    Its landmarks (of the detected face, else fitted where aligned crops have the face) serve the landmark
    weighting and the occlusions, never the alignment. Its score is 0 where no face is seen in it.
    """
    height, width = photo.shape[:2]
    found = detect_faces(photo, folder=folder)
    usual = tuple(np.array(ALIGNED_BOX) * [width, height, width, height])
    guess = found[0] if found else landmark_face(photo, usual, score=0.0, folder=folder)
    return Face((-0.5, -0.5, width - 0.5, height - 0.5), guess.landmarks, guess.score, aligned=True)


def _fit_frame(found: Detection) -> Box:
    """The square that dlib's predictors start from. They were trained on the boxes of the frontal detector, so
    where five points are known, that box is put in its usual place round them."""
    if found.five_points is None:
        return found.box
    low, high = np.reshape(found.box, (2, 2))
    eyes, mouth = found.five_points[:2], found.five_points[3:]
    spread = max(np.linalg.norm(eyes[1] - eyes[0]), np.linalg.norm(mouth.mean(0) - eyes.mean(0)))
    unit = np.clip(spread, 0.25 * (high - low).min(), (high - low).max())
    middle = np.clip((eyes.mean(0) + mouth.mean(0)) / 2, low, high) - (0, POINTS_FRAME_UP * unit)
    half = POINTS_FRAME_SIDE * unit / 2
    return (*(middle - half).tolist(), *(middle + half).tolist())


def fit_landmarks(picture: np.ndarray, found: Detection, folder: Path | None, back: np.ndarray | None = None) -> Face:
    """The face of a detection: landmarks are fitted on the part of the picture round it.

    back: 2x3 map from the picture to the photo in whose coordinates the face is wanted, if that is another one.
    """
    frame = _fit_frame(found)
    left, top, right, bottom = frame
    side = max(right - left, bottom - top)
    x0, y0 = (max(0, int(edge - side)) for edge in (left, top))
    part = picture[y0:int(bottom + side) + 1, x0:int(right + side) + 1]
    matrix = geometry.shift(-x0, -y0)
    if side > FIT_SIDE:
        width, height = (max(1, round(length * FIT_SIDE / side)) for length in part.shape[1::-1])
        factors = width / part.shape[1], height / part.shape[0]
        part, matrix = resize(part, (width, height)), geometry.compose(geometry.rescale(*factors), matrix)
    corners = np.rint(geometry.apply(matrix, np.reshape(frame, (2, 2)))).astype(int)
    rect = dlib.rectangle(*corners.ravel().tolist())
    part = np.ascontiguousarray(part)
    to_photo = geometry.invert(matrix)
    if back is not None:
        found, to_photo = found.moved(back), geometry.compose(back, to_photo)

    def points(count: int) -> np.ndarray:
        shape = _predictor(dlib_model(f"shape_predictor_{count}_face_landmarks.dat", folder))(part, rect)
        return geometry.apply(to_photo, [(point.x, point.y) for point in shape.parts()])

    return Face(found.box, points(68), found.score, points(5), found.five_points)
