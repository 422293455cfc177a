"""A store's schema on PostgreSQL: creation, migration, guards, and comparison with the expected schema.

The version is in the table `failaware_schema`; a schema with other tables, but without it, belongs to another program.
"""

import re
from collections.abc import Callable, Container, Iterator
from functools import reduce

from psycopg import errors

from failaware.engine.base import Row
from failaware.engine.derivation import Derivation, noted
from failaware.engine.postgres import citus, lock, recording
from failaware.engine.postgres.dialect import FOLLOW, HELPERS, PINNED, ddl
from failaware.schema import versions
from failaware.schema.catalogue import FACTS
from failaware.schema.ddl import derived_tables, own_key, permanent_tables, private_schema, views
from failaware.schema.guards import REFUSES, REQUIREMENTS, is_archived, is_erasure

Query = Callable[[str], list[Row]]
"""Runs a statement in PostgreSQL's SQL."""

VERSION = "CREATE TABLE failaware_schema (version INTEGER NOT NULL)"
"""The table with the version of the schema."""

_RAISE = "RAISE EXCEPTION '{message}' USING ERRCODE = 'integrity_constraint_violation';"

_ISO = r"""to_char('epoch'::timestamp + \1 * interval '1 microsecond', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
_FUNCTION = re.compile(r"CREATE FUNCTION ([\w.]+)")
_MADE = re.compile(r"^CREATE (TABLE|VIEW|SEQUENCE)\b", re.MULTILINE)

STATE = """
SELECT count(c.oid) > 0, coalesce(bool_or(c.relname = 'failaware_schema'), false), has_schema_privilege(n.oid, 'USAGE')
  FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid WHERE n.nspname = '{schema}' GROUP BY n.oid
"""

_DESCRIBED = """
SELECT 'table', c.relname, a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
       || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END || coalesce(' ' || o.collname, '')
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_collation o ON o.oid = a.attcollation AND c.relkind = 'r'
 WHERE c.relnamespace = {of} AND c.relkind IN ('r', 'v')
UNION ALL
SELECT 'index', i.relname, pg_get_indexdef(i.oid)
  FROM pg_class i JOIN pg_index x ON x.indexrelid = i.oid WHERE i.relnamespace = {of}
UNION ALL
SELECT 'constraint', c.relname, pg_get_constraintdef(k.oid)
  FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid WHERE k.connamespace = {of} AND k.contype <> 'n'
UNION ALL
SELECT 'view', c.relname, pg_get_viewdef(c.oid) FROM pg_class c WHERE c.relnamespace = {of} AND c.relkind = 'v'
UNION ALL
SELECT 'trigger', c.relname, pg_get_triggerdef(t.oid) || ' ' || t.tgenabled::text
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relnamespace = {of} AND NOT t.tgisinternal
UNION ALL
SELECT 'sequence', c.relname, concat_ws(' ', format_type(s.seqtypid, NULL), s.seqincrement, s.seqcycle, s.seqcache)
  FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid WHERE c.relnamespace = {of}
UNION ALL
SELECT 'function', p.proname, pg_get_functiondef(p.oid) FROM pg_proc p WHERE p.pronamespace = {of} AND p.prokind = 'f'
"""
"""All objects of a schema: kind, name of the table or function, definition."""

MADE_BY_ANOTHER = (  # process in the meantime, or earlier in a schema without tables
    errors.UniqueViolation,
    errors.DuplicateSchema,
    errors.DuplicateTable,
    errors.DuplicateFunction,
    errors.DuplicateObject,
)
RESERVED = "SELECT 1 FROM pg_get_keywords() WHERE word = '{schema}' AND catcode IN ('R', 'T')"


def creation(schema: str, mark: Derivation) -> Iterator[str]:
    """All statements that create a store's schema, in PostgreSQL's SQL."""
    yield f"CREATE SCHEMA IF NOT EXISTS {schema}"
    yield f"SET LOCAL search_path = {schema}"
    for sql in (VERSION, *lock.TABLES, recording.SEQUENCE, *permanent_tables()):
        yield ddl(sql)
    yield own_key()
    yield noted(mark)
    yield f"INSERT INTO failaware_schema VALUES ({versions.current()})"
    yield from _recreated_objects(schema)


def missing_locks(schema: str) -> Iterator[tuple[str, ...]]:
    """Transactions that create in an older store what a migration needs itself."""
    for sql in (*lock.TABLES, recording.SEQUENCE):
        yield (ddl(re.sub(r"^CREATE (TABLE|SEQUENCE) ", rf"CREATE \1 IF NOT EXISTS {schema}.", sql)),)
    for column in ("answer TEXT", "recorded INTEGER NOT NULL DEFAULT 0"):
        yield (ddl(f"ALTER TABLE {schema}.last_commit ADD COLUMN IF NOT EXISTS {column}"),)
    yield (f"DROP FUNCTION IF EXISTS {schema}.begin_write(text, bigint, text)",)
    functions = (sql.replace("CREATE", "CREATE OR REPLACE", 1) for sql in lock.functions(schema))
    yield lock.BEGIN, lock.acquire(schema), *functions, "COMMIT"


_DROP_TABLE = """
DO $$ BEGIN
  IF EXISTS (SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = '{schema}' AND tablename = '{table}') THEN
    DROP TABLE {schema}.{table} CASCADE;
  END IF;
END $$
"""


def bringing_up_to_date(schema: str, version: int) -> Iterator[str]:
    """All statements that migrate an older store's schema; the derived tables are empty afterwards."""
    functions = *_helpers(schema), *guard_statements(schema, schema)
    for name in _FUNCTION.findall("\n".join(functions)):
        yield f"DROP FUNCTION IF EXISTS {name} CASCADE"  # includes a guard's trigger
    for table in versions.FORMER_TABLES:
        yield _DROP_TABLE.format(schema=schema, table=table)
    yield from versions.drop_statements()
    for step in versions.since(version):
        for sql in step.statements:
            yield ddl(sql)
    yield FOLLOW
    yield from _recreated_objects(schema)
    yield f"UPDATE failaware_schema SET version = {versions.current()}"


