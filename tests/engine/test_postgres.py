"""What is PostgreSQL's own: how a store is found or refused, what the tables refuse, who may do what."""

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psycopg
import pytest

from failaware import Handlers, Inspector, NotFound, Store, UsageError, Worker
from failaware.engine.postgres.dialect import ddl
from failaware.engine.postgres.parameters import numbered
from failaware.engine.postgres.place import parse
from failaware.engine.postgres.roles import CHANGEABLE
from failaware.errors import StoreBusy, StoreError, StoreForeign, StoreMissing, StoreNewer
from failaware.facts import append, claim
from failaware.ledger.sealing import seal_all, seal_archive
from failaware.ledger.verify import verify
from failaware.model import NewEvent
from failaware.schema import versions
from failaware.schema.catalogue import FACTS
from tests import processes
from tests.conftest import plain, query
from tests.worker.helpers import eventually

pytestmark = pytest.mark.postgres


def cli(*words):
    command = [sys.executable, "-m", "failaware", *map(str, words)]
    return processes.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_missing_store_is_not_made_by_a_reader(path):
    with pytest.raises(StoreMissing, match="there is no store"):
        Inspector.open(path)
    Store.open(path).close()
    Inspector.open(path).close()


@pytest.mark.parametrize("opener", [Store.open, Inspector.open])
def test_another_programs_schema_is_refused_and_left_alone(path, opener):
    schema = parse(path).schema
    with plain(path) as db:
        db.execute(f"CREATE SCHEMA {schema}")
        db.execute(f"CREATE TABLE {schema}.theirs (x integer)")
    with pytest.raises(StoreForeign, match="another program"):
        opener(path)
    with plain(path) as db:
        assert db.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace", (schema,)
        ).fetchall() == [("theirs",)]


def test_what_cannot_be_opened_leaves_no_connection_behind(path, monkeypatch):
    Store.open(path).close()
    with plain(path) as db:

        def connections():
            named = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'leaves'"
            return db.execute(named).fetchone()[0]

        def no_time():
            raise OSError("no clock")

        for module in ("failaware.session", "failaware.read.inspector"):
            monkeypatch.setattr(f"{module}.now_us", no_time)
        for opener in (Store.open, Inspector.open):
            with pytest.raises(OSError, match="no clock") as raised:
                opener(path + "&application_name=leaves")
            eventually(lambda: connections() == 0)
            assert raised.value  # which would keep it
        monkeypatch.undo()
        db.execute("INSERT INTO setting VALUES ('policy', 'no such policy')")
        with pytest.raises(UsageError, match="policy") as raised:
            Store.open(path + "&application_name=leaves")
        eventually(lambda: connections() == 0)
        assert raised.value


def test_an_empty_schema_that_an_administrator_made_becomes_a_store(path):
    with plain(path) as db:
        db.execute(f"CREATE SCHEMA {parse(path).schema}")
    with Store.open(path) as store:
        assert store.record("a").event_id == 1


@pytest.mark.parametrize("name", ["user", "left"])
def test_a_word_of_sql_names_no_schema(postgres, name):
    with pytest.raises(UsageError, match=f"cannot be '{name}', which is a word of SQL"):
        Store.open(postgres.url(name))


@pytest.mark.parametrize("opener", [Store.open, Inspector.open])
def test_a_newer_schema_is_refused(path, opener):
    Store.open(path).close()
    with plain(path) as db:
        db.execute(f"UPDATE failaware_schema SET version = {versions.current() + 1}")
    with pytest.raises(StoreNewer, match="upgrade failaware"):
        opener(path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("/postgres?", "/nowhere?"), "does not exist"),
        (("?host=", "?host=/nowhere"), "cannot be reached"),
        (("postgres@", "nobody@"), "does not exist"),
        (("?host=", "?hosst="), "is no URL of PostgreSQL"),
        (("schema=", "schema=No-"), "a store's schema is a-z"),
    ],
)
def test_what_is_wrong_with_a_url_is_one_sentence_without_its_password(path, change, says):
    url = path.replace(*change).replace("@/", ":hun%20ter2@/")
    done = cli("--db", url, "health")
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert "ter2" not in done.stderr


