"""Building, opening, searching and checking galleries."""

import json
import os
import shutil
import struct
import unicodedata
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import BUNDLED
from safetensors.numpy import load_file

from demo.errors import BadGallery, BadSetting
from demo.faces import align, find_face, load_photo
from demo.gallery import (
    Gallery,
    check_name,
    checked_person,
    find_index,
    list_photos,
    open_or_build,
    passed_over,
    unpack_archive,
)
from demo.gallery.arrays import layout
from demo.gallery.manifest import EMBEDDINGS, MANIFEST
from demo.gallery.store import RowFile


def part_of(gallery: Gallery) -> Path:
    """The folder of the one part that a small index has."""
    (part,) = gallery.manifest.parts
    return gallery.folder / part.folder


@pytest.fixture
def built(people, backbone, tmp_path) -> Gallery:
    return Gallery.build(people, backbone, tmp_path / "out")


def test_rows_are_what_the_backbone_gives(built, backbone):
    row = 3
    photo = load_photo(built.photo_file(row))
    crop = align(photo, find_face(photo), backbone)
    expected = backbone.extract(crop)
    np.testing.assert_array_equal(built.crop(row, backbone), crop)
    torch.testing.assert_close(built.raw_embeddings[row], expected.embedding[0], atol=1e-5, rtol=1e-5)
    for grid in ((8, 8), (4, 4)):  # stored in half precision
        torch.testing.assert_close(built.features([row], grid).patches, expected.at(grid).patches, atol=2e-3, rtol=2e-3)
    landmarks = built.features([row]).landmarks[0].numpy()
    assert landmarks.shape == (68, 2) and 0.2 < landmarks[27, 0] < 0.8  # the nose lies in the middle


def test_search_is_exact_cosine_distance(bundled):
    query = torch.randn(128, generator=torch.Generator().manual_seed(1))
    distances, rows = bundled.search(query)
    embeddings = bundled.raw_embeddings.numpy().astype(float)
    expected = 1 - embeddings @ query.numpy() / np.linalg.norm(embeddings, axis=1) / query.norm().item()
    np.testing.assert_allclose(distances, np.sort(expected), atol=1e-6)
    assert rows[0] == expected.argmin()
    assert [len(part) for part in bundled.search(query, 7)] == [7, 7]


def test_the_bundled_gallery_is_sound(bundled):
    assert bundled.verify() == []
    assert len(bundled) == 288 and len(bundled.people) == 96 and not bundled.manifest.failures


def test_only_new_and_changed_photos_are_computed(people, backbone, tmp_path):
    out, seen = tmp_path / "out", []
    first = Gallery.build(people, backbone, out, progress=lambda done, total, path: seen.append(path))
    assert len(seen) == 8
    before = first.raw_embeddings.clone()
    seen.clear()
    shutil.copy(BUNDLED / "person-005" / "02.jpg", people / "person-004" / "02.jpg")  # changed
    shutil.copytree(BUNDLED / "person-006", people / "person-006")  # new: three photos
    (people / "person-001" / "01.jpg").unlink()
    again = Gallery.build(people, backbone, out, progress=lambda done, total, path: seen.append(path))
    assert sorted(seen) == ["person-004/02.jpg", "person-006/01.jpg", "person-006/02.jpg", "person-006/03.jpg"]
    paths = [entry.path for entry in again.entries]
    assert len(paths) == 10 and "person-001/01.jpg" not in paths
    torch.testing.assert_close(again.raw_embeddings[paths.index("person-001/02.jpg")], before[1], atol=0, rtol=0)
    assert again.verify() == []


def test_photos_that_cannot_be_used_are_listed_with_reasons(people, backbone, tmp_path):
    (people / "person-001" / "broken.jpg").write_text("no picture")
    grey = people / "person-002" / "wall.png"
    from_array = np.full((200, 200, 3), 128, np.uint8)
    __import__("cv2").imwrite(str(grey), from_array)
    gallery = Gallery.build(people, backbone, tmp_path / "out")
    reasons = {failure.path: failure.reason for failure in gallery.manifest.failures}
    assert set(reasons) == {"person-001/broken.jpg", "person-002/wall.png"}
    assert "face" in reasons["person-002/wall.png"] and len(gallery) == 8


