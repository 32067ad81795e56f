"""A row of a gallery as a record of a collection in Milvus: its fields, what stands in them, and their index."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from demo.backbones import Grid, grid_name
from demo.errors import BadGallery
from demo.gallery.arrays import AGAIN
from demo.gallery.client import Connection
from demo.gallery.manifest import EMBEDDINGS, FACES, patches_file
from demo.gallery.part import FACE_ARRAYS, Source, gathered
from demo.gallery.revise import Place

#: Characters of a field; Milvus takes 65,535 bytes.
FIELD = 65_532
_FLOAT, _HALF = np.dtype("<f4"), np.dtype("<f2")


@dataclass(frozen=True)
class Index:
    """An index of Milvus. build: its parameters; search: those of a search for k. approximate: whether it may miss some
    of the nearest."""

    build: dict[str, int]
    search: Callable[[int], dict[str, int]]
    approximate: bool = True


#: By the names that Milvus gives them.
INDEXES = {
    "FLAT": Index({}, lambda k: {}, approximate=False),
    "HNSW": Index({"M": 32, "efConstruction": 200}, lambda k: {"ef": max(256, 2 * k)}),
    "IVF_SQ8": Index({"nlist": 1024}, lambda k: {"nprobe": 64}),
    "DISKANN": Index({}, lambda k: {"search_list": max(200, 2 * k)}),
}


@dataclass(frozen=True)
class Shape:
    """What the rows of a collection have in common. dim: of an embedding. patches: (grid, P, C) of each that is kept.
    index: of INDEXES."""

    dim: int
    patches: tuple[tuple[Grid, int, int], ...]
    index: str

    @classmethod
    def of(cls, source: Source, grids: Sequence[Grid], index: str) -> Shape:
        """That of the rows of a source."""
        sizes = [source.arrays[patches_file(grid), "patches"].shape[1:] for grid in grids]
        return cls(source.arrays[EMBEDDINGS, "embeddings"].shape[1],
                   tuple((grid, count, channels) for grid, (count, channels) in zip(grids, sizes, strict=True)), index)

    @property
    def collection(self) -> str:
        kept = repr([(grid_name(grid), *rest) for grid, *rest in self.patches])
        return f"face_match_{self.dim}_{self.index.lower()}_{hashlib.sha256(kept.encode()).hexdigest()[:8]}"

    def of_row(self, file: str) -> dict[str, tuple[np.dtype, tuple[int, ...]]]:
        """Array → dtype and shape of a row, of a file of a part."""
        if file == EMBEDDINGS:
            return {"embeddings": (_FLOAT, (self.dim,))}
        if file == FACES:
            return {name: (_FLOAT, shape) for name, shape in FACE_ARRAYS.items()}
        return {"patches": (_HALF, next(tuple(rest) for grid, *rest in self.patches if patches_file(grid) == file))}

    def fields(self, file: str) -> list[str]:
        """Fields that hold a file's row: texts in base64, in as many as it takes, but for the embedding."""
        if file == EMBEDDINGS:
            return ["embedding"]
        if file == FACES:
            return ["face"]
        length = 4 * -(-_size(self.of_row(file)) // 3)
        stem = re.sub(r"\W", "_", file.partition(".")[0])
        return [f"{stem}_{number}" for number in range(-(-length // FIELD))]

    @cached_property
    def content(self) -> list[str]:
        """All fields that hold arrays."""
        return [field for file in self._files for field in self.fields(file)]

    @property
    def _files(self) -> list[str]:
        return [EMBEDDINGS, FACES, *(patches_file(grid) for grid, *_ in self.patches)]

    @property
    def row_bytes(self) -> int:
        return sum(_size(self.of_row(file)) for file in self._files)

    def unpacked(self, file: str, found: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """The arrays of a file's row. BadGallery where they are damaged."""
        arrays = self.of_row(file)
        try:
            if file == EMBEDDINGS:
                return {"embeddings": np.asarray(found["embedding"], np.float32).reshape(self.dim)}
            data, at, out = base64.b64decode("".join(found[name] for name in self.fields(file))), 0, {}
            for name, (dtype, shape) in arrays.items():
                out[name] = np.frombuffer(data, dtype, prod(shape), at).reshape(shape)
                at += prod(shape) * dtype.itemsize
        except (TypeError, ValueError):
            raise BadGallery(f"A row of the store is damaged: {AGAIN}") from None
        return out

    def digest(self, found: Mapping[str, Any]) -> str:
        """SHA-256 of the arrays of a row, as its fields hold them."""
        made = hashlib.sha256(np.asarray(found["embedding"], np.float32).tobytes())
        for name in self.content[1:]:
            made.update(found[name].encode())
        return made.hexdigest()

    def create(self, call: Connection) -> None:
        """Make the collection where it is not there."""
        if call("has_collection", self.collection):
            return
        kinds, client = call.pymilvus.DataType, call.pymilvus.MilvusClient
        schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("key", kinds.VARCHAR, is_primary=True, max_length=64)
        schema.add_field("row", kinds.INT64)
        for name, most in (("path", 4096), ("identity", 1024), ("sha256", 64), ("digest", 64)):
            schema.add_field(name, kinds.VARCHAR, max_length=most)
        schema.add_field("embedding", kinds.FLOAT_VECTOR, dim=self.dim)
        for name in self.content[1:]:  # large, and read by the row: from the disk
            schema.add_field(name, kinds.VARCHAR, max_length=65_535, mmap_enabled=True)
        index = client.prepare_index_params()
        index.add_index("embedding", index_type=self.index, metric_type="COSINE", params=INDEXES[self.index].build)
        for name in ("row", "path", "identity"):
            index.add_index(name, index_type="INVERTED")
        call("create_collection", self.collection, schema=schema, index_params=index, consistency_level="Strong")


def record(shape: Shape, places: Sequence[Place], first: int, partition: str) -> list[dict[str, Any]]:
    """Records of rows whose numbers start at ``first``. The key says which gallery, photo and content it is: what is
    written twice is there once."""
    sources = [(place.source, place.row) for place in places]

    def packed(file: str) -> list[np.ndarray]:
        arrays = [np.concatenate([*gathered(sources, (file, name))]).astype(dtype).reshape(len(places), -1)
                  for name, (dtype, _) in shape.of_row(file).items()]
        return list(np.concatenate(arrays, axis=1))

    records: list[dict[str, Any]] = []
    for row, (place, embedding) in enumerate(zip(places, packed(EMBEDDINGS), strict=True), first):
        entry = place.entry
        key = hashlib.sha256("\0".join((partition, entry.path, entry.identity, entry.sha256)).encode()).hexdigest()
        records.append({"key": key, "row": row, "path": entry.path, "identity": entry.identity,
                        "sha256": entry.sha256, "embedding": embedding})
    for file in (FACES, *(patches_file(grid) for grid, *_ in shape.patches)):
        for one, values in zip(records, packed(file), strict=True):
            text = base64.b64encode(values.tobytes()).decode()
            for number, name in enumerate(shape.fields(file)):
                one[name] = text[FIELD * number:FIELD * (number + 1)]
    return [{**one, "digest": shape.digest(one)} for one in records]


def _size(arrays: Mapping[str, tuple[np.dtype, tuple[int, ...]]]) -> int:
    return sum(dtype.itemsize * prod(shape) for dtype, shape in arrays.values())
