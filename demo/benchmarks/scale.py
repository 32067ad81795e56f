"""What an answer costs in a gallery of a million faces: every part of it, beside the same in one of 300.

    python -m demo benchmark scale [--faces 1000000] [--repeats 20] [--folder DIR] [--json]

Makes an index of so many faces: embeddings of the bundled people with noise, their landmarks and photos over and over,
read from the disk as of any index. Stage 1 stands beside faiss's exact search in the same process (faiss-cpu, where it
is installed). Patches are those of the bundled people as well, row by row from their file, since a
million of the default backbone's take 12 to 50 GB. Each size is measured in a process of its own. The index is deleted
at the end.

An answer is both rankings with every picture of them, as the page shows them; what explains the first match follows it
and is timed apart. Baseline, in the same run: 300 faces.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import torch

from demo.backbones import Grid, load_backbone
from demo.benchmarks.faiss import MISSING, faiss, flat_ms
from demo.benchmarks.timing import machine, tell
from demo.gallery import Entry, Gallery
from demo.gallery.arrays import write_arrays
from demo.gallery.entries import write_entries
from demo.gallery.manifest import EMBEDDINGS, ENTRIES, FACES, Manifest, PartInfo
from demo.gallery.opened import Opened
from demo.gallery.part import FACE_ARRAYS, Source
from demo.gallery.revise import Place, revise
from demo.gallery.store import Rows
from demo.identify import Identifier
from demo.places import ASSETS, GALLERIES
from demo.settings import settings
from demo.ui.views.board import Result, board_value
from demo.ui.views.inspector import inspector_value
from demo.weights import sha256

MODELS = GALLERIES / "synthetic-people"
QUERIES = ASSETS / "queries"
#: Faces of the gallery that the others are compared with, photos of each person, photos that are added.
BASELINE, OF_EACH, ADDED = 300, 3, 100
#: Of so many answers the first is explained as well.
EXPLAINED = 5
#: Length of the noise beside that of an embedding.
NOISE = 0.7
_TOGETHER = 1 << 14


def make_index(folder: Path, count: int, backbone: str, seed: int = 0) -> Path:
    """An index of ``count`` faces in ``folder``, without patches; returns where it is."""
    models = Opened(MODELS / ".index" / backbone)
    rng, part = np.random.default_rng(seed), folder / backbone / "part-000000000000"
    part.mkdir(parents=True)
    embeddings = models.array(EMBEDDINGS, "embeddings", range(len(models)))

    def repeated(values: np.ndarray) -> Iterator[np.ndarray]:
        for rows in blocks(count):
            yield values[rows % len(models)]

    write_arrays(part / EMBEDDINGS, {"embeddings": (embeddings.dtype, (count, embeddings.shape[1]),
                                                    noisy(embeddings, count, rng))})
    faces = {name: models.array(FACES, name, range(len(models))) for name in FACE_ARRAYS}
    write_arrays(part / FACES, {name: (values.dtype, (count, *values.shape[1:]), repeated(values))
                                for name, values in faces.items()})
    known = list(models.entries)
    write_entries(part / ENTRIES, (Entry(known[row % len(known)].path, f"synthetic-{row // OF_EACH:07d}",
                                         f"{row:064x}") for row in range(count)))
    made = models.manifest
    files = {name: sha256(part / name) for name in (EMBEDDINGS, FACES, ENTRIES)}
    Manifest(f"{count} faces", made.photos, made.backbone, made.weights_sha256, made.detector, (),
             (PartInfo(part.name, count, files),), ()).write(part.parent)
    return part.parent


def noisy(models: np.ndarray, count: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Embeddings (M, D) over and over until there are ``count``, each with its own noise, some thousand at a time."""
    length = np.linalg.norm(models, axis=1).mean() / models.shape[1] ** 0.5
    for rows in blocks(count):
        drawn = rng.standard_normal((len(rows), models.shape[1]), np.float32)
        yield models[rows % len(models)] + np.float32(NOISE * length) * drawn


def blocks(count: int) -> Iterator[np.ndarray]:
    """Rows, some thousand at a time."""
    for at in range(0, count, _TOGETHER):
        yield np.arange(at, min(at + _TOGETHER, count))


class Crowd(Gallery):
    """An index whose patches are those of the bundled people, over and over."""

    models: Gallery

    def _rows(self, grid: Grid) -> Rows:
        return _Repeated(self.models, grid, len(self))


class _Repeated:
    def __init__(self, models: Gallery, grid: Grid, count: int):
        self._models, self._grid, self._count = models, grid, count

    def __len__(self) -> int:
        return self._count

    def take(self, rows: Sequence[int]) -> torch.Tensor:
        return self._models.features([row % len(self._models) for row in rows], self._grid).patches


