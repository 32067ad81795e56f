"""An identification as the page shows it: plain values for the Board and the Inspector. No gradio here."""

from __future__ import annotations

import base64
import secrets
import shlex
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from demo.backbones import grid_name
from demo.explain import (
    colour_bar,
    flow_lines,
    flow_picture,
    heatmap,
    patch_grid,
    percent,
    shared_scale,
    strongest_flows,
    to_png,
)
from demo.faces import load_photo
from demo.figures import altered_title, ordinal, sentence
from demo.gallery import Impostors
from demo.identify import Identification, Identifier, Match
from demo.matching import WEIGHTINGS

TOP = 5
LINES = 12
#: Longest side of the photos that are sent to the page.
SHOWN = 480


@dataclass
class Result:
    """An identification together with what its pictures need. One per visitor and run.

    found: the answer. identifier: what gave it. impostors: how near strangers come under the same settings,
    or None where that is not measured. colormap: of the heat maps.
    """

    found: Identification
    identifier: Identifier
    impostors: Impostors | None = None
    colormap: str = "viridis"
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    _crops: dict[int, np.ndarray] = field(default_factory=dict)

    def crop(self, row: int) -> np.ndarray:
        """The aligned crop of a gallery row, cut once."""
        if row not in self._crops:
            self._crops[row] = self.identifier.gallery.crop(row, self.identifier.backbone)
        return self._crops[row]

    @cached_property
    def slots(self) -> dict[int, int]:
        """Gallery row → its place in the arrays of ``found.emd``."""
        if self.found.emd is None:
            return {}
        return {match.row: slot for slot, match in enumerate(self.found.stage1[:len(self.found.emd.distance)])}

    @cached_property
    def shown_rows(self) -> list[int]:
        """Gallery rows that can be among the first TOP for some α, so that moving α needs no server."""
        rows = [match.row for match in self.found.stage1[:TOP]]
        if self.found.emd is not None:
            cosine = np.array([match.cosine for match in self.found.stage1[:len(self.slots)]])
            patch = self.found.emd.distance.cpu().numpy()
            by_slot = list(self.slots)
            for alpha in np.linspace(0, 1, 101):
                order = np.argsort(alpha * patch + (1 - alpha) * cosine, kind="stable")
                rows += [by_slot[slot] for slot in order[:TOP]]
        rows += [match.row for match in self.found.ranking[:TOP]]
        return list(dict.fromkeys(rows))

    @cached_property
    def scale(self) -> tuple[float, float]:
        """One colour scale for the weights of all shown candidates."""
        emd = self.found.emd
        slots = [self.slots[row] for row in self.shown_rows if row in self.slots]
        return shared_scale([*emd.query_weights[slots].cpu().numpy(), *emd.candidate_weights[slots].cpu().numpy()])


def board_value(result: Result) -> dict:
    """What the Board component shows."""
    found = result.found
    grid = _grid(result)
    emd = found.emd
    shown = set(result.shown_rows)
    candidates = []
    measured = found.stage1[:max(len(result.slots), TOP)]
    for match in measured:
        slot = result.slots.get(match.row)
        visible = match.row in shown
        flow = None
        if visible and slot is not None:
            flow = picture_url(flow_picture(result.crop(match.row), emd.flow[slot].cpu().numpy(), grid))
        candidates.append({
            "row": match.row, "name": match.identity, "path": match.path, "rank": match.rank, "cosine": match.cosine,
            "patch": None if slot is None else float(emd.distance[slot]),
            "correct": None if found.truth is None else match.identity == found.truth,
            "thumb": _jpeg(result.crop(match.row)) if visible else None,
            "flow": flow,
        })
    height, width = found.query.crop.shape[:2]
    return {
        "result": result.token, "alpha": found.options.alpha, "top": min(TOP, len(found.stage1)),
        "stage2": found.options.stage2, "grid": list(grid), "crop": [width, height],
        "query": _query_value(result, grid), "sentence": sentence(found), "verdict": verdict(result),
        "candidates": candidates, "selected": found.ranking[0].row,
    }


def _query_value(result: Result, grid) -> dict:
    query, options = result.found.query, result.found.options
    height, width = query.photo.shape[:2]
    faces = [] if options.aligned else [
        [100 * left / width, 100 * top / height, 100 * (right - left) / width, 100 * (bottom - top) / height]
        for left, top, right, bottom in (np.clip(face.box, 0, (width, height, width, height)) for face in query.faces)
    ]
    altered = query.alteration
    return {
        "original": _jpeg(_shrunk(query.photo)), "faces": faces, "face": options.face,
        "altered": _jpeg(_shrunk(altered.photo)) if altered else None,
        "alteredTitle": altered_title(result.found) if altered else None,
        "crop": _jpeg(patch_grid(query.crop, grid, height=300)),
    }


def verdict(result: Result) -> dict | None:
    """How the best distance compares with how near strangers come in this gallery."""
    impostors = result.impostors
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


