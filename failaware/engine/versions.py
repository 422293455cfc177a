"""The schema's versions, the same on every engine, and how a store that an older failaware made gets to today's.

A new store is made as it is today. An older one keeps its facts: the steps that it lacks change their tables, and all
else, what is derived, the views and the guards, is taken away before them and made anew after them. All of it happens
in one transaction, at whose end everything is derived again.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from failaware.engine.schema import statements, tables_of
from failaware.errors import StoreNewer, StoreOlder

_VIEW = re.compile(r"^CREATE VIEW (\w+)", re.MULTILINE)


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
    """From one version to the next: what changes in the tables of schema.sql and coordination.sql, in SQLite's words.

    A table, view or guard that is no longer made is dropped here as well.
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
)
"""In their order. Never change one that was released: stores have been through it."""


def current() -> int:
    """The version that this failaware makes and understands."""
    return 1 + len(STEPS)


def check_not_newer(version: int, place: str) -> None:
    """Refuse what we do not know.

    Raises:
        StoreNewer: a newer failaware wrote it.
    """
    if version > current():
        raise StoreNewer(
            f"{place} was written by a newer failaware (schema {version}, this one knows {current()}); "
            "upgrade failaware"
        )


def check_not_older(version: int, place: str) -> None:
    """Refuse, to a reader, a store that is not as our statements know it.

    Raises:
        StoreOlder: it has to be brought up to date by someone who may write to it.
    """
    if version < current():
        raise StoreOlder(
            f"{place} is of an older failaware (schema {version}, this one reads {current()}); "
            "whoever may write to it brings it up to date with 'failaware init'"
        )


def since(version: int) -> tuple[Step, ...]:
    """The steps that a store of this version lacks."""
    return STEPS[version - 1 :]


def taken_away() -> Iterator[str]:
    """Drop what can be made anew, but for the guards: the views, then what is derived."""
    views = _VIEW.findall("\n".join((*statements("derived.sql"), *statements("views.sql"))))
    for view in reversed(views):
        yield f"DROP VIEW IF EXISTS {view}"
    for table in tables_of("derived.sql"):
        yield f"DROP TABLE IF EXISTS {table}"
