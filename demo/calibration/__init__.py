"""What a distance means: strangers and thresholds, measured on a gallery per method and alteration."""

from demo.calibration.measure import calibrate
from demo.calibration.store import FEWEST, KINDS, Calibration, Unfit
from demo.calibration.strangers import NOBODY, PLAUSIBLE, UNCERTAIN, Strangers
from demo.calibration.threshold import Threshold, set_threshold

__all__ = ["FEWEST", "KINDS", "NOBODY", "PLAUSIBLE", "UNCERTAIN", "Calibration", "Strangers", "Threshold", "Unfit",
           "calibrate", "set_threshold"]
