"""Indexes on disk: searched at the cost of k, changed at the cost of the change, killed without loss, and checked when
they are opened, whatever lies there."""

import json
import os
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import BUNDLED, QUERIES, ROOT
from safetensors.numpy import load_file, save

from demo.cli import main
from demo.errors import BadGallery, DemoError
from demo.faces import Limits
from demo.gallery import (
    Freshness,
    Gallery,
    Photo,
    add_photos,
    delete_gallery,
    delete_photos,
    list_photos,
    remove_photos,
    rename,
    revise,
    take_in,
)
from demo.gallery import seen as seen_photos
from demo.gallery.arrays import write_arrays
from demo.gallery.build import DRAFT
from demo.gallery.draft import Draft
from demo.gallery.entries import Entry
from demo.gallery.index import is_within, nearest
from demo.gallery.manifest import EMBEDDINGS, ENTRIES, FACES, MANIFEST
from demo.gallery.store import ComputedRows, Places
from demo.identify import Identifier
from demo.ranking import Match, Ranking, Stage1
from demo.verify import verify

PHOTO = QUERIES / "person-002" / "04.jpg"


@pytest.fixture
def index(people, backbone, tmp_path) -> Path:
    """An index of the four people, the finest grid's patches kept."""
    return Gallery.build(people, backbone, tmp_path / "out", detector="hog", grids=[(8, 8)]).folder


@pytest.fixture
def large(monkeypatch):
    """Every index counts as a large one, whose parts are kept."""
    monkeypatch.setattr(revise, "SMALL", 0)


def rows_of(gallery: Gallery) -> dict[str, tuple]:
    """Everything that is kept of each photo, by path."""
    features = gallery.features(range(len(gallery)))
    return {entry.path: (entry.identity, entry.sha256, *(one[row].numpy().tobytes() for one in (
        gallery.embeddings, features.embedding, features.patches, features.landmarks)))
        for row, entry in enumerate(gallery.entries)}


def assert_like(one: Gallery, other: Gallery) -> None:
    """The same photos with the same features, but for the rounding of batches of other sizes."""
    ours, theirs = ({entry.path: (entry.identity, entry.sha256, row) for row, entry in enumerate(gallery.entries)}
                    for gallery in (one, other))
    assert {path: found[:2] for path, found in ours.items()} == {path: found[:2] for path, found in theirs.items()}
    rows = [[found[path][2] for path in sorted(ours)] for found in (ours, theirs)]
    for a, b in zip(*([gallery.embeddings[part], features.patches, features.landmarks] for gallery, part, features in (
            (gallery, part, gallery.features(part)) for gallery, part in zip((one, other), rows, strict=True))),
            strict=True):
        torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-3)


def test_two_photos_are_compared_without_looking_through_the_gallery(shown, monkeypatch):
    """Of a gallery of a million people the verdicts need the thresholds only."""
    shown.ready(verifies=True)
    for name in ("search", "features", "entries_of", "rows_of", "crop"):
        monkeypatch.setattr(Gallery, name, lambda *_, name=name: pytest.fail(f"{name} was asked for"))
    found = verify(PHOTO, PHOTO, shown)
    assert "same" in {judged.verdict for judged in found.judgements} <= {"same", None}


