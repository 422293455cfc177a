"""The schema as statements: facts, what is derived from them, the guards; also as private tables beside a store."""

import re
import secrets
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from failaware.engine.guards import guard_statements

_HERE = Path(__file__).parent
_ISO = re.compile(r"\bISO\(([\w.]+)\)")
_TABLE = re.compile(r"^CREATE (?:TEMP )?TABLE (\w+)", re.MULTILINE)
_OBJECT = re.compile(r"^CREATE (?:TABLE|INDEX|VIEW) (\w+)", re.MULTILINE)
CONTRADICTS = (
    "{place} is damaged: its facts, or what is derived from them, contradict each other ({error}); "
    "'failaware verify' says where, and 'failaware rebuild' derives anew"
)
"""What it means that a derived table does not take a row."""

_FRACTION = r"(\1 % 1000000 + 1000000) % 1000000"
_SQLITE_ISO = (
    rf"strftime('%Y-%m-%dT%H:%M:%S', (\1 - {_FRACTION}) / 1000000, 'unixepoch') || printf('.%06dZ', {_FRACTION})"
)


def whole_schema() -> Iterator[str]:
    """Everything that a store has, in the order in which it is made."""
    yield from kept_tables()
    yield from made_anew()


def own_key() -> str:
    """The statement that gives a new store its key, which is made here; a store brought up to date has none."""
    return f"INSERT INTO setting (name, value) VALUES ('key', '{secrets.token_hex(32)}')"


def made_anew() -> Iterator[str]:
    """What a store has beside its facts, once its tables are there: what is derived (empty), the views, the guards."""
    yield from derived_tables()
    yield from views(_SQLITE_ISO)
    yield from guard_statements()


def kept_tables() -> Iterator[str]:
    """The tables of what cannot be derived, with their indexes."""
    for name in ("schema.sql", "coordination.sql"):
        yield from statements(name)


def derived_tables() -> Iterator[str]:
    """The tables of what is derived, with their indexes, and the views that our own statements read."""
    yield from statements("derived.sql")


def views(iso: str) -> Iterator[str]:
    r"""The views for people; `iso` is SQL that writes the time `\1` (µs) as ISO 8601."""
    for statement in statements("views.sql"):
        yield _ISO.sub(iso, statement)


def private_schema(*, facts: bool) -> Iterator[str]:
    """All but the facts, or with them, as empty temporary tables of one connection, without guards.

    By their names they stand before the store's own, so that every statement works on them as it is.
    """
    for name in ("schema.sql", "coordination.sql", "derived.sql") if facts else ("coordination.sql", "derived.sql"):
        for statement in statements(name):
            yield statement.replace("CREATE TABLE ", "CREATE TEMP TABLE ").replace("CREATE VIEW ", "CREATE TEMP VIEW ")


def fetched_schema() -> Iterator[str]:
    """The tables that rows of a store on a server are fetched into: facts with indexes, what is derived without."""
    yield from kept_tables()
    for statement in derived_tables():
        if _TABLE.search(statement):
            yield statement


def tables_of(*names: str) -> tuple[str, ...]:
    """The tables that these files of the schema make, in their order."""
    return tuple(table for name in names for table in _TABLE.findall((_HERE / name).read_text(encoding="utf-8")))


def made_of_facts() -> set[str]:
    """The names of all tables, indexes and views that can be made again from the facts."""
    text = "\n".join((_HERE / name).read_text(encoding="utf-8") for name in ("derived.sql", "views.sql"))
    return set(_OBJECT.findall(text))


def is_derived(table: str) -> bool:
    """Whether a table of ours can be derived anew, or is one to work with; a handler may have tables of its own."""
    return table in tables_of("derived.sql", "projection_temp_tables.sql")


def work_tables() -> Iterator[str]:
    """The temporary tables that a connection needs to fold."""
    yield from statements("projection_temp_tables.sql")


def statements(name: str) -> Iterator[str]:
    """The statements of one of the files beside this one."""
    from sqlite3 import complete_statement

    statement = ""
    for line in (_HERE / name).read_text(encoding="utf-8").splitlines(keepends=True):
        statement += line
        if complete_statement(statement):
            yield statement.strip()
            statement = ""


@cache
def columns_and_keys(table: str) -> tuple[list[str], list[str]]:
    """The columns of a table as it should be, and those of its primary key, in its order; on every engine."""
    import sqlite3

    db = sqlite3.connect(":memory:")
    try:
        for statement in whole_schema():
            db.execute(statement)
        info = db.execute(f"PRAGMA table_info({table})").fetchall()
    finally:
        db.close()
    return [row[1] for row in info], [row[1] for row in sorted(info, key=lambda row: row[5]) if row[5]]