def measure(index: Path, repeats: int) -> dict:
    """One gallery: seconds to open it and to add photos, milliseconds of an answer, of its Stage 1 and of what explains
    it, memory."""
    chosen = settings()
    backbone = load_backbone(chosen.backbone, device=chosen.device, folder=chosen.weights)
    Crowd.models = Gallery.open(MODELS, backbone)
    Crowd.models.features(range(len(Crowd.models)))
    before, start = _memory_mb(), perf_counter()
    gallery = Crowd.open(index, backbone)
    assert gallery.people
    opened, identifier = perf_counter() - start, Identifier(backbone, gallery)
    photos = sorted(QUERIES.glob("*/*.jpg"))
    for method in identifier.ready(verifies=True).values():
        method.warm_up()
    spent, processor, search, explained = [], [], [], []
    for number in range(-2, repeats):  # the first two load what all others use
        start, worked = perf_counter(), process_time()
        result = Result(identifier.identify(photos[number % len(photos)], occlusion="mask", seed=number % 1000),
                        identifier)
        first = board_value(result)["selected"]
        answered, worked = perf_counter(), process_time() - worked
        if number % EXPLAINED == 0 or number < 0:
            inspector_value(result, first)
        if number >= 0:
            spent.append(1000 * (answered - start))
            processor.append(1000 * worked)
            search.append(result.found.timings_ms["search"])
            explained += [] if number % EXPLAINED else [1000 * (perf_counter() - answered)]
    memory = _memory_mb()  # before faiss copies the embeddings
    baseline = flat_ms(gallery.embeddings.cpu().numpy(), repeats)
    return {
        "faces": len(gallery), "open_s": opened, "p50_ms": float(np.median(spent)),
        "p95_ms": float(np.percentile(spent, 95)), "stage1_ms": float(np.median(search)),
        "processor_ms": float(np.median(processor)), "explained_ms": float(np.median(explained)),
        "faiss_ms": baseline, "memory_mb": memory, "gallery_mb": memory - before, "add_s": _add(index, gallery)}


def _add(index: Path, gallery: Gallery) -> float:
    """Seconds to bring photos whose features are there into the index and to open it anew."""
    start = perf_counter()
    old = Opened(index)
    rows = range(min(ADDED, len(old)))
    fresh = Source({key: part[:ADDED] for key, part in old.parts[0].maps.items()})
    paths = [f"new/{row}.jpg" for row in rows]
    assert not old.rows_at(paths)
    added = [Place(Entry(path, "new", f"{1 << 200 | row:064x}"), fresh, row)
             for row, path in zip(rows, paths, strict=True)]
    revise(index, old, old.manifest, [], added)
    assert len(Gallery.open(index, device=gallery.device)) == len(gallery) + len(added)
    return perf_counter() - start


def _memory_mb() -> float:
    """What this process holds now; where that cannot be read, the most it held."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def run(faces: Sequence[int], repeats: int, folder: Path | None = None) -> list[dict]:
    """A row for each size, the baseline first."""
    rows: list[dict] = []
    place = Path(tempfile.mkdtemp(prefix="scale-", dir=folder))
    try:
        for count in dict.fromkeys((BASELINE, *faces)):
            start = perf_counter()
            index = make_index(place / str(count), count, settings().backbone)
            made = perf_counter() - start
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                found = pool.submit(measure, index, repeats).result()
            shutil.rmtree(place / str(count))
            rows.append({**found, "of_baseline": found["p50_ms"] / (rows or [found])[0]["p50_ms"], "made_s": made})
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return rows


def shown(row: dict) -> dict[str, str]:
    """A row of the table."""
    return {
        "faces": f"{row['faces']:,}", "opened in": _seconds(row["open_s"]), "answer, p50": f"{row['p50_ms']:.0f} ms",
        "p95": f"{row['p95_ms']:.0f} ms", "of baseline": f"{row['of_baseline']:.2f}",
        "of it Stage 1": f"{row['stage1_ms']:.3g} ms",
        **({} if row["faiss_ms"] is None else {"of faiss's": f"{row['stage1_ms'] / row['faiss_ms']:.2f}"}),
        "of processor": f"{row['processor_ms']:.0f} ms",
        "explained in": f"{row['explained_ms']:.0f} ms", "memory of the process": f"{row['memory_mb']:,.0f} MB",
        f"{ADDED} photos added in, features aside": _seconds(row["add_s"])}


def _seconds(value: float) -> str:
    return f"{value:.{2 if value < 1 else 1}f} s"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmark scale", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--repeats", type=int, default=20, help="answers per size (default 20)")
    parser.add_argument("--faces", type=int, nargs="+", default=[1_000_000], help="sizes (default 1000000)")
    parser.add_argument("--folder", type=Path, help="where the index is made, about 2 KB a face (default: temporary)")
    parsed = parser.parse_args(arguments)
    rows = run(parsed.faces, parsed.repeats, parsed.folder)
    tell({"machine": machine(), "rows": rows}, parsed.json,
         f"{machine()}; first five after re-ranking the first 100, pictures included; baseline: {BASELINE} faces"
         f"{MISSING if faiss is None else ''}", [shown(row) for row in rows])


if __name__ == "__main__":
    main()
