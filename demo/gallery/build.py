"""Photos of a folder → an index on disk. Only new and changed photos are computed again."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from demo.backbones import Backbone, Grid, grid_name
from demo.errors import BadGallery, BadSetting, DemoError
from demo.faces import DEFAULT_DETECTOR, Face, Limits, align, find_face, landmarks_in, load_photo
from demo.gallery.folder import Photo, list_photos
from demo.gallery.manifest import (
    EMBEDDINGS,
    FACES,
    INDEX_FOLDER,
    Entry,
    Failure,
    Manifest,
    patches_file,
)
from demo.weights import sha256

#: Called after each photo with (photos done, photos in all, path).
Progress = Callable[[int, int, str], None]
BATCH = 16


@dataclass(frozen=True)
class _Row:
    """Everything stored of one photo. patches: grid → (P, C) float16."""

    embedding: np.ndarray
    patches: dict[Grid, np.ndarray]
    face: dict[str, np.ndarray]


def build_index(folder: str | Path, backbone: Backbone, out: str | Path | None = None, *,
                  name: str | None = None, detector: str = DEFAULT_DETECTOR, limits: Limits = Limits(),
                  progress: Progress | None = None, photos: Sequence[Photo] | None = None,
                  grids: Sequence[Grid] | None = None, known: Path | None = None) -> Path:
    """Index the photos of ``folder`` (one sub-folder per identity) for ``backbone``; returns the index folder.

    out: folder of indexes; this backbone's goes to ``out/<backbone>`` (default: ``folder/.index``).
    limits: of the photos. photos: those to index, with paths relative to the folder, where it has another layout.
    grids: of the backbone, whose patches are kept (default: all; there may be none); others are computed when they
    are asked for.
    A photo whose content is already in an index made with the same weights and detector is not computed again; known
    may be the folder of another index that is looked into, too. Photos that cannot be used are listed with reasons;
    BadGallery if none can. An index that was there before stays whole until the new one is written.
    """
    folder = Path(folder)
    photos = list_photos(folder) if photos is None else photos
    target = Path(out if out is not None else folder / INDEX_FOLDER) / backbone.name
    kept_grids = _kept(backbone, grids)
    rows, failures = _known_rows(target, backbone, detector, kept_grids)
    if known is not None and any(photo.sha256 not in rows and photo.sha256 not in failures for photo in photos):
        more, failed = _known_rows(known, backbone, detector, kept_grids)
        rows, failures = more | rows, failed | failures
    unseen = {photo.sha256: photo for photo in photos
              if photo.sha256 not in rows and photo.sha256 not in failures}
    done = len(photos) - len(unseen)
    try:
        for photo, result in _compute(list(unseen.values()), backbone, detector, limits, kept_grids):
            if isinstance(result, _Row):
                rows[photo.sha256] = result
            else:
                failures[photo.sha256] = result
            done += 1
            if progress:
                progress(done, len(photos), photo.path)
    finally:  # stopped or broken off: what is computed is kept, and the next build goes on from there
        kept = [photo for photo in photos if photo.sha256 in rows]
        if kept:
            failed = [Failure(photo.path, photo.sha256, failures[photo.sha256])
                      for photo in photos if photo.sha256 in failures]
            manifest = Manifest(
                name or folder.resolve().name, folder.resolve(), backbone.name, backbone.weights_sha256, detector,
                kept_grids, tuple(Entry(photo.path, photo.identity, photo.sha256) for photo in kept),
                tuple(failed), arrays={})
            _write(target, manifest, [rows[photo.sha256] for photo in kept])
    if not kept:
        raise BadGallery(f"No photo of {folder} can be used: {failures[photos[0].sha256]}")
    return target


def _kept(backbone: Backbone, grids: Sequence[Grid] | None) -> tuple[Grid, ...]:
    """Those of a backbone's grids that are asked for, in its order."""
    offered = backbone.info.grids
    if unknown := [grid_name(grid) for grid in grids or () if grid not in offered]:
        raise BadSetting(f"{backbone.name} has no grid {', '.join(unknown)}: choose from "
                         f"{', '.join(map(grid_name, offered))}.")
    return offered if grids is None else tuple(grid for grid in offered if grid in grids)

