"""Which part of a face a patch shows, in words."""

from __future__ import annotations

import numpy as np

from demo.drawing.grids import Grid, patch_centres

#: Words for the parts, from the top of a face down; the last is everything that is no face.
REGIONS = ("the forehead", "the eyes and brows", "the nose", "the cheeks", "the mouth", "the chin",
           "hair, collar and background")
#: Those that stand for several things, whose verb is that of several.
PLURAL = ("the eyes and brows", "the cheeks", "hair, collar and background")
#: Box of each part but the last: from left to right of the face's middle, and from top to bottom, in units of the
#: distance from the eyes' middle down to the mouth's; the first that holds a patch's middle names it.
_BOXES = ((0.9, -0.95, -0.45), (0.95, -0.45, 0.3), (0.35, 0.3, 0.75), (0.95, 0.3, 0.75), (0.55, 0.75, 1.25),
          (0.6, 1.25, 1.75))
_NAMES = (0, 1, 2, 3, 4, 5)
#: Eyes' middle and mouth's middle as x, y of a crop, where a face's own landmarks are not known.
_USUAL = np.array([[0.5, 0.46], [0.5, 0.82]])


def regions(grid: Grid, landmarks: np.ndarray | None = None) -> np.ndarray:
    """(P,) index in REGIONS of each patch, row-major over grid. landmarks: (68, 2) x, y in 0..1 of the crop."""
    eyes, mouth = _USUAL if landmarks is None else (landmarks[36:48].mean(0), landmarks[48:60].mean(0))
    down = mouth - eyes
    unit = max(float(np.hypot(*down)), 1e-6)
    down = down / unit
    along = (patch_centres((1.0, 1.0), grid) - eyes) / unit
    y, x = along @ down, along @ np.array([down[1], -down[0]])
    found = np.full(len(y), len(REGIONS) - 1)
    for name, (half, top, bottom) in reversed(list(zip(_NAMES, _BOXES, strict=True))):
        found[(np.abs(x) <= half) & (y >= top) & (y < bottom)] = name
    below = (found == len(REGIONS) - 1) & (np.abs(x) <= 0.8) & (y >= 0.75) & (y < 1.25)
    found[below] = REGIONS.index("the cheeks")
    return found
