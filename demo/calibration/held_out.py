"""Do thresholds hold for photos of a kind that they were not set on? Each source judged by the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from demo.calibration.keys import KINDS, PLAIN
from demo.calibration.reference import Reference
from demo.calibration.threshold import careful_threshold
from demo.methods import Method


@dataclass(frozen=True)
class HeldOut:
    """Pairs of one source, of which one photo may be altered, by the threshold that all other sources give. different:
    share of the pairs of one person that are called different, None without such pairs; same: of strangers."""

    source: str
    method: str
    kind: str
    different: float | None
    same: float


def held_out(reference: Reference, methods: Sequence[Method]) -> list[HeldOut]:
    """Every source, method and alteration in turn, where the others have pairs of one person."""
    found = []
    for method in methods:
        for kind in KINDS:
            samples = reference.samples(method, (PLAIN, kind))
            for one in samples:
                others = [(other.genuine, other.strangers) for other in samples if other is not one]
                if not any(len(genuine) for genuine, _ in others):
                    continue
                line = careful_threshold(others)
                found.append(HeldOut(
                    one.source.name, method.word, kind,
                    float(np.mean(one.genuine > line.upper)) if len(one.genuine) else None,
                    float(np.mean(one.strangers < line.lower))))
    return found
