"""An identification as the page shows it: plain values for the Board. No gradio here."""

from __future__ import annotations

import base64
import secrets
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from demo.backbones import grid_name
from demo.explain import (
    flow_picture,
    patch_grid,
    shared_scale,
)
from demo.faces import OCCLUSIONS, load_photo
from demo.figures import altered_label, flow_of, sentence, slot_of
from demo.gallery import Impostors
from demo.identify import Identification, Identifier, Match
from demo.query import ALTERATIONS, Options, Query

TOP = 5
#: Word of Stage 2 → how the page calls it.
STAGE_TITLES = {"emd": "EMD", "h2l": "H2L", "h2": "H2", "h1": "H1", "v": "V"}
#: Longest side of the photos that are sent to the page.
SHOWN = 480


@dataclass
class Result:
    """An identification together with what its pictures need. One per visitor and run.

    found: the answer. identifier: what gave it. impostors: how near strangers come under the same settings,
    or None where that is not measured. colormap: of the heat maps. beside: the same query re-ranked by H2L, where
    both were asked for.
    """

    found: Identification
    identifier: Identifier
    impostors: Impostors | None = None
    colormap: str = "viridis"
    beside: Identification | None = None
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    _crops: dict[int, np.ndarray] = field(default_factory=dict)

    def crop(self, row: int) -> np.ndarray:
        """The aligned crop of a gallery row, cut once."""
        if row not in self._crops:
            self._crops[row] = self.identifier.gallery.crop(row, self.identifier.backbone)
        return self._crops[row]

    @cached_property
    def stages(self) -> dict[str, dict[int, Match]]:
        """Every Stage 2 that was run: word → gallery row → its match, of the re-ranked ones."""
        runs = [run for run in (self.found, self.beside) if run is not None and run.stage2]
        return {run.options.stage2: {m.row: m for m in run.stage2 if m.patch is not None} for run in runs}

    @cached_property
    def shown_rows(self) -> list[int]:
        """Gallery rows that can be among the first TOP of a stage for some α, so that moving α needs no server."""
        rows = [match.row for match in self.found.stage1[:TOP]]
        for matches in self.stages.values():
            by_rank = sorted(matches.values(), key=lambda match: match.stage1_rank)
            cosine = np.array([match.cosine for match in by_rank])
            patch = np.array([match.patch for match in by_rank])
            for alpha in np.linspace(0, 1, 101):
                order = np.argsort(alpha * patch + (1 - alpha) * cosine, kind="stable")
                rows += [by_rank[slot].row for slot in order[:TOP]]
        rows += [match.row for run in (self.found, self.beside) if run for match in run.ranking[:TOP]]
        return list(dict.fromkeys(rows))

    @cached_property
    def scale(self) -> tuple[float, float]:
        """One colour scale for the EMD weights of all shown candidates."""
        emd = self.found.emd
        slots = [slot_of(self.found, match) for row in self.shown_rows if (match := self.stages["emd"].get(row))]
        return shared_scale([*emd.query_weights[slots].cpu().numpy(), *emd.candidate_weights[slots].cpu().numpy()])


def board_value(result: Result) -> dict:
    """What the Board component shows."""
    found = result.found
    grid = explained_grid(result)
    shown = set(result.shown_rows)
    measured = {row for matches in result.stages.values() for row in matches}
    emd_matches = result.stages.get("emd", {})
    candidates = []
    for match in found.stage1:
        if match.row not in shown and match.row not in measured:
            continue
        visible = match.row in shown
        flow = None
        if visible and match.row in emd_matches:
            flow = picture_url(flow_picture(result.crop(match.row), flow_of(found, match), grid))
        candidates.append({
            "row": match.row, "name": match.identity, "path": match.path, "rank": match.rank, "cosine": match.cosine,
            "second": {stage: matches[match.row].patch for stage, matches in result.stages.items()
                       if match.row in matches},
            "correct": None if found.truth is None else match.identity == found.truth,
            "thumb": _jpeg(result.crop(match.row)) if visible else None, "flow": flow,
        })
    height, width = found.query.crop.shape[:2]
    runs = {run.options.stage2: run for run in (found, result.beside) if run is not None and run.stage2}
    return {
        "result": result.token, "top": min(TOP, len(found.stage1)), "grid": list(grid), "crop": [width, height],
        "stages": [{"name": name, "title": STAGE_TITLES[name], "alpha": run.options.alpha}
                   for name, run in runs.items()],
        "query": _query_value(result, grid), "sentence": sentence(found), "verdict": verdict(result),
        "candidates": candidates, "selected": found.ranking[0].row,
    }


def _query_value(result: Result, grid) -> dict:
    query = result.found.query
    return {**query_pictures(query, result.found.options), "crop": _jpeg(patch_grid(query.crop, grid, height=300))}


