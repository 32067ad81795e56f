"""Single photos and people of a gallery come, go and are renamed, from the command line and on the page."""

from __future__ import annotations

import shutil
import unicodedata

import gradio as gr
import pytest
from conftest import BUNDLED, QUERIES
from PIL import Image

from demo.cli import main
from demo.errors import BadGallery, DemoError
from demo.gallery import Gallery, rename
from demo.settings import Settings
from demo.ui.engine import Engine
from demo.ui.pages.galleries import GalleryHandlers
from demo.ui.pages.living import ALL, LivingHandlers
from demo.ui.problems import for_visitors

FACE = str(QUERIES / "person-002" / "04.jpg")


@pytest.fixture
def own(tmp_path) -> Engine:
    root = tmp_path / "galleries"
    for gallery, people in (("first", ("person-001", "person-005")), ("few", ("person-001", "person-002"))):
        for person in people:
            shutil.copytree(BUNDLED / person, root / gallery / person)
    return Engine(Settings(galleries=root, cache=tmp_path / "cache", gallery="first", device="cpu"))


def nearest(own: Engine) -> str:
    return own.identifier("few", own.settings.backbone).identify(FACE, stage2="none").ranking[0].identity


def test_who_is_renamed_or_deleted_on_the_page_is_found_so_at_once(own):
    page = LivingHandlers(own)
    assert nearest(own) == "person-002"
    assert [name for _, name in page.people("few").choices] == ["person-001", "person-002"]
    assert [name for _, name in page.photos("few", "person-002").choices][:2] == [ALL, "person-002/01.jpg"]
    said, now, _ = page.rename("few", "person-002", ALL, "Ann")
    assert said.startswith("`person-002`: 3 photos are now `Ann`.") and now == "Ann" and nearest(own) == "Ann"
    assert page.rename("few", "Ann", "Ann/01.jpg", "person-001")[0].startswith("`Ann/01.jpg`: 1 photo is now")
    assert (own.folder("few") / "person-001" / "01-2.jpg").is_file()

    said, asked = page.delete_photos("few", "Ann", ALL, "")
    assert said.startswith("Press Delete again") and nearest(own) == "Ann"
    assert page.delete_photos("few", "person-001", ALL, asked)[0].startswith("Press Delete again")  # of another
    said, asked = page.delete_photos("few", "Ann", ALL, asked)
    assert said.startswith("`Ann` is erased: 2 photos are gone.") and asked == ""
    assert not (own.folder("few") / "Ann").exists() and nearest(own) == "person-001"


def test_photos_that_are_added_on_the_page_are_searched_and_those_without_a_face_are_not_kept(own, tmp_path):
    wall = tmp_path / "wall.png"
    Image.new("RGB", (300, 300), "grey").save(wall)
    page = LivingHandlers(own)
    nearest(own)
    said, cleared = page.add_photos("few", " Zoë ", [FACE, str(wall)], progress=lambda *_, **__: None)
    assert said.startswith("`Zoë`: 1 of 2 photos taken in.") and "left out `Zoë/wall.png`: No face" in said
    assert cleared is None and nearest(own) == "Zoë" and not (own.folder("few") / "Zoë" / "wall.png").exists()
    assert "7 photos of 3 people" in GalleryHandlers(own).show("few")[0]


def test_what_cannot_be_done_is_a_sentence(own):
    page = LivingHandlers(own)
    for act, words in ((lambda: page.rename("first", "person-001", ALL, "Ann"), "opens first is not changed"),
                       (lambda: page.rename("few", "person-009", ALL, "Ann"), "no person person-009"),
                       (lambda: page.rename("few", "person-001", ALL, "/"), "at least one letter"),
                       (lambda: page.rename("few", None, ALL, "Ann"), "Choose a person"),
                       (lambda: page.add_photos("few", "Ann", None), "Add photos first"),
                       (lambda: page.delete_photos("few", "..", ALL, "few/.."), "no person"),
                       (lambda: page.delete_photos("none", "Ann", ALL, "none/Ann"), "no gallery 'none'")):
        with pytest.raises((DemoError, gr.Error), match=words):
            act()
    assert sorted(one.name for one in own.folder("few").iterdir()) == ["person-001", "person-002"]
    for person in ("person-001", "person-002"):
        _, asked = page.delete_photos("few", person, ALL, "")
        if person == "person-001":
            page.delete_photos("few", person, ALL, asked)
    with pytest.raises(BadGallery, match="Nobody would be left") as told:
        page.delete_photos("few", "person-002", ALL, asked)
    shown = for_visitors(told.value, own.settings)  # as every event of the pages tells it
    assert str(own.settings.cache) not in shown and str(own.settings.galleries) not in shown
    assert len(list((own.folder("few") / "person-002").iterdir())) == 3


def test_the_command_renames(people, backbone, capsys):
    Gallery.build(people, backbone, detector="hog", grids=[])
    main(["gallery", "rename", str(people), "--person", "person-004", "--to", "Ann", "--backbone", "dlib"])
    assert "2 photos are Ann's now" in capsys.readouterr().out
    main(["gallery", "rename", str(people), "--photo", "Ann/01.jpg", "--to", "Ben", "--backbone", "dlib"])
    assert [entry.identity for entry in Gallery.open(people).entries][:2] == ["Ann", "Ben"]
    assert main(["gallery", "rename", str(people), "--person", "nobody", "--to", "Ann", "--backbone", "dlib"]) == 2
    assert "no person nobody" in capsys.readouterr().err


def test_a_folder_that_may_not_be_changed_is_told(people, monkeypatch):
    def refused(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(people), "rename", refused)
    with pytest.raises(BadGallery, match="photos of people cannot be changed: Permission denied"):
        rename(people, "person-001", "Ann")


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_name_is_one_person_in_every_spelling_of_its_accents(form, people, backbone, capsys):
    """Whichever form its folder has on the disk, and whichever is typed."""
    other = {"NFC": "NFD", "NFD": "NFC"}[form]
    Gallery.build(people, backbone, detector="hog", grids=[])
    rename(people, "person-001", unicodedata.normalize(form, "José"))
    asked = ["--backbone", "dlib"]
    photo = shutil.copy(BUNDLED / "person-001" / "03.jpg", people.parent / unicodedata.normalize(other, "é.jpg"))
    typed = unicodedata.normalize(other, "José")
    assert main(["gallery", "add", str(people), str(photo), "--person", typed, *asked]) == 0
    gallery = Gallery.open(people, backbone)
    assert gallery.people["José"] == 3 and sum(map(len, gallery.people)) == len("José") + 3 * len("person-001")
    assert len([one for one in people.iterdir() if one.name.startswith("Jos")]) == 1 and gallery.verify() == []
    (people / "José").rename(people / unicodedata.normalize("NFD", "José"))  # as a copy by another system
    rename(people, f"{typed}/{unicodedata.normalize(form, 'é.jpg')}", unicodedata.normalize("NFD", "Zoë"))
    gallery = Gallery.open(people, backbone)
    assert gallery.people["Zoë"] == 1 and gallery.people["José"] == 2 and gallery.verify() == []
    assert main(["gallery", "remove", str(people), "--photo", f"{unicodedata.normalize('NFD', 'José')}/01.jpg",
                 *asked]) == 0
    assert main(["gallery", "remove", str(people), "--person", unicodedata.normalize("NFD", "José"), *asked]) == 0
    left = Gallery.open(people, backbone)
    assert "José" not in left.people and left.people["Zoë"] == 1
