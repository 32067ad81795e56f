"""The whole of the papers' Stage 2 on this machine, and what asking for the first five alone saves."""

from __future__ import annotations

from time import perf_counter, process_time

import numpy as np
import ot
from torch import Tensor
from torch.nn import functional as F

from demo.backbones import Features
from demo.benchmarks.crowd import bundled, crowd, nearest
from demo.matching import emd_many, emd_problem
from demo.methods import Measured, first_few, rerank
from demo.methods.emd import PAPER_ALPHA

#: Of DeepFace-EMD: faces, and candidates of each.
FACES, K = 13233, 100
WEIGHTINGS = ("uniform", "apc")
#: Queries that are measured together, of which POT takes the first.
TOGETHER = 10
FIRST = 5


def pot_loop(cost: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """(B,) costs of the optimal flows, which it also makes."""
    return np.array([(ot.emd(*problem) * problem[2]).sum() for problem in zip(u, v, cost, strict=True)])


def oracle(query: Features, candidates: Features, weighting: str) -> np.ndarray:
    """(B,) distances by POT, one pair after the other, distances between patches and weights included."""
    problem = emd_problem(query, candidates, weighting)
    masses = (one.double().expand(len(problem), -1) for one in (problem.query_weights, problem.candidate_weights))
    return pot_loop(problem.ground.double().numpy(), *((one / one.sum(1, keepdim=True)).numpy() for one in masses))


def made(queries: int, count: int = FACES) -> tuple[Features, Tensor]:
    """``count`` faces and the candidates (queries, K) of the first ``queries`` of them."""
    faces = crowd(bundled(), count)
    return faces, nearest(faces, K, queries)


def whole(faces: Features, rows: Tensor) -> list[dict[str, str]]:
    """Both solvers in turn on the queries that have ``rows``, POT on a tenth of them; from gathering the candidates to
    the distances. Times are scaled to FACES x K pairs."""
    lines = []
    for weighting in WEIGHTINGS:
        spent = {"exact": np.zeros(3), "POT in a loop": np.zeros(3)}  # seconds, of the processor, and pairs
        worst = 0.0
        emd_many(faces[:1], faces, rows[:1], weighting)
        for start in range(0, len(rows), TOGETHER):
            some = slice(start, min(start + TOGETHER, len(rows)))
            before = perf_counter(), process_time()
            ours = emd_many(faces[some], faces, rows[some], weighting)
            spent["exact"] += perf_counter() - before[0], process_time() - before[1], ours.numel()
            before = perf_counter(), process_time()
            truth = oracle(faces[start], faces[rows[start]], weighting)
            spent["POT in a loop"] += perf_counter() - before[0], process_time() - before[1], len(truth)
            worst = max(worst, float(np.abs(ours[0].double().numpy() / truth - 1).max()))
        scaled = {name: one[:2] / one[2] * FACES * K for name, one in spent.items()}
        for name, (seconds, processor) in scaled.items():
            lines.append({"weights": weighting, "solver": name, "pairs measured": f"{spent[name][2]:,.0f}",
                          f"s for {FACES:,} x {K}": f"{seconds:,.0f}", "of the processor": f"{processor:,.0f}",
                          "of baseline": f"{seconds / scaled['POT in a loop'][0]:.3f}x",
                          "largest relative error": f"{worst:.1e}" if name == "exact" else ""})
    return lines


def few(faces: Features, rows: Tensor) -> list[dict[str, str]]:
    """Each query's first five of K after re-ranking, by measuring all and by lower bounds: processor time of both."""
    lines = []
    for weighting in WEIGHTINGS:
        seconds, measured, changed = np.zeros(2), 0, 0
        for n in range(len(rows)):
            query, others = faces[n], faces[rows[n]]
            cosine = 1 - F.cosine_similarity(query.embedding, others.embedding).double()
            start = process_time()
            problem = emd_problem(query, others, weighting)
            order = rerank(cosine, problem.solve().distance.double(), PAPER_ALPHA).order
            middle = process_time()
            problem = emd_problem(query, others, weighting)

            def measure(slots: Tensor, problem=problem) -> Measured:
                part = problem[slots].solve()
                return Measured(part.distance, part)

            found = first_few(cosine, problem.least(), measure, PAPER_ALPHA, FIRST)
            seconds += middle - start, process_time() - middle
            measured += found.measured
            changed += int((found.slots != order[:FIRST]).sum())
        all_ms, few_ms = 1000 * seconds / len(rows)
        lines.append({"weights": weighting, "queries": str(len(rows)),
                      f"all {rows.shape[1]}, ms of the processor": f"{all_ms:.2f}",
                      f"the first {FIRST}, ms": f"{few_ms:.2f}", "of all": f"{few_ms / all_ms:.2f}x",
                      "measured of each": f"{measured / len(rows):.0f}", "changed ranks": str(changed)})
    return lines
