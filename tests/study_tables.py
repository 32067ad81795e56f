"""Made-up long tables, as an export would hold them: from a population, or with the paper's exact counts."""

from __future__ import annotations

from random import Random

import numpy as np

from demo.study.design.cells import ATTENTION, TRAINING, cells, participant_plan, same_counts
from demo.study.design.conditions import UNEXPLAINED
from demo.study.design.config import StudyConfig
from demo.study.design.population import PAPER_CORRECT, PAPER_PEOPLE, Person, Population

_OCCLUSIONS = (("none", "none"), ("mask", "none"), ("none", "glasses"))


def simulate_rows(people: int, population: Population | None = None, *, config: StudyConfig | None = None,
                  seed: int = 0, model_accuracy: float = 0.75) -> list[dict]:
    """Rows of responses_long.csv of ``people`` complete participants, without pictures or a database.

    Sets, orders and rotations are those of ``config`` (None = the default); participants fill its cells in turn.
    model_accuracy: share of a set's pairs on which the model shown is right, in every condition but UNEXPLAINED.
    """
    population, config = population or Population(), config or StudyConfig()
    same, occlusion, sets = _pairs(config)
    model_right = _model_right(config, sets, model_accuracy, seed)
    order = cells(config)
    rows = []
    for number in range(people):
        cell, pid = order[number % len(order)], f"{number:016x}"
        person = Person(population, seed, number)
        for trial in participant_plan(config, cell, f"{seed}-{number}", sets, same):
            truth, right = same[trial.pair_id], model_right.get((trial.pair_id, trial.condition))
            reply = person.reply(trial.pair_id, trial.condition, same=truth, block=trial.block, model_right=right,
                                 attention=trial.phase == "attn", practice=trial.phase == "train")
            predicted = None if right is None else truth == right
            rows.append({
                "study_id": config.study_id, "pid": pid, "idx": trial.idx, "block": trial.block, "pos": trial.pos,
                "phase": trial.phase, "condition": trial.condition, "pair_id": trial.pair_id, "same": int(truth),
                "occl1": occlusion[trial.pair_id][0], "occl2": occlusion[trial.pair_id][1], "flip": int(trial.flip),
                "answer": reply.answer, "correct": int((reply.answer == "same") == truth),
                "confidence": reply.confidence if config.confidence else None, "rt_ms": reply.rt_ms,
                "model_pred": None if predicted is None else int(predicted),
                "excluded": 0, "is_preview": 0})
    return rows


def paper_rows(seed: int = 0) -> list[dict]:
    """21 participants x 15 pairs x 4 conditions with exactly 172, 220, 233 and 237 correct answers of 315: 54.60,
    69.84, 73.97 and 75.24 %. Which answers are right is drawn from the default population, then corrected at random."""
    rows = simulate_rows(PAPER_PEOPLE, config=StudyConfig.preset("paper"), seed=seed)
    generator = np.random.default_rng(seed)
    for condition, target in PAPER_CORRECT.items():
        own = [row for row in rows if row["phase"] == "main" and row["condition"] == condition]
        surplus = sum(row["correct"] for row in own) - target
        able = [row for row in own if row["correct"] == (surplus > 0)]
        for at in generator.choice(len(able), abs(surplus), replace=False):
            row = able[at]
            row["correct"] = 1 - row["correct"]
            row["answer"] = "diff" if row["answer"] == "same" else "same"
    return rows


def _pairs(config: StudyConfig) -> tuple[dict[str, bool], dict[str, tuple[str, str]], dict[str, list[str]]]:
    """Truth and occlusions of every pair, and the sets."""
    sizes = dict.fromkeys(config.set_names, config.pairs_per_set)
    blocks = len(config.conditions)
    sizes |= {TRAINING: config.training_pairs * blocks, ATTENTION: config.attention_per_block * blocks}
    same_of = dict(zip(config.set_names, same_counts(config), strict=True))
    same, occlusion, sets = {}, {}, {}
    for name, size in sizes.items():
        sets[name] = [f"{name}{at:02d}" for at in range(size)]
        true = same_of.get(name, (size + 1) // 2)
        for at, pair in enumerate(sets[name]):
            same[pair], occlusion[pair] = at < true, _OCCLUSIONS[at % 3]
    return same, occlusion, sets


def _model_right(config: StudyConfig, sets: dict[str, list[str]], accuracy: float, seed: int) -> dict:
    """(pair, condition) → whether the model shown is right: the same share of every set, other pairs per condition."""
    found = {}
    for condition in config.conditions:
        for name, pairs in sets.items():
            wrong = Random(f"{seed}-{condition}-{name}").sample(pairs, round((1 - accuracy) * len(pairs)))
            if condition != UNEXPLAINED.code:
                found |= {(pair, condition): pair not in wrong for pair in pairs}
    return found
