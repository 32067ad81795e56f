"""Writing whole files, and where files lie on a machine."""

from __future__ import annotations

import os
import pwd
import sys
import tempfile
import threading

import pytest
from conftest import ROOT

from demo import places
from demo.errors import BadSetting, WeightsMissing
from demo.files import read_regular, replacing, write_whole
from demo.settings import Settings
from demo.study.records.sync import FolderTarget, target_of
from demo.weights import find

# --- written whole or not at all ---------------------------------------------------------------------------


def test_bytes_and_text_are_written_and_nothing_else_is_left(tmp_path):
    file = tmp_path / "kept.txt"
    write_whole(file, b"old")
    write_whole(file, "new: ä\n")
    assert file.read_bytes() == "new: ä\n".encode() and list(tmp_path.iterdir()) == [file]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names are POSIX's")
def test_a_pipe_is_neither_replaced_nor_waited_for(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for act in (lambda: write_whole(pipe, b"new"), lambda: read_regular(pipe, 10), lambda: read_regular(tmp_path, 10)):
        with pytest.raises(OSError, match=r"no regular file|directory"):
            act()
    assert pipe.is_fifo() and list(tmp_path.iterdir()) == [pipe]
    (tmp_path / "file").write_bytes(b"0123456789")
    assert read_regular(tmp_path / "file", 10) == b"0123456789"
    with pytest.raises(OSError, match="large"):
        read_regular(tmp_path / "file", 9)


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    file = tmp_path / "kept.txt"
    write_whole(file, "old")
    with pytest.raises(ZeroDivisionError), replacing(file) as partial:
        partial.write_text("half of the new")
        assert file.read_text() == "old" and partial.parent == tmp_path  # beside it: one file system, one step
        1 / 0  # noqa: B018
    assert file.read_text() == "old" and list(tmp_path.iterdir()) == [file]


def test_a_block_that_writes_nothing_is_told_and_keeps_the_old_file(tmp_path):
    file = tmp_path / "kept.txt"
    write_whole(file, "old")
    with pytest.raises(FileNotFoundError), replacing(file):
        pass
    assert file.read_text() == "old"


def test_it_is_on_the_disk_before_it_takes_the_place_of_the_old(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(os, "fsync", lambda handle: done.append("fsync"))
    real = os.replace
    monkeypatch.setattr(os, "replace", lambda *paths: (done.append("replace"), real(*paths)))
    write_whole(tmp_path / "kept.txt", "new")
    assert done[:2] == ["fsync", "replace"]


def test_threads_that_write_one_file_do_not_mix(tmp_path):
    file = tmp_path / "kept.txt"
    contents = [str(number) * 200_000 for number in range(6)]
    threads = [threading.Thread(target=write_whole, args=(file, content)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert file.read_text() in contents and list(tmp_path.iterdir()) == [file]


# --- where files lie ----------------------------------------------------------------------------------------


def test_a_checkout_finds_what_lies_beside_the_package():
    assert places.ASSETS == ROOT / "assets" and places.GALLERIES == ROOT / "galleries"


def test_an_installed_demo_finds_what_lies_within_it(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "_PACKAGE", tmp_path / "demo")
    assert places.bundled("assets") == tmp_path / "assets"
    (tmp_path / "demo" / "assets").mkdir(parents=True)
    assert places.bundled("assets") == tmp_path / "demo" / "assets"


def test_defaults_are_the_users_own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if sys.platform != "linux":
        pytest.skip("other systems have no variables for these folders")
    chosen = Settings.from_environment({})
    data = tmp_path / "data" / places.APP
    assert (chosen.weights, chosen.study_dir) == (data / "weights", data / "studies")
    assert chosen.cache == tmp_path / "cache" / places.APP
    assert ROOT not in (*chosen.weights.parents, *chosen.study_dir.parents, *chosen.cache.parents)


def test_the_home_folder_may_be_written_as_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    chosen = Settings.from_environment({"DEMO_WEIGHTS": "~/nets", "DEMO_CACHE": "~", "DEMO_STUDY_DIR": "~/a/b",
                                        "DEMO_STUDY_REPO": "~/copies"})
    assert (chosen.weights, chosen.cache, chosen.study_dir) == (tmp_path / "nets", tmp_path, tmp_path / "a" / "b")
    assert isinstance(target_of(chosen), FolderTarget) and target_of(chosen).folder == tmp_path / "copies"


def test_a_home_that_is_nowhere_is_told_in_one_sentence():
    with pytest.raises(BadSetting, match="DEMO_WEIGHTS is '~nobody-of-this-name/nets'"):
        Settings.from_environment({"DEMO_WEIGHTS": "~nobody-of-this-name/nets"})


def test_without_a_home_there_is_a_temporary_folder(tmp_path, monkeypatch):
    """HOME is not set, and the machine does not know the user."""
    for variable in ("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", lambda number: {}[number])
    assert os.path.expanduser("~") == "~"
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    chosen = Settings.from_environment({})
    assert chosen.weights.parent == chosen.study_dir.parent and chosen.cache != chosen.weights.parent
    assert all(tmp_path in folder.parents for folder in (chosen.weights, chosen.study_dir, chosen.cache))
    with pytest.raises(WeightsMissing, match=str(chosen.weights)):
        find("arcface")
