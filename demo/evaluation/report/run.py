"""Runs the sections over the data sets, each result kept on disk: what was measured once is not measured again."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from demo.backbones import available
from demo.errors import BadSetting, DemoError
from demo.evaluation.detectors import ready
from demo.evaluation.report.environment import environment
from demo.evaluation.report.items import items_of
from demo.evaluation.report.judged import yardsticks
from demo.evaluation.report.paper import published
from demo.evaluation.report.sections import SECTIONS, Section
from demo.evaluation.report.source import Source
from demo.evaluation.versions import scores_versions
from demo.files import write_whole
from demo.methods import Matching
from demo.query import Preparation

#: (number from 1, of how many, section, data set, whether it was at hand already) → None
Tell = Callable[[int, int, str, str, bool], None]


def make_report(sources: Sequence[Source], names: Sequence[str], folder: Path, command: str,
                tell: Tell = lambda *_: None) -> dict:
    """Everything measured, as plain data: what ``results.json`` holds.

    names: of SECTIONS. folder: where the results of each section and data set are kept, one file each, by everything
    that they depend on; it may be deleted at any time. command: what made it. A section that cannot be measured on a
    data set says why in its place. Only the data sets on which something was measured are described.
    """
    unknown = [name for name in names if name not in SECTIONS]
    if unknown:
        raise BadSetting(f"There is no section {unknown[0]!r}: choose from {', '.join(SECTIONS)}.")
    done, sections = 0, _read(names)
    measured = {name: [source for source in sources if source.kinds(name, SECTIONS[name].kinds)]
                for name in names if name not in sections}
    for section in (SECTIONS[name] for name in measured if measured[name]):
        findings = []
        for source in measured[section.name]:
            place, done = folder / f"{section_key(section, source)}.json", done + 1
            tell(done, sum(map(len, measured.values())), section.title, source.name, place.is_file())
            findings.append({"data": source.name, **_kept(place, section, source)})
        sections[section.name] = _told(section, findings) | {
            "paper": published(section.name, findings, measured[section.name])}
    used = [source for source in sources if any(source in some for some in measured.values())]
    each = [sections[name] for name in SECTIONS if name in sections]
    return {"command": command, "environment": environment(str(sources[0].identifier.backbone.device)),
            "data": [_described(source) for source in used], "sections": each, "items": items_of(each, sources)}


def with_what_is_read(results: Mapping) -> dict:
    """A report with the sections that are read instead of measured as they are now, whether it held them or not."""
    sections = {section["name"]: section for section in results["sections"]} | _read(SECTIONS)
    return {**results, "sections": [sections[name] for name in SECTIONS if name in sections]}


def kept_beside(old: dict, new: dict) -> dict:
    """The new report with what only the old one holds: sections, and findings of data sets in sections of both. Texts
    and commands are those of the new one; beside the papers' numbers stand those of both. What it was made with is told
    of the latest in which something was measured."""
    sections = {section["name"]: section for section in new["sections"]}
    for section in old["sections"]:
        mine = sections.setdefault(section["name"], section)
        if mine is section:
            continue
        known = {found["data"] for found in mine["findings"]}
        mine["findings"] = [found for found in section["findings"] if found["data"] not in known] + mine["findings"]
        before = {_row(one): one["ours"] for one in section["paper"]}
        for one in mine["paper"]:
            one["ours"] = {**before.get(_row(one), {}), **one["ours"]}
    names = {one["name"] for one in new["data"]}
    ours = {(item["paper"], item["what"]): item for item in old["items"]}
    for item in new["items"]:
        before = ours.get((item["paper"], item["what"]), {"ours": {}, "of": "", "missing": item["missing"]})
        item["missing"] = [name for name in item["missing"] if name in before["missing"]]
        item["ours"] = {**before["ours"], **item["ours"]}
        item["of"] = item["of"] or before["of"]
    commands = dict.fromkeys([*old["command"].splitlines(), *new["command"].splitlines()])
    data = [one for one in old["data"] if one["name"] not in names] + new["data"]
    environment = (new if new["data"] else old)["environment"]
    return {**old, **new, "environment": environment, "command": "\n".join(commands), "data": data,
            "sections": [sections[name] for name in SECTIONS if name in sections]}


def _read(names: Iterable[str]) -> dict[str, dict]:
    """Those sections that are read, by name; without what nothing is known of."""
    found = {section.name: [{"data": data, **finding.as_json()} for data, finding in section.read().items()]
             for section in map(SECTIONS.__getitem__, names) if section.read}
    return {name: _told(SECTIONS[name], findings) for name, findings in found.items() if findings}


def _told(section: Section, findings: Sequence[Mapping]) -> dict:
    """A section as JSON, without the papers' numbers."""
    return {"name": section.name, "title": section.title, "text": section.text,
            "command": f"python -m demo {section.command}", "paper": [], "findings": findings}


