"""The fact catalogue: tables and columns, from which guards, privileges, exports, seals and archives are generated.

It describes what facts.sql creates; a test compares the two on both engines. See "A column of a fact" in
docs/architecture.md.
"""

from typing import NamedTuple

ERASED = "[erased]"
"""Replaces an erased text; in a payload, as a JSON string."""

ID = "id"  # a row's number, from 1
NUMBER = "number"  # from 0
TIME = "time"  # µs
CLUSTER = "cluster"  # a cluster's id, any 64 bits
TEXT = "text"
NAME = "name"  # a printable text of limited length
DIGEST = "digest"  # in hexadecimal
BLOB = "blob"

_SQL_TYPES = {ID: "INTEGER", NUMBER: "INTEGER", TIME: "INTEGER", CLUSTER: "INTEGER", BLOB: "BLOB"}


class Column(NamedTuple):
    """A column of a fact.

    `words` are the only values allowed in a text, and additional values allowed in a digest. `text`: a seal covers it
    by a digest under the store's key, so a short text cannot be guessed from it. `mark` replaces it when the fact is
    erased; "" if it is not erasable. `added`: after the first version; older facts have null, which no seal covers.
    `table` is the table that holds it, if not the fact's own.
    """

    name: str
    type: str = TEXT
    nullable: bool = False
    words: tuple[str, ...] = ()
    text: bool = False
    mark: str = ""
    added: bool = False
    table: str = ""

    @property
    def sql_type(self) -> str:
        """Its type in facts.sql."""
        return _SQL_TYPES.get(self.type, "TEXT")


class FactTable(NamedTuple):
    """A table of facts; the first column is its primary key.

    `name` is the name of its facts in an export; "" if they are exported with another table's. `unique` are its other
    unique keys. `archived_with` is the table whose ids in `moved_log` record that a row was archived; "" if rows are
    never archived. A fact for which the SQL condition `has_text` (on the row `f`) holds has a digest of its texts even
    if all are null.
    """

    name: str
    table: str
    columns: tuple[Column, ...]
    unique: tuple[tuple[str, ...], ...] = ()
    archived_with: str = ""
    has_text: str = "false"

    @property
    def key(self) -> str:
        """The primary key."""
        return self.columns[0].name

    @property
    def number(self) -> str:
        """The column whose values only increase."""
        return next(column.name for column in self.columns if column.type == ID)

    @property
    def column_names(self) -> list[str]:
        """The columns of the table itself."""
        return [column.name for column in self.columns if not column.table]

    @property
    def marks(self) -> dict[str, str]:
        """The replacement for each erasable text, by column."""
        return {column.name: column.mark for column in self.columns if column.mark}

    @property
    def source(self) -> str:
        """SQL: the table as `f`, joined with the tables that hold its other columns."""
        others = dict.fromkeys(column.table for column in self.columns if column.table)
        return " ".join(
            (f"{self.table} f", *(f"LEFT JOIN {other} ON {other}.{self.key} = f.{self.key}" for other in others))
        )


def selected(column: Column) -> str:
    """SQL for a column of `FactTable.source`."""
    return f"{column.table or 'f'}.{column.name}"


EVENT = FactTable(
    "event",
    "event_log",
    (
        Column("event_id", ID),
        Column("event_type", NAME),
        Column("source", NAME, nullable=True),
        Column("event_payload", text=True, mark=f'"{ERASED}"'),
        Column("occurred_at", TIME),
        Column("detected_at", TIME),
        Column("fingerprint", nullable=True),
        Column("key", NAME, nullable=True, table="event_key"),
    ),
    archived_with="event_log",
)

EVENT_KEY = FactTable(
    "", "event_key", (Column("key", NAME), Column("event_id", ID)), unique=(("event_id",),), archived_with="event_log"
)

TRACEBACK = FactTable(
    "traceback",
    "traceback_log",
    (Column("traceback_id", ID), Column("hash", DIGEST), Column("text", text=True, mark=ERASED)),
    unique=(("hash",),),
    archived_with="traceback_log",
)

