"""What a distance means: strangers and thresholds, measured on a gallery or on others, per method and alteration."""

from demo.calibration.held_out import HeldOut, held_out
from demo.calibration.keys import KINDS
from demo.calibration.measure import calibrate
from demo.calibration.people import Source, choose_photos, measure_reference
from demo.calibration.reference import Reference, reference_file
from demo.calibration.store import ENOUGH, FEWEST, Calibration, Unfit
from demo.calibration.strangers import NOBODY, PLAUSIBLE, UNCERTAIN, Strangers
from demo.calibration.threshold import Threshold, careful_threshold, set_threshold

__all__ = ["ENOUGH", "FEWEST", "KINDS", "NOBODY", "PLAUSIBLE", "UNCERTAIN", "Calibration", "HeldOut", "Reference",
           "Source", "Strangers", "Threshold", "Unfit", "calibrate", "careful_threshold", "choose_photos", "held_out",
           "measure_reference", "reference_file", "set_threshold"]
