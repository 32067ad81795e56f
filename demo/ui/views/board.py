"""An identification as the page shows it: plain values for the Board. No gradio here."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice

import cv2
import numpy as np
import torch

from demo.calibration import NOBODY
from demo.errors import NoFace
from demo.explain import Pair, patch_grid, shared_scale
from demo.figures import altered_label, pair_of, slot_of
from demo.identify import Identification, Identifier, Match
from demo.methods import METHODS, Matching, rerank
from demo.query import Query
from demo.verdict import headline, verdict_of
from demo.whatif import WhatIf

TOP = 5
#: Longest side of the photos that are sent to the page.
SHOWN = 480
#: Faces of one photo that are looked up at a time.
MOST_FACES = 32
#: α are tried in so many steps for whom they may bring up.
_STEPS = 101


@dataclass
class Result:
    """An identification together with what its pictures need. One per visitor and run.

    found: the answer. identifier: what gave it. colormap: of the heat maps. beside: the same query re-ranked by another
    method, where both were asked for. asked: the form that it answers.
    opened: the row that the visitor asked to see explained, where one was.
    """

    found: Identification
    identifier: Identifier
    colormap: str = "viridis"
    beside: Identification | None = None
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    asked: tuple = ()
    opened: int | None = None
    _crops: dict[int, np.ndarray] = field(default_factory=dict)

    def crop(self, row: int) -> np.ndarray:
        """The aligned crop of a gallery row, cut once."""
        if row not in self._crops:
            self._crops[row] = self.identifier.gallery.crop(row, self.identifier.backbone)
        return self._crops[row]

    def pair(self, match: Match) -> Pair:
        """The query and one match, to be explained."""
        return pair_of(self.found, self.identifier, match, self.crop, scale=self.scale,
                       beside=self.further)

    @cached_property
    def what_ifs(self) -> dict[str, WhatIf]:
        """Ask what would be if the match looked otherwise: method → of its ranking, the answer's own first."""
        return {run.matching.method: WhatIf(run, self.identifier, self.crop) for run in (self.found, *self.further)}

    @property
    def what_if(self) -> WhatIf:
        """Of the answer's own ranking."""
        return next(iter(self.what_ifs.values()))

    @property
    def further(self) -> list[Identification]:
        """Rankings of the same query beside the answer's."""
        return [self.beside] if self.beside else []

    def as_json(self, top: int | None = None) -> dict:
        """The answer as plain data, with the rankings beside it by their methods."""
        beside = {run.matching.method: {key: value for key, value in run.as_json(top).items() if key != "query"}
                  for run in self.further}
        return {**self.found.as_json(top), **({"beside": beside} if beside else {})}

    @cached_property
    def runs(self) -> dict[str, Identification]:
        """Every Stage 2 that was run: method → its ranking."""
        runs = [run for run in (self.found, self.beside) if run is not None and run.stage2]
        return {run.matching.method: run for run in runs}

    @cached_property
    def stages(self) -> dict[str, dict[int, Match]]:
        """Method → gallery row → its match, of the re-ranked ones."""
        return {word: {match.row: match for match in run.measured} for word, run in self.runs.items()}

    @cached_property
    def shown_rows(self) -> list[int]:
        """Gallery rows that can be among the first TOP of a stage for some α, so that moving α needs no server."""
        rows = [match.row for match in self.found.stage1[:TOP]]
        for matches in self.stages.values():
            by_rank = sorted(matches.values(), key=lambda match: match.stage1_rank)
            first = torch.tensor([match.cosine for match in by_rank], dtype=torch.float64)
            second = torch.tensor([match.patch for match in by_rank], dtype=torch.float64)
            for alpha in np.linspace(0, 1, _STEPS):
                rows += [by_rank[slot].row for slot in rerank(first, second, float(alpha)).order[:TOP].tolist()]
        rows += [match.row for run in (self.found, self.beside) if run for match in run.ranking[:TOP]]
        return list(dict.fromkeys(rows))

    @cached_property
    def scale(self) -> tuple[float, float] | None:
        """One colour scale for the weights of all shown candidates, where transport ranked them."""
        moved = self.found.emd
        if moved is None:
            return None
        ranked = self.stages[self.found.matching.method]
        slots = [slot_of(match) for row in self.shown_rows if (match := ranked.get(row))]
        return shared_scale([*moved.query_weights[slots].cpu().numpy(), *moved.candidate_weights[slots].cpu().numpy()])


