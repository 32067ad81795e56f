"""Adversarial photos: white-box PGD on a backbone's image embedding. Not TALFW, and not adapted to re-ranking."""

from demo.attack.kinds import ATTACKS, Attack, adversarial, nearest_stranger
from demo.attack.pgd import LARGEST_EPS, PGD, label, perturb

__all__ = ["ATTACKS", "LARGEST_EPS", "PGD", "Attack", "adversarial", "label", "nearest_stranger", "perturb"]

#: What caches hold was made by this version. Raise it when the same photo and seed are attacked otherwise.
VERSION = 1
