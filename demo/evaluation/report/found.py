"""The section of detectors: which one finds which faces."""

from __future__ import annotations

from demo.errors import BadSetting
from demo.evaluation.ablations import Table
from demo.evaluation.detectors import ANY, JUDGES, WORN, Finds, faces_found, ready
from demo.evaluation.report.content import Dots, Finding, Kinds, Sheet, point, word
from demo.evaluation.report.source import Source
from demo.faces import DETECTORS


def found(source: Source, kinds: Kinds) -> Finding:
    """Share found by each detector under each alteration, and the shift of the five points where something is drawn
    over a face."""
    folder = source.identifier.backbone.info.folder
    names = ready(folder)
    finds, unread = faces_found(source.looked_at(max(1, source.scale.pictures // len(kinds))), names,
                                [(kind, None) for kind in kinds], folder, source.bar("all alterations"))
    table: dict[str, dict[str | None, Finds]] = {}
    for one in finds:
        table.setdefault(one.detector, {})[one.column[0]] = one
    first = next(iter(table.values()))
    if not any(one.found for one in first.values()):
        raise BadSetting("No photo could be read.")
    shares = {name: {word(kind): (share := one.share) and share.times(100) for kind, one in row.items()}
              for name, row in table.items()}
    counts = ", ".join(f"{len(one.found)} {word(kind)}" for kind, one in first.items())
    absent = [name for name in DETECTORS if name not in names]
    note = (f"Photos: {counts}, of {len({person for one in first.values() for person in one.people})} people; {unread} "
            f"could not be read. A face counts where the first of {', '.join(JUDGES)} that finds one in the unaltered "
            "photo says it is." + (f" Weights not at hand: {', '.join(absent)}." if absent else ""))
    sheets = [Sheet("Faces found, %", Table(("detector", *map(word, kinds)), tuple(
        (name, *("-" if cell is None else cell for cell in row.values())) for name, row in shares.items()), note))]
    if worn := [kind for kind in kinds if kind in WORN]:
        sheets.append(Sheet("How far the five points move, % of the distance between the eyes", Table(
            ("detector", *worn), tuple((name, *_moved(row, worn)) for name, row in table.items() if name != ANY),
            "A face found anew after something was drawn over it.")))
    heads = (f"{word(kind)} " + " / ".join("-" if cell is None else f"{cell.mean:.0f}" for cell in (
        shares[name][word(kind)] for name in names)) for kind in kinds)
    return Finding(f"percent found by {' / '.join(names)}: {', '.join(heads)}", sheets, [
        Dots("Faces found, with 95 % intervals", "%", [word(kind) for kind in kinds], {
            name: list(map(point, row.values())) for name, row in shares.items()})])


def _moved(row: dict[str | None, Finds], worn: list[str]) -> list[float | str]:
    return ["-" if (moved := row[kind].shift) is None else 100 * moved for kind in worn]
