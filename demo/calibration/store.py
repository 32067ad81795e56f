"""What a calibration measured, kept with the gallery's index: one file, one array per section, method and alteration.

Each section carries a version of its own: raise it when what is measured changes, and older files are measured again;
nothing else makes a file old.
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

from demo.calibration.strangers import Strangers
from demo.calibration.threshold import Threshold, set_threshold
from demo.faces import OCCLUSIONS
from demo.files import write_whole
from demo.gallery import Gallery
from demo.methods import STAGE1, Matching, Method

FILE = "calibration.safetensors"
#: Section → version. STRANGERS: of sampled photos the distances of their nearest strangers. PAIRS: of pairs of one
#: person's photos, and of strangers'.
STRANGERS, PAIRS = "strangers", "pairs"
VERSIONS = {STRANGERS: 1, PAIRS: 1}
PLAIN = "plain"
#: How the photos were altered; nothing else is measured.
KINDS = (PLAIN, *OCCLUSIONS)
#: Fewer pairs of one person say too little to set a threshold.
FEWEST = 20


@dataclass(frozen=True)
class Unfit:
    """There is no measurement for the settings in use. reason: one sentence. asked: the alteration that was not
    measured, if that is why."""

    reason: str
    asked: str | None = None


def array_key(section: str, method: Method, *rest: str) -> str:
    """Where an array of a method at its default options stands."""
    return "/".join((section, method.word, method.key[:12], method.setting() or "-", *rest))


class Calibration:
    """What was measured on a gallery, read from its index as it is asked for."""

    def __init__(self, gallery: Gallery):
        self.gallery = gallery
        self.file = Path(gallery.folder) / FILE

    def write(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep arrays, by ``array_key``, in place of what was there."""
        write_whole(self.file, save(dict(arrays), metadata={"versions": json.dumps(VERSIONS)}))

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

    def strangers(self, method: Method, matching: Matching, alteration: str | None,
                  alpha: float | None) -> Strangers | Unfit:
        """The yardstick for the best match of a ranking. method: the one that re-ranked (STAGE1 for Stage 1 alone).
        alpha: its share in Eq. 5.1, None for Stage 1 alone. alteration: of the query."""
        if unfit := self._unfit(STRANGERS, method, matching, (alteration or PLAIN,)):
            return unfit
        stage1 = STAGE1(method.backbone)
        cosine, patch = self._read([array_key(STRANGERS, one, alteration or PLAIN) for one in (stage1, method)])
        share = 0.0 if alpha is None else alpha
        nearest = np.sort((share * patch + (1 - share) * cosine).min(axis=1))
        altered = f", altered in the same way ({named(alteration)})" if alteration else ""
        return Strangers(nearest, f"Measured on {len(nearest)} photos of this gallery{altered}, each compared with "
                                  "everybody but its own person.")

    def threshold(self, method: Method, first: str | None, second: str | None) -> Threshold | Unfit:
        """The threshold of a method at its default options for two photos. first, second: how they were altered."""
        kinds = tuple(sorted((first or PLAIN, second or PLAIN), key=(*KINDS, first, second).index))
        if unfit := self._unfit(PAIRS, method, Matching(), kinds):
            return unfit
        genuine, strangers = self._read([array_key(PAIRS, method, *kinds, which) for which in ("genuine", "strangers")])
        if len(genuine) < FEWEST:
            return Unfit(f"The gallery {self.gallery.name} has fewer than {FEWEST} pairs of photos of one person, too "
                         "few to set a threshold.")
        altered = ("both unaltered" if set(kinds) == {PLAIN}
                   else f"altered as these two are ({' and '.join(map(named, kinds))})")
        return set_threshold(genuine, strangers, (
            f"Set on {len(genuine)} pairs of photos of one person and {len(strangers)} pairs of strangers from the "
            f"gallery {self.gallery.name}, {altered}."))

    def _unfit(self, section: str, method: Method, matching: Matching, kinds: tuple[str, ...]) -> Unfit | None:
        """Why nothing was measured for these settings, or None."""
        if unknown := next((kind for kind in kinds if kind not in KINDS), None):
            return Unfit("Photos altered like this were not measured.", unknown)
        if not any(key.startswith(f"{section}/") for key in self._known):
            return Unfit(f"The gallery {self.gallery.name} was not calibrated by this version: index it again.")
        used, measured = method.setting(matching.of(method.word), matching.grid), method.setting()
        if used != measured:
            return Unfit(f"{method.short} was measured as \u201c{measured}\u201d, and \u201c{used}\u201d is in use: "
                         "distances of one say nothing about the other.")
        rest = kinds if section == STRANGERS else (*kinds, "genuine")
        if array_key(section, method, *rest) not in self._known:
            return Unfit(f"{method.short} was not measured on the gallery {self.gallery.name} with these weights.")
        return None


def named(kind: str | None) -> str:
    """An alteration in running text."""
    return "unaltered" if kind in (None, PLAIN) else OCCLUSIONS[kind].title.lower()
