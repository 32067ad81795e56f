"""The stimuli of a study: a folder of pictures with opaque names, and beside it the facts that are never served.

``study.json`` is the configuration, ``stimuli.json`` the pairs and what every method said of them, ``pictures/`` all
that a participant's browser may ask for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from demo.errors import BadStudy
from demo.study.design.cells import check_sets
from demo.study.design.config import StudyConfig, canonical_json, text_sha256
from demo.study.design.document import read_object
from demo.weights import sha256

CONFIG, FACTS, PICTURES = "study.json", "stimuli.json", "pictures"
#: Longest text in a row, and longest provenance as JSON.
_LONGEST, _LONGEST_MADE = 2000, 500_000
#: What is told of the provenance as numbers by names.
_TOLD = ("wrong", "shortcuts", "position_pattern")
_Row = TypeVar("_Row", "Pair", "Render")
_NAME = re.compile(r"[0-9a-f]{24}\.webp")


@dataclass(frozen=True)
class Pair:
    """Two photos. set_id: "A", "B", ..., ``design.TRAINING`` or ``design.ATTENTION``. img1_id, img2_id: paths in the
    gallery (or the queries). occl1, occl2: "none", "mask" or "glasses". face1, face2: files in ``pictures``.
    check_kind: of an attention check "identical" (one photo twice), "different" (two people who look nothing alike) or
    "instructed" (the question says what to answer, and ``same`` is that answer)."""

    pair_id: str
    set_id: str
    img1_id: str
    img2_id: str
    same: bool
    occl1: str
    occl2: str
    source1_sha256: str
    source2_sha256: str
    face1: str
    face2: str
    face1_sha256: str
    face2_sha256: str
    check_kind: str = ""


@dataclass(frozen=True)
class Render:
    """The middle of a pair in one condition: panel1 belongs to the first photo, panel2 to the second.

    score: the method's distance (smaller is nearer). threshold: it says "same" up to here. model_pred: its decision,
    1 = same. All three and model_correct are None where no method is shown. params: what the panel was drawn with.
    """

    pair_id: str
    condition: str
    panel1: str
    panel2: str
    panel1_sha256: str
    panel2_sha256: str
    model_id: str | None = None
    score: float | None = None
    threshold: float | None = None
    model_pred: int | None = None
    model_correct: int | None = None
    params: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Stimuli:
    """What ``study make`` wrote. neutral: the picture that stands in the middle where nothing is explained.

    provenance: gallery, weights, seed and versions that the stimuli were made with.
    """

    folder: Path
    pairs: tuple[Pair, ...]
    renders: tuple[Render, ...]
    neutral: str
    provenance: dict

    @classmethod
    def read(cls, folder: str | Path) -> Stimuli:
        """The stimuli of a folder; BadStudy where there are none or they cannot be read."""
        folder = Path(folder)
        try:
            data = read_object(folder / FACTS)
            pairs, renders = _rows(Pair, data, "pairs"), _rows(Render, data, "renders")
            _check_rows(pairs, renders)
            _check_made(data.get("provenance"))
            if not _is(data.get("neutral"), str):
                raise BadStudy("neutral is not the name of a picture")
        except FileNotFoundError:
            raise BadStudy(f"{folder} holds no study: make one with `python -m demo study make`.") from None
        except OSError as error:
            raise BadStudy(f"{folder / FACTS} cannot be read ({error.strerror}): make the stimuli again.") from None
        except BadStudy as error:
            raise BadStudy(f"{folder / FACTS} is damaged ({error}): make the stimuli again.") from None
        return cls(folder, pairs, renders, data["neutral"], data["provenance"])

    def write(self) -> None:
        """Write ``stimuli.json``, whole or not at all."""
        data = {"neutral": self.neutral, "pairs": [_told(pair) for pair in self.pairs],
                "renders": [asdict(render) for render in self.renders], "provenance": self.provenance}
        partial = self.folder / (FACTS + ".part")
        partial.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        partial.replace(self.folder / FACTS)

    @property
    def sha256(self) -> str:
        """Hash of all pairs and renders, which hold the hashes of all pictures."""
        return text_sha256(canonical_json([self.neutral, [_told(pair) for pair in self.pairs],
                                           [asdict(render) for render in self.renders]]))

    @property
    def sets(self) -> dict[str, list[str]]:
        """Set name → pair ids."""
        sets: dict[str, list[str]] = {}
        for pair in self.pairs:
            sets.setdefault(pair.set_id, []).append(pair.pair_id)
        return sets

    @property
    def same(self) -> dict[str, bool]:
        """Pair id → whether both photos show one person."""
        return {pair.pair_id: pair.same for pair in self.pairs}

    @cached_property
    def picture_hashes(self) -> dict[str, str]:
        """File name → SHA-256 of every picture that a pair or a render refers to."""
        hashes = {}
        for pair in self.pairs:
            hashes |= {pair.face1: pair.face1_sha256, pair.face2: pair.face2_sha256}
        for render in self.renders:
            hashes |= {render.panel1: render.panel1_sha256, render.panel2: render.panel2_sha256}
        return hashes

    def picture(self, name: str) -> Path:
        """The file of a picture that may be served; BadStudy for anything else, without touching the disk."""
        if not _NAME.fullmatch(name) or name not in self.picture_hashes:
            raise BadStudy("There is no such picture in this study.")
        return self.folder / PICTURES / name

    def check(self, config: StudyConfig) -> None:
        """Raise BadStudy where the stimuli do not serve a configuration: too few pairs, a condition not drawn."""
        check_sets(config, self.sets, self.same)
        drawn = {(render.pair_id, render.condition) for render in self.renders}
        for condition in config.conditions:
            if any((pair.pair_id, condition) not in drawn for pair in self.pairs):
                raise BadStudy(f"The stimuli have no pictures for the condition {condition!r}: make them with it.")

    def problems(self) -> list[str]:
        """One sentence for each picture that is missing, changed or not known."""
        hashes, place = self.picture_hashes, self.folder / PICTURES
        present = {file.name for file in place.iterdir()} if place.is_dir() else set()
        found = [f"The picture {name} is missing." for name in sorted(set(hashes) - present)]
        found += [f"The picture {name} is not as it was made." for name in sorted(present & set(hashes))
                  if not (place / name).is_file() or sha256(place / name) != hashes[name]]
        found += [f"The file {name} does not belong among the pictures." for name in sorted(present - set(hashes))]
        return found


def _rows(kind: type[_Row], data: dict, name: str) -> tuple[_Row, ...]:
    """The rows in a list of JSON objects. BadStudy, with a part of a sentence, where one is not of its kind."""
    found = data.get(name)
    if not isinstance(found, list):
        raise BadStudy(f"{name} is not a list")
    return tuple(_row(kind, row, f"{name}, number {at}") for at, row in enumerate(found, start=1))


def _row(kind: type[_Row], data: Any, where: str) -> _Row:
    hints = _hints(kind)
    if not isinstance(data, dict):
        raise BadStudy(f"{where} is not an object")
    needed = {one.name for one in fields(kind) if one.default is MISSING and one.default_factory is MISSING}
    wrong = [*sorted(needed - set(data)), *sorted(set(data) - set(hints)),
             *(name for name in hints if name in data and not _is(data[name], hints[name]))]
    if wrong:
        raise BadStudy(f"{wrong[0]} of {where} is not what it should be")
    return kind(**data)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _is(value: Any, hint: Any) -> bool:
    """Whether a value of JSON is of a kind; whole numbers are numbers, and no text is longer than a name."""
    kinds = get_args(hint) or (hint,)
    if isinstance(value, str):
        return str in kinds and len(value) <= _LONGEST
    return type(value) in kinds or (type(value) is int and float in kinds and abs(value) <= 2**53)


def _check_rows(pairs: Sequence[Pair], renders: Sequence[Render]) -> None:
    """Raise BadStudy, with a part of a sentence, for rows that no table can hold together."""
    known = {pair.pair_id for pair in pairs}
    if len(known) != len(pairs):
        raise BadStudy("two pairs have one pair_id")
    if len({(one.pair_id, one.condition) for one in renders}) != len(renders):
        raise BadStudy("two renders are of one pair and condition")
    for one in renders:
        if one.pair_id not in known:
            raise BadStudy(f"a render is of the pair {one.pair_id!r}, which there is not")
        if not {one.model_pred, one.model_correct} <= {0, 1, None}:
            raise BadStudy(f"the decision about the pair {one.pair_id!r} is neither 0 nor 1")


def _check_made(made: Any) -> None:
    """Raise BadStudy, with a part of a sentence, for a provenance that cannot be told."""
    if not isinstance(made, dict) or len(canonical_json(made)) > _LONGEST_MADE:
        raise BadStudy("provenance is not an object, or is too long")
    for name in _TOLD:
        one = made.get(name, {})
        if not isinstance(one, dict) or not all(_is(value, float | None) for value in one.values()):
            raise BadStudy(f"{name} of provenance does not hold numbers by their names")
        if name != "position_pattern" and None in one.values():
            raise BadStudy(f"{name} of provenance lacks a number")
    for name, value in made.items():
        if name.endswith("_sha256") and not _is(value, str | None):
            raise BadStudy(f"{name} of provenance is no text")


def _told(pair: Pair) -> dict:
    """A pair as data; what it is no check of is left out, as before there were several kinds, so that hashes stay."""
    row = asdict(pair)
    if not pair.check_kind:
        del row["check_kind"]
    return row


def read_study(folder: str | Path) -> tuple[StudyConfig, Stimuli]:
    """Configuration and stimuli of a folder, checked against each other."""
    stimuli = Stimuli.read(folder)
    config = StudyConfig.read(stimuli.folder / CONFIG)
    stimuli.check(config)
    return config, stimuli

