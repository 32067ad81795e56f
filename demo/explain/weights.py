"""The patch weights of the Earth Mover's Distance: how much each patch counts."""

from __future__ import annotations

from demo.drawing import FaceMaps
from demo.explain.base import PATTERN, Condition, Explanation, Importance
from demo.explain.pair import Pair
from demo.explain.results import Maps
from demo.matching import WEIGHTINGS, Weighting, emd
from demo.methods.emd import Emd, EmdOptions

#: Names no patch, so there is nothing to judge.
_SAYS_NOTHING = "uniform"


class WeightsExplanation(Explanation):
    """How much each patch counts (Eq. 3.6-3.8)."""

    word = "weights"
    title = "Weights"
    note = "EMD: how much each patch counts."
    method = Emd.word
    view = "weights"
    overview = True
    first_row = True
    stored = ""  # with the flow
    condition = Condition(
        "d_weights", "Weights of the Earth Mover's Distance", "EMD weights",
        "Each photo again, lit by a computer: bright parts are those that counted most while comparing, dark parts "
        "least.", 5)

    def compute(self, pair: Pair) -> Maps:
        moved = pair.transport
        u, v = (weights[0].cpu().numpy() for weights in (moved.query_weights, moved.candidate_weights))
        return Maps(FaceMaps(_weighting(pair).title, u, v, moved.grid, pair.scale), "weight")

    def told(self, pair: Pair) -> str:
        weighting = _weighting(pair)
        shared = " One colour scale serves all candidates shown." if pair.scale else ""
        return f"{weighting.title}: {weighting.explanation}{shared}{PATTERN}"

    def importances(self, pair: Pair) -> list[Importance]:
        found = []
        for name, weighting in WEIGHTINGS.items():
            if name == _SAYS_NOTHING or any(map(weighting.unavailable, pair.features)):
                continue
            options = EmdOptions(name, solver="exact")
            moved = emd(*pair.features, name, options.solver)
            found.append(Importance(f"weights: {name}", self.method,
                                    moved.query_weights[0].double().cpu().clamp(min=0).numpy(), name, options))
        return found


def _weighting(pair: Pair) -> Weighting:
    """The one in use."""
    options: EmdOptions = pair.matching.of(Emd.word)
    return WEIGHTINGS[options.weighting]
