"""Cross-correlation of the backbone's patches with the other face as a whole (Face-ViT)."""

from __future__ import annotations

from demo.crossimage import cross_correlation
from demo.drawing import FaceMaps
from demo.explain.base import PATTERN, Condition, Explanation, Importance
from demo.explain.pair import Pair
from demo.explain.results import Maps
from demo.methods.cosine import Cosine

#: What a correlation map of any network is, for people.
HINT = ("How much each patch resembles the other face as a whole (cosine with its mean patch). Each map is drawn on "
        "the face it speaks of.")
NOTE = "Likeness of each patch to the other face."
LEGEND = ("Each photo again, lit by a computer: bright parts are those it found most like the other face, dark parts "
          "least.")


class CorrelationExplanation(Explanation):
    """Cosine of each patch with the mean patch of the other face."""

    word = "correlation"
    title = "CNN correlation"
    note = NOTE
    hint = HINT + PATTERN
    method = Cosine.word
    view = "correlation"
    overview = True
    stored = "cnn_correlation"
    condition = Condition("cnn_cc", "Cross-correlation of the CNN's patches", "CNN correlation", LEGEND, 1)

    def compute(self, pair: Pair) -> Maps:
        first, second = pair.features
        on_first, on_second = cross_correlation(first.patches, second.patches)
        return Maps(FaceMaps(self.title, on_first[0], on_second[0], first.grid), "correlation")

    def importances(self, pair: Pair) -> list[Importance]:
        return [Importance("correlation of CNN patches", self.method, self.compute(pair).maps.query)]