class TestRanking:
    def test_the_nearest_are_the_first_of_a_stable_sort_ties_included(self):
        rng = np.random.default_rng(0)
        for _ in range(300):
            count = int(rng.integers(1, 60))
            values = torch.from_numpy(rng.integers(0, rng.integers(1, 12), count).astype(np.float32))
            ordered, rows = torch.sort(values, stable=True)
            for k in (None, 0, 1, count // 2, count - 1, count, count + 5):
                near, found = nearest(values, k)
                assert near.tolist() == ordered[:k].tolist() and found.tolist() == rows[:k].tolist()

    def whole(self, gallery, embedding, exclude=()):
        """The old way: everything sorted, an object for each."""
        distances, rows = gallery.search(embedding)
        kept = [(row, near) for row, near in zip(rows.tolist(), distances.tolist(), strict=True) if row not in exclude]
        return tuple(Match(rank, row, gallery.entries[row].identity, gallery.entries[row].path, near, stage1_rank=rank)
                     for rank, (row, near) in enumerate(kept, start=1))

    @pytest.mark.parametrize("exclude", [(), (3, 17, 200)])
    def test_a_ranking_is_the_whole_one_wherever_it_is_looked_at(self, bundled, exclude):
        for seed in range(3):
            embedding = torch.randn(128, generator=torch.Generator().manual_seed(seed))
            stage1 = Stage1(bundled, embedding, frozenset(exclude))
            for k in (1, 20, 288):
                ranking, old = Ranking(stage1.first(k), stage1), self.whole(bundled, embedding, exclude)
                assert len(ranking) == len(old) and tuple(ranking) == old and ranking == old
                for place in (0, 5, 19, 20, -1, -30):
                    assert ranking[place] == old[place]
                for part in (slice(5), slice(3, 8), slice(10, 40), slice(None, None, -7), slice(-5, None), slice(9, 2)):
                    assert ranking[part] == old[part]
        with pytest.raises(IndexError):
            ranking[300]

    def test_only_the_head_is_looked_up(self, identifier, monkeypatch):
        asked, entries = [], []
        search, entries_of = Gallery.search, Gallery.entries_of
        monkeypatch.setattr(Gallery, "search", lambda self, embedding, k=None: (
            asked.append(k), search(self, embedding, k))[1])
        monkeypatch.setattr(Gallery, "entries_of", lambda self, rows: (
            entries.extend(rows), entries_of(self, rows))[1])
        found = identifier.identify(PHOTO, stage2="emd", k=20)
        assert asked == [20] and len(entries) == 20
        assert len(found.stage1) == len(found.stage2) == 288 and found.stage2[0].patch is not None
        assert asked == [20]
        assert [match.row for match in found.stage2[20:]] == [match.row for match in found.stage1[20:]]

    def test_the_nearest_other_person_is_found_however_many_photos_the_best_has(self, bundled):
        for row in (0, 100, 287):
            ranked = self.whole(bundled, bundled.embeddings[row])
            best = next(match for match in ranked if match.identity != ranked[0].identity)
            assert bundled.nearest_other(bundled.embeddings[row]) == best.row


class TestParts:
    def changed(self, people):
        """One photo is another one, three are new, one is gone."""
        shutil.copy(BUNDLED / "person-005" / "02.jpg", people / "person-004" / "02.jpg")
        shutil.copytree(BUNDLED / "person-006", people / "person-006")
        (people / "person-001" / "01.jpg").unlink()

    def test_a_large_index_gets_a_part_and_the_old_ones_are_not_touched(self, index, people, backbone, tmp_path, large):
        (first,) = Gallery.open(index).manifest.parts
        before = {file: file.stat().st_mtime_ns for file in (index / first.folder).iterdir()}
        self.changed(people)
        again = Gallery.build(people, backbone, index.parent, detector="hog", grids=[(8, 8)])
        fresh = Gallery.build(people, backbone, tmp_path / "fresh", detector="hog", grids=[(8, 8)])
        assert [(part.count, part.removed) for part in again.manifest.parts] == [(8, (0, 7)), (4, ())]
        assert before == {file: file.stat().st_mtime_ns for file in (index / first.folder).iterdir()}
        assert_like(again, fresh)
        assert again.people == fresh.people and again.verify() == []
        for part in (slice(None), slice(2, 7)):
            assert again.entries[part] == list(again.entries)[part]
        assert again.rows_of("person-004") == [row for row, entry in enumerate(again.entries)
                                               if entry.identity == "person-004"]
        ranked = [[match.path for match in Identifier(backbone, one).identify(PHOTO).ranking] for one in (again, fresh)]
        assert ranked[0] == ranked[1]

    def test_a_small_index_is_the_same_bytes_however_it_came_about(self, index, people, backbone, tmp_path):
        self.changed(people)
        add_photos(index, backbone, take_in([(people / "person-004" / "02.jpg", "person-004")], people))
        add_photos(index, backbone, [photo for photo in list_photos(people) if photo.identity == "person-006"])
        remove_photos(index, ["person-001/01.jpg"])
        fresh = Gallery.build(people, backbone, tmp_path / "fresh", detector="hog", grids=[(8, 8)], known=index)
        ours = Gallery.open(index)
        assert [part.folder for part in ours.manifest.parts] == [part.folder for part in fresh.manifest.parts]
        assert ours.sha256 == fresh.sha256

    def test_many_parts_and_much_that_is_gone_become_one(self, index, people, backbone, large, monkeypatch):
        monkeypatch.setattr(revise, "MOST_PARTS", 2)
        for number, person in enumerate(("person-005", "person-006"), start=2):
            shutil.copytree(BUNDLED / person, people / person)
            add_photos(index, backbone, [photo for photo in list_photos(people) if photo.identity == person])
            gallery = Gallery.open(index, backbone)
            assert len(gallery.manifest.parts) == (number if number < 3 else 1)
        assert [entry.path for entry in gallery.entries] == [photo.path for photo in list_photos(people)]
        remove_photos(index, people=["person-001"])
        assert Gallery.open(index).manifest.parts[0].removed == (0, 1)
        remove_photos(index, people=["person-002", "person-003"])
        assert [part.removed for part in Gallery.open(index).manifest.parts] == [()]
        assert sorted(path.name for path in index.iterdir()) == sorted(
            [MANIFEST, Gallery.open(index).manifest.parts[0].folder])

    def test_what_is_not_there_cannot_be_removed_and_not_everything_either(self, index):
        for arguments, words in (((["person-009/01.jpg"],), "has no photo person-009/01.jpg"),
                                 (([], ["nobody"]), "has no person nobody"),
                                 (([], [f"person-00{n}" for n in range(1, 5)]), "Nobody would be left")):
            with pytest.raises(BadGallery, match=words):
                remove_photos(index, *arguments)

    def test_a_person_and_a_photo_are_called_otherwise_in_every_index_and_nothing_is_computed(self, people, backbone,
                                                                                             monkeypatch):
        ours = Gallery.build(people, backbone, detector="hog", grids=[(8, 8)])
        beside = Gallery.build(people, backbone, people.parent / "beside", detector="hog", grids=[])
        before = {entry.path: entry.sha256 for entry in ours.entries}
        monkeypatch.setattr(type(backbone), "extract", None)
        assert rename(people, "person-004", "Ann", [beside.home]) == 2
        assert rename(people, "person-001/02.jpg", "Ann", [beside.home]) == 1
        for home in (ours.home, beside.home):
            now = {entry.path: entry for entry in Gallery.open(home.workspace).entries}
            assert {path: entry.sha256 for path, entry in now.items()} == {
                {"person-004/01.jpg": "Ann/01.jpg", "person-004/02.jpg": "Ann/02.jpg",
                 "person-001/02.jpg": "Ann/02-2.jpg"}.get(path, path): sha for path, sha in before.items()}
            assert now["Ann/02-2.jpg"].identity == "Ann"
        assert not (people / "person-004").exists() and Gallery.open(people).verify() == []
        fresh = Gallery.build(people, backbone, people.parent / "again", detector="hog", grids=[(8, 8)],
                              known=ours.home.workspace)
        assert Gallery.open(people).manifest.parts == fresh.manifest.parts
        assert Freshness(Gallery.open(people)).told() == ""

    def test_who_is_deleted_is_gone_from_the_folder_and_from_every_index(self, people, backbone):
        ours = Gallery.build(people, backbone, detector="hog", grids=[])
        assert delete_photos(people, "person-002") == 2 and delete_photos(people, "person-001/01.jpg") == 1
        assert not (people / "person-002").exists() and not (people / "person-001" / "01.jpg").exists()
        left = Gallery.open(people)
        assert len(left) == 5 and left.verify() == [] and left.home == ours.home
        for what, words in (("person-002", "no person person-002"), ("person-001/01.jpg", "no photo person-001/01.jpg"),
                            ("../people", "no photo"), ("..", "no person"), (".index", "no person")):
            with pytest.raises(BadGallery, match=words):
                delete_photos(people, what)
        for person in ("person-003", "person-004"):
            delete_photos(people, person)
        with pytest.raises(BadGallery, match="Nobody would be left"):
            delete_photos(people, "person-001")
        assert (people / "person-001" / "02.jpg").is_file() and len(Gallery.open(people)) == 1
        with pytest.raises(BadGallery, match="at least one letter"):
            rename(people, "person-001", "..")
        with pytest.raises(BadGallery, match="person-001 already"):
            rename(people, "person-001", "person-001")

    def test_nothing_moves_while_an_index_is_built(self, people, backbone):
        index = Gallery.build(people, backbone, detector="hog", grids=[]).home.workspace
        with Draft(index / DRAFT, None), pytest.raises(BadGallery, match="being built"):
            rename(people, "person-001", "Ann")
        assert (people / "person-001" / "01.jpg").is_file()

    def test_a_photo_without_a_face_is_told_and_leaves_the_rest(self, index, people, backbone):
        wall = people / "person-001" / "wall.png"
        __import__("cv2").imwrite(str(wall), np.full((200, 200, 3), 128, np.uint8))
        (failure,) = add_photos(index, backbone, take_in([(wall, "person-001")], people))
        assert failure.path == "person-001/wall.png" and "face" in failure.reason
        gallery = Gallery.open(index)
        assert len(gallery) == 8 and gallery.manifest.failures == (failure,)

    def test_a_photo_that_was_over_a_limit_is_tried_again_when_that_is_raised(self, people, backbone, tmp_path):
        small = Limits(megabytes=0.000001)
        shutil.copytree(people, tmp_path / "some")
        with pytest.raises(BadGallery, match="MB and the limit"):
            Gallery.build(tmp_path / "some", backbone, tmp_path / "out", limits=small)
        assert not (tmp_path / "out" / backbone.name).exists()
        mid = Limits(megabytes=sorted(photo.file.stat().st_size for photo in list_photos(people))[4] / 2 ** 20 + 1e-9)
        assert len(Gallery.build(people, backbone, tmp_path / "out", detector="hog", limits=mid)) == 5
        assert len(Gallery.build(people, backbone, tmp_path / "out", detector="hog")) == 8

    def test_a_reader_goes_on_while_a_newer_index_takes_the_place(self, index, people, backbone):
        reader = Gallery.open(index, backbone)
        before = rows_of(reader)
        self.changed(people)
        Gallery.build(people, backbone, index.parent, detector="hog", grids=[(8, 8)])
        assert rows_of(reader) == before

    def test_what_was_measured_on_other_rows_goes_and_on_the_same_stays(self, index, people, backbone):
        measured = index / "calibration.safetensors"
        measured.write_bytes(b"measured")
        Gallery.build(people, backbone, index.parent, detector="hog", grids=[(8, 8)])
        assert measured.exists()
        remove_photos(index, ["person-001/01.jpg"])
        assert not measured.exists()


class TestCommands:
    def test_photos_are_added_and_removed(self, people, backbone, tmp_path, capsys):
        Gallery.build(people, backbone, detector="hog", grids=[])
        shutil.copy(PHOTO, tmp_path / "ann.jpg")
        add = ["gallery", "add", str(people), "--backbone", "dlib", "--detector", "hog"]
        assert main([*add, str(tmp_path / "ann.jpg"), "--person", "Ann"]) == 0
        assert "1 photo is taken in" in capsys.readouterr().out
        gallery = Gallery.open(people, "dlib")
        assert len(gallery) == 9 and gallery.people["Ann"] == 1 and (people / "Ann" / "ann.jpg").is_file()
        assert main([*add, str(tmp_path / "ann.jpg"), "--person", "Ann"]) == 0  # the same photo is there once
        assert len(Gallery.open(people, "dlib")) == 9 and gallery.verify() == []
        remove = ["gallery", "remove", str(people), "--backbone", "dlib"]
        assert main([*remove, "--photo", "person-001/01.jpg", "--person", "Ann"]) == 0
        assert "2 photos are taken out" in capsys.readouterr().out
        assert len(Gallery.open(people, "dlib")) == 7 and (people / "Ann" / "ann.jpg").is_file()
        assert main([*remove, "--photo", "person-001/01.jpg"]) == 2
        assert main([*add, str(tmp_path / "none.jpg"), "--person", "Ann"]) == 2
        assert "is no photo" in capsys.readouterr().err


class TestKilled:
    SCRIPT = """
import os, signal, sys
from demo.backbones import load_backbone
from demo.gallery import Gallery, compute
compute.BATCH = 2
def progress(done, total, path):
    print(path, flush=True)
    if done == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
Gallery.build(sys.argv[1], load_backbone("dlib", device="cpu"), sys.argv[2], detector="hog", progress=progress)
"""

    def run(self, people, out, at):
        done = subprocess.run([sys.executable, "-c", self.SCRIPT, str(people), str(out), str(at)], cwd=ROOT,
                              capture_output=True, text=True, timeout=300, env=os.environ | {"PYTHONPATH": str(ROOT)})
        return done.returncode, done.stdout.split()

    @pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system cannot kill like that")
    @pytest.mark.slow
    def test_a_build_that_is_killed_loses_nothing_of_what_is_computed(self, people, tmp_path):
        out = tmp_path / "out"
        status, first = self.run(people, out, 3)
        assert status == -signal.SIGKILL and len(first) == 3
        with open(out / "dlib" / DRAFT / "rows.bin", "ab") as file:
            file.write(b"half a row")
        status, rest = self.run(people, out, 0)
        assert status == 0 and len(first) + len(rest) in (7, 8)  # of the second batch, one was not told of
        gallery = Gallery.open(out)
        assert len(gallery) == 8 and gallery.verify() == [] and not (gallery.folder / DRAFT).exists()

    def test_one_process_at_a_time_changes_an_index(self, index, people, backbone):
        person = Gallery.open(index).entries[0].identity
        with Draft(index / DRAFT, {}):
            again = Gallery.build(people, backbone, index.parent, detector="hog", grids=[(8, 8)])
            assert len(again) == 8, "who has nothing to change waits for nobody"
            for change in (lambda: Gallery.build(people, backbone, index.parent, name="new", detector="hog",
                                                 grids=[(8, 8)]),
                           lambda: remove_photos(index, people=[person]),
                           lambda: add_photos(index, backbone, list_photos(people)[:1])):
                with pytest.raises(BadGallery, match="is being built by another process"):
                    change()
        assert len(Gallery.build(people, backbone, index.parent, detector="hog", grids=[(8, 8)])) == 8

    def test_taking_out_leaves_what_a_build_has_computed_so_far(self, index):
        made, row = {"by": "a build"}, {("faces", "box"): np.arange(4)}
        with Draft(index / DRAFT, made) as draft:
            draft.add([("0" * 64, row)])
        assert remove_photos(index, [Gallery.open(index).entries[0].path]) == 1
        with Draft(index / DRAFT, made) as draft:
            assert draft.rows == {"0" * 64: 0}
            assert draft.source().arrays["faces", "box"].tolist() == [[0, 1, 2, 3]]

    def test_a_gallery_is_not_deleted_while_it_is_built(self, people, tmp_path):
        folder = tmp_path / "gallery"
        shutil.copytree(people, folder)
        with Draft(folder / ".index" / "dlib" / DRAFT, {}):
            with pytest.raises(BadGallery, match="is being built"):
                delete_gallery(folder)
            assert len(list_photos(folder)) == 8
        delete_gallery(folder)
        assert not folder.exists()


class TestSeen:
    def test_only_photos_that_changed_are_hashed(self, people, tmp_path, monkeypatch):
        monkeypatch.setattr(seen_photos, "FEWEST", 1)
        monkeypatch.setattr(seen_photos, "_FRESH", -(1 << 62))
        hashed = []
        monkeypatch.setattr(Photo, "sha256", property(lambda self: hashed.append(self.path) or f"{len(hashed):064x}"))
        photos, seen = list_photos(people), seen_photos.Seen(tmp_path / "seen.sqlite")
        first = seen.digests(photos)
        assert len(hashed) == 8 and seen.digests(photos) == first and len(hashed) == 8
        state = photos[2].file.stat()
        photos[2].file.write_bytes(photos[2].file.read_bytes())  # as large as before, and by its time as old
        os.utime(photos[2].file, ns=(state.st_atime_ns, state.st_mtime_ns))
        assert seen.digests(photos) != first and hashed[8:] == [photos[2].path]
        (tmp_path / "seen.sqlite").write_bytes(b"nonsense")
        assert len(seen.digests(photos)) == 8 and len(hashed) == 17

    def test_what_is_no_regular_file_has_no_hash(self, tmp_path):
        (tmp_path / "folder.jpg").mkdir()
        photos = [Photo(f"ann/{name}", "ann", tmp_path / name) for name in ("folder.jpg", "none.jpg")]
        assert seen_photos.Seen(tmp_path / "seen.sqlite").digests(photos) == ["", ""]


class TestFirstFormat:
    @pytest.fixture
    def old(self, index, people, tmp_path) -> Path:
        """The same index as earlier releases wrote it."""
        gallery = Gallery.open(index)
        (part,) = gallery.manifest.parts
        folder = tmp_path / "old" / "dlib"
        shutil.copytree(index / part.folder, folder)
        data = json.loads((index / MANIFEST).read_text())
        files = data.pop("parts")[0]["files"]
        del files[ENTRIES], data["limits"]
        (folder / ENTRIES).unlink()
        data |= {"format": 1, "photos": str(people), "entries": [vars(entry) for entry in gallery.entries],
                 "arrays": files}
        (folder / MANIFEST).write_text(json.dumps(data))
        return folder

    def test_it_is_read_and_becomes_one_of_this_release_without_computing(self, old, index, people, backbone):
        gallery = Gallery.open(old, backbone)
        assert rows_of(gallery) == rows_of(Gallery.open(index, backbone)) and gallery.verify() == []
        computed = []
        again = Gallery.build(people, backbone, old.parent, detector="hog", grids=[(8, 8)],
                              progress=lambda *done: computed.append(done))
        assert not computed and rows_of(again) == rows_of(gallery)
        assert sorted(path.name for path in old.iterdir()) == [MANIFEST, again.manifest.parts[0].folder]

    def test_a_photo_is_added_to_it(self, old, people, backbone):
        add_photos(old, backbone, take_in([(PHOTO, "Ann")], people))
        assert len(Gallery.open(old)) == 9


class TestFiles:
    def test_arrays_are_written_as_the_library_writes_them(self, tmp_path):
        rng = np.random.default_rng(0)
        for number in range(20):
            arrays = {f"{'xyz'[n]}{number}": rng.standard_normal((7, *rng.integers(1, 5, n))).astype(
                rng.choice([np.float16, np.float32])) for n in range(3)}
            write_arrays(tmp_path / "a", {name: (one.dtype, one.shape, iter([one[:3], one[3:]]))
                                          for name, one in arrays.items()})
            assert (tmp_path / "a").read_bytes() == save(arrays)
        with pytest.raises(ValueError, match="do not fill"):
            write_arrays(tmp_path / "a", {"a": (np.dtype(np.float32), (3,), [np.zeros(2)])})

    def test_places_are_those_of_lists(self):
        rng = np.random.default_rng(0)
        for _ in range(50):
            counts = rng.integers(1, 9, rng.integers(1, 5)).tolist()
            removed = [sorted(rng.choice(count, rng.integers(0, count), replace=False).tolist()) for count in counts]
            kept = [(part, row) for part, count in enumerate(counts) for row in range(count)
                    if row not in removed[part]]
            places = Places(counts, removed)
            assert len(places) == len(kept)
            wanted = rng.integers(0, len(kept), 6).tolist()
            found = {}
            for part, slots, own in places.split(wanted):
                found |= {slot: (part, row) for slot, row in zip(slots.tolist(), own, strict=True)}
            assert [found[slot] for slot in range(6)] == [kept[row] for row in wanted]
            for part, count in enumerate(counts):
                assert places.joined(part, list(range(count))) == [n for n, one in enumerate(kept) if one[0] == part]
                blocks = [np.arange(count)[block] for block in places.blocks(part, 3)]
                assert np.concatenate(blocks).tolist() == [row for own, row in kept if own == part]
            with pytest.raises(IndexError):
                places.split([len(kept)])

    def test_computed_rows_are_forgotten_when_they_are_too_many(self):
        computed = []

        def compute(wanted):
            computed.extend(wanted)
            return torch.tensor(wanted)[:, None] * torch.ones(8)

        rows = ComputedRows(100, compute, most=5 * 16)
        for wanted in ([1, 2, 3], [2, 4], [3, 5, 6], [1]):
            assert rows.take(wanted)[:, 0].tolist() == wanted
        assert computed == [1, 2, 3, 4, 5, 6, 1]
        assert rows.take(range(20))[:, 0].tolist() == list(range(20))

    @pytest.mark.parametrize("path", ["../a.jpg", "/etc/passwd", "a/../../b", "C:/a", "a\\..\\b", "", "a//b", "./a"])
    def test_a_path_that_leaves_the_folder_is_refused(self, path, index):
        assert not is_within(path) and is_within("ann/2 (3).jpg")
        part = index / Gallery.open(index).manifest.parts[0].folder
        with sqlite3.connect(part / ENTRIES) as base:
            base.execute("UPDATE entries SET path = ? WHERE row = 0", (path,))
        with pytest.raises(BadGallery, match="outside its folder|is damaged"):
            Gallery.open(index).photo_file(0)


def hostile(index: Path, part: Path):
    """(what is wrong, how to make it so) of files of an index."""
    manifest = json.loads((index / MANIFEST).read_text())

    def say(**values):
        return lambda: (index / MANIFEST).write_text(json.dumps(manifest | values))

    def header(file, text, more=b""):
        return lambda: (part / file).write_bytes(struct.pack("<Q", len(text)) + text + more)

    def sql(*commands):
        def change():
            with sqlite3.connect(part / ENTRIES) as base:
                for command in commands:
                    base.execute(command)
        return change

    one = manifest["parts"][0]
    yield "a manifest nested deep", lambda: (index / MANIFEST).write_text("[" * 100_000)
    yield "a manifest that is a folder", lambda: ((index / MANIFEST).unlink(), (index / MANIFEST).mkdir())
    if hasattr(os, "mkfifo"):
        yield "a manifest that is a pipe", lambda: ((index / MANIFEST).unlink(), os.mkfifo(index / MANIFEST))
        yield "an array that is a pipe", lambda: ((part / FACES).unlink(), os.mkfifo(part / FACES))
        yield "an array without end", lambda: ((part / FACES).unlink(), (part / FACES).symlink_to("/dev/zero"))
    yield "a manifest of bytes", lambda: (index / MANIFEST).write_bytes(b"\xff\xfe\x00")
    for name, value in (("name", None), ("name", ["x"]), ("name", "\ud800"), ("photos", 3), ("photos", "\0"),
                        ("grids", "8x8"), ("grids", [[]]), ("grids", ["0x0"]), ("grids", ["9999999x9999999"]),
                        ("parts", []), ("parts", {}), ("parts", [None]), ("parts", [one, one]), ("failures", [{}]),
                        ("failures", [{"path": 1, "sha256": "", "reason": ""}]), ("limits", 5), ("limits", {"x": 1}),
                        ("format", True), ("format", "2"), ("backbone", 1), ("detector", {})):
        yield f"{name} is {ascii(value)[:30]}", say(**{name: value})
    for name, value in (("folder", ".."), ("folder", "part-../../xxxx"), ("count", -1), ("count", 1 << 70),
                        ("count", 7), ("count", 9), ("removed", [9]), ("removed", [3, 2]), ("removed", ["a"]),
                        ("removed", list(range(8))), ("removed", [1 << 80]), ("files", {}), ("files", [])):
        yield f"{name} of a part is {str(value)[:30]}", say(parts=[one | {name: value}])
    shape = {"dtype": "F32", "shape": [8, 128], "data_offsets": [0, 4096]}
    for what, text in (("empty", b"{}"), ("nested", b"[" * 60_000), ("a list", b"[]"),
                       ("no dtype", b'{"embeddings":{}}'),
                       *((ascii(change), json.dumps({"embeddings": shape | change}).encode()) for change in (
                           {"dtype": "BF16"}, {"dtype": []}, {"shape": [8, -128]}, {"shape": [1 << 40, 1 << 40]},
                           {"shape": "8"}, {"shape": [8, 64]}, {"data_offsets": [0, 1 << 60]},
                           {"data_offsets": [4096, 0]}, {"data_offsets": None}, {"shape": [8.0, 128]}))):
        yield f"embeddings whose header is {what}", header(EMBEDDINGS, text, bytes(4096))
    yield "embeddings that claim gigabytes", header(EMBEDDINGS, json.dumps({"embeddings": {
        "dtype": "F32", "shape": [8, 1 << 32], "data_offsets": [0, 8 << 34]}}).encode(), bytes(4096))
    yield "a header of gigabytes", lambda: (part / EMBEDDINGS).write_bytes(struct.pack("<Q", 1 << 40) + b"{}")
    yield "embeddings that are no numbers", lambda: (part / EMBEDDINGS).write_bytes(
        save({"embeddings": np.full((8, 128), np.nan, np.float32)}))
    yield "embeddings of other rows", lambda: (part / EMBEDDINGS).write_bytes(
        save({"embeddings": np.ones((9, 128), np.float32)}))
    yield "no embeddings", lambda: (part / EMBEDDINGS).unlink()
    yield "a face less", lambda: (part / FACES).write_bytes(
        save({name: one for name, one in load_file(part / FACES).items() if name != "box"}))
    yield "entries of nothing", lambda: (part / ENTRIES).write_bytes(b"")
    yield "entries of another program", lambda: (part / ENTRIES).write_bytes(b"SQLite format 3\0" + bytes(4000))
    yield "entries cut short", lambda: (part / ENTRIES).write_bytes((part / ENTRIES).read_bytes()[:5000])
    yield "an entry less", sql("DELETE FROM entries WHERE row = 3")
    yield "an entry too many", sql("INSERT INTO entries VALUES (8, 'a', 'b', x'00')")
    yield "a view", sql("CREATE VIEW more AS SELECT 1")
    yield "other columns", sql("ALTER TABLE entries ADD COLUMN more TEXT")
    yield "a path of no text", sql("UPDATE entries SET path = x'ff'")
    yield "names of no text", sql("UPDATE entries SET identity = CAST(x'ff' AS TEXT)")
    yield "a short hash", sql("UPDATE entries SET sha256 = x'00'")


def used(index: Path) -> None:
    """What every command does with an index."""
    gallery = Gallery.open(index)
    rows = gallery.search(gallery.embeddings[0], 5)[1].tolist()
    gallery.entries_of(rows)
    gallery.features(rows)
    for row in rows:
        gallery.face(row)
    assert gallery.people and gallery.info() and list(gallery.entries)


def test_whatever_is_wrong_with_an_index_is_told_in_a_sentence(index, capsys):
    part = index / Gallery.open(index).manifest.parts[0].folder
    kept = index.parent / "kept"
    shutil.copytree(index, kept)
    for what, change in list(hostile(index, part)):
        change()
        with pytest.raises(BadGallery) as told:
            used(index)
        assert str(told.value).endswith(".") and "\n" not in str(told.value), what
        assert main(["gallery", "info", str(index), "--backbone", "dlib"]) == 2 or what.startswith((
            "a path of no text", "a short hash")), what
        shutil.rmtree(index)
        shutil.copytree(kept, index)
    used(index)


@pytest.mark.parametrize("seed", range(4))
def test_an_index_with_wrong_bytes_is_told_or_answers(seed, index):
    """Bytes changed, cut out or doubled anywhere: the answer may differ (``gallery verify`` tells), nothing else."""
    rng = np.random.default_rng(seed)
    part = index / Gallery.open(index).manifest.parts[0].folder
    files = [index / MANIFEST, *sorted(part.iterdir())]
    kept = {file: file.read_bytes() for file in files}
    for _ in range(int(os.environ.get("DEMO_FUZZ", "125"))):
        file = files[rng.integers(len(files))]
        data = bytearray(kept[file])
        for _ in range(rng.integers(1, 6)):
            most = len(data) if rng.random() < 0.5 else min(len(data), 2000)
            at, length = int(rng.integers(most)), int(rng.integers(1, 20))
            kind = rng.integers(3)
            data[at:at + (length if kind else 0)] = (
                rng.bytes(length) if kind < 2 else b"" if rng.random() < 0.5 else data[at:at + length] * 3)
            data = data or bytearray(b"0")
        file.write_bytes(data)
        with suppress(DemoError):
            used(index)
        file.write_bytes(kept[file])
    used(index)


def test_an_entry_table_answers_as_the_list_that_it_was_made_of(index):
    gallery = Gallery.open(index)
    entries = list(gallery.entries)
    assert len(entries) == 8 and all(isinstance(entry, Entry) for entry in entries)
    assert gallery.entries.take([7, 0, 7]) == [entries[7], entries[0], entries[7]]
    assert gallery.entries[-1] == entries[-1] and gallery.entries[::3] == entries[::3]
    assert dict(gallery.people) == {f"person-00{n}": 2 for n in range(1, 5)} and gallery.several == 4
