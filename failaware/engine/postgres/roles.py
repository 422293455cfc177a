"""Who may do what in a store on PostgreSQL: the roles that its users are given, and the privileges of each.

The writer may append facts, put a mark in place of an erasable text, and change what is derived; the reader may only
read, and make temporary tables, in which the past is derived. Neither owns a table: neither can take off a guard.
"""

from collections.abc import Iterator

import psycopg

from failaware.engine.guards import FACTS
from failaware.engine.postgres.errors import in_our_words
from failaware.engine.postgres.place import parse
from failaware.engine.schema import tables_of

CHANGEABLE = tables_of("derived.sql", "working.sql")
"""What is derived, and what is for coordination only."""


def names(schema: str) -> tuple[str, str]:
    """The writer's role and the reader's."""
    return f"{schema}_writer", f"{schema}_reader"


def statements(schema: str) -> Iterator[str]:
    """SQL that makes the roles, or brings their privileges up to date."""
    writer, reader = names(schema)
    both = f"{writer}, {reader}"
    for role in (writer, reader):
        missing = f"NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '{role}')"
        yield f"DO $$BEGIN IF {missing} THEN CREATE ROLE {role} NOLOGIN; END IF; END$$"
    temporary = f"format('GRANT TEMPORARY ON DATABASE %I TO {both}', current_database())"
    yield f"DO $$BEGIN EXECUTE {temporary}; END$$"
    yield f"GRANT USAGE ON SCHEMA {schema} TO {both}"
    yield from _privileges(schema)


def privileges_of_those_there(schema: str) -> Iterator[str]:
    """SQL that gives the roles their privileges on tables that were made anew, where there are such roles."""
    writer, _ = names(schema)
    granted = "; ".join(_privileges(schema))
    yield f"DO $$BEGIN IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '{writer}') THEN {granted}; END IF; END$$"


def _privileges(schema: str) -> Iterator[str]:
    writer, reader = names(schema)
    yield f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {writer}, {reader}"
    for table, guarded in FACTS.items():
        yield f"GRANT INSERT ON {schema}.{table} TO {writer}"
        if guarded.erasable:
            yield f"GRANT UPDATE ({', '.join(guarded.erasable)}) ON {schema}.{table} TO {writer}"
    for table in CHANGEABLE:
        yield f"GRANT INSERT, UPDATE, DELETE ON {schema}.{table} TO {writer}"


def script(url: str) -> str:
    """The SQL, for whoever may run it."""
    return "".join(f"{sql};\n" for sql in statements(parse(url).schema))


def create(url: str) -> tuple[str, str]:
    """Make the roles of a store that exists; returns the writer's and the reader's name.

    Raises:
        StoreError: this user may not make roles; the message says what to do.
    """
    place = parse(url)
    with in_our_words(place.shown), psycopg.connect(place.conninfo) as db:
        for sql in statements(place.schema):
            db.execute(sql.encode())
    return names(place.schema)
