"""Access control of a store on PostgreSQL: the writer's and the reader's role, and their privileges.

The writer may append facts, replace an erasable text by a mark, and change derived tables; the reader may only read,
and create temporary tables, which `verify` needs to compare the schema. Neither role owns a table, so neither can drop
a guard.

Roles belong to the server, not to a database: a role with privileges in another database is refused, because its
members would gain access to this store.
"""

import re
from collections.abc import Iterator

import psycopg
from psycopg import errors

from failaware.engine.postgres import lock
from failaware.engine.postgres.errors import in_our_words
from failaware.engine.postgres.place import parse
from failaware.errors import StoreError, UsageError
from failaware.schema.catalogue import FACTS
from failaware.schema.ddl import tables_of, view_names

_COORDINATION = tuple(re.findall(r"CREATE TABLE (\w+)", "\n".join(lock.TABLES)))
CHANGEABLE = (*tables_of("derived.sql", "coordination.sql"), *_COORDINATION)
"""Derived tables and tables for coordination."""

_PREFIX = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,55}")  # PostgreSQL cuts a name off after 63 characters
_TAKEN = (
    "the role {role} is already there and in use by another database or store, whose users would get into this one; "
    "choose another name for the roles of this store: failaware init --roles NAME"
)
_CREATE = """DO $$BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '{role}') THEN
    CREATE ROLE {role} NOLOGIN;
  ELSIF EXISTS (
    SELECT 1 FROM pg_shdepend s JOIN pg_database d ON d.datname = current_database()
     WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = '{role}'::regrole
       AND (s.dbid NOT IN (0, d.oid) OR (s.classid = 'pg_database'::regclass AND s.objid <> d.oid))
  ) OR (
    NOT has_table_privilege('{role}', '{schema}.event_log', 'SELECT')
    AND (EXISTS (SELECT 1 FROM pg_auth_members WHERE roleid = '{role}'::regrole)
         OR EXISTS (SELECT 1 FROM pg_shdepend
                     WHERE refclassid = 'pg_authid'::regclass AND refobjid = '{role}'::regrole))
  ) THEN
    RAISE EXCEPTION '{taken}' USING ERRCODE = 'duplicate_object';
  END IF;
END$$"""
_GRANT_AGAIN = """DO $$DECLARE role record; BEGIN
  FOR role IN
    SELECT r.rolname AS name, bool_or(a.privilege_type = 'INSERT') AS writes
      FROM pg_class c CROSS JOIN aclexplode(c.relacl) a JOIN pg_roles r ON r.oid = a.grantee
     WHERE c.oid = '{schema}.event_log'::regclass AND a.grantee <> c.relowner
       AND a.privilege_type IN ('SELECT', 'INSERT') GROUP BY 1
  LOOP
    EXECUTE format('{read}', role.name);
    IF role.writes THEN EXECUTE format('{write}', role.name); END IF;
  END LOOP;
END$$"""


def names(schema: str, prefix: str | None = None) -> tuple[str, str]:
    """The names of the writer's and the reader's role, from `prefix` or else the schema's name.

    Raises:
        UsageError: the prefix is not valid in a role name.
    """
    prefix = prefix or schema
    if not _PREFIX.fullmatch(prefix):
        raise UsageError(
            f"roles are called NAME_writer and NAME_reader, where NAME has at most 56 of a-z, 0-9 and _, "
            f"not '{prefix[:64]}'; choose one: failaware init --roles NAME"
        )
    return f"{prefix}_writer", f"{prefix}_reader"


def statements(schema: str, prefix: str | None) -> Iterator[str]:
    """SQL that creates the roles, or updates their privileges."""
    writer, reader = names(schema, prefix)
    for role in (writer, reader):
        yield _CREATE.format(role=role, schema=schema, taken=_TAKEN.format(role=role))
    temporary = f"format('GRANT TEMPORARY ON DATABASE %I TO {writer}, {reader}', current_database())"
    yield f"DO $$BEGIN EXECUTE {temporary}; END$$"
    yield f"GRANT USAGE ON SCHEMA {schema} TO {writer}, {reader}"
    for role in (writer, reader):
        yield from _reading(schema, role)
    yield from _writing(schema, writer)


def privileges_of_those_there(schema: str) -> Iterator[str]:
    """SQL that grants the roles that can read or append facts their privileges on recreated tables."""
    yield _GRANT_AGAIN.format(
        schema=schema, read="; ".join(_reading(schema, "%1$I")), write="; ".join(_writing(schema, "%1$I"))
    )


def _reading(schema: str, role: str) -> Iterator[str]:
    yield f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}"
    views = ", ".join(f"{schema}.{view}" for view in view_names())
    yield f"GRANT SELECT ON {views} TO {role}"  # Citus forgets them on its other nodes in the statement above
    yield f"GRANT SELECT ON SEQUENCE {schema}.event_ids TO {role}"


def _writing(schema: str, role: str) -> Iterator[str]:
    for table, facts in FACTS.items():
        yield f"GRANT INSERT ON {schema}.{table} TO {role}"
        if facts.marks:
            yield f"GRANT UPDATE ({', '.join(facts.marks)}) ON {schema}.{table} TO {role}"
    for table in CHANGEABLE:
        yield f"GRANT INSERT, UPDATE, DELETE ON {schema}.{table} TO {role}"
    yield f"GRANT USAGE, UPDATE ON SEQUENCE {schema}.event_ids TO {role}"


def script(url: str, prefix: str | None = None) -> str:
    """The SQL as a script, for an administrator to run."""
    return "".join(f"{sql};\n" for sql in statements(parse(url).schema, prefix))


def create(url: str, prefix: str | None = None) -> tuple[str, str]:
    """Create the roles of an existing store; return the writer's and the reader's name.

    Raises:
        StoreError: this user may not create roles, or another database uses them; the message says what to do.
        UsageError: the prefix is not valid in a role name.
    """
    place = parse(url)
    role_names = names(place.schema, prefix)
    try:
        with in_our_words(place.shown), psycopg.connect(place.conninfo) as db:
            for sql in statements(place.schema, prefix):
                db.execute(sql.encode())
    except StoreError as error:
        if isinstance(error.__cause__, errors.DuplicateObject):
            raise StoreError(f"{place.shown}: {error.__cause__.diag.message_primary}") from error
        raise
    return role_names
