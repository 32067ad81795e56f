"""Every term of the distance, as numbers."""

from __future__ import annotations

from demo.explain.base import Explanation
from demo.explain.pair import Pair
from demo.explain.results import Numbers
from demo.methods import STAGE1


class NumbersExplanation(Explanation):
    """The sum behind the score."""

    word = "numbers"
    title = "Numbers"
    note = "Every term of the distance."
    method = STAGE1.word
    view = "numbers"

    def unavailable(self, pair: Pair) -> str | None:
        return None if pair.terms else "No terms of the distance are known of this pair."

    def compute(self, pair: Pair) -> Numbers:
        return Numbers(pair.terms)
