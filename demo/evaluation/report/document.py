"""The report as a list of blocks, made from the data of ``results.json`` alone; Markdown and the page only print it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from demo.backbones import available

TITLE = "Evaluation report"
INTRODUCTION = (
    "P@1, RP and MAP@R in percent. A query's own photo is never in the gallery it is compared with, nor the photo it "
    "was made from, except where a data set of the papers is measured by their protocol. Numbers on rendered people "
    "compare methods; they say nothing about real people or fairness. A distance is no proof of identity.")


@dataclass(frozen=True)
class Heading:
    """level: 1 to 3."""

    level: int
    text: str


@dataclass(frozen=True)
class Text:
    text: str


@dataclass(frozen=True)
class Code:
    text: str


@dataclass(frozen=True)
class Grid:
    """A table of cells in words. folded: a page shows it on demand, under its title."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    folded: bool = False


@dataclass(frozen=True)
class Picture:
    """A figure: its data, the name of its file, and what it shows for whoever cannot see it."""

    name: str
    title: str
    plot: Mapping


@dataclass(frozen=True)
class Columns:
    """Blocks that a wide page shows side by side."""

    columns: tuple[tuple[Heading | Text | Code | Grid | Picture, ...], ...]


Block = Heading | Text | Code | Grid | Picture | Columns


class Document:
    """results: what ``make_report`` returned or ``results.json`` holds."""

    def __init__(self, results: Mapping):
        self.results = results

    @cached_property
    def blocks(self) -> list[Block]:
        return [Heading(1, TITLE), Text(INTRODUCTION), *self._data(), Heading(2, "The papers, item by item"),
                self.items(), *(block for section in self.results["sections"] for block in self.section(section)),
                *self._environment()]

    @property
    def pictures(self) -> list[Picture]:
        return [block for columns in self.blocks if isinstance(columns, Columns)
                for column in columns.columns for block in column if isinstance(block, Picture)]

    def items(self) -> Grid:
        """Paper item → command → data needed → our number here."""
        rows = []
        for item in self.results["items"]:
            missing = [f"needs {', '.join(item['missing'])}"] if item["missing"] else []
            missing = missing or [f"needs {', '.join(item['data'])}"] * (not item["ours"])
            ours = [item["of"] + "; ".join(f"{name}: {values}" for name, values in item["ours"].items())]
            rows.append((f"{item['paper']} ({item['what']})", f"`{item['command']}`", ", ".join(item["data"]),
                         ". ".join(missing + ours * bool(item["ours"]))))
        return Grid("", ("paper item", "command", "data", "our number here"), tuple(rows),
                    "Where a data set of the papers is missing, the same measurement on the data at hand stands for "
                    "it; capitals in commands are folders.")

    def overview(self) -> list[Block]:
        """One plot and one table: how often the first match is right, and ours beside the papers' of the section in
        which most was measured on the papers' own data."""
        sections = self.results["sections"]
        beside = max(sections, key=lambda one: len(_paired(one)))
        data = {one["data"] for one in _paired(beside)}
        plotted = [found for found in sections[0]["findings"] if found.get("plots")]
        blocks: list[Block] = []
        if plotted:
            alike = [one for one in plotted if one["data"] in data] or plotted
            found = max(alike, key=lambda one: len(one["tables"][0]["rows"]) if one["tables"] else 0)
            told = list(self._finding(sections[0]["name"], found))
            blocks = [Heading(2, f"{sections[0]['title']}: {found['data']}"), *told[1:3]]
        if data:
            blocks += [Heading(2, f"{beside['title']}, beside the papers"), _published(_paired(beside))]
        return blocks or [Text("Nothing was measured yet.")]

    def section(self, section: Mapping) -> Iterator[Block]:
        """One section: what it measures, its command, what was found on each data set, the papers' numbers."""
        yield Heading(2, section["title"])
        yield Text(section["text"])
        yield Code(f"{section['command']}\npython -m demo evaluate report --only {section['name']}")
        yield Columns(tuple(tuple(self._finding(section["name"], found)) for found in section["findings"]))
        if section["paper"]:
            yield _published(section["paper"])

    def _finding(self, section: str, found: Mapping) -> Iterator[Heading | Text | Code | Grid | Picture]:
        yield Heading(3, found["data"])
        if "missing" in found:
            yield Text(f"Not measured here. {found['missing']}")
            return
        headline = found["headline"]
        yield Text(f"{headline[0].upper()}{headline[1:]}.{_busy(found)}")
        for number, plot in enumerate(found["plots"], start=1):
            yield Picture(f"{section}-{_slug(found['data'])}-{number}", f"{plot['title']}, {found['data']}", plot)
        for table in found["tables"]:
            rows = tuple(tuple(_cell(cell) for cell in row) for row in table["rows"])
            yield Grid(table["title"], tuple(table["columns"]), rows, table["note"], table["folded"])
        if "command" in found:
            yield Code(found["command"])

    def _data(self) -> Iterator[Block]:
        yield Heading(2, "Data")
        yield Grid("", ("data", "backbone", "gallery", "queries", "metrics"), tuple(
            (one["name"], one["backbone"], f"{one['photos']} photos of {one['people']} people",
             f"{one['queries']} ({one['protocol']})", one["metrics"]) for one in self.results["data"]))

    def _environment(self) -> Iterator[Block]:
        used = self.results["environment"]
        yield Heading(2, "How this was made")
        yield Code(self.results["command"])
        packages = ", ".join(f"{name} {version}" for name, version in used["packages"].items())
        yield Text(f"{used['date']}; version {used['version']}; Python {used['python']}, {packages}; {used['system']}, "
                   f"{used['cores']} cores; device {used['device']}." + _versions(used))
        rows = []
        for one in self.results["data"]:
            rows += [(f"weights of {one['backbone']}", one["weights_sha256"]),
                     (f"index of {one['name']}", one["gallery_sha256"])]
            rows += [(f"weights of {name}", digest) for name, digest in one["cross_image_weights_sha256"].items()]
        yield Grid("SHA-256", ("of", "hash"), tuple((what, f"`{digest[:16]}`") for what, digest in dict(rows).items()))


