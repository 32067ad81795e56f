"""Verification of pairs: thresholds against worked cases and brute force, verdicts, the shape of the answers."""

import json
import shlex
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from conftest import QUERIES, ROOT

from demo.calibration import Calibration, Reference, calibrate
from demo.cli import main
from demo.errors import BadSetting, NoFace
from demo.explain import pair_figure, to_png
from demo.figures import verified_pair
from demo.gallery import Gallery
from demo.identify import Identifier
from demo.methods import ready
from demo.query import Preparation
from demo.ui.pages.downloads import COMPARISON
from demo.ui.views.commands import compare_command
from demo.ui.views.verdicts import Compared, compared_value, verdicts_value
from demo.verify import agreement, verify

PHOTO = QUERIES / "person-032" / "04.jpg"
MASK, HOG = Preparation(alteration="mask", style="surgical-blue", detector="hog"), Preparation(detector="hog")
#: Methods that judge pairs on the default backbone, in their order.
JUDGING = [word for word, method in ready("dlib").items() if method.verifies]


@pytest.fixture(scope="module")
def same_person(identifier, bundled):
    return verify(PHOTO, bundled.photo_file(_row(bundled, "person-032")), identifier, MASK, HOG)


def _row(gallery, identity) -> int:
    return next(row for row, entry in enumerate(gallery.entries) if entry.identity == identity)


def test_one_photo_twice_is_the_same_person(identifier):
    found = verify(PHOTO, PHOTO, identifier)
    assert {judged.method for judged in found.judgements} == set(JUDGING)
    assert all(judged.verdict == "same" for judged in found.judgements)
    assert found.judgement("cosine").distance == pytest.approx(0, abs=1e-6)
    assert found.judgement("emd").distance == pytest.approx(0, abs=1e-5)
    assert agreement(found) == "Every method says: same person."


def test_strangers_are_different(identifier):
    found = verify(PHOTO, QUERIES / "person-004" / "04.jpg", identifier)
    assert {judged.verdict for judged in found.judgements} <= {"different", "uncertain"}
    assert found.judgement("emd").distance > found.judgement("emd").threshold.value


def test_distances_are_those_of_an_identification(identifier, bundled, same_person):
    row = _row(bundled, "person-032")
    for stage2 in ("emd", "h2l"):
        ranked = identifier.identify(PHOTO, stage2=stage2, k=288, occlusion="mask", style="surgical-blue",
                                     detector="hog")
        match = next(m for m in ranked.stage2 if m.row == row)
        assert same_person.judgement(stage2).distance == pytest.approx(match.patch, abs=2e-3)
    assert same_person.judgement("cosine").distance == pytest.approx(match.cosine, abs=1e-3)


def test_the_order_of_the_photos_does_not_matter(identifier, bundled, same_person):
    other = verify(bundled.photo_file(_row(bundled, "person-032")), PHOTO, identifier, HOG, MASK)
    for one, two in zip(same_person.judgements, other.judgements, strict=True):
        assert one.distance == pytest.approx(two.distance, abs=1e-4) and one.threshold == two.threshold


def test_json_has_the_documented_shape(same_person):
    data = json.loads(json.dumps(same_person.as_json()))
    assert set(data) == {"first", "second", "methods", "notes", "sentence", "settings", "timings_ms"}
    assert data["first"]["occlusion"] == "mask" and data["second"]["occlusion"] is None
    assert list(data["methods"]) == ["cosine", "emd", "h2l"]
    for answer in data["methods"].values():
        assert set(answer) == {"distance", "verdict", "ms", "threshold"}
        line = answer["threshold"]
        assert line["lower"] <= line["value"] <= line["upper"] and "face mask" in line["source"]
        assert answer["verdict"] in {"same", "uncertain", "different"}


