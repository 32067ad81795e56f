"""What the curves of many probes say of every explanation: areas, the share of what is possible, and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from demo.evaluation.deletion import area
from demo.evaluation.field import BEST, CENTRE, RANDOM
from demo.evaluation.interval import Interval, interval
from demo.words import difference

#: How arrays of a record are called that are no curves: the covered share of the picture, and the share of an
#: explanation's mass on it, and whether the face wears something.
AREA, MASS, WORN = "area", "mass: ", "covered"
#: Flips of the test against the orders that say nothing.
_FLIPS = 20_000


@dataclass(frozen=True)
class Record:
    """One probe. curves: "explanation|method" → (2, T + 1, 2) distances, deletion then insertion, to its person and to
    the nearest stranger; and what ``AREA`` and ``MASS`` name."""

    identity: str
    curves: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Row:
    """One explanation of one method's score.

    deletion, insertion: area times 100 of the share of pairs that are accepted. margin: area under insertion less that
    under deletion of (distance to the nearest stranger - distance to the person). gain: the same of minus the distance
    to the person. possible: gain, with random orders at 0 and the best order known at 1; centre: the same of the order
    "centre first". random_p, centre_p: how likely so large a lead over random and "centre first" is by chance (one
    side). curves: (2, T + 1) share accepted. mass: share of it on what is drawn over the probe, where anything is.
    """

    explanation: str
    method: str
    deletion: Interval
    insertion: Interval
    margin: Interval
    gain: Interval
    possible: Interval
    centre: float
    random_p: float
    centre_p: float
    curves: np.ndarray
    mass: float | None = None

    @property
    def passes(self) -> bool:
        """Whether it beats random and "centre first" (p < .01) and reaches 60 % of what is possible."""
        return self.random_p < 0.01 and self.centre_p < 0.01 and self.possible.mean >= 0.6

    def as_json(self) -> dict:
        return {"explanation": self.explanation, "method": self.method, "deletion": self.deletion.as_json(),
                "insertion": self.insertion.as_json(), "margin": self.margin.as_json(), "gain": self.gain.as_json(),
                "possible": self.possible.as_json(), "centre": self.centre, "random_p": self.random_p,
                "centre_p": self.centre_p, "passes": self.passes, "mass": self.mass,
                "deletion_curve": self.curves[0].tolist(), "insertion_curve": self.curves[1].tolist()}


@dataclass(frozen=True)
class Board:
    """titles: method → what its score is called. limits: method → distance of the clean scores' equal error rate. area:
    covered share of the probes, where anything is drawn. covered: most probes wear something, drawn or real. skipped:
    (path, reason)."""

    rows: tuple[Row, ...]
    titles: Mapping[str, str]
    limits: Mapping[str, float]
    probes: int
    people: int
    removal: str
    alteration: str | None
    area: float | None
    covered: bool
    skipped: tuple[tuple[str, str], ...]

    def as_json(self) -> dict:
        return {"probes": self.probes, "people": self.people, "removal": self.removal, "alteration": self.alteration,
                "thresholds": dict(self.limits), "area": self.area, "covered": self.covered,
                "rows": [row.as_json() for row in self.rows],
                "skipped": [{"path": path, "reason": reason} for path, reason in self.skipped]}

    def as_table(self) -> str:
        """Markdown, a row for each explanation."""
        lines = ["| score | explanation | deletion ↓ | insertion ↑ | 1:N margin | of the possible (95 %) | "
                 "centre first | p random | p centre | on the cover |", "|---" * 10 + "|"]
        for row in self.rows:
            mass = "" if row.mass is None else f"{row.mass:.0%}"
            low, high = row.possible.low, row.possible.high
            lines.append("| " + " | ".join((
                self.titles[row.method], row.explanation, f"{row.deletion.mean:.1f}", f"{row.insertion.mean:.1f}",
                difference(row.margin.mean), f"{row.possible.mean:.0%} ({low:.0%} to {high:.0%})", f"{row.centre:.0%}",
                _p(row.random_p), _p(row.centre_p), mass)) + " |")
        covered = f"; {self.area:.1%} of the face is covered" if self.area else ""
        lines.append(f"\n{self.probes} probes of {self.people} people, each against the nearest photo of its person; "
                     f"pixels replaced by {self.removal}{covered}; {len(self.skipped)} skipped.")
        return "\n".join(lines + [f"skipped {path}: {reason}" for path, reason in self.skipped])


def board(records: Sequence[Record], titles: Mapping[str, str], limits: Mapping[str, float], removal: str,
          alteration: str | None, skipped: tuple[tuple[str, str], ...] = ()) -> Board:
    """What was measured of every probe, summed up. An explanation counts where every probe has it."""
    people = [record.identity for record in records]
    names = [name for name in records[0].curves if "|" in name and not name.startswith(MASS)
             and all(name in record.curves for record in records)]
    curves = {name: np.stack([record.curves[name] for record in records]) for name in names}
    rows = []
    for method in titles:
        gains = {name.split("|")[0]: _gain(-found[..., 0]) for name, found in curves.items()
                 if name.split("|")[1] == method}
        reach = gains[BEST] - gains[RANDOM]
        for name, gain in gains.items():
            found = curves[f"{name}|{method}"]
            accepted = (found[..., 0] <= limits[method]).astype(float)
            areas = 100 * area(accepted)
            lead = gain - gains[RANDOM]
            rows.append(Row(
                name, method, interval(areas[:, 0], people), interval(areas[:, 1], people),
                interval(_gain(found[..., 1] - found[..., 0]), people), interval(gain, people),
                _ratio(lead, reach, people), float((gains[CENTRE] - gains[RANDOM]).mean() / reach.mean()),
                _chance(lead, people), _chance(gain - gains[CENTRE], people), accepted.mean(0),
                _mass(records, f"{MASS}{name}|{method}")))
    covered = [float(record.curves[AREA]) for record in records if AREA in record.curves]
    return Board(tuple(rows), titles, limits, len(records), len(set(people)), removal, alteration,
                 float(np.mean(covered)) if covered else None,
                 bool(np.mean([bool(record.curves[WORN]) for record in records]) > 0.5), skipped)


def _gain(scores: np.ndarray) -> np.ndarray:
    """(Q,) area under insertion less area under deletion of scores (Q, 2, T + 1)."""
    areas = area(scores)
    return areas[:, 1] - areas[:, 0]


def _ratio(lead: np.ndarray, reach: np.ndarray, people: Sequence[str]) -> Interval:
    """The ratio of two means, and where 95 % of such ratios lie when people are drawn anew."""
    own = np.unique(np.asarray(people), return_inverse=True)[1].ravel()
    sums = np.stack([np.bincount(own, lead), np.bincount(own, reach)], 1)
    rng = np.random.default_rng(0)
    drawn = sums[rng.integers(0, len(sums), (2000, len(sums)))].sum(1)
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], (0.025, 0.975))
    return Interval(float(lead.mean() / reach.mean()), float(low), float(high))


def _chance(lead: np.ndarray, people: Sequence[str]) -> float:
    """How often a mean so large would come if each person's lead were as likely the other way round (one-sided)."""
    own = np.unique(np.asarray(people), return_inverse=True)[1].ravel()
    sums = np.bincount(own, lead)
    signs = np.random.default_rng(0).integers(0, 2, (_FLIPS, len(sums)), dtype=np.int8) * 2 - 1
    return float((1 + (signs @ sums >= sums.sum() - 1e-12).sum()) / (1 + _FLIPS))


def _mass(records: Sequence[Record], name: str) -> float | None:
    found = [float(record.curves[name]) for record in records if name in record.curves]
    return float(np.mean(found)) if found else None


def _p(value: float) -> str:
    return "< .001" if value < 0.001 else f"{value:.3f}".removeprefix("0")
