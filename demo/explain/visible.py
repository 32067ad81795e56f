"""What was compared of two faces, and how much each part of it contributed."""

from __future__ import annotations

import numpy as np

from demo.drawing import FaceMaps
from demo.explain.base import Explanation
from demo.explain.pair import Pair
from demo.explain.results import Maps
from demo.methods.alike import Alike


class VisibleExplanation(Explanation):
    """Of the likeness that transport found between the visible patches, the share of each patch; 0 where it was left
    out on both faces."""

    word = "visible-patches"
    title = "What was compared"
    called = "likeness of what was compared"
    note = "Covered alike: each visible patch's share."
    hint = ("How much each patch contributed to the likeness. Patches that are covered on the {first} or on the "
            "{second} were left out on both faces, and are at 0, the darkest colour.")
    method = Alike.word
    view = "correlation"
    extra = True
    overview = True
    stored = "alike_visible"

    def unavailable(self, pair: Pair) -> str | None:
        if reason := super().unavailable(pair):
            return reason
        if not bool(pair.evidence(self.method).applied[0]):
            return "No mask is seen on either face, so nothing was left out: the distance is " + (
                "the cosine's and the linear discriminant's." if bool(pair.evidence(self.method).shaded[0])
                else "the cosine's.")
        return None

    def told(self, pair: Pair) -> str:
        return f"{super().told(pair)} The distance is {pair.evidence(self.method).told()}."

    def compute(self, pair: Pair) -> Maps:
        evidence = pair.evidence(self.method)
        first, second = (share[0].cpu().numpy() for share in evidence.contributions())
        return Maps(FaceMaps(self.title, first, second, evidence.grid), "likeness")

    def left_out(self, pair: Pair) -> dict[str, np.ndarray]:
        covered = ~pair.evidence(self.method).compared[0]
        return {f"left out: {self.method}": covered.double().cpu().numpy()}
