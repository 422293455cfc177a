"""The schema's history. Imported only when a store has to be made or brought up to date (sqlite-utils is heavy)."""

from pathlib import Path
from sqlite3 import Connection
from typing import TYPE_CHECKING

from sqlite_utils import Migrations
from sqlite_utils.db import Database

from failaware.engine.guards import guard_statements

if TYPE_CHECKING:
    from collections.abc import Iterator

_HERE = Path(__file__).parent
migrations = Migrations("failaware")


@migrations()
def spine(db: Database) -> None:
    """Version 1: the facts with their guards, and what is derived from them."""
    for text in (_file("schema.sql"), _file("derived.sql")):
        for statement in statements(text):
            db.execute(statement)
    for statement in guard_statements():
        db.execute(statement)


def migrate(connection: Connection) -> None:
    """Apply what is pending, inside the transaction that the caller has opened."""
    migrations.apply(Database(connection, execute_plugins=False))


def statements(text: str) -> "Iterator[str]":
    """Split a schema file into its statements."""
    from sqlite3 import complete_statement

    statement = ""
    for line in text.splitlines(keepends=True):
        statement += line
        if complete_statement(statement):
            yield statement.strip()
            statement = ""


def _file(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
