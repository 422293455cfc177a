"""The schema as statements: facts, what is derived from them, the guards; also as private tables beside a store."""

from collections.abc import Iterator
from pathlib import Path

from failaware.engine.guards import guard_statements

_HERE = Path(__file__).parent


def whole_schema() -> Iterator[str]:
    """Everything that a store has, in the order in which it is made."""
    yield from tables_and_views()
    yield from guard_statements()


def tables_and_views() -> Iterator[str]:
    """All but the guards."""
    for name in ("schema.sql", "working.sql", "derived.sql"):
        yield from _statements(name)


def private_schema(*, facts: bool) -> Iterator[str]:
    """All but the facts, or with them, as empty temporary tables of one connection, without guards.

    By their names they stand before the store's own, so that every statement works on them as it is.
    """
    for name in ("schema.sql", "working.sql", "derived.sql") if facts else ("working.sql", "derived.sql"):
        for statement in _statements(name):
            yield statement.replace("CREATE TABLE ", "CREATE TEMP TABLE ").replace("CREATE VIEW ", "CREATE TEMP VIEW ")


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
