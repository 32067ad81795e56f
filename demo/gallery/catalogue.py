"""Texts of any length by name in a collection of their own in Milvus, each of which changes in one step."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from contextlib import suppress

from demo.errors import BadGallery
from demo.gallery.client import Connection

COLLECTION = "face_match"
#: Characters of a field that are used; Milvus takes 65,535 bytes.
PIECE = 60_000
#: Pieces of a text; what is kept of a gallery of a billion faces takes fewer.
_MOST_PIECES = 10_000
_VECTOR = [0.0, 1.0]  # every collection has one


class Catalogue:
    """What is put under a name stays what it was for everybody until all of the new text is there."""

    def __init__(self, call: Connection):
        self._call = call
        if not call("has_collection", COLLECTION):
            kinds = call.pymilvus.DataType
            schema = call.pymilvus.MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
            schema.add_field("key", kinds.VARCHAR, is_primary=True, max_length=96)
            schema.add_field("name", kinds.VARCHAR, max_length=4096)
            schema.add_field("text", kinds.VARCHAR, max_length=65_535)
            schema.add_field("vector", kinds.FLOAT_VECTOR, dim=len(_VECTOR))
            index = call.pymilvus.MilvusClient.prepare_index_params()
            index.add_index("vector", index_type="FLAT", metric_type="L2")
            call("create_collection", COLLECTION, schema=schema, index_params=index, consistency_level="Strong")
        call("load_collection", COLLECTION)

    def names(self, start: str) -> list[str]:
        """Names that start so, sorted."""
        found = self._call("query", COLLECTION, filter=f"name like {json.dumps(start + '%')}", output_fields=["name"])
        return sorted(one["name"] for one in found)

    def get(self, name: str) -> bytes | None:
        """What is kept under a name; None where nothing is. BadGallery where it is not as it was put there."""
        head = self._head(name)
        if head is None:
            return None
        pieces = self._texts(_pieces(name, head))
        try:
            data = zlib.decompress(base64.b64decode("".join(pieces[key] for key in _pieces(name, head))))
            if hashlib.sha256(data).hexdigest() == head["sha256"]:
                return data
        except (KeyError, ValueError, zlib.error):
            pass
        if self._head(name) != head:  # it was changed meanwhile
            return self.get(name)
        raise self._damaged(name)

    def put(self, name: str, data: bytes) -> None:
        """Keep bytes under a name, in place of what was there."""
        old, digest = None, hashlib.sha256(data).hexdigest()
        with suppress(BadGallery):  # what was damaged is written anew
            old = self._head(name)
        text = base64.b64encode(zlib.compress(data)).decode()
        head = {"sha256": digest, "pieces": -(-len(text) // PIECE)}
        if head == old:
            return
        keys = _pieces(name, head)
        for number, key in enumerate(keys):
            self._write(key, "", text[PIECE * number:PIECE * (number + 1)])
        self._write(_key(name), name, json.dumps(head))
        if old is not None:
            self._call("delete", COLLECTION, ids=_pieces(name, old))

    def _write(self, key: str, name: str, text: str) -> None:
        self._call("upsert", COLLECTION, data=[{"key": key, "name": name, "text": text, "vector": _VECTOR}])

    def _head(self, name: str) -> dict | None:
        text = self._texts([_key(name)]).get(_key(name))
        if text is None:
            return None
        with suppress(ValueError, LookupError, TypeError, RecursionError):
            head = json.loads(text)
            if isinstance(head["sha256"], str) and type(head["pieces"]) is int and 0 < head["pieces"] <= _MOST_PIECES:
                return head
        raise self._damaged(name)

    def _damaged(self, name: str) -> BadGallery:
        return BadGallery(f"What the store {self._call.address} keeps under {name} is damaged: build the gallery "
                          "again.")

    def _texts(self, keys: list[str]) -> dict[str, str]:
        found = {}
        for at in range(0, len(keys), 100):
            for one in self._call("query", COLLECTION, filter=f"key in {json.dumps(keys[at:at + 100])}",
                                  output_fields=["key", "text"]):
                found[one["key"]] = one["text"]
        return found


def _key(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def _pieces(name: str, head: dict) -> list[str]:
    return [f"{_key(name)}-{head['sha256'][:32]}-{number}" for number in range(head["pieces"])]
