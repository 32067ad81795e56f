"""``study``: make, open, check, export and try out a human study."""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from demo.backbones import available
from demo.cli.arguments import add_source, identifier_of, positive, seed, share
from demo.errors import BadStudy, NotSaved
from demo.identify import json_text
from demo.methods import ready
from demo.settings import settings
from demo.study.analysis.coverage import STUDIES, coverage
from demo.study.analysis.plots import drawn
from demo.study.analysis.preregistration import preregistration
from demo.study.analysis.report import stimuli_text, text_summary
from demo.study.analysis.summary import summarise
from demo.study.design.conditions import conditions, method_of
from demo.study.design.config import PRESETS, StudyConfig
from demo.study.records.chain import head, key_id
from demo.study.records.checks import verify
from demo.study.records.export import export, head_in, long_rows
from demo.study.records.output import check_output, new_file
from demo.study.records.payments import forget, write_payments
from demo.study.records.store import MODES, Store
from demo.study.records.sync import database_of, open_kept, target_of
from demo.study.session.participants import UNFINISHED, by_code, delete
from demo.study.session.simulate import simulate
from demo.study.stimuli.make import make_study
from demo.study.stimuli.record import Stimuli, read_study


def add(commands) -> None:
    study = commands.add_parser("study", help="make, run and evaluate a human study")
    actions = study.add_subparsers(dest="action", required=True, metavar="ACTION")
    make = actions.add_parser("make", help="choose pairs from a gallery and draw all pictures")
    add_source(make)
    make.add_argument("--queries", type=Path, metavar="FOLDER", help="other photos of the gallery's people")
    make.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the new study")
    make.add_argument("--config", type=Path, metavar="FILE", help="JSON with settings that differ from the preset's")
    make.add_argument("--preset", default="default", choices=PRESETS)
    make.add_argument("--study-id", metavar="NAME", help="short name in file names and exports")
    make.add_argument("--conditions", metavar="A,B", help=f"of {', '.join(conditions())}")
    make.add_argument("--metadata", type=Path, metavar="FILE", help="CSV of what is known of the photos, with columns "
                      "identity and photo: pairs are matched on it (default: metadata.csv in the gallery's folder)")
    make.add_argument("--force", action="store_true", help="even where a rule without faces answers too many pairs")
    make.add_argument("--seed", type=seed, default=0)
    make.set_defaults(run=_make, backbone=None)
    for word, run, text in (
        ("open", _open, "let participants in"), ("close", _close, "let nobody in any more"),
        ("export", _export, "write everything recorded as a zip"), ("summary", _summary, "print the results"),
        ("verify", _verify, "check database, answers and pictures"), ("backup", _backup, "copy the database"),
        ("preregister", _preregister, "write a preregistration, with power and hashes"),
        ("payments", _payments, "write who is to be paid, apart from the answers"),
        ("delete", _delete, "delete everything about a participant"),
        ("simulate", _simulate, "send simulated participants through a database of their own, and evaluate them"),
    ):
        action = actions.add_parser(word, help=text)
        action.add_argument("--study", type=Path, default=settings().study, metavar="DIR",
                            help="folder of the study (default: DEMO_STUDY, or the one that ships)")
        action.add_argument("--db", type=Path, metavar="FILE", help="database (default: in DEMO_STUDY_DIR; of "
                            "simulated participants: a new one, thrown away)")
        action.set_defaults(run=run)
        if word == "open":
            action.add_argument("--mode", default="live", choices=MODES[:-1], help="default live")
            action.add_argument("--sure", action="store_true",
                                help="change the mode although people have taken part already")
        elif word in _OUTPUTS:
            action.add_argument("out", type=Path, metavar=_OUTPUTS[word], nargs="?" if word == "payments" else None)
            action.add_argument("--force", action="store_true", help="replace a file that is there")
            if word == "preregister":
                action.add_argument("--expect", action="append", default=[], type=_expectation, metavar="CONDITION=%",
                                    help="accuracy to compute the power with (default: the published study's)")
            elif word == "payments":
                action.add_argument("--forget", action="store_true", help="delete the recruiting ids, after payment")
        elif word == "verify":
            action.add_argument("--head", action="append", default=[], metavar="HEX|EXPORT.zip",
                                help="head of the chain as it was told before, or an earlier export: what was recorded "
                                "up to then has to be there still (may be given several times)")
        elif word == "delete":
            action.add_argument("pid", nargs="?", metavar="PARTICIPANT")
            action.add_argument("--code", help="the participant's withdrawal code, instead of their number")
        elif word == "summary":
            action.add_argument("--peek", action="store_true",
                                help="before the planned participants are there; that is recorded")
            action.add_argument("--preview", action="store_true", help="analyse preview and pilot too")
            action.add_argument("--json", action="store_true", help="print everything as JSON")
        elif word == "simulate":
            action.add_argument("--participants", type=positive, default=32)
            action.add_argument("--seed", type=seed, default=0)
            action.add_argument("--dropout", type=share, default=0.0, help="share who leave before the end")
            action.add_argument("--at-once", type=positive, default=8, metavar="N", help="how many take part at a time")
            action.add_argument("--studies", type=positive, default=STUDIES,
                                help=f"simulated studies to count the model's intervals in (default {STUDIES})")


