"""The scores that judge explanations: similarity by a method, mixed with the cosine as its ranking is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from demo.backbones import Features
from demo.explain import Importance
from demo.methods import METHODS, STAGE1, Method, rerank

#: Versions of a face that are compared at a time.
_BATCH = 64


@dataclass(frozen=True)
class Judge:
    """score: its name in tables. method: ready, asked with these options (None = its defaults)."""

    score: str
    method: Method
    options: Any = None

    def similarity(self, versions: Features, candidate: Features) -> np.ndarray:
        """1 - distance (M,) of M versions of a face to a candidate (features of one face)."""
        measured = self._distances(self.method, versions, candidate, self.options)
        if self.method.reranks:
            cosine = self._distances(STAGE1(self.method.backbone), versions, candidate, None)
            alpha = self.method.alpha
            assert alpha is not None  # every method that re-ranks has one
            measured = rerank(cosine, measured, alpha).distances
        return (1 - measured).numpy()

    @staticmethod
    @torch.inference_mode()
    def _distances(method: Method, versions: Features, candidate: Features, options: Any) -> Tensor:
        parts = []
        for start in range(0, len(versions), _BATCH):
            some = versions[start:start + _BATCH]
            parts.append(method.pairs(some, candidate[[0] * len(some)], options).double().cpu())
        return torch.cat(parts)


def judges_of(named: Sequence[Importance], method: Callable[[str], Method]) -> dict[str, list[Judge]]:
    """Method → a judge per setting that is explained, in the order of METHODS. The first stands for the method.

    method: word → the method, ready.
    """
    found: dict[str, dict[str, Judge]] = {}
    for word in METHODS:
        for each in named:
            if each.method == word:
                found.setdefault(word, {}).setdefault(each.score, Judge(each.score, method(word), each.options))
    return {word: list(judges.values()) for word, judges in found.items()}
