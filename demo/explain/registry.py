"""Every explanation, one line each. Pages, figures, downloads, faithfulness and the study go through this table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from demo.errors import BadSetting
from demo.explain.agreement import Agreement
from demo.explain.attention import AttentionExplanation
from demo.explain.base import Explanation
from demo.explain.correlation import CorrelationExplanation
from demo.explain.discriminant import DiscriminantExplanation
from demo.explain.flow import FlowExplanation
from demo.explain.h2l_correlation import H2LCorrelationExplanation
from demo.explain.lines import LinesExplanation
from demo.explain.numbers import NumbersExplanation
from demo.explain.pair import Pair
from demo.explain.relevance import RelevanceExplanation
from demo.explain.results import Result
from demo.explain.rollout import RolloutExplanation
from demo.explain.visible import VisibleExplanation
from demo.explain.weights import WeightsExplanation
from demo.methods import METHODS

#: Word → explanation, in the order that pages show.
EXPLANATIONS: dict[str, Explanation] = {one.word: one for one in (
    *map(Agreement, METHODS.values()),
    FlowExplanation(), LinesExplanation(), WeightsExplanation(), AttentionExplanation(), RolloutExplanation(),
    RelevanceExplanation(), CorrelationExplanation(), H2LCorrelationExplanation(),
    VisibleExplanation(), DiscriminantExplanation(),
    NumbersExplanation())}


@dataclass(frozen=True)
class View:
    """A tab of the page. together: its explanations are shown below each other; else one is chosen."""

    title: str
    together: bool = False


#: The tabs, in their order.
VIEWS: Mapping[str, View] = {
    "agreement": View("Where they agree"), "flow": View("Flow"), "lines": View("Lines"), "weights": View("Weights"),
    "attention": View("Attention"),
    "correlation": View("Correlation", together=True), "numbers": View("Numbers"),
}


def available(pair: Pair) -> dict[str, Explanation]:
    """Those that can be computed of a pair, by word."""
    return {word: one for word, one in EXPLANATIONS.items() if one.unavailable(pair) is None}


def explain(pair: Pair, *words: str, both: bool = False) -> dict[str, Result]:
    """Explanations of a pair by word: those named, or all that can be computed. Each is computed once. both: as they
    speak of both faces (``Explanation.of_both``).

    Raises BadSetting for an unknown word, and for a named one that cannot be computed, with the reason.
    """
    found: dict[str, Result] = {}
    for word in words or available(pair):
        if word not in EXPLANATIONS:
            raise BadSetting(f"Unknown explanation {word!r}: choose from {', '.join(EXPLANATIONS)}.")
        one = EXPLANATIONS[word]
        if reason := one.unavailable(pair):
            raise BadSetting(reason)
        found[word] = pair.once(("result", word, both),
                                lambda one=one: one.of_both(pair) if both else one.compute(pair))
    return found


def explains(method: str) -> dict[str, Explanation]:
    """The explanations of a method's score, by word."""
    return {word: one for word, one in EXPLANATIONS.items() if one.method == method}

