"""Several pictures in one go: folders, videos, and every face of a photo."""

from __future__ import annotations

import json
import shutil

import cv2
import numpy as np
import pytest
from conftest import BUNDLED

from demo.cli import main
from demo.errors import BadPhoto
from demo.faces import Limits, load_photo
from demo.sources import pictures

ROOT = BUNDLED.parents[1]
TWO = ROOT / "assets" / "examples" / "two-faces.jpg"


@pytest.fixture
def video(tmp_path):
    """Three seconds, ten frames each, of three people after one another."""
    path = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (256, 256))
    for person in ("person-001", "person-002", "person-003"):
        frame = cv2.cvtColor(load_photo(BUNDLED / person / "01.jpg"), cv2.COLOR_RGB2BGR)
        for _ in range(10):
            writer.write(frame)
    writer.release()
    return path


def test_frames_of_a_video(video):
    found = list(pictures([video], every=1.0))
    assert [one.seconds for one in found] == [0, 1, 2]
    for one, person in zip(found, ("person-001", "person-002", "person-003"), strict=True):
        assert np.abs(np.asarray(one.photo, float) - load_photo(BUNDLED / person / "01.jpg")).mean() < 6
    assert len(list(pictures([video], every=0.5))) == 6
    with pytest.raises(BadPhoto, match="the limit is 0.01"):
        list(pictures([video], limits=Limits(megapixels=0.01)))


def test_folders_and_what_is_none(tmp_path):
    for place in ("b/2.jpg", "a.jpg", "b/@eaDir/2.jpg", ".hidden.jpg", "notes.txt"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_bytes(b"")
    assert [one.name for one in pictures([tmp_path])] == [str(tmp_path / "a.jpg"), str(tmp_path / "b" / "2.jpg")]
    (tmp_path / "b" / "3").write_bytes(b"\xff\xd8\xff\xe0" + bytes(20))
    assert [one.name for one in pictures([tmp_path])][1:] == [str(tmp_path / "b" / "2.jpg"), str(tmp_path / "b" / "3")]
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    (tmp_path / "empty").mkdir()
    for path, told in (("broken.mp4", "not a video"), ("missing.mp4", "does not exist"), ("empty", "no photos")):
        with pytest.raises(BadPhoto, match=told):
            list(pictures([tmp_path / path]))


def test_every_face_and_every_picture_is_answered(tmp_path, video, capsys):
    folder = tmp_path / "album"
    folder.mkdir()
    shutil.copy(TWO, folder / "1.jpg")
    (folder / "2.jpg").write_bytes(b"no photo")
    shutil.copy(video, folder / "3.avi")
    (folder / "4.mp4").write_bytes(b"no video")
    asked = ["identify", str(folder), str(video), "--backbone", "dlib", "--stage2", "none", "--top", "1"]
    assert main([*asked, "--all-faces", "--json"]) == 0
    answers = json.loads(capsys.readouterr().out)
    assert [one["source"]["seconds"] for one in answers] == [None, None, None, 0, 1, 2, None, 0, 1, 2]
    assert "not a readable" in answers[2]["problem"] and "not a video" in answers[6]["problem"]
    best = [one["stage1"][0]["identity"] for one in answers if "stage1" in one]
    assert len(set(best)) == 5 and best[2:] == ["person-001", "person-002", "person-003"] * 2
    assert [one["query"]["face"] for one in answers[:2]] == [0, 1]
    assert main(["identify", str(folder / "2.jpg"), str(folder / "2.jpg"), "--backbone", "dlib"]) == 2
    assert main(["identify", str(tmp_path / "none.mp4"), str(TWO), "--backbone", "dlib", "--stage2", "none"]) == 0
    assert "none.mp4 does not exist" in capsys.readouterr().out
    assert main([*asked, "--figure", str(tmp_path / "x.png")]) == 2
    assert "for one photo" in capsys.readouterr().err
