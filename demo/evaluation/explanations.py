"""The explanations that are put to the test: importance of each patch of the query, and the score it should explain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from demo.backbones import Features
from demo.crossimage import CrossImageModel, CrossReranker, cross_correlation, pair_maps
from demo.figures import attention_maps
from demo.identify import PAPER_ALPHA
from demo.matching import WEIGHTINGS, combined, emd

#: The models asked: C is the embedding alone, D the EMD and H2L the cross-image model, both combined with C (Eq. 5.1).
MODELS = ("C", "D", "H2L")
#: D where no weighting is part of the explanation.
DEFAULT_WEIGHTING = "apc"
#: Weightings whose flow is judged too: the default, and the one whose weights say nothing, so that the flow must.
FLOWS = ("apc", "uniform")
#: Of the mass, where partial transport is asked what it leaves unmatched.
SHARE = 0.7


@dataclass(frozen=True)
class Explanation:
    """values: (P,) importance of the query's patches, not negative. model: the one of MODELS that it explains.
    weighting: of D."""

    name: str
    model: str
    values: np.ndarray
    weighting: str = DEFAULT_WEIGHTING

    @property
    def score(self) -> str:
        """The score that judges it, a key of what ``scores`` returns."""
        return f"D {self.weighting}" if self.model == "D" else self.model


def explanations(query: Features, candidate: Features, model: CrossImageModel | None) -> list[Explanation]:
    """Everything that can be shown of a pair (features of one face each), on the query's patches, default grid.

    The weights of every weighting but uniform, which names no patch; the share of 1 - EMD that each patch contributes,
    sum_j f_ij (1 - d_ij); correlation with the other face of the backbone's patches; and of an H2L attention received,
    correlation, rollout and relevance.
    """
    found = []
    for name, weighting in WEIGHTINGS.items():
        if weighting.unavailable(query) or weighting.unavailable(candidate):
            continue
        moved = emd(query, candidate, name, solver="exact")
        if name != "uniform":
            found.append(Explanation(f"weights: {name}", "D", _values(moved.query_weights), name))
        if name in FLOWS:
            found.append(Explanation(f"flow: {name}", "D", _values((moved.flow * (1 - moved.ground)).sum(2)), name))
    correlation = cross_correlation(query.patches, candidate.patches)[0][0]
    found.append(Explanation("correlation of CNN patches", "C", correlation))
    if model is not None:
        maps = pair_maps(model, query, candidate)
        found += [Explanation(shown.title, "H2L", shown.query) for shown in attention_maps(maps).values()]
        found.append(Explanation("correlation of H2L patches", "H2L", maps.correlation[0]))
    return found


def unmatched(query: Features, candidate: Features) -> dict[str, np.ndarray]:
    """What partial transport leaves out of the query's patches (P,), by the weightings of FLOWS: not an order of
    importance but a guess at what is occluded."""
    found = {}
    for name in FLOWS:
        moved = emd(query, candidate, name, share=SHARE)
        found[f"unmatched: {name}, share {SHARE:g}"] = _values(moved.query_weights - moved.flow.sum(2))
    return found


def scores(versions: Features, candidate: Features, model: CrossImageModel | None,
           weightings: Sequence[str]) -> dict[str, np.ndarray]:
    """1 - distance (M,) of M versions of a query to a candidate: "C", "D <weighting>" for each, "H2L" with a model."""
    count = len(versions)
    candidates = candidate[[0] * count]
    cosine = 1 - torch.nn.functional.cosine_similarity(versions.embedding, candidate.embedding).double().cpu()
    found = {"C": 1 - cosine}
    for name in weightings:
        distance = emd(versions, candidates, name, solver="exact").distance
        found[f"D {name}"] = 1 - combined(cosine, _cpu(distance), PAPER_ALPHA)
    if model is not None:
        # Both orders are averaged, so it is the same which of the two faces is called the query.
        reranker = CrossReranker(model)
        distance = _cpu(reranker.distances(candidate, reranker.prepare(versions)))
        found["H2L"] = 1 - combined(cosine, distance, model.alpha)
    return {name: values.numpy() for name, values in found.items()}


def altered_versions(query: Features, embed: Callable[[np.ndarray], Features], crops: np.ndarray) -> Features:
    """Features of altered crops of a query; its landmarks stay where they were."""
    features = embed(crops)
    return replace(features, landmarks=None if query.landmarks is None else query.landmarks.expand(len(crops), -1, -1))


def _values(row: Tensor) -> np.ndarray:
    return _cpu(row[0]).clamp(min=0).numpy()


def _cpu(tensor: Tensor) -> Tensor:
    return tensor.double().cpu()
