"""A model card's facts and its numbers: Stage 1 against one trained model, on photos altered in several ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from demo.backbones import grid_name
from demo.crossimage.facts import Facts
from demo.errors import BadSetting
from demo.evaluation.interval import Interval
from demo.evaluation.metrics import METRICS
from demo.evaluation.protocol import QueryPhoto
from demo.evaluation.run import Evaluation, Progress, evaluate
from demo.evaluation.store import FeatureStore
from demo.identify import Identifier
from demo.methods import Matching, method_with
from demo.query import Preparation

_PLAIN = "unaltered"


@dataclass(frozen=True)
class Measured:
    """kinds: alteration (None = unaltered) → what was measured. matching: how the model re-ranked. command: that
    measures it again."""

    kinds: dict[str | None, Evaluation]
    matching: Matching
    command: str

    def as_json(self) -> dict:
        return {"k": self.matching.k, "command": self.command,
                "kinds": [{"occlusion": kind, **found.as_json()} for kind, found in self.kinds.items()]}

    def as_markdown(self, name: str) -> str:
        """A table of three rows per alteration, what it is made of, and the command. name: of the model."""
        reading = next(iter(self.kinds.values())).reading
        lines = ["Percent, with 95 % intervals over people; what is gained over Stage 1 is of the same queries. "
                 f"{reading.capitalize()} metrics, k = {self.matching.k}.", "",
                 f"| queries | ranking | {' | '.join(METRICS)} |", "|---|---|---|---|---|"]
        for kind, found in self.kinds.items():
            ours = found.stage2[self.matching]
            for title, ends, sign in (("Stage 1", found.stage1.ends, False), (name, ours.ends, False),
                                      ("gained", ours.gains, True)):
                lines.append(f"| {kind or _PLAIN} | {title} | {_cells(ends, sign)} |")
        lines += ["", *(f"- {kind or _PLAIN}: {_counts(found)}" for kind, found in self.kinds.items())]
        lines += [f"- skipped {path} ({kind or _PLAIN}): {reason}"
                  for kind, found in self.kinds.items() for path, reason in found.skipped]
        return "\n".join([*lines, "", "```", self.command, "```"])


def _counts(found: Evaluation) -> str:
    people = len({record.identity for record in found.records if not record.skipped})
    return (f"{_count(found.stage1.queries, 'photo')} of {'1 person' if people == 1 else f'{people} people'} against "
            f"{found.gallery}; a query's own photo was left out {_count(found.left_out, 'time')}; "
            f"{len(found.skipped)} skipped")


def _cells(ends: Sequence[Interval], sign: bool) -> str:
    return " | ".join(one.text(1, sign=sign) for one in ends)


def measure(identifier: Identifier, queries: Sequence[QueryPhoto], alterations: Sequence[str | None],
            matching: Matching, preparation: Preparation = Preparation(), *, reading: str = "corrected",  # noqa: B008
            store: FeatureStore | None = None, progress: Progress = iter, jobs: int = 1, command: str = "") -> Measured:
    """Stage 1 and a model on every query under every alteration, as ``evaluate`` measures each. matching: how the model
    re-ranks. command: that repeats it. BadSetting where an alteration leaves no query that can be used."""
    kinds = {}
    for alteration in dict.fromkeys(alterations):
        found = evaluate(identifier, queries, [matching], replace(preparation, alteration=alteration), reading=reading,
                         store=store, progress=progress, jobs=jobs)
        if not found.stage1.queries:
            raise BadSetting(f"No query could be used: {found.skipped[0][1] if found.skipped else 'there is none.'}")
        kinds[alteration] = found
    return Measured(kinds, matching, command)


def card_json(facts: Facts, measured: Measured | None = None) -> dict:
    """The card as plain data; "measured" is None where nothing was."""
    return {"facts": facts.as_json(), "measured": measured and measured.as_json()}


def card_markdown(facts: Facts, measured: Measured | None = None) -> str:
    """The card as Markdown: what the file says, and what was measured of it."""
    method = method_with(facts.kind)
    rows = {"model": f"{facts.kind}: {method.kind or method.title}", "distance": method.measure,
            "share in Eq. 5.1": f"α = {facts.alpha:g}" + " (the papers')" * facts.published,
            "order of the faces": _order(facts), "backbone": _backbone(facts), "patches": _patches(facts),
            **_network(facts), "stored": f"{facts.numbers:,} numbers, {facts.parameters:,} of them learned parameters, "
                                         f"in {facts.size:,} bytes"}
    precision = " and ".join(facts.precision)
    text = "\n".join([
        f"# Model card: {facts.kind} on {facts.backbone_title}", "",
        f"`{facts.file}`, {facts.size / 1e6:.1f} MB, {precision} precision, {facts.parameters / 1e6:.2f} million "
        "parameters. SHA-256:", facts.sha256, "",
        "| fact | |", "|---|---|", *(f"| {name} | {told} |" for name, told in rows.items())])
    return f"{text}\n\n## Measured\n\n{measured.as_markdown(_name(facts))}" if measured else text


def _name(facts: Facts) -> str:
    return f"{facts.kind}, α = {facts.alpha:g}"


def _order(facts: Facts) -> str:
    if not facts.sees_pairs:
        return "none: it sees one face at a time"
    return "both, averaged" if facts.both_orders else "the query, or the first photo, as the first face"


def _backbone(facts: Facts) -> str:
    if facts.published:
        return f"{facts.backbone_title}, which comes in the file"
    fits = {True: "that are used here", False: "**other than those that are used here**: it cannot be used with them",
            None: "which are not here, so that they could not be compared"}[facts.backbone_fits]
    return f"`{facts.backbone}` ({facts.backbone_title}), of the weights {fits}, SHA-256 {facts.backbone_sha256}"


def _patches(facts: Facts) -> str:
    sizes = facts.sizes
    told = f"{grid_name(facts.grid).replace('x', '×')}, of {sizes.channels} numbers each"
    if sizes.faithful:
        return told
    centred = "centred at each place" if sizes.placed else "centred"
    scaled = "weighted" if "rows" in facts.own_sizes else "normalised"
    return f"{told}; {centred}, {scaled} and projected to {sizes.dim}"


def _network(facts: Facts) -> dict[str, str]:
    """What stands between the patches and the distance."""
    sizes, own = facts.sizes, facts.own_sizes
    if "rows" in own:
        return {"linear layer": f"{sizes.rows} rows of {sizes.dim} numbers to {sizes.output}"}
    heads = f"{_count(sizes.heads, 'head')} of {sizes.dim_head} numbers"
    rows = {"transformer": f"{_count(sizes.depth, 'block')} of {heads}; tokens of {sizes.dim}, feed-forward "
                           f"{sizes.hidden}"}
    if "output" in own:
        kept = f"{sizes.squeeze} numbers per patch kept, " if "squeeze" in own else ""
        rows["outputs"] = f"{kept}one of {sizes.output} numbers per face"
    return rows


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' * (number != 1)}"
