"""Everything a study has recorded as one zip: tables, events, codebook and hashes (docs/method.md).

Rows of excluded participants, drop-outs and previews are kept and flagged. Texts that a spreadsheet would run as a
formula are written with an apostrophe in front.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import IO, TextIO, cast

from demo.errors import BadStudy, NotSaved
from demo.files import read_regular
from demo.study.design.conditions import described
from demo.study.design.document import LARGEST
from demo.study.records.chain import head
from demo.study.records.columns import RESPONSES, TABLES
from demo.study.records.output import new_file
from demo.study.records.store import Store
from demo.study.records.wide import MEASURES, wide, wide_names

#: Rows of the long table → results, as ``demo.study.analysis.summary.summarise``.
Summary = Callable[[Iterable[dict]], dict]

#: Results → PNG files by name, as ``demo.study.analysis.plots.drawn``.
Draw = Callable[[dict], dict[str, bytes]]

_HEAD = re.compile(r"[0-9a-f]{64}")
#: Bytes of an export's study.json that are read; ours hold a tenth.
_LONGEST_STUDY = 10_000_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

R_SNIPPET = """\
# Open the export in R: unzip it, set the working directory to the folder, and run this.
answers <- read.csv("responses_long.csv", na.strings = "", stringsAsFactors = TRUE)
test <- subset(answers, phase == "main" & status == "completed" & excluded == 0 & is_preview == 0)
aggregate(correct ~ condition, test, mean)
# install.packages("lme4")
# lme4::glmer(correct ~ condition + block + (1 | pid) + (1 | pair_id), test, family = binomial)
"""


def long_rows(store: Store) -> Iterator[dict]:
    """The rows of responses_long.csv, one by one, as the database holds them now."""
    with store.read() as db:
        yield from RESPONSES.read(db)


def export(store: Store, out: str | Path, summary: Summary | None = None, *, draw: Draw | None = None,
           force: bool = False) -> Path:
    """Write the zip, whole or not at all; all its tables are of one moment. summary: makes summary.json. draw: makes
    the figures of it. force: replace a file that is there.

    BadStudy where it must not be written to (``output.new_file``) or the database is damaged, NotSaved where it cannot
    be written.
    """
    out = Path(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with (new_file(out, store.path, force=force) as partial,
              zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive, store.read() as db):
            bundle = _Bundle(archive)
            for table in TABLES:
                with bundle.file(f"{table.file}.csv") as file:
                    _write_csv(file, table.names, table.read(db))
            with bundle.file("responses_long.json") as file:
                _write_json_rows(file, RESPONSES.read(db))
            with bundle.file("events.jsonl") as file:
                for row in db.execute("SELECT ev_id, pid, utc, type, idx, payload_json FROM event ORDER BY ev_id"):
                    event = dict(row)
                    event["payload"] = json.loads(event.pop("payload_json"))
                    file.write(json.dumps(event, ensure_ascii=False) + "\n")
            study = dict(db.execute("SELECT * FROM study").fetchone())
            del study["secret"]
            study["config"], study["stimuli"] = (json.loads(study.pop(key))
                                                 for key in ("config_json", "weights_manifest_json"))
            study["chain_head"] = head(db)
            with bundle.file("participants_wide.csv") as file:
                rows = list(RESPONSES.read(db))
                people = wide(rows)
                _write_csv(file, wide_names(rows, hidden=len(people) < store.config(db).planned_n), people)
            texts = {"study.json": _pretty(study), "codebook.md": codebook(study), "analysis.R": R_SNIPPET}
            if summary is not None:
                found = summary(RESPONSES.read(db))
                texts["summary.json"] = _pretty(found)
                for name, picture in (draw(found) if draw else {}).items():
                    bundle.add(f"figures/{name}.png", picture)
            for name, text in texts.items():
                with bundle.file(name) as file:
                    file.write(text)
            bundle.close()
    except OSError as error:
        raise NotSaved(f"The export {out} could not be written ({error}).") from error
    with store.write() as db:
        store.log(db, None, "export", {"sha256": hashlib.sha256(out.read_bytes()).hexdigest(),
                                       "chain_head": study["chain_head"]})
    return out


def head_in(text: str) -> str:
    """A head of the chain, given as it was told or by the name of an export that holds it. BadStudy for anything
    else."""
    given: object = text
    if not _HEAD.fullmatch(text.lower()):
        try:
            with (zipfile.ZipFile(BytesIO(read_regular(text, LARGEST))) as archive, archive.open("study.json") as file):
                given = json.loads(file.read(_LONGEST_STUDY)).get("chain_head")
        except (OSError, ValueError, KeyError, AttributeError, RecursionError, RuntimeError, zipfile.BadZipFile,
                zlib.error, NotImplementedError):
            given = None
    if not isinstance(given, str) or not _HEAD.fullmatch(given.lower()):
        raise BadStudy(f"{text} is neither a head of a chain (64 letters and digits) nor an export that holds one.")
    return given.lower()


def codebook(study: dict) -> str:
    """What every file, column and condition means, as Markdown. study: as in study.json."""
    lines = [f"# Codebook of {study['study_id']}", "", f"{study['name']} Program version {study['code_version']}; "
             f"configuration {study['config_sha256'][:12]}, stimuli {study['stimuli_sha256'][:12]}. Empty cells are "
             "missing values; times are UTC.", "", "## Conditions", ""]
    lines += [f"- `{name}`: {described(name).title}" for name in study["config"]["conditions"]]
    for table in TABLES:
        lines += ["", f"## {table.file}.csv", "", f"Each row is {table.rows}.", "", "| column | meaning |", "|---|---|"]
        lines += [f"| {column.name} | {column.meaning} |" for column in table.columns]
    lines += ["", "## participants_wide.csv", "", "Each row is one complete participant of the live study who is not "
              "excluded, for JASP, SPSS or a spreadsheet; MEASURE_CONDITION, of the test pairs, other signs than "
              "letters and digits as underscores. Until the planned participants are complete it holds their place in "
              "the order alone.", "",
              "| column | meaning |", "|---|---|", *(f"| {name}_… | {meaning} |" for name, meaning in MEASURES.items())]
    lines += ["", "## Other files", "", "- figures/*.png: the results drawn, where they are no longer hidden.",
              "- responses_long.json: the same rows as JSON.",
              "- events.jsonl: everything that happened, one JSON object per line.",
              "- study.json: the study with its whole configuration.", "- summary.json: the results, where asked for.",
              "- analysis.R: a first look in R.", "- SHA256SUMS: check with `sha256sum -c SHA256SUMS`.", ""]
    return "\n".join(lines)


class _Bundle:
    """Files of a zip, hashed while they are written."""

    def __init__(self, archive: zipfile.ZipFile):
        self.archive = archive
        self.sums: list[str] = []

    @contextmanager
    def file(self, name: str) -> Iterator[TextIO]:
        digest = hashlib.sha256()
        with self.archive.open(name, "w") as raw:
            text = TextIOWrapper(cast(IO[bytes], _Hashed(raw, digest)), encoding="utf-8", newline="")
            yield text
            text.flush()
            text.detach()
        self.sums.append(f"{digest.hexdigest()}  {name}\n")

    def add(self, name: str, data: bytes) -> None:
        self.archive.writestr(name, data)
        self.sums.append(f"{hashlib.sha256(data).hexdigest()}  {name}\n")

    def close(self) -> None:
        self.archive.writestr("SHA256SUMS", "".join(self.sums))


class _Hashed:
    """A binary file that feeds a hash with what is written to it."""

    def __init__(self, raw, digest):
        self.raw, self.digest = raw, digest
        self.closed = False

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return self.raw.write(data)

    def flush(self) -> None:
        self.raw.flush()


def _write_csv(file: TextIO, names: list[str], rows: Iterable[dict]) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow([safe(row[name]) for name in names])


def safe(value):
    """A cell that no spreadsheet takes for a formula; numbers stay numbers, None is empty."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _write_json_rows(file: TextIO, rows: Iterable[dict]) -> None:
    file.write("[")
    for number, row in enumerate(rows):
        file.write((",\n" if number else "\n") + json.dumps(row, ensure_ascii=False))
    file.write("\n]\n")


def _pretty(data) -> str:
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"
