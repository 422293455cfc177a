"""Creation and migration of a SQLite file's schema. Imported only when needed: sqlite-utils is slow to load."""

import re
from collections.abc import Callable, Iterable, Mapping
from sqlite3 import Connection

from sqlite_utils import Migrations
from sqlite_utils.db import Database

from failaware.engine.derivation import Derivation, noted
from failaware.schema import versions
from failaware.schema.ddl import own_key, recreated_objects, whole_schema
from failaware.schema.guards import guard_statements

_TRIGGER = re.compile(r"CREATE TRIGGER (\w+)")


def make(connection: Connection, mark: Derivation) -> None:
    """Create the current schema, with all steps marked as applied. The caller has opened a transaction."""
    _apply(Database(connection, execute_plugins=False), {"spine": (*whole_schema(), own_key(), noted(mark))})


def bring_up_to_date(connection: Connection) -> None:
    """Apply the pending steps; the derived tables are empty afterwards. The caller has opened a transaction."""
    db = Database(connection, execute_plugins=False)
    guards = _TRIGGER.findall("\n".join(guard_statements()))
    former = (f"DROP TABLE {name}" for name in versions.FORMER_TABLES if name in db.table_names())
    _all((*former, *(f"DROP TRIGGER IF EXISTS {guard}" for guard in guards), *versions.drop_statements()))(db)
    _apply(db, {step.name: step.statements for step in versions.STEPS})
    _all(recreated_objects())(db)


def _apply(db: Database, steps: Mapping[str, Iterable[str]]) -> None:
    """Apply the pending steps and record all of them as applied."""
    migrations = Migrations("failaware")
    for name in ("spine", *(step.name for step in versions.STEPS)):
        migrations(name=name)(_all(steps.get(name, ())))
    migrations.apply(db)


def _all(statements: Iterable[str]) -> Callable[[Database], None]:
    def run(db: Database) -> None:
        for statement in statements:
            db.execute(statement)

    return run
