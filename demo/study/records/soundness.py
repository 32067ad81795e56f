"""Is a file the database that this program writes? Its pages, tables, columns and the kinds of its values, told before
anything is made of them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import cache

from demo.study.records import schema

#: SQLite's word for what a column may hold, by the type that it is declared with.
_KINDS = {"TEXT": ("text",), "INTEGER": ("integer",), "REAL": ("real", "integer")}
#: Errors of a database whose content is not what it says.
DAMAGE = (sqlite3.DatabaseError, UnicodeDecodeError, json.JSONDecodeError, RecursionError)
_LARGEST = 1.7e308
#: No text of ours is longer; a configuration is not.
_LONGEST = 1_000_000


def damage(db: sqlite3.Connection) -> Iterator[str]:
    """What is wrong with a database of the present version, in words; nothing where it is sound."""
    for (found,) in db.execute("PRAGMA quick_check(3)"):
        if found != "ok":
            yield found.splitlines()[0]
            return
    for table, columns in _columns().items():
        present = {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
        lacking = [name for name, _, _ in columns if name not in present]
        if lacking:
            yield f"the table {table} has no column {lacking[0]}"
            return
    for table in _columns():
        for name, count in db.execute(_strange(table)):
            if count:
                yield f"{count} values of {table}.{name} are not of its kind"
    if db.execute("SELECT count(*) FROM study").fetchone()[0] != 1:
        yield "it does not hold one study"


@cache
def _columns() -> dict[str, list[tuple[str, str, bool]]]:
    """Table → (column, declared type, whether it may be empty), of a database that was just made."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        schema.migrate(db)
        tables = [name for (name,) in db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name")]
        return {table: [(row[1], row[2], not row[3]) for row in db.execute(f"PRAGMA table_info({table})")]
                for table in tables}


@cache
def _strange(table: str) -> str:
    """A query for how many values of each column are not of its kind."""
    tests = []
    for name, kind, empty in _columns()[table]:
        fits = f"typeof({name}) IN ({', '.join(repr(word) for word in _KINDS[kind])})"
        if kind == "REAL":
            fits += f" AND abs({name}) <= {_LARGEST}"
        elif name.endswith("_json"):
            fits += f" AND length({name}) <= {_LONGEST} AND json_valid({name}) AND json_type({name}) = 'object'"
        elif name.endswith("_utc"):
            fits += f" AND {name} GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9].*Z'"
        elif kind == "TEXT":
            fits += f" AND length({name}) <= {_LONGEST}"
        allowed = f"{name} IS NULL OR " if empty else ""
        tests.append(f"SELECT '{name}', count(*) FROM {table} WHERE NOT ({allowed}({fits}))")
    return " UNION ALL ".join(tests)

