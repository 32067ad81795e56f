"""Read the weights of a TensorFlow.js graph model: a ``.json`` that names them and a ``.bin`` that holds them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from demo.errors import BadWeights


def read_tfjs(path: str | Path) -> dict[str, np.ndarray]:
    """float32 weights by name of the graph model whose ``.json`` is given; its ``.bin`` files lie beside it.

    BadWeights where a file is missing, is no such model, is cut short, or holds quantised weights.
    """
    path = Path(path)
    try:
        weights = {}
        for group in json.loads(path.read_bytes())["weightsManifest"]:
            data, at = b"".join((path.parent / name).read_bytes() for name in group["paths"]), 0
            for entry in group["weights"]:
                if "quantization" in entry:
                    raise BadWeights(f"{path.name} holds quantised weights, which are not read here.")
                kind = np.dtype(entry["dtype"]).newbyteorder("<")
                count = int(np.prod(entry["shape"], dtype=int))
                values = np.frombuffer(data, kind, count, at).reshape(entry["shape"])
                at += values.nbytes
                if kind.kind == "f":
                    weights[entry["name"]] = values.astype(np.float32)
            if at != len(data):
                raise ValueError("bytes left over")
    except BadWeights:
        raise
    except OSError as error:
        raise BadWeights(f"{Path(error.filename or path).name} cannot be read: {error.strerror}.") from None
    except (KeyError, TypeError, ValueError):
        raise BadWeights(f"{path.name} is no TensorFlow.js graph model, or its weights are damaged.") from None
    return weights
