"""Two sets of settings by name: ours, and the papers'."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from demo.errors import BadSetting
from demo.methods import METHODS, Matching
from demo.methods.emd import PAPER_ALPHA, Emd, EmdOptions
from demo.query import CROP, FOUND, KEPT, Preparation
from demo.settings import Settings

RECOMMENDED, PUBLISHED = "recommended", "published"
#: Candidates that the papers re-rank.
_PAPER_K = 100


@dataclass(frozen=True)
class Preset:
    """title: for people. note: what it is, in a sentence. matching: its settings of the ranking. framing: what becomes
    of a crop. everything: whether it names the backbone and the detector too, the host's."""

    title: str
    note: str
    matching: Matching
    framing: str
    everything: bool = False

    def prepared(self, preparation: Preparation) -> Preparation:
        """What is asked of a photo, with what this preset says of it."""
        return replace(preparation, framing=self.framing)

    def holds(self, matching: Matching, preparation: Preparation, backbone: str, settings: Settings) -> bool:
        """Whether these settings are its own, in all that plays a part."""
        own = (backbone, preparation.detector) == (settings.backbone, Preparation().detector)
        framed = preparation.alteration != CROP or preparation.framing == self.framing
        return (own or not self.everything) and framed and _played(matching) == _played(self.matching)


#: Word → preset, the first is what everybody starts with.
PRESETS = {
    RECOMMENDED: Preset("Recommended", "What finds most people here, masked or not.", Matching(), FOUND,
                        everything=True),
    PUBLISHED: Preset(
        "As published", f"As in the papers: {Emd.short}, APC weights, the backbone's finest grid, "
                        f"α = {PAPER_ALPHA:g}, k = {_PAPER_K}; a crop is compared as it lies.",
        replace(Matching(method=Emd.word, alpha=PAPER_ALPHA, k=_PAPER_K), options=tuple(
            EmdOptions(weighting="apc", adaptive=False, share=1.0) if isinstance(one, EmdOptions) else one
            for one in Matching().options)), KEPT),
}


def preset(word: str) -> Preset:
    """A preset by its word; BadSetting for an unknown one."""
    if word not in PRESETS:
        raise BadSetting(f"Unknown preset {word!r}: choose from {', '.join(PRESETS)}.")
    return PRESETS[word]


def gained(results: Mapping[str, Any]) -> str:
    """What the difference gains, in a sentence, of the shipped results; "" where they do not say.

    Their key ``presets``: {"queries": on what, in words, "p_at_1": {word of a preset: share of first matches that are
    right, 0 to 1}}.
    """
    found = results.get("presets") or {}
    shares = found.get("p_at_1", {})
    if set(shares) != set(PRESETS):
        return ""
    told = ", ".join(f"{100 * shares[word]:.1f} % {one.title.lower()}" for word, one in PRESETS.items())
    return f"First match right on {found['queries']}: {told}."


def _played(matching: Matching) -> tuple:
    """What of a ranking plays a part."""
    if not matching.reranks:
        return (matching.method,)
    method = METHODS[matching.method]
    alpha = PAPER_ALPHA if matching.alpha is None and method is Emd else matching.alpha
    return matching.method, alpha, matching.k, matching.grid if method.uses_grid else None, matching.of()
