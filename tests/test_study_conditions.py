"""The conditions of a study follow the registry of explanations: what is added there is made, shown and exported."""

from __future__ import annotations

import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import QUERIES
from PIL import Image
from studies import enrol, walk

from demo.backbones import Features
from demo.cli.study import backbone_for
from demo.errors import BadStudy
from demo.explain import EXPLANATIONS, Condition, Explanation, FaceMaps, Maps, Pair, Term, explain
from demo.methods import METHODS, STAGE1
from demo.methods.h2l import H2L
from demo.study import Store, StudyConfig, StudySession
from demo.study.design.conditions import DECIDED, DECISION, UNEXPLAINED, conditions, described, explanation_of, label
from demo.study.records.export import codebook
from demo.study.stimuli.make import make_study
from demo.study.stimuli.panels import panels, pictured
from demo.study.stimuli.pattern import without
from demo.study.stimuli.record import read_study
from demo.ui.study.legends import legend_of

SHORT = replace(StudyConfig(), pairs_per_set=2, training_pairs=1, attention_per_block=0, counterbalancing="fixed")


class Corner(Explanation):
    """Says that only the first patch matters."""

    word = "corner"
    title = "Corner"
    method = STAGE1.word
    view = "corner"
    condition = Condition("corner_cc", "The corner", "Corner", "Each photo again, lit in its corner.")

    def compute(self, pair: Pair) -> Maps:
        grid = pair.features[0].grid
        values = np.eye(1, grid[0] * grid[1])[0]
        return Maps(FaceMaps(self.title, values, values, grid), "brightness")


@pytest.fixture
def corner(monkeypatch):
    monkeypatch.setitem(EXPLANATIONS, Corner.word, Corner())


@pytest.mark.slow
def test_an_explanation_with_a_condition_is_one_by_itself(corner, identifier, tmp_path):
    """One file and one line: from the registry to a participant's page and the operator's tables."""
    for person in (f"person-{number:03d}" for number in range(70, 74)):
        shutil.copytree(QUERIES / person, tmp_path / "queries" / person)
    config = replace(SHORT, conditions=("corner_cc", "none"))
    made = make_study(identifier, config, tmp_path / "study", queries=tmp_path / "queries", force=True)
    assert read_study(tmp_path / "study") == (config, made) and made.problems() == []
    for render in made.renders:
        if render.condition == UNEXPLAINED.code:
            assert (render.panel1, render.panel2, render.model_id) == (made.neutral, made.neutral, None)
            continue
        assert render.model_id == STAGE1.word and render.params == {"weighting": "apc", "grid": [8, 8]}
        face = next(pair.face1 for pair in made.pairs if pair.pair_id == render.pair_id)
        with Image.open(made.picture(render.panel1)) as panel, Image.open(made.picture(face)) as photo:
            light, plain = (np.asarray(one.convert("L").resize((64, 64)), float) + 1 for one in (panel, photo))
        lit = light / plain  # panels are levelled as a whole, so only places compare
        assert lit[:8, :8].mean() > 2 * lit[8:, 8:].mean()  # all but a corner of the face is dark
    store = Store.create(tmp_path / "s.sqlite3", config, made)
    try:
        store.set_mode("live")
        session = StudySession(store)
        view = walk(session, enrol(session), until=1)
        assert legend_of(made, view, {}) == Corner.condition.legend and label("corner_cc") == "Corner"
        with store.read() as db:
            study = dict(db.execute("SELECT * FROM study").fetchone())
        assert "- `corner_cc`: The corner\n" in codebook({**study, "config": {"conditions": config.conditions}})
    finally:
        store.close()


def test_every_condition_has_a_code_of_its_own_and_a_method_that_judges_pairs():
    found = [one.condition.code for one in EXPLANATIONS.values() if one.condition]
    decided = [code + DECIDED for code in found]
    assert len({UNEXPLAINED.code, DECISION.code, *found, *decided}) == 2 * len(found) + 2 == len(conditions())
    assert {"agree_cosine", "agree_alike", "agree_emd"} <= set(found), "what the pages show first"
    assert list(conditions())[0] == UNEXPLAINED.code and explanation_of(UNEXPLAINED.code) is None
    for code in found:
        assert METHODS[explanation_of(code).method].verifies
        told = described(code).legend.lower()
        assert not any(name.lower() in told for one in METHODS.values() for name in (one.short, one.title))
    assert described("gone").label == described("gone").title == "gone"


