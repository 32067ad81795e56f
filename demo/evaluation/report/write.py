"""Writes a report: ``results.json``, ``report.md`` with its figures, and ``report.html`` with everything in it."""

from __future__ import annotations

import json
from pathlib import Path

from demo.errors import BadSetting
from demo.evaluation.report.document import Document
from demo.evaluation.report.html_page import page
from demo.evaluation.report.markdown import PLOTS, markdown
from demo.evaluation.report.plots import svg
from demo.files import write_whole

RESULTS, MARKDOWN, PAGE = "results.json", "report.md", "report.html"


def read_results(out: Path) -> dict:
    """What ``write_report`` wrote; BadSetting where it cannot be read."""
    try:
        return json.loads((out / RESULTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise BadSetting(f"There is no report in {out.name} to keep: leave --keep out.") from None


def write_report(results: dict, out: Path) -> Document:
    """Each file is written whole or not at all; figures of an earlier report that are no longer in it are removed."""
    document = Document(results)
    figures = {f"{picture.name}.svg": svg(picture.plot) for picture in document.pictures}
    try:
        (out / PLOTS).mkdir(parents=True, exist_ok=True)
        for name, data in figures.items():
            write_whole(out / PLOTS / name, data)
        for old in (out / PLOTS).glob("*.svg"):
            if old.name not in figures:
                old.unlink()
        shown = {picture.name: figures[f"{picture.name}.svg"] for picture in document.pictures}
        write_whole(out / PAGE, page(document, lambda picture: shown[picture.name]))
        write_whole(out / MARKDOWN, markdown(document))
        write_whole(out / RESULTS, json.dumps(results, ensure_ascii=False))
    except OSError as error:
        raise BadSetting(f"The report cannot be written to {out.name} ({error.strerror}): choose another --out."
                         ) from None
    return document