def test_the_command_line_says_the_same(capsys, bundled, same_person, tmp_path):
    other = str(bundled.photo_file(_row(bundled, "person-032")))
    arguments = ["compare", str(PHOTO), other, "--occlude", "mask", "--style", "surgical-blue", "--backbone", "dlib",
                 "--detector", "hog"]
    assert main([*arguments, "--json", "--figure", str(tmp_path / "pair.png")]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (tmp_path / "pair.png").stat().st_size > 50_000
    for method, expected in same_person.as_json()["methods"].items():
        assert answer["methods"][method]["distance"] == pytest.approx(expected["distance"], abs=1e-5)
        assert answer["methods"][method]["threshold"] == expected["threshold"]
    assert compare_command(same_person, "galleries/synthetic-people").endswith(
        "--backbone dlib --occlude mask --style surgical-blue --detector hog --seed 0")


def test_both_photos_can_be_altered_on_the_command_line(capsys, identifier):
    """What the page shows as the command gives the page's answer, whichever photo is altered or has two faces."""
    two = ROOT / "assets" / "examples" / "two-faces.jpg"
    asked = (Preparation(alteration="sunglasses", seed=3),
             Preparation(alteration="mask", style="ffp2", seed=3, face=1))
    found = verify(PHOTO, two, identifier, *asked)
    words = shlex.split(compare_command(found, "galleries/synthetic-people"))[3:]
    assert words[:3] == ["compare", "FIRST", "SECOND"]
    assert main(["compare", str(PHOTO), str(two), *words[3:], "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["second"] == found.as_json()["second"] and answer["second"]["face"] == 1
    for judged in found.judgements:
        assert answer["methods"][judged.method]["distance"] == pytest.approx(judged.distance, abs=1e-5)


def test_a_bad_photo_is_named(identifier):
    wall = np.full((300, 300, 3), 127, np.uint8)
    with pytest.raises(NoFace, match="^Second photo: No face"):
        verify(PHOTO, wall, identifier)
    with pytest.raises(BadSetting, match="^First photo: .*beard"):
        verify(PHOTO, PHOTO, identifier, Preparation(alteration="beard"))


def test_a_small_gallery_judges_nothing_but_still_measures(people, backbone, monkeypatch):
    """Where nothing is known of other people."""
    monkeypatch.setattr(Reference, "shipped", classmethod(lambda cls, network: cls(network, {}, {})))
    built = Gallery.build(people, backbone)
    calibrate(built, backbone)
    assert Calibration(built).file.is_file()  # 8 pairs of one person are too few for a threshold
    found = verify(PHOTO, PHOTO, Identifier(backbone, built))
    assert [judged.verdict for judged in found.judgements] == [None, None, None]
    assert agreement(found).startswith("Distances only")
    assert pair_figure(verified_pair(found)) and verdicts_value(found)["sources"] == []


def test_page_values_are_plain_data(identifier, same_person):
    value, views = verdicts_value(same_person), compared_value(same_person)
    json.dumps([value, views])
    assert [row["view"] for row in value["rows"]] == ["agreement", "agreement", "attention"]
    assert {row["explanation"] for row in value["rows"]} <= set(views["explanations"])
    assert {row["view"] for row in value["rows"]} <= {view["name"] for view in views["views"]}
    shares = views["explanations"]["flow"]["values"]["query"]
    assert views["query"]["title"] == "First photo" and sum(shares) == pytest.approx(1)
    assert [row[0] for row in views["explanations"]["numbers"]["terms"]] == [row["title"] for row in value["rows"]]
    assert len(value["photos"][0]["faces"]) == 1 and value["photos"][1]["altered"] is None


def test_the_figure_shows_every_method(same_person):
    pair = verified_pair(same_person)
    assert [maps.title for maps in pair.maps] == ["H2L attention received", "H2L relevance (extra)", "CNN correlation",
                                                  "H2L correlation"]
    assert [score.label for score in pair.scores] == [f"{judged.short}: {judged.verdict}"
                                                      for judged in same_person.judgements]
    assert "different" not in {judged.verdict for judged in same_person.judgements}
    whole, alone = pair_figure(pair), pair_figure(replace(pair, maps=()))
    assert whole.get_size_inches()[1] > alone.get_size_inches()[1] + 4
    assert len(to_png(whole)) > 50_000


def test_downloads_of_a_comparison(same_person):
    compared = Compared(same_person)
    made = {kind: make(compared) for kind, make in COMPARISON.items()}
    assert made["figure"][:4] == b"\x89PNG" and made["pages"][:4] == b"%PDF"
    assert json.loads(made["numbers"])["methods"].keys() == set(JUDGING)
    arrays = np.load(BytesIO(made["arrays"]))
    assert arrays["flow"].shape == (1, 64, 64) and arrays["first_crop"].shape == (150, 150, 3)
    np.testing.assert_allclose(arrays["attention_forward"].sum(-1), 1, atol=1e-5)
    assert set(arrays) == {
        "first_crop", "second_crop", "methods", "distances", "emd", "flow", "ground", "query_weights",
        "candidate_weights", "grid", "agreement_cosine_first", "agreement_emd_first", "attention_forward",
        "attention_backward", "rollout_forward", "rollout_backward",
        *(f"{name}_{side}" for name in ("relevance", "correlation", "cnn_correlation") for side in ("first", "second"))}
    assert arrays["attention_forward"].ndim == 4 and arrays["rollout_forward"].shape == (64, 64)
    for which in ("relevance", "correlation", "cnn_correlation"):
        np.testing.assert_allclose(arrays[f"{which}_first"].sum(), 1, atol=1e-5)
