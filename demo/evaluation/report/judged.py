"""The section of verdicts: how often what the pages say of a pair, or of a best match, is wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from demo.calibration import Calibration, Reference
from demo.errors import BadSetting
from demo.evaluation.ablations import Cell, Table
from demo.evaluation.interval import Interval
from demo.evaluation.report.content import Dots, Finding, Kinds, Sheet, point, word
from demo.evaluation.report.source import Source
from demo.evaluation.verdicts import MISTAKES, Count, verdicts
from demo.identify import Identifier
from demo.methods import METHODS
from demo.weights import sha256


def judged(source: Source, kinds: Kinds) -> Finding:
    """Mistakes by alteration and method, with intervals over people; and what is decided and right."""
    found = verdicts(source.identifier, source.apart(source.scale.judged), kinds, source.preparation(None),
                     progress=source.bar("all alterations"))
    counts = {(word(kind), METHODS[method].short): mistakes for kind, methods in found.counts.items()
              for method, mistakes in methods.items() if any(count.wrong for count in mistakes.values())}
    if not counts:
        raise BadSetting("No query could be judged: " + (
            found.skipped[0][1] if found.skipped else "nobody in this gallery has two photos."))
    refused = sum(count.refused for mistakes in counts.values() for count in mistakes.values())
    judgements = sum(len(count.wrong) for mistakes in counts.values() for count in mistakes.values())
    if refused == judgements:
        raise BadSetting("Every verdict was refused: nothing that was measured fits this gallery and these photos, so "
                         "index it with 'gallery build', or its index again with 'gallery calibrate', first.")
    wrong = {name: [_wrong(count) for count in mistakes.values()] for name, mistakes in counts.items()}
    note = (f"Percent of the verdicts. {found.queries} queries under each alteration against {found.gallery} photos; "
            f"{len(found.skipped)} skipped; {refused} of {judgements} verdicts refused.")
    titles = tuple(MISTAKES.values())
    columns = ("queries", "method", *titles)
    worst = [max(((cell.mean, ", ".join(name)) for name, row in wrong.items() if (cell := row[at])), default=None)
             for at in range(len(titles))]
    return Finding(
        "wrong at most: " + ", ".join(f"{title} {one[0]:.1f} % ({one[1]})"
                                      for title, one in zip(titles, worst, strict=True) if one),
        [Sheet("Verdicts that are wrong, %", Table(columns, tuple(
            (*name, *("-" if cell is None else cell for cell in row)) for name, row in wrong.items()), note)),
         Sheet("Verdicts that are decided and right, %", Table((*columns, "refused"), tuple(
             (*name, *map(_right, mistakes.values()), _refused(mistakes.values()))
             for name, mistakes in counts.items()),
             " ".join(["What is neither wrong nor right is uncertain or refused.", *found.sources])))],
        [Dots("Wrong verdicts, with 95 % intervals", "%", [": ".join(name) for name in wrong],
              {title: [point(row[at]) for row in wrong.values()]
               for at, title in enumerate(titles)})])


def yardsticks(identifier: Identifier) -> list[str | None]:
    """Hashes of what verdicts go by: what is known of other people, and what was measured on the gallery, if it was."""
    known, own = hashlib.sha256(), Calibration(identifier.gallery).file
    for key, values in sorted(Reference.shipped(identifier.backbone).arrays.items()):
        known.update(key.encode() + np.ascontiguousarray(values).tobytes())
    return [known.hexdigest(), sha256(own) if own.is_file() else None]


def _wrong(count: Count) -> Interval | None:
    """Percent; None where nobody could be judged so."""
    return count.error.times(100) if count.wrong else None


def _right(count: Count) -> Cell:
    return 100 * float(np.mean(count.right)) if count.right else "-"


def _refused(counts: Iterable[Count]) -> float:
    refused, judgements = np.sum([(count.refused, len(count.wrong)) for count in counts], axis=0)
    return 100 * float(refused / judgements)
