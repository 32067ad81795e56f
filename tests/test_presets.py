"""Settings by name: one place, the same on the page, on the command line and for programs."""

import json
from dataclasses import replace

import pytest
from conftest import QUERIES
from gradio_client import Client, handle_file

from demo.cli import main
from demo.errors import BadSetting
from demo.methods import Matching
from demo.presets import PRESETS, PUBLISHED, RECOMMENDED, gained, preset
from demo.query import Preparation
from demo.settings import Settings
from demo.ui.choices import identify_choices, matching_of, preset_on, preset_values, standard, values_from_link
from demo.ui.pages.identify import IdentifyHandlers

pytestmark = pytest.mark.slow

PHOTO = QUERIES / "person-002" / "04.jpg"


def test_recommended_is_the_default_and_published_is_the_papers():
    assert PRESETS[RECOMMENDED].matching == Matching()
    paper = PRESETS[PUBLISHED].matching.values()
    named = {"stage2": "emd", "weighting": "apc", "alpha": 0.7, "k": 100, "grid": None, "adaptive": False, "share": 1.0}
    assert {key: paper[key] for key in named} == named
    with pytest.raises(BadSetting, match="choose from recommended, published"):
        preset("best")


def test_what_is_on_is_told(engine):
    choices = identify_choices(engine)
    start = standard(choices)
    assert preset_on(choices, start, engine.settings) == RECOMMENDED
    for word in PRESETS:
        values = preset_values(choices, word, start | {"k": 55, "stage2": "none", "seed": 3}, start)
        assert preset_on(choices, values, engine.settings) in (
            {word} | ({RECOMMENDED} if Matching() == replace(preset(word).matching, alpha=None) else set()))
        assert values["seed"] == 3  # the photo's part stays
        assert set(values) == set(start)
    published = preset_values(choices, PUBLISHED, start, start)
    assert matching_of(choices, published) == PRESETS[PUBLISHED].matching
    for change in ({"k": 55}, {"alpha": 0.5}, {"weighting": "uniform"}, {"stage2": "both"}, {"stage2": "none"},
                   {"share": 0.7}, {"grid": "4x4"}):
        assert preset_on(choices, published | change, engine.settings) is None, change
    link = {word: choices[word].field.write(value) for word, value in published.items()}
    assert values_from_link(choices, link, start) == published


def test_recommended_names_the_backbone_and_published_does_not():
    other = Settings(backbone="arcface")
    ours, papers = PRESETS.values()
    assert not ours.holds(Matching(), Preparation(), "facenet", other)
    assert ours.holds(Matching(), Preparation(), "arcface", other)
    assert not ours.holds(Matching(), Preparation(detector="cnn"), "arcface", other)
    assert papers.holds(papers.matching, Preparation(detector="cnn"), "facenet", other)


def test_options_of_methods_that_do_not_rank_play_no_part():
    papers = PRESETS[PUBLISHED]
    h2l = Matching(method="h2l").having(weighting="uniform")
    assert not papers.holds(h2l, Preparation(), "dlib", Settings())
    assert papers.holds(replace(papers.matching, alpha=None), Preparation(), "dlib", Settings())  # the EMD's own is 0.7


@pytest.mark.parametrize(("words", "expected"), [
    ([], {}), (["--preset", "published"], {"stage2": "emd", "alpha": 0.7, "weighting": "apc", "k": 100}),
    (["--preset", "published", "--k", "20"], {"stage2": "emd", "alpha": 0.7, "k": 20}),
    (["--alpha", "0.5", "--preset", "published", "--weighting", "uniform"], {"alpha": 0.5, "weighting": "uniform"}),
    (["--preset", "published", "--stage2", Matching().method], {"stage2": Matching().method})])
def test_what_is_given_goes_before_the_preset(capsys, words, expected):
    assert main(["identify", str(PHOTO), "--json", "--top", "1", *words]) == 0
    settings = json.loads(capsys.readouterr().out)["settings"]
    expected = expected or {"stage2": Matching().method, "k": Matching().k}
    assert {key: settings[key] for key in expected} == expected


@pytest.mark.parametrize(("words", "framing"), [
    ([], "found"), (["--preset", "published"], "kept"), (["--preset", "published", "--framing", "found"], "found"),
    (["--framing", "kept"], "kept")])
def test_a_preset_says_what_becomes_of_a_crop(capsys, words, framing):
    assert main(["identify", str(PHOTO), "--json", "--top", "1", "--occlude", "crop", *words]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["query"]["framing"] == framing
    assert (answer["verdict"]["says"] is None) == (framing == "kept")  # its distances were not measured as it lies


def test_a_form_with_the_papers_settings_keeps_the_window(engine):
    choices = IdentifyHandlers(engine).choices
    start = standard(choices) | {"occlude": "crop"}
    papers = preset_values(choices, PUBLISHED, start, standard(choices))
    assert (start["framing"], papers["framing"]) == ("found", "kept")
    assert preset_on(choices, papers, engine.settings) == PUBLISHED
    assert preset_on(choices, papers | {"framing": "found"}, engine.settings) is None
    assert preset_on(choices, papers | {"framing": "found", "occlude": "mask"}, engine.settings) == PUBLISHED


def test_programs_give_a_preset_in_place_of_the_ranking(app_url):
    client = Client(app_url, verbose=False)
    answer, _ = client.predict(photo=handle_file(PHOTO), k=20, weighting="uniform", preset="published",
                               api_name="/identify")
    settings = json.loads(answer)["settings"]
    assert (settings["stage2"], settings["k"], settings["weighting"], settings["alpha"]) == ("emd", 100, "apc", 0.7)
    with pytest.raises(Exception, match="preset must be one of own, recommended, published"):
        client.predict(photo=handle_file(PHOTO), preset="best", api_name="/identify")


def test_the_gain_is_a_measured_number_or_nothing(engine):
    assert gained({}) == "" and gained({"presets": {"queries": "q", "p_at_1": {"recommended": 0.9}}}) == ""
    measured = {"presets": {"queries": "masked photos", "p_at_1": {"recommended": 0.9312, "published": 0.5}}}
    assert gained(measured) == "First match right on masked photos: 93.1 % recommended, 50.0 % as published."
    page = IdentifyHandlers(engine)
    page.gain = gained(measured)
    start = standard(page.choices)
    assert page.preset(*start.values()).info.endswith("50.0 % as published.")
    assert "your own" in page.preset(*(start | {"k": 55}).values()).info