def _paired(section: Mapping) -> list[dict]:
    """The papers' numbers of a section that ours stand beside, the first metric of each."""
    return [{**one, "values": _first(one["values"]),
             "ours": {name: _first(values) for name, values in one["ours"].items()}}
            for one in section["paper"] if any(one["ours"].values())]


def _first(values: Mapping) -> dict:
    """The first metric alone."""
    return dict(list(values.items())[:1])


def _published(paper: Sequence[Mapping]) -> Grid:
    """The papers' numbers, beside ours where the same data set was measured."""
    metrics = list(dict.fromkeys(metric for one in paper for metric in one["values"]))
    backbones = list(dict.fromkeys(name for one in paper for name in one["ours"]))
    titles = {info.name: info.title for info in available()}
    shown = [metric for metric in metrics if any(metric in ours for one in paper for ours in one["ours"].values())]
    rows = tuple((
        one["item"], f"{one['data']}, {one['alteration']}", " ".join(filter(None, (one["backbone"], one["method"]))),
        *(_paper_cell(one["values"].get(metric)) for metric in metrics),
        *(" / ".join(_cell(value) for value in one["ours"].get(name, {}).values()) or "-" for name in backbones))
        for one in paper)
    note = "Percent; seconds for all queries, on the authors' GPU." if "seconds" in metrics else "Percent."
    note += " Ours with 95 % intervals over people." if backbones else ""
    ours = (f"ours, {titles.get(name, name)}: {' / '.join(shown)}" for name in backbones)
    return Grid("The papers' numbers", ("item", "data", "method", *metrics, *ours), rows, note, folded=not backbones)


def _cell(value: str | float | list[float] | None) -> str:
    """Of an interval, [mean, low, high]: "98.48 (97.9 to 98.9)"."""
    if isinstance(value, list):
        return f"{value[0]:.2f} ({value[1]:.1f} to {value[2]:.1f})"
    return value if isinstance(value, str) else _paper_cell(value)


def _paper_cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}" if abs(value) < 1000 else f"{value:.0f}"


def _busy(found: Mapping) -> str:
    """What is to be said of times that were measured beside other programs."""
    load, columns = found.get("load"), {column for table in found["tables"] for column in table["columns"]}
    if "ms per query" not in columns or not load or load["running"] <= load["cores"]:
        return ""
    return (f" Times are longer than they would be alone: {load['running']:g} programs wanted to run on "
            f"{load['cores']} cores meanwhile.")


def _slug(text: str) -> str:
    return "-".join("".join(letter if letter.isalnum() else " " for letter in text.lower()).split())


def _versions(used: Mapping) -> str:
    """Of the rooms between photos and numbers; reports of earlier releases do not have them."""
    found = used.get("versions", {})
    return f" Versions: {', '.join(f'{room} {version}' for room, version in found.items())}." if found else ""
