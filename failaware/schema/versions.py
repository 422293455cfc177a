"""Schema versions, the same on every engine, and the migration of a store that an older version of failaware made.

A new store gets the current schema. An older store keeps its facts: the missing steps change the fact tables; derived
tables, views and guards are dropped before the steps and created again after them. This happens in one transaction,
which ends by deriving everything again.
"""

from collections.abc import Iterator
from typing import NamedTuple

from failaware.errors import StoreNewer, StoreOlder
from failaware.schema.ddl import tables_of, view_names

_ERASURE_COLUMNS = "erasure_id, decision_id, of_table, row_id, digest, cluster_id"
_ERASURE_LOG = """CREATE TABLE {name} (
  erasure_id  INTEGER PRIMARY KEY,
  decision_id INTEGER NOT NULL,
  of_table    TEXT NOT NULL CHECK (of_table IN ('event_log', 'attempt_log', 'traceback_log'{more})),
  row_id      INTEGER NOT NULL,
  digest      TEXT NOT NULL,
  cluster_id  INTEGER,
  UNIQUE (of_table, row_id)
) STRICT"""


class Step(NamedTuple):
    """A step from one version to the next: changes to the tables of facts.sql and coordination.sql, in SQLite's SQL.

    It also drops tables, views and guards that are no longer created.
    """

    name: str
    statements: tuple[str, ...]


STEPS: tuple[Step, ...] = (
    Step(
        "digest_of_an_archive_and_clusters_kept",
        (
            "ALTER TABLE archive_log ADD COLUMN digest TEXT",
            _ERASURE_LOG.format(name="older_erasure_log", more=""),
            f"INSERT INTO older_erasure_log ({_ERASURE_COLUMNS}) SELECT {_ERASURE_COLUMNS} FROM erasure_log",
            "DROP TABLE erasure_log",
            _ERASURE_LOG.format(name="erasure_log", more=", 'failure'"),
            f"INSERT INTO erasure_log ({_ERASURE_COLUMNS}) SELECT {_ERASURE_COLUMNS} FROM older_erasure_log",
            "DROP TABLE older_erasure_log",
        ),
    ),
    Step("functions_and_a_write_lock_that_need_privileges_on_postgresql", ()),
    Step("begun_leases", ("ALTER TABLE lease ADD COLUMN begun INTEGER NOT NULL DEFAULT 1",)),
    Step("retry_reason", ("ALTER TABLE attempt_log RENAME COLUMN because TO retry_reason",)),
    Step("event_ids_from_a_sequence_on_postgresql", ()),
    Step("reject_of_line", ("CREATE INDEX reject_of_line ON reject_log (line_no)",)),
    Step(
        "corrections",
        (
            """CREATE TABLE correction_log (
  correction_id INTEGER PRIMARY KEY,
  correction    TEXT NOT NULL CHECK (correction IN ('MERGE', 'SPLIT', 'UNDO')),
  cluster_id    INTEGER NOT NULL,
  into_cluster  INTEGER,
  split_by      TEXT,
  undoes        INTEGER,
  decided_by    TEXT NOT NULL,
  reason        TEXT NOT NULL,
  decided_at    INTEGER NOT NULL
) STRICT""",
        ),
    ),
    Step("version_in_a_table_and_functions_for_citus_on_postgresql", ()),
)
"""In order. Never change a released step: existing stores have already applied it."""


FORMER_TABLES = ("failure", "event_cluster", "failure_after_success")
"""Derived tables of older versions that are views now."""


def current() -> int:
    """The schema version that this failaware creates and reads."""
    return 1 + len(STEPS)


def check_not_newer(version: int, place: str) -> None:
    """Refuse a store with a newer schema.

    Raises:
        StoreNewer: a newer version of failaware wrote it.
    """
    if version > current():
        raise StoreNewer(
            f"{place} was written by a newer failaware (schema {version}, this one knows {current()}); "
            "upgrade failaware"
        )


def check_not_older(version: int, place: str) -> None:
    """Refuse to read a store with an older schema.

    Raises:
        StoreOlder: a user who may write to it has to migrate it first.
    """
    if version < current():
        raise StoreOlder(
            f"{place} is of an older failaware (schema {version}, this one reads {current()}); "
            "a user who may write to it brings it up to date with 'failaware init'"
        )


def since(version: int) -> tuple[Step, ...]:
    """The steps that a store of this version lacks."""
    return STEPS[version - 1 :]


def drop_statements() -> Iterator[str]:
    """SQL that drops the views and then the derived tables; guards depend on the engine."""
    for view in reversed(view_names()):
        yield f"DROP VIEW IF EXISTS {view}"
    for table in tables_of("derived.sql"):
        yield f"DROP TABLE IF EXISTS {table}"
