"""The two-stage identification as one call: plain data comes back, nothing is drawn.

Stage 1 ranks the whole gallery by cosine distance of the embeddings. Stage 2 re-orders the first k by a
patch-wise distance mixed with the cosine distance (Eq. 5.1); the rest keeps its order.
"""

from __future__ import annotations

import json
import platform
import threading
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

import demo
from demo.backbones import Backbone, Features, grid_name
from demo.crossimage import Comparison, CrossImageModel, CrossReranker, load_method
from demo.errors import BadSetting, WeightsMissing
from demo.gallery import Gallery
from demo.matching import EMDResult, PatchStatistics, adapted_alpha, combined, emd
from demo.query import Clock, Options, Query, prepare_query

#: Share of the EMD in Eq. 5.1, as in the paper.
PAPER_ALPHA = 0.7
#: Galleries up to this size are prepared for a cross-image model once; of larger ones only the candidates, each time.
PREPARED_ROWS = 2000
#: As many faces of a gallery, evenly spread, tell where its patches are.
STATISTICS_ROWS = 2000


@dataclass(frozen=True)
class Match:
    """One gallery photo in a ranking. Distances: smaller is nearer; None where Stage 2 did not measure it.

    rank: from 1. row: in the gallery. cosine: 1 - cosine similarity. patch: the Stage 2 distance (EMD, H2L, ...).
    combined: Eq. 5.1. stage1_rank: its rank before re-ranking.
    """

    rank: int
    row: int
    identity: str
    path: str
    cosine: float
    patch: float | None = None
    combined: float | None = None
    stage1_rank: int = 0

    @property
    def moved(self) -> int:
        """Places gained by re-ranking (negative: lost)."""
        return self.stage1_rank - self.rank

    @property
    def distance(self) -> float:
        """What the ranking it stands in goes by."""
        return self.cosine if self.combined is None else self.combined


@dataclass(frozen=True)
class Identification:
    """Everything an identification found. stage1, stage2: the whole gallery ranked (stage2 empty for "none").

    emd: distances, flows and weights of the first k of stage1, in that order; None unless stage2 is "emd".
    timings_ms: step → milliseconds. truth: the query's identity, where the caller knows it.
    """

    query: Query
    stage1: tuple[Match, ...]
    stage2: tuple[Match, ...]
    emd: EMDResult | None
    options: Options
    provenance: dict
    timings_ms: dict[str, float]
    truth: str | None = None

    @property
    def ranking(self) -> tuple[Match, ...]:
        """The final ranking."""
        return self.stage2 or self.stage1

    def as_json(self, top: int | None = None) -> dict:
        """The answer as plain data; ``top`` keeps the first few of each ranking."""
        options = self.options
        return {
            "query": {**self.query.as_json(options), "identity": self.truth},
            "stage1": [{"rank": m.rank, "identity": m.identity, "path": m.path, "cosine": m.cosine}
                       for m in self.stage1[:top]],
            "stage2": [{"rank": m.rank, "identity": m.identity, "path": m.path, "cosine": m.cosine,
                        options.stage2: m.patch, "combined": m.combined} for m in self.stage2[:top]],
            "settings": {
                "stage2": options.stage2, "weighting": options.weighting, "alpha": options.alpha, "k": options.k,
                "grid": grid_name(self.emd.grid) if self.emd else None,
                "solver": self.emd.solver if self.emd else None, "share": options.share if self.emd else None,
                "adaptive": options.adaptive if self.emd else None, "detector": options.detector, **self.provenance,
            },
            "timings_ms": {step: round(ms, 2) for step, ms in self.timings_ms.items()},
        }


def json_text(data) -> str:
    """An answer as the JSON text that every way of asking gives."""
    return json.dumps(data, indent=1, ensure_ascii=False)


