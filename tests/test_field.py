"""What happens to galleries and photos in the field, from folder to answer."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import threading
import unicodedata
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import BUNDLED
from PIL import Image

from demo.cli import main
from demo.cli.output import stand_any_letter
from demo.faces import load_photo
from demo.gallery import (
    Entry,
    Freshness,
    Gallery,
    Photo,
    add_photos,
    left_out,
    passed_over,
    people_left_out,
    remove_photos,
)
from demo.identify import Identifier, json_text
from demo.query import Preparation
from demo.settings import Settings
from demo.ui.engine import Engine
from demo.ui.pages.galleries import GalleryHandlers
from demo.ui.serve import _ask_itself_directly
from demo.ui.uploads import _sweep
from demo.verify import agreement, verify

ROOT = BUNDLED.parents[1]
QUERY = ROOT / "assets" / "queries" / "person-001" / "04.jpg"


@pytest.fixture
def gallery(people, backbone):
    """Indexed in its own folder, as ``gallery build`` does it."""
    return Gallery.build(people, backbone)


def clocked(gallery):
    """Freshness that looks every time."""
    ticks = iter(range(0, 10**6, 100))
    return Freshness(gallery, lambda: next(ticks))


def test_a_folder_that_changed_since_it_was_indexed_is_told_with_every_answer(gallery, people, backbone):
    fresh = clocked(gallery)
    assert fresh.told() == ""
    shutil.copytree(BUNDLED / "person-007", people / "person-007")
    assert "3 new (person-007/" in fresh.told() and "gone" not in fresh.told()
    shutil.rmtree(people / "person-007")
    (people / "person-001").rename(people / "renamed")
    assert "new (renamed/01.jpg" in fresh.told() and "gone (person-001/01.jpg" in fresh.told()
    found = Identifier(backbone, gallery).identify(people / "renamed" / "01.jpg", stage2="none")
    assert "index the gallery again" in found.told and found.told == found.as_json()["notes"]
    (people / "renamed").rename(people / "person-001")
    shutil.copy(next((BUNDLED / "person-009").glob("*.jpg")), people / "person-001" / "01.jpg")
    assert "1 changed (person-001/01.jpg)" in fresh.told()
    assert clocked(Gallery.build(people, backbone)).told() == ""


def test_a_folder_that_is_only_touched_has_not_changed(gallery, people):
    for file in people.rglob("*.jpg"):
        file.touch()
    assert clocked(gallery).told() == ""


def test_a_gallery_whose_photos_lie_elsewhere_is_not_compared_with_them(gallery, people, tmp_path):
    moved = tmp_path / "index"
    shutil.copytree(gallery.folder, moved)
    assert clocked(Gallery.open(moved)).told() == ""


def test_an_index_in_a_folder_of_other_peoples_galleries_is_not_compared_with_them(gallery, people, tmp_path):
    moved = tmp_path / "indexes" / "mine" / "dlib"
    shutil.copytree(gallery.folder, moved)
    shutil.copytree(people, tmp_path / "indexes" / "others", ignore=shutil.ignore_patterns(".index"))
    opened = Gallery.open(moved)
    assert opened.manifest.photos == tmp_path / "indexes" and clocked(opened).told() == ""


@pytest.mark.parametrize("out", [None, "beside"])
def test_a_folder_of_which_everybody_is_renamed_is_told(out, people, backbone, tmp_path):
    gallery = Gallery.build(people, backbone, out and tmp_path / out)
    for number, person in enumerate(sorted(one for one in people.iterdir() if one.name.startswith("person"))):
        person.rename(people / f"other-{number}")
    told = clocked(gallery).told()
    assert "8 new (other-0/01.jpg" in told and "8 gone (person-001/01.jpg" in told and "index the gallery again" in told
    for one in people.glob("other-*"):
        shutil.rmtree(one)
    assert clocked(gallery).told() == ""  # the photos are elsewhere


@pytest.mark.parametrize("command", [
    ["compare", str(QUERY), str(QUERY), "--json"], ["evaluate", "--stage2", "none", "--limit", "1"],
    ["identify", str(QUERY), "--stage2", "none"], ["identify", str(QUERY), str(QUERY), "--stage2", "none", "--json"]],
    ids=["compare", "evaluate", "identify", "several"])
def test_every_command_tells_of_a_folder_that_changed(command, gallery, people, capsys):
    (people / "person-001").rename(people / "carol")
    assert main([*command, "--gallery", str(people), "--backbone", "dlib"]) == 0
    told = capsys.readouterr()
    assert told.err.count("new (carol/01.jpg") == 1
    if "--json" in command:
        answer = json.loads(told.out)
        for one in answer if isinstance(answer, list) else [answer]:
            assert "new (carol/01.jpg" in one["notes"]
    else:
        assert "carol" not in told.out


def test_a_folder_of_any_size_is_looked_through(tmp_path):
    """As of a gallery whose photos were indexed: nothing but names and times is looked at."""
    paths = [f"person-{number % 9}/{number:05d}.jpg" for number in range(5_100)]
    for path in paths:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    gallery = SimpleNamespace(
        entries=[Entry(path, path[:8], "") for path in paths], name="large", folder=tmp_path / ".index" / "dlib",
        manifest=SimpleNamespace(photos=tmp_path, failures=()), written=float("inf"), taken_out=set)
    assert clocked(gallery).told() == ""
    (tmp_path / "person-0").rename(tmp_path / "carol")
    assert "567 new (carol/00000.jpg" in clocked(gallery).told()


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_folder_that_went_through_another_system_has_not_changed(form, people, backbone):
    """Systems spell accents in one form or the other."""
    other = {"NFC": "NFD", "NFD": "NFC"}[form]
    (people / "person-001").rename(people / unicodedata.normalize(form, "José"))
    (people / unicodedata.normalize(form, "José") / "01.jpg").rename(
        people / unicodedata.normalize(form, "José") / unicodedata.normalize(form, "é.jpg"))
    gallery = Gallery.build(people, backbone)
    (people / unicodedata.normalize(form, "José")).rename(people / unicodedata.normalize(other, "José"))
    assert clocked(gallery).told() == "" and gallery.verify() == []
    row = next(row for row, entry in enumerate(gallery.entries) if entry.path.startswith("Jos"))
    assert gallery.photo(row).size and gallery.photo_file(row).is_file()


def test_the_folder_is_looked_at_now_and_then(gallery, people):
    now = [0.0]
    fresh = Freshness(gallery, lambda: now[0])
    assert fresh.told() == ""
    (people / "person-001" / "01.jpg").unlink()
    assert fresh.told() == ""
    now[0] = 60.0
    assert "gone" in fresh.told()


def test_accents_are_one_person_in_both_spellings(people, backbone):
    (people / "person-001").rename(people / unicodedata.normalize("NFD", "José"))
    gallery = Gallery.build(people, backbone)
    typed = unicodedata.normalize("NFC", "José")
    assert typed in gallery.people
    found = Identifier(backbone, gallery).identify(gallery.photo_file(gallery.entries.index(next(
        entry for entry in gallery.entries if entry.identity == typed))), stage2="none",
        truth=unicodedata.normalize("NFD", "José"))
    assert found.truth == found.ranking[0].identity


def test_who_has_no_usable_photo_is_told(people, backbone, capsys):
    (people / "bob").mkdir()
    Image.fromarray(np.full((64, 64, 3), 128, np.uint8)).save(people / "bob" / "wall.png")
    (people / "bob" / "gone.jpg").symlink_to("/nonexistent/x.jpg")
    (people / "carl").mkdir()
    (people / "carl" / "1.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    assert main(["gallery", "build", str(people), "--backbone", "dlib"]) == 0
    told = capsys.readouterr().out
    for words in ("left out bob/wall.png", "left out bob/gone.jpg: it is a link", "left out carl/1.heic",
                  "bob is not in the gallery", "carl is not in the gallery"):
        assert words in told
    assert people_left_out(Gallery.open(people, backbone)) == ["bob", "carl"]
    shown = GalleryHandlers(Engine(Settings(galleries=people.parent, backbone="dlib", device="cpu"))).show("people")[0]
    assert "- left out `bob/gone.jpg`: it is a link" in shown and "- `carl` is not in the gallery" in shown
    assert main(["gallery", "info", str(people), "--backbone", "dlib"]) == 0
    assert "bob, of whom no photo can be used" in capsys.readouterr().out


@pytest.fixture
def incomplete(people):
    """People of whom somebody cannot be used, and who comes with others."""
    for person in ("bob", "carl"):
        (people / person).mkdir()
    Image.fromarray(np.full((64, 64, 3), 128, np.uint8)).save(people / "bob" / "wall.png")
    (people / "carl" / "gone.jpg").symlink_to("/nonexistent/x.jpg")
    one, other = (load_photo(BUNDLED / person / "01.jpg") for person in ("person-001", "person-002"))
    Image.fromarray(np.hstack([one, other])).save(people / "person-004" / "03.png")
    return people


TOLD = ("bob is not in the gallery: none of the photos can be used.", "left out bob/wall.png: No face",
        "carl is not in the gallery", "left out carl/gone.jpg: it is a link to a file that is not there.",
        "person-004/03.png shows 2 faces")


def test_what_is_left_out_is_told_where_a_folder_is_indexed_on_the_way(incomplete, backbone, capsys, monkeypatch,
                                                                       tmp_path):
    monkeypatch.setenv("DEMO_CACHE", str(tmp_path / "cache"))
    asked = ["--gallery", str(incomplete), "--backbone", "dlib", "--stage2", "none", "--json"]
    assert main(["identify", str(QUERY), *asked]) == 0
    told = capsys.readouterr()
    assert all(told.err.count(words) == 1 for words in TOLD)
    notes = json.loads(told.out)["notes"]
    assert TOLD[0] in notes and TOLD[2] in notes and "2 more" in notes
    assert main(["evaluate", "--limit", "1", *asked]) == 0
    told = capsys.readouterr().err
    assert all(told.count(words) == 1 for words in TOLD)
    built = Gallery.build(incomplete, backbone)
    sentences = left_out(built, passed_over(incomplete))
    assert len(sentences) == len(TOLD) and all(words in "\n".join(sentences) for words in TOLD)
    assert main(["evaluate", "--limit", "1", *asked]) == 0  # by the index that was built, which tells when it is built
    assert "bob" not in "".join(capsys.readouterr())


@pytest.mark.parametrize("larger", [1, 2])
def test_a_photo_that_shows_two_faces_is_told_and_which_was_taken(larger, people, backbone, capsys):
    """A full-size face and one of 60 % beside it; larger: the place of the former, from the left."""
    one = load_photo(BUNDLED / "person-001" / "01.jpg")
    other = np.full_like(one, 200)
    other[60:60 + 153, 50:50 + 153] = np.asarray(Image.open(BUNDLED / "person-002" / "01.jpg").resize((153, 153)))
    shutil.rmtree(people / "person-003")
    crowd = people / "person-004" / "03.png"
    Image.fromarray(np.hstack([one, other][::1 if larger == 1 else -1])).save(crowd)
    told = f"shows 2 faces: the most prominent, {('1st', '2nd')[larger - 1]} from the left, is in the gallery"
    assert main(["gallery", "build", str(people), "--backbone", "dlib"]) == 0
    assert f"person-004/03.png {told}" in capsys.readouterr().out
    gallery = Gallery.open(people, backbone)
    row = next(row for row, entry in enumerate(gallery.entries) if entry.path == "person-004/03.png")
    assert bool(gallery.face(row).box[0] > 200) == (larger == 2)
    page = GalleryHandlers(Engine(Settings(galleries=people.parent, backbone="dlib", device="cpu")))
    assert f"`person-004/03.png` {told}" in page.show("people")[0]
    remove_photos(gallery.folder, ["person-004/03.png"])
    assert main(["gallery", "info", str(people), "--backbone", "dlib"]) == 0
    assert "several faces: " not in capsys.readouterr().out
    add_photos(gallery.folder, backbone, [Photo("person-004/03.png", "person-004", crowd)])
    assert main(["gallery", "info", str(people), "--backbone", "dlib"]) == 0
    assert f"several faces: person-004/03.png {told}" in capsys.readouterr().out
    assert [one.told for one in Gallery.build(people, backbone).manifest.crowded] == [f"{told}."]


def test_an_aligned_photo_without_a_face_is_no_ones(bundled, backbone):
    black, grey, noise = (np.full((150, 150, 3), value, np.uint8) for value in (0, 128, 200))
    noise += np.random.default_rng(0).integers(0, 50, noise.shape, dtype=np.uint8)
    identifier = Identifier(backbone, bundled)
    aligned = Preparation(aligned=True)
    for first, second in ((black, grey), (noise, noise), (bundled.crop(0, backbone), black)):
        found = verify(first, second, identifier, aligned, aligned)
        assert {judged.verdict for judged in found.judgements} == {None}
        assert "No face is seen" in agreement(found)
    answer = identifier.identify(noise, aligned=True)
    assert "No face is seen" in answer.told and answer.as_json()["verdict"]["says"] is None
    assert "face" not in identifier.identify(bundled.crop(0, backbone), aligned=True).told.lower()


def test_a_photo_upside_down_finds_its_person_and_says_so(bundled, backbone):
    photo = np.ascontiguousarray(np.rot90(bundled.photo(200), 2))
    found = Identifier(backbone, bundled).identify(photo)
    assert found.ranking[0].row == 200
    assert "upside down" in found.told


@pytest.mark.parametrize(("code", "arrow"), [("cp1252", "^ 2"), ("ascii", "^ 2"), ("utf-8", "▲ 2")])
def test_output_goes_into_files_of_any_code_page(code, arrow, monkeypatch):
    """What a terminal of Windows can hold when output is redirected; the JSON keeps every letter."""
    file, name = io.BytesIO(), "José 王 𝒳 \udcff"
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(file, code, write_through=True))
    stand_any_letter()
    print(f"▲ 2\n{json_text(name)}")
    first, second = file.getvalue().decode(code).splitlines()
    assert first == arrow and json.loads(second) == name


def test_problems_of_the_machine_are_told_in_a_sentence(capsys, tmp_path):
    for flags, told in ((["--figure", str(tmp_path / "missing" / "x.png")], "x.png cannot be written: No such file"),
                        (["--device", "mps"], "Unknown device 'mps'"), (["--device", "meta"], "Unknown device")):
        assert main(["identify", str(QUERY), "--top", "1", *flags]) == 2
        assert told in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.slow
def test_a_forked_process_answers():
    """The threads of the parent are not there in the child."""
    script = f"""
