"""The sentence of a match says nothing that its numbers do not: every clause read back and computed anew."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from conftest import QUERIES

from demo.explain import EXPLANATIONS, Signed, explain, sentence
from demo.explain.effects import effects
from demo.explain.regions import PLURAL, REGIONS, regions
from demo.explain.sentence import Facts, clauses, facts_of
from demo.figures import pair_of
from demo.methods import Matching, load_method

PAIRS = 10_000
MASS = re.compile(r"(?:Outside the (\w+) )?(\d+)\u00a0% of the weight meets the same place on the other face"
                  r"(?:; under (it|them) (\d+)\u00a0%)?\.")
ABOVE = re.compile(r"In the (\d+) of (\d+) patches that were compared, those above the mask, (\d+)\u00a0% of the "
                   r"weight meets the same place on the other face\.")
DISTANCE = re.compile(r"At distance (-?[\d.]+) (\S+) is (nearer|little nearer|no nearer) than a typical stranger "
                      r"\((-?[\d.]+)\)\.")
FOR = re.compile(r"^(.+?) (speaks?) for ([^;.]+)", re.IGNORECASE)
AGAINST = re.compile(r"(?:^|; )(.+?) (speaks?) against")


def random_facts(rng: np.random.Generator) -> Facts:
    """Two faces that nobody has: any flow, any cover, any contributions."""
    rows, columns = rng.integers(1, 9, 2)
    patches = int(rows * columns)
    flow = rng.random((patches, patches)) ** rng.integers(1, 8) * (rng.random((patches, patches)) < rng.random())
    flow += np.diag(rng.random(patches)) * rng.integers(0, 2) * patches
    cover = rng.random(patches) < rng.random() if rng.random() < 0.6 else None
    values = rng.normal(rng.normal(0, 1), 1, patches) * 10.0 ** rng.integers(-4, 1)
    baseline = rng.random() * 1.5
    signed = Signed("", values, (int(rows), int(columns)), float(baseline - values.sum()), float(baseline),
                    bool(rng.random() < 0.8))
    marks = None if rng.random() < 0.5 else rng.random((68, 2))
    compared = None
    if rng.random() < 0.3:  # mass on what is compared alone
        compared = rng.random(patches) < 0.2 + 0.8 * rng.random()
        flow[~compared] = 0
    return Facts("person-032", "person-032", signed if rng.random() < 0.95 else None, regions(signed.grid, marks), flow,
                 cover, str(rng.choice(["mask", "sunglasses"])), compared)


def listed(text: str) -> list[str]:
    """Names of parts, some of which hold an "and" themselves."""
    return [name for name in REGIONS if name in text.lower()]


def check(text: str, facts: Facts) -> int:
    """Assert every clause of a sentence; how many there were."""
    seen, left = 0, text
    flow = facts.flow
    for place, first, pronoun, second in MASS.findall(text):
        seen += 1
        groups = {first: range(len(flow))} if not place else {
            first: [i for i in range(len(flow)) if not facts.covered[i]],
            second: [i for i in range(len(flow)) if facts.covered[i]]}
        for said, patches in groups.items():
            mass, stays = sum(flow[i].sum() for i in patches), sum(flow[i, i] for i in patches)
            assert abs(float(said) - 100 * stays / mass) <= 0.5 + 1e-6, text
        assert not place or (place == facts.cover and pronoun == {"mask": "it", "sunglasses": "them"}[place])
    for some, many, said in ABOVE.findall(text):
        seen += 1
        rows = [i for i in range(len(flow)) if facts.compared[i]]
        assert (int(some), int(many)) == (len(rows), len(flow)) and len(rows) < len(flow)
        mass, stays = sum(flow[i].sum() for i in rows), sum(flow[i, i] for i in rows)
        assert abs(float(said) - 100 * stays / mass) <= 0.5 + 1e-6, text
    assert bool(ABOVE.search(text)) == (facts.compared is not None and not facts.compared.all() and flow.sum() > 0)
    left = MASS.sub("", ABOVE.sub("", left)).strip()
    for said, name, way, stranger in DISTANCE.findall(text):
        seen += 1
        signed = facts.signed
        assert facts.signed.stranger and name == facts.name
        assert abs(float(said) - signed.distance) <= 0.00051 and abs(float(stranger) - signed.baseline) <= 0.00051
        assert (way == "no nearer") == (float(said) >= float(stranger))
        assert way == "no nearer" or (way == "nearer") == (signed.distance < 0.75 * signed.baseline)
    left = DISTANCE.sub("", left).strip()
    if not left:
        return seen
    sums = {name: sum(value for value, part in zip(facts.signed.values, facts.parts, strict=True)
                      if REGIONS[part] == name) for name in REGIONS}
    up = sum(value for value in sums.values() if value > 0)
    down = sum(value for value in sums.values() if value < 0)
    favour = FOR.search(left)
    if favour:
        seen += 1
        names = listed(favour[1])
        assert names and favour[3] == facts.whom and all(sums[name] >= 0.2 * up - 1e-12 for name in names)
        assert len(names) == 1 or set(names) == set(sorted(sums, key=sums.get)[-2:])
        assert (favour[2] == "speak") == (len(names) > 1 or names[0] in PLURAL)
    if "no part of the picture speaks against" in left:
        seen += 1
        assert not down
    elif against := AGAINST.search(left.removeprefix(favour[0]) if favour else left):
        seen += 1
        names = listed(against[1])
        assert names and all(sums[name] <= 0.2 * down + 1e-12 for name in names) and -down >= 0.05 * up - 1e-12
        assert (against[2] == "speak") == (len(names) > 1 or names[0] in PLURAL)
    else:
        assert favour and -down <= 0.05 * up + 1e-12, "what speaks against is told where it counts"
    return seen


@pytest.mark.slow
def test_every_clause_holds_over_random_pairs():
    rng, clauses_seen = np.random.default_rng(0), 0
    for _ in range(PAIRS):
        facts = random_facts(rng)
        clauses_seen += check(" ".join(clauses(facts)), facts)
    assert clauses_seen > 2 * PAIRS


def test_the_check_would_notice_a_false_clause():
    facts = random_facts(np.random.default_rng(3))
    text = " ".join(clauses(facts))
    wrong = re.sub(r"(\d+)\u00a0% of", lambda found: f"{(int(found[1]) + 7) % 101}\u00a0% of", text, count=1)
    assert wrong != text
    with pytest.raises(AssertionError):
        check(wrong, facts)


def test_a_face_is_named_from_its_landmarks():
    names = [REGIONS[part] for part in regions((7, 7))]
    assert names[24 + 7] in ("the nose", "the mouth") and names[2 * 7 + 2] == "the eyes and brows"
    assert names[0] == names[48] == REGIONS[-1]
    upside_down = np.zeros((68, 2))
    upside_down[:] = (0.5, 0.5)
    upside_down[36:48], upside_down[48:] = (0.5, 0.7), (0.5, 0.3)
    turned = [REGIONS[part] for part in regions((7, 7), upside_down)]
    assert turned[5 * 7 + 3] == "the eyes and brows" and turned[2 * 7 + 3] == "the mouth"


def test_effects_find_an_additive_score_and_sum_to_it():
    rng = np.random.default_rng(1)
    kept = rng.random((400, 12)) < 0.5
    worth = np.repeat([3.0, -2, 0, 1], 3) + 0.01 * rng.random(12)
    found = effects(kept @ worth, worth.sum(), kept, (4, 3))
    assert found.sum() == pytest.approx(worth.sum(), abs=1e-9)
    assert np.corrcoef(found, worth)[0, 1] > 0.95


def test_effects_solve_the_weighted_ridge():
    """Against its normal equations over the patches, where ours has them over the versions."""
    rng = np.random.default_rng(5)
    kept, weights, scores = rng.random((30, 12)) < 0.5, rng.integers(1, 4, 30), rng.normal(size=30)
    shares = weights / weights.sum()
    places = np.array([(x + 0.5, y + 0.5) for y in range(4) for x in range(3)])
    alike = np.exp(-((places[:, None] - places) ** 2).sum(2) / 2)
    centred = kept - kept.mean(1, keepdims=True)
    centred = centred - shares @ centred
    noise = 0.3 * np.trace(centred @ alike @ centred.T) / 30
    ridge = np.linalg.solve((30 * shares * centred.T) @ centred + noise * np.linalg.inv(alike),
                            (30 * shares * centred.T) @ (scores - shares @ scores))
    assert effects(scores, 0.7, kept, (4, 3), weights) == pytest.approx(ridge - ridge.mean() + 0.7 / 12, abs=1e-7)
    assert effects(scores, 0.7, kept, (4, 3), np.full(30, 9.0)) == pytest.approx(effects(scores, 0.7, kept, (4, 3)))


@pytest.mark.parametrize("settings", [{}, {"occlusion": "mask"}, {"stage2": "emd", "weighting": "sc", "grid": (7, 7)}])
def test_contributions_of_the_default_backbone_sum_to_the_distance_shown(shown, settings):
    found = shown.identify(QUERIES / "person-032" / "04.jpg", **settings)
    pair = pair_of(found, shown)
    words = [word for word, one in EXPLANATIONS.items() if one.view == "agreement" and not one.unavailable(pair)]
    assert len(words) >= 3
    for word in words:
        one, result = EXPLANATIONS[word], explain(pair, word)[word]
        method = shown.method(one.method)
        distance = float(method.pairs(*pair.features, pair.matching.of(one.method), pair.grid_of(method))[0])
        assert result.distance == pytest.approx(distance, abs=1e-5)
        assert result.baseline - result.values.sum() == pytest.approx(result.distance, abs=1e-9)
        assert result.values.sum() > 0, "it is the same person"
    check(sentence(pair), facts_of(pair))
    assert "person-032" in sentence(pair)


def test_without_a_gallery_nothing_is_said_of_strangers(shown):
    found = shown.identify(QUERIES / "person-032" / "04.jpg")
    pair = pair_of(found, shown)
    bare = replace(pair, method=lambda word: load_method(word, shown.backbone), matching=Matching(), known={}, _kept={})
    assert "stranger" not in sentence(bare) and sentence(bare)
