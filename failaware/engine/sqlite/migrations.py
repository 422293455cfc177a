"""A SQLite file's schema made, or brought up to date. Imported only for that: sqlite-utils is heavy."""

import re
from collections.abc import Callable, Iterable, Mapping
from sqlite3 import Connection

from sqlite_utils import Migrations
from sqlite_utils.db import Database

from failaware.engine import versions
from failaware.engine.derivation import Derivation, noted
from failaware.engine.guards import guard_statements
from failaware.engine.schema import own_key, recreated_objects, whole_schema

_TRIGGER = re.compile(r"CREATE TRIGGER (\w+)")


def make(connection: Connection, mark: Derivation) -> None:
    """Make the schema as it is today, after which no step is left to take. The caller has opened a transaction."""
    _take(Database(connection, execute_plugins=False), {"spine": (*whole_schema(), own_key(), noted(mark))})


def bring_up_to_date(connection: Connection) -> None:
    """Take the steps that are pending; then nothing is derived yet. The caller has opened a transaction."""
    db = Database(connection, execute_plugins=False)
    guards = _TRIGGER.findall("\n".join(guard_statements()))
    _all((*(f"DROP TRIGGER IF EXISTS {guard}" for guard in guards), *versions.drop_statements()))(db)
    _take(db, {step.name: step.statements for step in versions.STEPS})
    _all(recreated_objects())(db)


def _take(db: Database, steps: Mapping[str, Iterable[str]]) -> None:
    """Take those of the steps that were not taken, and note all."""
    migrations = Migrations("failaware")
    for name in ("spine", *(step.name for step in versions.STEPS)):
        migrations(name=name)(_all(steps.get(name, ())))
    migrations.apply(db)


def _all(statements: Iterable[str]) -> Callable[[Database], None]:
    def run(db: Database) -> None:
        for statement in statements:
            db.execute(statement)

    return run
