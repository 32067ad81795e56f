"""Is a data set whole? What lies in a folder, counted, against what its release is known to have."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from demo.errors import DemoError
from demo.evaluation.datasets.registry import dataset, pairs_of, photos_of

_SHOWN = 5


@dataclass(frozen=True)
class Check:
    """counts: what → how many were found. expected: what → how many the release has. problems: a sentence each."""

    name: str
    counts: dict[str, int]
    expected: dict[str, int]
    problems: tuple[str, ...]

    def as_json(self) -> dict:
        return {"dataset": self.name, "counts": self.counts, "expected": self.expected,
                "problems": list(self.problems)}

    def as_text(self) -> str:
        lines = [f"{what}: {count}" + (f" of {self.expected[what]}" if what in self.expected else "")
                 for what, count in self.counts.items()]
        return "\n".join([*lines, *(self.problems or ("Everything is there.",))])


def check_dataset(path: str | Path, name: str, root: Path | None = None) -> Check:
    """Count people, photos, queries and pairs in a folder and say what is missing; reads no picture."""
    chosen, counts, problems = dataset(name), {}, []
    try:
        photos = photos_of(path, name, root)[1]
    except DemoError as error:
        return Check(name, {}, dict(chosen.expected), (str(error),))
    people = Counter(photo.identity for photo in photos)
    counts = {"photos": len(photos), "people": len(people),
              "people with two or more": sum(count > 1 for count in people.values())}
    if chosen.queries:
        try:
            counts["queries"] = len(chosen.queries(Path(path)))
        except DemoError as error:
            problems.append(str(error))
    gone = [photo.path for photo in photos if not photo.file.is_file()]
    if gone:
        more = f" and {len(gone) - _SHOWN} more" if len(gone) > _SHOWN else ""
        problems.append(f"Missing photos: {', '.join(gone[:_SHOWN])}{more}.")
    if chosen.pairs and (chosen.pair_list(Path(path)) or "pairs" in chosen.expected):
        try:
            counts["pairs"] = len(pairs_of(path, name, root=root))
        except DemoError as error:
            problems.append(str(error))
    problems += [f"{wanted - counts[what]} {what} are missing." if counts[what] < wanted
                 else f"{counts[what] - wanted} {what} more than the release has."
                 for what, wanted in chosen.expected.items() if what in counts and counts[what] != wanted]
    return Check(name, counts, dict(chosen.expected), tuple(problems))
