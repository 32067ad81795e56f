"""Bring your own people: a few photos become a gallery that is searched, on every page at once."""

from __future__ import annotations

import re
import shutil
import time
import unicodedata

import gradio as gr
import pytest
from conftest import BUNDLED, QUERIES, Visits
from PIL import Image

from demo.errors import BadGallery
from demo.gallery import checked_person, keep_photos, list_photos, person_of
from demo.settings import Settings
from demo.ui.app import build, launch_options
from demo.ui.components import PhotosInput, SentPhotos
from demo.ui.engine import Engine
from demo.ui.pages.own import OwnHandlers


@pytest.mark.parametrize(("file", "person"), [
    ("anna.jpg", "anna"), ("anna-02.jpg", "anna"), ("Ben (3).png", "Ben"), ("Eva Maria_1.webp", "Eva Maria"),
    ("IMG_1234.jpg", "IMG_1234"), ("DSC0001.jpg", "DSC0001"), ("2024-01-02.jpg", "2024-01-02"), ("Zoë 2.jpg", "Zoë")])
def test_file_names_tell_who_it_is(file, person):
    assert person_of(file) == person


def test_a_person_is_a_folder_and_nothing_else():
    assert checked_person("../..//etc") == "etc" and checked_person(" a\0b ") == "a b"
    assert len(checked_person("x" * 99)) == 64
    assert checked_person(unicodedata.normalize("NFD", "José")) == "José"
    for letter in "xé𝒳":
        one, other = (checked_person(letter * 80 + end) for end in "ab")
        assert one != other and len(one) <= 64 and len(one.encode()) <= 200 and one == checked_person(one)
    for bad in ("", "..", "/", "   "):
        with pytest.raises(BadGallery, match="at least one letter"):
            checked_person(bad)


def test_photos_are_kept_whole_or_not_at_all(tmp_path, people):
    files = sorted(people.rglob("*.jpg"))
    brought = [(file, file.parent.name) for file in files]
    target = tmp_path / "kept" / "mine"
    keep_photos(brought, target, max_mb=10)
    kept = list_photos(target)
    assert [photo.identity for photo in kept] == [person for _, person in brought]
    assert [photo.file.read_bytes() for photo in kept] == [file.read_bytes() for file in files]
    for photos, words, limit in ((brought, "already", 10), ([], "Add photos", 10), (brought, "weigh more", 0.001),
                                 ([(tmp_path / "gone.jpg", "x")], "erased", 10),
                                 ([(tmp_path / "text.txt", "x")], "not a photo", 10)):
        to = target if words == "already" else tmp_path / "kept" / "other"
        with pytest.raises(BadGallery, match=words):
            keep_photos(photos, to, max_mb=limit)
    assert [one.name for one in (tmp_path / "kept").iterdir()] == ["mine"]


def test_only_files_that_were_sent_are_taken():
    with gr.Blocks():
        files = PhotosInput(file_count="multiple")
    for sent in ([{"path": "/etc/passwd"}], [], "text", [{"path": 3}], {"a": 1}):
        with pytest.raises(gr.Error, match="Upload the photos first"):
            files.preprocess(SentPhotos.model_validate(sent))


@pytest.fixture
def own(tmp_path) -> Engine:
    """An engine whose galleries may be added to."""
    root = tmp_path / "galleries"
    root.mkdir()
    shutil.copytree(BUNDLED, root / "synthetic-people", ignore=shutil.ignore_patterns("person-0[2-9]*"))
    shutil.rmtree(root / "synthetic-people" / ".index")
    return Engine(Settings(galleries=root, cache=tmp_path / "cache", device="cpu"))


