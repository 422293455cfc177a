"""Append-only, by the database itself: triggers that refuse to change or replace a fact, whoever the client is."""

from collections.abc import Iterator

FACTS = {
    "event_log": ("event_id",),
    "event_key": ("key", "event_id"),
    "traceback_log": ("traceback_id", "hash"),
    "attempt_log": ("attempt_id", "event_id, attempt_no"),
    "decision_log": ("decision_id",),
    "reject_log": ("reject_id",),
}
"""Each fact table and its unique keys."""


def guard_statements() -> Iterator[str]:
    """The triggers. INSERT OR REPLACE deletes without firing a DELETE trigger, so a taken key is refused as well."""
    for table, keys in FACTS.items():
        for verb in ("UPDATE", "DELETE"):
            message = f"failaware: facts are append-only, {table} refuses {verb}"
            yield (
                f"CREATE TRIGGER {table}_refuses_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
            )
        taken = " OR ".join(f"EXISTS (SELECT 1 FROM {table} WHERE ({key}) = ({_new(key)}))" for key in keys)
        message = f"failaware: facts are append-only, {table} refuses to replace a row"
        yield (
            f"CREATE TRIGGER {table}_refuses_replace BEFORE INSERT ON {table} WHEN {taken} "
            f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )


def _new(key: str) -> str:
    return ", ".join(f"NEW.{column.strip()}" for column in key.split(","))
