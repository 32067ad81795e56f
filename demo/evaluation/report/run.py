"""Runs the sections over the data sets, each result kept on disk: what was measured once is not measured again."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path

import demo
from demo.crossimage import METHODS, methods_ready
from demo.crossimage.checkpoint import shipped
from demo.errors import BadSetting, DemoError
from demo.evaluation.report.environment import environment
from demo.evaluation.report.items import items_of
from demo.evaluation.report.paper import published
from demo.evaluation.report.sections import SECTIONS, Section
from demo.evaluation.report.source import Source
from demo.evaluation.store import code_version
from demo.weights import sha256

#: The code between features and numbers of every section; that before them is covered by ``code_version``.
_CODE = ("matching", "crossimage", "gallery/index.py", "identify.py", "thresholds.py", "evaluation/datasets",
         *(f"evaluation/{name}.py" for name in ("ablations", "metrics", "protocol", "ranking", "rates", "run",
                                                "verification", "report/content", "report/measures")))

#: (number from 1, of how many, section, data set, whether it was at hand already) → None
Tell = Callable[[int, int, str, str, bool], None]


def make_report(sources: Sequence[Source], names: Sequence[str], folder: Path, command: str,
                tell: Tell = lambda *_: None) -> dict:
    """Everything measured, as plain data: what ``results.json`` holds.

    names: of SECTIONS. folder: where the results of each section and data set are kept, one file each, by everything
    that they depend on; it may be deleted at any time. command: what made it. A section that cannot be measured on a
    data set says why in its place.
    """
    unknown = [name for name in names if name not in SECTIONS]
    if unknown:
        raise BadSetting(f"There is no section {unknown[0]!r}: choose from {', '.join(SECTIONS)}.")
    sections, done = [], 0
    measured = {name: [source for source in sources if source.only is None or name in source.only] for name in names}
    for section in (SECTIONS[name] for name in names):
        findings = []
        for source in measured[section.name]:
            place, done = folder / f"{_key(section, source)}.json", done + 1
            tell(done, sum(map(len, measured.values())), section.title, source.name, place.is_file())
            findings.append({"data": source.name, **_kept(place, section, source)})
        sections.append({"name": section.name, "title": section.title, "text": section.text,
                         "command": f"python -m demo {section.command}",
                         "paper": published(section.name, findings, measured[section.name]), "findings": findings})
    return {"command": command, "environment": environment(str(sources[0].identifier.backbone.device)),
            "data": [_described(source) for source in sources], "sections": sections,
            "items": items_of(sections, sources)}


def _kept(place: Path, section: Section, source: Source) -> dict:
    if place.is_file():
        return json.loads(place.read_text(encoding="utf-8"))
    began = time.perf_counter()
    try:
        found = section.measure(source, section.kinds).as_json()
    except DemoError as error:
        return {"missing": str(error)}  # not kept: what is missing may be there next time
    found |= {"seconds": round(time.perf_counter() - began, 1), "load": _load()}
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_suffix(f".{os.getpid()}.part")
    partial.write_text(json.dumps(found, ensure_ascii=False), encoding="utf-8")
    partial.replace(place)
    return found


def _key(section: Section, source: Source) -> str:
    """Hash of everything that a section's numbers on a data set depend on."""
    identifier = source.identifier
    backbone, gallery = identifier.backbone, identifier.gallery
    queries = [(photo.path, photo.sha256) for photo in source.photos or ()]
    pairs = [(pair.first.path, pair.second.path, pair.same, pair.fold) for pair in source.pairs or ()]
    parts = [section.name, section.kinds, asdict(source.scale), source.dataset, backbone.name, backbone.weights_sha256,
             gallery.sha256, queries, pairs, cross_weights(backbone.name), str(backbone.device), code_version(),
             measuring_version(section.code), demo.__version__]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def cross_weights(backbone: str) -> dict[str, str]:
    """Cross-image model → SHA-256 of its weights for a backbone, of those that are there."""
    ready = methods_ready(backbone)
    return {name: sha256(shipped(name, backbone)) for name, method in METHODS.items()
            if method.trained and not ready[name]}


@cache
def measuring_version(further: tuple[str, ...] = ()) -> str:
    """Hash of the code between features and numbers. further: files of one section alone."""
    digest, base = hashlib.sha256(), Path(demo.__file__).parent
    for place in (*_CODE, *further):
        for file in sorted((base / place).glob("*.py")) if (base / place).is_dir() else [base / place]:
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _described(source: Source) -> dict:
    gallery = source.identifier.gallery
    return {"name": source.name, "dataset": source.dataset, "photos": len(gallery), "people": len(gallery.people),
            "queries": len(source.queries(None)), "metrics": source.reading,
            "protocol": "query photos" if source.photos is not None else "leave one out",
            "backbone": source.backbone, "weights_sha256": source.identifier.backbone.weights_sha256,
            "gallery_sha256": gallery.sha256, "cross_image_weights_sha256": cross_weights(source.backbone),
            "scale": asdict(source.scale)}


def _load() -> Mapping[str, float] | None:
    """How busy the machine was, where it says so: programs that wanted to run, over cores."""
    if not hasattr(os, "getloadavg"):
        return None
    return {"running": round(os.getloadavg()[0], 1), "cores": os.cpu_count()}