@pytest.mark.parametrize("broken", ["u\udc8c@/x", "u:s%80cret@/x", "u:s\0cret@/x", "u@/x?host=%ff"])
def test_bytes_that_no_url_has_are_refused(broken):
    with pytest.raises(UsageError, match=r"is no URL of PostgreSQL: (it is no UTF-8|there is a NUL in it)") as refused:
        parse(f"postgresql://{broken}")
    assert "cret" not in str(refused.value)


def test_a_password_that_makes_no_url_is_not_quoted(path):
    done = cli("--db", path.replace("@/", ":hun ter2@/"), "health")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "percent-encoded" in done.stderr
    assert "ter2" not in done.stderr
    assert cli("--db", "postgresql://[x/y", "health").stderr.count("\n") == 1


WAITS = {
    "write_lock": lambda store: store.session.write(
        lambda db: append.events(db, [NewEvent("a", "1", None, None, 0, 0)])
    ),
    "recording": lambda store: store.record("a"),
}
"""Ways to record that wait for the lock on this table."""


@pytest.mark.parametrize("lock", WAITS)
def test_an_interrupt_while_it_waits_for_the_lock_is_taken_back(store, path, lock):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with Store.open(path) as other:

            def hold(db):
                db.execute("LOCK TABLE recording IN EXCLUSIVE MODE")
                db.query("SELECT 1")
                timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
                timer.start()
                with pytest.raises(KeyboardInterrupt):
                    WAITS[lock](other)
                timer.join()

            store.session.write(hold)
            assert other.record("after").event_id == 1
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_point_in_time_outlives_the_connection_to_its_server(store, path, clock):
    store.record("a")
    with Inspector.open(path) as inspector, inspector.as_of(clock.now) as then:
        ((backend,),) = then.db.store.query("SELECT pg_backend_pid()")
        store.session.read(lambda db: db.query("SELECT pg_terminate_backend(?::int)", (backend,)))
        assert then.health().total_events == 1
        store.record("a")
        then.move(clock.now)
        assert then.health().total_events == 2


def test_processes_that_make_the_same_store_at_once_make_one(path):
    program = "import sys; from failaware import Store; Store.open(sys.argv[1]).record('a')"
    running = [processes.Popen([sys.executable, "-c", program, path], stderr=subprocess.PIPE) for _ in range(4)]
    for process in running:
        assert process.communicate(timeout=60)[1] == b""
    with Store.open(path) as store:
        assert query(store, "SELECT count(*), max(event_id) FROM event_log") == [(4, 4)]


@pytest.fixture
def full(store, path):
    """A store with a row in every fact table."""
    handlers = Handlers()

    @handlers.on("*")
    def fails(event):
        raise ValueError("no")

    store.record("a.b", {"n": 1}, key="k")
    store.record("a.b", {"n": 2})
    Worker(store, handlers).run(until_idle=True, patience=0)
    store.dismiss([1, 2], because="seen")
    store.erase([2], because="asked")
    with plain(path) as db:
        db.execute("INSERT INTO reject_log VALUES (1, 'file', 1, '{', 'not JSON', 0)")
        db.execute("INSERT INTO archive_log VALUES (1, 'old.db', 0, 5, 'me', 'old', 7, NULL)")
        db.execute("INSERT INTO correction_log VALUES (1, 'MERGE', 5, 6, NULL, NULL, 'me', 'one', 7)")
        db.execute("INSERT INTO moved_log VALUES (1, 1, 'reject_log', 77, 88)")
    store.session.write(lambda db: seal_archive(db, store.session.clock()))
    seal_all(store.session, store.session.clock())
    return path


@pytest.mark.parametrize("table", FACTS)
def test_the_database_refuses_to_change_a_fact(full, table):
    with plain(full) as db:
        before = db.execute(f"SELECT * FROM {table}").fetchall()
        assert before
        key = FACTS[table].key
        for change in (
            f"UPDATE {table} SET {key} = {key}",
            f"DELETE FROM {table}",
            f"TRUNCATE {table}",
            f"INSERT INTO {table} SELECT * FROM {table} ON CONFLICT ({key}) DO UPDATE SET {key} = excluded.{key}",
        ):
            with pytest.raises(psycopg.IntegrityError, match=f"facts are append-only, {table} refuses"):
                db.execute(change)
        assert db.execute(f"SELECT * FROM {table}").fetchall() == before


