"""What an explanation finds, in one of a few kinds. Pages, figures, downloads and tests go by the kind alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from demo.crossimage import received
from demo.drawing import FaceMaps, Flow, strongest_flows
from demo.drawing.grids import Grid, pooled
from demo.errors import BadSetting


@dataclass(frozen=True)
class Flows:
    """Mass that goes from patch to patch. flow: (P, P), patches of the first face in rows. first, second: (P,) weights
    of both faces' patches. ground: (P, P) distances between patches. share: of the mass that moves."""

    kind: ClassVar[str] = "flow"
    flow: np.ndarray
    first: np.ndarray
    second: np.ndarray
    ground: np.ndarray
    grid: Grid
    share: float = 1.0

    def coarser(self, grid: Grid) -> Flows:
        """The same mass between fewer, larger patches: added up where they lie, at its mean distance."""
        pool = pooled(self.grid, grid)
        flow, cost = (pool @ what @ pool.T for what in (self.flow, self.flow * self.ground))
        return replace(self, flow=flow, first=pool @ self.first, second=pool @ self.second,
                       ground=cost / flow.clip(min=np.finfo(float).tiny), grid=grid)


@dataclass(frozen=True)
class Curves:
    """The strongest flows alone, for lines between the faces."""

    kind: ClassVar[str] = "lines"
    flows: Flows
    count: int

    @property
    def strongest(self) -> list[Flow]:
        return strongest_flows(self.flows.flow, self.count)


@dataclass(frozen=True)
class Maps:
    """A map per face. measure: what a share in it is a share of. maps: what is painted."""

    kind: ClassVar[str] = "maps"
    maps: FaceMaps
    measure: str


@dataclass(frozen=True)
class Signed:
    """What each patch of the first face contributes, for and against.

    values: (P,), positive where a patch speaks for one person; distance == baseline - values.sum(). distance: of the
    pair. baseline: what a patch without a contribution leaves it at, a typical stranger's distance (stranger), or where
    no strangers are known that of a face of which nothing is seen.
    """

    kind: ClassVar[str] = "signed"
    title: str
    values: np.ndarray
    grid: Grid
    distance: float
    baseline: float
    stranger: bool = True


@dataclass(frozen=True)
class Matrices:
    """Who looks at whom: for L layers and H heads, patches that look in rows, every row summing to 1.

    forward: (L, H, P, P), from the first face to the second. backward: (L, H, P, P), from the second to the first.
    measure: what a share of the map is a share of. by: how sentences name the average.
    """

    kind: ClassVar[str] = "matrix"
    title: str
    forward: np.ndarray
    backward: np.ndarray
    grid: Grid
    measure: str
    by: str = ""

    def choose(self, layer: int | None = None, head: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """forward and backward (P, P) of one layer and head; None averages over all. BadSetting where there is none."""
        for name, number, count in (("layer", layer, self.forward.shape[0]), ("head", head, self.forward.shape[1])):
            if number is not None and not 0 <= number < count:
                raise BadSetting(f"There is no {name} {number}; choose one from 0 to {count - 1}.")
        layers = slice(None) if layer is None else slice(layer, layer + 1)
        heads = slice(None) if head is None else slice(head, head + 1)
        return self.forward[layers, heads].mean((0, 1)), self.backward[layers, heads].mean((0, 1))

    def maps(self, layer: int | None = None, head: int | None = None) -> FaceMaps:
        """How much each patch is looked at, on the face that it belongs to."""
        forward, backward = self.choose(layer, head)
        return FaceMaps(self.title, received(backward), received(forward), self.grid)


@dataclass(frozen=True)
class Term:
    """A number of the score. note: what it is. total: the ranking goes by it."""

    name: str
    value: str
    note: str
    total: bool = False


@dataclass(frozen=True)
class Numbers:
    """Every term of the distance."""

    kind: ClassVar[str] = "numbers"
    terms: Sequence[Term]


Result = Flows | Curves | Maps | Signed | Matrices | Numbers


def face_maps(result: Result) -> FaceMaps | None:
    """The result as a map per face, where it is or has one; contributions lie on the first face alone."""
    if isinstance(result, Signed):
        return FaceMaps(result.title, result.values, np.zeros_like(result.values), result.grid, signed=True)
    if isinstance(result, Maps):
        return result.maps
    return result.maps() if isinstance(result, Matrices) else None