def _known_rows(target: Path, backbone: Backbone, detector: str,
                grids: tuple[Grid, ...]) -> tuple[dict[str, _Row], dict[str, str]]:
    """Rows and failures of the index that is already there, by content hash, if it still speaks for this build."""
    try:
        old = Manifest.read(target)
    except BadGallery:
        return {}, {}
    made_by = (old.weights_sha256, old.detector)
    if made_by != (backbone.weights_sha256, detector) or not set(grids) <= set(old.grids) or old.damaged(target):
        return {}, {}
    embeddings = load_file(target / EMBEDDINGS)["embeddings"]
    faces = load_file(target / FACES)
    patches = {grid: load_file(target / patches_file(grid))["patches"] for grid in grids}
    rows = {
        entry.sha256: _Row(embeddings[row], {grid: values[row] for grid, values in patches.items()},
                           {key: values[row] for key, values in faces.items()})
        for row, entry in enumerate(old.entries)
    }
    return rows, {failure.sha256: failure.reason for failure in old.failures}


def _compute(photos: list[Photo], backbone: Backbone, detector: str, limits: Limits,
             kept: tuple[Grid, ...]) -> Iterator[tuple[Photo, _Row | str]]:
    """Detect, align and extract in batches; yields each photo with its row, or with the reason it has none."""
    waiting: list[tuple[Photo, np.ndarray, dict[str, np.ndarray]]] = []
    for index, photo in enumerate(photos):
        try:
            picture = load_photo(photo.file, limits)
            face = find_face(picture, detector=detector, folder=backbone.info.folder)
            waiting.append((photo, align(picture, face, backbone), _face_arrays(face, backbone)))
        except DemoError as error:
            yield photo, str(error)
        if waiting and (len(waiting) == BATCH or index == len(photos) - 1):
            features = backbone.extract(np.stack([crop for _, crop, _ in waiting]))
            grids = {grid: features.at(grid).patches.cpu().numpy().astype(np.float16) for grid in kept}
            embeddings = features.embedding.cpu().numpy()
            for slot, (done, _, arrays) in enumerate(waiting):
                yield done, _Row(embeddings[slot], {grid: p[slot] for grid, p in grids.items()}, arrays)
            waiting = []


def _face_arrays(face: Face, backbone: Backbone) -> dict[str, np.ndarray]:
    unknown = np.full((5, 2), np.nan, np.float32)
    return {
        "box": np.asarray(face.box, np.float32), "score": np.asarray(face.score, np.float32),
        "landmarks": face.landmarks,
        "chip_points": unknown if face.chip_points is None else face.chip_points,
        "five_points": unknown if face.five_points is None else face.five_points,
        "crop_landmarks": landmarks_in(face, backbone),
    }


def _write(target: Path, manifest: Manifest, rows: list[_Row]) -> None:
    """Write beside the target, then swap, so that a reader or a crash never meets half an index."""
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        arrays = {
            EMBEDDINGS: {"embeddings": np.stack([row.embedding for row in rows])},
            FACES: {key: np.stack([row.face[key] for row in rows]) for key in rows[0].face},
            **{patches_file(grid): {"patches": np.stack([row.patches[grid] for row in rows])}
               for grid in manifest.grids},
        }
        for name, values in arrays.items():
            save_file({key: np.ascontiguousarray(value) for key, value in values.items()}, fresh / name)
        final = replace(manifest, arrays={name: sha256(fresh / name) for name in arrays})
        final.write(fresh)
        fresh.chmod(0o755)
        if target.exists():
            shutil.rmtree(target)
        os.replace(fresh, target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
