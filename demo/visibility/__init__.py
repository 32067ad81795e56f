"""What of an aligned face can be seen: an estimate per patch, and what covering it does to a backbone's features.

Both are learned from occlusions that are drawn, whose place is known, so nobody has to label anything.
"""

from demo.visibility.estimate import KINDS, NOTHING, Cover, Visibility
from demo.visibility.learn import learn_visibility
from demo.visibility.seen import Seen, seen_on
from demo.visibility.store import read_visibility, save_visibility, shipped_visibility

__all__ = ["KINDS", "NOTHING", "Cover", "Seen", "Visibility", "learn_visibility", "read_visibility", "save_visibility",
           "seen_on", "shipped_visibility"]
