"""Transactional handlers: what they write and their attempt are committed together, or neither is."""

import threading
import time
from contextlib import nullcontext, suppress

import pytest

from failaware import Handlers, Inspector, Retry, Store, StoreError, Transaction, Worker
from tests.conftest import assert_rebuild_changes_nothing, query
from tests.worker.helpers import run


def test_a_transactional_handler_commits_its_writes_with_its_attempt_or_not_at_all(store, path):
    store.session.write(lambda db: db.execute("CREATE TABLE ledger (event_id INTEGER PRIMARY KEY)"))

    def handle(event, transaction):
        transaction.execute("INSERT INTO ledger VALUES (?)", (event.event_id,))
        store.record("b.noted", event.event_id)
        if event.payload == "bad":
            raise ValueError("after the write")

    store.record_many([("a", "good"), ("a", "bad")])
    run(store, handle, pattern="a", transaction=True, retry=Retry(max_attempts=1))
    assert query(store, "SELECT event_id FROM ledger") == [(1,)]
    assert query(store, "SELECT sync_status FROM event_state ORDER BY event_id") == [
        ("SYNCED",),
        ("DEAD",),
        ("PENDING",),
    ]
    assert_rebuild_changes_nothing(store)


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_whatever_a_transactional_handler_raises_takes_its_writes_back(store, inspector, error):
    store.session.write(lambda db: db.execute("CREATE TABLE ledger (event_id INTEGER PRIMARY KEY)"))

    def handle(event, transaction):
        transaction.execute("INSERT INTO ledger VALUES (?)", (event.event_id,))
        raise error("after the write")

    store.record("a", 1)
    run(store, handle, transaction=True)
    assert query(store, "SELECT count(*) FROM ledger") == [(0,)]
    assert inspector.event(1).attempts[0].error_type == error.__name__


def test_a_transactional_handler_whose_statement_is_refused_fails_alone(store, inspector):
    def handle(event, transaction):
        if event.payload == "bad":
            transaction.execute("DELETE FROM event_log")

    store.record_many([("a", "bad"), ("a", "good")])
    run(store, handle, transaction=True)
    assert inspector.event(1).sync_status == "FAILED"
    assert "append-only" in inspector.event(1).attempts[0].error_message
    assert inspector.event(2).sync_status == "SYNCED"


@pytest.mark.parametrize("sql", ["SELECT * FROM missing", "SELECT missing FROM event_log", "SELEC 1", "SELECT nope(1)"])
def test_wrong_sql_of_a_handler_is_its_error_and_no_damage(store, inspector, engine, sql):
    store.record("a")
    run(store, lambda _event, transaction: transaction.query(sql), transaction=True, retry=Retry(max_attempts=1))
    (attempt,) = inspector.event(1).attempts
    assert attempt.error_type.startswith({"sqlite": "sqlite3.", "postgres": "psycopg."}[engine])
    assert "damaged" not in attempt.error_message


def test_a_transactional_event_that_another_worker_took_over_is_left_to_it(store, inspector):
    calls, taken = [], []

    def handle(event, transaction):
        calls.append(event.event_id)
        following = event.event_id + 1
        if not taken and transaction.execute("UPDATE lease SET leased_by = 'other:1' WHERE event_id = ?", (following,)):
            taken.append(following)  # we were taken for lost

    store.record_many(("a", n) for n in range(40))  # quick enough, after some, to be claimed many at a time
    run(store, handle, transaction=True)
    assert len(taken) == 1
    assert calls == [n for n in range(1, 41) if n not in taken]
    assert [len(inspector.event(n).attempts) for n in (1, *taken)] == [1, 0]
    assert query(store, "SELECT event_id, leased_by FROM lease") == [(taken[0], "other:1")]


def test_stop_gives_back_transactional_events_that_have_not_begun(store, inspector):
    handlers = Handlers()

    @handlers.on("a", transaction=True)
    def handle(event, transaction):
        worker.stop()

    store.record_many(("a", n) for n in range(5))
    worker = Worker(store, handlers)
    worker.run()
    health = inspector.health()
    assert (health.synced, health.pending, health.running) == (1, 4, 0)


