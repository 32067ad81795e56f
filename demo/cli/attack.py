"""``attack``: change a photo so that the matcher errs, and show what that does to every stage."""

from __future__ import annotations

import sys
from pathlib import Path

from demo.attack import LARGEST_EPS, PGD
from demo.backbones import available, load_backbone
from demo.cli.arguments import add_preparation, add_source, identifier_of, positive, preparation_of
from demo.identify import json_text
from demo.methods import METHODS, RERANKING, STAGE1
from demo.robustness import LIMITS, STAGE1_RANKING, AttackReport, Change, attack_photo
from demo.words import decimals

#: Ranking → what the table calls it.
RANKINGS = {STAGE1_RANKING: "Stage 1", **{word: method.short for word, method in RERANKING.items()}}


def add(commands) -> None:
    plain = PGD()
    attack = commands.add_parser("attack", help="adversarial photo: white-box PGD, and what every stage makes of it",
                                 description="White-box projected gradient descent on the backbone's image embedding. "
                                             "Not TALFW. The photo is saved, read back and put through the whole "
                                             "pipeline again. " + LIMITS)
    attack.add_argument("photo", metavar="PHOTO")
    add_source(attack)
    add_preparation(attack, alter=False)
    attack.add_argument("--target", metavar="PERSON_OR_PHOTO", help="whom to impersonate (default: dodge)")
    attack.add_argument("--identity", metavar="NAME", help="who it is (default: who comes first before the attack)")
    attack.add_argument("--eps", type=int, default=plain.eps,
                        help=f"largest change of a pixel value, 0 to {LARGEST_EPS} of 255 (default {plain.eps})")
    attack.add_argument("--steps", type=positive, default=plain.steps, help=f"default {plain.steps}")
    attack.add_argument("--out", type=Path, metavar="OUT.png", help="keep the attacked photo")
    attack.add_argument("--json", action="store_true")
    attack.set_defaults(run=_attack)


def _attack(parsed) -> None:
    identifier = identifier_of(parsed)
    folder = identifier.backbone.info.folder
    others = [load_backbone(info.name, device=parsed.device, folder=folder) for info in available(folder)
              if info.ready and info.name != identifier.backbone.name]
    report = attack_photo(parsed.photo, identifier, target=parsed.target, truth=parsed.identity,
                          pgd=PGD(parsed.eps, steps=parsed.steps), preparation=preparation_of(parsed),
                          out=parsed.out, others=others)
    if parsed.out:
        print(f"Attacked photo written to {parsed.out}.", file=sys.stderr)
    print(json_text(report.as_json()) if parsed.json else _table(report))


def _table(report: AttackReport) -> str:
    """The report as text."""
    psnr = "nothing changed" if report.largest == 0 else f"PSNR {report.psnr:.1f} dB"
    lines = [f"{report.goal.capitalize()}: {report.label}. eps {report.pgd.eps}/255, {report.pgd.steps} steps, seed "
             f"{report.seed}; largest change {report.largest}/255, {psnr}.",
             "Distance of the attacked to the clean photo: "
             + ", ".join(f"{METHODS[method].short} {decimals(distance)}"
                         for method, distance in report.itself.items()) + "."]
    for one in report.references:
        role = f"{one.role}, assumed" if one.role == "truth" and report.assumed else one.role
        ranked = f"{'rank before':>15}{'after':>8}" if one.ranks else ""
        lines += ["", f"{one.name} ({role})", f"{'':<12}{'distance before':>17}{'after':>8}{ranked}"]
        for method, change in one.distances.items():
            ranks = one.ranks.get(STAGE1_RANKING if method == STAGE1.word else method)
            lines.append(f"{METHODS[method].short:<12}{decimals(change.before):>17}{decimals(change.after):>8}"
                         + _ranks(ranks))
    lines += ["", "First match: " + "; ".join(f"{RANKINGS[name]} {before} → {after}"
                                              for name, (before, after) in report.first.items()) + "."]
    for one in report.transfer:
        seen = "; ".join(f"to {role} {decimals(change.before)} → {decimals(change.after)}"
                         for role, change in one.references.items())
        lines.append(f"Shown to {one.backbone}, cosine distance: attacked to clean {decimals(one.itself)}; {seen}.")
    if not report.transfer:
        lines.append("Transfer: no other backbone is ready to show it to.")
    return "\n".join([*lines, LIMITS])


def _ranks(change: Change | None) -> str:
    return "" if change is None else f"{change.before:>15}{change.after:>8}"
