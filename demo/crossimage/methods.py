"""Every row of Face-ViT's Tab 4.1 behind one interface: C, V, H1, H2, H2L and D rank candidates the same way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor
from torch.nn import functional as F

from demo.backbones import Backbone, Features
from demo.crossimage.checkpoint import load_h2l, shipped
from demo.crossimage.rerank import CrossReranker
from demo.errors import BadSetting, BadWeights, WeightsMissing
from demo.matching import emd


class Comparison(Protocol):
    """Distances from one query to candidates that were prepared once; smaller is nearer."""

    def prepare(self, features: Features) -> Any:
        """Everything about N faces that does not depend on the query; can be indexed with rows."""

    def distances(self, query: Features, candidates: Any) -> Tensor:
        """(k,) distances of the query (features of one face) to k prepared candidates."""


class CosineComparison:
    """C: 1 - cosine of the embeddings."""

    def prepare(self, features: Features) -> Tensor:
        return F.normalize(features.embedding, dim=1)

    def distances(self, query: Features, candidates: Tensor) -> Tensor:
        return 1 - candidates @ F.normalize(query.embedding[0], dim=0)


@dataclass(frozen=True)
class EmdComparison:
    """D: Earth Mover's Distance of the patches, not yet mixed with the cosine distance (Eq. 5.1)."""

    weighting: str = "apc"

    def prepare(self, features: Features) -> Features:
        return features

    def distances(self, query: Features, candidates: Features) -> Tensor:
        return emd(query, candidates, self.weighting).distance


@dataclass(frozen=True)
class Method:
    """One row. title: for people. load: (backbone, weights or None) → Comparison. trained: it needs weights of its
    own beside the backbone's."""

    name: str
    title: str
    load: Callable[[Backbone, Path | None], Comparison] = field(repr=False)
    trained: bool = False


def _reranker(kind: str) -> Callable[[Backbone, Path | None], CrossReranker]:
    def load(backbone: Backbone, weights: Path | None) -> CrossReranker:
        path = weights or shipped(kind, backbone.name)
        model = load_h2l(path, device=str(backbone.device), backbone=None if weights else backbone)
        if model.kind != kind:
            raise BadWeights(f"{Path(path).name} holds Model {model.kind}, not {kind}: choose another file.")
        return CrossReranker(model)

    return load


_ROWS = (
    Method("C", "CNN alone (cosine)", lambda backbone, weights: CosineComparison()),
    Method("V", "ViT, one image", _reranker("V"), trained=True),
    Method("H1", "Hybrid ViT, one image", _reranker("H1"), trained=True),
    Method("H2", "Hybrid ViT, two images, CLS", _reranker("H2"), trained=True),
    Method("H2L", "Hybrid ViT, two images, two outputs", _reranker("H2L"), trained=True),
    Method("D", "DeepFace-EMD", lambda backbone, weights: EmdComparison()),
)
METHODS = {method.name: method for method in _ROWS}


def load_method(name: str, backbone: Backbone, *, weights: str | Path | None = None) -> Comparison:
    """A method by its name in METHODS, ready to compare faces by their features.

    weights: a checkpoint for V, H1, H2 or H2L; default: those shipped for the backbone. A published checkpoint
    brings its own face CNN: features must come from ``comparison.model.backbone`` then. Raises BadSetting for an
    unknown name, WeightsMissing where no weights are shipped, BadWeights for a file of another model.
    """
    if name not in METHODS:
        raise BadSetting(f"Unknown method {name!r}: choose from {', '.join(METHODS)}.")
    return METHODS[name].load(backbone, Path(weights) if weights else None)


def methods_ready(backbone: Backbone | str) -> dict[str, str]:
    """Method name → "" where it is ready for this backbone (or one of that name), else one sentence that says what is
    missing."""
    answers, base = {}, backbone if isinstance(backbone, str) else backbone.name
    for name, method in METHODS.items():
        try:
            if method.trained:
                shipped(name, base)
            answers[name] = ""
        except WeightsMissing as error:
            answers[name] = str(error)
    return answers
