"""What a visitor can take home: the figure, the pages, the numbers and the arrays, of either page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from demo.explain import (
    EXPLANATIONS,
    Maps,
    Matrices,
    explain,
    maps_figure,
    pair_figure,
    to_pdf,
    to_png,
)
from demo.explain import Result as ExplanationResult
from demo.figures import match_figure, ranking_figure, sheet_maps, verified_pair
from demo.identify import json_text
from demo.methods import METHODS, STAGE1
from demo.ui.budget import RESULTS
from demo.ui.views.board import TOP, Result
from demo.ui.views.verdicts import Compared

#: kind → (title of the button, ending of the file).
KINDS = {"figure": ("Figure (PNG)", "png"), "pages": ("Pages (PDF)", "pdf"), "numbers": ("Numbers (JSON)", "json"),
         "arrays": ("Arrays (NPZ)", "npz")}
#: kind → result → content of the file.
Makers = Mapping[str, Callable[[Any], bytes]]


def figure_png(result: Result) -> bytes:
    """Both rankings, and small pictures of what explains the second, as one picture."""
    return to_png(_rankings(result))


def _rankings(result: Result):
    return ranking_figure(result.found, result.identifier, result.crop, TOP, result.further)


def pages_pdf(result: Result) -> bytes:
    """The rankings on the first page, then a page per re-ranked match."""
    found, identifier = result.found, result.identifier
    pages = [_rankings(result)]
    pages += [match_figure(run, identifier, match, result.crop, scale=result.scale if run is found else None,
                           colormap=result.colormap)
              for run in (found, *result.further) for match in run.stage2[:TOP] if match.patch is not None]
    return to_pdf(pages, title="Explainable face identification")


def arrays_npz(result: Result) -> bytes:
    """Distances, and what every method measured of the re-ranked candidates, in the order of Stage 1."""
    found = result.found
    arrays = {"paths": np.array([match.path for match in found.stage1]),
              STAGE1.word: np.array([match.cosine for match in found.stage1], np.float32),
              "query_crop": found.query.crop}
    for word, run in result.runs.items():
        measured = sorted(result.stages[word].values(), key=lambda match: match.stage1_rank)
        arrays |= {word: np.array([match.patch for match in measured], np.float32), **_evidence(word, run.evidence)}
    return _npz(arrays)


def compared_png(compared: Compared) -> bytes:
    """Both faces and what every method makes of them."""
    return to_png(pair_figure(verified_pair(compared.found)))


def compared_pdf(compared: Compared) -> bytes:
    """The figure, then all maps beside each other."""
    pair = compared.found.pair
    return to_pdf([pair_figure(verified_pair(compared.found)),
                   maps_figure(*pair.crops, sheet_maps(pair, every=True), title="Every map of the pair",
                               names=pair.titles)],
                  title="Two faces compared")


def compared_npz(compared: Compared) -> bytes:
    """Crops, distances, what every method measured of the pair, and every explanation that is a map or a matrix."""
    found, pair = compared.found, compared.found.pair
    arrays = {"first_crop": found.first.crop, "second_crop": found.second.crop,
              "methods": np.array([judged.method for judged in found.judgements]),
              "distances": np.array([judged.distance for judged in found.judgements], np.float32)}
    for judged in found.judgements:
        arrays |= _evidence(judged.method, pair.evidence(judged.method))
    for word, result in explain(pair).items():
        named = EXPLANATIONS[word].stored
        arrays |= _explained(word if named is None else named, result)
    return _npz(arrays)


def _evidence(method: str, evidence: Any) -> dict[str, np.ndarray]:
    return {} if evidence is None else METHODS[method].arrays(evidence)


def _explained(name: str, result: ExplanationResult) -> dict[str, np.ndarray]:
    """The arrays of an explanation that is a map per face or looks from face to face, by the names that files keep."""
    if not name or not isinstance(result, Maps | Matrices):
        return {}
    if isinstance(result, Maps):
        return {f"{name}_first": result.maps.query.astype(np.float32),
                f"{name}_second": result.maps.candidate.astype(np.float32)}
    both = result.choose() if result.by else (result.forward, result.backward)
    return {f"{name}_{way}": rows.astype(np.float32) for way, rows in zip(("forward", "backward"), both, strict=True)}


def _npz(arrays: dict[str, Any]) -> bytes:
    file = BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


IDENTIFICATION: Makers = {"figure": figure_png, "pages": pages_pdf, "arrays": arrays_npz,
                          "numbers": lambda result: json_text(result.as_json()).encode()}
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
            result = RESULTS.use(result)
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