def test_a_transactional_handler_that_returns_a_coroutine_leaves_no_write_behind(store, inspector):
    store.session.write(lambda db: db.execute("CREATE TABLE ledger (event_id INTEGER PRIMARY KEY)"))

    async def later():
        """Never awaited."""

    def handle(event, transaction):
        transaction.execute("INSERT INTO ledger VALUES (?)", (event.event_id,))
        return later()

    store.record("a", 1)
    run(store, handle, transaction=True, retry=Retry(max_attempts=1))
    assert inspector.event(1).sync_status == "DEAD"
    assert query(store, "SELECT event_id FROM ledger") == []


def test_a_handler_gets_two_methods_and_no_more_of_the_store(store):
    seen = {}

    def handle(event, transaction):
        seen["type"] = type(transaction)
        seen["names"] = {name for name in dir(transaction) if not name.startswith("_")}
        seen["made"] = transaction.execute("CREATE TABLE ledger (n INTEGER)")
        seen["inserted"] = transaction.execute("INSERT INTO ledger VALUES (?), (?)", (1, 2))
        seen["changed"] = transaction.execute("UPDATE ledger SET n = n + :by WHERE n = 2", {"by": 5})
        seen["rows"] = transaction.query("SELECT n FROM ledger WHERE n > ? ORDER BY n", (0,))

    store.record("a", 1)
    run(store, handle, transaction=True)
    assert seen == {
        "type": Transaction, "names": {"execute", "query"}, "made": 0, "inserted": 2, "changed": 1, "rows": [(1,), (7,)]
    }  # fmt: skip
    assert query(store, "SELECT n FROM ledger ORDER BY n") == [(1,), (7,)]


@pytest.mark.postgres
@pytest.mark.parametrize("then", ["returns", "goes on", "goes on and hides it", "raises"])
def test_a_handler_that_is_quiet_for_too_long_has_failed_once_and_the_worker_goes_on(path, then):
    calls = []

    def handle(event, transaction):
        transaction.execute("INSERT INTO ledger VALUES (?)", (event.event_id,))
        transaction.query("SELECT 1")
        if event.payload == "quick":
            return
        calls.append(event.event_id)
        time.sleep(0.6)
        if then == "raises":
            raise ValueError("of its own")
        if then.startswith("goes on"):
            with suppress(StoreError) if "hides" in then else nullcontext():
                transaction.query("SELECT 1")

    with Store.open(path + "&options=-c idle_in_transaction_session_timeout%3D200ms") as store:
        store.session.write(lambda db: db.execute("CREATE TABLE ledger (event_id INTEGER)"))
        store.record_many([("a", "quiet"), ("a", "quick")])
        run(store, handle, transaction=True)
        assert calls == [1]
        assert query(store, "SELECT event_id FROM ledger") == [(2,)]
        assert_rebuild_changes_nothing(store)
    with Inspector.open(path) as inspector:
        (attempt,) = inspector.event(1).attempts
        assert inspector.event(2).sync_status == "SYNCED"
    if then == "raises":
        assert (attempt.error_type, attempt.traceback.count("  File ")) == ("ValueError", 1)
    else:
        assert attempt.error_type == "failaware.TransactionEnded"
        assert "did nothing for too long" in attempt.error_message


