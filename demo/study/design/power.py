"""How many participants are needed: the study simulated many times over, and tested as it will be (docs/method.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from scipy import stats
from scipy.special import expit

from demo.errors import BadStudy
from demo.study.design.cells import blocks, cells
from demo.study.design.conditions import DECIDED, label, reference
from demo.study.design.config import StudyConfig
from demo.study.design.population import (
    PAPER_CORRECT,
    PAPER_PAIRS,
    PAPER_PEOPLE,
    Population,
    accuracy_for,
    skill_for,
)

SIZES = (12, 16, 20, 24, 32, 48, 64)
#: Power that a size has to have to be recommended, and the largest that is looked at.
ENOUGH, _MOST = 0.8, 96
#: Accuracy that is assumed of an explanation that no study has measured.
_UNMEASURED = 0.73
_FLIPS = 2000
_CHUNK = 50


def power_table(population: Population | None = None, *, config: StudyConfig | None = None,
                sizes: Sequence[int] = SIZES, repetitions: int = 400, alpha: float = 0.05, seed: int = 0) -> list[dict]:
    """Share of simulated studies in which a difference is found, for each number of participants.

    population: what is true (None = the paper's accuracies, SD .35 over people and .6 over pairs). Every study is drawn
    anew, people and pairs, and tested like a real one: Friedman, and sign-flip tests (2,000 flips) with Holm over all
    pairs of conditions. Returns per size {"n", "repetitions", "alpha", "friedman", "pairs": [{"a", "b", "power"}]},
    power from 0 to 1. With 400 repetitions a power is known to about 5 points.
    """
    population, config = population or Population(), config or StudyConfig()
    generator = np.random.default_rng(seed)
    pairs = list(combinations(range(len(config.conditions)), 2))
    table = []
    for n in sizes:
        omnibus, found = 0, np.zeros(len(pairs))
        for start in range(0, repetitions, _CHUNK):
            scores = simulate_scores(population, config, n, min(_CHUNK, repetitions - start), generator)
            omnibus += (friedman_p(scores) < alpha).sum()
            differences = np.stack([scores[..., b] - scores[..., a] for a, b in pairs], axis=-1)
            found += holm_rejects(_sign_flip_p(differences, generator), alpha).sum(axis=0)
        table.append({"n": int(n), "repetitions": repetitions, "alpha": alpha, "friedman": float(omnibus / repetitions),
                      "pairs": [{"a": config.conditions[a], "b": config.conditions[b], "power": float(share)}
                                for (a, b), share in zip(pairs, found / repetitions, strict=True)]})
    return table


def assumed(config: StudyConfig, expected: Mapping[str, float] | None = None) -> Population:
    """What is taken to be true of a design: accuracies that are expected (condition → 0 to 1), else those that the
    paper measured, else _UNMEASURED."""
    plain = Population()
    spread = float(np.hypot(plain.participant_sd, plain.item_sd))
    known = {name: count / (PAPER_PEOPLE * PAPER_PAIRS) for name, count in PAPER_CORRECT.items()}
    shares = {name: (expected or {}).get(name, known.get(name.removesuffix(DECIDED), _UNMEASURED))
              for name in config.conditions}
    for name, share in shares.items():
        if not 0 < share < 1:
            raise BadStudy(f"The accuracy expected of {name} must lie between 0 and 100 percent.")
    return Population(skill={name: skill_for(share, spread) for name, share in shares.items()})


def assumptions(config: StudyConfig, expected: Mapping[str, float] | None = None) -> str:
    """``assumed`` in words."""
    population = assumed(config, expected)
    spread = float(np.hypot(population.participant_sd, population.item_sd))
    shares = ", ".join(f"{label(name)} {100 * accuracy_for(population.skill[name], spread):.1f} %"
                       for name in config.conditions)
    return (f"Assumed accuracies: {shares} (where nothing else is expected, the published study's; "
            f"{100 * _UNMEASURED:.0f} % for what it did not have). Standard deviations on the logit scale: "
            f"{population.participant_sd:g} over people, {population.item_sd:g} over pairs. Whatever the number, "
            "explanations that differ by a point or two cannot be told apart.")


def sizes_for(config: StudyConfig) -> range:
    """Numbers of participants that fill the cells of a design equally, up to _MOST or so."""
    count = len(cells(config))
    step = count * max(1, round(16 / count)) if count < 16 else count
    return range(step, max(_MOST, 2 * step) + 1, step)


def power_for(config: StudyConfig, expected: Mapping[str, float] | None = None, *,
              repetitions: int = 400) -> tuple[list[dict], int | None]:
    """The power table of a design at ``sizes_for`` it, and the smallest of these at which every condition is told
    from the reference with power ENOUGH; None where none of them is enough."""
    table = power_table(assumed(config, expected), config=config, sizes=sizes_for(config), repetitions=repetitions)
    base = reference(config.conditions)

    def enough(row: dict) -> bool:
        return all(pair["power"] >= ENOUGH for pair in row["pairs"] if base in (pair["a"], pair["b"]))
    return table, next((row["n"] for row in table if enough(row)), None)


def simulate_scores(population: Population, config: StudyConfig, people: int, studies: int,
                    generator: np.random.Generator) -> np.ndarray:
    """Correct answers of each participant in each condition, (studies, people, conditions); pull and lean aside, which
    depend on the model shown."""
    plans = [{condition: (block, config.set_names.index(name))
              for block, (condition, name) in enumerate(blocks(config, cell))} for cell in cells(config)]
    places = np.array([[plans[at % len(plans)][name] for name in config.conditions] for at in range(people)])
    block, which = places[..., 0], places[..., 1]
    skill = np.array([population.skill[name] for name in config.conditions])
    person = generator.normal(0, population.participant_sd, (studies, people, 1, 1))
    items = generator.normal(0, population.item_sd, (studies, len(config.set_names), config.pairs_per_set))[:, which]
    right = expit(skill[:, None] + population.practice * block[..., None] + person + items)
    right = (1 - population.lapse) * right + population.lapse / 2
    return (generator.random(right.shape) < right).sum(axis=-1)


def friedman_p(scores: np.ndarray) -> np.ndarray:
    """p of Friedman's test, tie-corrected, for each study: (studies, people, conditions) → (studies,)."""
    n, count = scores.shape[-2:]
    ranks = stats.rankdata(scores, axis=-1) - (count + 1) / 2
    within = np.maximum((ranks**2).sum(axis=(-2, -1)), np.finfo(float).tiny)
    return stats.chi2.sf(n * (count - 1) * n * (ranks.mean(axis=-2)**2).sum(axis=-1) / within, count - 1)


def holm_rejects(p: np.ndarray, alpha: float) -> np.ndarray:
    """Which of the tests in each row Holm's procedure rejects: (studies, tests) → bool of the same shape."""
    count = p.shape[-1]
    order = np.argsort(p, axis=-1)
    passed = np.logical_and.accumulate(
        np.take_along_axis(p, order, -1) <= alpha / np.arange(count, 0, -1), axis=-1)
    rejected = np.empty_like(passed)
    np.put_along_axis(rejected, order, passed, -1)
    return rejected


def _sign_flip_p(differences: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """(studies, people, tests) whole numbers → p (studies, tests); the flips are shared by all tests of a call."""
    signs = (generator.integers(0, 2, (_FLIPS, differences.shape[1])) * 2 - 1).astype(np.float32)
    flipped = np.abs(np.einsum("fn,snt->fst", signs, differences.astype(np.float32), optimize=True))
    return (1 + (flipped >= np.abs(differences.sum(axis=1))).sum(axis=0)) / (1 + _FLIPS)
