"""Photo → aligned face: safe decoding, detection, landmarks, alignment and occlusions."""

from demo.faces.align import Window, align, align_points, crop_matrix, landmarks_in, resolve_template, warp
from demo.faces.detect import (
    DETECTORS,
    NO_FACE,
    Detection,
    Detector,
    aligned_face,
    detect_faces,
    find_face,
    landmark_face,
)
from demo.faces.face import Face
from demo.faces.occlude import OCCLUSIONS, Alteration, Occlusion, alter, occlude
from demo.faces.photo import load_photo
from demo.faces.templates import TEMPLATES, Template

__all__ = [
    "DETECTORS", "NO_FACE", "OCCLUSIONS", "TEMPLATES", "Alteration", "Detection", "Detector", "Face", "Occlusion",
    "Template", "Window", "align", "align_points", "aligned_face", "alter", "crop_matrix", "detect_faces",
    "find_face", "landmark_face", "landmarks_in", "load_photo", "occlude", "resolve_template", "warp",
]