#: Actions that write a file → what it is called in --help.
_OUTPUTS = {"export": "OUT.zip", "backup": "OUT.sqlite3", "preregister": "OUT.md", "payments": "OUT.csv"}


def _expectation(text: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    if not (name and equals and value.replace(".", "", 1).isdecimal()):
        raise argparse.ArgumentTypeError("is written CONDITION=PERCENT")
    return name, float(value) / 100


def _bar(text: str):
    return lambda jobs: tqdm(jobs, desc=text, file=sys.stderr)


def backbone_for(config: StudyConfig) -> str:
    """The backbone of a study unless another is asked for: the usual one, or the first on which every method is ready
    that its conditions explain."""
    methods = {word for condition in config.conditions if (word := method_of(condition))}
    chosen = settings()
    names = dict.fromkeys([chosen.backbone, *(info.name for info in available(chosen.weights) if info.ready)])
    return next((name for name in names if methods <= set(ready(name))), chosen.backbone)


def _make(parsed) -> None:
    config = StudyConfig.preset(parsed.preset)
    if parsed.config:
        config = StudyConfig.read(parsed.config, config)
    if parsed.study_id:
        config = replace(config, study_id=parsed.study_id)
    if parsed.conditions:
        config = replace(config, conditions=tuple(parsed.conditions.split(",")))
    parsed.backbone = parsed.backbone or backbone_for(config)
    made = make_study(identifier_of(parsed), config, parsed.out, queries=parsed.queries,
                      metadata=parsed.metadata, seed=parsed.seed, force=parsed.force, progress=_bar("Study"))
    size = sum(file.stat().st_size for file in parsed.out.rglob("*") if file.is_file())
    print(f"{parsed.out}: {len(made.pairs)} pairs in {len(config.conditions)} conditions, {size / 1e6:.1f} MB.")
    print(stimuli_text(made.provenance))


def _study(parsed) -> tuple[StudyConfig, Stimuli, Path]:
    config, stimuli = read_study(parsed.study)
    return config, stimuli, parsed.db or database_of(settings(), config)


def _open(parsed) -> int:
    config, stimuli, path = _study(parsed)
    store = open_kept(path, config, stimuli, target_of(settings()))
    problems = verify(store, stimuli, config)
    if problems:
        print("\n".join(problems))
        return 1
    before, begun, inside = _under_way(store)
    if before != parsed.mode and begun and not parsed.sure:
        raise BadStudy(f"The mode is {before}, {begun} have begun and {inside} of them are in the middle, who may "
                       f"finish: to change it to {parsed.mode} all the same, add --sure.")
    store.set_mode(parsed.mode)
    note = ("The first participant locks configuration and pictures." if parsed.mode == "live"
            else "Answers are kept, but marked and left out of the results.")
    print(f"{config.study_id} is open ({parsed.mode}). {note}")
    return 0


def _under_way(store: Store) -> tuple[str, int, int]:
    """The mode, how many have begun in whatever mode and not withdrawn, and how many of them are in the middle."""
    with store.read() as db:
        return (db.execute("SELECT mode FROM study").fetchone()[0], *db.execute(
            f"SELECT count(*), coalesce(sum(status IN {UNFINISHED!r}), 0) FROM participant WHERE status <> 'withdrawn'"
            ).fetchone())


def _close(parsed) -> None:
    store = _existing(parsed)
    store.set_mode("closed")
    print("The study is closed: whoever is in the middle may finish, nobody new can begin.")


def _existing(parsed) -> Store:
    return Store.open(_study(parsed)[2])


def _export(parsed) -> None:
    store = _existing(parsed)
    planned = _planned(store)
    written = export(store, parsed.out, lambda rows: summarise(list(rows), planned_n=planned), draw=drawn,
                     force=parsed.force)
    print(f"Written: {written}")


def _summary(parsed) -> None:
    store = _existing(parsed)
    if parsed.peek:
        store.note_peek("command line")
    found = summarise(list(long_rows(store)), planned_n=_planned(store), peek=parsed.peek,
                      include_preview=parsed.preview)
    print(json_text(found) if parsed.json else text_summary(found))


def _planned(store: Store) -> int:
    with store.read() as db:
        return store.config(db).planned_n


def _verify(parsed) -> int:
    config, stimuli, path = _study(parsed)
    heads = [head_in(text) for text in parsed.head]
    if not path.is_file():
        if heads:
            raise BadStudy(f"There is no study database {path}, which should hold what was recorded up to --head.")
        problems = stimuli.problems()
        print("\n".join(problems) or "The study is sound: every picture as it was kept; it has not been opened yet.")
        return 1 if problems else 0
    store = Store.open(path)
    problems = verify(store, stimuli, config, heads)
    print("\n".join(problems) or "The study is sound: every picture and every answer as it was kept.")
    if not problems:
        with store.read() as db:
            print(f"Head of the chain, for a later `study verify --head`: {head(db)}")
    return 1 if problems else 0


def _backup(parsed) -> None:
    print(f"Written: {_existing(parsed).backup(parsed.out, force=parsed.force)}")


def _preregister(parsed) -> None:
    config, stimuli, path = _study(parsed)
    facts: dict[str, Any] = {}
    if path.is_file():
        store = Store.open(path)
        with store.read() as db:
            facts = {"locked_utc": db.execute("SELECT locked_utc FROM study").fetchone()[0],
                     "live": db.execute("SELECT count(*) FROM participant WHERE mode = 'live'").fetchone()[0],
                     "key_id": key_id(store.seal.key) if store.seal.key else "", "chain_head": head(db)}
    text = preregistration(config, stimuli.provenance, stimuli.sha256, expected=dict(parsed.expect), **facts)
    check_output(parsed.out, path, force=parsed.force)
    try:
        with new_file(parsed.out, path, force=parsed.force) as partial:
            partial.write_text(text, encoding="utf-8")
    except OSError as error:
        raise NotSaved(f"The preregistration {parsed.out} could not be written ({error}).") from error
    print(f"Written: {parsed.out}")


def _payments(parsed) -> None:
    store = _existing(parsed)
    if parsed.out is None and not parsed.forget:
        raise BadStudy("Name a file for the list, or --forget to delete the recruiting ids.")
    if parsed.out is not None:
        print(f"Written: {write_payments(store, parsed.out, force=parsed.force)}")
    if parsed.forget:
        print(f"{forget(store)} recruiting ids deleted.")


def _delete(parsed) -> None:
    store, pid = _existing(parsed), parsed.pid
    if bool(pid) == bool(parsed.code):
        raise BadStudy("Give a participant's number or --code.")
    if parsed.code:
        with store.read() as db:
            pid = by_code(db, parsed.code)
        if pid is None:
            raise BadStudy("Nobody has this withdrawal code: perhaps the answers are deleted already.")
    delete(store, pid)
    print(f"Everything about participant {pid} is deleted.")


def _simulate(parsed) -> None:
    config, stimuli, _ = _study(parsed)
    with tempfile.TemporaryDirectory() as folder:
        config = replace(config, planned_n=max(config.planned_n, parsed.participants))  # none is turned away
        store = Store.create(parsed.db or Path(folder) / "simulated.sqlite3", config, stimuli)
        store.set_mode("live")
        print(simulate(store, parsed.participants, seed=parsed.seed, threads=parsed.at_once,
                       dropout=parsed.dropout))
        print(text_summary(summarise(list(long_rows(store)))))
        print(stimuli_text(stimuli.provenance))
        share, intervals = coverage(config, parsed.participants, studies=parsed.studies, seed=parsed.seed)
        print(f"In {parsed.studies} such studies, {100 * share:.1f} % of {intervals} 95 % intervals of the mixed model "
              "held the truth.")
        store.close()
