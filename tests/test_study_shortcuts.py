"""Stimuli that cannot be answered without comparing faces: matched pairs, told shortcuts, level panels, patterns of
places, and attention checks that no one answer passes."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from demo.errors import BadStudy
from demo.explain import FaceMaps, Maps
from demo.settings import ASSETS
from demo.study import StudyConfig
from demo.study.analysis.exclusions import exclusion_candidates, told
from demo.study.analysis.report import stimuli_text
from demo.study.design.cells import check_assignable
from demo.study.design.config import Exclusion
from demo.study.stimuli import make, selection
from demo.study.stimuli.candidates import Candidate, Look, Photo, Pool, _partners
from demo.study.stimuli.panels import LIGHT, levelled, neutral
from demo.study.stimuli.pattern import likeness, mean_of_others, places, without
from demo.study.stimuli.planning import CHECKS, plan_pairs
from demo.study.stimuli.record import read_study
from demo.study.stimuli.selection import choose_pairs, shortcuts
from demo.study.stimuli.shortcuts import MOST, Traits, accuracies, best, refuse, tint

METADATA = Path(__file__).parent.parent / "galleries" / "synthetic-people" / "metadata.csv"
HAIR = ("black", "grey", "red")


def written(path: Path, rows: list[dict]) -> Path:
    with open(path, "w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, list(rows[0]))
        out.writeheader()
        out.writerows(rows)
    return path


@pytest.fixture(scope="module")
def pool(tmp_path_factory) -> Pool:
    return made_up(tmp_path_factory.mktemp("pool"))


@pytest.fixture(scope="module")
def chosen(pool):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "_DEALS", 20)  # how evenly they are dealt is not asked here
        return choose_pairs(pool, StudyConfig(), seed=1)


def made_up(tmp_path, people=120, seed=0) -> Pool:
    """People of three hair colours, who keep theirs; candidates with metadata, as ``measure`` would give them: half of
    the strangers offered share the colour."""
    rng = np.random.default_rng(seed)
    rows = [{"identity": f"{who:03d}", "photo": f"{number}.jpg", "hair_colour": HAIR[who % 3],
             "hat": str(rng.integers(2)), "yaw": str(rng.normal())} for who in range(people) for number in range(5)]
    traits = Traits.read(written(tmp_path / "metadata.csv", rows))
    photos = [Photo(f"{row['identity']}/{row['photo']}", row["identity"], Path(row["photo"]), None, at)
              for at, row in enumerate(rows)]
    found = []
    for at, query in enumerate(photos):
        for kind in ("none", "mask", "glasses"):
            own = photos[at - at % 5 + (at + 1) % 5]
            like = photos[(at + 15 * int(rng.integers(1, people // 3))) % len(photos)]
            other = photos[(at + 5 + 15 * int(rng.integers(people // 3))) % len(photos)]
            for partner in (own, like, other):
                margins = rng.normal(0.5, 0.8, 2)
                right = {name: bool(margin > 0) for name, margin in zip(("a", "b"), margins, strict=True)}
                one, two = query.key, partner.key
                found.append(Candidate(Look(query, kind, at), Look(partner, "none", 0), partner is own, {}, right,
                                       float(margins.mean()), traits.unlike(one, two), traits.equal(one, two),
                                       {"yaw": abs(traits.numbers["yaw"][one] - traits.numbers["yaw"][two])}))
    return Pool(tuple(found), {}, tuple(photos), traits)


def test_traits_are_what_never_varies_within_a_person():
    traits = Traits.read(METADATA)
    assert set(traits.fixed) == {"skin_group", "sex", "age_group", "hair_colour"}
    assert {"yaw", "pitch", "roll"} == set(traits.numbers) and "light" in traits.words
    assert traits.unlike(("person-001", "01.jpg"), ("person-001", "03.jpg")) == 0


@pytest.mark.parametrize("text", ["", "identity\n1\n", "identity,photo,sex\n1,2\n", "a,b\n1,2\n", "\x00"])
def test_metadata_that_cannot_be_read_are_named(tmp_path, text):
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(BadStudy, match="metadata"):
        Traits.read(tmp_path / "m.csv")
    with pytest.raises(BadStudy, match="cannot be read"):
        Traits.read(tmp_path / "missing.csv")


def test_how_often_a_rule_is_right_by_hand():
    same = [True, True, True, False]
    found = accuracies(same, {"hair": [True, True, True, True], "hat": [False, False, False, True]},
                       {"yaw": [0.1, 0.2, 0.3, 9.0]})
    assert found == {"same hair": 0.75, "same hat": 1.0, "all of these the same": 1.0, "near in yaw": 0.75}
    assert best(found)[1] == 1.0 and best({}) == ("none", 0.0)
    with pytest.raises(BadStudy, match="100 %.*--force"):
        refuse(found, force=False)
    refuse(found, force=True)
    refuse({"same hair": MOST}, force=False)


def test_chosen_pairs_cannot_be_told_by_what_never_varies(pool, chosen):
    offered = shortcuts(pool.candidates)
    assert offered["same hair_colour"] > 0.6
    sets, training = chosen
    pairs = [pair for own in sets.values() for pair in own]
    assert not any(pair.unlike for pair in pairs if not pair.same)
    assert max(shortcuts(pairs).values()) < 0.62 and len(training) == 20
    assert len({pair.query.photo.path for pair in training}) == 20


def test_attention_checks_are_of_every_kind_and_no_one_answer_passes(pool, chosen):
    sets, training = chosen
    planned = plan_pairs(sets, training, pool, StudyConfig(), lambda a, b: abs(a - b) / 100, seed=1)
    checks = [pair for pair in planned if pair.check]
    assert Counter((pair.check, pair.same) for pair in checks) == dict.fromkeys(CHECKS, 2)
    for pair in checks:
        one, two = (look.photo for look in pair.looks)
        assert (one == two) == (pair.check == "identical")
        assert (pool.traits.unlike(one.key, two.key) > 0) == (pair.check != "identical")
    shown = Counter(look.photo.path for pair in planned for look in pair.looks)
    assert max(shown.values()) <= 2 and sum(count > 1 for count in shown.values()) == 2, "only an identical photo twice"
    for always in (True, False):
        failed = sum(pair.same != always for pair in checks)
        assert failed >= StudyConfig().exclusion.attention_failed
    with pytest.raises(BadStudy, match="attention checks"):
        plan_pairs(sets, training, replace(pool, photos=()), StudyConfig(), lambda a, b: 0.0)


@pytest.mark.parametrize("conditions", [("none",), ("none", "emd_flow"), ("none", "emd_flow", "cnn_cc")])
@pytest.mark.parametrize("each", [1, 2, 5])
@pytest.mark.parametrize("limit", [1, 2, 1000])
def test_whoever_always_gives_one_answer_fails_in_every_design(conditions, each, limit):
    config = replace(StudyConfig(), conditions=conditions, attention_per_block=each, exclusion=Exclusion(
        attention_failed=limit, same_answer_run=1000, guessing_percent=0))
    checks = [CHECKS[at % len(CHECKS)][1] for at in range(each * len(conditions))]
    if len(checks) == 1:
        with pytest.raises(BadStudy, match="One attention check in all"):
            make.make_study(None, config, "nowhere")
        return
    for always in ("same", "diff"):
        rows = [{"pid": always, "block": 0, "pos": at, "phase": "attn", "condition": "none", "pair_id": f"X{at}",
                 "same": int(same), "answer": always, "rt_ms": 900.0} for at, same in enumerate(checks)]
        assert [one["pid"] for one in exclusion_candidates(rows, config.exclusion_rule)] == [always]
    assert f"{min(limit, len(checks) // 2)} or more failed attention checks" in told(config.exclusion_rule)


@pytest.mark.parametrize("values", [{"pairs_per_set": 200}, {"pairs_per_set": 2},
                                    {"pairs_per_set": 2, "attention_per_block": 0}])
def test_any_design_that_is_taken_can_be_assigned(values):
    check_assignable(replace(StudyConfig(), **values), [same for _, same in CHECKS])


def test_strangers_are_the_nearest_first_those_alike_in_what_never_varies(tmp_path):
    """The pairs of two people that a query is offered with: look-alikes by Stage 1."""
    people = [f"{who:03d}" for who in (0, 1, 3, 3, 2, *range(6, 40))]  # of the same colour where divisible by 3
    photos = [Photo(f"{who}/{at}.jpg", who, Path(f"{at}.jpg"), None, at) for at, who in enumerate(people)]
    colour = {photo.key: str(int(photo.identity) % 3) for photo in photos}
    nearest = SimpleNamespace(entries=photos, search=lambda embedding: (None, np.arange(len(photos))))
    rows = _partners(SimpleNamespace(gallery=nearest), photos, photos[0], SimpleNamespace(embedding=None),
                     Traits({"colour": colour}, {}, ("colour",)))
    found = [people[row] for row in rows]
    assert found == ["003", "006", "009", "012", "015", "018", "001", "002", "007", "008", "010", "011"]


def test_making_a_study_refuses_a_shortcut_and_a_design_that_nobody_can_take(pool, tmp_path, monkeypatch):
    told = replace(pool, candidates=tuple(pair for pair in pool.candidates if pair.same or pair.unlike))
    monkeypatch.setattr(make, "measure", lambda *_, **__: told)
    monkeypatch.setattr(selection, "_DEALS", 1)
    monkeypatch.setattr(selection, "_TRIES", 1)
    nothing = SimpleNamespace(ready=lambda verifies: {}, gallery=SimpleNamespace(
        manifest=SimpleNamespace(photos=tmp_path)))
    with pytest.raises(BadStudy, match="'same hair_colour' is right in 100 %.*--force"):
        make.make_study(nothing, replace(StudyConfig(), conditions=("none",)), tmp_path / "study")
    with pytest.raises(BadStudy, match="nobody could ever take part"):
        make.make_study(nothing, replace(StudyConfig(), pairs_per_set=2, attention_per_block=5), tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_a_design_in_which_somebody_has_no_order_is_refused():
    with pytest.raises(BadStudy, match="nobody could ever take part"):
        check_assignable(replace(StudyConfig(), pairs_per_set=2, attention_per_block=5), [same for _, same in CHECKS])


def test_panels_are_equally_bright_whatever_they_show():
    draw = np.random.default_rng(0)
    for dark, bright in ((0, 30), (0, 120), (100, 255), (20, 21)):
        picture = draw.integers(dark, bright, (40, 40, 3)).astype(np.uint8)
        shown = levelled(picture)
        assert abs(float(shown.mean()) - LIGHT) < 1.0
        order = np.argsort(picture[..., 0].ravel(), kind="stable")
        assert (np.diff(shown[..., 0].ravel()[order].astype(int)) >= 0).all(), "the order of brightness stays"
    assert neutral((4, 4, 3)).mean() == LIGHT
    assert levelled(np.zeros((4, 4, 3), np.uint8)).max() == 0


def test_the_likeness_of_unrelated_maps_is_the_mean_correlation():
    draw = np.random.default_rng(1)
    pattern = draw.random((2, 64))
    maps = [pattern + 0.5 * draw.random((2, 64)) for _ in range(12)]
    expected = np.mean([np.corrcoef([one[side] for one in maps])[np.triu_indices(12, 1)].mean() for side in (0, 1)])
    assert likeness(maps) == pytest.approx(expected) and expected > 0.5
    assert likeness(maps[:1]) is None and likeness([]) is None and likeness([np.ones((2, 4))] * 3) is None


def test_subtracting_the_pattern_leaves_what_is_found_here():
    draw = np.random.default_rng(2)
    pattern = np.tile(np.r_[np.ones(32), 4 * np.ones(32)], (2, 1))
    results = [Maps(FaceMaps("x", *(pattern + draw.random((2, 64))), (8, 8)), "share") for _ in range(30)]
    maps = [places(result) for result in results]
    left = [places(without(result, mean_of_others(maps, at))) for at, result in enumerate(results)]
    assert likeness(maps) > 0.9 and abs(likeness(left)) < 0.1
    assert all(one.min() >= 0 for one in left)


def test_the_colour_of_a_face_is_that_of_its_upper_half():
    crop = np.zeros((10, 10, 3), np.uint8)
    crop[:5] = 255
    assert tint(crop) == pytest.approx([100, 0, 0], abs=0.5)


@pytest.mark.parametrize("name", ["study", "study-2"])
def test_shipped_studies_have_no_shortcut_and_say_so(name):
    """From the pictures' names alone, with the gallery's own metadata: nothing that a study's file says of itself."""
    config, stimuli = read_study(ASSETS / name)
    traits = Traits.read(METADATA)
    tested = [pair for pair in stimuli.pairs if pair.set_id in config.set_names]
    keys = [[tuple(path.split("/")[-2:]) for path in (pair.img1_id, pair.img2_id)] for pair in tested]
    assert not any(traits.unlike(one, two) for one, two in keys)
    equal = {name: [traits.equal(one, two)[name] for one, two in keys] for name in traits.words}
    found = accuracies([pair.same for pair in tested], equal, {})
    assert best(found)[1] <= MOST and best(stimuli.provenance["shortcuts"])[1] <= MOST
    assert all(stimuli.provenance["shortcuts"][rule] == round(share, 4) for rule, share in found.items())
    told = stimuli_text(stimuli.provenance)
    assert "Without comparing faces" in told and "Likeness of unrelated pairs' maps" in told
    assert Counter(pair.check_kind for pair in stimuli.pairs if pair.check_kind) == {
        "identical": 2, "different": 2, "instructed": 4}
    assert len([pair for pair in stimuli.pairs if pair.set_id == "T"]) == 4 * config.training_pairs


def test_the_two_shipped_studies_are_different_ones():
    pairs = [{frozenset((pair.img1_id, pair.img2_id)) for pair in read_study(ASSETS / name)[1].pairs
              if not pair.check_kind} for name in ("study", "study-2")]
    assert len(pairs[0] & pairs[1]) < len(pairs[0]) / 2
