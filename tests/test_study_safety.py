"""No command of the study destroys data, and what goes wrong with a disk or a file is told in one sentence."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import stat
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from studies import SMALL, Page, enrol, fake_stimuli, small_store, walk

from demo.cli import main
from demo.errors import BadStudy, NotSaved
from demo.study import StudyConfig
from demo.study.records.export import export
from demo.study.records.output import new_file
from demo.study.records.store import Store, _free
from demo.study.records.sync import FolderTarget, open_kept
from demo.study.stimuli import make
from demo.study.stimuli.shortcuts import Traits


@pytest.fixture
def study(tmp_path):
    """A study on disk that a server is using, and how the command line names it."""
    folder = tmp_path / "study"
    config = replace(SMALL, pairs_per_set=2, planned_n=9)
    stimuli = fake_stimuli(folder, config, files=True)
    stimuli.write()
    (folder / "study.json").write_text(config.to_json())
    store = Store.create(tmp_path / "s.sqlite3", config, stimuli)
    store.set_mode("live")
    walk(Page(store), enrol(Page(store)))
    yield store, ["--study", str(folder), "--db", str(store.path)]
    store.close()


def answers(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT count(*) FROM response").fetchone()[0]


def run(capsys, *words: str) -> tuple[int, str]:
    status = main(["study", *words])
    said = capsys.readouterr()
    return status, said.out + said.err


@pytest.mark.parametrize("command", ["backup", "export"])
def test_nothing_is_written_over_the_live_database(study, tmp_path, capsys, command):
    store, at = study
    before = answers(store.path)
    (tmp_path / "soft.sqlite3").symlink_to(store.path)
    os.link(store.path, tmp_path / "hard.sqlite3")
    names = [store.path, tmp_path / "." / "s.sqlite3", tmp_path / "soft.sqlite3", tmp_path / "hard.sqlite3",
             tmp_path / "s.sqlite3-wal", tmp_path / "s.sqlite3-journal"]
    for name in names:
        for force in ([], ["--force"]):
            status, said = run(capsys, command, str(name), *at, *force)
            assert status == 2 and "own database" in said, name
    walk(Page(store), enrol(Page(store)), until=2)
    assert answers(store.path) == before + 2


@pytest.mark.parametrize("command", ["backup", "export"])
def test_a_file_that_is_there_is_replaced_only_when_asked(study, tmp_path, capsys, command):
    _, at = study
    kept = tmp_path / "thesis.docx"
    kept.write_text("years of work")
    status, said = run(capsys, command, str(kept), *at)
    assert status == 2 and "--force" in said and kept.read_text() == "years of work"
    assert run(capsys, command, str(kept), *at, "--force")[0] == 0 and b"years of work" not in kept.read_bytes()
    assert "is a folder" in run(capsys, command, str(tmp_path), *at, "--force")[1]
    assert not list(tmp_path.glob("*.part"))


@pytest.fixture
def commands(study):
    """Every command that writes a file, without its name."""
    _, at = study
    return [[word, *at] for word in ("backup", "export", "payments", "preregister")]


def test_what_lies_beside_the_database_is_never_written_over(study, tmp_path, capsys, commands):
    store, _ = study
    key = store.seal.path.read_bytes()
    older = tmp_path / "s.sqlite3.version3"
    older.write_bytes(b"the copy before an update")
    (tmp_path / "link").symlink_to(store.seal.path)
    other = small_store(tmp_path / "other")
    other.close()
    kept = other.seal.path.read_bytes()
    for name in (store.seal.path, tmp_path / "link", older, other.seal.path):
        for word, *more in commands:
            status, said = run(capsys, word, str(name), *more, "--force")
            assert status == 2 and "choose another file" in said and said.count("\n") == 1, (word, name, said)
    assert store.seal.path.read_bytes() == key and other.seal.path.read_bytes() == kept
    assert older.read_bytes() == b"the copy before an update"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names are POSIX's")
def test_a_device_or_pipe_is_never_replaced_by_a_file(study, tmp_path, capsys, commands):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to(pipe)
    for name in (pipe, tmp_path / "link"):
        for word, *more in commands:
            status, said = run(capsys, word, str(name), *more, "--force")
            assert status == 2 and "no regular file" in said and said.count("\n") == 1, (word, name, said)
    assert pipe.is_fifo() and (tmp_path / "link").is_symlink()


def put(data, value, *path):
    """Set a value in JSON data."""
    *way, last = path
    for step in way:
        data = data[step]
    data[last] = value


FORM = {"id": "mine", "when": "end", "title": "Mine", "items": [{"id": "one", "text": "?", "kind": "text"}]}


@pytest.mark.parametrize("file,value,path", [
    ("study.json", [{**FORM, "when": ["end"]}], ["questionnaires"]),
    ("study.json", [{**FORM, "when": {}}], ["questionnaires"]),
    ("study.json", [{**FORM, "items": [{"id": "one", "text": "?", "kind": ["x"]}]}], ["questionnaires"]),
    ("study.json", [{**FORM, "items": [{"id": "one", "text": "?", "kind": "text", "optional": []}]}],
     ["questionnaires"]),
    ("study.json", [{**FORM, "items": [{"id": "one", "text": "?", "kind": "scale", "steps": 5, "from": 1}]}],
     ["questionnaires"]),
    ("study.json", "\ud800", ["title"]), ("study.json", "\udfff", ["texts", "go_on"]),
    ("study.json", ["en"], ["language"]), ("study.json", 10**400, ["max_seconds"]),
    ("study.json", float("nan"), ["idle_minutes"]), ("study.json", [["none"]], ["conditions"]),
    ("stimuli.json", ["A"], ["pairs", 0, "set_id"]), ("stimuli.json", {}, ["pairs", 0, "pair_id"]),
    ("stimuli.json", 1, ["pairs", 0, "same"]), ("stimuli.json", None, ["pairs", 1]),
    ("stimuli.json", "A02", ["pairs", 0, "pair_id"]), ("stimuli.json", {"a": 1}, ["pairs"]),
    ("stimuli.json", "far", ["renders", 0, "score"]), ("stimuli.json", 2, ["renders", 0, "model_pred"]),
    ("stimuli.json", "A99", ["renders", 0, "pair_id"]), ("stimuli.json", [], ["renders", 0, "params"]),
    ("stimuli.json", ["a"], ["neutral"]), ("stimuli.json", "\ud800", ["neutral"]),
    ("stimuli.json", [1], ["provenance"]), ("stimuli.json", {"wrong": 7}, ["provenance"]),
    ("stimuli.json", {"wrong": {"emd": "x"}}, ["provenance"]), ("stimuli.json", {"shortcuts": []}, ["provenance"]),
    ("stimuli.json", {"position_pattern": {"emd": [1]}}, ["provenance"]),
    ("stimuli.json", {"weights_sha256": 5}, ["provenance"]),
], ids=str)
def test_a_folder_of_other_kinds_is_named_in_a_sentence(study, tmp_path, capsys, file, value, path):
    _, at = study
    place = tmp_path / "study" / file
    data = json.loads(place.read_text(encoding="utf-8"))
    put(data, value, *path)
    place.write_text(json.dumps(data), encoding="utf-8")
    for command in (["verify"], ["summary"], ["open"], ["preregister", str(tmp_path / "out.md")]):
        status, told = run(capsys, *command, *at[:2], "--db", str(tmp_path / "new.sqlite3"))
        assert status == 2 and told.count("\n") == 1 and len(told) < 600, (command, told)
        assert file.split(".")[0] in told or "configuration" in told or path[0] in told or "questionnaire" in told
    assert not (tmp_path / "new.sqlite3").exists() and not (tmp_path / "out.md").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names are POSIX's")
def test_nothing_is_waited_for_that_never_ends(study, tmp_path, capsys):
    """Pipes in the places of a study's files, and of those that commands are given."""
    store, at = study
    folder = tmp_path / "study"
    os.mkfifo(tmp_path / "pipe")
    assert run(capsys, "verify", *at, "--head", str(tmp_path / "pipe"))[0] == 2
    with pytest.raises(BadStudy, match="cannot be read"):
        Traits.read(tmp_path / "pipe")
    picture = next((folder / "pictures").iterdir())
    picture.unlink()
    os.mkfifo(picture)
    status, told = run(capsys, "verify", *at)
    assert status == 1 and f"{picture.name} is not as it was made" in told
    for name in ("stimuli.json", "study.json"):
        kept = (folder / name).read_bytes()
        (folder / name).unlink()
        os.mkfifo(folder / name)
        for command in (["verify"], ["open"], ["export", str(tmp_path / "x.zip")]):
            status, told = run(capsys, *command, *at)
            assert status == 2 and name in told and "cannot be read" in told and told.count("\n") == 1
        (folder / name).unlink()
        (folder / name).write_bytes(kept)