@pytest.fixture
def roles(full, postgres):
    """The store's URL as its owner, as a writer and as a reader."""
    assert cli("--db", full, "init", "--roles").returncode == 0
    schema = parse(full).schema
    urls = [postgres.url(schema, user=f"{schema}_{what}") for what in ("writer", "reader")]
    with plain(full) as db:
        for what in ("writer", "reader"):
            db.execute(f"ALTER ROLE {schema}_{what} LOGIN")
    yield (full, *urls)
    with plain(full) as db:
        for what in ("writer", "reader"):
            db.execute(f"DROP OWNED BY {schema}_{what}")
            db.execute(f"DROP ROLE {schema}_{what}")


def test_a_writer_does_all_that_a_store_does_and_cannot_change_what_was(roles):
    _, writer, _ = roles
    handlers = Handlers()

    @handlers.on("*")
    def fails(event):
        raise ValueError("again")

    with Store.open(writer) as store:
        store.record_many([("a", 1), ("b", 2)])
        Worker(store, handlers).run(until_idle=True, patience=0)
        store.requeue([3], because="again")
        Worker(store, handlers).run(until_idle=True, patience=0)
        store.dismiss([4], because="enough")
        store.erase([4], because="asked")
        store.rebuild(store.session.policy._replace(multiple_events=3))
        with pytest.raises(NotFound):
            store.dismiss([99], because="r")
    assert verify(writer).findings == ()
    with plain(writer) as db:
        for table in FACTS:
            for change in (f"DELETE FROM {table}", f"TRUNCATE {table}", f"ALTER TABLE {table} DISABLE TRIGGER ALL"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    db.execute(change)


def test_a_reader_reads_all_also_of_the_past_and_can_write_nothing(roles, clock):
    owner, _, reader = roles
    with Store.open(owner) as store:
        now = store.session.clock()
    with Inspector.open(reader) as inspector:
        assert inspector.health().total_events == 2
        assert inspector.explain("event/1", facts=True).severity is None
        with inspector.as_of(now) as then:
            assert then.health().total_events == 2
    assert verify(reader).findings == ()
    with pytest.raises(StoreError, match="init --roles"):
        Store.open(reader).record("a")
    with plain(reader) as db:
        for table in (*FACTS, *CHANGEABLE):
            for change in (f"INSERT INTO {table} SELECT * FROM {table}", f"DELETE FROM {table}"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    db.execute(change)


def test_the_inspector_says_which_role_it_has(roles):
    owner, _, reader = roles
    assert f"as {parse(owner).schema}_reader, who can only read" in cli("--db", reader, "health").stdout
    assert "as postgres, who could write" in cli("--db", owner, "health").stdout


def test_every_table_is_somebodys_to_write(full):
    """A table that a later version adds must not be forgotten in the roles."""
    with plain(full) as db:
        schema = parse(full).schema
        tables = db.execute(
            f"SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = '{schema}'::regnamespace"
        )
        assert {name for (name,) in tables.fetchall()} == {
            *FACTS,
            *CHANGEABLE,
            "failaware_schema",
        }  # the version is its owner's


def test_the_roles_sql_is_printed_for_whoever_may_run_it(full):
    printed = cli("--db", full, "init", "--roles", "--print").stdout
    with plain(full) as db, db.db.transaction(force_rollback=True):
        db.execute(printed)
    assert cli("init", "--roles").stderr.count("chmod") == 1
    assert cli("init", "--print").returncode == 2


@pytest.mark.parametrize("lock", WAITS)
def test_who_waits_for_the_lock_too_long_says_so(store, path, lock):
    with Store.open(path) as other:
        other.session._db.raw("SET lock_timeout = '200ms'")

        def hold(db):
            db.execute("LOCK TABLE recording IN EXCLUSIVE MODE")
            db.query("SELECT 1")
            with pytest.raises(StoreBusy, match="has been writing for a long time"):
                WAITS[lock](other)

        store.session.write(hold)
        assert other.record("a").event_id == 1


@pytest.mark.parametrize("prepare", ["SELECT 1", "ANALYZE"])
def test_a_claim_reads_few_more_events_than_it_returns(store, prepare):
    """However many are due, without statistics of the tables or with them, and in its own process."""
    store.record_many([("a", n) for n in range(1_000)])
    parameters = {"type": "a", "now": store.session.clock(), "limit": 20, "lost": "", "poison_candidates": 1}
    db = store.session._db
    for statement in (prepare, "SET min_parallel_table_scan_size = 0", "SET parallel_setup_cost = 0"):
        db.raw(statement)
    plan = "\n".join(line for (line,) in db.query(f"EXPLAIN ANALYZE {claim._DUE_ON_SERVER}", parameters))
    assert max(map(int, re.findall(r"actual .*rows=(\d+)", plan))) == 20, plan
    assert "Gather" not in plan, plan


def test_a_statement_may_take_only_so_long(path):
    Store.open(path).close()
    with Inspector.open(path + "&options=-c statement_timeout%3D50ms") as inspector:
        with pytest.raises(StoreError, match="longer than statement_timeout"):
            inspector.db.query("SELECT pg_sleep(5)")
        assert inspector.health().total_events == 0


@pytest.mark.parametrize(
    ("sql", "parameters", "text", "values"),
    [
        ("SELECT :a, :b, :a", {"b": 2, "a": 1}, "SELECT $1, $2, $1", [1, 2]),
        ("SELECT ?, ? WHERE x LIKE '?:a'", (1, 2), "SELECT $1, $2 WHERE x LIKE '?:a'", (1, 2)),
        ("SELECT x::text, :a, ?", {"a": 1}, "SELECT x::text, $1, ?", [1]),
        ("SELECT ?, :a", (), "SELECT ?, :a", None),
        ("SELECT '?", (1,), "SELECT '$1", (1,)),
        ("SELECT ? /* ?", (1,), "SELECT $1 /* ?", (1,)),
    ],
)
def test_parameters_become_numbers(sql, parameters, text, values):
    assert numbered(sql, parameters) == (text.encode(), values)


def test_a_definition_in_postgresqls_words():
    sql = "-- why\nCREATE TEMP TABLE t (a INTEGER, b TEXT, c BLOB) STRICT, WITHOUT ROWID;"
    assert ddl(sql).strip() == 'CREATE TEMP TABLE t (a BIGINT, b TEXT COLLATE "C", c BYTEA);'


def test_a_place_that_is_no_store_at_all_is_refused():
    with pytest.raises(UsageError, match="no kind of store"):
        Inspector.open("mysql://localhost/x")


def test_what_the_page_on_scale_shows_works(full, roles):
    """`app`, `owner` and their database are the test's own; so are the roles, which are called after the schema."""
    schema = parse(full).schema
    page = (Path(__file__).parents[2] / "docs" / "scale.md").read_text(encoding="utf-8")
    lines = "".join(re.findall(r"^```text\n(.*?)^```", page, re.MULTILINE | re.DOTALL))
    lines = re.sub(
        r"postgresql://\w+@db\.example/ops\?schema=billing", full.replace(schema, f"{schema}_billing"), lines
    )
    lines = re.sub(r"postgresql://\w+@db\.example/ops", full, lines).replace("failaware_", f"{schema}_")
    lines = [line.partition("  #")[0].strip() for line in lines.splitlines()]
    commands, exported, opened, granted = (
        [line for line in lines if line.startswith(start)] for start in ("failaware ", "export ", "Store.", "GRANT ")
    )
    assert len(commands) + len(exported) + len(opened) + len(granted) == len(lines)
    for command in commands:
        assert cli(*command.split()[1:]).returncode == 0, command
    shown = processes.run(
        ["bash", "-c", f'{exported[0].replace("DB=", "DB=" + chr(39))}\'; "{sys.executable}" -m failaware health'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "2 events" in shown.stdout
    eval(opened[0], {"Store": Store}).close()  # a line of our own page
    with plain(full) as db:
        assert db.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (f"{schema}_billing",)).fetchall()
        with db.db.transaction(force_rollback=True):
            db.execute("CREATE ROLE app; CREATE ROLE ada")
            db.execute(granted[0])
        db.execute(f"DROP SCHEMA {schema}_billing CASCADE")
