"""Append-only, by the database itself: triggers that refuse to change or replace a fact, whoever the client is.

The one exception is an erasure: a text may be replaced by ERASED once `erasure_log` says so, and that needs a person's
ERASE decision first.
"""

from collections.abc import Iterator
from typing import NamedTuple

ERASED = "[erased]"
"""Stands where a text was removed; in a payload as a JSON string."""


class Guarded(NamedTuple):
    """A fact table: its unique keys, all other columns, and what of them may be erased, and what then stands there."""

    keys: tuple[str, ...]
    columns: tuple[str, ...]
    erasable: dict[str, str]


FACTS = {
    "event_log": Guarded(
        ("event_id",),
        ("event_type", "source", "event_payload", "occurred_at", "detected_at", "fingerprint"),
        {"event_payload": f'"{ERASED}"'},
    ),
    "event_key": Guarded(("key", "event_id"), (), {}),
    "traceback_log": Guarded(("traceback_id", "hash"), ("text",), {"text": ERASED}),
    "attempt_log": Guarded(
        ("attempt_id", "event_id, attempt_no"),
        ("outcome", "error_type", "error_message", "traceback", "worker", "started_at", "finished_at")
        + ("retry_at", "because", "cause", "fingerprint"),
        {"error_message": ERASED, "cause": ERASED, "fingerprint": ERASED},
    ),
    "decision_log": Guarded(("decision_id",), (), {}),
    "reject_log": Guarded(("reject_id",), (), {}),
    "erasure_log": Guarded(("erasure_id", "of_table, row_id"), (), {}),
    "seal_log": Guarded(("seal_id",), (), {}),
}
"""Each fact table. The other columns are named only where some can be erased."""


def guard_statements() -> Iterator[str]:
    """The triggers. INSERT OR REPLACE deletes without firing a DELETE trigger, so a taken key is refused as well."""
    for table, guarded in FACTS.items():
        for verb in ("UPDATE", "DELETE"):
            message = f"failaware: facts are append-only, {table} refuses {verb}"
            unless = f"WHEN NOT ({_erases(table, guarded)}) " if verb == "UPDATE" and guarded.erasable else ""
            yield (
                f"CREATE TRIGGER {table}_refuses_{verb.lower()} BEFORE {verb} ON {table} {unless}"
                f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
            )
        taken = " OR ".join(f"EXISTS (SELECT 1 FROM {table} WHERE ({key}) = ({_new(key)}))" for key in guarded.keys)
        message = f"failaware: facts are append-only, {table} refuses to replace a row"
        yield (
            f"CREATE TRIGGER {table}_refuses_replace BEFORE INSERT ON {table} WHEN {taken} "
            f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )
    message = "failaware: facts are append-only, erasure_log refuses a row without an ERASE decision"
    yield (
        "CREATE TRIGGER erasure_log_needs_a_decision BEFORE INSERT ON erasure_log WHEN NOT EXISTS "
        "(SELECT 1 FROM decision_log WHERE decision_id = NEW.decision_id AND decision = 'ERASE') "
        f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
    )


def _erases(table: str, guarded: Guarded) -> str:
    """SQL: only erasable texts change, each to its mark, in a row that erasure_log names."""
    names = [column.strip() for key in guarded.keys for column in key.split(",")]
    same = [f"NEW.{name} IS OLD.{name}" for name in (*names, *guarded.columns) if name not in guarded.erasable]
    erased = [f"(NEW.{name} IS OLD.{name} OR NEW.{name} = '{mark}')" for name, mark in guarded.erasable.items()]
    known = f"EXISTS (SELECT 1 FROM erasure_log WHERE of_table = '{table}' AND row_id = OLD.{names[0]})"
    return " AND ".join([*same, *erased, known])


def _new(key: str) -> str:
    return ", ".join(f"NEW.{column.strip()}" for column in key.split(","))