def _row(paper: Mapping) -> tuple:
    """Which of the papers' numbers it is."""
    return tuple(paper[name] for name in ("item", "data", "alteration", "backbone", "method"))


def _kept(place: Path, section: Section, source: Source) -> dict:
    assert section.measure is not None
    if place.is_file():
        return json.loads(place.read_text(encoding="utf-8"))
    began = time.perf_counter()
    try:
        found = section.measure(source, source.kinds(section.name, section.kinds)).as_json()
    except DemoError as error:
        return {"missing": str(error)}  # not kept: what is missing may be there next time
    found |= {"seconds": round(time.perf_counter() - began, 1), "load": _load()}
    place.parent.mkdir(parents=True, exist_ok=True)
    write_whole(place, json.dumps(found, ensure_ascii=False))
    return found


def section_key(section: Section, source: Source) -> str:
    """Hash of everything that a section's numbers on a data set depend on: what is measured, on which queries, with
    which weights and settings, and the versions of the rooms in between."""
    identifier = source.identifier
    backbone, gallery = identifier.backbone, identifier.gallery
    photos = [(photo.path, photo.sha256) for photo in source.photos or ()]
    among = [info.name for info in available(backbone.info.folder) if info.ready and info.name in section.among]
    among += [name for name in ready(backbone.info.folder) if name in section.among]
    kinds = source.kinds(section.name, section.kinds)
    parts = [section.name, section.version, kinds, section.varies, among, source.chosen(kinds),
             photos, source.other, asdict(source.scale), source.dataset, backbone.name, backbone.weights_sha256,
             gallery.sha256,
             {word: method.key for word, method in identifier.ready().items()}, str(backbone.device),
             Matching().values(), asdict(Preparation()), scores_versions()]
    parts += [yardsticks(identifier)] if section.calibrated else []
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def cross_weights(source: Source) -> dict[str, str]:
    """Name of a model → SHA-256 of its weights, of those that are trained and ready."""
    return {method.name: method.key for method in source.identifier.ready().values() if method.trained}


def _described(source: Source) -> dict:
    gallery = source.identifier.gallery
    return {"name": source.name, "dataset": source.dataset, "photos": len(gallery), "people": len(gallery.people),
            "queries": len(source.queries(None)), "metrics": source.reading,
            "protocol": ("leave one out" if source.photos is None else
                                                "query photos of their own" if source.other else "query photos"),
            "backbone": source.backbone, "weights_sha256": source.identifier.backbone.weights_sha256,
            "gallery_sha256": gallery.sha256, "cross_image_weights_sha256": cross_weights(source),
            "scale": asdict(source.scale)}


def _load() -> Mapping[str, float] | None:
    """How busy the machine was, where it says so: programs that wanted to run, over cores."""
    cores = os.cpu_count()
    if cores is None or not hasattr(os, "getloadavg"):
        return None
    return {"running": round(os.getloadavg()[0], 1), "cores": cores}
