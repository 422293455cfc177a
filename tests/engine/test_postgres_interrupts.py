"""A cancel request that failaware sends ends the statement it was meant for, and no other: it may arrive late."""

import threading
from contextlib import contextmanager, suppress

import psycopg
import pytest

from failaware import Inspector, Store
from failaware.engine.postgres.reader import PostgresReader
from failaware.errors import StoreError
from failaware.facts import append
from failaware.model import NewEvent
from tests.conftest import assert_rebuild_changes_nothing, plain, query
from tests.sizes import sized
from tests.worker.helpers import eventually

pytestmark = pytest.mark.postgres
CANCELED = b"SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(9)"
"""A statement during which the request arrives."""

NEW = NewEvent("a", "1", None, None, 0, 0)


def fold(store):
    store.session.write(lambda db: append.events(db, [NEW]))


def fold_in_a_savepoint(store):
    """As a group commit does: the exception is caught, and the rest of the transaction continues."""

    def job(db):
        with suppress(StoreError), db.savepoint():
            append.events(db, [NEW])

    store.session.write(job)


def change_the_exception(store):
    """A job may raise any exception instead."""

    def job(db):
        try:
            append.events(db, [NEW])
        except StoreError:
            raise ValueError("the job failed") from None

    store.session.write(job)


JOBS = {
    "record": ("recording", lambda store: store.record("a", 1)),
    "record_many": ("recording", lambda store: store.record_many([{"type": "a", "payload": 1, "key": "k"}])),
    "fold": ("write_lock", fold),
    "fold_in_a_savepoint": ("write_lock", fold_in_a_savepoint),
    "change_the_exception": ("write_lock", change_the_exception),
}
"""Ways to record one event, and the table whose lock each waits for."""


@pytest.fixture
def arrives(monkeypatch):
    """Lets the next cancel request arrive before the n-th statement that its connection runs after it was sent."""
    cancel, execute = psycopg.Connection.cancel_safe, psycopg.RawCursor.execute
    state = {"after": 0, "cursor": None}

    def cancel_late(db, **kwargs):
        state["db"] = db
        if state["after"] == 0:
            cancel(db, **kwargs)

    def count(cursor, *args, **kwargs):
        if state["after"] and cursor.connection is state.get("db"):
            state["after"] -= 1
            if not state["after"]:
                execute(psycopg.RawCursor(cursor.connection), CANCELED)
        return execute(cursor, *args, **kwargs)

    monkeypatch.setattr(psycopg.Connection, "cancel_safe", cancel_late)
    monkeypatch.setattr(psycopg.RawCursor, "execute", count)
    return lambda after: state.update(after=after)


@contextmanager
def waiting(path, table, job):
    """Run a job in a thread, which waits for the lock on this table until the block ends, and then succeeds."""
    errors = []

    def run():
        try:
            job()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    with plain(path) as db:
        db.execute(f"BEGIN; LOCK TABLE {table} IN EXCLUSIVE MODE")
        thread.start()
        waits = "SELECT count(*) FROM pg_locks WHERE relation = %s::text::regclass AND NOT granted"
        eventually(lambda: db.execute(waits, (table,)).fetchone() == (1,))
        yield
        db.execute("COMMIT")
    thread.join(20)
    assert not thread.is_alive()
    assert errors == []


@pytest.mark.parametrize("after", range(sized(3, 8)))
@pytest.mark.parametrize("way", JOBS)
def test_a_cancel_of_a_wait_for_the_lock_reaches_no_caller(path, way, after, arrives):
    table, job = JOBS[way]
    with Store.open(path) as store:
        arrives(after)
        with waiting(path, table, lambda: job(store)):
            store.session._db.end_wait()
        store.record("b")
        fold(store)
        assert query(store, "SELECT event_type FROM event_log ORDER BY event_id") == [("a",), ("b",), ("a",)]
        assert_rebuild_changes_nothing(store)


def test_no_cancel_is_sent_where_nothing_waits(store, path, monkeypatch):
    monkeypatch.setattr(psycopg.Connection, "cancel_safe", lambda *_, **__: pytest.fail("a cancel was sent"))
    store.record("a")
    store.session._db.end_wait()

    def job(db):
        db.query("SELECT 1")  # the transaction has the lock now
        store.session._db.end_wait()
        return append.events(db, [NEW])

    store.session.write(job)
    store.session._db.end_wait()
    with Inspector.open(path) as inspector:
        inspector.connections.interrupt()
        assert inspector.health().total_events == 2


def test_a_cancel_from_outside_is_an_error_of_the_caller(store, path):
    store.record("a")
    ((backend,),) = store.session.read(lambda db: db.query("SELECT pg_backend_pid()"))
    with plain(path) as db:
        db.execute("BEGIN; LOCK TABLE recording IN EXCLUSIVE MODE")
        timer = threading.Timer(0.2, db.execute, (f"SELECT pg_cancel_backend({backend})",))
        timer.start()
        with pytest.raises(StoreError, match="was ended from outside"):
            store.record("b")
        timer.join()
        db.execute("COMMIT")
    assert store.record("c").event_id == 2


@pytest.mark.parametrize("in_snapshot", [False, True])
@pytest.mark.parametrize("after", range(sized(3, 4)))
def test_an_interrupt_of_a_query_does_not_end_a_later_one(store, path, after, in_snapshot, arrives):
    store.record("a")
    db = PostgresReader(path)
    arrives(after)

    def sleep():
        timer = threading.Timer(0.1, db.interrupt)
        timer.start()
        with suppress(StoreError):
            db.query("SELECT pg_sleep(?)", (9 if after == 0 else 0.3,))
        timer.join()

    if in_snapshot:
        with db.snapshot():
            sleep()
    else:
        sleep()
    for _ in range(3):
        assert db.query("SELECT event_type FROM event_log") == [("a",)]
        with db.snapshot():
            assert db.query("SELECT event_type FROM event_log") == [("a",)]
    db.close()
