"""The lines of an export: for each kind of fact its columns in order, as they are written and as they are taken back.

Every line is one JSON object with `fact`, its kind. Before them stands one that says what this is, after them one that
says that it is whole. A line may refer to lines before it, never to later ones.
"""

from collections.abc import Collection
from typing import NamedTuple

FIRST = '{"failaware": "export", "version": 1}'
"""The first line of an export."""

INTEGER, TEXT, BLOB = "integer", "text", "blob"

TIMES = frozenset(
    ("occurred_at", "detected_at", "started_at", "finished_at", "retry_at", "decided_at", "rejected_at")
    + ("sealed_at", "before_at", "archived_at")
)
"""The columns that hold a time (µs)."""

VALUES = {
    ("attempt", "outcome"): ("SYNCED", "FAILED"),
    ("decision", "decision"): ("REQUEUE", "DISMISS", "ERASE"),
    ("erasure", "of_table"): ("event_log", "attempt_log", "traceback_log", "failure"),
    ("moved", "of_table"): ("event_log", "traceback_log", "attempt_log", "decision_log", "reject_log"),
}
"""Columns that hold one of a few words, by kind and name."""

DIGESTS = frozenset((("traceback", "hash"), ("erasure", "digest"), ("archive", "digest"), ("seal", "digest")))
"""Columns that hold a digest in hexadecimal, by kind and name."""

_LATER = {"archive": {"digest"}}


class Column(NamedTuple):
    """A column, and what may stand in it."""

    name: str
    kind: str = TEXT
    optional: bool = False


class Kind(NamedTuple):
    """One kind of fact: its table, whose first column is its key."""

    name: str
    table: str
    columns: tuple[Column, ...]

    @property
    def key(self) -> str:
        """The column by which its rows are counted."""
        return self.columns[0].name

    def missing_in(self, values: Collection[str]) -> set[str]:
        """The columns that an older export does not have."""
        return _LATER.get(self.name, set()).difference(values)


def _columns(words: str) -> tuple[Column, ...]:
    """Columns as words: `#` before an integer, `?` after what may be null."""
    return tuple(
        Column(word.strip("#?"), INTEGER if word.startswith("#") else TEXT, word.endswith("?"))
        for word in words.split()
    )


SETTING = Kind("setting", "setting", _columns("name value"))
"""No fact: the policy and the grouping rules that the facts are derived by."""

EVENT = Kind(
    "event",
    "event_log",
    _columns("#event_id event_type source? event_payload #occurred_at #detected_at fingerprint? key?"),
)
"""Its key is a table of its own; its payload is the raw JSON, as it stands in the line."""

SEAL = Kind(
    "seal",
    "seal_log",
    (*_columns("#seal_id of_table #first_id #last_id #sealed_at digest"), Column("facts", BLOB)),
)

ARCHIVE = Kind(
    "archive", "archive_log", _columns("#archive_id name #events #before_at archived_by reason #archived_at digest?")
)

MOVED = Kind("moved", "moved_log", _columns("#moved_id #archive_id of_table #first_id #last_id"))

FACT_KINDS = (
    EVENT,
    Kind("traceback", "traceback_log", _columns("#traceback_id hash text")),
    Kind(
        "decision",
        "decision_log",
        _columns("#decision_id #event_id decision #after_attempt decided_by reason #decided_at"),
    ),
    Kind("erasure", "erasure_log", _columns("#erasure_id #decision_id of_table #row_id digest #cluster_id?")),
    Kind(
        "attempt",
        "attempt_log",
        _columns(
            "#attempt_id #event_id #attempt_no outcome error_type? error_message? #traceback? worker #started_at "
            "#finished_at #retry_at? because? cause? fingerprint?"
        ),
    ),
    Kind("reject", "reject_log", _columns("#reject_id origin #line_no raw error #rejected_at")),
    ARCHIVE,
    MOVED,
    SEAL,
)
KINDS = (SETTING, *FACT_KINDS)
"""In the order in which they stand in an export."""
