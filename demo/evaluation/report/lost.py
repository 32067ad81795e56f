"""Photos in which no face is found: an evaluation leaves them out, and here they also count as misses."""

from __future__ import annotations

from collections.abc import Container

import numpy as np

from demo.evaluation.interval import Interval, interval
from demo.evaluation.run import Evaluation
from demo.methods import Matching

#: The column of P@1 in which they count as misses.
LOST = "P@1, lost as misses"


def lost_photos(found: Evaluation, people: Container[str]) -> int:
    """How many queries of people who are in the gallery could not be used. people: of the gallery."""
    return sum(bool(record.skipped) and record.identity in people for record in found.records)


def p_at_1_with_lost(found: Evaluation, people: Container[str], matching: Matching | None) -> Interval:
    """P@1 in percent of a ranking, None for Stage 1, over all queries of people who are in the gallery."""
    records = [record for record in found.records if record.identity in people]
    values = [0.0 if record.skipped else 100 * record.rankings[matching].scores[0] for record in records]
    return interval(np.array(values), [record.identity for record in records])
