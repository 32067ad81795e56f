"""Two faces to explain: the one thing that every explanation starts from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from demo.backbones import Features, Grid
from demo.crossimage import PairMaps, pair_maps
from demo.explain.results import Term
from demo.matching import EMDResult
from demo.methods import CrossMethod, Matching, Method
from demo.methods.emd import Emd


@dataclass(frozen=True, eq=False)
class Pair:
    """Two faces, and the settings under which they were compared. What takes time is computed once, when asked for.

    crops: uint8 (h, w, 3) each, of any size. features: of one face each. method: word → the method, ready; raises
    DemoError where it is not. titles: over the faces; called: in running text. known: what ranking has measured
    already, method → evidence of this pair. scale: one colour scale of the transport's weights for several pairs.
    terms: every term of the distance, where the caller knows them.
    """

    crops: tuple[np.ndarray, np.ndarray]
    features: tuple[Features, Features]
    method: Callable[[str], Method]
    matching: Matching = Matching()
    titles: tuple[str, str] = ("Query", "Match")
    called: tuple[str, str] = ("query", "match")
    known: Mapping[str, Any] = field(default_factory=dict)
    scale: tuple[float, float] | None = None
    terms: Sequence[Term] = ()
    _kept: dict = field(default_factory=dict, repr=False)

    def exchanged(self) -> Pair:
        """The same two faces, the second first."""
        return replace(self, crops=self.crops[::-1], features=self.features[::-1], titles=self.titles[::-1],
                       called=self.called[::-1], known={}, _kept={})

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """What ``make`` gives, made once."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def evidence(self, word: str) -> Any:
        """What a method measures of this pair beside its distance, under the settings."""
        if word in self.known:
            return self.known[word]

        method = self.method(word)
        if not method.has_evidence:
            return None

        def measure() -> Any:
            first, second = self.features
            prepared = method.prepare(second)
            return method.distances(first, prepared, self.matching.of(word), self.grid_of(method)).evidence

        return self.once(("evidence", word), measure)

    def grid_of(self, method: Method) -> Grid | None:
        """The grid asked for, of a method that takes one."""
        return self.matching.grid if method.uses_grid else None

    @property
    def transport(self) -> EMDResult:
        """Transport of the first face's patches onto the second's: a batch of one."""
        return self.evidence(Emd.word)

    def crossed(self, word: str) -> PairMaps:
        """What a cross-image model makes of the pair. BadSetting for a model in which the faces do not meet."""
        def measure() -> PairMaps:
            method = self.method(word)
            assert isinstance(method, CrossMethod)
            return pair_maps(method.model, *self.features)

        return self.once(("crossed", word), measure)