def test_brought_people_are_searched(own):
    page, brought = OwnHandlers(own), []
    for person in ("person-002", "person-004"):
        files = [str(file) for file in sorted((QUERIES / person).glob("*.jpg"))]
        cleared, brought, listed = page.add_files(files, person, brought)
        assert cleared is None and re.search(rf"`{person}`: \d photo", listed)
    menu, left, said = page.search("my-people", brought)
    assert left == [] and "are searched now" in said and menu.value == "my-people"
    made = own.identifier("my-people", own.settings.backbone)
    found = made.identify(BUNDLED / "person-002" / "01.jpg", stage2="none")
    assert found.ranking[0].identity == "person-002" and len(found.ranking) == len(brought)
    assert page.search("my-people", brought)[0].value == "my-people-2"  # the usual name is no obstacle
    with pytest.raises(gr.Error, match="already"):
        page.search("synthetic-people", brought)


def test_what_holds_no_face_is_told_and_leaves_nothing(own, tmp_path):
    wall = tmp_path / "wall.png"
    Image.new("RGB", (300, 300), "grey").save(wall)
    page = OwnHandlers(own)
    _, brought, _ = page.add_files([str(wall)], "", [])
    with pytest.raises(gr.Error, match="No face"):
        page.search("walls", brought)
    assert own.gallery_names() == ["synthetic-people"]
    _, brought, _ = page.add_files([str(QUERIES / "person-002" / "04.jpg")], "she", brought)
    assert re.search("1 of 2 photos, 1 people.*\n- left out `wall.png`: No face", page.search("walls", brought)[2])


@pytest.mark.browser
@pytest.mark.slow
def test_ten_photos_are_searched_within_a_minute_and_stand_in_every_menu(own, profile, browser, tmp_path):
    """In a browser, from choosing files to the answer; then on pages that were open before, and by a link."""
    files = []
    for person in ("person-002", "person-004", "person-006", "person-008", "person-010"):
        for number, file in enumerate(sorted((BUNDLED / person).glob("*.jpg"))[:2], start=1):
            files.append(tmp_path / f"{person.replace('-', '_')}x-{number}.jpg")
            shutil.copy(file, files[-1])
    app = build(own.settings, own)
    own.warm_up()
    _, url, _ = app.launch(prevent_thread_lock=True, quiet=True, ssr_mode=False, **launch_options(own.settings))
    visits = Visits(profile, browser, url)
    try:
        results, galleries, compare = (visits.open(path) for path in ("/results", "/galleries", "/compare"))
        page = visits.open("/?example=plain")
        page.locator("#board .sentence").wait_for()
        start = time.monotonic()
        page.locator("#own button").first.click()
        page.locator("#own-files input[type=file]").set_input_files(files)
        page.locator("#own-listed", has_text=re.compile(rf"person_010x: {len(files) // 5} photo")).wait_for()
        page.locator("#own-search").click()
        page.locator("#board .sentence", has_text="person_0").wait_for(timeout=60_000)
        took = time.monotonic() - start
        print(f"{len(files)} photos searched after {took:.1f} s")
        assert took < 60 and "gallery=my-people" in page.url
        for other, menu in ((results, "#measure-gallery"), (galleries, "#gallery-shown"), (compare, "#compare-gallery"),
                            (page, "#gallery")):
            folded = {"#compare-gallery": "#compare-settings", "#gallery": "#people"}.get(menu)
            if folded and not other.locator(f"{menu} input").is_visible():
                other.locator(f"{folded} button").first.click()
            other.locator(f"{menu} input").click()
            other.get_by_role("option", name=re.compile("my-people")).first.wait_for()
            other.close()  # each holds one of the six connections that a browser opens to a host
        linked = visits.open("/?gallery=my-people&example=plain")
        linked.locator("#board .sentence", has_text="person_0").wait_for()
        linked.locator("#people button").first.click()
        assert linked.locator("#gallery input").input_value().startswith("my-people: ")
        fresh = visits.open("/results")
        fresh.locator("#measure-gallery input").click()
        fresh.get_by_role("option", name=re.compile("my-people")).first.wait_for()
    finally:
        visits.close()
        app.close()