def test_a_build_that_is_stopped_keeps_what_it_has(people, backbone, tmp_path):
    def stop(done, total, path):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Gallery.build(people, backbone, tmp_path / "out", progress=stop)
    seen = []
    whole = Gallery.build(people, backbone, tmp_path / "out", progress=lambda done, total, path: seen.append(path))
    assert len(whole) == 8 and not seen


def test_verify_names_every_kind_of_damage(built, people):
    (people / "person-001" / "01.jpg").unlink()
    shutil.copy(people / "person-002" / "01.jpg", people / "person-003" / "01.jpg")
    shutil.copy(people / "person-002" / "02.jpg", people / "person-003" / "new.jpg")
    with open(part_of(built) / EMBEDDINGS, "r+b") as file:
        file.seek(-4, 2)
        file.write(b"\x00\x00\x00\x00")
    problems = " ".join(built.verify())
    for sentence in ("person-001/01.jpg is gone", "person-003/01.jpg has changed", "person-003/new.jpg is new",
                     f"{EMBEDDINGS} is not as it was built"):
        assert sentence in problems


def test_damaged_and_foreign_indexes_are_refused(built, backbone, tmp_path):
    with pytest.raises(BadGallery, match="not a folder"):
        Gallery.open(tmp_path / "nowhere")
    with pytest.raises(BadGallery, match="no gallery index"):
        Gallery.open(tmp_path)
    manifest = built.folder / MANIFEST
    data = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(data | {"weights_sha256": "0" * 64}))
    with pytest.raises(BadGallery, match="other dlib weights"):
        Gallery.open(built.folder, backbone)
    manifest.write_text(json.dumps(data | {"format": 99}))
    with pytest.raises(BadGallery, match="another format"):
        Gallery.open(built.folder)
    manifest.write_text("{")
    with pytest.raises(BadGallery, match="damaged"):
        Gallery.open(built.folder)


def test_an_index_is_found_from_every_place(built, people, backbone, tmp_path):
    assert find_index(built.folder) == find_index(tmp_path / "out") == find_index(tmp_path / "out", "dlib")
    with pytest.raises(BadGallery, match="for the cosface backbone"):
        find_index(tmp_path / "out", "cosface")
    assert find_index(BUNDLED).parent.name == ".index"


def test_a_folder_without_index_is_indexed_in_the_cache(people, backbone, tmp_path):
    gallery = open_or_build(people, backbone, tmp_path / "cache")
    assert len(gallery) == 8 and tmp_path / "cache" in gallery.folder.parents
    assert not (people / ".index").exists()
    assert len(open_or_build(people, backbone, tmp_path / "cache")) == 8


def test_the_cache_is_the_users_unless_another_is_named(people, backbone, tmp_path, monkeypatch):
    monkeypatch.setattr("demo.gallery.first_use.user_cache", lambda: tmp_path / "own")
    assert tmp_path / "own" in open_or_build(people, backbone).folder.parents


def test_an_index_is_opened_where_the_backbone_runs(backbone, monkeypatch):
    assert Gallery.open(BUNDLED, backbone).device == backbone.device == torch.device("cpu")
    monkeypatch.setattr(backbone, "device", torch.device("meta"))
    assert Gallery.open(BUNDLED, backbone).device == torch.device("meta")
    assert Gallery.open(BUNDLED, backbone, "cpu").device == Gallery.open(BUNDLED).device == torch.device("cpu")


def test_an_index_beside_its_photos_moves_with_them(people, backbone, tmp_path):
    Gallery.build(people, backbone)
    moved = tmp_path / "elsewhere"
    people.rename(moved)
    gallery = Gallery.open(moved, backbone)
    assert gallery.verify() == [] and gallery.photo_file(0).is_file()


