"""What a distance means: thresholds against worked cases and brute force, strangers, and settings that do not fit."""

import copy
import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from conftest import QUERIES
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from demo.calibration import KINDS, Calibration, Reference, Strangers, Threshold, Unfit, calibrate, set_threshold
from demo.calibration.reference import reference_file
from demo.calibration.store import FILE, VERSIONS
from demo.cli import main
from demo.gallery import Gallery
from demo.identify import Identifier
from demo.methods import Matching
from demo.places import ASSETS


def test_threshold_of_a_case_worked_by_hand():
    # At 0.4 to 0.5: one of four strangers passes (0.3), one of four genuine pairs fails (0.6).
    line = set_threshold([0.1, 0.2, 0.4, 0.6], [0.3, 0.5, 0.7, 0.9])
    assert line.value == pytest.approx(0.45) and line.error == pytest.approx(0.25)
    assert line.lower == pytest.approx(0.3 + 0.03 * 0.2) and line.upper == pytest.approx(0.4 + 0.85 * 0.2)
    assert [line.verdict(d) for d in (0.2, 0.45, 0.7)] == ["same", "uncertain", "different"]


def test_distances_that_do_not_overlap_leave_the_gap_uncertain():
    line = set_threshold([0.1] * 50, [0.5] * 50)
    assert (line.lower, line.value, line.upper, line.error) == pytest.approx((0.1, 0.3, 0.5, 0.0))
    assert [line.verdict(d) for d in (0.05, 0.3, 0.6)] == ["same", "uncertain", "different"]


@pytest.mark.parametrize("seed", range(5))
def test_equal_error_rate_against_brute_force(seed):
    rng = np.random.default_rng(seed)
    own, other = rng.normal(0.3, 0.1, 90), rng.normal(0.5, 0.1, 200)
    line = set_threshold(own, other)
    every = np.linspace(0, 1, 20_001)
    gaps = [abs(np.mean(other <= t) - np.mean(own > t)) for t in every]
    assert abs(np.mean(other <= line.value) - np.mean(own > line.value)) <= min(gaps) + 1e-12
    assert line.error == pytest.approx((np.mean(other <= line.value) + np.mean(own > line.value)) / 2)
    assert line.lower <= line.value <= line.upper
    assert np.mean(other < line.lower) <= 0.01 and np.mean(own > line.upper) <= 0.05 + 1 / len(own)


def test_the_bundled_gallery_has_a_threshold_for_everything(identifier):
    calibration = Calibration(identifier.gallery)
    for method in identifier.ready(verifies=True).values():
        lines = {(one, two): calibration.own_threshold(method, one, two)
                 for one in (None, *KINDS[1:]) for two in (None, *KINDS[1:])}
        for line in lines.values():
            assert isinstance(line, Threshold) and line.genuine >= 100 and line.strangers == 500
        assert lines["mask", None] == lines[None, "mask"]
        assert lines[None, None].error < lines["mask", None].error
        assert lines[None, None].error < 0.15 and "both unaltered" in lines[None, None].source


def test_the_bundled_gallery_has_strangers_for_every_method_that_judges(identifier):
    calibration = Calibration(identifier.gallery)
    for method in identifier.ready(verifies=True).values():
        for kind in (None, *KINDS[1:]):
            found = calibration.strangers(method, Matching(method="emd"), kind, method.alpha)
            assert isinstance(found, Strangers) and len(found.distances) >= 95
    assert isinstance(calibration.strangers(identifier.method("h1"), Matching(method="emd"), None, 0.5), Unfit)


@pytest.mark.parametrize(("changes", "words"), [
    ({"weighting": "sc"}, "sc 8x8 exact"), ({"grid": (4, 4)}, "apc 4x4 exact"), ({"share": 0.7}, "share 0.7"),
    ({"solver": "sinkhorn"}, "apc 8x8 sinkhorn"), ({"grid": (8, 8), "k": 5, "solver": "exact"}, None),
])
def test_settings_that_were_not_measured_are_told(identifier, changes, words):
    asked, calibration = Matching(method="emd").having(**changes), Calibration(identifier.gallery)
    found = calibration.strangers(identifier.method("emd"), asked, "mask", 0.7)
    if words is None:
        assert isinstance(found, Strangers)
    else:
        assert isinstance(found, Unfit) and words in found.reason and "apc 8x8 exact" in found.reason


