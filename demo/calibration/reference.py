"""Distances measured on other people than a gallery's: one file of numbers per backbone, which comes with the app."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from demo.backbones import Backbone
from demo.calibration.arrays import Damaged, fit, read_arrays
from demo.calibration.keys import PAIRS, PLAIN, STRANGERS, array_key
from demo.files import write_whole
from demo.methods import STAGE1, Method
from demo.places import ASSETS

log = logging.getLogger("demo")

#: Raise it when what is measured changes; older files are not read.
VERSION = 2
#: So many nearest strangers are kept each by itself; of the others as many ranks, further and further apart.
_EACH = 10
#: Points that a distribution of nearest strangers is told by.
_POINTS = 400
#: So many distributions are remembered; where α follows the photo, each has its own.
_REMEMBERED = 256
#: What was read: file, weights and time → numbers.
_SHIPPED: dict[tuple[str, str, int], Reference] = {}


@dataclass(frozen=True)
class SourceInfo:
    """Photos of one kind. name: for people. index: hash of the index that was measured. others: strangers that each
    query met. soft: softened first. sharpness: kind of alteration → what only a hundredth of its photos stay below."""

    name: str
    index: str
    people: int
    photos: int
    others: int
    soft: bool
    sharpness: dict[str, float]


@dataclass(frozen=True)
class Sample:
    """Of one source the distances of a method for photos altered in two ways: float64 (g,) of pairs of one person,
    empty where nobody has two photos; (s,) of pairs of strangers."""

    source: SourceInfo
    genuine: np.ndarray
    strangers: np.ndarray


def strata(total: int) -> tuple[np.ndarray, np.ndarray]:
    """Ranks (from 0) at which some of ``total`` strangers are kept, and how many each stands for: the first _EACH
    themselves, then one from the middle of each of _EACH ranges whose ends grow geometrically."""
    each = np.arange(min(_EACH, total))
    if total <= _EACH:
        return each, np.ones(total, int)
    ends = np.unique(np.rint(np.geomspace(_EACH, total, _EACH + 1)).astype(int))
    return (np.concatenate([each, (ends[:-1] + ends[1:] - 1) // 2]),
            np.concatenate([np.ones(_EACH, int), np.diff(ends)]))


class Reference:
    """What is known of a backbone. sources: by name. An empty one knows nothing."""

    def __init__(self, backbone: Backbone, sources: Mapping[str, SourceInfo], arrays: Mapping[str, np.ndarray]):
        self.backbone = backbone
        self.sources = dict(sources)
        self.arrays = dict(arrays)
        self._nearest: dict[tuple, list[np.ndarray]] = {}

    @classmethod
    def read(cls, file: Path, backbone: Backbone) -> Reference:
        """What is in a file; nothing where there is none that can be used and belongs to the backbone's weights."""
        try:
            told, arrays = read_arrays(file)
            if told.get("version") == str(VERSION) and told.get("backbone_sha256") == backbone.weights_sha256:
                sources = {one["name"]: SourceInfo(**one) for one in json.loads(told["sources"])}
                if all(map(_is_source, sources.values())) and _fit(sources, arrays):
                    return cls(backbone, sources, arrays)
                raise Damaged("Arrays and sources do not belong together.")
        except FileNotFoundError:
            pass
        except (Damaged, LookupError, TypeError, ValueError, RecursionError):
            log.warning("%s is damaged and left out: delete it, or measure it again.", file)
        return cls(backbone, {}, {})

    @classmethod
    def shipped(cls, backbone: Backbone) -> Reference:
        """The numbers that were measured on this machine, else those that come with the app; kept while they are asked
        for again."""
        own = backbone.info.folder and backbone.info.folder / reference_file(backbone)
        file = own if own and own.is_file() else ASSETS / reference_file(backbone)
        key = str(file), backbone.weights_sha256, file.stat().st_mtime_ns if file.is_file() else 0
        if key not in _SHIPPED:
            found = cls.read(file, backbone)
            _SHIPPED[key] = found if found.sources or file != own else cls.read(
                ASSETS / reference_file(backbone), backbone)
        return _SHIPPED[key]

    def write(self, file: Path) -> None:
        """Keep it, whole or not at all."""
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, save({key: np.ascontiguousarray(values) for key, values in sorted(self.arrays.items())},
                               metadata={
            "version": str(VERSION), "backbone": self.backbone.name, "backbone_sha256": self.backbone.weights_sha256,
            "sources": json.dumps([asdict(one) for one in self.sources.values()])}))

    def holds(self, source: str, index: str, method: Method) -> bool:
        """Whether a method was measured on these photos."""
        return source in self.sources and self.sources[source].index == index and (
            array_key(PAIRS, method, source, PLAIN, PLAIN, "strangers") in self.arrays)

    def having(self, info: SourceInfo, arrays: Mapping[str, np.ndarray], methods: Sequence[Method]) -> Reference:
        """A copy with what was measured of a source. What other photos of it, or methods with other weights than these
        gave is left out."""
        known = self.sources.get(info.name)
        begin = tuple(array_key(section, method, "") for section in (PAIRS, STRANGERS) for method in methods)
        kept = {key: values for key, values in self.arrays.items() if key.startswith(begin) and (
            key.split("/")[4] != info.name or (known is not None and known.index == info.index))}
        return Reference(self.backbone, {**self.sources, info.name: info}, {**kept, **arrays})

    def samples(self, method: Method, kinds: Sequence[str]) -> list[Sample]:
        """Pairs of every source that has them."""
        found = []
        for name, info in self.sources.items():
            genuine, strangers = (self.arrays.get(array_key(PAIRS, method, name, *kinds, which))
                                  for which in ("genuine", "strangers"))
            if genuine is not None and strangers is not None:
                found.append(Sample(info, genuine.astype(float), strangers.astype(float)))
        return found

    def nearest(self, method: Method, kind: str, alpha: float, count: int) -> list[np.ndarray]:
        """Of every source the distribution of the nearest of ``count`` strangers, as sorted (n,) quantiles. alpha: the
        share of the method's distance beside the cosine's.

        A query that has c(d) of its N strangers within d has one of ``count`` drawn from them there with probability
        1 - (1 - c(d) / N)^count; this is the mean over the queries, inverted.
        """
        asked = method.key, kind, round(alpha, 6), count
        if asked in self._nearest:
            return self._nearest[asked]
        found = []
        for name, info in self.sources.items():
            cosine, patch = (self.arrays.get(array_key(STRANGERS, one, name, kind))
                             for one in (STAGE1(self.backbone), method))
            if cosine is not None and patch is not None:
                mixed = (alpha * patch.astype(float) + (1 - alpha) * cosine.astype(float))
                found.append(_nearest_of(mixed, strata(info.others)[1], info.others, count))
        if len(self._nearest) >= _REMEMBERED:
            self._nearest.clear()
        self._nearest[asked] = found
        return found


