"""How much each patch matters: the weights of the two images' patches before transport.

A weighting looks at one image in the light of the other, and is used once in each direction. A new one is a file here
with a function of (features, other) that returns raw weights, and one line in ``registry``.
"""

from demo.matching.weightings.base import Weighting, floating
from demo.matching.weightings.registry import WEIGHTINGS, patch_weights, weighting_problems

__all__ = ["WEIGHTINGS", "Weighting", "floating", "patch_weights", "weighting_problems"]