def test_another_database_in_use_is_not_written_over_even_when_asked(study, tmp_path):
    store, _ = study
    other = small_store(tmp_path / "other")
    with pytest.raises(BadStudy, match="in use"):
        store.backup(other.path, force=True)
    other.close()
    store.backup(other.path, force=True)  # closed, and asked for


def test_a_file_that_appears_meanwhile_is_kept(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(BadStudy, match="there already"), new_file(out, tmp_path / "db") as partial:
        partial.write_text("new")
        out.write_text("of somebody else")
    assert out.read_text() == "of somebody else" and [file.name for file in tmp_path.iterdir()] == ["out"]


def test_copies_do_not_go_where_the_answers_are(tmp_path):
    with pytest.raises(BadStudy, match="another one"):
        open_kept(tmp_path / "s.sqlite3", SMALL, fake_stimuli(tmp_path / "x", SMALL),
                  FolderTarget(tmp_path / "x" / ".."))
    assert not (tmp_path / "s.sqlite3").exists()


def test_the_mode_changes_while_people_take_part_only_when_one_is_sure(study, capsys):
    store, at = study
    status, told = run(capsys, "open", "--mode", "pilot", *at)
    assert status == 2 and store.mode == "live" and told.count("\n") == 1
    assert "live" in told and "1 have begun and 0 of them" in told and "--sure" in told
    assert run(capsys, "open", *at)[0] == 0  # it is live already
    walk(Page(store), enrol(Page(store)), until=2)
    assert "2 have begun and 1 of them" in run(capsys, "open", "--mode", "preview", *at)[1] and store.mode == "live"
    assert run(capsys, "open", "--mode", "pilot", "--sure", *at)[0] == 0 and store.mode == "pilot"


def test_a_copy_of_an_older_version_is_never_written_over(tmp_path):
    store = small_store(tmp_path)
    taken = tmp_path / "study.sqlite3.version1"
    taken.write_text("an earlier copy")
    assert _free(taken).name == "study.sqlite3.version1-2" and taken.read_text() == "an earlier copy"
    store.close()


# --- disks


@pytest.mark.parametrize("said,words", [
    ("database or disk is full", "disk is full"), ("attempt to write a readonly database", "may only be read"),
    ("unable to open database file", "cannot be opened"), ("disk I/O error", "could not be read or written"),
    ("database is locked", "another process")])
def test_what_the_disk_does_is_not_called_damage(study, capsys, monkeypatch, said, words):
    _, at = study
    real = sqlite3.connect

    class Failing(sqlite3.Connection):
        def execute(self, statement, *values):
            if "journal_mode = WAL" in statement:
                raise sqlite3.OperationalError(said)
            return super().execute(statement, *values)

    monkeypatch.setattr(sqlite3, "connect", lambda *given, **more: real(*given, **{**more, "factory": Failing}))
    for command in (["summary"], ["verify"], ["export", "x.zip"], ["close"], ["open"]):
        status, told = run(capsys, *command, *at)
        assert status in (1, 2) and words in told and "damaged" not in told and told.count("\n") == 1, command


def test_a_backup_to_a_full_disk_says_so_and_leaves_nothing(study, tmp_path, monkeypatch):
    store, _ = study

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for write in (store.backup, lambda out: export(store, out)):
        with pytest.raises(NotSaved, match="No space left"):
            write(tmp_path / "copy")
    assert not list(tmp_path.glob("copy*"))


@pytest.mark.parametrize("content", [b"", b"noise" * 5000, b"SQLite format 3\0" + bytes(5000)])
def test_what_is_no_study_database_is_named_in_a_sentence(study, tmp_path, capsys, content):
    _, at = study
    (tmp_path / "bad.sqlite3").write_bytes(content)
    at = [*at[:2], "--db", str(tmp_path / "bad.sqlite3")]
    for command in (["summary"], ["export", str(tmp_path / "x.zip")], ["close"], ["backup", str(tmp_path / "y")],
                    *([["open"], ["simulate", "--participants", "1"]] if content else [])):
        status, told = run(capsys, *command, *at)
        assert status == 2 and told.count("\n") == 1 and "Traceback" not in told, command
    assert (tmp_path / "bad.sqlite3").read_bytes() == content and not (tmp_path / "x.zip").exists()


def test_a_corrupt_page_is_told_by_summary_and_export(study, tmp_path, capsys):
    store, at = study
    copy = store.backup(tmp_path / "copy.sqlite3")
    content = bytearray(copy.read_bytes())
    for page in range(5, len(content) // 4096, 3):
        content[page * 4096:page * 4096 + 2000] = b"\xff" * 2000
    copy.write_bytes(content)
    for command in (["summary"], ["export", str(tmp_path / "x.zip")], ["verify"]):
        status, told = run(capsys, *command, *at[:2], "--db", str(copy))
        assert status == 2 and "damaged" in told and "backup" in told and told.count("\n") == 1, told


@pytest.mark.skipif(os.name != "posix", reason="rights are POSIX's")
def test_only_the_owner_may_read_the_answers(study, tmp_path):
    store, _ = study
    files = [store.path, *tmp_path.glob("s.sqlite3-*"), store.backup(tmp_path / "copies" / "b.sqlite3")]
    assert len(files) >= 3 and {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    files[-1].chmod(0o644)
    Store.open(files[-1]).close()
    assert stat.S_IMODE(files[-1].stat().st_mode) == 0o600


# --- make


def test_make_finds_out_before_measuring_that_it_cannot_write(identifier, tmp_path, monkeypatch):
    def never(*_, **__):
        raise AssertionError("measured before the folder was tried")

    monkeypatch.setattr(make, "measure", never)
    (tmp_path / "file").write_text("")
    config = replace(StudyConfig(), conditions=("none",))
    with pytest.raises(BadStudy, match="cannot be written"):
        make.make_study(identifier, config, tmp_path / "file" / "study")
    (tmp_path / "study.part").mkdir()
    (tmp_path / "study.part" / "mine").write_text("kept")
    monkeypatch.setattr(make, "measure", lambda *_, **__: (_ for _ in ()).throw(BadStudy("too small")))
    with pytest.raises(BadStudy, match="too small"):
        make.make_study(identifier, config, tmp_path / "study")
    assert (tmp_path / "study.part" / "mine").read_text() == "kept" and len(list(tmp_path.iterdir())) == 2