@pytest.mark.parametrize("settings", [{"occlusion": "mask", "alpha": 0.4}, {"stage2": None, "occlusion": "crop"}])
def test_the_yardstick_of_an_answer_is_that_of_its_settings(identifier, settings):
    found = identifier.identify(QUERIES / "person-020" / "04.jpg", **settings)
    reranked = settings.get("stage2", "emd") is not None
    expected = Calibration(identifier.gallery).strangers(
        identifier.method("emd" if reranked else "cosine"), Matching(method="emd"), settings["occlusion"],
        settings["alpha"] if reranked else None)
    np.testing.assert_array_equal(identifier.strangers(found).distances, expected.distances)


def test_an_answer_without_a_yardstick_says_why(identifier):
    told = identifier.strangers(identifier.identify(QUERIES / "person-020" / "04.jpg", occlusion="blur"))
    assert isinstance(told, Unfit) and told.asked == "blur"


@pytest.fixture
def alone(monkeypatch):
    """Nothing is known of other people."""
    monkeypatch.setattr(Reference, "shipped", classmethod(lambda cls, backbone: cls(backbone, {}, {})))


@pytest.fixture(scope="module")
def small(backbone, tmp_path_factory):
    """Four people with two photos each, calibrated."""
    from conftest import BUNDLED  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("small") / "people"
    for person in ("person-001", "person-002", "person-003", "person-004"):
        (folder / person).mkdir(parents=True)
        for photo in ("01.jpg", "02.jpg"):
            shutil.copy(BUNDLED / person / photo, folder / person / photo)
    gallery = Gallery.build(folder, backbone)
    emd = Identifier(backbone, gallery).method("emd")
    assert isinstance(Calibration(gallery).own_threshold(emd, None, None), Unfit)
    done = []
    calibrate(gallery, backbone, lambda jobs: (done.append(job) or job for job in jobs))
    assert len(done) == 4 * 8 + 1 + 1 + 10
    return Identifier(backbone, gallery)