@pytest.mark.postgres
def test_what_others_record_meanwhile_is_not_lost_with_a_handler_that_is_quiet_for_too_long(path):
    begun, done = threading.Event(), []

    def handle(event, transaction):
        if event.event_type == "a":
            transaction.query("SELECT 1")
            transaction.query("SELECT 2")
            begun.set()
            time.sleep(0.6)

    with Store.open(path + "&options=-c idle_in_transaction_session_timeout%3D200ms") as store:
        store.record("a", 1)

        def others():
            while not begun.wait(0.001):  # before it, and so perhaps at the same time
                done.append(store.record("b", 1).event_id)
            done.append(store.record("b", 1).event_id)

        threads = [threading.Thread(target=others) for _ in range(4)]
        for thread in threads:
            thread.start()
        run(store, handle, transaction=True, pattern="a")
        for thread in threads:
            thread.join(20)
        assert sorted(done) == [
            number for (number,) in query(store, "SELECT event_id FROM event_log WHERE event_id > 1")
        ]
        assert query(store, "SELECT event_id, error_type FROM attempt_log") == [(1, "failaware.TransactionEnded")]


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("sql", "parameters", "answer"),
    [
        ("SELECT 1 IS NOT DISTINCT FROM 1", (), True),
        ("SELECT true IS NOT UNKNOWN", (), True),
        ("SELECT (1 IS NOT DISTINCT FROM ?), 5", (1,), True),
        ("""SELECT '["a,b", "(", ":x", "?"]'::jsonb ? 'a,b'""", (), True),
        ("SELECT '[1]'::jsonb || to_jsonb(:x::int)", {"x": 2}, [1, 2]),
        ("SELECT a ? :x AND a ?| ARRAY[:x] AND a ?& ARRAY[:x] FROM jsonb('[\"a\"]') AS a", {"x": "a"}, True),
        ("SELECT jsonb_exists('[\"a\"]', ?)", ("a",), True),
        ("SELECT 7 % ? || '%s %'", (4,), "3%s %"),
        ("SELECT ?||'x'", ("a",), "ax"),
        (r"SELECT E'it\'s ? :x' || '?''?' || $$?:x$$ || $a$ $$ ? $a$ || :x", {"x": "!"}, "it's ? :x?'??:x $$ ? !"),
        (r"SELECT E'it\'s ?' || '?''?' || $$?$$ || $a$ $$ ? $a$ || ?", ("!",), "it's ??'?? $$ ? !"),
        ("SELECT /* ? /* ? */ ? */ \"?\" -- ?\n FROM (SELECT ? AS \"?\") AS x", ("y",), "y"),
        ("SELECT (ARRAY[1, 2, 3])[1:2]", (), [1, 2]),
        ("SELECT (ARRAY[1, 2, 3])[1:n] FROM (SELECT 2 AS n) AS x WHERE n = :two", {"two": 2}, [1, 2]),
        ("SELECT pg_typeof(:x::text)::text || :x || :größe", {"x": "a", "größe": "b"}, "textab"),
        ("SELECT $1", ("native",), "native"),
        ("SELECT 'main.x', +1, CAST('\\x41' AS bytea)", (), "main.x"),
        ("SELECT json_array FROM (SELECT 1 AS json_array) AS x", (), 1),
    ],
)  # fmt: skip
def test_a_handlers_statement_reaches_postgresql_as_it_is_but_for_parameters(store, sql, parameters, answer):
    (row,) = store.session.write(lambda db: Transaction(db).query(sql, parameters))
    assert row[0] == answer


@pytest.mark.postgres
def test_a_handlers_own_table_has_the_types_that_it_says(store):
    types = (
        "SELECT format_type(atttypid, atttypmod), attcollation::regcollation::text FROM pg_attribute "
        "WHERE attrelid = 'ledger'::regclass AND attnum > 0 ORDER BY attnum"
    )

    def use(db):
        transaction = Transaction(db)
        transaction.execute("CREATE TABLE ledger (n INTEGER, name TEXT, raw BYTEA)")
        assert transaction.execute("INSERT INTO ledger VALUES (?, ?, ?)", (1, "ä", b"\0")) == 1
        assert transaction.query("UPDATE ledger SET n = n + :by RETURNING n, name, raw", {"by": 2}) == [(3, "ä", b"\0")]
        return transaction.query(types)

    assert store.session.write(use) == [("integer", "-"), ("text", '"default"'), ("bytea", "-")]
