"""What covers a face, drawn or really worn: said everywhere, and taken for what distances are compared with."""

from __future__ import annotations

import json
import re
import sys
from contextlib import suppress

import numpy as np
import pytest
from conftest import QUERIES, real_photos
from PIL import Image

from demo.calibration import Calibration, calibrate
from demo.cli import main
from demo.errors import NoFace
from demo.faces import OCCLUSIONS
from demo.gallery import Gallery
from demo.identify import Identifier
from demo.query import KEPT_CROP, Preparation, find_query_face, prepare_query
from demo.ui.views.board import query_pictures
from demo.verify import verify
from demo.visibility import Seen
from demo.visibility.estimate import WORN

PHOTO = QUERIES / "person-002" / "04.jpg"

pytestmark = pytest.mark.usefixtures("one_thread")


def prepared(photo, mobile, **asked):
    return prepare_query(photo, mobile, Preparation(detector="centerface", **asked))


@pytest.fixture(scope="module")
def worn(mobile):
    """kind → a photo in which somebody already wears it, for all that the program is told."""
    return {kind: prepared(PHOTO, mobile, alteration=kind, seed=2).altered for kind in WORN}


@pytest.mark.parametrize("kind", WORN)
def test_the_share_that_is_told_is_the_share_that_was_drawn(mobile, worn, kind):
    """The drawing knows which pixels it covers; the estimate sees the finished crop alone."""
    drawn = prepared(PHOTO, mobile, alteration=kind, seed=2)
    assert drawn.seen == Seen(kind, pytest.approx(float(drawn.cover.mean()), abs=0.06))
    assert drawn.measured_as == kind and drawn.worn is None
    told = prepared(worn[kind], mobile)
    assert told.seen == Seen(kind, pytest.approx(float(drawn.cover.mean()), abs=0.06))
    assert told.worn == told.measured_as == kind
    share = int(re.search(r"about (\d+) % of this face", told.told).group(1))
    assert share == pytest.approx(100 * float(drawn.cover.mean()), abs=6)
    assert "Nothing was drawn here" in told.told and "Nothing was drawn here" not in drawn.told
    assert told.as_json()["seen"] == {"wears": kind, "covered": round(told.seen.area, 3)}
    assert query_pictures(told)["seen"] == told.told


def test_a_bare_face_is_said_to_wear_nothing(mobile):
    bare = prepared(PHOTO, mobile)
    assert bare.seen.wears is None and bare.told == "" and bare.measured_as is None


@pytest.mark.parametrize("kind", ["blur", "crop", "dark"])
def test_nothing_is_said_of_what_was_not_learned(mobile, kind):
    query = prepared(PHOTO, mobile, alteration=kind)
    assert query.seen is None and query.told == "" and query.measured_as == kind


def test_a_crop_as_it_lies_is_judged_by_no_numbers_of_crops(mobile, monkeypatch):
    """Asked for, or left so since no face was found in it."""
    kept = prepared(PHOTO, mobile, alteration="crop", framing="kept")
    assert kept.measured_as == KEPT_CROP and kept.alteration.window is not None
    whole = find_query_face(kept.photo, Preparation())[0]
    monkeypatch.setattr(sys.modules["demo.faces.occlude"], "detect_faces", lambda *_, **__: [])
    lost = prepare_query(PHOTO, mobile, Preparation(alteration="crop"), faces=whole)
    assert lost.measured_as == KEPT_CROP and "as it lies" in lost.as_json()["note"]
    np.testing.assert_array_equal(lost.crop, kept.crop)


def test_without_an_estimate_nothing_is_said(backbone):
    query = prepare_query(PHOTO, backbone, Preparation())
    assert query.seen is None and query.as_json()["seen"] is None and query.measured_as is None


def test_what_can_be_worn_can_be_drawn():
    """A face is judged as one with the same thing drawn over it."""
    assert set(WORN) <= set(OCCLUSIONS)


@pytest.fixture(scope="module")
def small(mobile, tmp_path_factory):
    """Calibrated: six people with three photos each."""
    folder = tmp_path_factory.mktemp("worn") / "people"
    for person in sorted(QUERIES.iterdir())[:8]:
        files = sorted(person.glob("*.jpg"))
        for number in range(3):
            (folder / person.name).mkdir(parents=True, exist_ok=True)
            picture = Image.open(files[number % len(files)])
            width, height = picture.size  # copies of one photo would be one photo
            picture.resize((width - number, height - number)).save(folder / person.name / f"{number}.jpg")
    gallery = Gallery.build(folder, mobile, detector="centerface")
    calibrate(gallery, mobile)
    return Identifier(mobile, gallery)


@pytest.mark.slow
def test_a_worn_mask_is_judged_by_masked_strangers_and_thresholds(small, mobile, worn):
    method = small.method("cosine")
    calibration = Calibration(small.gallery)
    masked = small.identify(worn["mask"], stage2="none", detector="centerface")
    assert masked.query.preparation.alteration is None
    expected = calibration.strangers(method, masked.matching, "mask", None)
    plain = calibration.strangers(method, masked.matching, None, None)
    np.testing.assert_array_equal(small.strangers(masked).distances, expected.distances)
    assert not np.array_equal(expected.distances, plain.distances) and "face mask" in small.strangers(masked).source

    bare = Preparation(detector="centerface")
    compared = verify(worn["mask"], worn["sunglasses"], small, bare, bare)
    for judged in compared.judgements:
        line = calibration.threshold(small.method(judged.method), "mask", "sunglasses")
        assert judged.threshold == line, judged.method
    told = compared.as_json()
    assert [told[which]["seen"]["wears"] for which in ("first", "second")] == ["mask", "sunglasses"]


@pytest.mark.slow
def test_the_command_line_says_so(small, worn, tmp_path, capsys):
    photo = tmp_path / "masked.png"
    Image.fromarray(worn["mask"]).save(photo)
    source = ["--gallery", str(small.gallery.folder.parents[1]), "--backbone", "mobilefacenet"]
    source += ["--detector", "centerface"]
    assert main(["identify", str(photo), *source, "--stage2", "none"]) == 0
    assert re.search(r"A face mask covers about \d+ % of this face\. Nothing was drawn", capsys.readouterr().out)
    assert main(["identify", str(photo), *source, "--stage2", "none", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["query"]["seen"]["wears"] == "mask"
    assert main(["compare", str(PHOTO), str(photo), *source]) == 0
    assert "Second photo: A face mask covers" in capsys.readouterr().out


def test_real_masks_are_judged_as_masked(mobile):
    found = []
    for file in sorted(real_photos("real-masks").glob("masked/*/*"))[::8]:
        with suppress(NoFace):  # what the detector loses is counted elsewhere
            found.append(prepared(file, mobile).measured_as)
    assert len(found) > 15 and found.count("mask") >= 0.95 * len(found)
