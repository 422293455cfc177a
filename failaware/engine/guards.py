"""Append-only, by the database itself: triggers that refuse to change or replace a fact, whoever the client is.

There are two exceptions, both a person's decision that is a fact itself. An erasure: a text may be replaced by ERASED
once `erasure_log` says so. An archive: a fact may be deleted once `moved_log` says into which file it was moved.
"""

from collections.abc import Iterator
from typing import NamedTuple

ERASED = "[erased]"
"""Stands where a text was removed; in a payload as a JSON string."""

REFUSES = "failaware: facts are append-only, {table} refuses {what}"
"""What the database says."""


class Guarded(NamedTuple):
    """A fact table: its unique keys, all other columns, and what of them may be erased, and what then stands there."""

    keys: tuple[str, ...]
    columns: tuple[str, ...]
    erasable: dict[str, str]
    counted_by: str = ""
    """The key whose values only go up, where it is not the first."""
    moved_with: tuple[str, str] = ("", "")
    """The table and its key by which `moved_log` knows what may be moved; empty where nothing is."""


FACTS = {
    "event_log": Guarded(
        ("event_id",),
        ("event_type", "source", "event_payload", "occurred_at", "detected_at", "fingerprint"),
        {"event_payload": f'"{ERASED}"'},
        moved_with=("event_log", "event_id"),
    ),
    "event_key": Guarded(("key", "event_id"), (), {}, "event_id", ("event_log", "event_id")),
    "traceback_log": Guarded(
        ("traceback_id", "hash"), ("text",), {"text": ERASED}, moved_with=("traceback_log", "traceback_id")
    ),
    "attempt_log": Guarded(
        ("attempt_id", "event_id, attempt_no"),
        ("outcome", "error_type", "error_message", "traceback", "worker", "started_at", "finished_at")
        + ("retry_at", "because", "cause", "fingerprint"),
        {"error_message": ERASED, "cause": ERASED, "fingerprint": ERASED},
        moved_with=("attempt_log", "attempt_id"),
    ),
    "decision_log": Guarded(("decision_id",), (), {}, moved_with=("decision_log", "decision_id")),
    "reject_log": Guarded(("reject_id",), (), {}, moved_with=("reject_log", "reject_id")),
    "erasure_log": Guarded(("erasure_id", "of_table, row_id"), (), {}),
    "archive_log": Guarded(("archive_id",), (), {}),
    "moved_log": Guarded(("moved_id", "of_table, first_id"), (), {}),
    "seal_log": Guarded(("seal_id",), (), {}),
}
"""Each fact table. The other columns are named only where some can be erased."""


class Founded(NamedTuple):
    """A fact that needs another one first: its table, what it needs in words, and as SQL about the row NEW."""

    table: str
    what: str
    found: str


FOUNDED = (
    Founded(
        "erasure_log",
        "an ERASE decision about its event",
        "SELECT 1 FROM {schema}decision_log d WHERE d.decision_id = NEW.decision_id AND d.decision = 'ERASE' "
        "AND (NEW.of_table <> 'event_log' OR NEW.row_id = d.event_id)",
    ),
    Founded("moved_log", "an archive", "SELECT 1 FROM {schema}archive_log a WHERE a.archive_id = NEW.archive_id"),
)
"""What takes facts away is founded on a person's decision. `{schema}` is where the tables are, with its dot."""


def guard_statements() -> Iterator[str]:
    """The triggers. INSERT OR REPLACE deletes without firing a DELETE trigger, so a taken key is refused as well.

    A unique index that somebody adds makes it delete a row whose key is not taken. So no number is taken that is not
    beyond the last: what was deleted so stays missing, which `verify` finds. SQLite says -1 where none is given.
    """
    for table, guarded in FACTS.items():
        unless_of = {
            "UPDATE": f"WHEN NOT ({is_erasure(table, guarded)}) " if guarded.erasable else "",
            "DELETE": f"WHEN NOT ({is_moved(guarded)}) " if guarded.moved_with[0] else "",
        }
        for verb, unless in unless_of.items():
            message = REFUSES.format(table=table, what=verb)
            yield (
                f"CREATE TRIGGER {table}_refuses_{verb.lower()} BEFORE {verb} ON {table} {unless}"
                f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
            )
        taken = " OR ".join(f"EXISTS (SELECT 1 FROM {table} WHERE ({key}) = ({_new(key)}))" for key in guarded.keys)
        message, number = REFUSES.format(table=table, what="to replace a row"), guarded.counted_by or guarded.keys[0]
        passed = f"(NEW.{number} <> -1 AND NEW.{number} <= (SELECT max({number}) FROM {table}))"
        yield (
            f"CREATE TRIGGER {table}_refuses_replace BEFORE INSERT ON {table} WHEN {passed} OR {taken} "
            f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )
    for table, what, found in FOUNDED:
        message = REFUSES.format(table=table, what=f"a row without {what}")
        yield (
            f"CREATE TRIGGER {table}_is_founded BEFORE INSERT ON {table} WHEN NOT EXISTS ({found.format(schema='')}) "
            f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )


def is_moved(guarded: Guarded, schema: str = "") -> str:
    """SQL: the row OLD was moved to an archive; `schema` is where `moved_log` is, with its dot."""
    table, key = guarded.moved_with
    return (
        f"coalesce((SELECT m.last_id FROM {schema}moved_log m WHERE m.of_table = '{table}' "
        f"AND m.first_id <= OLD.{key} ORDER BY m.first_id DESC LIMIT 1), 0) >= OLD.{key}"
    )


def is_erasure(table: str, guarded: Guarded, schema: str = "", same: str = "IS") -> str:
    """SQL: from OLD to NEW only erasable texts change, each to its mark, in a row that `erasure_log` names.

    `schema` is where that is, with its dot; `same` is the operator that compares nulls as well.
    """
    names = [column.strip() for key in guarded.keys for column in key.split(",")]
    kept = [f"NEW.{name} {same} OLD.{name}" for name in (*names, *guarded.columns) if name not in guarded.erasable]
    erased = [f"(NEW.{name} {same} OLD.{name} OR NEW.{name} = '{mark}')" for name, mark in guarded.erasable.items()]
    known = f"SELECT 1 FROM {schema}erasure_log x WHERE x.of_table = '{table}' AND x.row_id = OLD.{names[0]}"
    return " AND ".join([*kept, *erased, f"EXISTS ({known})"])


def _new(key: str) -> str:
    return ", ".join(f"NEW.{column.strip()}" for column in key.split(","))
