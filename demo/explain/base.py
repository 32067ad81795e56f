"""What every explanation offers. One is one file here and one line in ``demo.explain.registry``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from demo.errors import DemoError
from demo.explain.pair import Pair
from demo.explain.results import Result, face_maps
from demo.methods import METHODS

#: Said of explanations whose maps of unrelated people correlate by 0.4 to 0.7 on average.
PATTERN = " Part of the pattern is where a patch lies and not who is shown: it is much the same for any two faces."


@dataclass(frozen=True)
class Importance:
    """How much each patch of the first face matters, by one explanation: what faithfulness puts to the test.

    values: (P,), larger matters more, negative speaks against, on one of the backbone's grids. method: whose score it
    explains, under these options (None = the defaults); setting: what names them, "" where nothing is chosen. name: in
    tables.
    """

    name: str
    method: str
    values: np.ndarray
    setting: str = ""
    options: Any = None

    @property
    def score(self) -> str:
        """What the score that judges it is called."""
        return " ".join(filter(None, (METHODS[self.method].name, self.setting)))


@dataclass(frozen=True)
class Condition:
    """An explanation as a condition of the human study. code: in its tables and files. title: for operators. label:
    in figures. legend: what the pictures mean, for participants; it names no method. place: among the conditions in
    tables and figures, those of the published study first; equal places follow each other as explanations do."""

    code: str
    title: str
    label: str
    legend: str
    place: int = 100


class Explanation(ABC):
    """A way to show why two faces match.

    word: everywhere it is named. title: over it; short: over it beside others. note: one line beside others. hint: what
    is seen, in a sentence or two; it may call the faces {first} and {second}. method: word of the method whose score it
    explains. view: which tab of the page holds it. extra: not in the papers. overview: shown when everything is.
    called: what sentences call the shares of its patches where others stand beside it (default: its title). slow:
    where several methods have it, pages compute it of others than the first when it is looked at. first_row: a sheet
    shows it beside the faces; on_sheets: it shows it at all. thumbnail_note: what its small pictures are, of one that
    has any; thumbnail_alt: what one shows of {name}, in words. stored: how files name its arrays, "" for one whose
    arrays are another's (default: its word). condition: of the human study, if it is one. One class may explain several
    methods, an instance each.
    """

    word: str
    title: str
    short: str = ""
    note: ClassVar[str] = ""
    hint: ClassVar[str] = ""
    method: str
    view: ClassVar[str]
    extra: ClassVar[bool] = False
    overview: ClassVar[bool] = False
    called: ClassVar[str] = ""
    slow: ClassVar[bool] = False
    first_row: ClassVar[bool] = False
    on_sheets: ClassVar[bool] = True
    thumbnail_note: ClassVar[str] = ""
    thumbnail_alt: ClassVar[str] = ""
    stored: str | None = None
    condition: Condition | None = None

    def unavailable(self, pair: Pair) -> str | None:
        """One sentence that says why it cannot be computed of this pair, else None."""
        try:
            pair.method(self.method)
        except DemoError as error:
            return str(error)
        return None

    def on_sheet(self, pair: Pair) -> bool:
        """Whether a sheet about the pair shows it."""
        return self.on_sheets

    def told(self, pair: Pair) -> str:
        """The hint for a pair."""
        return self.hint.format(first=pair.called[0], second=pair.called[1])

    @abstractmethod
    def compute(self, pair: Pair) -> Result:
        """The explanation of a pair."""

    def of_both(self, pair: Pair) -> Result:
        """What it says of both faces alike, for pictures that lie on each. Default: what it computes."""
        return self.compute(pair)

    def importances(self, pair: Pair) -> Sequence[Importance]:
        """What it says of the first face's patches, for every setting worth judging. Default: its map."""
        maps = face_maps(self.compute(pair))
        return [] if maps is None else [Importance(maps.title, self.method, np.asarray(maps.query, float))]

    def left_out(self, pair: Pair) -> Mapping[str, np.ndarray]:
        """What the method leaves out of the first face's patches, (P,) by a name in tables: no order of importance, but
        a guess at what is occluded."""
        return {}

    def thumbnail(self, pair: Pair) -> np.ndarray | None:
        """A small picture for a board of many candidates, uint8 (h, w, 3), where there is one."""
        return None
