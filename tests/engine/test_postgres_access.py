"""What a role may do to a store on PostgreSQL, and to the programs that write to it."""

import hashlib
import threading

import psycopg
import pytest

from failaware import Store, UsageError
from failaware.engine.postgres.place import parse
from failaware.engine.postgres.roles import create, script
from failaware.errors import StoreBusy, StoreError
from failaware.ledger.verify import verify
from tests.conftest import plain

pytestmark = pytest.mark.postgres


@pytest.fixture
def roles(store, path, postgres):
    """The URLs of a writer, of a reader and of a role without any right; their names begin with the schema's."""
    schema = parse(path).schema
    names = [*create(path), f"{schema}_nobody"]
    with plain(path) as db:
        db.execute(f"CREATE ROLE {names[2]}")
        for name in names:
            db.execute(f"ALTER ROLE {name} LOGIN")
        yield [postgres.url(schema, user=name) for name in names]
        for name in names:
            db.execute(f"DROP OWNED BY {name}")
            db.execute(f"DROP ROLE {name}")


@pytest.fixture
def another_database(path, postgres):
    """The same store's place in a second database of the server."""
    name = f"{parse(path).schema}_other"
    with plain(path) as db:
        db.execute(f"CREATE DATABASE {name}")
        yield postgres.url(parse(path).schema, database=name)
        db.execute(f"DROP DATABASE {name} WITH (FORCE)")


def may_not(url, *statements):
    for statement in statements:
        with plain(url) as db, pytest.raises(psycopg.errors.InsufficientPrivilege):
            db.execute(statement)


def test_a_role_that_may_not_write_cannot_take_the_lock(store, roles):
    _, reader, outsider = roles
    modes = ["ROW SHARE", "ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE", "SHARE", "EXCLUSIVE", "ACCESS EXCLUSIVE"]
    for mode in modes:
        tables = ("write_lock", "recording", "last_commit")
        may_not(reader, *(f"BEGIN; LOCK TABLE {name} IN {mode} MODE" for name in tables))
    may_not(reader, "SELECT FROM recording FOR KEY SHARE")
    schema = parse(outsider).schema
    may_not(
        outsider, *(f"BEGIN; LOCK TABLE {schema}.{name} IN ACCESS SHARE MODE" for name in ("write_lock", "recording"))
    )
    with plain(outsider) as db, plain(reader) as reading, reading.db.transaction():
        number = int.from_bytes(hashlib.sha256(f"failaware {schema}".encode()).digest()[:8], "big", signed=True)
        db.execute("SELECT pg_advisory_lock(?)", (number,))
        reading.execute("LOCK TABLE write_lock, recording IN ACCESS SHARE MODE")
        assert store.record("a").event_id == 1
        store.dismiss([1], because="seen")


@pytest.mark.parametrize("threads", [1, 3])
def test_whoever_waits_for_the_lock_too_long_hears_who_has_it(store, path, roles, threads):
    errors = []

    def record(other):
        try:
            other.record("a")
        except StoreError as error:
            errors.append(error)

    with Store.open(path) as other, plain(roles[0]) as db, db.db.transaction():
        db.execute("LOCK TABLE recording IN EXCLUSIVE MODE")
        ((pid, user),) = db.execute("SELECT pg_backend_pid(), current_user").fetchall()
        other.session._db.raw("SET lock_timeout = '300ms'")
        waiting = [threading.Thread(target=record, args=(other,)) for _ in range(threads)]
        for thread in waiting:
            thread.start()
        for thread in waiting:
            thread.join(30)
    assert [type(error) for error in errors] == [StoreBusy] * threads
    for error in errors:
        assert f"process {pid} of {user}" in str(error)
    assert store.record("a").event_id == 1


def test_a_writer_with_operators_of_its_own_does_not_get_past_a_guard(store, path, roles):
    store.record("a", {"card": 1})
    schema = parse(path).schema
    with plain(path) as db:
        db.execute(f"CREATE SCHEMA {schema}_own AUTHORIZATION {schema}_writer")
    with plain(roles[0]) as db:
        db.execute(f"CREATE FUNCTION {schema}_own.yes(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true'")
        for operator in ("=", "<>"):
            db.execute(
                f"CREATE OPERATOR {schema}_own.{operator} "
                f"(LEFTARG = text, RIGHTARG = text, FUNCTION = {schema}_own.yes)"
            )
        db.execute("INSERT INTO decision_log VALUES (1, 1, 'ERASE', 0, 'x', 'x', 1)")
        db.execute("INSERT INTO erasure_log VALUES (1, 1, 'event_log', 1, '00', NULL)")
        db.execute(f"SET search_path = {schema}_own, pg_catalog, {schema}")
        with pytest.raises(psycopg.IntegrityError, match="append-only"):
            db.execute("UPDATE event_log SET event_payload = '{\"forged\": true}'")


def test_every_function_fixes_its_search_path(store, path):
    with plain(path) as db:
        functions = db.execute(
            "SELECT proname, proconfig FROM pg_proc WHERE pronamespace = ?::regnamespace", (parse(path).schema,)
        ).fetchall()
    assert len(functions) > 10
    assert {name for name, settings in functions if settings != ["search_path=pg_catalog, pg_temp"]} == set()


@pytest.mark.parametrize("change", ["RESET search_path", "SECURITY DEFINER", "SET search_path = public"])
def test_a_function_that_was_altered_is_found(store, path, change):
    with plain(path) as db:
        db.execute(f"ALTER FUNCTION event_log_refuses_update() {change}")
    assert [finding.part for finding in verify(path).findings] == ["schema"]


def test_roles_of_another_database_are_not_given_this_one(roles, another_database):
    Store.open(another_database).close()
    with pytest.raises(StoreError, match=r"_writer is already there .* init --roles NAME"):
        create(another_database)
    with pytest.raises(StoreError, match="may not read the store"):
        Store.open(another_database.replace("postgres@", f"{parse(another_database).schema}_writer@"))
    prefix = f"{parse(another_database).schema}b"
    assert create(another_database, prefix) == (f"{prefix}_writer", f"{prefix}_reader")
    assert create(another_database, prefix) == (f"{prefix}_writer", f"{prefix}_reader")
    with plain(another_database) as db:
        for name in (f"{prefix}_writer", f"{prefix}_reader"):
            db.execute(f"DROP OWNED BY {name}")
            db.execute(f"DROP ROLE {name}")


def test_a_role_that_has_members_is_not_taken_for_a_new_store(store, path):
    schema = parse(path).schema
    with plain(path) as db, db.db.transaction(force_rollback=True):
        db.execute(f"CREATE ROLE {schema}_writer")
        db.execute(f"CREATE ROLE {schema}_member IN ROLE {schema}_writer")
        with pytest.raises(psycopg.errors.DuplicateObject, match="in use by another"):
            db.execute(script(path).partition(";\nDO $$BEGIN\n")[0] + ";")


@pytest.mark.parametrize("prefix", ["x" * 57, "pg_x", "No", 'x"; DROP ROLE y'])
def test_names_that_no_roles_can_have_are_refused(store, path, prefix):
    with pytest.raises(UsageError, match="at most 56 of a-z"):
        create(path, prefix)
    with pytest.raises(UsageError, match="at most 56 of a-z"):
        script(path.replace(parse(path).schema, "s" * 57))