import multiprocessing, torch
from demo.backbones import load_backbone
from demo.gallery import Gallery
from demo.identify import Identifier, json_text
torch.set_num_threads(2)
backbone = load_backbone(device="cpu")
identifier = Identifier(backbone, Gallery.open({str(BUNDLED)!r}, backbone))
def name(photo):
    return identifier.identify(photo, stage2="emd", k=5).ranking[0].identity
print(name({str(QUERY)!r}))
with multiprocessing.get_context("fork").Pool(1) as pool:
    print(*pool.map_async(name, [{str(QUERY)!r}]).get(100))
"""
    told = subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT, capture_output=True, timeout=150).stdout
    assert told.split() == [b"person-001"] * 2


def test_what_programs_hold_can_be_pickled(bundled, backbone):
    identifier = Identifier(backbone, bundled)
    found = identifier.identify(QUERY, stage2="emd", k=5)
    for one in (backbone, bundled, found, verify(QUERY, QUERY, identifier)):
        assert pickle.dumps(pickle.loads(pickle.dumps(one)))
    again = pickle.loads(pickle.dumps(identifier)).identify(QUERY, stage2="emd", k=5)
    assert again.ranking[:5] == found.ranking[:5]


HOLDS = """
import os, sys, tempfile, time
from pathlib import Path
os.environ["GRADIO_TEMP_DIR"] = sys.argv[1]
os.getpid = lambda: 1  # as in every container
from demo.ui.uploads import uploads
room = uploads().room()
(room / "me.jpg").write_bytes(b"a photo")
print(room, flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system lets nobody hold a file like that")
def test_what_a_killed_process_left_is_erased_at_the_next_start(tmp_path):
    """The photos that visitors sent, although the next process has the same number; those of processes that run stay,
    and so does what is another's."""
    apps = [subprocess.Popen([sys.executable, "-c", HOLDS, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT)
            for _ in range(2)]
    try:
        killed, runs = (Path(app.stdout.readline().strip()) for app in apps)
        apps[0].kill()
        apps[0].wait()
        others = [tmp_path / f"face-match-{name}" for name in ("mine", "file", "link", "pipe")]
        (others[0] / "uploads").mkdir(parents=True)
        others[1].write_bytes(b"")
        others[2].symlink_to(runs.parents[1])
        others[3].mkdir()
        os.mkfifo(others[3] / ".held.new")
        assert (killed / "me.jpg").exists() and (runs / "me.jpg").exists()
        _sweep(tmp_path)
        assert not killed.exists() and (runs / "me.jpg").read_bytes() == b"a photo"
        held = runs.parents[1]
        assert sorted(one.name for one in tmp_path.iterdir()) == sorted(one.name for one in (held, *others))
        assert held.stat().st_mode & 0o077 == 0
    finally:
        for app in apps:
            app.kill()
            app.wait()
    _sweep(tmp_path)
    assert not held.exists()


def test_the_app_asks_itself_without_a_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "intern.example")
    monkeypatch.setenv("no_proxy", "")
    _ask_itself_directly("10.1.2.3")
    assert os.environ["NO_PROXY"] == "intern.example,localhost,127.0.0.1,::1,10.1.2.3"
    assert "localhost" in os.environ["no_proxy"]


def test_a_photo_from_the_camera_is_not_mirrored():
    """A mark at the left of the scene is at the left of the photo; the preview alone is turned, by the style sheet."""
    pages = [file.read_text(encoding="utf-8") for file in (ROOT / "demo" / "ui" / "pages").glob("*.py")]
    assert sum(page.count("WebcamOptions(mirror=False)") for page in pages) == 3
    assert not any("mirror=True" in page for page in pages)
    style = (ROOT / "assets" / "ui" / "app.css").read_text(encoding="utf-8")
    assert "#photo video" in style and "scaleX(-1)" in style


def test_nobody_waits_for_a_look_at_a_large_folder(gallery, people, monkeypatch):
    monkeypatch.setattr("demo.gallery.fresh._AT_ONCE", 3)
    fresh, look = clocked(gallery), threading.Event()
    sentence = fresh._sentence
    monkeypatch.setattr(fresh, "_sentence", lambda: look.wait(20) and sentence())
    (people / "person-001" / "01.jpg").unlink()
    assert fresh.told(wait=False) == ""
    look.set()
    assert "1 gone" in fresh.told() and "1 gone" in fresh.told(wait=False)
