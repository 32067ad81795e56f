"""The strongest flows of the Earth Mover's Distance, to be drawn as lines between the faces."""

from __future__ import annotations

from demo.explain.base import Explanation, Importance
from demo.explain.flow import FlowExplanation
from demo.explain.pair import Pair
from demo.explain.results import Curves
from demo.methods.emd import Emd

#: How many.
COUNT = 12


class LinesExplanation(Explanation):
    """The dozen flows that carry most."""

    word = "lines"
    title = "Lines"
    note = "EMD: the strongest flows."
    method = Emd.word
    view = "lines"

    def compute(self, pair: Pair) -> Curves:
        return Curves(FlowExplanation().compute(pair), COUNT)

    def importances(self, pair: Pair) -> list[Importance]:
        """None of its own: it is the flow."""
        return []
