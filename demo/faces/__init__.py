"""Photo → aligned face: safe decoding, detection, landmarks, alignment, occlusions and perturbations."""

from demo.faces.address import PhotoAt, is_address
from demo.faces.align import (
    Window,
    align,
    align_points,
    crop_matrix,
    footprint,
    landmarks_in,
    resampling,
    resolve_template,
    warp,
)
from demo.faces.detect import (
    DEFAULT_DETECTOR,
    DETECTORS,
    NO_FACE,
    Detector,
    aligned_face,
    detect_faces,
    find_face,
    landmark_face,
)
from demo.faces.face import Face
from demo.faces.looks import LYING, Detection
from demo.faces.occlude import (
    DRAWN,
    OCCLUSIONS,
    PERTURBATIONS,
    Alteration,
    Kind,
    Occlusion,
    alter,
    occlude,
    perturbed,
)
from demo.faces.photo import Limits, load_photo, no_path
from demo.faces.templates import TEMPLATES, Template

__all__ = [
    "DEFAULT_DETECTOR", "DETECTORS", "DRAWN", "LYING", "NO_FACE", "OCCLUSIONS", "PERTURBATIONS", "TEMPLATES",
    "Alteration", "Detection", "Detector", "Face", "Kind", "Limits", "Occlusion", "PhotoAt", "Template", "Window",
    "align", "align_points", "aligned_face", "alter", "crop_matrix", "detect_faces", "find_face", "footprint",
    "is_address", "landmark_face", "landmarks_in", "load_photo", "no_path", "occlude", "perturbed", "resampling",
    "resolve_template", "warp",
]

#: What caches hold was made by this version. Raise it when the same photo is aligned or altered otherwise.
VERSION = 3