def test_folders_without_people_are_refused(tmp_path):
    with pytest.raises(BadGallery, match="not a folder"):
        list_photos(tmp_path / "none")
    (tmp_path / "01.jpg").write_bytes(b"")
    with pytest.raises(BadGallery, match="one sub-folder per person"):
        list_photos(tmp_path)


def test_rows_from_disk_equal_rows_in_memory(bundled):
    path = part_of(bundled) / "patches-8x8.safetensors"
    rows = [5, 0, 287, 5, 120]
    found = RowFile(path, layout(path, {"patches": (64, 128)}, 288)["patches"], torch.device("cpu")).take(rows)
    torch.testing.assert_close(found, torch.from_numpy(load_file(path)["patches"])[rows].float(), atol=0, rtol=0)
    torch.testing.assert_close(bundled.features(rows).patches, found, atol=0, rtol=0)


def test_a_truncated_array_is_refused(built):
    path = part_of(built) / "patches-8x8.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(BadGallery, match="cut short"):
        Gallery.open(built.folder)


class TestArchive:
    LIMITS = {"max_mb": 10, "max_photo_mb": 2}

    def make(self, tmp_path, files: dict[str, bytes]):
        archive = tmp_path / "photos.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
            for name, data in files.items():
                opened.writestr(name, data)
        return archive

    def test_photos_come_out_and_the_rest_is_skipped_with_reasons(self, tmp_path):
        archive = self.make(tmp_path, {
            "set/ann/1.jpg": b"a", "set/bob/2.PNG": b"b", "set/readme.txt": b"c", "loose.jpg": b"d",
            "__MACOSX/ann/1.jpg": b"e", "../../evil/3.jpg": b"f", "/etc/3.jpg": b"f", "set/ann\\1.jpg": b"g",
            "set/bob/@eaDir/2.PNG/SYNOPHOTO_THUMB_M.jpg": b"t", "set/cleo/.thumbnails/1.jpg": b"t",
        })
        done = unpack_archive(archive, tmp_path / "g", **self.LIMITS)
        assert (done.photos, done.people) == (2, 2)
        assert self.files(tmp_path / "g") == ["ann/1.jpg", "bob/2.PNG"]
        assert len(done.skipped) == 8
        assert [p.name for p in tmp_path.iterdir() if p.is_dir()] == ["g"]

    def files(self, folder):
        return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.*"))

    @pytest.mark.parametrize(("names", "people"), [
        (["fam/alice/2020/a.jpg", "fam/alice/2021/b.jpg", "fam/bob/2020/c.jpg"], ["alice", "bob"]),
        (["alice/holiday/a.jpg", "alice/work/b.jpg", "bob/c.jpg"], ["alice", "bob"]),
        (["alice/2020/a.jpg", "alice/2021-07/b.jpg"], ["alice"]),
        (["alice/a.jpg", "alice/best/b.jpg"], ["alice"]),
        (["a/b/train/ann/1.jpg", "a/b/test/ben/1.jpg"], ["ann", "ben"]),
        (["lfw/lfw/Ann_Lee/1.jpg", "lfw/lfw/Ben_Wu/1.jpg"], ["Ann_Lee", "Ben_Wu"]),
        (["set/0001/1.jpg", "set/0002/1.jpg"], ["0001", "0002"]),
        (["alice./1.jpg", "CON/2.jpg"], ["CON_", "alice"]),
        (["alice./1.jpg", "alice/2.jpg", "al:ice/3.jpg", "al?ice/4.jpg"], ["al ice", "al ice 2", "alice", "alice 2"]),
        (["alice/summer/a.jpg", "alice/winter/b.jpg", "alice/2020-May/c.jpg"], ["alice"]),
        (["photos/alice/summer/a.jpg", "photos/alice/winter/b.jpg"], ["alice"]),
        (["alice/a.jpg", "alice/b.jpg", "alice/old house/c.jpg"], ["alice"]),
        (["team/April/1.jpg", "team/Bob/1.jpg", "team/Zed/1.jpg"], ["April", "Bob", "Zed"]),
        (["José/1.jpg", unicodedata.normalize("NFD", "José") + "/2.jpg"], ["José"]),
        ([letter * 300 + end + "/1.jpg" for letter in "éx" for end in "ab"],
         sorted(checked_person(letter * 300 + end) for letter in "éx" for end in "ab")),
    ])
    def test_people_are_those_of_the_same_tree_as_a_folder(self, tmp_path, names, people):
        done = unpack_archive(self.make(tmp_path, {name: name.encode() for name in names}), tmp_path / "g",
                              **self.LIMITS)
        assert sorted({photo.identity for photo in list_photos(tmp_path / "g")}) == people
        assert done.people == len(people) and done.photos == len(names) == len(list_photos(tmp_path / "g"))

    #: Trees below the folder of the people: with people who have folders, strays, machines' folders, videos.
    TREES = [
        ["alice/1.jpg", "bob/1.jpg", "cover.jpg"],
        ["alice/summer/1.jpg", "alice/winter/1.jpg", "bob/1.jpg", "bob/2020/x/1.jpg"],
        ["alice/summer/1.jpg", "alice/winter/1.jpg", "alice/2020-May/1.jpg"],
        ["alice/1.jpg", "bob/1.jpg", "bob/@eaDir/1.jpg/THUMB.jpg", "@Recycle/alice/1.jpg", "RECYCLER/x.jpg",
         "lost+found/1.jpg", "FOUND.000/1.jpg", ".Trash-1000/files/1.jpg", "__MACOSX/alice/1.jpg", "thumbs/1.jpg"],
        ["alice/clip.mp4", "alice/1.jpg", "bob/b.HIF", "carl/film.mov", "a.avi", "dora/notes.txt", "dora/2.tga",
         "dora/IMG_1"],
        ["photos/1.jpg", "bob/1.jpg", "1.jpg", "2.jpg", "3.jpg"],
        [unicodedata.normalize("NFD", "José") + "/1.jpg", "José/2.jpg", "山田/1.jpg", "Zoë Müller/é.jpg"],
    ]

    @pytest.mark.parametrize("tree", TREES, ids=range(len(TREES)))
    @pytest.mark.parametrize("around", ["", "photos/", "My faces/photos/"])
    def test_a_zip_is_read_as_the_same_tree_of_folders(self, tmp_path, tree, around):
        for name in tree:
            (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "folder" / name).write_bytes(b"\xff\xd8\xff" + name.encode())
        files = {around + name: b"\xff\xd8\xff" + name.encode() for name in tree}
        done = unpack_archive(self.make(tmp_path, files), tmp_path / "g", **self.LIMITS)
        there, here = (sorted((photo.identity, photo.file.read_bytes()) for photo in list_photos(tmp_path / place))
                       for place in ("folder", "g"))
        assert there == here and done.people == len({identity for identity, _ in there})
        left = {name.removeprefix(around): reason for name, reason in done.skipped if reason != "not a photo"}
        assert left == {one.path: one.reason for one in passed_over(tmp_path / "folder")}

    @pytest.mark.parametrize(("names", "told"), [
        (["alice/summer/a.jpg", "alice/winter/b.jpg"], "was taken as photos of one person"),
        (["alice/paris/a.jpg"], "were taken as people"),
        (["x" * 99 + "/1.jpg", "y/1.jpg"], "is called xxx"),
    ])
    def test_what_may_be_otherwise_is_told(self, tmp_path, names, told):
        done = unpack_archive(self.make(tmp_path, dict.fromkeys(names, b"x")), tmp_path / "g", **self.LIMITS)
        assert len(done.notes) == 1 and told in done.notes[0]

    def test_long_names_are_cut_and_stay_apart(self, tmp_path):
        names = ["é" * 300 + "/" + "x" * 300 + "1.jpg", "é" * 300 + "/" + "x" * 300 + "2.JPG",
                 "ben/" + "/".join("deep" for _ in range(900)) + "/3.jpg"]
        done = unpack_archive(self.make(tmp_path, {name: name.encode() for name in names}), tmp_path / "g",
                              **self.LIMITS)
        assert (done.photos, done.people) == (3, 2)
        assert {photo.file.read_bytes() for photo in list_photos(tmp_path / "g")} == {name.encode() for name in names}

    def in_code(self, tmp_path, names: list[str], code: str):
        """A zip whose names are written in a code page, which it does not say."""
        class Coded(zipfile.ZipInfo):
            def _encodeFilenameFlags(self):
                return self.filename.encode(code), self.flag_bits

        with zipfile.ZipFile(tmp_path / "photos.zip", "w") as opened:
            for name in names:
                opened.writestr(Coded(name), name.encode())
        return tmp_path / "photos.zip"

    @pytest.mark.parametrize(("people", "code"), [
        (["山田太郎", "鈴木 花子"], "cp932"), (["さくら", "田中A"], "cp932"), (["王小明", "张伟"], "gb18030"),
        (["Zoë Müller"], "utf-8"), (["Jürgen Groß"], "cp437"), (["Jörg"], "cp437"), (["김민수", "이영희"], "cp949"),
        (["Иванов Иван", "Мария"], "cp866"), (["Юлия Щукина", "Пётр"], "cp1251"), (["山田太郎", "鈴木一郎"], "euc_jp"),
        (["陳大文", "林志玲"], "big5"), (["Zoë Müller", "José", "François"], "cp1252"), (["Søren", "João"], "cp850"),
        (["田中A"], "cp932"), (["Γιάννης Παπαδόπουλος", "Ελένη"], "cp1253"), (["محمد علي", "فاطمة"], "cp1256"),
    ])
    def test_names_in_the_code_page_of_a_country(self, tmp_path, people, code):
        names = [f"photos/{person}/é.jpg" if code in ("cp437", "cp1252") else f"photos/{person}/1.jpg"
                 for person in people]
        done = unpack_archive(self.in_code(tmp_path, names, code), tmp_path / "g", **self.LIMITS)
        assert {photo.identity for photo in list_photos(tmp_path / "g")} == set(people)
        told = [note for note in done.notes if "does not say how its names are written" in note]
        assert len(told) == (code != "utf-8")

    @pytest.mark.parametrize(("person", "code"), [("Jiří Dvořák", "cp1250"), ("뷁", "cp949"), ("דוד כהן", "cp1255")])
    def test_where_a_guess_is_uncertain_that_is_told_and_nothing_is_lost(self, tmp_path, person, code):
        done = unpack_archive(self.in_code(tmp_path, [f"photos/{person}/1.jpg"], code), tmp_path / "g", **self.LIMITS)
        assert done.photos == 1 and any("names may be garbled" in note for note in done.notes)

    def test_a_zip_that_has_its_names_in_unicode_too_is_not_guessed_at(self, tmp_path):
        raw, name = "photos/山田/1.jpg".encode("cp932"), "photos/山田/1.jpg"
        archive = tmp_path / "photos.zip"
        with zipfile.ZipFile(archive, "w") as opened:
            info = zipfile.ZipInfo("a" * len(raw))
            field = b"\1" + struct.pack("<I", zlib.crc32(raw)) + name.encode()
            info.extra = struct.pack("<HH", 0x9999, 2) + b"zz" + struct.pack("<HH", 0x7075, len(field)) + field
            opened.writestr(info, b"x")
        archive.write_bytes(archive.read_bytes().replace(b"a" * len(raw), raw))
        done = unpack_archive(archive, tmp_path / "g", **self.LIMITS)
        assert self.files(tmp_path / "g") == ["山田/1.jpg"] and done.notes == ()

    def test_damage_of_any_kind_is_told_in_one_sentence(self, tmp_path):
        rng = np.random.default_rng(5)
        whole = self.make(tmp_path, {f"ann/{n}.jpg": rng.bytes(50) + bytes(300) for n in range(4)}).read_bytes()
        for number in range(int(os.environ.get("DEMO_FUZZ", "500"))):
            data = bytearray(whole)
            for _ in range(rng.integers(1, 6)):
                data[rng.integers(len(data))] = rng.integers(256)
            (tmp_path / "photos.zip").write_bytes(data[:rng.integers(10, len(data))] if number % 4 == 0 else data)
            try:
                unpack_archive(tmp_path / "photos.zip", tmp_path / f"g{number}", **self.LIMITS)
            except BadGallery as error:
                assert str(error).count(". ") == 0 and not (tmp_path / f"g{number}").exists()

    @pytest.mark.parametrize(("files", "words"), [
        ({"ann/1.txt": b"x"}, "no photos"), ({"ann/1.jpg": b"0" * 11_000_000}, "unpacks to more"),
    ])
    def test_nothing_is_left_of_a_refused_archive(self, tmp_path, files, words):
        with pytest.raises(BadGallery, match=words):
            unpack_archive(self.make(tmp_path, files), tmp_path / "g", **self.LIMITS)
        assert [p.name for p in tmp_path.iterdir()] == ["photos.zip"]

    def test_what_is_no_zip_is_refused(self, tmp_path):
        (tmp_path / "photos.zip").write_bytes(b"PK nonsense")
        with pytest.raises(BadGallery, match="not a zip"):
            unpack_archive(tmp_path / "photos.zip", tmp_path / "g", **self.LIMITS)

    @pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "x" * 65, "trailing."])
    def test_unsafe_names_are_refused(self, name):
        with pytest.raises(BadGallery, match="gallery name"):
            check_name(name)


