"""How sharp is an aligned face? Distances of softer photos than any that was measured say little."""

from __future__ import annotations

import cv2
import numpy as np

#: The border that is left out, as a share of the side: what lies beyond the photo is black there.
_BORDER = 0.08


def sharpness(crop: np.ndarray) -> float:
    """Spread of the Laplacian over that of the brightness of an aligned crop, uint8 (h, w, 3), without its border: no
    unit, independent of contrast, smaller for softer faces."""
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float64)
    rows, cols = (slice(round(_BORDER * side), side - round(_BORDER * side)) for side in grey.shape)
    return float(cv2.Laplacian(grey, cv2.CV_64F)[rows, cols].std() / max(float(grey[rows, cols].std()), 1.0))
