"""What a visitor can take home: the figure, the pages, the numbers and the arrays."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np

from demo.explain import board_figure, pair_figure, to_pdf, to_png
from demo.figures import board, pair
from demo.identify import json_text
from demo.ui.view import TOP, Result


def figure_png(result: Result) -> bytes:
    """Both rankings and the flows as one picture."""
    return to_png(board_figure(board(result.found, result.crop, TOP)))


def pages_pdf(result: Result) -> bytes:
    """The rankings on the first page, then a page per re-ranked match."""
    pages = [board_figure(board(result.found, result.crop, TOP))]
    if result.found.emd is not None:
        pages += [pair_figure(pair(result.found, result.crop, match, result.scale), colormap=result.colormap)
                  for match in result.found.stage2[:TOP] if match.patch is not None]
    return to_pdf(pages, title="Explainable face identification")


def numbers_json(result: Result) -> bytes:
    """Every rank and distance, and the settings."""
    return json_text(result.found.as_json()).encode()


def arrays_npz(result: Result) -> bytes:
    """Weights, flows and ground distances of the re-ranked candidates, in the order of Stage 1."""
    found = result.found
    arrays = {"paths": np.array([match.path for match in found.stage1]),
              "cosine": np.array([match.cosine for match in found.stage1], np.float32),
              "query_crop": found.query.crop}
    if found.emd is not None:
        arrays |= {"emd": found.emd.distance.cpu().numpy(), "flow": found.emd.flow.cpu().numpy(),
                   "ground": found.emd.ground.cpu().numpy(), "grid": np.array(found.emd.grid),
                   "query_weights": found.emd.query_weights.cpu().numpy(),
                   "candidate_weights": found.emd.candidate_weights.cpu().numpy()}
    file = BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


#: kind → (title of the button, file name, maker).
DOWNLOADS: dict[str, tuple[str, str, Callable[[Result], bytes]]] = {
    "figure": ("Figure (PNG)", "identification.png", figure_png),
    "pages": ("Pages (PDF)", "identification.pdf", pages_pdf),
    "numbers": ("Numbers (JSON)", "identification.json", numbers_json),
    "arrays": ("Arrays (NPZ)", "identification.npz", arrays_npz),
}


def make_download(kind: str, result: Result, cache: str) -> str:
    """Write one download into the page's own cache, which is erased by age, and return its path."""
    _, name, make = DOWNLOADS[kind]
    folder = Path(cache) / result.token
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_bytes(make(result))
    return str(file)