def query_pictures(query: Query, options: Options) -> dict:
    """A photo with the faces found in it (boxes in percent) and, where it was altered, as it is then."""
    height, width = query.photo.shape[:2]
    faces = [] if options.aligned else [
        [100 * left / width, 100 * top / height, 100 * (right - left) / width, 100 * (bottom - top) / height]
        for left, top, right, bottom in (np.clip(face.box, 0, (width, height, width, height)) for face in query.faces)
    ]
    altered = query.alteration
    return {
        "original": _jpeg(_shrunk(query.photo)), "faces": faces, "face": options.face,
        "altered": _jpeg(_shrunk(altered.photo)) if altered else None,
        "alteredTitle": altered_label(query) if altered else None,
    }


def verdict(result: Result) -> dict | None:
    """How the best distance compares with how near strangers come in this gallery."""
    impostors = result.impostors
    altered = result.found.options.occlusion
    if impostors is None and altered not in (None, *OCCLUSIONS):
        told = "Not compared with strangers: how near they come was not measured for photos altered like this."
        return {"kind": "none", "text": ALTERATIONS[altered].note or told,
                "detail": f"{told} Their distances under other alterations would mislead."}
    if impostors is None:
        return None
    best = result.found.ranking[0]
    distance = best.distance
    below = impostors.share_below(distance)
    low, high = impostors.range
    if below <= 0.05:
        kind, text = "near", f"Nearer than strangers come: {best.identity} is a plausible match."
    elif below < 0.5:
        kind, text = "unsure", "Uncertain: some strangers come as near as this."
    else:
        kind, text = "stranger", "Probably not in this gallery: strangers usually come as near as this."
    detail = (f"{impostors.source} Nine in ten of those nearest strangers lie between {low:.3f} and {high:.3f}; "
              f"{100 * below:.0f} % of them are nearer than {distance:.3f}. "
              "A distance says how alike two pictures are to this network; it does not prove who someone is.")
    return {"kind": kind, "text": text, "detail": detail}


def reproduce(found: Identification, gallery: str, photo: str = "PHOTO") -> str:
    """The command line that gives the same answer."""
    options = found.options
    words = ["python", "-m", "demo", "identify", photo, "--gallery", gallery, "--backbone",
             found.provenance["backbone"], "--stage2", options.stage2]
    if options.stage2 != "none":
        words += ["--alpha", f"{options.alpha:g}", "--k", str(options.k)]
    if found.emd is not None:
        words += ["--weighting", options.weighting, "--grid", grid_name(found.emd.grid), "--solver", options.solver]
        words += ["--share", f"{options.share:g}"] if options.share < 1 else []
    if options.occlusion:
        words += ["--occlude", options.occlusion, "--seed", str(options.seed)]
        words += ["--style", options.style] if options.style else []
    if options.face:
        words += ["--face", str(options.face + 1)]
    if options.detector != "hog":
        words += ["--detector", options.detector]
    return shlex.join(words + (["--aligned"] if options.aligned else []))


def photo_value(photo: np.ndarray) -> str:
    """A photo for the page, shrunk to its size there."""
    return _jpeg(_shrunk(photo))


def photo_thumb(file: Path, side: int = 120) -> str:
    """A small square of a photo file."""
    photo = load_photo(file)
    height, width = photo.shape[:2]
    edge = min(height, width)
    top, left = (height - edge) // 2, (width - edge) // 2
    square = photo[top:top + edge, left:left + edge] if width < 1.5 * height else photo
    scale = side / square.shape[1]
    return _jpeg(cv2.resize(square, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))


def details_text(result: Result) -> str:
    """Timings and provenance as Markdown."""
    found = result.found
    steps = " · ".join(f"{step} {ms:.0f} ms" for step, ms in found.timings_ms.items())
    used = found.provenance
    return (f"**Time**: {steps}\n\n"
            f"**Used**: backbone {used['backbone']} (weights {used['weights_sha256'][:12]}), gallery "
            f"{used['gallery']} (index {used['gallery_sha256'][:12]}), version {used['version']}, "
            f"PyTorch {used['torch']}, {used['device']}")


def explained_grid(result: Result) -> tuple[int, int]:
    """The patch grid that the pictures show."""
    found = result.found
    if found.emd is not None:
        return found.emd.grid
    return found.options.grid or result.identifier.backbone.info.grids[0]


def _shrunk(photo: np.ndarray) -> np.ndarray:
    scale = SHOWN / max(photo.shape[:2])
    if scale >= 1:
        return photo
    return cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def picture_url(picture: np.ndarray) -> str:
    """A picture as a data address, without loss; packed lightly, for speed."""
    _, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 2])
    return "data:image/png;base64," + base64.b64encode(data).decode()


def heat_url(picture: np.ndarray) -> str:
    """A heat map as a data address, within about one level of 256 of its colours and a third of the size without
    loss. The values stand beside it, and what can be downloaded is exact."""
    return _jpeg(picture, 95, [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444])


def _jpeg(picture: np.ndarray, quality: int = 90, further: Sequence[int] = ()) -> str:
    """A photo, where small losses do not matter."""
    _, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR),
                           [cv2.IMWRITE_JPEG_QUALITY, quality, *further])
    return "data:image/jpeg;base64," + base64.b64encode(data).decode()
