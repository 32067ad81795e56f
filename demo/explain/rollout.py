"""Attention rollout (Abnar & Zuidema 2020) of H2L."""

from __future__ import annotations

from demo.explain.base import Explanation
from demo.explain.pair import Pair
from demo.explain.results import Matrices
from demo.methods.h2l import H2L


class RolloutExplanation(Explanation):
    """Attention of all layers multiplied up, skip connections included. Not in the papers."""

    word = "rollout"
    title = "H2L rollout (extra)"
    short = "Rollout (extra)"
    note = "H2L: attention through all layers."
    hint = ("An extra, not in the papers: attention rollout (Abnar and Zuidema 2020) multiplies up the attention of "
            "all layers, skip connections included; of a model with one layer it is the mean of the heads.")
    method = H2L.word
    view = "attention"
    extra = True
    on_sheets = False  # with one layer it says the same as attention

    def compute(self, pair: Pair) -> Matrices:
        maps = pair.crossed(self.method)
        forward, backward = maps.rolled
        return Matrices(self.title, forward[None, None], backward[None, None], maps.grid, "attention received",
                        by="by rollout")
