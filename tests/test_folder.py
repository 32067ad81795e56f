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


def test_kinds_that_phones_write_are_listed(folder):
    for ending in ("jfif", "HEIC", "avif", "jpe", "dng"):
        (folder / "bob" / f"2.{ending}").write_bytes(b"")
    assert len(paths(folder)) == 7


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
