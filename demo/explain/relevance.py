"""Gradient-weighted relevance (Chefer et al. 2021) of H2L."""

from __future__ import annotations

from demo.drawing import FaceMaps
from demo.explain.base import Explanation
from demo.explain.pair import Pair
from demo.explain.results import Maps
from demo.methods.h2l import H2L


class RelevanceExplanation(Explanation):
    """Attention that raises the similarity of the two faces. Not in the papers."""

    word = "relevance"
    title = "H2L relevance (extra)"
    short = "Relevance (extra)"
    note = "H2L: attention that raises the similarity."
    hint = ("An extra, not in the papers: gradient-weighted relevance (Chefer et al. 2021) counts only attention that "
            "raises the similarity of the two faces, so bright patches are those that the score rests on.")
    method = H2L.word
    view = "attention"
    extra = True

    def compute(self, pair: Pair) -> Maps:
        maps = pair.crossed(self.method)
        return Maps(FaceMaps(self.title, *maps.relevance, maps.grid), "relevance")
