"""Cross-image attention of H2L: how much each patch is looked at from the other face."""

from __future__ import annotations

from demo.explain.base import Condition, Explanation
from demo.explain.pair import Pair
from demo.explain.results import Matrices
from demo.methods.h2l import H2L


class AttentionExplanation(Explanation):
    """Attention between the faces, renormalised over the other face's patches."""

    word = "attention"
    title = "H2L attention received"
    short = "Received"
    note = "H2L: how much each patch is looked at."
    hint = "Colours: how much each patch is looked at from the other face. Choose a patch to see where it looks."
    method = H2L.word
    view = "attention"
    overview = True
    condition = Condition(
        "h2l_attn", "Cross-attention of H2L", "H2L attention",
        "Each photo again, lit by a computer: bright parts are those it looked at most while comparing, dark parts "
        "least.", 4)

    def compute(self, pair: Pair) -> Matrices:
        maps = pair.crossed(self.method)
        return Matrices(self.title, maps.attention.forward, maps.attention.backward, maps.grid, "attention received")