def test_a_condition_that_cannot_be_shown_is_refused_with_the_reason(monkeypatch, tmp_path):
    nothing = SimpleNamespace(backbone="facenet", gallery=None, ready=lambda verifies: {})
    for condition, words in (("h2l_cc", "'h2l_cc': No weights of Model H2L come with the app for the facenet"),
                             ("heat", "'heat': choose from none, cnn_cc, h2l_cc, emd_flow")):
        with pytest.raises(BadStudy, match=words):
            make_study(nothing, replace(SHORT, conditions=("none", condition)), tmp_path / "study")
    monkeypatch.setattr(Corner, "method", next(word for word, method in METHODS.items() if not method.verifies))
    monkeypatch.setattr(METHODS[Corner.method], "unavailable", classmethod(lambda *_: None))
    monkeypatch.setitem(EXPLANATIONS, Corner.word, Corner())
    with pytest.raises(BadStudy, match="does not judge pairs"):
        make_study(nothing, replace(SHORT, conditions=("none", "corner_cc")), tmp_path / "study")
    assert not list(tmp_path.iterdir())


class Halves:
    """A backbone whose embedding is the brightness of two halves: enough to be asked about patches."""

    input_size, weights_sha256, info, device = (8, 8), "halves", None, torch.device("cpu")

    def blends(self, *_, **__) -> None:
        """Nothing is cheaper than making the pictures."""

    def extract(self, crops, batch: int = 32) -> Features:
        means = torch.tensor(np.asarray(crops, float).reshape(-1, 2, 4, 2, 4, 3).mean((2, 4, 5)).reshape(-1, 4))
        return Features(means, means[..., None], (2, 2))


def test_contributions_are_those_of_each_face_and_dark_where_they_speak_against():
    """By their sum, which is the distance from that of nothing, and by planted ones."""
    draw = np.random.default_rng(0)
    crops = tuple(draw.integers(20, 255, (8, 8, 3)).astype(np.uint8) for _ in "12")
    method = METHODS["cosine"](Halves())
    pair = Pair(crops, tuple(method.backbone.extract(crop) for crop in crops), lambda word: method)
    word = f"agreement-{method.word}"
    found = explain(pair, word, both=True)[word].maps
    assert found.signed and not np.allclose(found.query, found.candidate)
    for own, (first, second) in ((found.query, crops), (found.candidate, crops[::-1])):
        apart = [float(method.pairs(method.backbone.extract(shown), method.backbone.extract(second))[0])
                 for shown in (first, np.zeros_like(first))]
        assert own.sum() == pytest.approx(apart[1] - apart[0])

    planted, faces = np.array([-2.0, 0.0, 0.0, 1.0]), (np.full((20, 20, 3), 200, np.uint8),) * 2
    shown = pictured(faces, Maps(FaceMaps("x", planted, -planted, (2, 2), signed=True), "contribution"), "x")
    corners = [[int(picture[row, column, 0]) for row in (0, -1) for column in (0, -1)] for picture in shown]
    assert corners == [[30, 115, 115, 158], [200, 115, 115, 73]], "nothing is the middle, on both faces alike"
    less = without(Maps(FaceMaps("x", planted, -planted, (2, 2), signed=True), "contribution"), np.full((2, 4), 0.1))
    assert less.maps.signed and less.maps.query == pytest.approx(planted / 3 - 0.1)


def test_numbers_are_no_picture():
    faces = Features(torch.zeros(1, 2), torch.zeros(1, 4, 2), (2, 2))
    pair = Pair((np.zeros((4, 4, 3), np.uint8),) * 2, (faces, faces), lambda word: None,
                terms=(Term("Cosine distance", "0.5", ""),))
    with pytest.raises(BadStudy, match="no picture"):
        panels(pair, EXPLANATIONS["numbers"])


def test_a_study_is_made_on_a_backbone_that_has_its_methods(monkeypatch):
    usual = StudyConfig.preset("default")
    assert backbone_for(usual) == "mobilefacenet"
    monkeypatch.setattr(H2L, "unavailable", classmethod(lambda cls, backbone, gallery=None: (
        "Not on this one." if backbone == "mobilefacenet" else None)))
    assert backbone_for(usual) == "dlib"
    assert backbone_for(replace(usual, conditions=("emd_flow",))) == "mobilefacenet"
