"""Galleries in Milvus: a file on this machine (milvus-lite), a server or a cluster.

Galleries whose rows have the same fields share a collection, each in a partition of its own; what a gallery says of
itself is a text in the catalogue. A row has a number that is never given again, and counts where it is below the number
that the text says and not among those taken out: so a text is the switch from one state to the next.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from demo.backbones import Grid
from demo.errors import BadGallery
from demo.files import write_whole
from demo.gallery.address import Address
from demo.gallery.arrays import AGAIN
from demo.gallery.catalogue import Catalogue
from demo.gallery.client import Connection
from demo.gallery.entries import Entries, Entry
from demo.gallery.home import Store
from demo.gallery.manifest import EMBEDDINGS, FACES, Manifest, PartInfo, patches_file
from demo.gallery.part import Source
from demo.gallery.records import INDEXES, Shape, record
from demo.gallery.revise import DRAFT, SEEN, Place
from demo.gallery.state import State
from demo.gallery.store import Places, Rows
from demo.places import user_cache
from demo.weights import sha256

#: Rows that are read together: of short fields, and of patches, which fill the 64 MB of a message first.
MANY, FEW = 1000, 128
#: Bytes of rows that are written together.
BATCH = 16 << 20
#: Milvus finds no more at a time.
MOST_HITS = 16_384


@dataclass(frozen=True)
class MilvusHome:
    """A gallery for a backbone at an address that names it. index: of INDEXES; None for the one that it has."""

    address: Address
    backbone: str
    index: str | None = None

    def __str__(self) -> str:
        return str(self.address)

    @property
    def name(self) -> str:
        """Of its text in the catalogue."""
        return f"gallery/{self.backbone}/{self.address.name}"

    @property
    def workspace(self) -> Path:
        place = f"{self.address}\0{self.backbone}"
        return user_cache() / "stores" / hashlib.sha256(place.encode()).hexdigest()[:16]

    def manifest(self) -> Manifest:
        return self.open().manifest

    def open(self) -> MilvusStore:
        call = _connected(self.address)
        catalogue = Catalogue(call)
        state = self._state(catalogue)
        if state is None:
            raise BadGallery(f"{self.address} holds no gallery {self.address.name} for the {self.backbone} backbone: "
                             "build it with 'gallery build FOLDER --store'.")
        return MilvusStore(self, call, catalogue, state)

    def _state(self, catalogue: Catalogue) -> State | None:
        text = catalogue.get(self.name)
        return None if text is None else State.parse(text, str(self))

    def revise(self, old: Store | None, manifest: Manifest, gone: Collection[int], added: Sequence[Place],
               order: Mapping[str, int] | None = None) -> None:
        assert old is None or isinstance(old, MilvusStore)
        call = Connection(self.address)
        catalogue = Catalogue(call)
        before = self._state(catalogue)
        if old is not None and old.state != before:
            raise BadGallery(f"The gallery {self} was changed by another process: try again.")
        index = self.index or (before.shape.index if before else "FLAT")
        if old is None:
            shape = Shape.of(added[0].source, manifest.grids, index)
        else:
            shape = replace(old.state.shape, index=index, patches=tuple(
                one for one in old.state.shape.patches if one[0] in manifest.grids))
            if shape != old.state.shape:  # in other fields: everything is written anew
                source, out = old.source, set(gone)
                live = [Place(entry, source, row) for row, entry in enumerate(old.entries) if row not in out]
                old, gone, added = None, (), [*live, *added]
        if order:
            added = sorted(added, key=lambda place: order[place.entry.path])
        state = old.state if old else State.empty(shape, 1 - before.generation if before else 0)
        state = _written(call, state, self, sorted(gone), added, old)
        if self._state(catalogue) != before:
            raise BadGallery(f"The gallery {self} was changed by another process: try again.")
        part = PartInfo("", state.count, {}, state.removed)
        catalogue.put(self.name, replace(state, manifest=replace(manifest, parts=(part,)), written=time.time()).text())
        if old is not None and gone:
            _delete(call, state, self, *_named(old.stored(sorted(gone))))
        if before is not None and (before.shape, before.generation) != (state.shape, state.generation):
            _delete(call, before, self, "row >= 0")


def partition(home: MilvusHome, state: State) -> str:
    """Of a gallery in its collection: one of two, so that a new one is written beside the old."""
    return f"g_{hashlib.sha256(home.name.encode()).hexdigest()[:32]}_{state.generation}"


def find_home(address: Address, backbone: str | None = None) -> MilvusHome:
    """The gallery that is meant: where the address names none, the only one for the backbone. BadGallery where there is
    none, or more than one."""
    names = [name.split("/", 2) for name in Catalogue(_connected(address)).names("gallery/")]
    found = [(made_by, name) for _, made_by, name in names
             if backbone in (None, made_by) and address.name in ("", name)]
    if not found:
        wanted = f" {address.name}" * bool(address.name) + f" for the {backbone} backbone" * bool(backbone)
        raise BadGallery(f"{replace(address, name='')} holds no gallery{wanted}: build one with "
                         "'gallery build FOLDER --store'.")
    if len({name for _, name in found}) > 1:
        raise BadGallery(f"{address} holds several galleries: name one, {address}#{found[0][1]} for example.")
    made_by, name = found[0]
    return MilvusHome(replace(address, name=name), made_by)


def _connected(address: Address) -> Connection:
    if address.is_file and not Path(address.uri).exists():
        raise BadGallery(f"There is no store {address.uri}: build a gallery in it with 'gallery build FOLDER --store'.")
    return Connection(address)


def _written(call: Connection, state: State, home: MilvusHome, gone: Sequence[int], added: Sequence[Place],
             old: MilvusStore | None) -> State:
    """Write rows behind those that count, and say what counts then, and no longer."""
    shape, place = state.shape, partition(home, state)
    shape.create(call)
    if not call("has_partition", shape.collection, place):
        call("create_partition", shape.collection, place)
    _delete(call, state, home, f"row >= {state.count}")  # of a write that broke off
    content, row, many = state.content, state.count, max(1, BATCH // shape.row_bytes)
    for at in range(0, len(added), many):
        records = record(shape, added[at:at + many], row, place)
        call("upsert", shape.collection, data=records, partition_name=place)
        content = hashlib.sha256("".join([content, *(one["digest"] for one in records)]).encode()).hexdigest()
        row += len(records)
    if added:
        call("flush", shape.collection)
    out = old.entries.take(gone) if old else []
    people = old.photos_of({one.identity for one in out} | {one.entry.identity for one in added}) if old else Counter()
    after = people + Counter(one.entry.identity for one in added)
    after.subtract(one.identity for one in out)
    more = [sum(photos >= least for photos in after.values()) - sum(photos >= least for photos in people.values())
            for least in (1, 2)]
    return replace(
        state, count=row, removed=tuple(sorted({*state.removed, *(old.stored(gone) if old else ())})), content=content,
        counts=(state.counts[0] + more[0], state.counts[1] + more[1]),
        notes={} if added or gone else state.notes)


def _delete(call: Connection, state: State, home: MilvusHome, *filters: str) -> None:
    """By key: where milvus-lite deletes by a filter, it does so in every partition."""
    collection, place = state.shape.collection, partition(home, state)
    call("load_collection", collection)
    for asked in filters:
        while found := call("query", collection, filter=asked, output_fields=["key"], limit=MANY,
                            partition_names=[place]):
            call("delete", collection, ids=[one["key"] for one in found], partition_name=place)


def _named(stored: Sequence[int], together: int = MANY) -> list[str]:
    """Filters for rows by their numbers in the store."""
    return [f"row in {list(stored[at:at + together])}" for at in range(0, len(stored), together)]


class MilvusStore:
    """A ``demo.gallery.home.Store`` in Milvus. BadGallery where it is not whole."""

    def __init__(self, home: MilvusHome, call: Connection, catalogue: Catalogue, state: State):
        self.home, self.state, self.manifest = home, state, state.manifest
        self.folder, self.row_bytes = home.workspace, state.shape.row_bytes
        self.index = state.shape.index if INDEXES[state.shape.index].approximate else None
        self._call, self._catalogue = call, catalogue
        self._places = Places([state.count], [state.removed])
        self.entries: Entries = MilvusEntries(self)
        call("load_collection", state.shape.collection)
        present = self._query(f"row < {state.count}", ["count(*)"])[0]["count(*)"]
        if present > len(self):  # who took rows out did not come to the end of it
            _delete(call, state, home, *_named(state.removed))
        if present < len(self):
            raise BadGallery(f"The gallery {home} lacks rows: {AGAIN}")
        self._fetch_notes()

    def __len__(self) -> int:
        return len(self._places)

    @property
    def bytes(self) -> int:
        return len(self) * self.row_bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(replace(self.state, generation=0, notes={}, written=0.0).text()).hexdigest()

    @property
    def written(self) -> float:
        return self.state.written

    @property
    def counts(self) -> tuple[int, int]:
        return self.state.counts

    @property
    def people(self) -> Counter[str]:
        return self._people

    @cached_property
    def _people(self) -> Counter[str]:
        return Counter(one["identity"] for one in self.scan(["identity"]))

    def photos_of(self, people: Collection[str]) -> Counter[str]:
        """Photos of some people."""
        found, names = Counter(), sorted(people)
        for at in range(0, len(names), 100):
            found.update(one["identity"] for one in self._query(
                f"identity in {_quoted(names[at:at + 100])} and row < {self.state.count}", ["identity"]))
        return found

    def taken_out(self) -> set[str]:
        """None: what is taken out is deleted."""
        return set()

    def rows_of(self, person: str) -> list[int]:
        found = self._query(f"identity == {_quoted(person)} and row < {self.state.count}", ["row"])
        return self._places.joined(0, sorted(one["row"] for one in found))

    def rows_at(self, paths: Sequence[str]) -> dict[str, int]:
        found = {}
        for at in range(0, len(paths), 100):
            for one in self._query(f"path in {_quoted(list(paths[at:at + 100]))} and row < {self.state.count}",
                                   ["path", "row"]):
                if rows := self._places.joined(0, [one["row"]]):
                    found[one["path"]] = rows[0]
        return {path: found[path] for path in paths if path in found}

    def stored(self, rows: Sequence[int]) -> list[int]:
        """Rows of the gallery → their numbers in the store."""
        return [number for _, _, own in self._places.split(rows) for number in own]

    def _query(self, asked: str, fields: Sequence[str]) -> list[dict[str, Any]]:
        return list(self._call("query", self.state.shape.collection, filter=asked, output_fields=list(fields),
                               partition_names=[partition(self.home, self.state)]))

    def fetch(self, rows: Sequence[int], fields: Sequence[str], together: int = MANY) -> list[dict[str, Any]]:
        """Fields of some rows, in that order."""
        wanted, found = self.stored(rows), {}
        for asked in _named(wanted, together):
            found.update((one["row"], one) for one in self._query(asked, ["row", *fields]))
        if missing := [row for row in wanted if row not in found]:
            raise BadGallery(f"The gallery {self.home} has lost {len(missing)} rows since it was opened: open it "
                             "again.")
        return [found[row] for row in wanted]

    def scan(self, fields: Sequence[str], together: int = MANY) -> Iterator[dict[str, Any]]:
        """Fields of all rows, in their order."""
        gone = set(self.state.removed)
        for at in range(0, self.state.count, together):
            stop = min(at + together, self.state.count)
            found = self._query(f"row >= {at} and row < {stop}", ["row", *fields])
            yield from (one for one in sorted(found, key=lambda one: one["row"]) if one["row"] not in gone)

    def array(self, file: str, name: str, rows: Sequence[int]) -> np.ndarray:
        shape = self.state.shape
        fields = shape.fields(file)
        found = self.fetch(rows, fields, FEW if len(fields) > 1 else MANY)
        return np.stack([shape.unpacked(file, one)[name] for one in found])

    def row(self, file: str, number: int) -> dict[str, np.ndarray]:
        (found,) = self.fetch([number], self.state.shape.fields(file))
        return self.state.shape.unpacked(file, found)

    def blocks(self, size: int) -> Iterator[np.ndarray]:
        block = []
        for one in self.scan(["embedding"]):
            block.append(np.asarray(one["embedding"], np.float32))
            if len(block) == size:
                yield np.stack(block)
                block = []
        if block:
            yield np.stack(block)

    def nearest(self, query: Tensor, k: int) -> tuple[Tensor, Tensor] | None:
        """The index chooses; distances are computed of the embeddings themselves, so that they are exact where it only
        estimates them."""
        if not 0 < min(k, len(self)) <= MOST_HITS:
            return None
        (hits,) = self._call(
            "search", self.state.shape.collection, data=[query.cpu().tolist()], anns_field="embedding",
            limit=min(k, len(self)), filter=f"row < {self.state.count}", output_fields=["row", "embedding"],
            search_params={"metric_type": "COSINE", "params": INDEXES[self.state.shape.index].search(k)},
            partition_names=[partition(self.home, self.state)])
        found = {one["entity"]["row"]: one["entity"]["embedding"] for one in hits}
        stored = np.setdiff1d(list(found), self.state.removed)
        units = torch.nn.functional.normalize(torch.tensor(
            np.asarray([found[row] for row in stored.tolist()], np.float32), device=query.device), dim=1)
        distances, slots = torch.sort(1 - units @ query, stable=True)
        rows = torch.tensor(self._places.joined(0, stored.tolist()), dtype=torch.long, device=query.device)
        return distances, rows[slots]

    def patches(self, grid: Grid, device: torch.device) -> Rows:
        return MilvusRows(self, grid, device)

    @property
    def source(self) -> Source:
        """Its rows, to be written elsewhere."""
        shape, keys = self.state.shape, [(EMBEDDINGS, "embeddings")]
        keys += [(FACES, name) for name in shape.of_row(FACES)]
        keys += [(patches_file(grid), "patches") for grid, *_ in shape.patches]
        return Source({key: MilvusColumn(self, *key) for key in keys})

    def sources(self) -> dict[str, tuple[Source, int]]:
        source = self.source
        return {one["sha256"]: (source, row) for row, one in enumerate(self.scan(["sha256"]))}

    def keep(self, name: str) -> None:
        data = (self.folder / name).read_bytes()
        self._catalogue.put(f"note/{self.home.name}/{name}", data)
        self.state = replace(self.state, notes={**self.state.notes, name: hashlib.sha256(data).hexdigest()})
        self._catalogue.put(self.home.name, self.state.text())

    def _fetch_notes(self) -> None:
        """Bring what is kept with the gallery to this machine, and delete what belongs to other rows."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, digest in self.state.notes.items():
            if not ((self.folder / name).is_file() and sha256(self.folder / name) == digest):
                write_whole(self.folder / name, self._catalogue.get(f"note/{self.home.name}/{name}") or b"")
        for one in self.folder.iterdir():
            if one.is_file() and one.name not in {DRAFT, SEEN, *self.state.notes}:
                one.unlink(missing_ok=True)

    def damaged(self) -> list[str]:
        shape = self.state.shape
        return [one["path"] for one in self.scan(["path", "digest", *shape.content], FEW)
                if shape.digest(one) != one["digest"]]


