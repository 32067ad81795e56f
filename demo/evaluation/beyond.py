"""Beyond the papers: other distances for Stage 2, each against the papers' on the same queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from demo.errors import BadSetting, DemoError
from demo.evaluation.interval import Interval, interval
from demo.evaluation.metrics import METRICS, score_query
from demo.evaluation.protocol import QueryPhoto
from demo.evaluation.run import Progress
from demo.evaluation.store import FeatureStore
from demo.evaluation.variants import VARIANTS, Bench, Case
from demo.identify import Identifier
from demo.methods import Reranked
from demo.query import Preparation


@dataclass(frozen=True)
class Beyond:
    """scores: alteration (None = unaltered) → (variants, queries, 3), P@1, RP and MAP@R of each query, 0 to 1.

    people: the person of each of these queries. variants: names, the first that of the papers. skipped: (path,
    alteration, reason).
    """

    variants: tuple[str, ...]
    scores: dict[str | None, np.ndarray]
    people: dict[str | None, list[str]]
    skipped: tuple[tuple[str, str | None, str], ...]

    def difference(self, variant: int, alteration: str | None, metric: int) -> Interval:
        """In points of percent, against the papers' on the same queries."""
        scores = self.scores[alteration][..., metric]
        return interval(100 * (scores[variant] - scores[0]), self.people[alteration])

    def as_json(self) -> dict:
        return {
            "variants": [
                {"name": name, "alterations": {alteration or "none": {
                    metric: {"percent": float(100 * scores[number, :, column].mean()),
                             "difference": self.difference(number, alteration, column).as_json()}
                    for column, metric in enumerate(METRICS)} for alteration, scores in self.scores.items()}}
                for number, name in enumerate(self.variants)],
            "queries": {alteration or "none": scores.shape[1] for alteration, scores in self.scores.items()},
            "skipped": [{"path": path, "alteration": alteration, "reason": reason}
                        for path, alteration, reason in self.skipped],
        }

    def as_table(self) -> str:
        """Two Markdown tables: the scores, and the paired differences of P@1 from the papers'."""
        titles = " | ".join(alteration or "unaltered" for alteration in self.scores)
        rule = "|---" * (len(self.scores) + 1) + "|"
        lines = [f"| P@1 / RP / MAP@R, % | {titles} |", rule]
        for number, name in enumerate(self.variants):
            cells = (100 * scores[number].mean(0) for scores in self.scores.values())
            lines.append(f"| {name} | " + " | ".join(" / ".join(f"{x:.1f}" for x in cell) for cell in cells) + " |")
        lines += ["", f"| P@1 less the papers', points (95 %) | {titles} |", rule]
        for number, name in enumerate(self.variants[1:], start=1):
            lines.append(f"| {name} | " + " | ".join(self.difference(number, alteration, 0).text(1, sign=True)
                                                     for alteration in self.scores) + " |")
        lines.append("\nQueries: " + ", ".join(f"{scores.shape[1]} {alteration or 'unaltered'}"
                                               for alteration, scores in self.scores.items())
                     + f"; {len(self.skipped)} skipped.")
        lines += [f"skipped {path} ({kind or 'unaltered'}): {reason}" for path, kind, reason in self.skipped]
        return "\n".join(lines)


def beyond(identifier: Identifier, queries: Sequence[QueryPhoto], alterations: Sequence[str | None],
           preparation: Preparation = Preparation(), *, k: int = 100,  # noqa: B008
           store: FeatureStore | None = None, progress: Progress = iter) -> Beyond:
    """Every variant on every query under every alteration; query number n is altered with seed + n. preparation: what
    else happens to them.

    A variant that needs a method which is not ready is left out. BadSetting where no query is left.
    """
    bench, store = Bench(identifier), store or FeatureStore(None, identifier.backbone)
    ready = identifier.ready()
    variants = {name: variant for name, variant in VARIANTS.items() if set(variant.needs) <= ready.keys()}
    gallery = identifier.gallery
    labels = np.array([entry.identity for entry in gallery.entries])
    found, skipped = {alteration: [] for alteration in alterations}, []
    people: dict[str | None, list[str]] = {alteration: [] for alteration in alterations}
    for number, photo in enumerate(progress(queries)):
        allowed = np.ones(len(gallery), bool)
        allowed[list(photo.exclude)] = False
        relevant = int((labels[allowed] == photo.identity).sum())
        for alteration in alterations:
            try:
                if not relevant:
                    raise BadSetting(f"No other photo of {photo.identity} is in the gallery.")
                asked = replace(preparation, alteration=alteration, seed=preparation.seed + number)
                features = store.features(photo.file, asked, gallery=gallery)
            except DemoError as error:
                skipped.append((photo.path, alteration, str(error)))
                continue
            distances, rows = (part.cpu() for part in gallery.search(features.embedding))
            kept = torch.from_numpy(allowed)[rows]
            rows, cosine = rows[kept].tolist(), distances[kept][:k].double()
            hits = labels[rows] == photo.identity
            case = Case(bench, features, rows[:k], cosine)
            found[alteration].append([score_query(_reordered(hits, variant.rank(case)), relevant)
                                      for variant in variants.values()])
            people[alteration].append(photo.identity)
    if not all(found.values()):
        raise BadSetting(f"No query could be used: {skipped[0][2] if skipped else 'the folder is empty.'}")
    return Beyond(tuple(variants), {alteration: np.array(scores).transpose(1, 0, 2)
                                    for alteration, scores in found.items()}, people, tuple(skipped))


def _reordered(hits: np.ndarray, found: Reranked) -> np.ndarray:
    """hits: bool (n,), by rank. The same after the first of them were re-ranked."""
    order = found.order.numpy()
    return np.concatenate([hits[order], hits[len(order):]])