def board_value(result: Result) -> dict:
    """What the Board component shows."""
    found = result.found
    grid = explained_grid(result)
    shown = set(result.shown_rows)
    measured = {row for matches in result.stages.values() for row in matches}
    candidates = []
    wanted = shown | measured
    nearest = (match for match in found.stage1 if match.row in wanted)
    for match in islice(nearest, len(wanted)):
        visible = match.row in shown
        candidates.append({
            "row": match.row, "name": match.identity, "path": match.path, "rank": match.rank, "first": match.cosine,
            "second": {stage: matches[match.row].patch for stage, matches in result.stages.items()
                       if match.row in matches},
            "correct": None if found.truth is None else match.identity == found.truth,
            "thumb": _jpeg(result.crop(match.row)) if visible else None,
        })
    height, width = found.query.crop.shape[:2]
    return {
        "result": result.token, "top": min(TOP, len(found.stage1)), "grid": list(grid), "crop": [width, height],
        "stages": [{"name": word, "title": METHODS[word].short, "alpha": run.matching.alpha}
                   for word, run in result.runs.items()],
        "query": {**query_pictures(found.query), "seen": found.told,
                  "crop": _jpeg(patch_grid(found.query.crop, grid, height=300))},
        "sentence": headline(found), "verdict": verdict(result),
        "candidates": candidates, "selected": found.ranking[0].row,
    }


def faces_value(result: Result, matching: Matching) -> dict:
    """Who is nearest to each face of the photo, up to MOST_FACES; None for a face that is lost in the altered photo.
    matching: as it was asked for."""
    query, people = result.found.query, []
    for number in range(min(len(query.faces), MOST_FACES)):
        try:
            found = result.found if number == query.preparation.face else result.identifier.answer(
                query.photo, replace(query.preparation, face=number), matching, first=TOP, faces=query.faces)
        except NoFace:
            people.append(None)
            continue
        best = found.ranking[0]
        people.append({"name": best.identity, "distance": best.distance, "nobody": verdict_of(found).word == NOBODY,
                       "text": headline(found)})
    return {"kind": "faces", "result": result.token, "faces": people}


def query_pictures(query: Query) -> dict:
    """A photo with the faces found in it (boxes in percent) and, where it was altered, as it is then."""
    height, width = query.photo.shape[:2]
    faces = [] if query.preparation.aligned else [
        [100 * left / width, 100 * top / height, 100 * (right - left) / width, 100 * (bottom - top) / height]
        for left, top, right, bottom in (np.clip(face.box, 0, (width, height, width, height)) for face in query.faces)
    ]
    altered = query.alteration
    return {
        "original": _jpeg(_shrunk(query.photo)), "faces": faces, "face": query.preparation.face,
        "altered": _jpeg(_shrunk(altered.photo)) if altered else None,
        "alteredTitle": altered_label(query) if altered else None, "seen": query.told,
    }


def verdict(result: Result) -> dict:
    """What the calibration says of the nearest."""
    said = verdict_of(result.found)
    return {"kind": said.word or "none", "text": said.text, "detail": said.detail}


def photo_value(photo: np.ndarray) -> str:
    """A photo for the page, shrunk to its size there."""
    return _jpeg(_shrunk(photo))


def photo_thumb(photo: np.ndarray, side: int = 120) -> str:
    """A small square of a photo."""
    height, width = photo.shape[:2]
    edge = min(height, width)
    top, left = (height - edge) // 2, (width - edge) // 2
    square = photo[top:top + edge, left:left + edge] if width < 1.5 * height else photo
    scale = side / square.shape[1]
    return _jpeg(cv2.resize(square, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))


def details_text(result: Result) -> str:
    """Timings and provenance as Markdown."""
    found = result.found
    used = found.provenance
    return (f"**Time**: {_steps(found)}\n\n"
            + "".join(f"**Time of {METHODS[run.matching.method].short} beside it**: {_steps(run)}\n\n"
                      for run in result.further) +
            f"**Used**: backbone {used['backbone']} (weights {used['weights_sha256'][:12]}), gallery "
            f"{used['gallery']} (index {used['gallery_sha256'][:12]}), version {used['version']}, "
            f"PyTorch {used['torch']}, {used['device']}")


def _steps(run: Identification) -> str:
    return " · ".join(f"{step} {ms:.0f} ms" for step, ms in run.timings_ms.items())


def explained_grid(result: Result) -> tuple[int, int]:
    """The patch grid that the pictures show."""
    found = result.found
    return getattr(found.evidence, "grid", None) or found.matching.grid or result.identifier.backbone.info.grids[0]


def _shrunk(photo: np.ndarray) -> np.ndarray:
    scale = SHOWN / max(photo.shape[:2])
    if scale >= 1:
        return photo
    return cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def picture_url(picture: np.ndarray) -> str:
    """A picture as a data address, without loss; packed lightly, for speed."""
    _, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 2])
    return "data:image/png;base64," + base64.b64encode(data.tobytes()).decode()


def heat_url(picture: np.ndarray) -> str:
    """A heat map as a data address, within about one level of 256 of its colours and a third of the size without
    loss. The values stand beside it, and what can be downloaded is exact."""
    return _jpeg(picture, 95, [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444])


def _jpeg(picture: np.ndarray, quality: int = 90, further: Sequence[int] = ()) -> str:
    """A photo, where small losses do not matter."""
    _, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR),
                           [cv2.IMWRITE_JPEG_QUALITY, quality, *further])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