class MilvusEntries(Entries):
    """The entries of a gallery in Milvus."""

    _FIELDS = ("path", "identity", "sha256")

    def __init__(self, store: MilvusStore):
        self._store = store

    def __len__(self) -> int:
        return len(self._store)

    def take(self, rows: Sequence[int]) -> list[Entry]:
        return [self._entry(one) for one in self._store.fetch(rows, self._FIELDS)]

    def __iter__(self) -> Iterator[Entry]:
        return (self._entry(one) for one in self._store.scan(self._FIELDS))

    def _entry(self, found: Mapping[str, str]) -> Entry:
        return Entry(*(found[name] for name in self._FIELDS))


class MilvusRows:
    """The patches of a grid, as float32 on a device."""

    def __init__(self, store: MilvusStore, grid: Grid, device: torch.device):
        self._store, self._file, self._device = store, patches_file(grid), device

    def __len__(self) -> int:
        return len(self._store)

    def take(self, rows: Sequence[int]) -> Tensor:
        """(len(rows), P, C)."""
        return torch.from_numpy(self._store.array(self._file, "patches", rows)).to(self._device).float()


class MilvusColumn:
    """An array of a gallery in Milvus, of which rows are read as they are asked for."""

    def __init__(self, store: MilvusStore, file: str, name: str):
        self._store, self._file, self._name = store, file, name
        self.dtype, shape = store.state.shape.of_row(file)[name]
        self.shape = (len(store), *shape)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        return self._store.array(self._file, self._name, rows.tolist())


def _quoted(value: str | list[str]) -> str:
    """A text or a list of texts as it stands in a filter."""
    return json.dumps(value, ensure_ascii=False)
