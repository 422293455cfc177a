"""Append-only guards: triggers that refuse to change, replace or delete a fact, for every client.

There are two exceptions, each allowed by a fact that records a person's decision. Erasure: a text may be replaced by
ERASED if `erasure_log` lists the row. Archiving: a fact may be deleted if `moved_log` lists it.
"""

from collections.abc import Iterator
from typing import NamedTuple

from failaware.schema.catalogue import FACTS, FactTable

REFUSES = "failaware: facts are append-only, {table} refuses {what}"
"""The error message of a trigger."""


class Requirement(NamedTuple):
    """A fact that requires another fact: its table, the requirement in words, and in SQL on the row NEW."""

    table: str
    requirement: str
    condition: str


REQUIREMENTS = (
    Requirement(
        "erasure_log",
        "an ERASE decision about its event",
        "SELECT 1 FROM {schema}decision_log d WHERE d.decision_id = NEW.decision_id AND d.decision = 'ERASE' "
        "AND (NEW.of_table <> 'event_log' OR NEW.row_id = d.event_id)",
    ),
    Requirement("moved_log", "an archive", "SELECT 1 FROM {schema}archive_log a WHERE a.archive_id = NEW.archive_id"),
)
"""Facts that allow removal require a person's decision. `{schema}` is the tables' schema with its dot."""


def guard_statements() -> Iterator[str]:
    """Yield the triggers. INSERT OR REPLACE deletes without firing a DELETE trigger, so existing keys are refused.

    With a foreign unique index it can also delete a row whose key differs. Therefore ids must exceed the largest one:
    a row deleted that way cannot be inserted again, and `verify` finds the gap. NEW has -1 for an id that is not given.
    """
    for table, facts in FACTS.items():
        unless_of = {
            "UPDATE": f"WHEN NOT ({is_erasure(facts)}) " if facts.marks else "",
            "DELETE": f"WHEN NOT ({is_archived(facts)}) " if facts.archived_with else "",
        }
        for verb, unless in unless_of.items():
            message = REFUSES.format(table=table, what=verb)
            yield (
                f"CREATE TRIGGER {table}_refuses_{verb.lower()} BEFORE {verb} ON {table} {unless}"
                f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
            )
        taken = " OR ".join(
            f"EXISTS (SELECT 1 FROM {table} WHERE ({', '.join(key)}) = ({', '.join(f'NEW.{name}' for name in key)}))"
            for key in ((facts.key,), *facts.unique)
        )
        message, number = REFUSES.format(table=table, what="to replace a row"), facts.number
        passed = f"(NEW.{number} <> -1 AND NEW.{number} <= (SELECT max({number}) FROM {table}))"
        yield (
            f"CREATE TRIGGER {table}_refuses_replace BEFORE INSERT ON {table} WHEN {passed} OR {taken} "
            f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )
    for table, requirement, condition in REQUIREMENTS:
        message = REFUSES.format(table=table, what=f"a row without {requirement}")
        yield (
            f"CREATE TRIGGER {table}_is_founded BEFORE INSERT ON {table} "
            f"WHEN NOT EXISTS ({condition.format(schema='')}) BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )


def is_archived(facts: FactTable, schema: str = "") -> str:
    """SQL: the row OLD was archived; `schema` is the schema of `moved_log` with its dot."""
    key = FACTS[facts.archived_with].key
    return (
        f"coalesce((SELECT m.last_id FROM {schema}moved_log m WHERE m.of_table = '{facts.archived_with}' "
        f"AND m.first_id <= OLD.{key} ORDER BY m.first_id DESC LIMIT 1), 0) >= OLD.{key}"
    )


def is_erasure(facts: FactTable, schema: str = "", same: str = "IS") -> str:
    """SQL: between OLD and NEW only erasable texts change, each to its mark, in a row that `erasure_log` lists.

    `schema` is the schema of `erasure_log` with its dot; `same` is the null-safe equality operator.
    """
    unchanged = [f"NEW.{name} {same} OLD.{name}" for name in facts.column_names if name not in facts.marks]
    erased = [f"(NEW.{name} {same} OLD.{name} OR NEW.{name} = '{mark}')" for name, mark in facts.marks.items()]
    listed = f"SELECT 1 FROM {schema}erasure_log x WHERE x.of_table = '{facts.table}' AND x.row_id = OLD.{facts.key}"
    return " AND ".join([*unchanged, *erased, f"EXISTS ({listed})"])
