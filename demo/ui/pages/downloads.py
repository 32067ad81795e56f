"""What a visitor can take home: the figure, the pages, the numbers and the arrays, of either page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from demo.crossimage import PairMaps, pair_maps
from demo.explain import board_figure, maps_figure, pair_figure, to_pdf, to_png
from demo.figures import board, further_maps, pair, verified_pair
from demo.identify import json_text
from demo.ui.views.board import TOP, Result
from demo.ui.views.verdicts import NAMES, Compared

#: kind → (title of the button, ending of the file).
KINDS = {"figure": ("Figure (PNG)", "png"), "pages": ("Pages (PDF)", "pdf"), "numbers": ("Numbers (JSON)", "json"),
         "arrays": ("Arrays (NPZ)", "npz")}
#: kind → result → content of the file.
Makers = Mapping[str, Callable[[Any], bytes]]


def figure_png(result: Result) -> bytes:
    """Both rankings and the flows as one picture."""
    return to_png(board_figure(board(result.found, result.crop, TOP)))


def pages_pdf(result: Result) -> bytes:
    """The rankings on the first page, then a page per re-ranked match."""
    found, identifier = result.found, result.identifier
    model, query = identifier.h2l(), found.query.features
    pages = [board_figure(board(found, result.crop, TOP))]
    for match in found.stage2[:TOP]:
        if match.patch is None:
            continue
        face = identifier.gallery.features([match.row])
        maps = further_maps(query, face, pair_maps(model, query, face) if model else None)
        pages.append(
            pair_figure(pair(found, result.crop, match, result.scale, maps), colormap=result.colormap)
            if found.emd is not None else
            maps_figure(found.query.crop, result.crop(match.row), maps, colormap=result.colormap,
                        title=f"Query and {match.identity}", names=("Query", match.identity)))
    return to_pdf(pages, title="Explainable face identification")


def arrays_npz(result: Result) -> bytes:
    """Weights, flows and ground distances of the re-ranked candidates, in the order of Stage 1."""
    found = result.found
    arrays = {"paths": np.array([match.path for match in found.stage1]),
              "cosine": np.array([match.cosine for match in found.stage1], np.float32),
              "query_crop": found.query.crop}
    return _npz(arrays | (_transport(found.emd) if found.emd is not None else {}))


def compared_png(compared: Compared) -> bytes:
    """Both faces and what every method makes of them."""
    return to_png(pair_figure(verified_pair(compared.found)))


def compared_pdf(compared: Compared) -> bytes:
    """The figure, then all maps beside each other."""
    found = compared.found
    maps = further_maps(found.first.features, found.second.features, found.maps, every=True)
    return to_pdf([pair_figure(verified_pair(found)),
                   maps_figure(found.first.crop, found.second.crop, maps, title="Every map of the pair", names=NAMES)],
                  title="Two faces compared")


def compared_npz(compared: Compared) -> bytes:
    """Crops, distances, weights, flow and ground distances of the pair, and every map of H2L."""
    found = compared.found
    arrays = {"first_crop": found.first.crop, "second_crop": found.second.crop,
              "methods": np.array([judged.method for judged in found.judgements]),
              "distances": np.array([judged.distance for judged in found.judgements], np.float32)}
    return _npz(arrays | _transport(found.emd) | (_attended(found.maps) if found.maps else {}))


def _transport(emd) -> dict[str, np.ndarray]:
    tensors = {"emd": emd.distance, "flow": emd.flow, "ground": emd.ground, "query_weights": emd.query_weights,
               "candidate_weights": emd.candidate_weights}
    return {name: tensor.cpu().numpy() for name, tensor in tensors.items()} | {"grid": np.array(emd.grid)}


def _attended(maps: PairMaps) -> dict[str, np.ndarray]:
    pairs = {"attention": (maps.attention.forward, maps.attention.backward), "rollout": maps.rolled,
             "relevance": maps.relevance, "correlation": maps.correlation}
    return {f"{name}_{which}": values.astype(np.float32) for name, both in pairs.items()
            for which, values in zip(("forward", "backward") if name in ("attention", "rollout") else
                                     ("first", "second"), both, strict=True)}


def _npz(arrays: dict[str, np.ndarray]) -> bytes:
    file = BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


IDENTIFICATION: Makers = {"figure": figure_png, "pages": pages_pdf, "arrays": arrays_npz,
                          "numbers": lambda result: json_text(result.found.as_json()).encode()}
COMPARISON: Makers = {"figure": compared_png, "pages": compared_pdf, "arrays": compared_npz,
                      "numbers": lambda compared: json_text(compared.found.as_json()).encode()}


class DownloadRow:
    """The buttons under a result; a file is made when it is asked for. Make it inside ``gr.Blocks``.

    row: hidden until there is a result. name: of the files, without ending.
    """

    def __init__(self, makers: Makers, name: str):
        self.makers, self.name = makers, name
        with gr.Row(elem_id="downloads", visible=False) as self.row:
            self._buttons = {kind: gr.Button(title, size="sm", min_width=120) for kind, (title, _) in KINDS.items()}
        self._ready = gr.DownloadButton("Download", visible="hidden", elem_id="ready-download")

    def wire(self, result: gr.State, line: str, quick: dict) -> None:
        """result: what the makers take, with a ``token`` of its own; None when it has expired. line: the queue that
        computing waits in. quick: how events that compute nothing run."""
        for kind, button in self._buttons.items():
            button.click(self._downloader(kind), result, self._ready, concurrency_id=line, show_progress="minimal",
                         api_visibility="private").success(
                None, js="() => { setTimeout(() => document.querySelector('#ready-download')?.click(), 200); }",
                **quick)

    def _downloader(self, kind: str):
        def download(result):
            if result is None:
                raise gr.Error("This result has expired: run it again.", print_exception=False)
            return self.write(kind, result, self._ready.GRADIO_CACHE)

        return download

    def write(self, kind: str, result, cache: str) -> str:
        """Write one file into the page's own cache, which is erased by age, and return its path."""
        folder = Path(cache) / result.token
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{self.name}.{KINDS[kind][1]}"
        file.write_bytes(self.makers[kind](result))
        return str(file)
