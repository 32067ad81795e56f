"""faiss, the baseline of Stage 1, where it is installed: no other part of the demo uses it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from time import perf_counter, process_time
from typing import Any

import numpy as np

#: How many of the nearest are asked for.
FIRST = 100
MISSING = "; faiss is not installed, so there is no baseline of Stage 1: pip install faiss-cpu"

try:
    faiss: Any = import_module("faiss")
except ImportError:
    faiss = None


def flat_ms(embeddings: np.ndarray, repeats: int) -> float | None:
    """Median milliseconds of an exact search for the first FIRST of one query among embeddings (N, D) of unit length;
    None without faiss."""
    if faiss is None:
        return None
    index = faiss.IndexFlatIP(embeddings.shape[1])
    index.add(embeddings)
    return median_ms(lambda at: index.search(embeddings[at:at + 1], FIRST), repeats)[0]


def median_ms(search: Callable[[int], object], count: int) -> tuple[float, float]:
    """Median milliseconds of a search, for each of ``count`` queries by its number: by the clock, and of the
    processor."""
    spent = []
    for at in range(count):
        start, worked = perf_counter(), process_time()
        search(at)
        spent.append((1000 * (perf_counter() - start), 1000 * (process_time() - worked)))
    clock, processor = np.median(spent, axis=0)
    return float(clock), float(processor)
