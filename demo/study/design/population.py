"""Participants with known effects, for power, for load, and to see whether the statistics find what was planted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, roots_hermitenorm

from demo.study.design.conditions import DECIDED, PAPER, UNEXPLAINED

#: Accuracies of the WACV 2024 study (21 participants x 15 pairs): 172, 220, 233 and 237 correct of 315.
PAPER_CORRECT = dict(zip(PAPER, (172, 220, 233, 237), strict=True))
PAPER_PEOPLE, PAPER_PAIRS = 21, 15


def skill_for(accuracy: float, spread: float) -> float:
    """The logit at which people and pairs that differ by ``spread`` (SD, logits) are right in ``accuracy`` (0 to 1) of
    all answers: the inverse of E[expit(skill + spread z)], by Gauss-Hermite quadrature."""
    root: Any = brentq(lambda skill: accuracy_for(skill, spread) - accuracy, -20, 20)
    return float(root)


def accuracy_for(skill: float, spread: float) -> float:
    """The share of right answers at a skill, 0 to 1: E[expit(skill + spread z)]."""
    nodes, weights = roots_hermitenorm(40)
    return float(weights @ expit(skill + spread * nodes) / weights.sum())


def paper_skill() -> dict[str, float]:
    """Condition → the skill at which the default spread gives the paper's accuracy."""
    spread = float(np.hypot(Population.participant_sd, Population.item_sd))
    return {name: skill_for(count / (PAPER_PEOPLE * PAPER_PAIRS), spread) for name, count in PAPER_CORRECT.items()}


@dataclass(frozen=True)
class Population:
    """What is planted. Effects on being right are logits.

    skill: condition → logit of being right for the average person and pair (default: the paper's accuracies).
    participant_sd, item_sd: spread of people and of pairs. practice: gain per block. pull: towards the model's decision
    wherever one is shown (every condition but UNEXPLAINED). lean: towards answering "same". lapse: share of answers
    given at random. clear: how much easier practice pairs are, which are clear cases. rt_ms: condition → median
    response time; rt_participant_sd, rt_sd: spread of its logarithm over people and answers. sure_right, sure_wrong:
    place on the confidence scale (0 to 1) of right and wrong answers.
    """

    skill: Mapping[str, float] = field(default_factory=lambda: paper_skill())
    participant_sd: float = 0.35
    item_sd: float = 0.6
    practice: float = 0.0
    pull: float = 0.0
    lean: float = 0.0
    lapse: float = 0.0
    clear: float = 1.5
    rt_ms: Mapping[str, float] = field(
        default_factory=lambda: dict(zip(PAPER, (2600.0, 3200.0, 3400.0, 3600.0), strict=True)))
    rt_participant_sd: float = 0.25
    rt_sd: float = 0.4
    sure_right: float = 0.65
    sure_wrong: float = 0.45

    def logit_right(self, condition: str, *, person: float, pair: float, block: int, same: bool,
                    model_right: bool | None) -> float:
        """Logit of a right answer, lapses aside. person, pair: their own deviations. block: from 0."""
        plain = condition.removesuffix(DECIDED)
        effect = self.skill.get(condition, self.skill.get(plain, 0.0)) + person + pair + self.practice * block
        effect += self.lean if same else -self.lean
        if model_right is not None and condition != UNEXPLAINED.code:
            effect += self.pull if model_right else -self.pull
        return effect


class Reply(NamedTuple):
    """answer: "same" or "diff". confidence: 1 to 4."""

    answer: str
    rt_ms: float
    confidence: int


class Person:
    """One participant of a population. The same population, seed and number give the same answer to the same pair in
    the same condition, whatever came before."""

    def __init__(self, population: Population, seed: int, number: int):
        self.population, self._key = population, (seed, number)
        draw = np.random.default_rng([seed, number])
        self.ability, self.pace = draw.normal(0, [population.participant_sd, population.rt_participant_sd])

    def reply(self, pair_id: str, condition: str, *, same: bool, block: int, model_right: bool | None,
              attention: bool = False, practice: bool = False) -> Reply:
        """Answer one trial. model_right: None where no model's decision is shown. attention: a check, which only a
        lapse fails. practice: a clear case."""
        planted = self.population
        draw = np.random.default_rng([*self._key, crc32(pair_id.encode()), crc32(condition.encode())])
        effect = 20.0 if attention else planted.logit_right(
            condition, person=self.ability, pair=pair_deviation(planted, self._key[0], pair_id), block=block, same=same,
            model_right=model_right) + planted.clear * practice
        luck, slip, coin = draw.random(3)
        right = coin < 0.5 if slip < planted.lapse else luck < expit(effect)
        time = planted.rt_ms.get(condition, 3000.0) * np.exp(self.pace + draw.normal(0, planted.rt_sd))
        sure = 1 + draw.binomial(3, planted.sure_right if right else planted.sure_wrong)
        return Reply("same" if right == same else "diff", float(round(time, 1)), int(sure))


def pair_deviation(population: Population, seed: int, pair_id: str) -> float:
    """How much easier (logits) a pair is than the average one."""
    return float(np.random.default_rng([seed, crc32(pair_id.encode())]).normal(0, population.item_sd))
