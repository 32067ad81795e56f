"""The papers' own numbers, to stand beside ours. Tables are numbered as in the thesis that holds both papers.

DeepFace-EMD: Phan & Nguyen, CVPR 2022. Face-ViT: Phan et al., WACV 2024. Percent; seconds are for all queries of a set
on the authors' GPU. Their data sets are found by name in ``demo.evaluation.datasets``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from demo.backbones import grid_name
from demo.evaluation.report.content import METRICS, UNALTERED
from demo.evaluation.report.source import Source


@dataclass(frozen=True)
class Published:
    """item: where it stands. data: its query set. method: in the words of the sections' scores. values: metric →
    number."""

    item: str
    section: str
    data: str
    alteration: str
    backbone: str
    method: str
    values: Mapping[str, float]


def _three(item: str, section: str, data: str, kind: str, backbone: str, rows: Mapping[str, tuple]) -> list[Published]:
    return [Published(item, section, data, kind, backbone, method, dict(zip(METRICS, values, strict=False)))
            for method, values in rows.items()]


_TAB_5_2 = "DeepFace-EMD Tab 5.2"
_WEIGHTING = [
    *_three(_TAB_5_2, "weighting", "lfw-1680", UNALTERED, "ArcFace", {
        "Stage 1": (98.48, 78.69, 78.29), "EMD cc 8x8": (98.42, 78.35, 77.91), "EMD cc 4x4": (81.69, 76.29, 72.47),
        "EMD apc 8x8": (98.60, 78.63, 78.23), "EMD apc 4x4": (98.54, 78.57, 78.16),
        "EMD uniform 8x8": (98.66, 78.73, 78.35), "EMD uniform 4x4": (98.63, 78.72, 78.33),
        "EMD sc 8x8": (98.66, 78.74, 78.35), "EMD sc 4x4": (98.65, 78.72, 78.33),
        "EMD lmk 8x8": (98.35, 78.43, 77.99), "EMD lmk 4x4": (98.31, 78.38, 77.90)}),
    *_three(_TAB_5_2, "weighting", "lfw", "crop", "ArcFace", {
        "Stage 1": (87.35, 71.38, 69.04), "EMD cc 8x8": (91.31, 72.33, 70.00), "EMD cc 4x4": (63.12, 56.03, 51.00),
        "EMD apc 8x8": (96.16, 76.60, 74.57), "EMD apc 4x4": (95.32, 75.37, 73.25),
        "EMD uniform 8x8": (96.26, 78.08, 76.25), "EMD uniform 4x4": (95.53, 77.15, 75.29),
        "EMD sc 8x8": (96.19, 78.05, 76.20), "EMD sc 4x4": (95.42, 77.12, 75.25)}),
    *_three(_TAB_5_2, "bound", "lfw-1680", UNALTERED, "ArcFace", {"max at k = 100": (99.88,)}),
    *_three(_TAB_5_2, "bound", "lfw", "crop", "ArcFace", {"max at k = 100": (98.71,)}),
]

_ONE_STAGE = [
    Published("DeepFace-EMD Tab 5.3", "one-stage", data, kind, "ArcFace", method, {"P@1": p, "seconds": seconds})
    for (data, kind), rows in {
        ("lfw-1680", UNALTERED): {"EMD at Stage 1, apc": (83.35, 268.96), "two stages, apc": (98.60, 60.03),
                    "EMD at Stage 1, uniform": (97.85, 191.47), "two stages, uniform": (98.66, 77.79)},
        ("lfw", "crop"): {"EMD at Stage 1, apc": (55.53, 729.20), "two stages, apc": (96.10, 60.97),
                 "EMD at Stage 1, uniform": (98.62, 259.84), "two stages, uniform": (96.26, 61.81)},
    }.items() for method, (p, seconds) in rows.items()]

_BACKBONES = ("ArcFace", "CosFace", "FaceNet")
#: (item, data, alteration) → per backbone P@1 of Stage 1 and after re-ranking.
_OCCLUDED = {
    ("DeepFace-EMD Tab 5.4", "calfw", "mask"): ((96.81, 99.92), (98.54, 99.96), (77.63, 96.67)),
    ("DeepFace-EMD Tab 5.4", "calfw", "sunglasses"): ((51.11, 54.95), (45.20, 49.67), (21.68, 25.07)),
    ("DeepFace-EMD Tab 5.4", "calfw", "crop"): ((79.13, 92.57), (10.99, 25.99), (79.47, 85.71)),
    ("DeepFace-EMD Tab 5.4", "agedb", "mask"): ((96.15, 99.84), (98.31, 99.95), (75.99, 96.53)),
    ("DeepFace-EMD Tab 5.4", "agedb", "sunglasses"): ((84.64, 87.06), (68.93, 75.97), (56.77, 61.21)),
    ("DeepFace-EMD Tab 5.4", "agedb", "crop"): ((79.92, 92.92), (10.11, 19.58), (80.80, 86.74)),
    ("DeepFace-EMD Tab 5.5", "cfp-fp", UNALTERED): ((84.84, 84.94), (71.64, 71.64), (75.71, 76.38)),
    ("DeepFace-EMD Tab 5.7", "talfw", UNALTERED): ((93.49, 96.64), (96.49, 99.07), (95.33, 97.26)),
    ("DeepFace-EMD Tab 5.8", "mlfw", UNALTERED): ((39.79, 48.23),),
}
_IDENTIFICATION = [
    Published(item, "identification", data, kind, backbone, method, {"P@1": p})
    for (item, data, kind), rows in _OCCLUDED.items()
    for backbone, values in zip(_BACKBONES, rows, strict=False)
    for method, p in zip(("Stage 1", "EMD apc 8x8"), values, strict=True)
] + [
    Published("DeepFace-EMD Tab 5.8", "identification", "mlfw", UNALTERED, "ArcFace fine-tuned on masks", method,
              {"P@1": p}) for method, p in (("Stage 1", 41.64), ("EMD apc 8x8", 46.21))]

_VERIFICATION = [
    Published("DeepFace-EMD Tab 5.9", "verification", "mlfw", UNALTERED, f"model {number} of the table", method,
              {"accuracy": value})
    for number, values in enumerate(((74.85, 76.50), (82.87, 87.17), (90.60, 91.17)), start=1)
    for method, value in zip(("cosine", "emd"), values, strict=True)]

_METHODS = [
    Published("Face-ViT Tab 5.10 and 5.11", "methods", data, UNALTERED, "", method, {"accuracy": value})
    for method, values in {
        "C": (98.02, 70.75), "V (20,8)": (97.77, 57.62), "H1": (96.38, 56.00), "H2": (97.47, 56.88),
        "H2L (1,1)": (99.22, 70.15), "H2L (1,2)": (99.25, 72.77), "H2L": (99.28, 73.00), "H2L (2,1)": (99.28, 70.77),
    }.items() for data, value in zip(("lfw", "mlfw"), values, strict=True)
] + [
    Published("Face-ViT Tab 5.12 and 5.14", "methods", data, kind, "ArcFace", method,
              {**dict(zip(METRICS, values, strict=False)), "seconds": values[3]})
    for (data, kind), rows in {
        ("calfw", "mask"): ((99.79, 56.77, 55.75, 53.35), (99.29, 51.00, 50.01, 24.33)),
        ("calfw", "sunglasses"): ((54.95, 30.66, 27.74, 73.90), (54.00, 31.00, 27.87, 29.10)),
        ("agedb", "mask"): ((99.84, 39.22, 33.18, 72.42), (99.28, 33.93, 26.69, 34.44)),
        ("agedb", "sunglasses"): ((87.06, 50.04, 44.27, 90.40), (86.75, 51.16, 44.88, 33.01)),
    }.items() for method, values in zip(("D", "H2L"), rows, strict=True)]

PUBLISHED = [*_WEIGHTING, *_ONE_STAGE, *_IDENTIFICATION, *_VERIFICATION, *_METHODS]


def published(section: str, findings: Sequence[Mapping], sources: Sequence[Source]) -> list[dict]:
    """The papers' numbers of a section, each with ours on the same data set and alteration where that was measured.

    findings: of the sources, as JSON, in their order. The papers' finest grid, 8x8, stands beside our finest.
    """
    ours: dict[tuple, dict[str, Mapping]] = {}
    for source, found in zip(sources, findings, strict=True):
        if source.dataset:
            finest = f" {grid_name(source.identifier.backbone.info.grids[0])}"
            for score in found.get("scores", ()):
                method = score["method"]
                method = f"{method.removesuffix(finest)} 8x8" if method.endswith(finest) else method
                ours.setdefault((source.dataset, score["alteration"], method), {})[source.backbone] = score
    rows = []
    for one in PUBLISHED:
        if one.section == section:
            beside = ours.get((one.data, one.alteration, one.method), {})
            rows.append({"item": one.item, "data": one.data, "alteration": one.alteration, "backbone": one.backbone,
                         "method": one.method, "values": dict(one.values),
                         "ours": {backbone: {name: score[name] for name in one.values if name in score}
                                  for backbone, score in beside.items()}})
    return rows
