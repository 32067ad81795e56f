"""Matching: patch weightings, optimal transport between patches, and the distances of Stage 2."""

from demo.matching.adapt import PatchStatistics, adapted_alpha
from demo.matching.emd import EMDProblem, EMDResult, emd, emd_problem, ground_distance
from demo.matching.forced import forced_transport
from demo.matching.many import emd_many
from demo.matching.transport import AUTO, SOLVERS, Plan, Solver, check_share, transport, warm_up
from demo.matching.weightings import WEIGHTINGS, Weighting, patch_weights, weighting_problems

__all__ = ["AUTO", "SOLVERS", "WEIGHTINGS", "EMDProblem", "EMDResult", "PatchStatistics", "Plan", "Solver",
           "Weighting", "adapted_alpha", "check_share", "emd", "emd_many", "emd_problem", "forced_transport",
           "ground_distance",
           "patch_weights", "transport", "warm_up", "weighting_problems"]
