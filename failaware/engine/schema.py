"""The schema as statements: facts, what is derived from them, the guards; also as private tables beside a store."""

import re
from collections.abc import Iterator
from pathlib import Path

from failaware.engine.guards import guard_statements
from failaware.engine.sql import retries

_HERE = Path(__file__).parent
_ISO = re.compile(r"\bISO\(([\w.]+)\)")
_RETRIES = re.compile(r"\bRETRIES\(([\w.]+)\)")
_TABLE = re.compile(r"^CREATE TABLE (\w+)", re.MULTILINE)
_FRACTION = r"(\1 % 1000000 + 1000000) % 1000000"
_SQLITE_ISO = (
    rf"strftime('%Y-%m-%dT%H:%M:%S', (\1 - {_FRACTION}) / 1000000, 'unixepoch') || printf('.%06dZ', {_FRACTION})"
)


def whole_schema() -> Iterator[str]:
    """Everything that a store has, in the order in which it is made."""
    yield from tables()
    yield from views(_SQLITE_ISO)
    yield from guard_statements()


def tables() -> Iterator[str]:
    """The tables with their indexes, and the views that our own statements read."""
    for name in ("schema.sql", "working.sql", "derived.sql"):
        yield from _statements(name)


def views(iso: str) -> Iterator[str]:
    r"""The views for people; `iso` is SQL that writes the time `\1` (µs) as ISO 8601."""
    for statement in _statements("views.sql"):
        yield _RETRIES.sub(lambda found: retries(found[1]), _ISO.sub(iso, statement))


def private_schema(*, facts: bool) -> Iterator[str]:
    """All but the facts, or with them, as empty temporary tables of one connection, without guards.

    By their names they stand before the store's own, so that every statement works on them as it is.
    """
    for name in ("schema.sql", "working.sql", "derived.sql") if facts else ("working.sql", "derived.sql"):
        for statement in _statements(name):
            yield statement.replace("CREATE TABLE ", "CREATE TEMP TABLE ").replace("CREATE VIEW ", "CREATE TEMP VIEW ")


def tables_of(*names: str) -> tuple[str, ...]:
    """The tables that these files of the schema make, in their order."""
    return tuple(table for name in names for table in _TABLE.findall((_HERE / name).read_text(encoding="utf-8")))


def work_tables() -> Iterator[str]:
    """The temporary tables that a connection needs to fold."""
    yield from _statements("work.sql")


def _statements(name: str) -> Iterator[str]:
    from sqlite3 import complete_statement

    statement = ""
    for line in (_HERE / name).read_text(encoding="utf-8").splitlines(keepends=True):
        statement += line
        if complete_statement(statement):
            yield statement.strip()
            statement = ""