def test_a_grid_that_was_not_kept_is_computed_when_asked_for(people, backbone, tmp_path):
    """An index of the first grid alone answers as one of all grids, to half precision."""
    whole = Gallery.build(people, backbone, tmp_path / "whole", detector="hog")
    slim = Gallery.build(people, backbone, tmp_path / "slim", detector="hog", grids=[(8, 8)])
    bare = Gallery.build(people, backbone, tmp_path / "bare", detector="hog", grids=[])
    assert slim.manifest.grids == ((8, 8),) and not (part_of(slim) / "patches-4x4.safetensors").exists()
    assert bare.manifest.grids == () and not list(part_of(bare).glob("patches-*"))
    for gallery in (slim, bare):
        assert gallery.grids == whole.grids
        for rows in ([5, 0, 5], [1, 5], range(8)):
            for grid in ((8, 8), (4, 4), None):
                ours, theirs = (one.features(rows, grid).patches for one in (gallery, whole))
                assert torch.allclose(ours, theirs, atol=1e-3, rtol=2e-3)  # half precision
        assert set(gallery.whole([0]).maps) == {(4, 4)}
    computed = []
    bare = Gallery.open(bare.folder, backbone)
    bare.crop = lambda row, _: computed.append(row) or whole.crop(row, backbone)
    for rows in ([2, 3], [3, 4], [2]):
        bare.features(rows)
    assert computed == [2, 3, 4]  # each once
    with pytest.raises(BadGallery, match="holds no patches: open it with its backbone"):
        Gallery.open(bare.folder, "dlib").features([0])
    # The other way round nothing is computed again, and a grid of another backbone is refused.
    again = Gallery.build(people, backbone, tmp_path / "whole", detector="hog", grids=[(8, 8)])
    assert again.manifest.grids == ((8, 8),)
    with pytest.raises(BadSetting, match="dlib has no grid 7x7: choose from 8x8, 4x4"):
        Gallery.build(people, backbone, tmp_path / "slim", grids=[(7, 7)])