def test_strangers_are_the_nearest_of_other_people(small, alone):
    calibration, cosine, emd = Calibration(small.gallery), small.method("cosine"), small.method("emd")
    plain = calibration.strangers(cosine, Matching(method="emd"), None, None)
    embeddings = small.gallery.embeddings.numpy().astype(float)
    nearest = [min(1 - embeddings[a] @ embeddings[b] for b in range(8) if a // 2 != b // 2) for a in range(8)]
    np.testing.assert_allclose(plain.distances, np.sort(nearest), atol=1e-5)
    assert plain.share_below(-1) == 0 and plain.share_below(3) == 1
    masked = calibration.strangers(emd, Matching(method="emd"), "mask", 0.7)
    assert len(masked.distances) == 8 and "mask" in masked.source


def test_pairs_are_measured_by_every_method_as_it_verifies(small):
    """Eight pairs of one person, in both orders, and 48 of two: too few for a threshold, but measured."""
    arrays = load_file(small.gallery.folder / FILE)
    for word, method in small.ready(verifies=True).items():
        mine = {key: values for key, values in arrays.items() if key.startswith(f"pairs/{word}/")}
        assert len(mine) == 2 * 10 and all(key.split("/")[2] == method.key[:12] for key in mine)
        genuine = next(values for key, values in mine.items() if key.endswith("plain/plain/genuine"))
        faces = small.gallery.features(range(8))
        expected = [float(method.pairs(faces[a], faces[b])[0]) for a in range(8) for b in range(8)
                    if a != b and a // 2 == b // 2]
        np.testing.assert_allclose(genuine, expected, atol=1e-5)
    unfit = Calibration(small.gallery).own_threshold(small.method("emd"), None, None)
    assert isinstance(unfit, Unfit) and "too few" in unfit.reason


def test_an_older_version_of_a_section_is_not_read(small, alone):
    file = small.gallery.folder / FILE
    kept, arrays = file.read_bytes(), load_file(file)
    try:
        save_file(arrays, file, metadata={"versions": json.dumps({**VERSIONS, "strangers": 0})})
        calibration = Calibration(small.gallery)
        told = calibration.strangers(small.method("emd"), Matching(method="emd"), None, 0.7)
        assert isinstance(told, Unfit) and "index it again" in told.reason
        assert "too few" in calibration.threshold(small.method("emd"), None, None).reason  # the pairs are still known
        file.write_bytes(kept[:200])
        told = Calibration(small.gallery).strangers(small.method("emd"), Matching(method="emd"), None, 0.7)
        assert "index it again" in told.reason
    finally:
        file.write_bytes(kept)


def test_a_stop_leaves_what_was_there(small):
    before = (small.gallery.folder / FILE).read_bytes()

    def stopped(jobs):
        yield from jobs[:3]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        calibrate(small.gallery, small.backbone, stopped)
    assert (small.gallery.folder / FILE).read_bytes() == before


def test_a_gallery_of_one_person_has_no_strangers(people, backbone):
    for person in ("person-002", "person-003", "person-004"):
        for file in (people / person).iterdir():
            file.unlink()
        (people / person).rmdir()
    gallery = Gallery.build(people, backbone)
    calibrate(gallery, backbone)
    assert not (gallery.folder / FILE).exists()


def _rewritten(file, change):
    with safe_open(file, "np") as opened:
        versions = opened.metadata()
    arrays = {key: np.ascontiguousarray(change(key, values)) for key, values in load_file(file).items()}
    save_file(arrays, file, versions)


@pytest.mark.parametrize("damage", [
    lambda file: save_file(load_file(file), file, metadata={"versions": "[]"}),
    lambda file: save_file(load_file(file), file, metadata={"versions": "7"}),
    lambda file: save_file(load_file(file), file, metadata={"versions": "[" * 100_000}),
    lambda file: _rewritten(file, lambda _, values: values[:0]),
    lambda file: _rewritten(file, lambda _, values: values[:, :0] if values.ndim == 2 else values),
    lambda file: _rewritten(file, lambda _, values: values.ravel()),
    lambda file: _rewritten(file, lambda _, values: np.full_like(values, np.nan)),
    lambda file: _rewritten(file, lambda _, values: np.full_like(values, -np.inf)),
    lambda file: _rewritten(file, lambda _, values: values.astype(np.int64)),
    lambda file: _rewritten(file, lambda key, values: values[:-1] if "/cosine/" in key else values),
    lambda file: file.write_bytes(file.read_bytes()[:200]),
    lambda file: file.write_bytes(b""),
    lambda file: (file.unlink(), os.mkfifo(file)),
    lambda file: (file.unlink(), file.mkdir()),
    lambda file: (file.unlink(), file.symlink_to("/dev/zero")),
])
def test_a_damaged_calibration_is_left_out_and_told(damage, small, tmp_path):
    folder = tmp_path / "index"
    shutil.copytree(small.gallery.folder, folder)
    damage(folder / FILE)
    answers = Identifier(small.backbone, Gallery.open(folder, small.backbone))
    found = answers.identify(QUERIES / "person-001" / "04.jpg")
    assert "is damaged and left out: index it again" in found.as_json()["notes"]
    assert found.as_json()["verdict"]["says"] or found.as_json()["verdict"]["reason"]
    line = Calibration(answers.gallery).threshold(answers.method("cosine"), None, None)
    assert "is damaged" in line.source
    assert main(["gallery", "verify", str(folder)]) == 1


def test_a_damaged_measurement_of_other_people_gives_way_to_the_one_that_comes(backbone, tmp_path, caplog):
    file, own = tmp_path / reference_file(backbone), copy.copy(backbone)
    own.info = replace(backbone.info, folder=tmp_path)
    for arrays in ({key: values[:0] for key, values in load_file(ASSETS / file.name).items()},
                   {key: np.full_like(values, np.nan) for key, values in load_file(ASSETS / file.name).items()}):
        with safe_open(ASSETS / file.name, "np") as opened:
            save_file(arrays, file, opened.metadata())
        os.utime(file, ns=(1, len(caplog.records)))
        assert Reference.shipped(own).sources.keys() == Reference.shipped(backbone).sources.keys()
        assert "is damaged and left out" in caplog.text
