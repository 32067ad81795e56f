"""Speed and error of the transport solvers on real features: ``python -m demo.benchmarks.transport [--repeats 15]``.

Three tables. One query against the gallery's next faces, as in Stage 2. Then Stage 2 of DeepFace-EMD's 13,233 x 100
pairs of 64 x 64 patches, from gathering the candidates to the distances, told from some of the queries (of the bundled
people by dlib, with noise), of which POT takes a tenth. Then the first five of the gallery's nearest faces by lower
bounds, against measuring all of them. The baseline, in the same run and in turn with the others, is POT's network
simplex (``ot.emd``) in a loop over the pairs; its cost is also the truth that errors refer to.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from demo.backbones import Features
from demo.benchmarks import workload
from demo.benchmarks.crowd import nearest
from demo.benchmarks.timing import machine, tell, time_in_turn, timing_columns
from demo.benchmarks.workload import WEIGHTINGS, pot_loop
from demo.gallery import Gallery
from demo.matching import SOLVERS, ground_distance, patch_weights, transport, warm_up
from demo.settings import settings

BASELINE = "POT in a loop"


def rows(query: Features, candidates: Features, weighting: str, repeats: int) -> list[dict[str, str]]:
    """A line for each solver, and one for the step before it."""
    def prepare():
        return ground_distance(query.patches, candidates.patches), *patch_weights(query, candidates, weighting)

    problem = prepare()
    cost, u, v = (tensor.double().numpy() for tensor in problem)
    oracle = cost, u / u.sum(1, keepdims=True), v / v.sum(1, keepdims=True)
    calls = {BASELINE: lambda: pot_loop(*oracle)}
    calls |= {solver: lambda solver=solver: transport(*problem, solver) for solver in SOLVERS}
    timings = time_in_turn(calls | {"(distances and weights)": prepare}, repeats)

    truth = pot_loop(*oracle)
    lines = []
    for name, timing in timings.items():
        error, residual = "", ""
        if name in SOLVERS:
            plan = transport(*problem, name)
            relative = np.abs(plan.cost.double().numpy() / truth - 1)
            error, residual = f"{np.median(relative):.1e} / {relative.max():.1e}", f"{plan.residual.max():.1e}"
        patches = "x".join(map(str, cost.shape[1:]))
        lines.append({"patches": patches, "weights": weighting, "solver": name,
                      **timing_columns(timing, timings[BASELINE]),
                      "relative error, median / max": error, "worst marginal error": residual})
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gallery", type=Path, default=settings().galleries / settings().gallery)
    parser.add_argument("--backbone", default=settings().backbone)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--queries", type=int, default=100, help="that the whole workload is told from, of "
                        f"{workload.FACES} (default 100, 0 leaves it out)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    warm_up()
    gallery = Gallery.open(options.gallery, options.backbone)
    pairs = min(options.pairs, len(gallery) - 1)
    lines = []
    for grid in gallery.grids:
        faces = gallery.features(range(pairs + 1), grid)
        for weighting in WEIGHTINGS:
            lines += rows(faces[0], faces[1:], weighting, options.repeats)
    tables = {"solvers": lines}
    if options.queries > 0:
        people = gallery.features(range(len(gallery)))
        tables |= {"whole": workload.whole(*workload.made(options.queries)),
                   "first": workload.few(people, nearest(people, options.pairs, options.queries))}
    tell({"machine": machine(), **tables}, options.json, f"{machine()}; {pairs} pairs from {options.gallery.name}",
         *tables.values())


if __name__ == "__main__":
    main()