ATTEMPT = FactTable(
    "attempt",
    "attempt_log",
    (
        Column("attempt_id", ID),
        Column("event_id", ID),
        Column("attempt_no", NUMBER),
        Column("outcome", words=("SYNCED", "FAILED")),
        Column("error_type", nullable=True),
        Column("error_message", nullable=True, text=True, mark=ERASED),
        Column("traceback", ID, nullable=True),
        Column("worker"),
        Column("started_at", TIME),
        Column("finished_at", TIME),
        Column("retry_at", TIME, nullable=True),
        Column("retry_reason", nullable=True),
        Column("cause", nullable=True, text=True, mark=ERASED),
        Column("fingerprint", nullable=True, text=True, mark=ERASED),
    ),
    unique=(("event_id", "attempt_no"),),
    archived_with="attempt_log",
    has_text="f.outcome = 'FAILED'",
)

DECISION = FactTable(
    "decision",
    "decision_log",
    (
        Column("decision_id", ID),
        Column("event_id", ID),
        Column("decision", words=("REQUEUE", "DISMISS", "ERASE")),
        Column("after_attempt", NUMBER),
        Column("decided_by"),
        Column("reason"),
        Column("decided_at", TIME),
    ),
    archived_with="decision_log",
)

REJECT = FactTable(
    "reject",
    "reject_log",
    (
        Column("reject_id", ID),
        Column("origin"),
        Column("line_no", NUMBER),
        Column("raw", text=True),
        Column("error"),
        Column("rejected_at", TIME),
    ),
    archived_with="reject_log",
)

ERASURE = FactTable(
    "erasure",
    "erasure_log",
    (
        Column("erasure_id", ID),
        Column("decision_id", ID),
        Column("of_table", words=("event_log", "attempt_log", "traceback_log", "failure")),
        Column("row_id", ID),
        Column("digest", DIGEST, words=("",)),
        Column("cluster_id", CLUSTER, nullable=True),
    ),
    unique=(("of_table", "row_id"),),
)

CORRECTION = FactTable(
    "correction",
    "correction_log",
    (
        Column("correction_id", ID),
        Column("correction", words=("MERGE", "SPLIT", "UNDO")),
        Column("cluster_id", CLUSTER),
        Column("into_cluster", CLUSTER, nullable=True),
        Column("split_by", nullable=True),
        Column("undoes", ID, nullable=True),
        Column("decided_by"),
        Column("reason"),
        Column("decided_at", TIME),
    ),
)

ARCHIVE = FactTable(
    "archive",
    "archive_log",
    (
        Column("archive_id", ID),
        Column("name"),
        Column("events", NUMBER),
        Column("before_at", TIME),
        Column("archived_by"),
        Column("reason"),
        Column("archived_at", TIME),
        Column("digest", DIGEST, nullable=True, text=True, added=True),
    ),
)

ARCHIVED = FactTable(
    "moved",
    "moved_log",
    (
        Column("moved_id", ID),
        Column("archive_id", ID),
        Column("of_table", words=("event_log", "traceback_log", "attempt_log", "decision_log", "reject_log")),
        Column("first_id", ID),
        Column("last_id", ID),
    ),
    unique=(("of_table", "first_id"),),
)

SEAL = FactTable(
    "seal",
    "seal_log",
    (
        Column("seal_id", ID),
        Column("of_table"),
        Column("first_id", ID),
        Column("last_id", ID),
        Column("sealed_at", TIME),
        Column("digest", DIGEST),
        Column("facts", BLOB),
    ),
)

SETTING = FactTable("setting", "setting", (Column("name"), Column("value")))
"""Not a fact table: the policy and the grouping rules used to derive, and the key of the digests."""

SEALED = (EVENT, TRACEBACK, ATTEMPT, DECISION, REJECT, ERASURE, ARCHIVE, ARCHIVED, CORRECTION)
"""The sealed tables, in sealing order; the key of an event is sealed with it."""

FACTS = {facts.table: facts for facts in (EVENT, EVENT_KEY, *SEALED[1:], SEAL)}
"""Each fact table by its name."""

EXPORTED = (EVENT, TRACEBACK, DECISION, ERASURE, CORRECTION, ATTEMPT, REJECT, ARCHIVE, ARCHIVED, SEAL)
"""In export order: a fact refers only to facts before it."""
