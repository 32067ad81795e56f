"""Every table and figure of the papers: the command for it, the data it needs, and our number where it was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from demo.evaluation.report.content import UNALTERED, mean_of
from demo.evaluation.report.source import Source


@dataclass(frozen=True)
class Item:
    """paper: the item. command: after ``python -m demo``; capitals stand for the folders of data sets. data: names of
    DATASETS. section, metric, methods, kinds: the scores of ours that stand for it. needs: in words, where no data set
    is meant. remark: what is different in ours."""

    paper: str
    what: str
    command: str
    data: tuple[str, ...] = ()
    section: str = ""
    metric: str = "P@1"
    methods: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    needs: str = ""
    remark: str = ""


_ARC = "--backbone arcface --metrics paper"
_WEIGHTINGS = ("Stage 1", "EMD apc 8x8", "EMD uniform 8x8", "EMD apc 4x4", "EMD uniform 4x4")
_STAGES = ("Stage 1", "EMD apc 8x8")
_MODELS = ("C", "H1", "H2", "H2L")
_CALFW = "--gallery CALFW --dataset calfw --queries CALFW --query-dataset calfw --occlude mask"
ITEMS = (
    Item("DeepFace-EMD Tab 5.1", "alignment", f"evaluate ablation alignment --gallery LFW --dataset lfw {_ARC}",
         ("lfw",), needs="weights of FaceNet"),
    Item("DeepFace-EMD Tab 5.2a", "weighting × grid, LFW",
         f"evaluate ablation weighting --gallery LFW --dataset lfw-1680 {_ARC}", ("lfw-1680",), "weighting",
         methods=_WEIGHTINGS, kinds=(UNALTERED,)),
    Item("DeepFace-EMD Tab 5.2b", "weighting × grid, LFW-crop",
         "evaluate ablation weighting --gallery LFW --dataset lfw --queries LFW --query-dataset lfw --occlude crop "
         f"{_ARC}", ("lfw",), "weighting", methods=_WEIGHTINGS, kinds=("crop",)),
    Item("DeepFace-EMD Tab 5.2", "max precision", f"evaluate ablation bound --gallery LFW --dataset lfw-1680 {_ARC}",
         ("lfw-1680",), "bound", methods=("Stage 1", "max at k = 100"), kinds=(UNALTERED, "crop")),
    Item("DeepFace-EMD Tab 5.3", "one stage against two",
         f"evaluate ablation one-stage --gallery LFW --dataset lfw-1680 {_ARC}", ("lfw-1680",), "one-stage",
         methods=("EMD at Stage 1, apc", "two stages, apc"), kinds=(UNALTERED, "crop")),
    Item("DeepFace-EMD, choice of α", "α", f"evaluate ablation alpha --gallery LFW --dataset lfw-1680 {_ARC}",
         ("lfw-1680",), "alpha", methods=("EMD α 0", "EMD α 0.3", "EMD α 0.5", "EMD α 0.7", "EMD α 1"),
         kinds=("mask",)),
    Item("DeepFace-EMD, choice of k", "k", f"evaluate ablation k --gallery LFW --dataset lfw-1680 {_ARC}",
         ("lfw-1680",), "k", methods=("EMD k 50", "EMD k 100", "EMD k 200"), kinds=("mask",)),
    Item("DeepFace-EMD Tab 5.4", "occlusions; mask on CALFW here, the others alike", f"evaluate {_CALFW} {_ARC}",
         ("calfw", "agedb"), "identification", methods=_STAGES, kinds=("mask", "sunglasses", "crop")),
    Item("DeepFace-EMD Tab 5.5", "profile against frontal", f"evaluate --gallery CFP --dataset cfp-fp {_ARC}",
         ("cfp-fp",)),
    Item("DeepFace-EMD Tab 5.7", "adversarial TALFW against LFW",
         f"evaluate --gallery LFW --dataset lfw --queries TALFW --query-dataset talfw {_ARC}", ("talfw", "lfw"),
         "adversarial", methods=_STAGES, kinds=("dodge", "impersonate"), remark="White-box PGD instead"),
    Item("DeepFace-EMD Tab 5.8", "MLFW against LFW",
         f"evaluate --gallery LFW --dataset lfw --queries MLFW --query-dataset mlfw {_ARC}", ("mlfw", "lfw"),
         "identification", methods=_STAGES, kinds=("mask",), remark="Masks drawn by us instead"),
    Item("DeepFace-EMD Tab 5.8", "fine-tuned on masks",
         "finetune --people FOLDER --backbone arcface --out tuned.safetensors, then as above with --weights "
         "tuned.safetensors", ("mlfw", "lfw"), needs="training photos"),
    Item("DeepFace-EMD Tab 5.9", "verification, MLFW",
         "evaluate verify --root MLFW --dataset mlfw --backbone arcface", ("mlfw",), "verification", "accuracy",
         ("cosine", "emd"), ("mask",), remark="Masks drawn by us instead"),
    Item("Face-ViT Tab 5.10", "verification, LFW", "evaluate verify --root LFW --dataset lfw --h2l-weights best.pth",
         ("lfw",), "methods", "accuracy", _MODELS, (UNALTERED,)),
    Item("Face-ViT Tab 5.11", "verification, MLFW",
         "evaluate verify --root MLFW --dataset mlfw --h2l-weights best.pth", ("mlfw",), "methods", "accuracy",
         _MODELS, ("mask",), remark="Masks drawn by us instead"),
    Item("Face-ViT Tab 5.12", "re-ranking by EMD and by H2L",
         f"evaluate ablation methods {_CALFW} --metrics paper", ("calfw", "agedb"), "methods",
         methods=("C", "D", "H2L"), kinds=("mask",)),
    Item("Face-ViT Tab 5.14", "run time", f"evaluate ablation time {_CALFW}", ("calfw", "agedb"), "methods", "ms",
         ("D", "H2L"), ("mask",)),
    Item("Face-ViT Fig 5.8", "human study", "study open, then study summary", needs="21 participants"),
    Item("DeepFace-EMD, figures", "query, Stage 1, flow, Stage 2",
         "identify PHOTO --occlude mask --figure board.png", needs="a photo"),
    Item("Face-ViT, figures", "attention and correlation maps",
         "compare PHOTO PHOTO --occlude mask --figure pair.png", needs="two photos"),
)


#: Metric of the scores → what the table calls it.
_METRICS = {"P@1": "P@1", "accuracy": "Accuracy", "ms": "Milliseconds per query"}


def items_of(sections: Sequence[dict], sources: Sequence[Source]) -> list[dict]:
    """A row per item, ready for JSON. of: what our numbers are of; ours: data set → them, where they were measured.

    missing: the data sets that are not among the sources.
    """
    findings = {section["name"]: section["findings"] for section in sections}
    given = {source.dataset for source in sources}
    rows = []
    for item in ITEMS:
        missing = [name for name in item.data if name not in given]
        ours = {found["data"]: text for found in findings.get(item.section, ())
                if (text := _ours(item, found.get("scores", ())))}
        of = f"{item.remark and f'{item.remark}: '}{_METRICS[item.metric]} of {' / '.join(item.methods)}. "
        rows.append({"paper": item.paper, "what": item.what, "command": f"python -m demo {item.command}",
                     "data": [*map(_short, item.data), *filter(None, [item.needs])],
                     "missing": list(map(_short, missing)), "section": item.section,
                     "of": of if ours else "", "ours": ours})
    return rows


def _ours(item: Item, scores: Sequence[dict]) -> str:
    """"mask 61.7 / 77.6, crop 29.5 / 36.6"; empty where nothing was measured."""
    known = {(score["alteration"], score["method"]): mean_of(score[item.metric]) for score in scores
             if item.metric in score}
    return ", ".join(
        f"{kind} " + " / ".join(f"{known[kind, method]:.1f}" if (kind, method) in known else "-"
                                for method in item.methods)
        for kind in item.kinds if any((kind, method) in known for method in item.methods))


def _short(name: str) -> str:
    return name.upper()
