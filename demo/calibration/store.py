"""What a distance means for a gallery: measured on the gallery itself where it has enough people, else on others.

The gallery's own numbers are kept with its index: one file, one array per section, method and alteration. Each section
carries a version of its own: raise it when what is measured changes, and older files are measured again; nothing else
makes a file old.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from demo.calibration.arrays import Damaged, fit, read_arrays
from demo.calibration.keys import KINDS, PAIRS, PLAIN, STRANGERS, array_key, named
from demo.calibration.quality import sharpness
from demo.calibration.reference import Reference
from demo.calibration.strangers import Strangers
from demo.calibration.threshold import OWN_FAIL, Threshold, careful_threshold, set_threshold
from demo.files import write_whole
from demo.gallery import Gallery
from demo.methods import STAGE1, Matching, Method

FILE = "calibration.safetensors"
#: Section → version.
VERSIONS = {STRANGERS: 2, PAIRS: 2}
#: What the last word of a key of PAIRS says: whose photos they are.
_SIDES = ("genuine", "strangers")
#: Files that are remembered as they were read, of a megabyte or two.
_REMEMBERED = 8
#: Fewer pairs of one person say too little to set a threshold.
FEWEST = 20
#: From so many people on, a gallery says by itself how near strangers come; with so many who have two photos or more,
#: also how far off those are who are there.
ENOUGH = 30
#: Strangers resemble each other more in one country or family than in a mix of all. A gallery that says nothing by
#: itself counts as so many times larger.
CROWD = 2


@dataclass(frozen=True)
class Unfit:
    """There is no measurement for the settings or the photo in use. reason: one sentence. asked: the alteration that
    was not measured, if that is why. photo: it is the photo that is unlike any that was measured."""

    reason: str
    asked: str | None = None
    photo: bool = False


class Calibration:
    """What was measured on a gallery, read from its index as it is asked for, and what is known of other people."""

    def __init__(self, gallery: Gallery):
        self.gallery = gallery
        self.file = Path(gallery.folder) / FILE

    def write(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep arrays, by ``array_key``, in place of what was there."""
        write_whole(self.file, save(dict(arrays), metadata={"versions": json.dumps(VERSIONS)}))
        self.gallery.keep(FILE)

    @property
    def enough(self) -> bool:
        """Whether the gallery's own people with two photos suffice."""
        return self.gallery.several >= ENOUGH

    @property
    def damage(self) -> str:
        """That the gallery was measured and what is kept of it cannot be used, in a sentence; "" where that is not
        so."""
        return "" if self._measured is not None else (
            f"The calibration of the gallery {self.gallery.name} ({FILE}) is damaged and left out: index it again.")

    @cached_property
    def _measured(self) -> Mapping[str, np.ndarray] | None:
        """The arrays whose section has the version of this release; None where they are damaged."""
        try:
            found = self.file.stat()
        except OSError:
            return {}
        return _read(self.file, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)

    @property
    def _known(self) -> Mapping[str, np.ndarray]:
        return self._measured or {}

    def _read(self, keys: Sequence[str]) -> list[np.ndarray]:
        return [self._known[key] for key in keys]

    def strangers(self, method: Method, matching: Matching, alteration: str | None, alpha: float | None,
                  crop: np.ndarray | None = None) -> Strangers | Unfit:
        """The yardstick for the best match of a ranking. method: the one that re-ranked (STAGE1 for Stage 1 alone).
        alpha: its share in Eq. 5.1, None for Stage 1 alone. alteration: of the query, made or worn. crop: its aligned
        face; one that is softer than all that was measured is Unfit.

        Of a gallery that was measured and has ENOUGH people its own strangers; else those of other people, in a gallery
        of as many photos. Likewise how far off people are who are there: the gallery's own, with ENOUGH who have two
        photos, else other people.
        """
        kind, share = alteration or PLAIN, 0.0 if alpha is None else alpha
        if crop is not None and (unlike := _unlike(method, (crop,), (kind,), ("This photo",))):
            return unlike
        unfit = self._unfit(STRANGERS, method, matching, (kind,))
        if unfit is not None and (unfit.asked is not None or self._other_settings(method, matching)):
            return unfit
        nearest, source = self._nearest_others(method, kind, share)
        if unfit is None and (nearest is None or self.gallery.persons >= ENOUGH):
            nearest, source = self._nearest_own(method, kind, share)
        if nearest is None:
            assert unfit is not None
            return unfit
        return Strangers(nearest, source, self._known_distances(method, kind, share))

    def _nearest_own(self, method: Method, kind: str, alpha: float) -> tuple[np.ndarray, str]:
        """Of sampled photos the distance of the nearest stranger in the gallery, sorted, and how it was measured."""
        cosine, patch = self._read([array_key(STRANGERS, one, kind) for one in (STAGE1(method.backbone), method)])
        return np.sort((alpha * patch + (1 - alpha) * cosine).min(axis=1)), (
            f"Measured on {len(patch)} photos of this gallery{_likewise(kind)}, each compared with everybody but "
            "its own person.")

    def _nearest_others(self, method: Method, kind: str, alpha: float) -> tuple[np.ndarray | None, str]:
        """The same of other people, of the kind of photos whose strangers come nearest; None where nothing is known."""
        reference, count = Reference.shipped(method.backbone), len(self.gallery)
        nearest = reference.nearest(method, kind, alpha, CROWD * count)
        why = (f"it has fewer than {ENOUGH} people" if self.gallery.persons < ENOUGH
               else "what was measured on it is damaged" if self.damage else "it was not measured itself")
        return min(nearest, key=lambda values: Strangers(values, "").limits[0], default=None), (
            f"Measured on other people{_likewise(kind)}, as if {CROWD * count} photos of them were the gallery of "
            f"{count}, since {why}; of {_listed(reference)} the most careful.")

    def _known_distances(self, method: Method, kind: str, alpha: float) -> np.ndarray:
        """Distances of people who are there to a photo of their own; of other people those of the kind of photos where
        they are farthest; empty where too few are known."""
        pairs = []
        if self.enough or not Reference.shipped(method.backbone).sources:
            keys = [array_key(PAIRS, one, PLAIN, kind, "genuine") for one in (STAGE1(method.backbone), method)]
            if self._known.keys() >= set(keys):
                pairs.append(self._read(keys))
        if not pairs:
            cosines, patches = (Reference.shipped(method.backbone).samples(one, (PLAIN, kind))
                                for one in (STAGE1(method.backbone), method))
            by_name = {one.source.name: one.genuine for one in cosines}
            pairs += [(by_name[one.source.name], one.genuine) for one in patches if one.source.name in by_name]
        mixed = [alpha * patch + (1 - alpha) * cosine for cosine, patch in pairs if len(patch) >= FEWEST]
        return max(mixed, key=lambda values: float(np.quantile(values, 1 - OWN_FAIL)), default=np.empty(0))

    def threshold(self, method: Method, first: str | None, second: str | None,
                  crops: Sequence[np.ndarray] = ()) -> Threshold | Unfit:
        """The threshold of a method at its default options for two photos. first, second: how they were altered, or
        what they wear. crops: their aligned faces; with one that is softer than all that was measured it is Unfit.

        It holds for photos of every kind that was measured, other people's and, with ENOUGH people who have two photos,
        the gallery's own: "same" is said where it would be of all kinds, and "different" likewise. Where nothing is
        known of other people the gallery's own is taken.
        """
        if unlike := _unlike(method, crops, (first or PLAIN, second or PLAIN), ("The first photo", "The second photo")):
            return unlike
        kinds = _ordered(first, second)
        own = self.own_threshold(method, first, second)
        if isinstance(own, Unfit) and own.asked is not None:
            return own
        reference = Reference.shipped(method.backbone)
        samples = reference.samples(method, kinds)
        if not any(len(one.genuine) for one in samples):
            return own
        pairs = [(one.genuine, one.strangers) for one in samples]
        gallery = ""
        if isinstance(own, Threshold) and self.enough:
            pairs.append(self._own_pairs(method, kinds))
            gallery = f" and the gallery {self.gallery.name}"
        genuine, strangers = (sum(map(len, side)) for side in zip(*pairs, strict=True))
        return careful_threshold(pairs, (
            f"Set on {genuine} pairs of photos of one person and {strangers} pairs of strangers, {_altered(kinds)}; of "
            f"{_listed(reference)}{gallery} the most careful decides.{self.damage and ' ' + self.damage}"))

    def own_threshold(self, method: Method, first: str | None, second: str | None) -> Threshold | Unfit:
        """The threshold that the gallery's own people give."""
        kinds = _ordered(first, second)
        if unfit := self._unfit(PAIRS, method, Matching(), kinds):
            return unfit
        genuine, strangers = self._own_pairs(method, kinds)
        if len(genuine) < FEWEST:
            return Unfit(f"The gallery {self.gallery.name} has fewer than {FEWEST} pairs of photos of one person, too "
                         "few to set a threshold.")
        return set_threshold(genuine, strangers, (
            f"Set on {len(genuine)} pairs of photos of one person and {len(strangers)} pairs of strangers from the "
            f"gallery {self.gallery.name}, {_altered(kinds)}."))

    def _own_pairs(self, method: Method, kinds: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        genuine, strangers = self._read([array_key(PAIRS, method, *kinds, which) for which in _SIDES])
        return genuine, strangers

    def _unfit(self, section: str, method: Method, matching: Matching, kinds: tuple[str, ...]) -> Unfit | None:
        """Why nothing was measured on the gallery for these settings, or None."""
        if unknown := next((kind for kind in kinds if kind not in KINDS), None):
            return Unfit("Photos altered like this were not measured.", unknown)
        if self.damage:
            return Unfit(self.damage)
        if not any(key.startswith(f"{section}/") for key in self._known):
            return Unfit(f"The gallery {self.gallery.name} was not calibrated by this version: index it again.")
        if reason := self._other_settings(method, matching):
            return Unfit(reason)
        asked = ([array_key(section, one, *kinds) for one in (STAGE1(method.backbone), method)] if section == STRANGERS
                 else [array_key(section, method, *kinds, which) for which in _SIDES])
        if not self._known.keys() >= set(asked):
            return Unfit(f"{method.short} was not measured on the gallery {self.gallery.name} with these weights.")
        return None

    @staticmethod
    def _other_settings(method: Method, matching: Matching) -> str | None:
        """One sentence where the settings are not those that everything was measured with, else None."""
        used, measured = method.setting(matching.of(method.word), matching.grid), method.setting()
        if used == measured:
            return None
        return (f"{method.short} was measured as \u201c{measured}\u201d, and \u201c{used}\u201d is in use: distances "
                "of one say nothing about the other.")


@lru_cache(_REMEMBERED)
def _read(file: Path, *_: int) -> Mapping[str, np.ndarray] | None:
    """``Calibration._measured`` of a file in some state."""
    try:
        metadata, arrays = read_arrays(file)
        versions = json.loads(metadata.get("versions", "{}"))
        if not isinstance(versions, dict):
            return None
    except FileNotFoundError:
        return {}
    except (Damaged, ValueError, RecursionError):
        return None
    known = {key: values for key, values in arrays.items()
             if versions.get(key.split("/")[0]) == VERSIONS.get(key.split("/")[0], 0)}
    sound = fit(known, {(STRANGERS, 4): 2, (PAIRS, 6): 1}) and all(values.size for values in known.values())
    return known if sound else None


def _unlike(method: Method, crops: Sequence[np.ndarray], kinds: Sequence[str], names: Sequence[str]) -> Unfit | None:
    """Why nothing is said of aligned faces that are softer than those of every source, altered alike; or None."""
    sources = Reference.shipped(method.backbone).sources.values()
    for crop, kind, name in zip(crops, kinds, names, strict=False):
        least = min((one.sharpness[kind] for one in sources if kind in one.sharpness), default=0.0)
        if (sharp := sharpness(crop)) < least:
            return Unfit(f"{name} is softer (sharpness {sharp:.2f}) than those that were measured (from {least:.2f} "
                         "on), and distances of such faces mislead: take a larger or sharper one.", photo=True)
    return None


def _ordered(first: str | None, second: str | None) -> tuple[str, str]:
    """Two alterations in the order in which pairs are kept."""
    one, other = sorted((first or PLAIN, second or PLAIN), key=(*KINDS, first, second).index)
    return one, other


def _altered(kinds: Sequence[str]) -> str:
    return "both unaltered" if set(kinds) == {PLAIN} else (
        f"altered as these two are ({' and '.join(map(named, kinds))})")


def _likewise(kind: str) -> str:
    return f", altered in the same way ({named(kind)})" if kind != PLAIN else ""


def _listed(reference: Reference) -> str:
    """The sources in running text."""
    return ", ".join(f"{one.name} ({one.people} people)" for one in reference.sources.values())
