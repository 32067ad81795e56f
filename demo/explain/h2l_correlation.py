"""Cross-correlation of H2L's patches with the other face as a whole (Face-ViT)."""

from __future__ import annotations

from demo.drawing import FaceMaps
from demo.explain.base import Condition, Explanation, Importance
from demo.explain.correlation import HINT, LEGEND, NOTE
from demo.explain.pair import Pair
from demo.explain.results import Maps
from demo.methods.h2l import H2L


class H2LCorrelationExplanation(Explanation):
    """Cosine of each patch, after the transformer, with the mean patch of the other face."""

    word = "h2l-correlation"
    title = "H2L correlation"
    note = NOTE
    hint = HINT
    method = H2L.word
    view = "correlation"
    overview = True
    stored = "correlation"
    condition = Condition("h2l_cc", "Cross-correlation of H2L's patches", "H2L correlation", LEGEND, 2)

    def compute(self, pair: Pair) -> Maps:
        maps = pair.crossed(self.method)
        return Maps(FaceMaps(self.title, *maps.correlation, maps.grid), "correlation")

    def importances(self, pair: Pair) -> list[Importance]:
        return [Importance("correlation of H2L patches", self.method, self.compute(pair).maps.query)]
