"""The optimal flow of the Earth Mover's Distance: which patch of one face is matched with which of the other."""

from __future__ import annotations

import numpy as np

from demo.drawing import flow_picture
from demo.explain.base import Condition, Explanation, Importance
from demo.explain.pair import Pair
from demo.explain.results import Flows
from demo.matching import emd
from demo.methods.emd import Emd, EmdOptions

#: Weightings whose flow is judged: the paper's, and the one whose weights say nothing, so that the flow must.
JUDGED = ("apc", "uniform")
#: Of the mass, where partial transport is asked what it leaves unmatched.
SHARE = 0.7


class FlowExplanation(Explanation):
    """Where the mass of each patch goes (Eq. 3.1-3.4, drawn as Eq. 3.9)."""

    word = "flow"
    title = "Flow"
    note = "EMD: where the mass of each patch goes."
    hint = ("At each place of the {first} stands the patch of the {second} that receives most of its mass "
            "(the papers' Eq. 3.9).")
    method = Emd.word
    view = "flow"
    overview = True
    thumbnail_note = "query rebuilt"
    thumbnail_alt = "the query's patches replaced by the patches of {name} that they flow to"
    condition = Condition(
        "emd_flow", "Flow of the Earth Mover's Distance", "EMD flow",
        "Each photo rebuilt by a computer from the best matching pieces of the other face: bright pieces count most.",
        3)

    def compute(self, pair: Pair) -> Flows:
        moved = pair.transport
        return Flows(moved.flow[0].cpu().numpy(), moved.query_weights[0].cpu().numpy(),
                     moved.candidate_weights[0].cpu().numpy(), moved.ground[0].cpu().numpy(), moved.grid, moved.share)

    def importances(self, pair: Pair) -> list[Importance]:
        """The share of 1 - EMD that each patch contributes, sum_j f_ij (1 - d_ij)."""
        found = []
        for weighting in JUDGED:
            options = EmdOptions(weighting, solver="exact")
            moved = emd(*pair.features, weighting, options.solver)
            values = (moved.flow * (1 - moved.ground)).sum(2)[0].double().cpu().clamp(min=0).numpy()
            found.append(Importance(f"flow: {weighting}", self.method, values, weighting, options))
        return found

    def left_out(self, pair: Pair) -> dict[str, np.ndarray]:
        """The mass that stays unmatched when only a share of it must move."""
        found = {}
        for weighting in JUDGED:
            moved = emd(*pair.features, weighting, share=SHARE)
            unmatched = (moved.query_weights - moved.flow.sum(2))[0].double().cpu().clamp(min=0)
            found[f"unmatched: {weighting}, share {SHARE:g}"] = unmatched.numpy()
        return found

    def thumbnail(self, pair: Pair) -> np.ndarray:
        flows = self.compute(pair)
        return flow_picture(pair.crops[1], flows.flow, flows.grid, dim=False)