def _recreated_objects(schema: str) -> Iterator[str]:
    for sql in (*derived_tables(), *views(_ISO)):
        yield ddl(sql)
    yield from _helpers(schema)
    yield from guard_statements(schema, schema)
    yield lock.COUNT_STORED


def _helpers(schema: str) -> Iterator[str]:
    yield from (helper.format(schema=schema) for helper in HELPERS)
    yield from lock.functions(schema)
    yield from recording.functions(schema)


def guard_statements(schema: str, facts: str) -> Iterator[str]:
    """Yield the triggers of the fact tables in the schema `facts`, and their functions in `schema`.

    A table's owner can drop triggers; the roles of `failaware init --roles` cannot.
    """
    for table, of_table in FACTS.items():
        allowed = {
            "UPDATE": is_erasure(of_table, f"{schema}.", "IS NOT DISTINCT FROM") if of_table.marks else "",
            "DELETE": is_archived(of_table, f"{schema}.") if of_table.archived_with else "",
            "TRUNCATE": "",
        }
        for verb, condition in allowed.items():
            name = f"{table}_refuses_{verb.lower()}"
            refuse = _RAISE.format(message=REFUSES.format(table=table, what=verb))
            row = "NEW" if verb == "UPDATE" else "OLD"
            body = (
                f"BEGIN IF {condition} THEN RETURN {row}; END IF; {refuse} END" if condition else f"BEGIN {refuse} END"
            )
            yield f"CREATE FUNCTION {schema}.{name}() RETURNS trigger LANGUAGE plpgsql {PINNED} AS $${body}$$"
            each = "STATEMENT" if verb == "TRUNCATE" else "ROW"
            when = f"BEFORE {verb} ON {facts}.{table} FOR EACH {each}"
            yield f"CREATE TRIGGER {name} {when} EXECUTE FUNCTION {schema}.{name}()"
    for table, requirement, required in REQUIREMENTS:
        name = f"{table}_is_founded"
        refuse = _RAISE.format(message=REFUSES.format(table=table, what=f"a row without {requirement}"))
        body = f"BEGIN IF EXISTS ({required.format(schema=f'{facts}.')}) THEN RETURN NEW; END IF; {refuse} END"
        yield f"CREATE FUNCTION {schema}.{name}() RETURNS trigger LANGUAGE plpgsql {PINNED} AS $${body}$$"
        yield f"CREATE TRIGGER {name} BEFORE INSERT ON {facts}.{table} FOR EACH ROW EXECUTE FUNCTION {schema}.{name}()"


def differences(query: Query, schema: str, *, ignored: Container[str] = ()) -> Iterator[str]:
    """Yield how a store's schema differs from the expected one, one sentence each, except for `ignored` objects.

    The expected schema is created as temporary objects, described by the same query, and rolled back.
    """
    actual = _described(query, f"'{schema}'::regnamespace", schema)
    query("BEGIN READ WRITE")
    query(citus.LOCAL_ONLY)
    try:
        for sql in (VERSION, *lock.TABLES, recording.SEQUENCE, *private_schema(facts=True), *views(_ISO)):
            query(_MADE.sub(r"CREATE TEMP \1", ddl(sql)))
        for sql in _helpers("pg_temp"):
            query(sql)
        for sql in guard_statements("pg_temp", "pg_temp"):
            query(sql)
        (own,) = query("SELECT nspname FROM pg_namespace WHERE oid = pg_my_temp_schema()")[0]
        # The store's name is left out here, too: it may be that of an alias in a view.
        expected = _described(query, "pg_my_temp_schema()", "pg_temp", own, schema)
    finally:
        query("ROLLBACK")
    expected = {described for described in expected if described[1].removesuffix("_pkey") not in ignored}
    for kind, name, _ in sorted(expected - actual):
        yield (
            f"the {kind} {name} is missing"
            if not _has_object(actual, kind, name)
            else f"the {kind} {name} is not as it was made"
        )
    tables = {name for kind, name, _ in expected if kind == "table"}
    names = {(kind, name) for kind, name, _ in expected}
    for kind, name, definition in sorted(actual - expected):
        if name.removesuffix("_pkey") in ignored:  # derived by another version
            continue
        if (kind, name) not in names and kind in ("view", "rule"):
            yield f"there is a {kind} {name} that is not ours"
        if (kind, name) not in names and kind == "index" and any(f" ON {table} " in definition for table in tables):
            yield f"there is an index {name} that is not ours"
        if kind == "trigger" and name in tables and not _has_trigger(expected, definition):
            yield f"there is a trigger {definition.split()[2]} on {name} that is not ours"


def _has_object(described: set[tuple[str, str, str]], kind: str, name: str) -> bool:
    return any(other[:2] == (kind, name) for other in described)


def _has_trigger(expected: set[tuple[str, str, str]], definition: str) -> bool:
    """Return whether a trigger of this name is expected: then its changed definition has already been reported."""
    trigger = definition.split()[2]
    return any(kind == "trigger" and other.split()[2] == trigger for kind, _, other in expected)


def _described(query: Query, of: str, *names: str) -> set[tuple[str, str, str]]:
    """A schema's description, without its names."""
    described = set()
    for kind, name, definition in query(_DESCRIBED.format(of=of)):
        plain = reduce(lambda text, own: text.replace(f"{own}.", ""), names, definition)
        described.add((kind, name, " ".join(plain.split())))
    return described
