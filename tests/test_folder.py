"""Folders of people as they are found on people's disks."""

from __future__ import annotations

import os
import sys
import unicodedata

import pytest

from demo.gallery import list_photos
from demo.gallery.folder import passed_over


@pytest.fixture
def folder(tmp_path):
    for person in ("alice", "bob"):
        (tmp_path / person).mkdir()
        (tmp_path / person / "1.jpg").write_bytes(person.encode())
    return tmp_path


def paths(folder) -> list[str]:
    return [photo.path for photo in list_photos(folder)]


def told(folder) -> dict[str, str]:
    return {one.path: one.reason for one in passed_over(folder)}


def test_the_spelling_of_an_accent_makes_no_other_person(folder):
    for form, name in (("NFD", "José"), ("NFC", "Zoë")):
        (folder / unicodedata.normalize(form, name)).mkdir()
        (folder / unicodedata.normalize(form, name) / "1.jpg").write_bytes(b"")
    photos = list_photos(folder)
    assert {photo.identity for photo in photos} == {"alice", "bob", "José", "Zoë"}
    assert all((folder / photo.path).is_file() and photo.file == folder / photo.path for photo in photos)


def test_folders_of_machines_are_nobodys_photos(folder):
    for place in ("alice/@eaDir/1.jpg", "@eaDir", "#recycle", "alice/.thumbnails", "__MACOSX/alice", "bob/#recycle"):
        (folder / place).mkdir(parents=True)
        (folder / place / "SYNOPHOTO_THUMB_M.jpg").write_bytes(b"")
    assert paths(folder) == ["alice/1.jpg", "bob/1.jpg"]


@pytest.mark.parametrize("name", [
    "@Recycle", "@Recently-Snapshot", "RECYCLER", "@tmp", "thumbs", "FOUND.000", "lost+found", "#recycle",
    ".Trash-1000", "System Volume Information", "__MACOSX", "$RECYCLE.BIN", ".@__thumb", "LOST.DIR", ".Trashes"])
def test_folders_of_machines_are_told_wherever_they_lie(folder, name):
    for place in (folder / name, folder / "bob" / name):
        (place / "carol").mkdir(parents=True)
        (place / "1.jpg").write_bytes(b"")
        (place / "carol" / "1.jpg").write_bytes(b"")
    assert paths(folder) == ["alice/1.jpg", "bob/1.jpg"]
    assert told(folder) == dict.fromkeys((name, f"bob/{name}"), "a folder that machines keep, for waste or thumbnails")


def test_what_only_resembles_a_machines_folder_is_a_person(folder):
    for name in ("@nasa", "Thumbelina", "found", "Recyclo", "#1"):
        (folder / name).mkdir()
        (folder / name / "1.jpg").write_bytes(b"")
    assert len(paths(folder)) == 7 and told(folder) == {}


def test_a_file_without_an_ending_is_what_its_content_is(folder):
    contents = {"IMG_1": b"\xff\xd8\xff\xe0" + bytes(20), "2": b"RIFF\x10\0\0\0WEBPVP8 ",
                "Ann 1.2": b"\x89PNG\r\n\x1a\n",
                "phone": b"\0\0\0\x18ftypheic\0\0\0\0", "notes": b"BMW and II, MM", "film": b"\0\0\0\x18ftypisom",
                "empty": b"", ".hidden": b"\xff\xd8\xff"}
    for name, content in contents.items():
        (folder / "bob" / name).write_bytes(content)
    assert paths(folder)[2:] == ["bob/2", "bob/Ann 1.2", "bob/IMG_1", "bob/phone"] and told(folder) == {}


def test_videos_and_folders_that_cannot_be_read_are_told(folder):
    (folder / "alice" / "a.MOV").write_bytes(b"")
    (folder / "b.mp4").write_bytes(b"")
    assert told(folder) == {"alice/a.MOV": "it is a video", "b.mp4": "it is a video"}
    (folder / "bob" / "locked").mkdir(mode=0)
    if not os.access(folder / "bob" / "locked", os.R_OK):
        assert "cannot be read" in told(folder)["bob/locked"]


def test_kinds_that_phones_write_are_listed(folder):
    endings = ("jfif", "HEIC", "avif", "jpe", "dng", "hif", "pjpeg", "jif", "heics", "avifs", "mpo", "tga", "psd",
               "pgm")
    for ending in endings:
        (folder / "bob" / f"2.{ending}").write_bytes(b"")
    assert len(paths(folder)) == 2 + len(endings)


@pytest.mark.skipif(sys.platform == "win32", reason="links and pipes")
def test_what_is_no_file_is_passed_over_and_told(folder):
    os.mkfifo(folder / "alice" / "pipe.jpg")
    (folder / "alice" / "gone.jpg").symlink_to("/nonexistent/x.jpg")
    (folder / "alice" / "loop.jpg").symlink_to(folder / "alice" / "loop.jpg")
    (folder / "alice" / "round").symlink_to(folder)
    (folder / "bob" / "device.jpg").symlink_to("/dev/zero")
    (folder / "bob" / "folder.jpg").mkdir()
    (folder / "loose.jpg").write_bytes(b"")
    (folder / "bob" / "linked.jpg").symlink_to(folder / "alice" / "1.jpg")
    assert paths(folder) == ["alice/1.jpg", "bob/1.jpg", "bob/linked.jpg"]
    assert set(told(folder)) == {"alice/pipe.jpg", "alice/gone.jpg", "alice/loop.jpg", "bob/device.jpg", "loose.jpg"}
    assert "not there" in told(folder)["alice/gone.jpg"]


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux only")
def test_names_that_are_not_text_are_passed_over_and_told(folder):
    with open(os.fsencode(folder) + b"/bob/\xff.jpg", "wb"):
        pass
    os.mkdir(os.fsencode(folder) + b"/\xe9ric")
    with open(os.fsencode(folder) + b"/\xe9ric/1.jpg", "wb"):
        pass
    assert paths(folder) == ["alice/1.jpg", "bob/1.jpg"]
    assert len(told(folder)) == 2 and all("UTF-8" in reason for reason in told(folder).values())


def test_a_photo_that_may_not_be_read_has_a_hash_all_the_same(folder):
    photo = next(iter(list_photos(folder)))
    photo.file.unlink()
    assert len(photo.sha256) == 64
