"""Verification on pairs of photos: does a threshold tell one person from two?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from demo.backbones import Backbone, Features
from demo.errors import BadSetting, DemoError
from demo.evaluation.datasets import Pair
from demo.evaluation.rates import FARS, Roc, fold_accuracies, roc
from demo.evaluation.store import FeatureStore, as_indexed
from demo.gallery import Gallery, Photo
from demo.methods import METHODS, STAGE1, Matching, Method, load_method, ready, rerank
from demo.query import Preparation

#: Pairs that are compared at a time, so that few faces are in memory at once.
_BATCH = 32
#: Points of the ROC in the JSON.
_POINTS = 200

Progress = Callable[[Sequence], Iterable]


@dataclass(frozen=True)
class MethodResult:
    """What one method reaches on the pairs. alpha: share of the patch distance in Eq. 5.1, None for cosine alone.

    accuracies, thresholds: per fold, shares 0 to 1 and distances. distances: (n,) of all pairs, in their order.
    """

    method: str
    alpha: float | None
    accuracies: np.ndarray
    thresholds: np.ndarray
    roc: Roc
    distances: np.ndarray

    @property
    def title(self) -> str:
        return METHODS[self.method].short + ("" if self.alpha is None else f", α = {self.alpha:g}")

    @property
    def accuracy(self) -> tuple[float, float]:
        """Mean and standard deviation (n - 1) over the folds, percent."""
        spread = self.accuracies.std(ddof=1) if len(self.accuracies) > 1 else 0.0
        return 100 * float(self.accuracies.mean()), 100 * float(spread)

    def as_json(self) -> dict:
        mean, spread = self.accuracy
        step = max(1, len(self.roc.far) // _POINTS)
        return {
            "method": self.method, "alpha": self.alpha, "accuracy": mean, "accuracy_sd": spread,
            "threshold": float(self.thresholds.mean()), "auc": 100 * self.roc.auc, "eer": 100 * self.roc.eer,
            "tar_at_far": {f"{far:g}": None if (tar := self.roc.tar_at(far)) is None else 100 * tar for far in FARS},
            "roc": {"far": self.roc.far[::step].tolist(), "tar": self.roc.tar[::step].tolist()},
        }


@dataclass(frozen=True)
class VerificationResult:
    """Every method on the same pairs. genuine, strangers: pairs measured. skipped: (first, second, reason)."""

    methods: tuple[MethodResult, ...]
    same: np.ndarray
    folds: int
    skipped: tuple[tuple[str, str, str], ...]

    @property
    def genuine(self) -> int:
        return int(self.same.sum())

    @property
    def strangers(self) -> int:
        return len(self.same) - self.genuine

    def as_json(self) -> dict:
        return {"genuine": self.genuine, "strangers": self.strangers, "folds": self.folds,
                "skipped": [{"first": first, "second": second, "reason": reason}
                            for first, second, reason in self.skipped],
                "methods": [method.as_json() for method in self.methods]}

    def as_table(self) -> str:
        """A Markdown table, a row per method, and a line of counts."""
        lines = ["| method | accuracy ± sd | AUC | EER | " + " | ".join(f"TAR at FAR {far:g}" for far in FARS) + " |",
                 "|---" * (4 + len(FARS)) + "|"]
        for method in self.methods:
            mean, spread = method.accuracy
            tars = (method.roc.tar_at(far) for far in FARS)
            cells = [method.title, f"{mean:.2f} ± {spread:.2f}", f"{100 * method.roc.auc:.2f}",
                     f"{100 * method.roc.eer:.2f}", *("-" if tar is None else f"{100 * tar:.2f}" for tar in tars)]
            lines.append("| " + " | ".join(cells) + " |")
        lines.append(f"\n{self.genuine} pairs of one person and {self.strangers} of two in {self.folds} folds; each "
                     f"fold's threshold was chosen on the others; {len(self.skipped)} pairs skipped.")
        lines += [f"skipped {first} and {second}: {reason}" for first, second, reason in self.skipped]
        return "\n".join(lines)


def verify_pairs(pairs: Sequence[Pair], backbone: Backbone, preparations: tuple[Preparation, Preparation],
                 matching: Matching = Matching(), *, methods: Mapping[str, Method] | None = None,  # noqa: B008
                 store: FeatureStore | None = None, gallery: Gallery | None = None,
                 progress: Progress = iter) -> VerificationResult:
    """Accuracy over folds, ROC, AUC, EER and TAR at FAR of every method.

    preparations: how the first and the second photo of each pair are altered: of pair number n the first with its seed
    + n, the second with its seed + n + the number of pairs, so that the two do not wear the same mask. matching: the
    methods' options and grid; its alpha is that of every method that is mixed with the cosine (None: each method's
    own). methods: word → method on this backbone, Stage 1 among them; default: all that are ready. gallery: an index in
    which features of photos that nothing happens to are looked up first. Pairs must have folds. BadSetting where one
    kind of pairs is missing after skipping photos that cannot be used.
    """
    for asked in preparations:
        asked.check()
    matching.check()
    if methods is None:
        methods = {word: load_method(word, backbone) for word in ready(backbone)}
    found: dict[str, list[float]] = {word: [] for word in methods}
    used, skipped = [], []
    faces = _Faces(store or FeatureStore(None, backbone), gallery)
    for batch, first, second in _batches(pairs, preparations, faces, skipped, progress):
        for word, method in methods.items():
            grid = matching.grid if method.uses_grid else None
            found[word].extend(method.pairs(first, second, matching.of(word), grid).double().cpu().tolist())
        used += batch
    same, folds = np.array([pair.same for pair in used], bool), np.array([pair.fold for pair in used])
    if not used or same.all() or not same.any():
        reason = f" The first problem: {skipped[0][2]}" if skipped else ""
        raise BadSetting(f"Verification needs pairs of one person and pairs of two, and too few can be used.{reason}")
    if len(np.unique(folds)) < 2:
        raise BadSetting("Verification needs pairs of at least two folds: draw more, or from more people.")
    cosine = torch.tensor(found[STAGE1.word], dtype=torch.float64)
    results = []
    for word, method in methods.items():
        measured, alpha = torch.tensor(found[word], dtype=torch.float64), None
        if method.reranks:
            alpha = method.alpha if matching.alpha is None else matching.alpha
            assert alpha is not None  # every method that re-ranks has one
            measured = rerank(cosine, measured, alpha).distances
        distances = measured.numpy()
        accuracies, thresholds = fold_accuracies(distances, same, folds)
        results.append(MethodResult(word, alpha, accuracies, thresholds, roc(distances, same), distances))
    return VerificationResult(tuple(results), same, len(np.unique(folds)), tuple(skipped))


class _Faces:
    """Features of photos, of an index where they are in it."""

    def __init__(self, store: FeatureStore, gallery: Gallery | None):
        self.store, self.gallery = store, gallery
        self.rows = {} if gallery is None else {gallery.photo_file(row).resolve(): row for row in range(len(gallery))}

    def of(self, photo: Photo, asked: Preparation) -> Features:
        """Batch of one. Raises as ``FeatureStore.features`` does."""
        if self.gallery is not None and as_indexed(asked, self.gallery):
            row = self.rows.get(photo.file.resolve())
            if row is not None:
                return self.gallery.whole([row])
        return self.store.features(photo.file, asked)


def _batches(pairs: Sequence[Pair], preparations: tuple[Preparation, Preparation], faces: _Faces, skipped: list,
             progress: Progress) -> Iterator[tuple[list[Pair], Features, Features]]:
    """Pairs with the features of both sides, a batch at a time; adds those that cannot be used to ``skipped``."""
    batch, stacked = [], ([], [])
    for number, pair in enumerate(progress(pairs)):
        try:
            found = [faces.of(photo, replace(asked, seed=asked.seed + number + side * len(pairs)))
                     for side, (photo, asked) in enumerate(zip((pair.first, pair.second), preparations, strict=True))]
        except DemoError as error:
            skipped.append((pair.first.path, pair.second.path, str(error)))
            continue
        batch.append(pair)
        for parts, features in zip(stacked, found, strict=True):
            parts.append(features)
        if len(batch) == _BATCH:
            yield batch, stack(stacked[0]), stack(stacked[1])
            batch, stacked = [], ([], [])
    if batch:
        yield batch, stack(stacked[0]), stack(stacked[1])


def stack(parts: Sequence[Features]) -> Features:
    """Features of single faces as one batch."""
    first = parts[0]
    marks = [part.landmarks for part in parts if part.landmarks is not None]
    return Features(
        torch.cat([part.embedding for part in parts]), torch.cat([part.patches for part in parts]), first.grid,
        {grid: torch.cat([part.maps[grid] for part in parts]) for grid in first.maps},
        torch.cat(marks) if len(marks) == len(parts) else None)