def _nearest_of(distances: np.ndarray, counts: np.ndarray, total: int, count: int) -> np.ndarray:
    """(queries, ranks) distances, each of which stands for so many of ``total`` → quantiles (_POINTS,)."""
    at = np.unique(distances)
    within = np.zeros((len(distances), len(at)))
    for row, own in enumerate(distances):
        order = np.argsort(own)
        within[row] = np.concatenate([[0], np.cumsum(counts[order])])[np.searchsorted(own[order], at, side="right")]
    reached = (1 - (1 - np.minimum(within / total, 1)) ** count).mean(0)
    return at[np.minimum(np.searchsorted(reached, (np.arange(_POINTS) + 0.5) / _POINTS), len(at) - 1)]


def _is_source(one: SourceInfo) -> bool:
    texts, counts = (one.name, one.index), (one.people, one.photos, one.others)
    return (all(isinstance(text, str) for text in texts) and all(type(count) is int and count > 0 for count in counts)
            and isinstance(one.soft, bool) and isinstance(one.sharpness, dict)
            and all(isinstance(value, int | float) and math.isfinite(value) for value in one.sharpness.values()))


def _fit(sources: Mapping[str, SourceInfo], arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether every array is of a source, and as it is written: of pairs (n,), of strangers (queries, ranks)."""
    return fit(arrays, {(STRANGERS, 5): 2, (PAIRS, 7): 1}) and all(
        (name := key.split("/")[4]) in sources
        and (values.ndim == 1 or values.shape[1] == len(strata(sources[name].others)[0]) and len(values))
        for key, values in arrays.items())


def reference_file(backbone: Backbone) -> str:
    """What the file of a backbone is called."""
    return f"calibration-{backbone.name}.safetensors"