def inspector_value(result: Result, row: int) -> dict:
    """What the Inspector component shows of one candidate."""
    found = result.found
    match = next(m for m in found.ranking if m.row == row)
    slot = result.slots.get(row)
    grid = _grid(result)
    options = found.options
    value = {
        "result": result.token, "row": row, "name": match.identity, "cosine": match.cosine, "patch": match.patch,
        "alpha": options.alpha, "grid": list(grid), "title": _title(match, bool(found.stage2)),
        "terms": _terms(match, result),
    }
    if slot is None:
        return value
    emd = found.emd
    query_crop, crop = found.query.crop, result.crop(row)
    flow = emd.flow[slot].cpu().numpy()
    u, v = (weights[slot].cpu().numpy() for weights in (emd.query_weights, emd.candidate_weights))
    weighting = WEIGHTINGS[options.weighting]
    strongest = strongest_flows(flow, LINES)
    sources, targets = np.nonzero(flow > 1e-6)
    low, high = result.scale
    return value | {
        "query": {"crop": picture_url(query_crop), "heat": _heat(result, query_crop, u)},
        "candidate": {"crop": picture_url(crop), "heat": _heat(result, crop, v)},
        "flowPicture": picture_url(flow_picture(crop, flow, grid)),
        "flowPictureBright": picture_url(flow_picture(crop, flow, grid, dim=False)),
        "lines": picture_url(flow_lines(query_crop, crop, flow, grid, LINES)),
        "lineCount": len(strongest), "lineShare": float(sum(line.mass for line in strongest)),
        "colourBar": picture_url(colour_bar(result.scale, colormap=result.colormap)),
        "colourBarText": f"Colour bar: share of the weight from {percent(low)} to {percent(high)}",
        "u": u.tolist(), "v": v.tolist(),
        "flow": [[int(i), int(j), float(flow[i, j])] for i, j in zip(sources, targets, strict=True)],
        "flowHint": "At each place stands the match's patch that receives most of that query patch's mass; "
                    "the brighter, the more mass (the papers' Eq. 3.9).",
        "weightsHint": f"{weighting.title}: {weighting.explanation} One colour scale serves all candidates shown.",
    }


def _title(match: Match, reranked: bool) -> str:
    if not reranked:
        return f"{match.path}: {ordinal(match.rank)}"
    if not match.moved:
        return f"{match.path}: {ordinal(match.rank)} before and after re-ranking"
    return f"{match.path}: {ordinal(match.stage1_rank)} before, {ordinal(match.rank)} after re-ranking"


def _terms(match: Match, result: Result) -> list[list[str]]:
    """Rows of the score breakdown: name, number, note."""
    options = result.found.options
    terms = [["Cosine distance", f"{match.cosine:.4f}", "Stage 1: 1 − cosine similarity of the two embeddings"]]
    if match.patch is None:
        return terms
    emd = result.found.emd
    slot = result.slots[match.row]
    flow = emd.flow[slot]
    return [
        *terms,
        ["Earth Mover's Distance", f"{match.patch:.4f}",
         f"Cheapest way to move the query's patch weights onto the match's: {options.weighting} weights, "
         f"{grid_name(emd.grid)} grid, {emd.solver} solver"],
        ["Combined", f"{match.combined:.4f}",
         f"Eq. 5.1: {options.alpha:g} × {match.patch:.4f} + {1 - options.alpha:g} × {match.cosine:.4f}"],
        ["Patch pairs with flow", str(int((flow > 1e-6).sum())), f"of {flow.numel()} possible"],
        ["Rank", f"{match.stage1_rank} → {match.rank}", "before → after re-ranking"],
    ]


def reproduce(found: Identification, gallery: str, photo: str = "PHOTO") -> str:
    """The command line that gives the same answer."""
    options = found.options
    words = ["python", "-m", "demo", "identify", photo, "--gallery", gallery, "--backbone",
             found.provenance["backbone"], "--stage2", options.stage2]
    if options.stage2 != "none":
        words += ["--weighting", options.weighting, "--alpha", f"{options.alpha:g}", "--k", str(options.k),
                  "--grid", grid_name(found.emd.grid), "--solver", options.solver]
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


def _grid(result: Result) -> tuple[int, int]:
    return result.found.emd.grid if result.found.emd is not None else result.identifier.backbone.info.grids[0]


def _heat(result: Result, crop: np.ndarray, weights: np.ndarray) -> str:
    return picture_url(heatmap(crop, weights, _grid(result), scale=result.scale, colormap=result.colormap))


def _shrunk(photo: np.ndarray) -> np.ndarray:
    scale = SHOWN / max(photo.shape[:2])
    if scale >= 1:
        return photo
    return cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def picture_url(picture: np.ndarray) -> str:
    """A picture as a data address, without loss."""
    return "data:image/png;base64," + base64.b64encode(to_png(picture)).decode()


def _jpeg(picture: np.ndarray) -> str:
    """A photo, where small losses do not matter."""
    _, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])
    return "data:image/jpeg;base64," + base64.b64encode(data).decode()