class Identifier:
    """A backbone and a gallery, ready to identify. Calls leave no trace, so threads may share one.

    model: re-ranks by this cross-image model instead of the one of its kind that comes with the app; it must work on
    the backbone.
    """

    def __init__(self, backbone: Backbone, gallery: Gallery, model: CrossImageModel | None = None):
        if gallery.manifest.weights_sha256 != backbone.weights_sha256:
            raise BadSetting(f"The gallery {gallery.name} was not built with the loaded {backbone.name} weights.")
        if model is not None and model.backbone.weights_sha256 != backbone.weights_sha256:
            raise BadSetting(f"This Model {model.kind} works on its own {model.backbone.name} backbone: use that one.")
        self.backbone = backbone
        self.gallery = gallery
        self.model = model
        self._lock = threading.Lock()
        self._cross: dict[str, tuple[Comparison, Any]] = {}

    def identify(self, photo, *, stage2: str | None = "emd", truth: str | None = None, **options) -> Identification:
        """Identify the person in a photo (anything ``load_photo`` takes).

        stage2: a word of STAGE2; None and "none" are Stage 1 only. truth: the identity, where known, only passed on.
        options: the other fields of ``demo.query.Options``. Raises BadPhoto, NoFace or BadSetting.
        """
        try:
            chosen = Options(stage2=stage2 or "none", **options)
        except TypeError:
            unknown = sorted(set(options) - {spec.name for spec in fields(Options)})
            raise BadSetting(f"Unknown setting {', '.join(unknown)}.") from None
        chosen.check()
        clock = Clock(self.backbone.device)
        query = prepare_query(photo, self.backbone, chosen, clock, self.gallery)
        return self.rank(query, chosen, clock=clock, truth=truth)

    def rank(self, query: Query, options: Options, *, clock: Clock | None = None, truth: str | None = None,
             exclude: Sequence[int] = ()) -> Identification:
        """Rank the gallery for a prepared query. exclude: rows to leave out (the query's own photo, say)."""
        clock = clock or Clock(self.backbone.device)
        with clock.step("search"):
            distances, rows = self.gallery.search(query.features.embedding)
            pairs = list(zip(rows.tolist(), distances.tolist(), strict=True))
            if exclude:
                left_out = set(exclude)
                pairs = [pair for pair in pairs if pair[0] not in left_out]
            entries = self.gallery.entries
            stage1 = tuple(
                Match(rank, row, entries[row].identity, entries[row].path, cosine, stage1_rank=rank)
                for rank, (row, cosine) in enumerate(pairs, start=1)
            )
        stage2, result = (), None
        if options.stage2 != "none":
            options = replace(options, alpha=self.alpha(options, query.features))
            stage2, result = self._rerank(query, stage1, options, clock)
        used = self.provenance()
        if stage2 and result is None:
            used["stage2_weights_sha256"] = self.comparison(options.stage2)[0].model.sha256
        return Identification(query, stage1, stage2, result, options, used, clock.total(), truth)

    def _rerank(self, query: Query, stage1: tuple[Match, ...], options: Options,
                clock: Clock) -> tuple[tuple[Match, ...], EMDResult | None]:
        head, tail = stage1[:options.k], stage1[options.k:]
        patch, result = self.measure(query.features, [match.row for match in head], options, clock)
        cosine = torch.tensor([match.cosine for match in head], dtype=torch.float64)
        mixed = combined(cosine, patch, options.alpha)
        order = torch.sort(mixed, stable=True).indices.tolist()
        first = tuple(
            replace(head[slot], rank=rank, patch=float(patch[slot]), combined=float(mixed[slot]))
            for rank, slot in enumerate(order, start=1)
        )
        return first + tail, result

    def measure(self, features: Features, rows: Sequence[int], options: Options,
                clock: Clock) -> tuple[Tensor, EMDResult | None]:
        """Stage 2 distances (k,), float64, of a query's features to some gallery rows; with "emd" all behind them."""
        if options.stage2 == "emd":
            with clock.step("patches"):
                candidates = self.gallery.features(rows, options.grid)
            with clock.step("emd"):
                result = emd(features, candidates, options.weighting, options.solver, options.grid,
                             options.share)
                return result.distance.double().cpu(), result
        comparison, prepared = self.comparison(options.stage2)
        with clock.step("patches"):
            candidates = (comparison.prepare(self.gallery.features(rows)) if prepared is None
                          else prepared[torch.tensor(rows, device=self.backbone.device)])
        with clock.step(options.stage2):
            return comparison.distances(features, candidates).double().cpu(), None

    def comparison(self, stage2: str) -> tuple[Comparison, Any]:
        """A cross-image model for this backbone and the whole gallery prepared for it (None for a large gallery).

        Loaded and prepared on first use. WeightsMissing where no weights come for this backbone.
        """
        with self._lock:
            if stage2 not in self._cross:
                given = self.model is not None and self.model.kind == stage2.upper()
                comparison = CrossReranker(self.model) if given else load_method(stage2.upper(), self.backbone)
                small = len(self.gallery) <= PREPARED_ROWS
                prepared = comparison.prepare(self.gallery.features(range(len(self.gallery)))) if small else None
                self._cross[stage2] = comparison, prepared
            return self._cross[stage2]

    def h2l(self) -> CrossImageModel | None:
        """The H2L of this backbone, or None where no weights come for it."""
        try:
            return self.comparison("h2l")[0].model
        except WeightsMissing:
            return None

    def alpha(self, options: Options, features: Features) -> float:
        """Share of the Stage 2 distance for a query (features of one face): the one asked for or the method's own,
        raised where it shall adapt."""
        alpha = options.alpha
        if alpha is None:
            alpha = PAPER_ALPHA if options.stage2 == "emd" else self.comparison(options.stage2)[0].model.alpha
        if options.adaptive and options.stage2 == "emd":
            patches = features.at(self.gallery.manifest.grids[0]).patches
            alpha = adapted_alpha(alpha, self._statistics.displacement(patches))
        return alpha

    @cached_property
    def _statistics(self) -> PatchStatistics:
        """Of the gallery on its first grid."""
        step = -(-len(self.gallery) // STATISTICS_ROWS)
        return PatchStatistics.of(self.gallery.features(range(0, len(self.gallery), step)).patches)

    def provenance(self) -> dict:
        """What the numbers were made with."""
        return {
            "backbone": self.backbone.name, "weights_sha256": self.backbone.weights_sha256,
            "gallery": self.gallery.name, "gallery_sha256": self.gallery.sha256,
            "version": demo.__version__, "torch": torch.__version__, "python": platform.python_version(),
            "device": str(self.backbone.device),
        }
