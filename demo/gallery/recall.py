"""How many of the nearest an approximate index finds, measured on a sample against all embeddings."""

from __future__ import annotations

import json

import numpy as np
import torch

from demo.files import write_whole
from demo.gallery.arrays import size_of
from demo.gallery.index import Gallery

FILE = "recall.json"
#: Faces of the gallery that play the query, and how many of the nearest of each.
QUERIES, FIRST = 100, 100
#: Bytes of the file; what is measured is told in a line.
_MOST = 10_000


def measure_recall(gallery: Gallery) -> float:
    """Mean share of the exact first FIRST that Stage 1 finds, over QUERIES faces evenly spread over the gallery; kept
    with it. All embeddings are read once for it."""
    rows = np.unique(np.linspace(0, len(gallery) - 1, QUERIES).round().astype(int)).tolist()
    queries, first = gallery.unit(rows), min(FIRST, len(gallery))
    near, places, at = torch.empty(len(rows), 0), torch.empty(len(rows), 0, dtype=torch.long), 0
    for block in gallery.blocks():
        unit = torch.nn.functional.normalize(torch.from_numpy(block), dim=1).to(queries.device)
        near = torch.cat([near.to(queries.device), 1 - queries @ unit.T], dim=1)
        places = torch.cat([places.to(queries.device), torch.arange(at, at + len(block), device=queries.device).expand(
            len(rows), -1)], dim=1)
        near, slots = torch.topk(near, min(first, near.shape[1]), largest=False)
        places, at = places.gather(1, slots), at + len(block)
    found = [len(set(gallery.search(query, first)[1].tolist()) & set(exact.tolist())) / first
             for query, exact in zip(queries, places, strict=True)]
    recall = float(np.mean(found))
    write_whole(gallery.folder / FILE, json.dumps({"recall": recall, "queries": len(rows), "first": first,
                                                   "faces": len(gallery)}))
    gallery.keep(FILE)
    return recall


def what_is_missed(gallery: Gallery) -> str:
    """What an approximate index may miss, in a sentence; "" where Stage 1 is exact."""
    if gallery.index is None:
        return ""
    file = gallery.folder / FILE
    try:
        if size_of(file) > _MOST:
            raise ValueError("No measurement is as long as this.")
        measured = json.loads(file.read_text(encoding="utf-8"))
        recall, (queries, first, faces) = measured["recall"], (measured[name] for name in ("queries", "first", "faces"))
        if not (0 <= recall <= 1 and all(type(count) is int and count > 0 for count in (queries, first, faces))):
            raise ValueError("This is no measurement.")
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return (f"Stage 1 searched by {gallery.index}, which may miss some of the nearest: how many was not measured "
                "('gallery calibrate').")
    return (f"Stage 1 searched by {gallery.index}, which finds {recall:.1%} of the exact first {first} (mean of "
            f"{queries} queries among {faces} faces).")
