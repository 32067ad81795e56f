"""Stage 1 by the indexes that a store may search by: time, memory, and how many of the exact first 100 each finds.

    python -m demo benchmark stage1 [--faces 100000] [--repeats 100] [--json]

Embeddings are those of the bundled people with noise, as of ``benchmark scale``; queries are others, made likewise. The
indexes are faiss's (faiss-cpu), with the parameters that a store is built with; Milvus has its own of the same kinds.
Ratios are of the processor's time.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from time import process_time
from typing import Any

import numpy as np
import torch

from demo.benchmarks.faiss import FIRST, MISSING, faiss, median_ms
from demo.benchmarks.scale import MODELS, noisy
from demo.benchmarks.timing import machine, tell
from demo.gallery import INDEXES
from demo.gallery.index import nearest
from demo.gallery.manifest import EMBEDDINGS
from demo.gallery.opened import Opened
from demo.settings import settings


def made(name: str, dim: int) -> Any:
    """An empty index of faiss for unit vectors, with the parameters of INDEXES."""
    build, search = INDEXES[name].build, INDEXES[name].search(FIRST)
    if name == "FLAT":
        return faiss.IndexFlatIP(dim)
    if name == "HNSW":
        index = faiss.IndexHNSWFlat(dim, build["M"], faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction, index.hnsw.efSearch = build["efConstruction"], search["ef"]
        return index
    index = faiss.index_factory(dim, f"IVF{build['nlist']},SQ8", faiss.METRIC_INNER_PRODUCT)
    index.nprobe = search["nprobe"]
    return index


def measure(count: int, queries: int) -> list[dict]:
    """A row for ours and for each index, all on the same embeddings."""
    models = Opened(MODELS / ".index" / settings().backbone)
    rng = np.random.default_rng(0)
    everybody = models.array(EMBEDDINGS, "embeddings", range(len(models)))
    faces, asked = (torch.nn.functional.normalize(torch.from_numpy(np.concatenate(list(noisy(everybody, many, rng)))),
                                                  dim=1) for many in (count, queries))
    exact = [nearest(1 - faces @ query, FIRST)[1] for query in asked]
    dim, (clock, ours) = faces.shape[1], median_ms(lambda at: nearest(1 - faces @ asked[at], FIRST), queries)
    rows = [{"search by": "all, ours", "ms": round(clock, 2), "processor ms": round(ours, 2), "of ours": 1.0,
             "recall": 1.0, "bytes a face": 4 * dim, "built in s": 0.0}]
    for name in ("FLAT", "HNSW", "IVF_SQ8") if faiss else ():
        start, index = process_time(), made(name, dim)
        index.train(faces.numpy())
        index.add(faces.numpy())
        built = process_time() - start
        _, found = index.search(asked.numpy(), FIRST)
        recall = np.mean([len(set(one.tolist()) & set(other.tolist())) / len(other)
                          for one, other in zip(found, exact, strict=True)])
        clock, worked = median_ms(lambda at, index=index: index.search(asked[at:at + 1].numpy(), FIRST), queries)
        rows.append({"search by": f"{name}, faiss", "ms": round(clock, 2), "processor ms": round(worked, 2),
                     "of ours": round(worked / ours, 3), "recall": round(float(recall), 4),
                     "bytes a face": round(faiss.serialize_index(index).nbytes / count), "built in s": round(built, 1)})
    return [{"faces": count, **row} for row in rows]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmark stage1", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--repeats", type=int, default=100, help="queries (default 100)")
    parser.add_argument("--faces", type=int, nargs="+", default=[100_000], help="sizes (default 100000)")
    parsed = parser.parse_args(arguments)
    rows = [row for count in parsed.faces for row in measure(count, parsed.repeats)]
    tell({"machine": machine(), "rows": rows}, parsed.json,
         f"{machine()}; the first {FIRST} of one query{MISSING if faiss is None else ''}", rows)


if __name__ == "__main__":
    main()
