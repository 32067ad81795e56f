"""What a calibration says of an answer: in the headline, in the text, in the JSON."""

import json
from dataclasses import replace

import numpy as np
import pytest
from conftest import QUERIES, ROOT
from scipy.stats import binom

from demo.calibration import Strangers, Unfit
from demo.cli import main
from demo.ui.views.board import Result, board_value
from demo.verdict import headline, verdict_of
from demo.words import ordinal

PHOTO = QUERIES / "person-002" / "04.jpg"


@pytest.fixture(scope="module")
def found(identifier):
    return identifier.identify(PHOTO)


def judged(found, distances):
    return replace(found, strangers=Strangers(np.sort(np.asarray(distances, float)), "Measured."))


@pytest.mark.parametrize("count", [1, 7, 20, 100])
def test_the_limits_are_where_the_shares_are_reached(count):
    """Counted one by one: as few of the strangers nearer as leave 5 % of doubt that 6 % are, or half and more."""
    allowed = max(1, sum(binom.cdf(k - 1, count, 0.06) <= 0.05 for k in range(1, count + 1)))
    strangers = Strangers(np.sort(np.random.default_rng(count).random(count)), "")
    near, far = strangers.limits
    for distance in [*strangers.distances, *(strangers.distances + 1e-9), -1.0, 2.0, near, far]:
        reached = sum(one <= distance - 1e-12 for one in strangers.distances)
        says = "plausible" if reached < allowed else (
            "nobody" if reached >= count / 2 else "uncertain")
        assert strangers.verdict(distance) == says
        assert (distance <= near) == (says == "plausible") and (distance > far) == (says == "nobody")


@pytest.mark.parametrize("apart", [True, False])
def test_people_who_are_there_say_what_is_too_far(apart):
    """Of 99 the second farthest; where nobody comes as far as the nearest strangers, the gap is uncertain."""
    known = np.linspace(0, 1, 99)
    strangers = Strangers(np.linspace(1.5, 2.5, 99) if apart else np.linspace(0.5, 1.5, 99), "", known)
    far, near = known[97], strangers.distances[1]
    assert strangers.limits == (min(near, far), max(near, far))
    assert strangers.verdict(known[97] - 1e-9) == ("plausible" if apart else "uncertain")
    assert strangers.verdict(2.6) == "nobody" and (strangers.verdict(1.2) == "uncertain") == apart


def test_the_headline_never_says_more_than_the_calibration(found):
    best = found.ranking[0].distance
    at = f"person-002 at {best:.3f}"
    near, unsure, nobody = (judged(found, distances) for distances in (
        [best + 0.1] * 20, [best - 0.1] * 4 + [best + 0.1] * 16, [best - 0.1] * 20))
    assert headline(near).startswith(f"Nearest after re-ranking: {at}; next person-")
    assert headline(unsure).startswith(f"Uncertain. Nearest after re-ranking: {at}")
    assert headline(nobody) == f"Probably nobody in this gallery (nearest after re-ranking: {at})."
    assert [verdict_of(one).word for one in (near, unsure, nobody)] == ["plausible", "uncertain", "nobody"]
    assert f"beyond {best - 0.1:.3f}" in verdict_of(nobody).detail
    assert "next person " not in headline(near)  # "next person person-074"


def test_what_was_not_measured_is_not_judged(found):
    unfit = replace(found, strangers=Unfit("Measured otherwise."))
    assert headline(unfit).startswith("Nearest") and verdict_of(unfit).word is None
    assert verdict_of(unfit).detail == "Measured otherwise."
    assert unfit.as_json()["verdict"] == {"says": None, "reason": "Measured otherwise."}


@pytest.mark.slow
def test_page_text_and_json_say_the_same(shown, capsys):
    stranger = ROOT / "assets" / "strangers" / "person-050"
    for photo in (PHOTO, *sorted(stranger.glob("*.jpg"))[:2]):
        found = shown.identify(photo)
        told, board = found.as_json(1)["verdict"], board_value(Result(found, shown))
        assert told["says"] == board["verdict"]["kind"] == verdict_of(found).word
        assert told["distance"] == found.ranking[0].distance
        expected = shown.strangers(found)
        nearer = sum(one < told["distance"] for one in expected.distances) / len(expected.distances)
        assert told["nearer_strangers"] == nearer
        assert board["sentence"] == headline(found)
        assert (told["says"] == "nobody") == board["sentence"].startswith("Probably nobody")
        assert main(["identify", str(photo)]) == 0
        said = capsys.readouterr().out
        assert board["sentence"] in said and board["verdict"]["detail"] in said
        assert main(["identify", str(photo), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["verdict"] == pytest.approx(told)


def test_ordinals():
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 112)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "112th"]
