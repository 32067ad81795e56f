"""What distances mean on other people: nearest strangers against draws, the most careful of several kinds of photos,
the measuring of a small source, and the numbers that come with the app."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from conftest import BUNDLED, QUERIES

from demo.backbones import DEFAULT_BACKBONE, load_backbone
from demo.calibration import (
    KINDS,
    Calibration,
    Reference,
    Source,
    Strangers,
    Threshold,
    Unfit,
    careful_threshold,
    choose_photos,
    measure_reference,
    reference_file,
    set_threshold,
)
from demo.calibration import people as measuring
from demo.calibration.faces import softened
from demo.calibration.quality import sharpness
from demo.calibration.reference import _nearest_of, strata
from demo.cli import main
from demo.faces import align, find_face, load_photo
from demo.gallery import Gallery
from demo.identify import Identifier
from demo.methods import METHODS, Matching, load_method, ready
from demo.places import ASSETS
from demo.verify import agreement, verify

pytestmark = pytest.mark.slow

PEOPLE = ("person-001", "person-002", "person-003", "person-004", "person-006")


@pytest.mark.parametrize("total", [1, 4, 10, 11, 37, 500])
def test_every_stranger_is_stood_for_once(total):
    ranks, counts = strata(total)
    assert counts.sum() == total and len(ranks) == len(counts) <= 20
    ends = np.cumsum(counts)
    assert ((ends - counts <= ranks) & (ranks < ends)).all()


@pytest.mark.parametrize("count", [1, 3, 30])
def test_the_nearest_of_some_strangers_against_draws(count):
    """Every stranger is kept: the distribution is that of drawing so many again and again."""
    rng = np.random.default_rng(count)
    distances = rng.normal(1, 0.2, (6, 10))
    drawn = np.sort(rng.choice(10, (6, 4000, count)), axis=2)
    nearest = np.concatenate([row[picks].min(1) for row, picks in zip(distances, drawn, strict=True)])
    found = _nearest_of(distances, np.ones(10, int), 10, count)
    for share in (0.1, 0.5, 0.9):  # between two neighbouring distances both are right
        low, high = np.quantile(nearest, [share - 0.03, share + 0.03])
        assert low - 1e-9 <= np.quantile(found, share) <= high + 1e-9


def test_strangers_of_far_ranks_stand_for_many():
    """Kept at some ranks only, the distribution of one query stays close to that of all its strangers."""
    everybody = np.sort(np.random.default_rng(0).normal(1, 0.15, 400))
    ranks, counts = strata(400)
    for count in (1, 20, 200):
        whole = _nearest_of(everybody[None], np.ones(400, int), 400, count)
        some = _nearest_of(everybody[None, ranks], counts, 400, count)
        assert abs(np.quantile(whole, 0.05) - np.quantile(some, 0.05)) < 0.05
    assert _nearest_of(everybody[None, ranks], counts, 400, 200).mean() < some.mean() + 1e-9


def test_the_most_careful_kind_decides_at_both_ends():
    rng = np.random.default_rng(0)
    easy = rng.normal(0.2, 0.05, 300), rng.normal(1.0, 0.1, 500)
    near = np.empty(0), rng.normal(0.8, 0.1, 500)  # strangers who resemble each other, nobody twice
    far = rng.normal(0.4, 0.1, 300), rng.normal(1.0, 0.1, 500)
    line = careful_threshold([easy, near, far], "Measured.")
    assert line.source == "Measured." and (line.genuine, line.strangers) == (600, 1500)
    for genuine, strangers in (easy, near, far):
        assert np.mean(strangers < line.lower) <= 0.01
        assert not len(genuine) or np.mean(genuine > line.upper) <= 0.05
    assert line.lower == pytest.approx(np.quantile(near[1], 0.01)) and line.lower <= line.value <= line.upper
    assert careful_threshold([easy]) == set_threshold(*easy)


@pytest.fixture(scope="module")
def source(backbone, tmp_path_factory):
    folder = tmp_path_factory.mktemp("source") / "people"
    for person in PEOPLE:
        (folder / person).mkdir(parents=True)
        for photo in ("01.jpg", "02.jpg")[:1 if person == PEOPLE[-1] else 2]:
            shutil.copy(BUNDLED / person / photo, folder / person / photo)
    return Source("rendered", Gallery.build(folder, backbone, photos=choose_photos(folder)))


@pytest.fixture(scope="module")
def measured(source, backbone, tmp_path_factory):
    file = tmp_path_factory.mktemp("numbers") / "calibration.safetensors"
    with pytest.MonkeyPatch.context() as fewer:
        fewer.setattr(measuring, "STRANGER_PAIRS", 20)
        return file, measure_reference([source, replace(source, name="soft", soft=True)], backbone, file)


def test_photos_of_a_source_are_spread_by_name(tmp_path):
    for number in range(6):
        (tmp_path / "people" / f"p{number}").mkdir(parents=True)
        for photo in range(1 + number % 3):
            (tmp_path / "people" / f"p{number}" / f"{photo}.jpg").write_bytes(bytes([number, photo]))
        (tmp_path / f"{number}.jpg").write_bytes(bytes([number]))
    chosen = choose_photos(tmp_path / "people", 2, 2)
    assert [photo.path for photo in chosen] == ["p0/0.jpg", "p1/0.jpg", "p1/1.jpg", "p3/0.jpg", "p4/0.jpg", "p4/1.jpg"]
    flat = tmp_path / "flat"
    flat.mkdir()
    shutil.copy(tmp_path / "0.jpg", flat / "a.jpg")
    assert [(photo.path, photo.identity) for photo in choose_photos(flat)] == [("a.jpg", "a")]


def test_a_source_is_measured_as_pairs_are_verified(source, backbone, measured):
    """Four people with two photos, and one with one: four pairs unaltered, eight of which one is altered."""
    _, known = measured
    methods = [load_method(word, backbone) for word in ready(backbone) if METHODS[word].verifies]
    for method in methods:
        samples = {one.source.name: one for one in known.samples(method, ("plain", "plain"))}
        faces = source.gallery.features(range(8))
        expected = [float(method.pairs(faces[at], faces[at + 1])[0]) for at in range(0, 8, 2)]
        np.testing.assert_allclose(samples["rendered"].genuine, expected, atol=1e-3)  # kept in half precision
        assert len(known.samples(method, ("plain", "mask"))[0].genuine) == 8
        assert samples["soft"].genuine.mean() != samples["rendered"].genuine.mean()
        assert {len(one.strangers) for one in samples.values()} == {20}
    assert known.sources["rendered"].people == 5 and known.sources["rendered"].others == 4
    assert all(known.sources["soft"].sharpness[kind] < known.sources["rendered"].sharpness[kind] for kind in KINDS)


def test_nearest_strangers_come_nearer_in_a_larger_gallery(source, backbone, measured):
    method = load_method("emd", backbone)
    few, many = (measured[1].nearest(method, "mask", 0.7, count)[0] for count in (1, 50))
    assert (many <= few + 1e-12).all() and many.mean() < few.mean()
    faces = source.gallery.features(range(9)).embedding.double()
    faces = faces / faces.norm(dim=1, keepdim=True)
    rows = [0, 2, 4, 6, 8]  # one photo of each person; the queries are those of people with two
    nearest = min(float(1 - faces[one] @ faces[other]) for one in rows[:4] for other in rows if one != other)
    assert measured[1].nearest(load_method("cosine", backbone), "plain", 0, 1000)[0][0] == pytest.approx(
        nearest, abs=1e-3)


def test_what_was_measured_is_not_measured_again(source, backbone, measured, monkeypatch):
    file, known = measured
    before = file.read_bytes()

    def never(steps):
        raise AssertionError

    measure_reference([source], backbone, file, never)
    assert file.read_bytes() == before
    monkeypatch.setattr(METHODS["h2l"], "key", "another-network", raising=False)
    monkeypatch.setattr(measuring, "STRANGER_PAIRS", 20)  # as many as for the others
    seen = []
    again = measure_reference([source], backbone, file, lambda steps: seen.append(len(steps)) or steps)
    file.write_bytes(before)
    assert len(seen) == 2 and again.samples(load_method("emd", backbone), ("plain", "mask"))
    assert {key.split("/")[2] for key in again.arrays if key.split("/")[1] == "h2l"} == {"another-netw"}
    assert all(key in again.arrays for key in known.arrays if key.split("/")[1] != "h2l")


def test_numbers_of_other_weights_are_not_read(backbone, measured, tmp_path):
    class Other:
        name, weights_sha256, info = backbone.name, "0" * 64, backbone.info

    assert not Reference.read(measured[0], Other).sources
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(measured[0].read_bytes()[:300])
    assert not Reference.read(broken, backbone).arrays and not Reference.read(tmp_path / "none", backbone).arrays


def test_a_softened_photo_is_softer():
    photo = load_photo(BUNDLED / "person-001" / "01.jpg")
    face = find_face(photo)
    soft = softened(photo, face)
    assert soft.shape == photo.shape and soft.dtype == np.uint8
    sharp, less = (sharpness(align(one, face, "five-112")) for one in (photo, soft))
    assert less < 0.7 * sharp
    assert sharpness(np.full((112, 112, 3), 90, np.uint8)) == 0


@pytest.fixture(scope="module", params=["mobilefacenet", "dlib"])
def shipped(request):
    """A backbone whose numbers come with the app."""
    network = load_backbone(request.param, device="cpu")
    if request.param != DEFAULT_BACKBONE and not (ASSETS / reference_file(network)).is_file():
        pytest.skip(f"no numbers of other people come for {request.param}")
    return network


def test_the_numbers_that_come_with_the_app_fit_every_method(shipped):
    file = ASSETS / reference_file(shipped)
    assert file.stat().st_size < 1_000_000
    known = Reference.read(file, shipped)
    assert len(known.sources) == 4 and [one.name for one in known.sources.values() if one.soft]
    for word in set(ready(shipped)) & {"cosine", "emd", "alike"}:
        method = load_method(word, shipped)
        for at, kind in enumerate(KINDS):
            assert len(known.nearest(method, kind, 0.5, 20)) == 4
            assert all(len(known.samples(method, (kind, other))) == 4 for other in KINDS[at:])


def test_a_small_gallery_goes_by_other_people(shipped, source, tmp_path):
    gallery = Gallery.build(source.gallery.manifest.photos, shipped, tmp_path)
    identifier = Identifier(shipped, gallery)
    found = Calibration(gallery).strangers(identifier.method("cosine"), Matching(method="emd"), "mask", None)
    assert isinstance(found, Strangers) and "fewer than 30 people" in found.source and "face mask" in found.source
    assert found.limits[0] < found.limits[1] and "FFHQ" in found.source
    line = Calibration(gallery).threshold(identifier.method("cosine"), "mask", None)
    assert isinstance(line, Threshold) and "most careful" in line.source
    assert isinstance(Calibration(gallery).own_threshold(identifier.method("cosine"), "mask", None), Unfit)


def test_a_gallery_with_enough_people_is_one_more_kind_of_photos(shipped):
    identifier = Identifier(shipped, Gallery.open(BUNDLED, shipped))
    calibration, method = Calibration(identifier.gallery), identifier.method("cosine")
    told, own = calibration.threshold(method, "mask", None), calibration.own_threshold(method, "mask", None)
    others = Reference.shipped(shipped).samples(method, ("plain", "mask"))
    assert told.strangers == own.strangers + sum(len(one.strangers) for one in others)
    assert "the most careful" in told.source and "synthetic-people" in told.source
    found = calibration.strangers(method, Matching(), "mask", None)
    assert "photos of this gallery" in found.source and len(found.known) == own.genuine


def test_a_photo_softer_than_any_that_was_measured_gets_no_verdict(shipped, source, tmp_path):
    identifier = Identifier(shipped, Gallery.build(source.gallery.manifest.photos, shipped, tmp_path))
    photo = load_photo(QUERIES / "person-020" / "04.jpg")
    import cv2  # noqa: PLC0415

    blurred = cv2.GaussianBlur(photo, (0, 0), 5)
    compared = verify(photo, blurred, identifier)
    assert {judged.verdict for judged in compared.judgements} == {None}
    assert agreement(compared).startswith("Distances only: The second photo is softer")
    assert verify(photo, photo, identifier).judgements[0].verdict == "same"
    told = identifier.identify(blurred).strangers
    assert isinstance(told, Unfit) and told.photo and told.reason.startswith("This photo is softer")


@pytest.mark.parametrize("words", [["people"], ["a/b=people"], ["=people"]])
def test_a_source_has_a_name(words, capsys):
    with pytest.raises(SystemExit):
        main(["calibrate", "--from", *words])
    assert "NAME=FOLDER" in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_named(capsys):
    assert main(["calibrate", "--from", "x=NOWHERE"]) == 2
    assert "NOWHERE is not a folder" in capsys.readouterr().err
