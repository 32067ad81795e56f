"""Read what a converter needs of an ONNX file: its nodes in order and its weights. No dependency, no execution."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from demo.errors import BadWeights

#: Numbers of the fields in onnx.proto.
_GRAPH, _NODE, _INITIALIZER = 7, 1, 5
_INPUT, _OUTPUT, _OPERATOR = 1, 2, 4
_DIMS, _TYPE, _FLOATS, _NAME, _RAW = 1, 2, 4, 8, 9
_FLOAT32 = 1


@dataclass(frozen=True)
class Node:
    """One operation: its kind and the names of what goes in and comes out."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def read_onnx(path: str | Path) -> tuple[list[Node], dict[str, np.ndarray]]:
    """Nodes in order, and float32 weights by name, of an ONNX file. BadWeights where it is none."""
    path = Path(path)
    try:
        graph = next(_bytes(value) for field, value in _fields(path.read_bytes()) if field == _GRAPH)
        parts = list(_fields(graph))
        nodes = [_node(_bytes(value)) for field, value in parts if field == _NODE]
        weights = dict(filter(None, (_weight(_bytes(value)) for field, value in parts if field == _INITIALIZER)))
    except OSError as error:
        raise BadWeights(f"{path.name} cannot be read: {error.strerror}.") from None
    except (IndexError, ValueError, TypeError, StopIteration):
        raise BadWeights(f"{path.name} is no ONNX file, or it is damaged.") from None
    return nodes, weights


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value, shift, at = value | (byte & 0x7F) << shift, shift + 7, at + 1
        if byte < 0x80:
            return value, at


def _fields(message: bytes) -> Iterator[tuple[int, bytes | int]]:
    """(field number, value) of a message in the wire format of protocol buffers."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        field, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(message, at)
        elif kind in (1, 2, 5):
            length, at = _varint(message, at) if kind == 2 else (8 if kind == 1 else 4, at)
            if at + length > len(message):
                raise ValueError("cut short")
            value, at = message[at:at + length], at + length
        else:
            raise ValueError("no such kind of field")
        yield field, value


def _bytes(value: bytes | int) -> bytes:
    """What a field holds; TypeError where the file has a number there."""
    if isinstance(value, int):
        raise TypeError("a number")
    return value


def _node(message: bytes) -> Node:
    names = {_INPUT: [], _OUTPUT: [], _OPERATOR: []}
    for field, value in _fields(message):
        if field in names:
            names[field].append(_bytes(value).decode())
    return Node(names[_OPERATOR][0], tuple(names[_INPUT]), tuple(names[_OUTPUT]))


def _weight(message: bytes) -> tuple[str, np.ndarray] | None:
    """(name, values) of a tensor; None where it is not of float32 (counters of training)."""
    shape, name, data, kind = [], "", b"", 0
    for field, value in _fields(message):
        if field == _DIMS:
            shape += [value] if isinstance(value, int) else _packed(_bytes(value))
        elif field == _TYPE:
            kind = value
        elif field == _NAME:
            name = _bytes(value).decode()
        elif field in (_FLOATS, _RAW):  # both little-endian, the one packed, the other raw
            data += _bytes(value)
    return (name, np.frombuffer(data, "<f4").reshape(shape)) if kind == _FLOAT32 else None


def _packed(data: bytes) -> list[int]:
    values, at = [], 0
    while at < len(data):
        value, at = _varint(data, at)
        values.append(value)
    return values
