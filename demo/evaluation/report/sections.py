"""The sections of the report. A new one is a function in ``measures`` and an entry here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from demo.backbones import available
from demo.evaluation.ablations import ALIGNMENTS, ALPHAS, KS
from demo.evaluation.report import faithful, measures
from demo.evaluation.report.content import Finding, Kinds
from demo.evaluation.report.found import found
from demo.evaluation.report.judged import judged
from demo.evaluation.report.measures import Measure
from demo.evaluation.report.source import FOUND_CROP
from demo.evaluation.variants import VARIANTS
from demo.evaluation.verdicts import MISTAKES
from demo.explain import EXPLANATIONS
from demo.faces import DETECTORS, DRAWN
from demo.matching import SOLVERS, WEIGHTINGS
from demo.methods.emd import Emd

#: What is to be said wherever a shipped cross-image model is measured.
_TRAINED = (" The shipped cross-image models were trained on two thirds of the synthetic people (on MobileFaceNet on "
            "four fifths of them and on half of the people of LFW), so their numbers on all of those flatter them.")
_BACKBONES = tuple(info.name for info in available())
PAPER_KINDS = (None, "mask", "sunglasses", "crop")


@dataclass(frozen=True)
class Section:
    """name: its word on the command line. text: what is measured, in a sentence or two. kinds: alterations of the
    queries. command: measures a part of it alone, on the bundled people. varies: what it measures one by one, by name.
    among: backbones and detectors that it compares, each as soon as its weights are there. calibrated: its numbers also
    depend on what a distance means. read: gives what was measured before, by data set, instead of measuring.
    version: raise it when the same queries and settings give other numbers, tables or figures; what was kept is
    measured again then, and not when words here change.
    """

    name: str
    title: str
    text: str
    kinds: Kinds
    command: str
    measure: Measure | None = field(default=None, repr=False)
    varies: tuple = ()
    among: tuple[str, ...] = ()
    version: int = 1
    calibrated: bool = False
    read: Callable[[], Mapping[str, Finding]] | None = field(default=None, repr=False)


def _weighted(words: Sequence[str]) -> str:
    """Weighting and grid, as ``paper`` names them."""
    return words[0] if words[0] == "Stage 1" else f"{Emd.short} {words[0]} {words[1]}"


def _titled(prefix: str):
    return lambda words: words[0] if words[0] == "Stage 1" else f"{prefix}{words[0]}"


_ROWS = (
    Section("identification", "Identification under the papers' occlusions",
            "Stage 1 against re-ranking by EMD (APC, finest grid, α = 0.7) and by H2L (its own α). A crop is compared "
            "as it lies, as in the papers, and once more with its face found again, as in a photo that is uploaded."
            + _TRAINED, (*PAPER_KINDS, FOUND_CROP), "evaluate --queries assets/queries --occlude mask",
            measures.identification),
    Section("perturbations", "Identification under other perturbations",
            "Not in the papers: rotation in the image plane, blur, low light and JPEG. The face is looked for in the "
            "altered photo; where none is found, the query is skipped." + _TRAINED,
            ("rotate", "blur", "dark", "jpeg"), "evaluate --queries assets/queries --occlude rotate",
            measures.identification),
    Section("adversarial", "Adversarial photos",
            "White-box PGD on the backbone's image embedding, at most 8 of 255 per pixel value, read back from the "
            "saved photo. It is not TALFW, and the re-ranking itself was not attacked. A few queries only.",
            ("dodge", "impersonate"), "evaluate --queries assets/queries --occlude dodge", measures.attacks),
    Section("weighting", "Patch weighting and grid",
            "EMD with every weighting that is defined on each grid, α = 0.7, k = 100.", PAPER_KINDS,
            "evaluate ablation weighting --queries assets/queries --occlude mask",
            measures.pivoted("weighting", 2, _weighted), tuple(WEIGHTINGS)),
    Section("alpha", "Share of the patch distance, α", "EMD with APC; α = 0 is Stage 1, α = 1 EMD alone.", PAPER_KINDS,
            "evaluate ablation alpha --queries assets/queries --occlude mask",
            measures.pivoted("alpha", 1, _titled(f"{Emd.short} α "), "α"), ALPHAS, version=2),
    Section("k", "How many candidates are re-ranked, k", "EMD with APC, α = 0.7.", PAPER_KINDS,
            "evaluate ablation k --queries assets/queries --occlude mask",
            measures.pivoted("k", 1, _titled(f"{Emd.short} k "), "k"), KS, version=2),
    Section("bound", "What re-ranking the first k can reach",
            "The scores if the first k were re-ranked perfectly: the papers' \"max precision\".", PAPER_KINDS,
            "evaluate ablation bound --queries assets/queries --occlude mask",
            measures.pivoted("bound", 1, lambda words: words[0].replace("best possible at", "max at"),
                             headline=measures.at_most), KS),
    Section("one-stage", "EMD at Stage 1 against two stages",
            "EMD of every gallery photo instead of the first 100 by cosine distance. Times are per query.",
            (None, "crop"),
            "evaluate ablation one-stage --queries assets/queries --occlude crop --framing kept",
            measures.plain("one-stage", 1, _titled(""))),
    Section("solver", "Transport solvers", "Exact transport, converged Sinkhorn, and Sinkhorn as published.", ("mask",),
            "evaluate ablation solver --queries assets/queries --occlude mask",
            measures.plain("solver", 1, _titled(f"{Emd.short} ")), tuple(SOLVERS)),
    Section("methods", "The papers' models side by side",
            "C the backbone alone, D the EMD, H1, H2 and H2L the cross-image models; each mixed with the cosine "
            "distance by its own α. Verification on pairs drawn from the gallery." + _TRAINED, (None, "mask"),
            "evaluate ablation methods --queries assets/queries --occlude mask",
            measures.plain("methods", 1, lambda words: words[0])),
    Section("verification", "Verification",
            "Do two photos show one person? Cosine, EMD and H2L on the same pairs, unaltered, and with a mask on the "
            "first photo." + _TRAINED, (None, "mask"), "evaluate verify --draw 300 --occlude mask",
            measures.verification),
    Section("alignment", "How the face is aligned", "FaceNet with a box and margin, against five points.",
            (None, "mask"), "evaluate ablation alignment --queries assets/queries",
            measures.networks("alignment", ALIGNMENTS), among=tuple(ALIGNMENTS)),
    Section("backbone", "Every backbone that is ready", "Stage 1 and EMD on the finest grid of each backbone.",
            PAPER_KINDS, "evaluate ablation backbone --queries assets/queries --occlude mask",
            measures.networks("backbone", _BACKBONES), among=_BACKBONES),
    Section("time", "Run time of every method",
            "Milliseconds per query of the stage alone, features at hand. Compare rows, not machines: other programs "
            "may have run meanwhile.", ("mask",), "evaluate ablation time --queries assets/queries --occlude mask",
            measures.plain("time", 1, _titled(""), limited=True), tuple(WEIGHTINGS)),
    Section("beyond", "Beyond the papers",
            "What the papers left open: partial transport, learned centring and whitening, both grids, a spatial term, "
            "α chosen per query. Believe the row with H2L for the real people only: H2L was trained on two thirds of "
            "the synthetic ones.", PAPER_KINDS, "evaluate beyond --queries assets/queries --framing kept",
            measures.beyond_the_papers, tuple(VARIANTS)),
    Section("faithfulness", "Are the explanations faithful?",
            "Pixels of the query are removed, or brought back, in the order an explanation names; the score must fall, "
            "or rise, sooner than in a random order and than from the centre on.", (None, "mask"),
            "evaluate faithfulness --queries assets/queries --limit 40 --occlude mask",
            measures.faithful, tuple(EXPLANATIONS)),
    Section("verdicts", "Are the verdicts right?",
            "How often what the pages say is wrong: of two photos, that they show one person or two; of a best match, "
            "that it is plausible or probably nobody of the gallery. Each query is paired with a photo of its person "
            "and with some of others; the best of the others is what somebody gets who is not in the gallery. A "
            "gallery that was not calibrated is judged by other people's numbers.", (None, "mask", "sunglasses"),
            "evaluate verdicts --queries assets/queries", judged, tuple(MISTAKES), calibrated=True),
    Section("detectors", "Finding faces",
            "Which detector finds the face in photos as they are and with every alteration, and how far its five "
            "points move when something is drawn over the face and it is found anew.", (None, *DRAWN),
            "benchmark detectors", found, among=tuple(DETECTORS)),
    Section("explanations", "The faithfulness board", faithful.TEXT, (), faithful.COMMAND, read=faithful.kept_boards),
)
SECTIONS = {section.name: section for section in _ROWS}
