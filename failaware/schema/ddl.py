"""The schema as statements: fact tables, derived tables, guards; also as private tables that shadow a store's."""

import re
import secrets
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from failaware.rules import event_reason
from failaware.schema.guards import guard_statements

_HERE = Path(__file__).parent
_ISO = re.compile(r"\bISO\(([\w.]+)\)")
_TABLE = re.compile(r"^CREATE (?:TEMP )?TABLE (\w+)", re.MULTILINE)
_VIEW = re.compile(r"^CREATE VIEW (\w+)", re.MULTILINE)
_OBJECT = re.compile(r"^CREATE (?:TABLE|INDEX|VIEW) (\w+)", re.MULTILINE)
CONTRADICTS = (
    "{place} is damaged: its facts, or what is derived from them, contradict each other ({error}); "
    "'failaware verify' says where, and 'failaware rebuild' derives everything again"
)
"""The error for a derived table that rejects a row."""

_FRACTION = r"(\1 % 1000000 + 1000000) % 1000000"
_SQLITE_ISO = (
    rf"strftime('%Y-%m-%dT%H:%M:%S', (\1 - {_FRACTION}) / 1000000, 'unixepoch') || printf('.%06dZ', {_FRACTION})"
)


def whole_schema() -> Iterator[str]:
    """All statements that create a store's schema, in order."""
    yield from permanent_tables()
    yield from recreated_objects()


def own_key() -> str:
    """The statement that gives a new store a random key; a migrated store from before keys has none."""
    return f"INSERT INTO setting (name, value) VALUES ('key', '{secrets.token_hex(32)}')"


def recreated_objects() -> Iterator[str]:
    """The objects that a migration creates again: derived tables (empty), views, guards."""
    yield from derived_tables()
    yield from views(_SQLITE_ISO)
    yield from guard_statements()


def permanent_tables() -> Iterator[str]:
    """The tables that cannot be derived, with their indexes."""
    for name in ("facts.sql", "coordination.sql"):
        yield from statements(name)


def derived_tables() -> Iterator[str]:
    """The derived tables with their indexes, and the views that our own statements read."""
    yield from statements("derived.sql")


def views(iso: str) -> Iterator[str]:
    r"""The views for other tools; `iso` is SQL that formats the time `\1` (µs) as ISO 8601."""
    for statement in statements("views.sql"):
        yield _ISO.sub(iso, statement)


def private_schema(*, facts: bool) -> Iterator[str]:
    """The schema as empty temporary tables of one connection, without guards; with `facts`, the fact tables too.

    They have the same names and shadow the store's own, so statements run on them unchanged.
    """
    for name in ("facts.sql", "coordination.sql", "derived.sql") if facts else ("coordination.sql", "derived.sql"):
        for statement in statements(name):
            yield statement.replace("CREATE TABLE ", "CREATE TEMP TABLE ").replace("CREATE VIEW ", "CREATE TEMP VIEW ")


def fetched_schema() -> Iterator[str]:
    """The local tables for rows fetched from a server: fact tables with indexes, derived tables without, and views."""
    yield from permanent_tables()
    for statement in derived_tables():
        if not statement.startswith("CREATE INDEX"):
            yield statement


def tables_of(*names: str) -> tuple[str, ...]:
    """The tables that these schema files create, in order."""
    return tuple(table for name in names for table in _TABLE.findall((_HERE / name).read_text(encoding="utf-8")))


def view_names() -> list[str]:
    """The names of all views, in order: a view may read those before it."""
    return _VIEW.findall("\n".join((*statements("derived.sql"), *statements("views.sql"))))


def derived_objects() -> set[str]:
    """The names of all derived tables, their indexes, and all views."""
    text = "\n".join((_HERE / name).read_text(encoding="utf-8") for name in ("derived.sql", "views.sql"))
    return set(_OBJECT.findall(text))


def is_derived(table: str) -> bool:
    """Return whether a table is one of our derived or working tables; a handler may have tables of its own."""
    return table in tables_of("derived.sql", "projection_temp_tables.sql")


def work_tables() -> Iterator[str]:
    """The temporary tables that the fold needs on a connection."""
    yield from statements("projection_temp_tables.sql")


def statements(name: str) -> Iterator[str]:
    """The statements of an SQL file in this directory."""
    from sqlite3 import complete_statement

    statement = ""
    for line in (_HERE / name).read_text(encoding="utf-8").splitlines(keepends=True):
        statement += line
        if complete_statement(statement):
            yield statement.strip().replace("EVENT_REASON", event_reason())
            statement = ""


@cache
def columns_and_keys(table: str) -> tuple[list[str], list[str]]:
    """The columns of a table in the current schema, and those of its primary key, in order; on every engine."""
    import sqlite3

    db = sqlite3.connect(":memory:")
    try:
        for statement in whole_schema():
            db.execute(statement)
        info = db.execute(f"PRAGMA table_info({table})").fetchall()
    finally:
        db.close()
    return [row[1] for row in info], [row[1] for row in sorted(info, key=lambda row: row[5]) if row[5]]
