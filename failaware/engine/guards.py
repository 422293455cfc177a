"""Append-only, by the database itself: triggers that refuse to change or replace a fact, whoever the client is.

There are two exceptions, both a person's decision that is a fact itself. An erasure: a text may be replaced by ERASED
once `erasure_log` says so. An archive: a fact may be deleted once `moved_log` says into which file it was moved.
"""

from collections.abc import Iterator
from typing import NamedTuple

from failaware.engine.catalogue import FACTS, FactTable

REFUSES = "failaware: facts are append-only, {table} refuses {what}"
"""What the database says."""


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
    for table, facts in FACTS.items():
        unless_of = {
            "UPDATE": f"WHEN NOT ({is_erasure(facts)}) " if facts.marks else "",
            "DELETE": f"WHEN NOT ({is_moved(facts)}) " if facts.archived_with else "",
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
    for table, what, found in FOUNDED:
        message = REFUSES.format(table=table, what=f"a row without {what}")
        yield (
            f"CREATE TRIGGER {table}_is_founded BEFORE INSERT ON {table} WHEN NOT EXISTS ({found.format(schema='')}) "
            f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )


def is_moved(facts: FactTable, schema: str = "") -> str:
    """SQL: the row OLD was moved to an archive; `schema` is where `moved_log` is, with its dot."""
    key = FACTS[facts.archived_with].key
    return (
        f"coalesce((SELECT m.last_id FROM {schema}moved_log m WHERE m.of_table = '{facts.archived_with}' "
        f"AND m.first_id <= OLD.{key} ORDER BY m.first_id DESC LIMIT 1), 0) >= OLD.{key}"
    )


def is_erasure(facts: FactTable, schema: str = "", same: str = "IS") -> str:
    """SQL: from OLD to NEW only erasable texts change, each to its mark, in a row that `erasure_log` names.

    `schema` is where that is, with its dot; `same` is the operator that compares nulls as well.
    """
    kept = [f"NEW.{name} {same} OLD.{name}" for name in facts.column_names if name not in facts.marks]
    erased = [f"(NEW.{name} {same} OLD.{name} OR NEW.{name} = '{mark}')" for name, mark in facts.marks.items()]
    known = f"SELECT 1 FROM {schema}erasure_log x WHERE x.of_table = '{facts.table}' AND x.row_id = OLD.{facts.key}"
    return " AND ".join([*kept, *erased, f"EXISTS ({known})"])
