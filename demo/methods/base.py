"""What every way to rank and verify offers. A method is one file here and one line in ``demo.methods.registry``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor

from demo.backbones import Backbone, BackboneInfo, Features, Grid

#: Galleries up to this size are prepared for a method once; of larger ones only the candidates, each time.
PREPARED_ROWS = 2000
#: A backbone, loaded or not, or its name.
AnyBackbone = Backbone | BackboneInfo | str


class Faces(Protocol):
    """Known faces that a method may learn from: what it needs of ``demo.gallery.Gallery``."""

    @property
    def grids(self) -> tuple[Grid, ...]:
        """(rows, cols) of the patches that are stored, the default first."""
        ...

    def __len__(self) -> int: ...

    def features(self, rows: Sequence[int], grid: Grid | None = None) -> Features:
        """Stored features of some rows."""
        ...


@dataclass(frozen=True)
class NoOptions:
    """Of a method that takes none."""


@dataclass(frozen=True)
class Measured:
    """distances: (k,), smaller is nearer. evidence: everything behind them that explains them, None where there is no
    more than the distances."""

    distances: Tensor
    evidence: Any = None


@dataclass(frozen=True)
class Moved:
    """What flows between the patches of one pair of faces. flow: (P, P) mass, row-major on grid. compared: (P,) bool,
    the patches that are compared at all, None where all are."""

    flow: Tensor
    grid: Grid
    compared: Tensor | None = None


@dataclass(frozen=True)
class Bounded:
    """Of k candidates. least: (k,) lower bounds of their distances, fast to compute. measure: slots → the distances
    that ``Method.distances`` gives, of some."""

    least: Tensor
    measure: Callable[[Tensor], Measured]


class Method(ABC):
    """A way to compare faces, ready for one backbone and, where it has one, one gallery.

    word: everywhere it is named. title: for menus. short: for tables. name: in the papers' tables. explanation: one
    sentence for people. measure: what its distance is, in a few words. kind: of model, beside its name in the papers'
    tables, where that is not the title. Options: dataclass of typed fields that it takes. reranks: it can be Stage 2.
    verifies: it judges pairs on the pages, and is calibrated. trained: needs weights beside the backbone's. cached: a
    small gallery is prepared once. uses_grid: patches may be asked for on any grid.
    has_evidence: its distances come with what explains them.
    """

    word: ClassVar[str]
    title: ClassVar[str]
    short: ClassVar[str]
    name: ClassVar[str]
    explanation: ClassVar[str]
    measure: ClassVar[str]
    kind: ClassVar[str] = ""
    Options: ClassVar[type] = NoOptions
    reranks: ClassVar[bool] = True
    verifies: ClassVar[bool] = False
    trained: ClassVar[bool] = False
    cached: ClassVar[bool] = False
    uses_grid: ClassVar[bool] = False
    has_evidence: ClassVar[bool] = False

    def __init__(self, backbone: Backbone, gallery: Faces | None = None, *, weights: Path | None = None):
        self.backbone = backbone
        self.gallery = gallery

    @classmethod
    def unavailable(cls, backbone: AnyBackbone, gallery: Faces | None = None) -> str | None:
        """One sentence that says what is missing for this backbone and gallery, else None."""
        return None

    @property
    def alpha(self) -> float | None:
        """Share of its distance in Eq. 5.1 unless another is asked for; None for a method that is not mixed."""
        return None

    def alpha_for(self, query: Features, options: Any, asked: float | None) -> float | None:
        """The share for one query (features of one face): the one asked for, or the method's own."""
        return self.alpha if asked is None else asked

    @property
    def key(self) -> str:
        """Hash of the weights that its distances depend on."""
        return self.backbone.weights_sha256

    def provenance(self) -> dict[str, str]:
        """What its numbers were made with beside backbone and gallery, as plain data."""
        return {}

    @abstractmethod
    def prepare(self, features: Features) -> Any:
        """Everything about N faces that no other face changes; can be indexed with rows (slice, list or tensor)."""

    def warm_up(self) -> None:
        """Do now what would make the first distance slower than the next; here nothing."""
        return None

    @abstractmethod
    def distances(self, query: Features, prepared: Any, options: Any = None, grid: Grid | None = None) -> Measured:
        """Distances (k,) of a query (features of one face) to k prepared faces. options: an instance of ``Options``
        (None = the defaults). grid: of the patches, None = the backbone's first; of methods with ``uses_grid``."""

    def between(self, queries: Features, prepared: Any, options: Any = None, grid: Grid | None = None) -> Tensor:
        """(M, k) distances of each of M faces (M > 0) to each of k prepared ones, those of ``distances``."""
        return torch.stack([self.distances(queries[[row]], prepared, options, grid).distances
                            for row in range(len(queries))])

    def under(self, query: Features, prepared: Any, grid: Grid | None = None) -> Callable[[Any], Tensor]:
        """Options → the distances that ``distances`` gives under them; what does not depend on options is computed
        once, for whoever wants several."""
        return lambda options: self.distances(query, prepared, options, grid).distances

    def bounded(self, query: Features, prepared: Any, options: Any = None, grid: Grid | None = None) -> Bounded | None:
        """What ``distances`` needs before it measures anything, with lower bounds; None where there are none."""
        return None

    def forced(self, evidence: Any, partners: Sequence[tuple[int, int]]) -> Measured | None:
        """The distance that one pair of faces would have if as much mass as fits went from each patch of the first face
        to the given one of the second. evidence: as ``distances`` gave it of that pair alone, a batch of one. None for
        a method in which no mass flows between these two."""
        return None

    @abstractmethod
    def pairs(self, first: Features, second: Features, options: Any = None, grid: Grid | None = None) -> Tensor:
        """(B,) distances of B pairs of faces, pair by pair; the same numbers as ``distances``."""

    def describe(self, options: Any = None, evidence: Any = None) -> str:
        """What its distance is, with the settings it was measured under. evidence: as ``Measured`` has it."""
        return self.measure

    @classmethod
    def settings_told(cls, options: Any, evidence: Any) -> list[str]:
        """The settings of a ranking, in a few words each, for a caption."""
        return [f"{cls.short} re-ranking"]

    @staticmethod
    def moved(evidence: Any) -> Moved | None:
        """The mass that its distance of one pair moves; None where it moves none. evidence: a batch of one."""
        return None

    @staticmethod
    def addends(evidence: Any) -> dict[str, float]:
        """What the distance of one pair is the sum of, by name; empty where it is no sum. The part that is Stage 1's
        distance bears that method's word."""
        return {}

    @staticmethod
    def arrays(evidence: Any) -> dict[str, np.ndarray]:
        """The evidence as arrays by the names that files keep, a row per candidate."""
        return {}

    def setting(self, options: Any = None, grid: Grid | None = None) -> str:
        """What the distances depend on beside the weights, in a word: "" where nothing can be chosen."""
        return ""

    def unfit(self, options: Any = None, grid: Grid | None = None) -> str | None:
        """One sentence that says why these options cannot be used on a grid of the backbone, else None."""
        return None

    def batch_matters(self, options: Any = None) -> bool:
        """Whether a face's distance also depends on which others are measured with it."""
        return False
