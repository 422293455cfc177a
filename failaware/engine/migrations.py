"""The schema's history. Imported only when a store has to be made or brought up to date (sqlite-utils is heavy)."""

from sqlite3 import Connection

from sqlite_utils import Migrations
from sqlite_utils.db import Database

from failaware.engine.schema import whole_schema

migrations = Migrations("failaware")


@migrations()
def spine(db: Database) -> None:
    """Version 1: the facts with their guards, and what is derived from them."""
    for statement in whole_schema():
        db.execute(statement)


def migrate(connection: Connection) -> None:
    """Apply what is pending, inside the transaction that the caller has opened."""
    migrations.apply(Database(connection, execute_plugins=False))
