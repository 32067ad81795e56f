"""What an evaluation found of each query, as a file from which any difference can be tested."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from demo.errors import BadSetting
from demo.evaluation.metrics import score_places
from demo.evaluation.naming import setting_name
from demo.files import write_whole
from demo.methods import Matching

#: A line per query and ranking. first_right: rank of the first photo of the right person, from 1. The scores are
#: percent, so that the mean of a column is what the table shows. skipped: why the query could not be used; it has one
#: line then, and no ranking.
COLUMNS = ("query", "identity", "alteration", "seed", "ranking", "first_right", "P@1", "RP", "MAP@R", "skipped")
STAGE1 = "Stage 1"


@dataclass(frozen=True)
class QueryScore:
    """Of one query in one ranking. first_right: rank of the first right photo. scores: P@1, RP and MAP@R, 0 to 1."""

    first_right: int
    scores: tuple[float, float, float]

    @classmethod
    def of(cls, places: np.ndarray, relevant: int) -> QueryScore:
        """places: where the right photos stand, from 0, growing, at least one. relevant: R."""
        return cls(int(places[0]) + 1, score_places(places, relevant))


@dataclass(frozen=True)
class QueryRecord:
    """One query. path, identity: as it was given. alteration, seed: what was done to it. rankings: setting (None =
    Stage 1) → its score. skipped: why it could not be used, else empty."""

    path: str
    identity: str
    alteration: str | None
    seed: int
    rankings: Mapping[Matching | None, QueryScore] = field(default_factory=dict)
    skipped: str = ""


def per_query_csv(records: Sequence[QueryRecord]) -> str:
    """The records as the lines of a CSV file with the header COLUMNS."""
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow(COLUMNS)
    for one in records:
        start = (one.path, one.identity, one.alteration or "", one.seed)
        if one.skipped:
            lines.writerow((*start, "", "", "", "", "", one.skipped))
        for setting, score in one.rankings.items():
            name = STAGE1 if setting is None else f"Stage 2, {setting_name(setting)}"
            lines.writerow((*start, name, score.first_right, *(round(100 * value, 6) for value in score.scores), ""))
    return out.getvalue()


def write_per_query(records: Sequence[QueryRecord], file: Path) -> None:
    """Write ``per_query_csv``, whole or not at all. BadSetting where it cannot be written."""
    try:
        write_whole(file, per_query_csv(records))
    except OSError as error:
        raise BadSetting(f"{file.name} cannot be written ({error.strerror}): choose another place.") from None
