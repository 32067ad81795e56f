"""Adversarial photos: white-box PGD on a backbone's image embedding. Not TALFW, and not adapted to re-ranking."""

from demo.attack.kinds import ATTACKS, Attack, adversarial, nearest_stranger
from demo.attack.pgd import LARGEST_EPS, PGD, label, perturb

__all__ = ["ATTACKS", "LARGEST_EPS", "PGD", "Attack", "adversarial", "label", "nearest_stranger", "perturb"]
