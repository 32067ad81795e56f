"""How often the primary model's 95 % intervals hold the truth, in simulated studies of a given design."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from demo.study.analysis.glmm import fit_logistic
from demo.study.design.cells import blocks, cells
from demo.study.design.config import StudyConfig
from demo.study.design.population import Population
from demo.study.design.power import assumed

STUDIES = 100


def coverage(config: StudyConfig, people: int, *, studies: int = STUDIES, population: Population | None = None,
             seed: int = 0) -> tuple[float, int]:
    """Share (0 to 1) of the intervals of the conditions' effects that hold what was planted, and how many intervals
    that is of (one per study and condition but the first; none: 1.0 of 0); of fits that did not converge none holds
    anything. population: None = ``power.assumed``."""
    population, generator = population or assumed(config), np.random.default_rng(seed)
    skill = np.array([population.skill[name] for name in config.conditions])
    truth, held = skill[1:] - skill[0], []
    for _ in range(studies if len(skill) > 1 else 0):
        y, fixed, person, pair = drawn_study(population, config, people, generator)
        fit = fit_logistic(y, fixed, [person, pair])
        errors = fit.errors[1:len(truth) + 1]
        held.append(fit.converged & (np.abs(fit.coefficients[1:len(truth) + 1] - truth) <= 1.96 * errors))
    return (float(np.mean(held)) if held else 1.0), len(held) * len(truth)


def drawn_study(population: Population, config: StudyConfig, people: int,
                generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Test answers of one study straight from a population, pull and lean aside: right (n,), fixed effects (n, p) as in
    the model, participant and pair (n,)."""
    order, names = cells(config), config.set_names
    rows = [(person, names.index(name) * config.pairs_per_set + pair, config.conditions.index(condition), block)
            for person in range(people)
            for block, (condition, name) in enumerate(blocks(config, order[person % len(order)]))
            for pair in range(config.pairs_per_set)]
    person, pair, condition, block = np.array(rows).T
    skill = np.array([population.skill[name] for name in config.conditions])
    able = generator.normal(0, population.participant_sd, people)
    eta = (skill[condition] + population.practice * block + able[person]
           + generator.normal(0, population.item_sd, pair.max() + 1)[pair])
    columns = [np.ones(len(eta)), *(condition == at for at in range(1, len(skill))), block - block.mean()]
    fixed = np.stack(columns, 1).astype(float)
    if np.linalg.matrix_rank(fixed) < fixed.shape[1]:  # everybody saw the conditions in one order
        fixed = fixed[:, :-1]
    return (generator.random(len(eta)) < expit(eta)).astype(float), fixed, person, pair
