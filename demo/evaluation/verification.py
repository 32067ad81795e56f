"""Verification on pairs of photos: does a threshold tell one person from two?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from demo.backbones import Backbone, Features
from demo.crossimage import CrossImageModel, load_method, methods_ready
from demo.errors import BadSetting, DemoError
from demo.evaluation.datasets import Pair
from demo.evaluation.rates import FARS, Roc, fold_accuracies, roc
from demo.evaluation.store import FeatureStore
from demo.identify import PAPER_ALPHA
from demo.matching import combined, emd
from demo.query import Options
from demo.thresholds import cosine_distances, cross_distances

TITLES = {"cosine": "Cosine", "emd": "EMD", "h2l": "H2L", "h2": "H2", "h1": "H1"}
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
        return TITLES[self.method] + ("" if self.alpha is None else f", α = {self.alpha:g}")

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
            "tar_at_far": {f"{far:g}": None if self.roc.tar_at(far) is None else 100 * self.roc.tar_at(far)
                           for far in FARS},
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


def verify_pairs(pairs: Sequence[Pair], backbone: Backbone, options: tuple[Options, Options], *,
                 models: Mapping[str, CrossImageModel] | None = None, store: FeatureStore | None = None,
                 progress: Progress = iter) -> VerificationResult:
    """Accuracy over folds, ROC, AUC, EER and TAR at FAR of cosine, EMD and cross-image models.

    options: how the first and the second photo of each pair are altered: of pair number n the first with its seed + n,
    the second with its seed + n + the number of pairs, so that the two do not wear the same mask. Weighting, grid and
    solver of the first are EMD's, and its alpha is every method's (None: each method's own). models: word of TITLES → a
    model on this backbone; default: all that come with the app. Pairs must have folds. BadSetting where one kind of
    pairs is missing after skipping photos that cannot be used.
    """
    for chosen in options:
        chosen.check()
    if models is None:
        ready = methods_ready(backbone)
        models = {kind.lower(): load_method(kind, backbone).model for kind in ("H2L", "H2", "H1") if not ready[kind]}
    found: dict[str, list[float]] = {}
    used, skipped = [], []
    for batch, first, second in _batches(pairs, options, store or FeatureStore(None, backbone), skipped, progress):
        for method, values in _distances(first, second, options[0], models).items():
            found.setdefault(method, []).extend(values)
        used += batch
    same, folds = np.array([pair.same for pair in used], bool), np.array([pair.fold for pair in used])
    if not used or same.all() or not same.any():
        reason = f" The first problem: {skipped[0][2]}" if skipped else ""
        raise BadSetting(f"Verification needs pairs of one person and pairs of two, and too few can be used.{reason}")
    if len(np.unique(folds)) < 2:
        raise BadSetting("Verification needs pairs of at least two folds: draw more, or from more people.")
    alphas = {"cosine": None, "emd": PAPER_ALPHA if options[0].alpha is None else options[0].alpha}
    alphas |= {name: model.alpha if options[0].alpha is None else options[0].alpha for name, model in models.items()}
    cosine = torch.tensor(found["cosine"], dtype=torch.float64)
    results = []
    for method, alpha in alphas.items():
        mixed = cosine if alpha is None else combined(cosine, torch.tensor(found[method], dtype=torch.float64), alpha)
        distances = mixed.numpy()
        accuracies, thresholds = fold_accuracies(distances, same, folds)
        results.append(MethodResult(method, alpha, accuracies, thresholds, roc(distances, same), distances))
    return VerificationResult(tuple(results), same, len(np.unique(folds)), tuple(skipped))


def _batches(pairs: Sequence[Pair], options: tuple[Options, Options], store: FeatureStore, skipped: list,
             progress: Progress) -> Iterator[tuple[list[Pair], Features, Features]]:
    """Pairs with the features of both sides, a batch at a time; adds those that cannot be used to ``skipped``."""
    batch, stacked = [], ([], [])
    for number, pair in enumerate(progress(pairs)):
        try:
            found = [store.features(photo.file, replace(chosen, seed=chosen.seed + number + side * len(pairs)))
                     for side, (photo, chosen) in enumerate(zip((pair.first, pair.second), options, strict=True))]
        except DemoError as error:
            skipped.append((pair.first.path, pair.second.path, str(error)))
            continue
        batch.append(pair)
        for parts, features in zip(stacked, found, strict=True):
            parts.append(features)
        if len(batch) == _BATCH:
            yield batch, *map(stack, stacked)
            batch, stacked = [], ([], [])
    if batch:
        yield batch, *map(stack, stacked)


def _distances(first: Features, second: Features, options: Options,
               models: Mapping[str, CrossImageModel]) -> dict[str, list[float]]:
    found = {"cosine": cosine_distances(first, second),
             "emd": emd(first, second, options.weighting, options.solver, options.grid).distance}
    found |= {name: cross_distances(model, first, second) for name, model in models.items()}
    return {method: values.double().cpu().tolist() for method, values in found.items()}


def stack(parts: Sequence[Features]) -> Features:
    """Features of single faces as one batch."""
    first = parts[0]
    return Features(
        torch.cat([part.embedding for part in parts]), torch.cat([part.patches for part in parts]), first.grid,
        {grid: torch.cat([part.maps[grid] for part in parts]) for grid in first.maps},
        None if first.landmarks is None else torch.cat([part.landmarks for part in parts]))
