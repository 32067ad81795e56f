"""Files of measured arrays: read whole, and checked before anything is made of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from demo.files import is_regular

#: Bytes of a file; those that are written here take a few million.
MOST = 1 << 26
_DTYPES = ("F16", "F32")


class Damaged(ValueError):
    """The file is there and holds something else."""


def read_arrays(file: Path) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Metadata, and key → array of finite numbers in half or single precision. FileNotFoundError where there is no
    file, Damaged for one that holds anything else, or never ends."""
    try:
        found = os.stat(file)
        if not is_regular(found) or found.st_size > MOST:
            raise Damaged("This is no file of arrays.")
        with safe_open(file, "np") as opened:
            keys = list(opened.keys())
            if any(opened.get_slice(key).get_dtype() not in _DTYPES for key in keys):
                raise Damaged("These are no numbers.")
            arrays = {key: opened.get_tensor(key) for key in keys}
            metadata = opened.metadata() or {}
    except FileNotFoundError:
        raise
    except (OSError, SafetensorError, LookupError, TypeError, ValueError, OverflowError) as error:
        raise Damaged(str(error)) from None
    if not all(np.isfinite(values).all() for values in arrays.values()):
        raise Damaged("Not all of it is a number.")
    return metadata, arrays


def fit(arrays: Mapping[str, np.ndarray], dimensions: Mapping[tuple[str, int], int]) -> bool:
    """Whether every key is of a kind that is known, (section, number of its words) → dimensions, and its array like it;
    and whether all methods, whose distances are mixed, measured as many. Of a key the words 1 to 3 are about the
    method."""
    shapes: dict[tuple[str, ...], tuple[int, ...]] = {}
    for key, values in arrays.items():
        section, *words = key.split("/")
        if dimensions.get((section, len(words))) != values.ndim or (
                shapes.setdefault((section, *words[3:]), values.shape) != values.shape):
            return False
    return True
