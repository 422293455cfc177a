"""Checks of a store's schema, and SQLite's own integrity check."""

import re
import sqlite3
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from failaware.engine.base import Reader
from failaware.engine.derivation import MARK, are_of_another_version, has_other_tables
from failaware.errors import StoreCorrupt
from failaware.schema.ddl import derived_objects, derived_tables, tables_of, whole_schema

_MASTER = "SELECT type, name, tbl_name, sql FROM main.sqlite_master WHERE sql IS NOT NULL ORDER BY type, name"
_TABLES_AND_VIEWS = "SELECT type, name, sql FROM sqlite_master WHERE type IN ('table', 'view')"
_VIEW = re.compile(r"(?:--[^\n]*\n|\s)*CREATE VIEW (\w+)")
_TOKEN = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | `(?:[^`]|``)*` | \[[^\]]*\]  # texts and quoted names, to the letter
    | --[^\n]* | /\*.*?(?:\*/|\Z) | \s+  # comments and blanks, which mean nothing
    | \w+ | .""",
    re.VERBOSE | re.DOTALL,
)
_MEANS_NOTHING = re.compile(r"--|/\*|\s")


def differences(db: Reader) -> Iterator[str]:
    """Yield how the schema differs from the expected one, one sentence each; foreign tables are ignored.

    Derived tables and views are ignored as well if another version of failaware made them, according to the mark.
    """
    ours, of_others = _expected(), derived_objects() if has_other_tables(db) else set()
    tables = {name for kind, name in ours if kind == "table"}
    actual = {(kind, name): (table, _tokens(sql)) for kind, name, table, sql in db.query(_MASTER)}
    for (kind, name), sql in ours.items():
        if name in of_others:
            continue
        if (kind, name) not in actual:
            yield f"the {kind} {name} is missing"
        elif actual[kind, name][1] != sql:
            yield f"the {kind} {name} is not as it was made"
    for (kind, name), (table, _) in actual.items():
        if (kind, name) in ours or table in of_others or (kind == "view" and of_others):
            continue
        if kind == "view":
            yield f"there is a view {name} that is not ours"
        elif kind in ("trigger", "index") and table in tables:
            yield f"there is {'an' if kind == 'index' else 'a'} {kind} {name} on {table} that is not ours"


def check_tables(db: sqlite3.Connection, path: Path) -> bool:
    """Refuse a store in which a view or virtual table replaces one of our tables: its queries could run forever.

    Returns whether the views are ours as well; they may differ if another version of failaware derived the store.

    Raises:
        StoreCorrupt: it names the table or the view.
    """
    tables, views = _tables_and_views()
    made = db.execute(_TABLES_AND_VIEWS).fetchall()
    for kind, name, sql in made:
        if name in tables:
            is_table = kind == "table" and not (sql or "").upper().startswith("CREATE VIRTUAL")
            computed = db.execute("SELECT 1 FROM pragma_table_xinfo(?) WHERE hidden <> 0", (name,)).fetchone()
            _must_be_ours(path, name, is_table and not computed)
    if are_of_another_version(db.execute(MARK).fetchall()):
        return False
    for kind, name, sql in made:
        if name in views:
            is_view = kind == "view" and (sql == views[name] or _tokens(sql) == _tokens(views[name]))
            _must_be_ours(path, name, is_view)
    return True


def _must_be_ours(path: Path, name: str, is_ours: bool) -> None:
    if not is_ours:
        raise StoreCorrupt(f"{path} is damaged: '{name}' is not what failaware makes under that name; restore a backup")


def own_views() -> Iterator[str]:
    """The views that our own statements read, as temporary views."""
    for sql in _tables_and_views()[1].values():
        yield sql.replace("CREATE VIEW ", "CREATE TEMP VIEW ")


@cache
def _tables_and_views() -> tuple[frozenset[str], dict[str, str]]:
    """The names of our tables, and the definitions of the views that our own statements read."""
    made = [statement.rstrip(";") for statement in derived_tables()]
    views = {match[1]: statement for statement in made if (match := _VIEW.match(statement))}
    return frozenset(tables_of("facts.sql", "coordination.sql", "derived.sql")), views


def integrity(db: Reader) -> list[str]:
    """Problems that SQLite's integrity check finds in pages, indexes and constraints."""
    return [str(problem) for (problem,) in db.query("PRAGMA main.integrity_check(20)") if problem != "ok"]


def _expected() -> dict[tuple[str, str], tuple[str, ...]]:
    db = sqlite3.connect(":memory:")
    try:
        for statement in whole_schema():
            db.execute(statement)
        return {(kind, name): _tokens(sql) for kind, name, _, sql in db.execute(_MASTER)}
    finally:
        db.close()


def _tokens(sql: str) -> tuple[str, ...]:
    """A statement's tokens without comments and white space, which ALTER TABLE changes."""
    return tuple(token for token in _TOKEN.findall(sql) if not _MEANS_NOTHING.match(token))
