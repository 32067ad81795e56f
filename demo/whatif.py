"""What if? Patches of a match covered, blurred or forced together, a drawn mask moved, and everything measured again.

An answer says which faces are near. Here one asks what it would be if a part of a face could not be seen: the changed
crops go through the backbone again, in one batch, and the query's first k candidates are ranked by the new distances.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import torch

from demo.backbones import Features, Grid
from demo.errors import BadSetting, NoFace
from demo.explain.covers import REMOVALS, patch_numbers
from demo.faces import align, alter
from demo.faces.align import crop_matrix
from demo.faces.masks import STYLES
from demo.identify import Identification, Identifier
from demo.methods import STAGE1, Measured, Method, rerank

#: The alteration whose drawing can be moved, and its usual style.
MASK = "mask"
MASK_STYLE = next(iter(STYLES))


@dataclass(frozen=True)
class Hidden:
    """Patches of one face that are covered (by its mean colour) or blurred, row-major on the grid."""

    covered: tuple[int, ...] = ()
    blurred: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.covered or self.blurred)


@dataclass(frozen=True)
class Edit:
    """What is changed of a match.

    query, candidate: what is hidden of either face. mask: how far a drawn mask stands from its place on the query, to
    the right and down, in shares of the crop's sides; it takes the place of whatever alteration the query has. None =
    the query as it was compared. forced: (query patch, candidate patch) that belong together, as far as mass goes.
    """

    query: Hidden = Hidden()
    candidate: Hidden = Hidden()
    mask: tuple[float, float] | None = None
    forced: tuple[tuple[int, int], ...] = ()

    def check(self, patches: int) -> None:
        """Raise BadSetting, in one sentence, for a patch that is not there or a mask that is out of reach."""
        named = [*self.query.covered, *self.query.blurred, *self.candidate.covered, *self.candidate.blurred,
                 *(patch for pair in self.forced for patch in pair)]
        for patch in named:
            if not 0 <= patch < patches:
                raise BadSetting(f"There is no patch {patch}: choose from 0 to {patches - 1}.")
        if self.mask and not all(-1 <= way <= 1 for way in self.mask):
            raise BadSetting("A mask can be moved by at most the width of the face.")


@dataclass(frozen=True)
class Outcome:
    """What a change makes of a match.

    rank: of the match, from 1, among the first k. cosine, patch, combined: its distances; patch and combined are None
    for Stage 1 alone. cosines, patches: gallery row → distance, of the first k. crops, features: both faces as they
    were compared. evidence: what the method measured of the pair. unforced: patches were to be forced, but no mass
    flows.
    """

    rank: int
    cosine: float
    patch: float | None
    combined: float | None
    cosines: Mapping[int, float]
    patches: Mapping[int, float]
    crops: tuple[np.ndarray, np.ndarray]
    features: tuple[Features, Features]
    evidence: Any = None
    unforced: bool = False


@dataclass(frozen=True)
class Played:
    """Patches hidden one after the other: a distance on the way, by the given order and by chance.

    order: patches, first to last. shares: (T + 1,) of the patches hidden. named: (T + 1,) distances along the order.
    random: (R, T + 1) along random orders. crops: the query at each step of the order.
    """

    order: tuple[int, ...]
    shares: np.ndarray
    named: np.ndarray
    random: np.ndarray
    crops: tuple[np.ndarray, ...]


def hidden(crop: np.ndarray, what: Hidden, grid: Grid) -> np.ndarray:
    """A crop, uint8 (h, w, 3), with some patches covered and some blurred."""
    if not what:
        return crop
    numbers, changed = patch_numbers(crop.shape[:2], grid), crop
    for removal, patches in (("blur", what.blurred), ("mean", what.covered)):
        if patches:
            changed = np.where(np.isin(numbers, patches)[..., None], REMOVALS[removal](crop, grid), changed)
    return changed


@dataclass(frozen=True)
class DrawnMask:
    """A mask that is drawn on a face and can be moved. bare: the crop without it. picture: uint8 (h, w, 3) with it
    where it belongs; alpha: (h, w) 0 to 1, its cover."""

    bare: np.ndarray
    picture: np.ndarray
    alpha: np.ndarray

    def at(self, right: float, down: float) -> np.ndarray:
        """The crop with the mask moved, in shares of its sides."""
        height, width = self.alpha.shape
        move = np.array([[1, 0, right * width], [0, 1, down * height]], np.float32)
        alpha = cv2.warpAffine(self.alpha, move, (width, height))[..., None]
        cloth = cv2.warpAffine(self.picture, move, (width, height), borderMode=cv2.BORDER_REPLICATE)
        return (alpha * cloth + (1 - alpha) * self.bare).round().astype(np.uint8)


@dataclass
class WhatIf:
    """Asks what would be, of one identification. crops: gallery row → its aligned crop. Calls leave no trace but what
    they keep for the next, so that one visitor's questions are answered at once."""

    found: Identification
    identifier: Identifier
    crops: Callable[[int], np.ndarray]
    _kept: dict = field(default_factory=dict, repr=False)

    @property
    def grid(self) -> Grid:
        """The patches that questions name: those that the answer was measured on."""
        found = self.found
        return getattr(found.evidence, "grid", None) or found.matching.grid or self.identifier.backbone.info.grids[0]

    @property
    def method(self) -> Method:
        """What ranks."""
        matching = self.found.matching
        return self.identifier.method(matching.method if matching.reranks else STAGE1.word)

    @property
    def alpha(self) -> float:
        """Share of the Stage 2 distance; 0 for Stage 1 alone."""
        return self.found.matching.alpha or 0.0 if self.found.matching.reranks else 0.0

    @cached_property
    def rows(self) -> list[int]:
        """The first k of Stage 1, as they were: the same are ranked again."""
        return [match.row for match in self.found.stage1[:self.found.matching.k]]

    @cached_property
    def _faces(self) -> tuple[Features, Any]:
        """The k candidates, and what the method makes of them that no query changes."""
        matching, method = self.found.matching, self.method
        features = self.identifier.gallery.features(self.rows, matching.grid if method.uses_grid else None)
        return features, method.prepare(features)

    @cached_property
    def mask(self) -> DrawnMask | None:
        """A mask on the query as it was photographed; None where none can be drawn."""
        query, backbone = self.found.query, self.identifier.backbone
        bare = query.crop if query.alteration is None else align(query.photo, query.face, backbone)
        face = query.face.moved(crop_matrix(query.face, backbone))
        style = query.alteration.style if query.alteration and query.alteration.kind == MASK else MASK_STYLE
        try:
            drawn = alter(bare, face, MASK, style=style, seed=query.preparation.seed)
        except NoFace:
            return None
        return DrawnMask(bare, drawn.photo, drawn.alpha)

    def ask(self, row: int, edit: Edit) -> Outcome:
        """What a change makes of the match with a gallery row among the first k. Raises BadSetting."""
        edit.check(self.grid[0] * self.grid[1])
        if row not in self.rows:
            raise BadSetting("Only the first k candidates were re-ranked, and this one is not among them.")
        matching, method = self.found.matching, self.method
        slot = self.rows.index(row)
        known, prepared = self._faces
        first, second = self._query(edit), hidden(self.crops(row), edit.candidate, self.grid)
        ours, theirs = self._features(first, second if edit.candidate else None, known[[slot]])
        cosines = self._measure(STAGE1.word, ours, known)
        patches, evidence, unforced = cosines, None, False
        if edit.candidate:
            cosines[slot] = self.identifier.method(STAGE1.word).pairs(ours, theirs)[0]
        if matching.reranks:
            options, grid = matching.of(), matching.grid if method.uses_grid else None
            measured = method.distances(ours, prepared, options, grid)
            patches = measured.distances.double().cpu().clone()
            own = Measured(patches[[slot]], None if measured.evidence is None else measured.evidence.pair(slot))
            if edit.candidate:
                own = method.distances(ours, method.prepare(theirs), options, grid)
            if edit.forced:
                bound = None if own.evidence is None else method.forced(own.evidence, edit.forced)
                own, unforced = bound or own, bound is None
            patches[slot], evidence = own.distances.double().cpu()[0], own.evidence
        else:
            unforced = bool(edit.forced)
        final = rerank(cosines, patches, self.alpha)
        return Outcome(
            rank=final.order.tolist().index(slot) + 1, cosine=float(cosines[slot]),
            patch=float(patches[slot]) if matching.reranks else None,
            combined=float(final.distances[slot]) if matching.reranks else None,
            cosines=dict(zip(self.rows, cosines.tolist(), strict=True)),
            patches=dict(zip(self.rows, patches.tolist(), strict=True)) if matching.reranks else {},
            crops=(first, second), features=(ours, theirs), evidence=evidence, unforced=unforced)

    def play(self, row: int, order: Sequence[int], *, steps: int = 10, random_orders: int = 5, seed: int = 0,
             removal: str = "blur", alpha: float | None = None) -> Played:
        """Hide the query's patches in an order, and in random ones, and measure the match on the way: the ranking's own
        distance, or the one that another share alpha of Stage 2's makes. All versions are computed in one batch. order:
        every patch of the grid, once. Raises BadSetting."""
        patches = self.grid[0] * self.grid[1]
        if sorted(order) != list(range(patches)):
            raise BadSetting(f"The order must name every one of the {patches} patches once.")
        rng = np.random.default_rng(seed)
        orders = [np.asarray(order), *(rng.permutation(patches) for _ in range(random_orders))]
        cuts = np.unique(np.round(np.linspace(0, patches, steps + 1)).astype(int))
        place = "covered" if removal == "mean" else "blurred"
        crops = [hidden(self.found.query.crop, Hidden(**{place: tuple(one[:cut].tolist())}), self.grid)
                 for one in orders for cut in cuts]
        versions = self._extract(crops)
        other = self.identifier.gallery.features([row]) if row not in self.rows else self._faces[0][
            [self.rows.index(row)]]
        matching, method = self.found.matching, self.method
        many = other[[0] * len(crops)]
        found = method.pairs(versions, many, matching.of(method.word), matching.grid if method.uses_grid else None)
        if matching.reranks:
            cosine = self.identifier.method(STAGE1.word).pairs(versions, many)
            alpha = self.alpha if alpha is None else alpha
            found = alpha * found + (1 - alpha) * cosine
        distances = found.double().cpu().numpy().reshape(len(orders), len(cuts))
        return Played(tuple(map(int, order)), cuts / patches, distances[0], distances[1:], tuple(crops[:len(cuts)]))

    def _query(self, edit: Edit) -> np.ndarray:
        crop = self.found.query.crop
        if edit.mask is not None:
            if self.mask is None:
                raise BadSetting("No mask can be drawn on this face.")
            crop = self.mask.at(*edit.mask)
        return hidden(crop, edit.query, self.grid)

    def _features(self, first: np.ndarray, second: np.ndarray | None, known: Features) -> tuple[Features, Features]:
        """Of both faces, those that changed in one batch."""
        query = self.found.query
        same = first is query.crop
        crops = ([] if same else [first]) + ([] if second is None else [second])
        fresh = self._extract(crops) if crops else None
        ours = query.features if same or fresh is None else fresh[[0]]
        theirs = known if second is None or fresh is None else replace(fresh[[-1]], landmarks=known.landmarks)
        return ours, theirs

    def _extract(self, crops: Sequence[np.ndarray]) -> Features:
        """Features of versions of the query, which keep its landmarks."""
        fresh = self.identifier.backbone.extract(np.stack(crops), batch=len(crops))
        marks = self.found.query.features.landmarks
        return replace(fresh, landmarks=None if marks is None else marks.expand(len(crops), -1, -1))

    def _measure(self, word: str, query: Features, known: Features) -> torch.Tensor:
        method = self.identifier.method(word)
        return method.distances(query, method.prepare(known)).distances.double().cpu().clone()
