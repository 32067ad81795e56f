"""What a distance means for a gallery: measured on the gallery itself where it has enough people, else on others.

The gallery's own numbers are kept with its index: one file, one array per section, method and alteration. Each section
carries a version of its own: raise it when what is measured changes, and older files are measured again; nothing else
makes a file old.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from demo.calibration.keys import KINDS, PAIRS, PLAIN, STRANGERS, array_key, named
from demo.calibration.quality import sharpness
from demo.calibration.reference import Reference
from demo.calibration.strangers import Strangers
from demo.calibration.threshold import Threshold, careful_threshold, set_threshold
from demo.files import write_whole
from demo.gallery import Gallery
from demo.methods import STAGE1, Matching, Method

FILE = "calibration.safetensors"
#: Section → version.
VERSIONS = {STRANGERS: 1, PAIRS: 1}
#: Fewer pairs of one person say too little to set a threshold.
FEWEST = 20
#: From so many people with two photos or more on, a gallery says by itself how near strangers come.
ENOUGH = 30


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

    @cached_property
    def enough(self) -> bool:
        """Whether the gallery's own people suffice."""
        return sum(photos > 1 for photos in self.gallery.people.values()) >= ENOUGH

    @cached_property
    def _known(self) -> frozenset[str]:
        """Keys of the arrays whose section has the version of this release."""
        try:
            with safe_open(self.file, "np") as opened:
                versions = json.loads((opened.metadata() or {}).get("versions", "{}"))
                return frozenset(key for key in opened.keys()  # noqa: SIM118 (no mapping)
                                 if versions.get(key.split("/")[0]) == VERSIONS.get(key.split("/")[0], 0))
        except (OSError, SafetensorError, ValueError):
            return frozenset()

    def _read(self, keys: Sequence[str]) -> list[np.ndarray]:
        with safe_open(self.file, "np") as opened:
            return [opened.get_tensor(key) for key in keys]

    def strangers(self, method: Method, matching: Matching, alteration: str | None, alpha: float | None,
                  crop: np.ndarray | None = None) -> Strangers | Unfit:
        """The yardstick for the best match of a ranking. method: the one that re-ranked (STAGE1 for Stage 1 alone).
        alpha: its share in Eq. 5.1, None for Stage 1 alone. alteration: of the query, made or worn. crop: its aligned
        face; one that is softer than all that was measured is Unfit.

        Of a gallery with ENOUGH people who have two photos its own; else that of other people, for as many photos as
        the gallery has; where there is none for the settings, its own after all.
        """
        kind, share = alteration or PLAIN, 0.0 if alpha is None else alpha
        if crop is not None and (unlike := _unlike(method, (crop,), (kind,), ("This photo",))):
            return unlike
        unfit = self._unfit(STRANGERS, method, matching, (kind,))
        if unfit is None and self.enough:
            return self._own_strangers(method, kind, share)
        if unfit is None or unfit.asked is None:
            found = self._others_strangers(method, matching, kind, share)
            if found is not None:
                return found
        return self._own_strangers(method, kind, share) if unfit is None else unfit

    def _own_strangers(self, method: Method, kind: str, alpha: float) -> Strangers:
        cosine, patch = self._read([array_key(STRANGERS, one, kind) for one in (STAGE1(method.backbone), method)])
        nearest = np.sort((alpha * patch + (1 - alpha) * cosine).min(axis=1))
        keys = [array_key(PAIRS, one, PLAIN, kind, "genuine") for one in (STAGE1(method.backbone), method)]
        known = np.empty(0)
        if self._known.issuperset(keys):
            cosine, patch = self._read(keys)
            known = alpha * patch + (1 - alpha) * cosine
        altered = f", altered in the same way ({named(kind)})" if kind != PLAIN else ""
        return Strangers(nearest, f"Measured on {len(nearest)} photos of this gallery{altered}, each compared with "
                                  "everybody but its own person.", known if len(known) >= FEWEST else np.empty(0))

    def _others_strangers(self, method: Method, matching: Matching, kind: str, alpha: float) -> Strangers | None:
        """By what is known of other people: of their kinds of photos the one with the nearest strangers, and the one
        with the farthest photos of one person."""
        if self._other_settings(method, matching):
            return None
        reference, count = Reference.shipped(method.backbone), len(self.gallery)
        nearest = reference.nearest(method, kind, alpha, count)
        cosines = {one.source.name: one.genuine for one in reference.samples(STAGE1(method.backbone), (PLAIN, kind))}
        known = [alpha * one.genuine + (1 - alpha) * cosines[one.source.name]
                 for one in reference.samples(method, (PLAIN, kind))
                 if len(one.genuine) >= FEWEST and one.source.name in cosines]
        if not nearest or not known:
            return None
        altered = f", altered in the same way ({named(kind)})" if kind != PLAIN else ""
        return Strangers(
            min(nearest, key=lambda values: Strangers(values, "", values).limits[0]),
            f"Measured on other people{altered}, as if {count} photos of them were the gallery, since it has fewer "
            f"than {ENOUGH} people with two photos; of {_listed(reference)} the most careful.",
            max(known, key=lambda values: float(np.quantile(values, 0.95))))

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
            f"{_listed(reference)}{gallery} the most careful decides."))

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
        genuine, strangers = self._read([array_key(PAIRS, method, *kinds, which) for which in ("genuine", "strangers")])
        return genuine, strangers

    def _unfit(self, section: str, method: Method, matching: Matching, kinds: tuple[str, ...]) -> Unfit | None:
        """Why nothing was measured on the gallery for these settings, or None."""
        if unknown := next((kind for kind in kinds if kind not in KINDS), None):
            return Unfit("Photos altered like this were not measured.", unknown)
        if not any(key.startswith(f"{section}/") for key in self._known):
            return Unfit(f"The gallery {self.gallery.name} was not calibrated by this version: index it again.")
        if reason := self._other_settings(method, matching):
            return Unfit(reason)
        rest = kinds if section == STRANGERS else (*kinds, "genuine")
        if array_key(section, method, *rest) not in self._known:
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


def _listed(reference: Reference) -> str:
    """The sources in running text."""
    return ", ".join(f"{one.name} ({one.people} people)" for one in reference.sources.values())
