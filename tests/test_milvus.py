"""Galleries in Milvus answer as those on disk do: embedded, where milvus-lite is installed. What happens when nobody
answers is tried on a double of the client."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import BUNDLED

from demo.cli import main
from demo.errors import BadGallery, BadSetting, StoreLost
from demo.gallery import Address, Gallery, MilvusHome, client, measure_recall, milvus, what_is_missed
from demo.gallery.catalogue import Catalogue
from demo.gallery.client import Connection
from demo.gallery.entries import Entry
from demo.gallery.home import Folder
from demo.gallery.manifest import EMBEDDINGS, FACES, patches_file
from demo.gallery.milvus import find_home
from demo.gallery.opened import Opened
from demo.gallery.part import FACE_ARRAYS, Source
from demo.gallery.revise import Place
from demo.ranking import Ranking, Stage1

pytestmark = pytest.mark.slow

COUNT, GRIDS = 40, ((8, 8), (4, 4))
QUERY = torch.randn(128, generator=torch.Generator().manual_seed(1))


def places(count: int, seed: int = 0) -> list[Place]:
    """Made rows: two photos of each person but the last, in names that a filter has to quote; a row's patches take
    two fields, and two rows are equally near."""
    rng = np.random.default_rng(seed)
    arrays = {(EMBEDDINGS, "embeddings"): rng.standard_normal((count, 128)).astype(np.float32),
              **{(FACES, name): rng.standard_normal((count, *shape)).astype(np.float32)
                 for name, shape in FACE_ARRAYS.items()},
              (patches_file((8, 8)), "patches"): rng.standard_normal((count, 64, 400)).astype(np.float16),
              (patches_file((4, 4)), "patches"): rng.standard_normal((count, 16, 3)).astype(np.float16)}
    arrays[EMBEDDINGS, "embeddings"][-1] = arrays[EMBEDDINGS, "embeddings"][0]
    people = [f'Zoë "{row // 2:02d}" O\'Neil\\{seed}' for row in range(count)]
    source = Source(arrays)
    return [Place(Entry(f"{person}/{row:02d}.jpg", person, f"{seed:032x}{row:032x}"), source, row)
            for row, person in enumerate(people)]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache of one's own, since a store keeps what was measured there."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setattr(milvus, "user_cache", lambda: folder)
        yield patch


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The manifest of the made galleries."""
    return replace(Opened(BUNDLED / ".index" / "dlib").manifest, parts=(), grids=GRIDS,
                   photos=tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def file(tmp_path_factory, cache) -> Path:
    pytest.importorskip("pymilvus", reason="pymilvus is not installed")
    pytest.importorskip("milvus_lite", reason="milvus-lite is not installed")
    return tmp_path_factory.mktemp("store") / "faces.db"


@pytest.fixture(scope="module")
def kept(file, made, tmp_path_factory):
    """The same rows on disk and in the store."""
    folder, home = Folder(tmp_path_factory.mktemp("local") / "dlib"), MilvusHome(Address(str(file), "one"), "dlib")
    for place in (folder, home):
        place.revise(None, made, [], places(COUNT))
    return Gallery(folder), Gallery(home)


def test_a_gallery_in_milvus_answers_as_one_on_disk(kept):
    local, stored = kept
    for k in (1, 5, COUNT, COUNT + 9, None):
        (near, rows), (far, others) = local.search(QUERY, k), stored.search(QUERY, k)
        torch.testing.assert_close(near, far, atol=1e-6, rtol=0)
        assert rows.tolist() == others.tolist()
    assert list(local.entries) == list(stored.entries) == stored.entries_of(range(COUNT))
    assert (local.people, local.persons, local.several) == (stored.people, stored.persons, stored.several)
    for grid in GRIDS:
        one, other = (gallery.features([5, 39, 0, 5], grid) for gallery in kept)
        assert torch.equal(one.patches, other.patches) and torch.equal(one.embedding, other.embedding)
        assert torch.equal(one.landmarks, other.landmarks)
    assert np.array_equal(local.face(8).landmarks, stored.face(8).landmarks)
    assert torch.equal(local.raw_embeddings, stored.raw_embeddings)
    person, path = local.entries[9].identity, local.entries[9].path
    assert local.rows_of(person) == stored.rows_of(person) == [8, 9]
    assert stored._store.rows_at([path, "nobody.jpg"]) == {path: 9}
    assert stored._store.damaged() == [] and stored.index is None and what_is_missed(stored) == ""


def test_what_is_written_twice_is_there_once_and_a_write_that_broke_off_is_not_seen(kept, file, made, monkeypatch):
    _, stored = kept
    home, more = stored.home, places(3, seed=5)

    def rows() -> int:
        return stored._store._query("row >= 0", ["count(*)"])[0]["count(*)"]

    with monkeypatch.context() as patch:
        patch.setattr(Catalogue, "put", lambda self, name, data: (_ for _ in ()).throw(KeyboardInterrupt))
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                home.revise(home.open(), made, [], more)
    assert rows() == COUNT + 3 and len(home.open()) == COUNT
    assert home.open().sha256 == stored.sha256 and stored.search(QUERY, COUNT + 3)[1].max() < COUNT
    home.revise(home.open(), made, [2], more)
    changed = Gallery(home)
    assert rows() == len(changed) == COUNT + 2 and changed.sha256 != stored.sha256
    expected = [place.entry for place in places(COUNT)[:2] + places(COUNT)[3:] + more]
    assert list(changed.entries) == expected
    everybody = [entry.identity for entry in expected]
    assert changed.persons == len(set(everybody)) and changed.several == sum(
        everybody.count(one) > 1 for one in set(everybody))
    assert changed.search(changed.unit([COUNT])[0], 1)[1].tolist() == [COUNT]
    assert changed._store.damaged() == []
    with pytest.raises(BadGallery, match="another process"):
        home.revise(stored._store, made, [0], [])
    with pytest.raises(BadGallery, match="lost 1 rows"):
        stored.entries_of([2])


def test_galleries_of_one_store_are_apart(kept, file, made):
    other = MilvusHome(Address(str(file), "two"), "dlib")
    other.revise(None, made, [], places(4, seed=9))
    two = Gallery(other)
    assert {entry.sha256[:32] for entry in two.entries} == {f"{9:032x}"} and len(two.search(QUERY, 100)[1]) == 4
    before = Gallery(kept[1].home).sha256
    other.revise(other.open(), made, [0], [])
    assert len(other.open()) == 3 and Gallery(kept[1].home).sha256 == before
    with pytest.raises(BadGallery, match="several galleries"):
        find_home(Address(str(file)))
    with pytest.raises(BadGallery, match="no gallery three"):
        Gallery.open(f"{file}#three")
    assert Gallery.open(Path(f"{file}#two"), "dlib").entries_of([0]) == [places(4, seed=9)[1].entry]


def test_a_new_gallery_takes_the_place_of_the_old_one_and_files_go_with_the_rows(file, made, cache, tmp_path):
    home = MilvusHome(Address(str(file), "three"), "dlib")
    home.revise(None, made, [], places(4))
    first = Gallery(home)
    measured = np.random.default_rng(0).bytes(100_000)  # a text of several pieces
    (first.folder / "measured.txt").write_bytes(measured)
    first.keep("measured.txt")
    with pytest.MonkeyPatch.context() as patch:  # on another machine
        patch.setattr(milvus, "user_cache", lambda: tmp_path)
        assert (Gallery(home).folder / "measured.txt").read_bytes() == measured
    with pytest.MonkeyPatch.context() as patch:  # the old rows go in more than one call
        patch.setattr(milvus, "MANY", 3)
        home.revise(None, made, [], places(2, seed=3))
    assert len(home.open()) == 2 and not (first.folder / "measured.txt").exists()
    assert first._store._query("row >= 0", ["count(*)"])[0]["count(*)"] == 0


def test_an_approximate_index_tells_its_recall(file, made, monkeypatch):
    home = MilvusHome(Address(str(file), "four"), "dlib")
    home.revise(None, made, [], places(COUNT))
    exact = Gallery(home).search(QUERY, 10)
    near = replace(home, index="HNSW")
    near.revise(near.open(), made, [], [])
    gallery = Gallery(home)
    assert gallery.index == "HNSW" and "not measured" in what_is_missed(gallery)
    for one, other in zip(exact, gallery.search(QUERY, 10), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=0)
    assert measure_recall(gallery) == 1
    assert "finds 100.0% of the exact first 40" in what_is_missed(Gallery(home))
    search = gallery.search
    with monkeypatch.context() as patch:  # an index that never finds the nearest three
        patch.setattr(gallery, "search", lambda query, k=None: tuple(part[3:] for part in search(query, k))
                      if k else search(query))
        assert measure_recall(gallery) == pytest.approx(37 / 40)
        stage1 = Stage1(gallery, QUERY)
        ranking = Ranking(stage1.first(10), stage1)
        assert sorted(match.row for match in ranking) == list(range(COUNT))
        assert [match.rank for match in ranking] == [*range(1, 8), *range(8, COUNT + 1)]


def test_damage_is_named(file, made):
    home = MilvusHome(Address(str(file), "five"), "dlib")
    home.revise(None, made, [], places(4))
    store = home.open()
    (row,) = store._query("row == 1", ["key", "row", "path", "identity", "sha256", "digest",
                                       *store.state.shape.content])
    place, collection = milvus.partition(home, store.state), store.state.shape.collection
    store._call("upsert", collection, data=[{**row, "face": row["face"][:-8] + "AAAAAAAA"}], partition_name=place)
    assert store.damaged() == [places(4)[1].entry.path]
    store._call("delete", collection, filter="row == 1", partition_name=place)
    with pytest.raises(BadGallery, match="lacks rows"):
        home.open()


def test_the_command_line(people, file, capsys, one_thread):
    where = ["--backbone", "dlib"]
    main(["gallery", "build", str(people), "--store", str(file), "--name", "six", "--grid", "8x8", *where])
    assert f"six: 8 photos of 4 people, in {file}#six." in capsys.readouterr().out
    gallery = f"{file}#six"
    assert main(["gallery", "remove", gallery, "--photo", "person-002/01.jpg", *where]) in (None, 0)
    assert main(["gallery", "add", gallery, str(people / "person-002" / "01.jpg"), *where]) in (None, 0)
    assert main(["gallery", "verify", gallery]) in (None, 0)
    assert "six is sound: 8 photos" in capsys.readouterr().out
    main(["identify", str(people / "person-003" / "01.jpg"), "--gallery", gallery, "--top", "1", *where])
    assert "person-003" in capsys.readouterr().out


class Failing:
    """A client of which every call fails as often as it is told. count: of the calls."""

    left, error, count = 0, None, 0

    def __init__(self, uri: str, timeout: float):
        assert timeout

    def query(self, *arguments, **options):
        Failing.count += 1
        if Failing.left:
            Failing.left -= 1
            raise Failing.error
        return [{"row": 1}]


@pytest.fixture
def failing(monkeypatch):
    monkeypatch.setattr(client, "import_module", lambda name: SimpleNamespace(MilvusClient=Failing))
    monkeypatch.setattr(client, "WAITS", (0.0, 0.0, 0.0))
    Failing.count = 0
    return Connection(Address("http://user:secret@db:19530", "faces"))


class Unavailable(Exception):
    """As gRPC raises it."""

    def code(self):
        return SimpleNamespace(name="UNAVAILABLE")


def test_a_call_is_repeated_a_few_times(failing):
    Failing.left, Failing.error = 2, Unavailable()
    assert failing("query", "faces") == [{"row": 1}] and Failing.count == 3


def test_a_lost_store_is_told_in_a_sentence(failing):
    Failing.left, Failing.error = 99, Unavailable()
    with pytest.raises(StoreLost) as told:
        failing("query", "faces")
    assert Failing.count == 4 and str(told.value) == (
        "The store milvus+http://db:19530#faces does not answer, asked 4 times: see that it runs and that the address "
        "is right.")


def test_what_will_not_get_better_is_not_repeated(failing):
    Failing.left, Failing.error = 99, type("Refused", (Exception,), {"code": 1100, "message": "no such field\nmore"})()
    with pytest.raises(BadGallery, match=r"refuses: no such field$"):
        failing("query", "faces")
    assert Failing.count == 1


def test_without_the_package_it_is_told_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    with pytest.raises(BadSetting, match="pip install pymilvus milvus-lite"):
        Connection(Address(str(tmp_path / "x.db")))
    with pytest.raises(BadGallery, match="no store"):
        Gallery.open(tmp_path / "y.db")


def test_addresses():
    for text, uri, name, shown in (
            ("a/b.db", "a/b.db", "", "a/b.db"), ("b.db#Ann & co", "b.db", "Ann & co", "b.db#Ann & co"),
            ("milvus+http://db:19530", "http://db:19530", "", "milvus+http://db:19530"),
            ("milvus+https://u:p@db/x#n", "https://u:p@db/x", "n", "milvus+https://db/x#n")):
        for place in (text, Path(text)):
            address = Address.of(place)
            assert address is not None and (address.uri, address.name, str(address)) == (uri, name, shown)
    assert Address.of("people") is None and Address.of(Path("milvus")) is None
    assert Address.to_build("milvus", Path("people")) == Address("people/.index/milvus.db")
    with pytest.raises(BadSetting, match="no store"):
        Address.to_build("http://db", Path("people"))
    with pytest.raises(SystemExit):
        main(["gallery", "build", "people", "--store-index", "NONE"])
