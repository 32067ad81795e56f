"""How far somebody gets without comparing faces: by hair colour, sex, beard, light, or the colour of the picture alone.

In a gallery whose people differ in such things while each person's photos do not, "same hair colour?" answers most
pairs. So pairs of two people are matched on them, and what the best such rule still reaches is told (docs/method.md).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

import cv2
import numpy as np

from demo.errors import BadStudy
from demo.files import read_regular
from demo.study.design.document import LARGEST

#: A file of a gallery's folder with a row for every photo.
METADATA = "metadata.csv"
#: Above this share of right answers a shortcut makes a study worthless.
MOST = 0.65
#: Columns that say which photo it is.
_KEYS = ("identity", "photo", "split")
#: A column with more different values than this is a quantity.
_FEW = 20
#: The rule that needs no metadata.
COLOUR = "colour of the upper half"


@dataclass(frozen=True)
class Traits:
    """What is written of a gallery's photos. words, numbers: column → {(person, photo) → value}. fixed: columns of
    words that never vary within a person."""

    words: Mapping[str, Mapping[tuple[str, str], str]] = field(default_factory=dict)
    numbers: Mapping[str, Mapping[tuple[str, str], float]] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()

    @classmethod
    def read(cls, file: Path) -> Traits:
        """From a CSV file with the columns ``identity`` and ``photo`` (the file's name). BadStudy where it cannot be
        read."""
        try:
            rows = list(csv.DictReader(StringIO(read_regular(file, LARGEST).decode("utf-8"), newline="")))
        except (OSError, UnicodeDecodeError, csv.Error):
            raise BadStudy(f"The metadata {file} cannot be read: give a CSV file.") from None
        if not rows or not {"identity", "photo"} <= set(rows[0]) or any(None in row or None in row.values()
                                                                         for row in rows):
            raise BadStudy(f"The metadata {file} must have the columns identity and photo, and all rows as many cells.")
        words, numbers, fixed = {}, {}, []
        for column in [name for name in rows[0] if name not in _KEYS]:
            values = {(row["identity"], row["photo"]): row[column] for row in rows}
            quantities = {key: number for key, text in values.items() if (number := _number(text)) is not None}
            if len(set(values.values())) > _FEW:
                if len(quantities) == len(values):
                    numbers[column] = quantities
                continue
            words[column] = values
            own: dict[str, set[str]] = {}
            for (person, _), value in values.items():
                own.setdefault(person, set()).add(value)
            if all(len(found) == 1 for found in own.values()):
                fixed.append(column)
        return cls(words, numbers, tuple(fixed))

    def unlike(self, one: tuple[str, str], other: tuple[str, str]) -> int:
        """In how many of the fixed traits two photos differ."""
        return sum(self.words[name].get(one) != self.words[name].get(other) for name in self.fixed)

    def equal(self, one: tuple[str, str], other: tuple[str, str]) -> dict[str, bool]:
        """Column of words → whether two photos have the same value."""
        return {name: values.get(one) == values.get(other) for name, values in self.words.items()}


def tint(crop: np.ndarray) -> np.ndarray:
    """Mean colour of the upper half of an aligned face (skin, hair, light), CIE Lab, (3,); a mask covers none of it."""
    half = crop[:crop.shape[0] // 2]
    lab = cv2.cvtColor(half.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return lab.reshape(-1, 3).mean(0)


def accuracies(same: Sequence[bool], equal: Mapping[str, Sequence[bool]],
               apart: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Rule → share of the pairs that it gets right, the better of it and its opposite. equal: "the same value: the same
    person"; all of them together is a rule too. apart: "nearer than the middle pair: the same person"."""
    truth = np.asarray(same, bool)
    answers: dict[str, np.ndarray] = {f"same {name}": np.asarray(values, bool) for name, values in equal.items()}
    if len(answers) > 1:
        answers["all of these the same"] = np.all(list(answers.values()), axis=0)
    answers |= {f"near in {name}": np.asarray(values) < np.median(values) for name, values in apart.items()}
    shares = {rule: float((said == truth).mean()) for rule, said in answers.items()}
    return {rule: max(share, 1 - share) for rule, share in shares.items()}


def refuse(found: Mapping[str, float], force: bool) -> None:
    """Raise BadStudy where a shortcut is right too often, unless ``force``."""
    rule, share = best(found)
    if share > MOST and not force:
        raise BadStudy(f"Without comparing faces, the rule {rule!r} is right in {100 * share:.0f} % of the test pairs "
                       f"(at most {100 * MOST:.0f} %): take a larger gallery or another seed, or insist with --force.")


def best(found: Mapping[str, float]) -> tuple[str, float]:
    """The rule that is right most often, and how often."""
    return max(found.items(), key=lambda one: one[1]) if found else ("none", 0.0)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None

