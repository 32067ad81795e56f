"""What a distance means: strangers and thresholds, measured on a gallery per method and alteration."""

from demo.calibration.measure import calibrate
from demo.calibration.store import FEWEST, KINDS, Calibration, Unfit
from demo.calibration.strangers import Strangers
from demo.calibration.threshold import Threshold, set_threshold

__all__ = ["FEWEST", "KINDS", "Calibration", "Strangers", "Threshold", "Unfit", "calibrate", "set_threshold"]
